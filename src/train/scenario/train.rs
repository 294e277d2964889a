//! `[train]` and `[record]`: how long, with which updates, and what is kept of it.

use serde::{Deserialize, Serialize};

use crate::nn::{Clip, Optimizer, Schedule, UpdateRule};

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section [train]")]
pub struct TrainSection {
    /// Samples in a batch.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// How gradients become updates; of a GAN, those of the generator, and of the discriminator unless it has its own.
    pub optimizer: Optimizer,
    /// GAN: how the discriminator's gradients become updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discriminator_optimizer: Option<Optimizer>,
    /// Share of the learning rate in each step.
    pub schedule: Schedule,
    /// Bound on the gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// Decay of an average of the weights that is kept with the optimizer's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Steps to go on after the first non-finite value, so that an analysis has both sides of it; 0 never stops.
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
            stop_after_nonfinite: 50,
        }
    }
}

impl TrainSection {
    /// From gradients to new parameters.
    pub fn update(&self) -> UpdateRule {
        UpdateRule {
            optimizer: self.optimizer,
            schedule: self.schedule,
            clip: self.clip,
            ema: self.ema,
        }
    }

    /// The same for a GAN's discriminator.
    pub fn discriminator_update(&self) -> UpdateRule {
        UpdateRule {
            optimizer: self.discriminator_optimizer.unwrap_or(self.optimizer),
            ..self.update()
        }
    }

    /// What is wrong with the update's settings, if anything: the section's key, its own key and what that needs.
    pub(super) fn misfit(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let within = |section, misfit: Option<(&'static str, &'static str)>| {
            misfit.map(|(key, needs)| (section, key, needs))
        };
        let average = self.ema.filter(|decay| !(0.0..1.0).contains(decay));
        let other = self
            .discriminator_optimizer
            .and_then(|other| other.misfit());
        within("optimizer", self.optimizer.misfit())
            .or_else(|| within("discriminator_optimizer", other))
            .or_else(|| within("schedule", self.schedule.misfit()))
            .or_else(|| within("clip", self.clip.and_then(|clip| clip.misfit())))
            .or_else(|| average.map(|_| ("ema", "the decay", "at least 0 and below 1")))
    }
}

/// `[record]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section [record]")]
pub struct RecordSection {
    /// Statistics of every unit at every n-th step.
    pub every: u64,
    /// A checkpoint at every n-th step, besides the first and the last.
    pub checkpoint_every: u64,
    /// Samples of the fixed batch that pictures and analyses use.
    pub probe_batch: usize,
}

impl Default for RecordSection {
    fn default() -> Self {
        Self {
            every: 1,
            checkpoint_every: 200,
            probe_batch: 64,
        }
    }
}
