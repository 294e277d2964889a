//! Blue-noise sampling of polylines on the GPU: a few lines that stand for thousands.
//!
//! Training dynamics give one line per unit; drawn all at once they hide each other, and a random choice of them loses
//! what is rare. Here lines are a Poisson-disk sample in the space of curves: any two kept lines are at least a radius
//! apart somewhere, and every dropped line stays within the radius of a kept one *everywhere*, so no deviation larger
//! than the radius can be lost (after Liu et al., "Analyzing the Training Processes of Deep Generative Models", 2018).
//!
//! The way of the data: [`envelope`] scales lines to the chart's height and takes their extent in each pixel column;
//! [`priority`] orders them (non-finite, outliers, the rest, each by hash); [`selection`] takes them greedily in that
//! order, in parallel but with the sequential result; [`nearest`] assigns every line to a kept one.

mod envelope;
pub mod input;
mod nearest;
mod priority;
pub mod reference;
mod scale;
mod selection;

use std::collections::BTreeMap;

pub use scale::{Scale, ValueScale};

use self::envelope::Envelopes;
use self::selection::{Selection, Selector};
use crate::gpu::{Buffer, Gpu};
use crate::{Error, Result};

/// How many lines to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// As many as this, or the nearest count that some radius gives.
    Keep(usize),
    /// As many as are this far apart, in units of the chart's height.
    Radius(f32),
}

/// What a sample depends on, besides the lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOptions {
    /// How many lines to keep.
    pub budget: Budget,
    /// Pixel columns in which lines are compared; no more than there are steps.
    pub columns: usize,
    /// Seed of the order within a class of priority.
    pub seed: u64,
}

impl Default for SampleOptions {
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
    /// The kept lines, in the order of their priority.
    pub kept: Vec<u32>,
    /// For each line the place in `kept` of the line that stands for it.
    pub assign: Vec<u32>,
    /// For each line its distance to that line, in units of the chart's height.
    pub distances: Vec<f32>,
    /// For each kept line how many it stands for, itself included.
    pub counts: Vec<u32>,
    /// Kept lines are at least this far apart somewhere, dropped lines less than this from a kept one everywhere.
    pub radius: f32,
    /// Parallel rounds that the choice took, over all radii tried.
    pub rounds: usize,
    /// Lines with a value that is not finite.
    pub nonfinite: usize,
}

/// Samples `values` `[lines, steps]`, scaled by `scale`.
///
/// # Errors
/// No lines or steps, a radius that is no positive number, a buffer that is too small, or more lines than the adapter
/// has room for.
pub fn sample(
    gpu: &Gpu,
    values: &Buffer<f32>,
    lines: usize,
    steps: usize,
    scale: ValueScale,
    options: &SampleOptions,
) -> Result<Sample> {
    check(values.len(), lines, steps, options)?;
    let envelopes = Envelopes::new(gpu, values, lines, steps, scale, options.columns)?;
    let buckets = priority::buckets(gpu, &envelopes)?;
    let order = priority::order(&buckets, options.seed);
    let selector = Selector::new(gpu, &envelopes, &order);
    let (selection, rounds) = match options.budget {
        Budget::Radius(radius) => {
            let selection = selector.select(radius, usize::MAX)?;
            let rounds = selection.rounds;
            (selection, rounds)
        }
        Budget::Keep(keep) if keep >= lines => {
            let selection = selector.select(0.0, usize::MAX)?;
            let rounds = selection.rounds;
            (selection, rounds)
        }
        Budget::Keep(keep) => bisect(&selector, keep)?,
    };
    let (assign, distances) = nearest::assign(gpu, &envelopes, &selection)?;
    let mut counts = vec![0; selection.kept.len()];
    for &place in &assign {
        counts[place as usize] += 1;
    }
    Ok(Sample {
        kept: selection.kept,
        assign,
        distances,
        counts,
        radius: selection.radius,
        rounds,
        nonfinite: buckets
            .iter()
            .filter(|&&bucket| bucket == priority::NONFINITE)
            .count(),
    })
}

/// The selection whose size is nearest to `keep`. Sizes fall with the radius, though not strictly, so the halving
/// remembers all that it has seen; trials that keep far too many are given up early.
fn bisect(selector: &Selector<'_>, keep: usize) -> Result<(Selection, usize)> {
    const HALVINGS: usize = 18;
    // Heights end at 1; sentinels of non-finite columns lie up to 4 away from them.
    let (mut low, mut high) = (1e-5f32.ln(), 4f32.ln());
    let enough = keep + keep / 2 + 16;
    let mut rounds = 0;
    let mut best: BTreeMap<usize, Selection> = BTreeMap::new();
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let selection = selector.select(middle.exp(), enough)?;
        rounds += selection.rounds;
        let size = selection.kept.len();
        if selection.complete {
            best.entry(size.abs_diff(keep)).or_insert(selection);
        }
        match size.cmp(&keep) {
            std::cmp::Ordering::Equal => break,
            std::cmp::Ordering::Greater => low = middle,
            std::cmp::Ordering::Less => high = middle,
        }
    }
    match best.into_values().next() {
        Some(selection) => Ok((selection, rounds)),
        // Every radius kept far too many: only lines that differ by the sentinel are left to tell apart.
        None => selector
            .select(high.exp(), usize::MAX)
            .map(|selection| (selection, rounds)),
    }
}

fn check(len: usize, lines: usize, steps: usize, options: &SampleOptions) -> Result<()> {
    let wrong = |problem: String, mend: &str| Err(Error::input("sample", problem, mend));
    if lines == 0 || steps == 0 {
        return wrong(
            format!("there are {lines} lines of {steps} steps"),
            "give at least one line of one step",
        );
    }
    let needed = lines
        .checked_mul(steps)
        .filter(|&count| count <= u32::MAX as usize);
    if needed.is_none_or(|needed| needed > len) {
        return wrong(
            format!("{lines} lines of {steps} steps do not fit a buffer of {len} values"),
            "give [lines, steps] values",
        );
    }
    if options.columns == 0 {
        return wrong("columns = 0".into(), "compare lines in at least one column");
    }
    match options.budget {
        Budget::Keep(0) => wrong("keep = 0".into(), "keep at least one line"),
        Budget::Radius(radius) if !(radius > 0.0 && radius.is_finite()) => wrong(
            format!("radius = {radius}"),
            "use a positive number, such as 0.05",
        ),
        _ => Ok(()),
    }
}
