//! Probes: the dispatches that put six figures of every unit into a step's statistics.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Graph, Parameter, Parameters, Quantity, Watched};
use crate::trace::{FIGURES, Kind, Lanes, TraceLayout, UnitLayout, Units, statistics};

/// Collects the layout of the statistics while plans are built.
pub(super) struct Probes<'g> {
    pub gpu: &'g Gpu,
    /// What the rows are.
    pub layout: TraceLayout,
    /// `[rows, 6]`.
    pub statistics: Buffer<f32>,
}

impl<'g> Probes<'g> {
    /// Room for all tensors and parameters of some graphs.
    pub fn new(gpu: &'g Gpu, graphs: &[&Graph]) -> Result<Self> {
        let rows: usize = graphs.iter().map(|graph| rows(graph)).sum();
        Ok(Self {
            gpu,
            layout: TraceLayout::default(),
            statistics: gpu.buffer("statistics", rows * FIGURES)?,
        })
    }

    /// The probe of a plan's tensor; `name` is what the trace calls it.
    pub fn tensor(
        &mut self,
        graph: &Graph,
        watched: &Watched<'_>,
        name: &str,
    ) -> Result<Vec<Dispatch>> {
        let operation = graph.node(watched.node).operation.as_ref();
        // Inputs are data, losses are scalars, and a view repeats what it views.
        if watched.shape.is_empty() || operation.is_none_or(|operation| operation.is_view()) {
            return Ok(Vec::new());
        }
        let unit_layout = activation_units(watched.batch, watched.shape);
        let units = unit_layout.units();
        let kind = match watched.quantity {
            Quantity::Activation => Kind::Activation,
            Quantity::Gradient => Kind::Gradient,
        };
        let first_row = self.layout.push(name, kind, units);
        let units = Units {
            at: 0,
            layout: unit_layout,
            first_row,
        };
        Ok(self.dispatches(watched.buffer, &[units]))
    }

    /// Probes of a network's parameters ([`Kind::Weight`]), or of what an update has left in their gradients' place
    /// ([`Kind::Update`]).
    pub fn parameters(
        &mut self,
        graph: &Graph,
        parameters: &Parameters,
        kind: Kind,
    ) -> Vec<Dispatch> {
        let buffer = match kind {
            Kind::Update => &parameters.gradients,
            _ => &parameters.values,
        };
        // State has no updates; a counter is no unit; and the graph may run through another network's too.
        let is_probed = |parameter: &&Parameter| {
            !parameter.shape.is_empty()
                && (parameter.learnt || kind == Kind::Weight)
                && parameters.has(&parameter.name)
        };
        let mut matrices = Vec::new();
        for parameter in graph.parameters().iter().filter(is_probed) {
            let Some(slice) = parameters.slice(&parameter.name) else {
                continue;
            };
            // Of a transposed convolution these are the channels that come in.
            let units = parameter.shape[0];
            let length = slice.len / units;
            let first_row = self.layout.push(&parameter.name, kind, units);
            let layout = match length {
                // Of a bias: a value for each unit, side by side.
                1 => UnitLayout::Columns { rows: 1, units },
                _ => UnitLayout::Rows { units, length },
            };
            matrices.push(Units {
                at: slice.start,
                layout,
                first_row,
            });
        }
        self.dispatches(buffer, &matrices)
    }

    fn dispatches(&self, source: &Buffer<f32>, matrices: &[Units]) -> Vec<Dispatch> {
        let lanes = Lanes::for_adapter(self.gpu);
        statistics(self.gpu, lanes, source, matrices, &self.statistics)
    }
}

/// Units of a batch of this per-sample shape: of images `[channels, height, width]` the channels, else every element.
fn activation_units(batch: usize, shape: &[usize]) -> UnitLayout {
    match *shape {
        [units, height, width] => UnitLayout::Channels {
            samples: batch,
            units,
            places: height * width,
        },
        _ => UnitLayout::Columns {
            rows: batch,
            units: shape.iter().product(),
        },
    }
}

/// An upper bound of the rows that the probes of a graph write.
pub(super) fn rows(graph: &Graph) -> usize {
    let nodes = graph.nodes().iter();
    let tensors: usize = nodes
        .map(|node| 2 * activation_units(1, &node.shape).units())
        .sum();
    let units = |parameter: &Parameter| parameter.shape.first().copied().unwrap_or(0);
    let parameters: usize = graph.parameters().iter().map(|p| 2 * units(p)).sum();
    tensors + parameters
}
