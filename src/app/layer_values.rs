//! What the charts of layers show: the envelope of every recorded tensor's units in the columns of the time axis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::selection::Selection;
use super::session::Session;
use super::stage::Stage;
use super::timeline::Timeline;
use super::worker::Progress;
use crate::Result;
use crate::tensor::TensorKind;
use crate::trace::{Event, Statistic, StatisticsFile, TraceEntry, UnitStatistics};
use crate::view::{LayerGraph, LayerNode, NodeEnvelope, TimeAxis};

/// So long the values of layers are read at a time; what else is asked for comes between.
const PART: Duration = Duration::from_millis(300);

/// How much of a run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayersRead {
    /// Segments that were read.
    pub read: usize,
    /// Segments in all.
    pub of: usize,
}

/// What is known of the layers.
#[derive(Debug)]
pub(super) enum Layers {
    /// There is no step yet.
    None,
    /// A part of a large run; the rest is to be asked for.
    Part(LayersRead),
    /// All of it.
    All(Box<LayerValues>),
}

/// Envelopes of all recorded tensors at every recorded step.
#[derive(Debug, Clone, Default)]
struct Envelopes {
    steps: Vec<u64>,
    /// For each entry its lowest and highest mean of a unit at each step; not finite where a value was not.
    sides: Vec<[Vec<f32>; 2]>,
}

/// What was read and laid out before and still holds.
#[derive(Debug, Default)]
pub(super) struct LayerCache {
    /// Of a run directory, and how many of its segments they are of.
    envelopes: Option<(Envelopes, usize)>,
    graph: Option<(GraphKey, Arc<LayerGraph>)>,
}

/// Which groups are collapsed, and how many squares nodes have.
type GraphKey = (BTreeSet<String>, BTreeMap<String, usize>);

/// The graph, and the values of its charts.
#[derive(Debug, Clone)]
pub(super) struct LayerValues {
    pub graph: Arc<LayerGraph>,
    pub timeline: Arc<Timeline>,
    pub events: Arc<Vec<Event>>,
    envelopes: BTreeMap<(String, TensorKind), NodeEnvelope>,
}

impl LayerValues {
    /// The envelope of a node's tensors of a kind; `None` where none of them is recorded.
    pub fn of(&self, node: &LayerNode, kind: TensorKind) -> Option<NodeEnvelope> {
        let recorded = node.tensors_of(kind).iter();
        let mut recorded =
            recorded.filter_map(|tensor| self.envelopes.get(&(tensor.clone(), kind)));
        let mut all = recorded.next()?.clone();
        for envelope in recorded {
            for (low, other) in all.low.iter_mut().zip(&envelope.low) {
                *low = extreme(f32::min, *low, *other);
            }
            for (high, other) in all.high.iter_mut().zip(&envelope.high) {
                *high = extreme(f32::max, *high, *other);
            }
        }
        Some(all)
    }
}

/// The extreme of two values; not finite where one of them is not.
fn extreme(choose: fn(f32, f32) -> f32, a: f32, b: f32) -> f32 {
    match (a.is_finite(), b.is_finite()) {
        (true, true) => choose(a, b),
        (false, _) => a,
        (true, false) => b,
    }
}

impl Envelopes {
    /// Adds the means of a segment of a run directory, of which no other column is read.
    fn push_segment(&mut self, entries: &[TraceEntry], file: &StatisticsFile) -> Result<()> {
        let known = self.steps.last().copied();
        let first = file
            .steps
            .partition_point(|step| known.is_some_and(|known| *step <= known));
        self.steps.extend(&file.steps[first..]);
        self.sides.resize(entries.len(), [Vec::new(), Vec::new()]);
        let steps = file.steps.len();
        for (entry, [low, high]) in entries.iter().zip(&mut self.sides) {
            let mut means = file.series(entry, Statistic::Mean)?;
            let nonfinite = file.series(entry, Statistic::Nonfinite)?;
            for (mean, count) in means.iter_mut().zip(&nonfinite) {
                if *count > 0.0 {
                    *mean = f32::NAN;
                }
            }
            let mut sides = [means[..steps].to_vec(), means[..steps].to_vec()];
            for unit in means.chunks_exact(steps).skip(1) {
                for (step, mean) in unit.iter().enumerate() {
                    sides[0][step] = extreme(f32::min, sides[0][step], *mean);
                    sides[1][step] = extreme(f32::max, sides[1][step], *mean);
                }
            }
            let [lows, highs] = sides;
            low.extend(&lows[first..]);
            high.extend(&highs[first..]);
        }
        Ok(())
    }

