//! Blue-noise sampling of polylines on the GPU: a few lines that stand for thousands.
//!
//! Training dynamics give one line per unit; drawn all at once they hide each other, and a random choice of them loses
//! what is rare. Here lines are a Poisson-disk sample in the space of curves: any two kept lines are at least a radius
//! apart somewhere, and every dropped line stays within the radius of a kept one *everywhere*, so no deviation larger
//! than the radius can be lost (after Liu et al., "Analyzing the Training Processes of Deep Generative Models", 2018).
//!
//! The way of the data: [`Envelopes`] scale lines to the chart's height and take their extent in each pixel column;
//! [`classes`] and [`order`] rank them (non-finite, outliers, the rest, each by hash); `selection` takes them greedily
//! in that order, in parallel but with the sequential result; `budget` finds the radius for a wanted count; `nearest`
//! assigns every line to a kept one. [`reference`](mod@reference) does all of it on the CPU.
//!
//! Nothing here knows of training: [`sample`] takes any buffer of series on any device ([`Gpu::from_wgpu`]).

mod budget;
mod envelope;
mod nearest;
mod priority;
pub mod reference;
mod scale;
mod selection;

pub use envelope::{Envelopes, HEIGHTS, SENTINEL};
pub use priority::{Class, classes, order};
pub use scale::{Scale, ValueScale};

use self::selection::Selector;
use crate::gpu::{Buffer, Gpu};
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
    /// Seed of the order within a class.
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
    /// For each line the place in `kept` of the nearest kept line, which stands for it.
    pub assign: Vec<u32>,
    /// For each line its distance to that line, in units of the chart's height.
    pub distances: Vec<f32>,
    /// For each kept line how many it stands for, itself included.
    pub counts: Vec<u32>,
    /// Kept lines are at least this far apart somewhere, dropped lines less than this from a kept one everywhere; 0
    /// where all lines are kept because so many were asked for.
    pub radius: f32,
    /// Parallel rounds that the choice took, over all chunks and all radii tried.
    pub rounds: usize,
    /// Lines with a value that is not finite.
    pub nonfinite: usize,
}

/// Samples `values` `[lines, steps]` where they lie, with heights after `scale`. The same values, scale and options
/// give the same sample on the same adapter.
///
/// # Errors
/// No lines or steps, a budget of nothing, a radius out of range, a buffer that is too small, or more lines than the
/// adapter has room for.
pub fn sample(
    gpu: &Gpu,
    values: &Buffer<f32>,
    lines: usize,
    steps: usize,
    scale: ValueScale,
    options: &SampleOptions,
) -> Result<Sample> {
    check(options.budget)?;
    let envelopes = Envelopes::new(gpu, values, lines, steps, scale, options.columns)?;
    let classes = classes(gpu, &envelopes)?;
    let nonfinite = classes
        .iter()
        .filter(|&&class| class == Class::Nonfinite)
        .count();
    let order = order(&classes, options.seed);
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
        nonfinite,
    })
}

/// Samples `values` `[lines, steps]` from the CPU's memory, with heights after a `scale` fitted to them.
///
/// # Errors
/// As [`sample`], and values that are no whole number of lines.
pub fn sample_values(
    gpu: &Gpu,
    values: &[f32],
    steps: usize,
    scale: Scale,
    options: &SampleOptions,
) -> Result<Sample> {
    if steps == 0 || !values.len().is_multiple_of(steps) {
        return Err(Error::input(
            "sample",
            format!("{} values are no lines of {steps} steps", values.len()),
            "give [lines, steps] values",
        ));
    }
    let buffer = gpu.upload("series", values)?;
    let fitted = ValueScale::fit(scale, values);
    sample(gpu, &buffer, values.len() / steps, steps, fitted, options)
}

/// The sample that keeps every line.
fn all(order: Vec<u32>, nonfinite: usize) -> Sample {
    let mut assign = vec![0; order.len()];
    for (place, &line) in (0..).zip(&order) {
        assign[line as usize] = place;
    }
    Sample {
        distances: vec![0.0; order.len()],
        counts: vec![1; order.len()],
        kept: order,
        assign,
        radius: 0.0,
        rounds: 0,
        nonfinite,
    }
}

fn check(budget: Budget) -> Result<()> {
    let wrong = |problem: String, hint: &str| Err(Error::input("sample", problem, hint));
    match budget {
        Budget::Keep(0) => wrong("keep = 0".into(), "keep at least one line"),
        Budget::Radius(radius) if !(budget::SMALLEST..=budget::LARGEST).contains(&radius) => wrong(
            format!("radius = {radius}"),
            "use a number from 0.000001 to 3 in units of the chart's height, such as 0.05",
        ),
        _ => Ok(()),
    }
}
