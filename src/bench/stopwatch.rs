//! How long dispatches take.

use std::time::Instant;

use crate::Result;
use crate::gpu::{Dispatch, Gpu, Timer};

/// Timed at least this long in one go, in seconds, so that what surrounds the work does not count.
const ENOUGH: f64 = 0.02;
/// Repetitions in one pass at most.
const MOST: usize = 4096;
/// Measurements, of which the best counts: others share the machine.
const TRIES: usize = 5;

/// Measures with the GPU's timestamps, or with the CPU's clock where the adapter has none.
#[derive(Debug)]
pub struct Stopwatch {
    gpu: Gpu,
    timer: Option<Timer>,
}

impl Stopwatch {
    /// A stopwatch for `gpu`.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            gpu: gpu.clone(),
            timer: Timer::new(gpu),
        }
    }

    /// The least seconds of several measurements that `dispatches`, in order, took.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn seconds(&self, dispatches: &[&Dispatch]) -> Result<f64> {
        // The first time a kernel runs, its driver may still compile it.
        self.once(dispatches, 1)?;
        let mut repetitions = 1;
        let mut best = self.once(dispatches, repetitions)?;
        while best * (repetitions as f64) < ENOUGH && repetitions < MOST {
            repetitions = (2.0 * ENOUGH / best.max(1e-9)).ceil() as usize;
            repetitions = repetitions.clamp(1, MOST);
            best = best.min(self.once(dispatches, repetitions)?);
            if repetitions == MOST {
                break;
            }
        }
        for _ in 1..TRIES {
            best = best.min(self.once(dispatches, repetitions)?);
        }
        Ok(best)
    }

    /// Seconds of one repetition.
    fn once(&self, dispatches: &[&Dispatch], repetitions: usize) -> Result<f64> {
        let all = || (0..repetitions).flat_map(|_| dispatches.iter().copied());
        let seconds = match &self.timer {
            Some(timer) => timer.measure(&self.gpu, all())?,
            None => {
                let start = Instant::now();
                self.gpu.run("timed", all());
                self.gpu.wait()?;
                start.elapsed().as_secs_f64()
            }
        };
        Ok(seconds / repetitions as f64)
    }
}
