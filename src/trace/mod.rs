//! What is recorded of a run and how it is kept: probes on the GPU and the run directory.

mod probe;

pub use probe::{FIGURES, Lanes, UnitLayout, statistics, statistics_by};