    fn push(&mut self, entries: &[TraceEntry], step: u64, statistics: &[UnitStatistics]) {
        self.steps.push(step);
        self.sides.resize(entries.len(), [Vec::new(), Vec::new()]);
        for (entry, [low, high]) in entries.iter().zip(&mut self.sides) {
            let units = &statistics[entry.rows()];
            let mean = |unit: &UnitStatistics| match unit.nonfinite > 0.0 {
                true => f32::NAN,
                false => unit.mean,
            };
            let fold = |choose: fn(f32, f32) -> f32| {
                let means = units.iter().map(mean);
                means
                    .reduce(|a, b| extreme(choose, a, b))
                    .unwrap_or(f32::NAN)
            };
            low.push(fold(f32::min));
            high.push(fold(f32::max));
        }
    }

    fn along(
        &self,
        axis: &TimeAxis,
        entries: &[TraceEntry],
    ) -> BTreeMap<(String, TensorKind), NodeEnvelope> {
        let envelope = |(entry, [low, high]): (&TraceEntry, &[Vec<f32>; 2])| {
            let [low, _] = axis.envelope(&self.steps, low);
            let [_, high] = axis.envelope(&self.steps, high);
            let key = (entry.tensor.clone(), entry.kind);
            (key, NodeEnvelope { low, high })
        };
        entries.iter().zip(&self.sides).map(envelope).collect()
    }
}

impl Session {
    /// The layer graph with these groups collapsed and room for so many squares in nodes, and the values of its charts.
    ///
    /// # Errors
    /// A file is damaged, or the graph cannot be laid out.
    pub fn layers(
        &mut self,
        selection: &Selection,
        collapsed: &BTreeSet<String>,
        squares: &BTreeMap<String, usize>,
        progress: &Progress,
    ) -> Result<Layers> {
        let Some(timeline) = self.timeline(selection) else {
            return Ok(Layers::None);
        };
        if !self.complete(progress) {
            return Ok(Layers::None);
        }
        progress.say("reading the layers");
        let graph = match &self.layers.graph {
            Some(((groups, nodes), graph)) if groups == collapsed && nodes == squares => {
                graph.clone()
            }
            _ => {
                let graph = LayerGraph::expanded(self.stage.model(), collapsed, squares)?;
                let graph = Arc::new(graph);
                self.layers.graph = Some(((collapsed.clone(), squares.clone()), graph.clone()));
                graph
            }
        };
        let entries = self.stage.entries();
        let envelopes = match &self.stage {
            Stage::View(run) => {
                let (mut known, mut read) = self.layers.envelopes.take().unwrap_or_default();
                let started = Instant::now();
                while let Some(file) = run.statistics_file(read)? {
                    known.push_segment(entries, &file)?;
                    read += 1;
                    if started.elapsed() > PART && run.segments().len() > read {
                        let part = LayersRead {
                            read,
                            of: run.segments().len(),
                        };
                        self.layers.envelopes = Some((known, read));
                        return Ok(Layers::Part(part));
                    }
                }
                self.layers.envelopes = Some((known.clone(), read));
                known
            }
            Stage::Live(_) => {
                let mut all = Envelopes::default();
                self.stage
                    .each_record(|step, statistics| all.push(entries, step, statistics))?;
                all
            }
        };
        let values = LayerValues {
            graph,
            events: Arc::new(self.stage.events().to_vec()),
            envelopes: envelopes.along(&timeline.axis, entries),
            timeline,
        };
        Ok(Layers::All(Box::new(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::TimeScale;

    #[test]
    fn envelopes_are_the_lowest_and_highest_unit_and_say_what_is_not_finite() {
        let entry = TraceEntry {
            tensor: "a".to_owned(),
            kind: TensorKind::Activation,
            units: 2,
            first_row: 0,
        };
        let unit = |mean: f32, nonfinite: f32| UnitStatistics {
            mean,
            nonfinite,
            ..UnitStatistics::default()
        };
        let mut all = Envelopes::default();
        let entries = [entry];
        all.push(&entries, 0, &[unit(1.0, 0.0), unit(-2.0, 0.0)]);
        all.push(&entries, 1, &[unit(1.0, 3.0), unit(5.0, 0.0)]);
        let axis = TimeAxis::new(TimeScale::Linear, &all.steps, &[]).unwrap();
        let along = all.along(&axis, &entries);
        let envelope = &along[&("a".to_owned(), TensorKind::Activation)];
        assert_eq!((envelope.low[0], envelope.high[0]), (-2.0, 1.0));
        assert!(envelope.low[1].is_nan() && envelope.high[1].is_nan());
    }
}
