//! Runs side by side: where two of them part, what their scenarios ask for, and how their scalars went.
//!
//! Nothing but run directories is read: no data, no model, no adapter. Runs of different lengths are compared over what
//! both have, and a damaged part of a run is named and left out.
//!
//! ```no_run
//! use trainscope::compare::compare;
//! use trainscope::trace::RunView;
//!
//! # fn main() -> trainscope::Result<()> {
//! let runs = [RunView::open("runs/a".as_ref())?, RunView::open("runs/b".as_ref())?];
//! let comparison = compare(&runs)?;
//! match &comparison.pairs[0].first_difference {
//!     Some(first) => println!("they part at step {}: {}", first.step, first.tensor),
//!     None => println!("no recorded value differs"),
//! }
//! # Ok(())
//! # }
//! ```

mod difference;
mod pair;
mod scalars;
mod sentence;
mod settings;

pub use difference::{Difference, DifferingKind};
pub use pair::{Compared, Pair};
pub use scalars::{ScalarOfRun, ScalarRow};
pub use settings::SettingDifference;

use crate::trace::RunView;
use crate::{Error, Result};

/// What is found where runs are compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The first run with each of the others, in their order.
    pub pairs: Vec<Pair>,
    /// Keys of the scenarios that are not the same in all runs.
    pub settings: Vec<SettingDifference>,
    /// Every scalar that some run has, by name.
    pub scalars: Vec<ScalarRow>,
    /// What could not be read and is left out, by the number of its run.
    pub problems: Vec<(usize, String)>,
}

impl Comparison {
    /// The earliest difference of any run from the first one.
    pub fn first_difference(&self) -> Option<(usize, &Difference)> {
        let found = self.pairs.iter().filter_map(|pair| {
            let first = pair.first_difference.as_ref();
            first.map(|difference| (pair.other, difference))
        });
        found.min_by_key(|(other, difference)| (difference.step, difference.rank, *other))
    }
}

/// Compares the first run with each of the others.
///
/// # Errors
/// Fewer than two runs are given.
pub fn compare(runs: &[RunView]) -> Result<Comparison> {
    if runs.len() < 2 {
        return Err(Error::usage(
            "compare",
            format!("{} run is nothing to compare", runs.len()),
            "name two run directories or more",
        ));
    }
    let mut problems: Vec<(usize, String)> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let of_run = run.problems().iter();
        problems.extend(of_run.map(|problem| (index, problem.to_string())));
    }
    let mut pairs = Vec::new();
    for (other, run) in runs.iter().enumerate().skip(1) {
        pairs.push(Pair::compare([&runs[0], run], other, &mut problems));
    }
    problems.sort();
    problems.dedup();
    Ok(Comparison {
        pairs,
        settings: settings::differences(runs, &mut problems),
        scalars: scalars::rows(runs),
        problems,
    })
}
