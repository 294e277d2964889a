//! Blue-noise sampling of polylines on the GPU: a few lines that represent thousands.
//!
//! Training dynamics give one line per unit; drawn all at once they hide each other, and a random choice of them loses
//! what is rare. Here lines are a Poisson-disk sample in the space of curves: any two kept lines are at least a radius
//! apart somewhere, and every dropped line stays within the radius of a kept one *everywhere*, so no deviation larger
//! than the radius can be lost (after Liu et al., "Analyzing the Training Processes of Deep Generative Models", 2018).
//!
//! The steps: [`Envelopes`] scale lines to the chart's height and take their extent in each pixel column;
//! [`priority_tiers`] and [`order`] rank them (non-finite, outliers, the rest, each by hash); `selection` takes them
//! greedily in that order, in parallel but with the sequential result, and `choice` does so for lines with and without gaps
//! apart; `budget` finds the radius for a wanted count, and `farthest` adds what no radius gives; `nearest` finds the
//! representative of every line. [`reference`](mod@reference) does all of it on the CPU.
//!
//! A line with a value that is not finite is only represented by another such line. Two of them are compared where both
//! have values; an infinity is infinitely far from all but itself; without anything to compare they are apart.
//!
//! Nothing here depends on training: [`sample`] takes any [`SeriesBuffer`] on any device ([`Gpu::from_wgpu`]), and
//! [`sample_table`] any [`SeriesTable`], also one that is larger than what the adapter binds.

mod budget;
mod choice;
mod envelope;
mod exact_rows;
mod farthest;
mod guarantee;
mod nearest;
mod priority;
pub mod reference;
mod selection;
mod source;

use std::sync::atomic::AtomicBool;

pub use envelope::{Envelopes, HEIGHTS};
pub use priority::{PriorityTier, order, priority_tiers};

use self::choice::Chooser;
use self::source::Source;
use crate::gpu::Gpu;
use crate::series::{Scale, SeriesBuffer, SeriesTable};
use crate::{Error, Result};

/// How many lines to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// As many as this. Fewer are kept where fewer lines differ, more where more lines have gaps or infinities so that no
    /// other line can represent them: [`Sample::shortfall`] says so.
    Keep(usize),
    /// As many as are this far apart: between 0.000001 and 3, in units of the chart's height.
    Radius(f32),
}

/// What a sample depends on, besides the lines and their scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOptions {
    /// How many lines to keep.
    pub budget: Budget,
    /// Pixel columns in which lines are compared (see [`Envelopes`]); as many as steps, if those are fewer.
    pub columns: usize,
    /// Seed of the order within a tier.
    pub seed: u64,
}

impl Default for SampleOptions {
    /// A hundred lines, compared in 256 columns.
    fn default() -> Self {
        Self {
            budget: Budget::Keep(100),
            columns: 256,
            seed: 0,
        }
    }
}

/// A sample of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The kept lines, in the order of their priority; then those that were added to reach the wanted count.
    pub kept: Vec<u32>,
    /// How many were added, the farthest from all kept ones first, because no radius gives the wanted count.
    pub added: usize,
    /// For each line the index in `kept` of the nearest kept line, which represents it.
    pub nearest_representative: Vec<u32>,
    /// For each line its distance to that line, in units of the chart's height.
    pub distances: Vec<f32>,
    /// For each kept line how many it represents, itself included.
    pub counts: Vec<u32>,
    /// Kept lines are at least this far apart somewhere, dropped lines less than this from a kept one everywhere (at most
    /// this, where lines were added or it is 1); 0 where all lines are kept because so many were asked for.
    pub radius: f32,
    /// Pixel columns in which lines were compared, where these are fewer than steps; `None` where every step was.
    pub columns: Option<usize>,
    /// Parallel rounds that the choice took, over all chunks and all radii tried.
    pub rounds: usize,
    /// Lines with a value that is not finite.
    pub nonfinite: usize,
    /// How many of the kept ones are such lines.
    pub nonfinite_kept: usize,
    /// How many of those are kept at every radius, since no other line can be compared with them; 0 where all lines are
    /// kept anyway.
    pub kept_for_gaps: usize,
}

