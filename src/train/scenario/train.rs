//! `[train]` and `[record]`: how long a model is trained, with which updates, and what is recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::invalid_setting::check_setting;
use crate::nn::{Clip, Optimizer, Schedule, UpdateRule};
use crate::{ByteSize, InvalidSetting};

/// Samples in a batch at most.
const MAX_BATCH: u64 = 65_536;
/// Steps of a run at most.
const MAX_STEPS: u64 = 1 << 31;
/// Steps around an event at most.
const MAX_AROUND_EVENTS: u64 = 4096;
/// The smallest budget of a record: a few segments of a small model.
const MIN_BUDGET: ByteSize = ByteSize(64 << 10);

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a section [train]")]
pub struct TrainSection {
    /// How many samples a batch has.
    pub batch: usize,
    /// How many steps the run has in total.
    pub steps: u64,
    /// How gradients become updates. In a GAN this is the generator's optimizer, and the discriminator's unless it has
    /// one of its own.
    pub optimizer: Optimizer,
    /// The optimizer of a GAN's discriminator, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discriminator_optimizer: Option<Optimizer>,
    /// How the learning rate changes over the steps.
    pub schedule: Schedule,
    /// How gradients are clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// The decay of an exponential moving average of the weights, which is kept with the optimizer's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Layers whose parameters keep their first values: names, or what names begin with up to a dot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
    /// How many steps a run continues after its first non-finite value, so that both sides of the failure are recorded.
    /// With 0 it never stops early.
    pub stop_after_nonfinite: u64,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            batch: 128,
            steps: 2000,
            optimizer: Optimizer::default(),
            discriminator_optimizer: None,
            schedule: Schedule::default(),
            clip: None,
            ema: None,
            frozen: Vec::new(),
            stop_after_nonfinite: 50,
        }
    }
}

impl TrainSection {
    /// How gradients become new parameters: schedule, clipping, optimizer and average.
    pub fn update(&self) -> UpdateRule {
        UpdateRule {
            optimizer: self.optimizer,
            schedule: self.schedule,
            clip: self.clip,
            ema: self.ema,
        }
    }

    /// The update rule of a GAN's discriminator.
    pub fn discriminator_update(&self) -> UpdateRule {
        UpdateRule {
            optimizer: self.discriminator_optimizer.unwrap_or(self.optimizer),
            ..self.update()
        }
    }

    /// Checks the ranges of the section's keys.
    pub(super) fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        check_range("batch", self.batch as u64, MAX_BATCH)?;
        check_range("steps", self.steps, MAX_STEPS)?;
        let after = self.stop_after_nonfinite;
        let hint = format!("use a number of steps up to {MAX_STEPS}, or 0 to never stop early");
        check_setting(after <= MAX_STEPS, "stop_after_nonfinite", after, &hint)?;
        self.optimizer
            .validate()
            .map_err(|invalid| invalid.within("optimizer"))?;
        if let Some(optimizer) = self.discriminator_optimizer {
            optimizer
                .validate()
                .map_err(|invalid| invalid.within("discriminator_optimizer"))?;
        }
        self.schedule
            .validate()
            .map_err(|invalid| invalid.within("schedule"))?;
        if let Some(clip) = self.clip {
            clip.validate().map_err(|invalid| invalid.within("clip"))?;
        }
        self.ema.map_or(Ok(()), |decay| {
            let hint = "use a number of at least 0 and below 1";
            check_setting((0.0..1.0).contains(&decay), "ema", decay, hint)
        })
    }
}

/// Checks that a count is from 1 to `max`.
fn check_range(key: &str, value: u64, max: u64) -> std::result::Result<(), InvalidSetting> {
    let hint = format!("use a number from 1 to {max}");
    check_setting((1..=max).contains(&value), key, value, &hint)
}

/// `[record]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a section [record]")]
pub struct RecordSection {
    /// Statistics of every unit are recorded at every n-th step.
    pub every: u64,
    /// A checkpoint is written at every n-th step, besides the first and the last.
    pub checkpoint_every: u64,
    /// Steps up to an event above a note that are all recorded, also where `every` leaves some of them out, and a quarter as
    /// many after it; the state before them is kept as a checkpoint. With 0 nothing is added for an event.
    pub around_events: u64,
    /// The most that the statistics of all units may take on the disk: of older steps fewer and fewer are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<ByteSize>,
    /// How many samples the fixed batch has that pictures and analyses use: the first ones of the data set.
    pub probe_batch: usize,
}

impl Default for RecordSection {
    fn default() -> Self {
        Self {
            every: 1,
            checkpoint_every: 200,
            around_events: 64,
            budget: None,
            probe_batch: 64,
        }
    }
}

impl RecordSection {
    /// Checks the ranges of the section's keys.
    pub(super) fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        check_range("every", self.every, MAX_STEPS)?;
        check_range("checkpoint_every", self.checkpoint_every, MAX_STEPS)?;
        let around = self.around_events;
        let hint = format!("use a number of steps up to {MAX_AROUND_EVENTS}, or 0 for none");
        check_setting(around <= MAX_AROUND_EVENTS, "around_events", around, &hint)?;
        check_range("probe_batch", self.probe_batch as u64, MAX_BATCH)?;
        self.budget.map_or(Ok(()), |budget| {
            let hint = format!("use at least {MIN_BUDGET}");
            check_setting(budget >= MIN_BUDGET, "budget", budget, &hint)
        })
    }
}
