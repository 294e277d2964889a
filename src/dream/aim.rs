//! Of what a dream helps to understand a run: the unit that its explanation names, before, at and after the event.

use super::target::DreamTarget;
use crate::attribute::{find_layer, units};
use crate::diagnose::{Explanation, Finding};
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic};
use crate::train::Trainer;
use crate::{Error, Result};

/// What to dream of, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// The unit.
    pub target: DreamTarget,
    /// Ascending numbers of steps; the states after them are compared.
    pub steps: Vec<u64>,
    /// Why, as a sentence.
    pub why: String,
}

/// The unit that explains most of how a run went and depends on an input, at states before, at and after the event.
/// `trainer` is one of the run, in any state.
///
/// # Errors
/// The explanation names no layer of whose units there are dreams.
pub fn aim(trainer: &Trainer, run: &RunView, explanation: &Explanation) -> Result<Aim> {
    let done = run.info().map_or(0, |info| info.steps_done);
    for finding in &explanation.findings {
        let Some(named) = &finding.layer else {
            continue;
        };
        // Tensors of a GAN's further passes have a suffix, and parameters of a layer another.
        let layer = named.split('@').next().unwrap_or(named);
        let Ok((graph, node)) = find_layer(trainer, "--unit", layer) else {
            continue;
        };
        let count = units(&graph.node(node).shape);
        let (unit, chosen) = unit_of(run, finding, layer, count);
        let (since, steps) = steps(run, finding, done);
        return Ok(Aim {
            target: DreamTarget::unit(layer, unit),
            steps,
            why: format!(
                "{layer}:{unit} is dreamt of because {}{since} ({chosen}).",
                finding.title
            ),
        });
    }
    Err(Error::usage(
        "--unit",
        "the explanation of this run names no layer whose units could be dreamt of",
        "name a unit yourself: --unit LAYER:CHANNEL, or class:all of a classifier",
    ))
}

/// The unit that a finding is about, and how it was chosen.
fn unit_of(run: &RunView, finding: &Finding, layer: &str, count: usize) -> (usize, &'static str) {
    if let Some(&unit) = finding.units.iter().find(|unit| **unit < count) {
        return (unit, "the first unit that the explanation names");
    }
    let moved = most_moved(run, layer).filter(|unit| *unit < count);
    match moved {
        Some(unit) => (
            unit,
            "the explanation names the layer alone; of its units this one's mean changed most",
        ),
        None => (
            0,
            "the explanation names the layer alone; this is its first unit",
        ),
    }
}

/// The unit whose recorded mean activation changed most between the first and the last record in which it is finite.
fn most_moved(run: &RunView, layer: &str) -> Option<usize> {
    let series = run.series(layer, TensorKind::Activation, Statistic::Mean);
    let series = series.ok()?;
    let changes = series.rows().map(|row| {
        let mut finite = row.iter().filter(|value| value.is_finite());
        let first = finite.next().copied().unwrap_or(0.0);
        let last = finite.next_back().copied().unwrap_or(first);
        (last - first).abs()
    });
    let largest = changes
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    largest
        .filter(|(_, change)| *change > 0.0)
        .map(|(unit, _)| unit)
}

/// When the finding began, in words, and the steps before, at and after that.
fn steps(run: &RunView, finding: &Finding, done: u64) -> (String, Vec<u64>) {
    let Some(since) = finding.since.or(finding.step) else {
        return (String::new(), sorted([0, done / 2, done]));
    };
    let words = format!(" since step {since}");
    let before = run.checkpoints().iter().rfind(|step| **step < since);
    let before = before.copied().unwrap_or(0);
    (words, sorted([before, (since + 1).min(done), done]))
}

fn sorted(steps: [u64; 3]) -> Vec<u64> {
    let mut steps = steps.to_vec();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The first recorded step of at most `step` steps since which a unit was 0 on whole batches to the end of them; `None`
/// where it was not, or its layer is not recorded.
pub fn dead_since(run: &RunView, layer: &str, unit: usize, step: u64) -> Option<u64> {
    let series = run.series(layer, TensorKind::Activation, Statistic::ZeroFraction);
    let series = series.ok()?;
    let row = series.rows().nth(unit)?;
    let records = series.steps.partition_point(|recorded| *recorded < step);
    let silent = row[..records]
        .iter()
        .rev()
        .take_while(|share| **share == 1.0);
    let silent = silent.count();
    (silent > 0).then(|| series.steps[records - silent])
}
