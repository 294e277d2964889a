//! Probes: the dispatches that put every unit's statistics into those of the step.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Graph, Parameter, Parameters, ProbeEvent, TensorView};
use crate::tensor::TensorKind;
use crate::trace::{TraceLayout, UnitLayout, UnitStatistics, Units, can_batch, statistics};

/// Collects the layout of the statistics while plans are built.
pub(super) struct Probes<'g> {
    pub gpu: &'g Gpu,
    /// What the rows are.
    pub layout: TraceLayout,
    /// One for each row.
    pub statistics: Buffer<UnitStatistics>,
    /// A tensor that waits for another one to share its dispatch.
    waiting: Option<Waiting>,
}

struct Waiting {
    values: Buffer<f32>,
    layout: UnitLayout,
    first_row: usize,
}

impl Waiting {
    fn units(&self) -> Units<'_> {
        Units {
            values: &self.values,
            at: 0,
            layout: self.layout,
            first_row: self.first_row,
        }
    }
}

impl<'g> Probes<'g> {
    /// Room for all tensors and parameters of some graphs.
    pub fn new(gpu: &'g Gpu, graphs: &[&Graph]) -> Result<Self> {
        let rows: usize = graphs.iter().map(|graph| rows(graph)).sum();
        Ok(Self {
            gpu,
            layout: TraceLayout::default(),
            statistics: gpu.buffer("statistics", rows)?,
            waiting: None,
        })
    }

    /// What a plan's probe answers to an event: a tensor is measured together with the next one, if it lives so long.
    /// The trace calls tensors by their names and `suffix`.
    pub fn event(&mut self, graph: &Graph, event: ProbeEvent<'_>, suffix: &str) -> Vec<Dispatch> {
        match event {
            ProbeEvent::TensorReady(watched) => self.tensor(graph, &watched, suffix),
            ProbeEvent::BufferReused(buffer) => {
                let is_meant = |waiting: &Waiting| waiting.values.raw() == buffer.raw();
                if self.waiting.as_ref().is_some_and(is_meant) {
                    self.measure_waiting()
                } else {
                    Vec::new()
                }
            }
            ProbeEvent::PlanEnd => self.measure_waiting(),
        }
    }

    fn measure_waiting(&mut self) -> Vec<Dispatch> {
        let waiting = self.waiting.take();
        waiting.map_or_else(Vec::new, |waiting| self.dispatches(&[waiting.units()]))
    }

    fn tensor(&mut self, graph: &Graph, watched: &TensorView<'_>, suffix: &str) -> Vec<Dispatch> {
        let operation = graph.node(watched.node).operation.as_ref();
        // Inputs are data, losses are scalars, and a view repeats what it views.
        if watched.shape.is_empty() || operation.is_none_or(|operation| operation.is_view()) {
            return Vec::new();
        }
        let layout = activation_units(watched.batch, watched.shape);
        let kind = watched.kind;
        let name = format!("{}{suffix}", watched.name);
        let next = Waiting {
            values: watched.buffer.clone(),
            layout,
            first_row: self.layout.push(&name, kind, layout.units()),
        };
        let Some(before) = self.waiting.take() else {
            self.waiting = Some(next);
            return Vec::new();
        };
        let reduction = self.gpu.profile().reduction;
        if can_batch(reduction, &before.units(), &next.units()) {
            return self.dispatches(&[before.units(), next.units()]);
        }
        self.waiting = Some(next);
        self.dispatches(&[before.units()])
    }

    /// Probes of a network's parameters ([`TensorKind::Weight`]), or of what an update has left in their gradients' place
    /// ([`TensorKind::Update`]).
    pub fn parameters(
        &mut self,
        graph: &Graph,
        parameters: &Parameters,
        kind: TensorKind,
    ) -> Vec<Dispatch> {
        let buffer = match kind {
            TensorKind::Update => &parameters.gradients,
            _ => &parameters.values,
        };
        // State has no updates; a counter is no unit; and the graph may run through another network's too.
        let is_probed = |parameter: &&Parameter| {
            !parameter.shape.is_empty()
                && (parameter.trainable || kind == TensorKind::Weight)
                && parameters.contains(&parameter.name)
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
                values: buffer,
                at: slice.start,
                layout,
                first_row,
            });
        }
        self.dispatches(&matrices)
    }

    fn dispatches(&self, matrices: &[Units<'_>]) -> Vec<Dispatch> {
        let reduction = self.gpu.profile().reduction;
        statistics(self.gpu, reduction, matrices, &self.statistics)
    }
}

/// Units of a batch of this per-sample shape: of images `[channels, height, width]` the channels, else every element.
fn activation_units(batch: usize, shape: &[usize]) -> UnitLayout {
    match *shape {
        [units, height, width] => UnitLayout::Channels {
            samples: batch,
            units,
            positions: height * width,
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
