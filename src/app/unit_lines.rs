//! The lines of the chart of units: recorded statistics of each unit, or its single values on the probe batch by replay.

use std::ops::Range;
use std::sync::Arc;

use super::jobs::Timed;
use super::selection::Selection;
use super::session::Session;
use super::timeline::Timeline;
use super::view_options::ViewOptions;
use super::worker::Progress;
use crate::cluster::{ClusterOptions, UnitFeatures, cluster};
use crate::gpu::Gpu;
use crate::report::series_within;
use crate::sample::{Budget, SampleOptions};
use crate::series::{LineGroup, Scale, SeriesBuffer};
use crate::trace::UnitSeries;
use crate::train::{ProbeLines, ProbeLinesRequest, Replay};
use crate::view::{Caption, LineClasses, SampledChart};
use crate::{Error, Result};

/// Clusters that have colors of their own.
const MOST_CLUSTERS: usize = 6;
/// Steps of which single values are shown where none are brushed, and at most: all of them are replayed.
const SINGLE_STEPS: u64 = 48;
const MOST_SINGLE_STEPS: u64 = 400;

/// A chart of units.
#[derive(Debug)]
pub(super) struct UnitLines {
    pub chart: Timed<SampledChart>,
    /// The distance of the records that it is made from, in steps.
    pub every: u64,
    /// Which value each line follows, where lines are no units.
    pub probe: Option<ProbeLines>,
}

impl Session {
    /// The chart of the selected units; `None` before the second recorded step.
    ///
    /// # Errors
    /// The tensor is not recorded, a file is damaged, or the device was lost.
    pub fn units(
        &mut self,
        selection: &Selection,
        options: &ViewOptions,
        progress: &Progress,
    ) -> Result<Option<UnitLines>> {
        if options.is_per_sample && selection.has_samples() {
            return self.single_values(selection, options, progress).map(Some);
        }
        let units = selection.series();
        if !self.complete(progress) {
            return Ok(None);
        }
        progress.say(format!("reading {}", units.tensor));
        let Some(mut series) = self.stage.series(&units)? else {
            return Ok(None);
        };
        if let Some(steps) = &selection.range {
            series = series_within(series, steps);
        }
        let Some(timeline) = self.timeline(selection) else {
            return Ok(None);
        };
        if series.steps.len() < 2 || progress.is_cancelled() {
            return Ok(None);
        }
        progress.say(format!("sampling {} units", series.units));
        let sampling = sampling(options);
        let (gpu, axis, scale) = (&self.gpu, &timeline.axis, options.scale);
        let chart = SampledChart::along(gpu, axis, &units, &series, scale, &sampling)?;
        let chart = match chart {
            Some(chart) if options.is_clustered => {
                progress.say(format!("clustering {} units", series.units));
                Some(chart.with_classes(classes(gpu, &series)?))
            }
            other => other,
        };
        Ok(chart.map(|chart| UnitLines {
            chart: Timed { chart, timeline },
            every: every(&series.steps),
            probe: None,
        }))
    }

    /// The chart of every single value of the selected tensor on the probe batch, over the brushed steps or those before
    /// the one that is looked at.
    fn single_values(
        &mut self,
        selection: &Selection,
        options: &ViewOptions,
        progress: &Progress,
    ) -> Result<UnitLines> {
        let dir = self.saved_dir()?;
        let done = self.stage.steps().last().map_or(0, |last| last + 1);
        let request = ProbeLinesRequest {
            tensor: selection.tensor.clone(),
            kind: selection.kind,
            steps: single_steps(selection, done),
        };
        let steps = request.steps.clone();
        progress.say(format!("restoring the state before step {}", steps.start));
        let replay = Replay::open(&self.gpu, &dir)?;
        let mut probe = ProbeLines::record(replay, request, &mut |step| {
            progress.say(format!("replaying steps to {}: at {step}", steps.end));
        })?;
        let series = probe.take_series();
        let events = self.stage.events();
        let timeline = Timeline::new(selection.time, &series.steps, None, events);
        let timeline = timeline.map(Arc::new).ok_or_else(|| {
            Error::input("single values", "there is no step", "train the run first")
        })?;
        let axis = &timeline.axis;
        let rows = series.rows();
        let values: Vec<f32> = rows
            .flat_map(|row| axis.resample(&series.steps, row))
            .collect();
        let group = LineGroup {
            tensor: selection.tensor.clone(),
            kind: selection.kind,
            lines: 0..series.units,
        };
        let scale = options.scale.unwrap_or_else(|| Scale::for_values(&values));
        let lines = SeriesBuffer::upload(&self.gpu, &values, axis.columns().len(), scale)?
            .with_groups(vec![group]);
        let kind = selection.kind.name();
        let caption = Caption {
            title: format!("{}: {kind} of single samples", selection.tensor),
            x_title: "training step".to_owned(),
            y_title: kind.to_owned(),
            first_step: steps.start,
            stride: 1,
        };
        progress.say(format!("sampling {} lines", series.units));
        let mut chart = SampledChart::new(&self.gpu, lines, caption, &sampling(options))?;
        if options.is_clustered && !progress.is_cancelled() {
            chart = chart.with_classes(classes(&self.gpu, &series)?);
        }
        Ok(UnitLines {
            chart: Timed { chart, timeline },
            every: 1,
            probe: Some(probe),
        })
    }
}

/// The usual distance of steps: the median.
fn every(steps: &[u64]) -> u64 {
    let mut gaps: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(1)
}

fn sampling(options: &ViewOptions) -> SampleOptions {
    SampleOptions {
        budget: Budget::Keep(options.keep),
        ..SampleOptions::default()
    }
}

/// The steps whose single values are shown, of a run of `done` steps.
fn single_steps(selection: &Selection, done: u64) -> Range<u64> {
    match &selection.range {
        Some(range) if range.end - range.start <= MOST_SINGLE_STEPS => {
            range.start.min(done.saturating_sub(1))..range.end.min(done)
        }
        _ => {
            let end = selection.cursor.map_or(done, |step| step + 1).min(done);
            end.saturating_sub(SINGLE_STEPS)..end
        }
    }
}

/// The clusters of units whose lines are alike.
fn classes(gpu: &Gpu, series: &UnitSeries) -> Result<LineClasses> {
    let features = UnitFeatures::of_series(series);
    let clustering = cluster(gpu, &features, &ClusterOptions::default())?;
    let mut classes = LineClasses {
        of_line: vec![None; series.units],
        names: Vec::new(),
    };
    // More have no colors of their own: the smallest stay as they are.
    for (class, cluster) in clustering.clusters.iter().take(MOST_CLUSTERS).enumerate() {
        for unit in &cluster.units {
            classes.of_line[*unit] = Some(class);
        }
        let name = format!("cluster {}: {}", cluster.id, cluster.units.len());
        classes.names.push(name);
    }
    Ok(classes)
}
