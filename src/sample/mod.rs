//! Blue-noise sampling of polylines on the GPU: a few lines that represent thousands.
//!
//! Training dynamics give one line per unit; drawn all at once they hide each other, and a random choice of them loses
//! what is rare. Here lines are a Poisson-disk sample in the space of curves: any two kept lines are at least a radius
//! apart somewhere, and every dropped line stays within the radius of a kept one *everywhere*, so no deviation larger
//! than the radius can be lost (after Liu et al., "Analyzing the Training Processes of Deep Generative Models", 2018).
//!
//! The steps: [`Envelopes`] scale lines to the chart's height and take their extent in each pixel column;
//! [`priority_tiers`] and [`order`] rank them (non-finite, outliers, the rest, each by hash); `selection` takes them
//! greedily in that order, in parallel but with the sequential result; `budget` finds the radius for a wanted count;
//! `nearest` finds the representative of every line. [`reference`](mod@reference) does all of it on the CPU.
//!
//! Nothing here depends on training: [`sample`] takes any [`SeriesBuffer`] on any device ([`Gpu::from_wgpu`]).

mod budget;
mod envelope;
mod nearest;
mod priority;
pub mod reference;
mod selection;

pub use envelope::{Envelopes, HEIGHTS, SENTINEL};
pub use priority::{PriorityTier, order, priority_tiers};

use self::selection::Selector;
use crate::gpu::Gpu;
use crate::series::SeriesBuffer;
use crate::{Error, Result};

/// How many lines to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// As many as this, or the nearest count among the radii tried. It can be missed where lines are alike (fewer
    /// different ones than asked for) or become non-finite at different columns (such lines never merge).
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
    /// The kept lines, in the order of their priority.
    pub kept: Vec<u32>,
    /// For each line the index in `kept` of the nearest kept line, which represents it.
    pub nearest_representative: Vec<u32>,
    /// For each line its distance to that line, in units of the chart's height.
    pub distances: Vec<f32>,
    /// For each kept line how many it represents, itself included.
    pub counts: Vec<u32>,
    /// Kept lines are at least this far apart somewhere, dropped lines less than this from a kept one everywhere; 0
    /// where all lines are kept because so many were asked for.
    pub radius: f32,
    /// Pixel columns in which lines were compared, where these are fewer than steps; `None` where every step was.
    pub columns: Option<usize>,
    /// Parallel rounds that the choice took, over all chunks and all radii tried.
    pub rounds: usize,
    /// Lines with a value that is not finite.
    pub nonfinite: usize,
}

impl Sample {
    /// The sentence that says what the sample guarantees about the lines that it hides.
    pub fn guarantee(&self) -> String {
        let lines = self.nearest_representative.len();
        let shown = self.kept.len();
        if shown == lines {
            return match lines {
                1 => "The only line is shown.".to_owned(),
                _ => format!("All {lines} lines are shown."),
            };
        }
        // Rounded up: no hidden line is farther away than the sentence says.
        let tenths = (f64::from(self.radius) * 1000.0 - 1e-3).ceil();
        let compared = match self.columns {
            None => "at every step".to_owned(),
            Some(columns) => {
                format!("in its lowest and its highest value in each of {columns} columns")
            }
        };
        format!(
            "Every hidden line stays within {:.1} % of the chart's height of one of the {shown} shown lines {compared}.",
            tenths / 10.0
        )
    }
}

/// Samples `series` where they lie. The same series and options give the same sample on the same adapter.
///
/// # Errors
/// No lines, a budget of nothing, a radius out of range, or more lines than the adapter has room for.
pub fn sample(gpu: &Gpu, series: &SeriesBuffer, options: &SampleOptions) -> Result<Sample> {
    check(options.budget)?;
    let lines = series.lines();
    let envelopes = Envelopes::new(gpu, series, options.columns)?;
    let tiers = priority_tiers(gpu, &envelopes)?;
    let is_nonfinite = |tier: &&PriorityTier| **tier == PriorityTier::Nonfinite;
    let nonfinite = tiers.iter().filter(is_nonfinite).count();
    let order = order(&tiers, options.seed);
    let selector = Selector {
        gpu,
        envelopes: &envelopes,
        order: &order,
    };
    let (selection, rounds) = match options.budget {
        Budget::Keep(keep) if keep >= lines => return Ok(all(order, nonfinite)),
        Budget::Keep(keep) => budget::nearest_count(&selector, keep)?,
        Budget::Radius(radius) => {
            let selection = selector.select(radius, usize::MAX)?;
            let rounds = selection.rounds;
            (selection, rounds)
        }
    };
    let (nearest_representative, distances) =
        nearest::nearest_representative(gpu, &envelopes, &selection)?;
    let mut counts = vec![0; selection.kept.len()];
    for &index in &nearest_representative {
        counts[index as usize] += 1;
    }
    Ok(Sample {
        kept: selection.kept,
        nearest_representative,
        distances,
        counts,
        radius: selection.radius,
        columns: (options.columns < series.steps()).then_some(options.columns),
        rounds,
        nonfinite,
    })
}

/// The sample that keeps every line.
fn all(order: Vec<u32>, nonfinite: usize) -> Sample {
    let mut nearest_representative = vec![0; order.len()];
    for (index, &line) in (0..).zip(&order) {
        nearest_representative[line as usize] = index;
    }
    Sample {
        distances: vec![0.0; order.len()],
        counts: vec![1; order.len()],
        kept: order,
        nearest_representative,
        radius: 0.0,
        columns: None,
        rounds: 0,
        nonfinite,
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
