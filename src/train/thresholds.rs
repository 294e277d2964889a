//! When a run reports an event: all numbers that decide it.

/// Records in a row in which a rectifier's unit must be all zero before it counts as dead.
pub(super) const DEAD_RECORDS: u32 = 5;

/// Steps before the loss is known well enough to tell a spike from the start of training.
pub(super) const SPIKE_WARMUP_STEPS: u64 = 50;
/// Weight of a new value in the running averages of the loss and of its squared deviation.
pub(super) const SPIKE_AVERAGE_WEIGHT: f64 = 0.05;
/// Standard deviations above its average from which the loss spikes ...
pub(super) const SPIKE_DEVIATIONS: f64 = 8.0;
/// ... if that is also more than this fraction of the average.
pub(super) const SPIKE_FRACTION: f64 = 0.25;

/// Steps in a row in which a discriminator's loss must be below [`SATURATED_LOSS`].
pub(super) const SATURATED_STEPS: u64 = 20;
/// A hundredth of the loss of a discriminator that guesses, `2 ln 2`.
pub(super) const SATURATED_LOSS: f64 = 0.01 * 2.0 * std::f64::consts::LN_2;

/// Steps for which generated images must be alike, from the first record to the last.
pub(super) const COLLAPSED_STEPS: u64 = 100;
/// Records in a row that must show it.
pub(super) const COLLAPSED_RECORDS: u32 = 5;
/// Generated images are alike where their variance is below this fraction of the real images'. In healthy runs the
/// fraction starts near 0.1, may stay at 0.007 for a hundred steps while the first strokes appear, and ends near 1.
pub(super) const COLLAPSED_FRACTION: f64 = 0.005;

/// How many steps back the detectors look at statistics, where every `every`-th step is recorded.
pub(super) fn memory_steps(every: u64) -> u64 {
    let records = every * u64::from(DEAD_RECORDS.max(COLLAPSED_RECORDS));
    records.max(every + COLLAPSED_STEPS)
}
