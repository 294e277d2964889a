//! When a run reports an event: all numbers that decide it. `docs/diagnosis.md` describes them, and the section `[detect]`
//! of a scenario changes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InvalidSetting;
use crate::invalid_setting::check_setting;

/// `[detect]`: from where on something is an event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a section [detect]")]
pub struct DetectSection {
    /// Records in a row that must show a condition of units before it counts.
    pub records: u32,
    /// Deviations (scaled median absolute ones) above the median of the last 50 losses from which a loss is a spike ...
    pub spike_deviations: f64,
    /// ... if it is also above that median by this share of it.
    pub spike_share: f64,
    /// How many times its first value a loss must be, for three steps in a row, to have exploded.
    pub explosion: f64,
    /// The share of a layer's units that must be dead for a warning; half of it is worth a note.
    pub dead_share: f64,
    /// The share of a layer's units that must be at their bounds.
    pub saturated_share: f64,
    /// The size of an update, as a share of its weights, that replaces them.
    pub large_update: f64,
    /// The size of the largest update, as a share of its weights, that changes nothing.
    pub tiny_update: f64,
    /// The gradient of a first weight over that of a last one below which it vanishes.
    pub vanishing: f64,
    /// The magnitude of a log-variance that no data ask for.
    pub log_variance: f64,
    /// How far the least log-variance of pixels must be below their mean, where nothing bounds it, to sink.
    pub pixel_log_variance: f64,
    /// The magnitude of a score that nothing bounds.
    pub score: f64,
}

impl Default for DetectSection {
    fn default() -> Self {
        Self {
            records: 5,
            spike_deviations: 8.0,
            spike_share: 1.0,
            explosion: 10.0,
            dead_share: 0.5,
            saturated_share: 0.5,
            large_update: 0.5,
            tiny_update: 3e-5,
            vanishing: 0.01,
            log_variance: 15.0,
            pixel_log_variance: 2.0,
            score: 1000.0,
        }
    }
}

impl DetectSection {
    /// Whether all of them are the defaults.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that all of them are positive.
    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        check_setting(
            (1..=1000).contains(&self.records),
            "records",
            self.records,
            "use a number from 1 to 1000",
        )?;
        for (key, value) in [
            ("spike_deviations", self.spike_deviations),
            ("spike_share", self.spike_share),
            ("explosion", self.explosion),
            ("dead_share", self.dead_share),
            ("saturated_share", self.saturated_share),
            ("large_update", self.large_update),
            ("tiny_update", self.tiny_update),
            ("vanishing", self.vanishing),
            ("log_variance", self.log_variance),
            ("pixel_log_variance", self.pixel_log_variance),
            ("score", self.score),
        ] {
            check_setting(
                value > 0.0 && value.is_finite(),
                key,
                value,
                "use a positive number",
            )?;
        }
        Ok(())
    }
}

/// Losses before one can be a spike.
pub(super) const SPIKE_SETTLED: usize = 10;
/// Losses that a spike is compared with.
pub(super) const SPIKE_WINDOW: usize = 50;
/// Spikes in a row from which they are the new level of the loss.
pub(super) const SPIKE_LEVEL: u32 = 5;
/// Steps in a row for which an exploded loss must stay up.
pub(super) const EXPLODED_STEPS: u32 = 3;
/// The share of a layer's units from which its death is serious.
pub(super) const DEAD_LAYER: f64 = 0.9;

/// Steps for which updates must be tiny, or latent units idle.
pub(super) const LASTING_STEPS: u64 = 100;
/// A latent unit whose mean varies less than this over the batch is idle.
pub(super) const IDLE_SPREAD: f32 = 0.1;
/// The log-variance of pixels sinks where `records` of the last so many times `records` show it.
pub(super) const SINKING_WINDOWS: usize = 4;
/// Layers of weights from which on a gradient has a way to vanish on.
pub(super) const DEEP: usize = 4;

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
pub(super) fn memory_steps(every: u64, detect: &DetectSection) -> u64 {
    let longest = (SINKING_WINDOWS as u32 * detect.records).max(COLLAPSED_RECORDS);
    let records = every * u64::from(longest + 1);
    records.max(every + COLLAPSED_STEPS.max(LASTING_STEPS))
}