/// Samples `series` where they lie. The same series and options give the same sample on the same adapter.
///
/// # Errors
/// No lines, a budget of nothing, a radius out of range, or more lines than the adapter has room for.
pub fn sample(gpu: &Gpu, series: &SeriesBuffer, options: &SampleOptions) -> Result<Sample> {
    let never = AtomicBool::new(false);
    sample_source(gpu, &Source::Buffer(series), options, &never)
}

/// Samples the lines of a table in heights after a `scale` fitted to them. They are uploaded in parts, so all of them may
/// be more than the adapter binds. Stops soon after `cancelled` is set.
///
/// # Errors
/// As [`sample`], or [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
pub fn sample_table(
    gpu: &Gpu,
    table: &SeriesTable,
    scale: Scale,
    options: &SampleOptions,
    cancelled: &AtomicBool,
) -> Result<Sample> {
    let source = Source::table(table, scale);
    sample_source(gpu, &source, options, cancelled)
}

fn sample_source(
    gpu: &Gpu,
    source: &Source<'_>,
    options: &SampleOptions,
    cancelled: &AtomicBool,
) -> Result<Sample> {
    check(options.budget)?;
    let lines = source.lines();
    let envelopes = source.envelopes(gpu, options.columns, cancelled)?;
    let tiers = priority_tiers(gpu, &envelopes)?;
    let order = order(&tiers, options.seed);
    let chooser = Chooser::new(gpu, &envelopes, &tiers, &order, cancelled);
    let (mut choice, rounds) = match options.budget {
        Budget::Keep(keep) if keep >= lines => return Ok(all(&order, chooser.nonfinite())),
        Budget::Keep(keep) => budget::at_most(|radius, most| chooser.choose(radius, most), keep)?,
        Budget::Radius(radius) => {
            let choice = chooser.choose(radius, usize::MAX)?;
            let rounds = choice.rounds();
            (choice, rounds)
        }
    };
    let mut radius = choice.radius();
    let mut added = 0;
    if let Budget::Keep(keep) = options.budget
        && choice.len() < keep
    {
        let rows = source.exact_rows(gpu, options.columns)?;
        let mut kept = choice.kept();
        let chosen = kept.len();
        let last = farthest::add_farthest(&rows, &order, &mut kept, keep, cancelled)?;
        added = kept.len() - chosen;
        chooser.add(&mut choice, &kept[chosen..])?;
        radius = last.map_or(radius, |distance| distance as f32);
    }
    let (nearest_representative, distances) = chooser.nearest(&choice)?;
    if radius > 1.0 && distances.iter().all(|distance| *distance <= 1.0) {
        radius = 1.0;
    }
    let kept = choice.kept();
    let mut counts = vec![0; kept.len()];
    for &index in &nearest_representative {
        counts[index as usize] += 1;
    }
    let is_nonfinite = |line: &&u32| tiers[**line as usize] <= PriorityTier::Nonfinite;
    Ok(Sample {
        nonfinite_kept: kept.iter().filter(is_nonfinite).count(),
        kept,
        added,
        nearest_representative,
        distances,
        counts,
        radius,
        columns: (options.columns < source.steps()).then_some(options.columns),
        rounds,
        nonfinite: chooser.nonfinite(),
        kept_for_gaps: chooser.kept_for_gaps(budget::MAX_RADIUS)?,
    })
}

/// The sample that keeps every line.
fn all(order: &[u32], nonfinite: usize) -> Sample {
    let mut nearest_representative = vec![0; order.len()];
    for (index, &line) in (0..).zip(order) {
        nearest_representative[line as usize] = index;
    }
    Sample {
        distances: vec![0.0; order.len()],
        counts: vec![1; order.len()],
        kept: order.to_vec(),
        added: 0,
        nearest_representative,
        radius: 0.0,
        columns: None,
        rounds: 0,
        nonfinite,
        nonfinite_kept: nonfinite,
        kept_for_gaps: 0,
    }
}

fn check(budget: Budget) -> Result<()> {
    let wrong = |problem: String, hint: &str| Err(Error::input("sample", problem, hint));
    match budget {
        Budget::Keep(0) => wrong("keep = 0".into(), "keep at least one line"),
        Budget::Radius(radius) if !(budget::MIN_RADIUS..=budget::MAX_RADIUS).contains(&radius) => {
            wrong(
                format!("radius = {radius}"),
                "use a number from 0.000001 to 3 in units of the chart's height, such as 0.05",
            )
        }
        _ => Ok(()),
    }
}
