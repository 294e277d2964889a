//! The limits of a training step on an adapter: measured peaks, and how near each kernel comes to them (the roofline
//! model, Williams et al. 2009). `trainscope bench` prints it.

mod gpu_timer;
mod matmul;
mod roofline;
mod step;

pub use gpu_timer::GpuTimer;
pub use matmul::matmul;
pub use roofline::Roofline;
pub use step::{StepBench, step};

use serde::Serialize;

/// Some work with the time that it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// The number of dispatches.
    pub dispatches: usize,
    /// The seconds of all dispatches together.
    pub seconds: f64,
    /// Multiplications and additions of matrix products; 0 where there are none.
    pub flops: f64,
    /// Bytes of all storage that is bound, each counted once, or what a kernel says that it moves.
    pub bytes: f64,
}

impl Measured {
    /// The least time that the roofline allows, as a fraction of the measured time.
    pub fn fraction_of_peak(&self, roofline: &Roofline) -> f64 {
        roofline.least_seconds(self.flops, self.bytes) / self.seconds
    }
}
