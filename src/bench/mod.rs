//! What limits a training step on the adapter at hand: its measured ceilings, and how near each kernel comes to them
//! (the roofline model, Williams et al. 2009).

mod ceilings;
mod matmul;
mod step;
mod stopwatch;

pub use ceilings::Ceilings;
pub use matmul::matmul;
pub use step::{StepBench, step};
pub use stopwatch::Stopwatch;

use serde::Serialize;

/// Some work and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// Dispatches of it.
    pub dispatches: usize,
    /// Seconds of all of them.
    pub seconds: f64,
    /// Multiplications and additions of matrix products; 0 where there are none.
    pub flops: f64,
    /// Bytes of all storage that is bound, each counted once, or what a kernel says that it moves.
    pub bytes: f64,
}

impl Measured {
    /// The share of the time that the adapter's ceilings would allow at best.
    pub fn share(&self, ceilings: &Ceilings) -> f64 {
        ceilings.least_seconds(self.flops, self.bytes) / self.seconds
    }
}
