//! The probe of every recorded step: statistics of each unit of each tensor, and of each parameter.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{
    Graph, Parameter, ParameterStage, ParameterView, Pass, Probe, ProbeEvent, TensorView, vectors,
};
use crate::tensor::TensorKind;
use crate::trace::{TraceLayout, UnitLayout, UnitStatistics, Units, can_batch, statistics};

/// Collects the layout of the statistics while the step is built. Two tensors share a dispatch where the first is still
/// alive when the second is complete.
#[derive(Debug)]
pub(super) struct StatisticsProbe {
    /// What the rows are.
    layout: TraceLayout,
    /// One for each row.
    statistics: Buffer<UnitStatistics>,
    /// A tensor that waits for another one to share its dispatch.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
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

impl StatisticsProbe {
    /// A probe with room for [`max_rows`] of all passes of a model.
    ///
    /// # Errors
    /// The adapter has no memory left.
    pub fn new(gpu: &Gpu, passes: &[Pass<'_>]) -> Result<Self> {
        let rows: usize = passes.iter().map(|pass| max_rows(pass.graph)).sum();
        Ok(Self {
            layout: TraceLayout::default(),
            statistics: gpu.buffer("statistics", rows)?,
            waiting: None,
        })
    }

    /// What the rows are, once the step is built, and where they lie.
    pub fn finish(self) -> (TraceLayout, Buffer<UnitStatistics>) {
        (self.layout, self.statistics)
    }

    fn measure_waiting(&mut self, gpu: &Gpu) -> Vec<Dispatch> {
        let waiting = self.waiting.take();
        waiting.map_or_else(Vec::new, |waiting| self.dispatches(gpu, &[waiting.units()]))
    }

    fn tensor(&mut self, gpu: &Gpu, pass: &Pass<'_>, view: &TensorView<'_>) -> Vec<Dispatch> {
        let operation = pass.graph.node(view.node).operation.as_ref();
        let is_view = operation.is_none_or(|operation| operation.is_view());
        // Inputs are data, losses are scalars, and a view repeats what it views.
        if view.shape.is_empty() || is_view || pass.is_repeated(view.node) {
            return Vec::new();
        }
        let layout = activation_units(view.batch, view.shape);
        let name = pass.tensor_name(view.node);
        let next = Waiting {
            values: view.buffer.clone(),
            layout,
            first_row: self.layout.push(&name, view.kind, layout.units()),
        };
        let Some(before) = self.waiting.take() else {
            self.waiting = Some(next);
            return Vec::new();
        };
        let reduction = gpu.profile().reduction;
        if can_batch(reduction, &before.units(), &next.units()) {
            return self.dispatches(gpu, &[before.units(), next.units()]);
        }
        self.waiting = Some(next);
        self.dispatches(gpu, &[before.units()])
    }

    fn dispatches(&self, gpu: &Gpu, matrices: &[Units<'_>]) -> Vec<Dispatch> {
        statistics(gpu, gpu.profile().reduction, matrices, &self.statistics)
    }
}

impl Probe for StatisticsProbe {
    fn event(
        &mut self,
        gpu: &Gpu,
        pass: &Pass<'_>,
        event: ProbeEvent<'_>,
    ) -> Result<Vec<Dispatch>> {
        Ok(match event {
            ProbeEvent::TensorReady(view) => self.tensor(gpu, pass, &view),
            ProbeEvent::BufferReused(buffer) => {
                let is_it = |waiting: &Waiting| waiting.values.raw() == buffer.raw();
                if self.waiting.as_ref().is_some_and(is_it) {
                    self.measure_waiting(gpu)
                } else {
                    Vec::new()
                }
            }
            ProbeEvent::PlanEnd => self.measure_waiting(gpu),
        })
    }

    fn parameters(&mut self, gpu: &Gpu, view: ParameterView<'_>) -> Result<Vec<Dispatch>> {
        let ParameterView {
            graph, parameters, ..
        } = view;
        let (kind, values) = match view.stage {
            ParameterStage::StepStart => return Ok(Vec::new()),
            ParameterStage::BeforeUpdate => (TensorKind::Weight, &parameters.values),
            ParameterStage::AfterUpdate => (TensorKind::Update, &parameters.gradients),
        };
        // State and what is frozen have no updates, a counter has no units, and the graph may run through another network's parameters too.
        let is_recorded = |parameter: &&Parameter| {
            !parameter.shape.is_empty()
                && (parameter.is_updated() || kind == TensorKind::Weight)
                && parameters.contains(&parameter.name)
        };
        let mut matrices = Vec::new();
        for parameter in graph.parameters().iter().filter(is_recorded) {
            let Some(slice) = parameters.slice(&parameter.name) else {
                continue;
            };
            // Of a transposed convolution these are the channels that come in.
            let units = parameter.shape[0];
            let length = slice.len / units;
            let first_row = self.layout.push(&parameter.name, kind, units);
            let layout = match length {
                // A bias is one value a unit, side by side.
                1 => UnitLayout::Columns { rows: 1, units },
                _ => UnitLayout::Rows { units, length },
            };
            matrices.push(Units {
                values,
                at: slice.start,
                layout,
                first_row,
            });
        }
        Ok(self.dispatches(gpu, &matrices))
    }

    fn skipped(&mut self, gpu: &Gpu, tensors: &[(String, TensorKind)]) -> Result<Vec<Dispatch>> {
        let is_skipped = |name: &str, kind| tensors.iter().any(|(n, k)| n == name && *k == kind);
        let mut dispatches = Vec::new();
        let mut range = 0..0;
        for entry in self.layout.entries() {
            if !is_skipped(&entry.tensor, entry.kind) {
                continue;
            }
            let rows = entry.first_row..entry.first_row + entry.units;
            if rows.start == range.end {
                range.end = rows.end;
                continue;
            }
            dispatches.extend(self.cleared(gpu, range));
            range = rows;
        }
        dispatches.extend(self.cleared(gpu, range));
        Ok(dispatches)
    }
}

impl StatisticsProbe {
    /// Sets a range of rows to zero.
    fn cleared(&self, gpu: &Gpu, rows: std::ops::Range<usize>) -> Option<Dispatch> {
        let range = rows.start * UnitStatistics::LEN..rows.end * UnitStatistics::LEN;
        let is_empty = range.is_empty();
        (!is_empty).then(|| vectors::fill(gpu, self.statistics.binding(), range, 0.0))
    }
}

/// Units of a batch of this per-sample shape: the channels of images `[channels, height, width]`, else every element.
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

/// An upper bound of the rows that the probe writes for a pass of a graph.
pub(super) fn max_rows(graph: &Graph) -> usize {
    let nodes = graph.nodes().iter();
    let tensors: usize = nodes
        .map(|node| 2 * activation_units(1, &node.shape).units())
        .sum();
    let units = |parameter: &Parameter| parameter.shape.first().copied().unwrap_or(0);
    let parameters: usize = graph.parameters().iter().map(|p| 2 * units(p)).sum();
    tensors + parameters
}
