//! `data.augment` and `data.corrupt`: how samples change on their way into a batch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, Corruption, MAX_CORRUPTED, Permutation};
use crate::invalid_setting::check_setting;
use crate::{Error, InvalidSetting, Result};

/// Pixels of `augment.shift` at most; a smaller image allows fewer.
const MAX_SHIFT: usize = 512;

/// `augment = { flip = true, shift = 2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table like { flip = true, shift = 2 }"
)]
pub struct AugmentSection {
    /// Whether a random half of the images is mirrored left to right, drawn anew in every step.
    #[serde(default)]
    pub flip: bool,
    /// Each image moves by up to this many pixels along each axis.
    #[serde(default)]
    pub shift: usize,
}

impl AugmentSection {
    pub(super) fn augmentation(self) -> Augmentation {
        Augmentation {
            flip: self.flip,
            shift: self.shift,
        }
    }

    pub(super) fn validate(self) -> std::result::Result<(), InvalidSetting> {
        let hint = format!("use a number from 0 to {MAX_SHIFT}");
        check_setting(self.shift <= MAX_SHIFT, "shift", self.shift, &hint)
    }
}

/// `corrupt = { samples = [3, 14], scale = 255.0 }`, or `count = 2` for two samples that the seed chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table like { count = 3, scale = 255.0 }"
)]
pub struct CorruptSection {
    /// The numbers of the samples in the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Vec<u32>>,
    /// How many samples, chosen by the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The factor on their values. The default of 255 is what a forgotten division by 255 looks like.
    #[serde(default = "default_scale")]
    pub scale: f32,
}

fn default_scale() -> f32 {
    255.0
}

impl CorruptSection {
    /// The corruption of a set of `all` samples.
    pub(super) fn corruption(&self, seed: u64, all: usize) -> Result<Corruption> {
        let samples = match (&self.samples, self.count.unwrap_or_default()) {
            (Some(samples), _) => samples.clone(),
            (None, count) if count as usize > all => {
                return Err(Error::input(
                    format!("data.corrupt.count = {count}"),
                    format!("the data set has {all} samples"),
                    format!("use a number up to {all}"),
                ));
            }
            (None, count) => {
                // No run reaches this epoch, so that its permutation is never used for batches.
                let order = Permutation::new(all as u32, seed, u32::MAX);
                (0..count).map(|index| order.at(index)).collect()
            }
        };
        Ok(Corruption {
            samples,
            scale: self.scale,
        })
    }

    pub(super) fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        let max = MAX_CORRUPTED;
        match (&self.samples, self.count) {
            (None, None) | (Some(_), Some(_)) => {
                return Err(InvalidSetting::new(
                    "samples",
                    "or count has to say which samples",
                    "write either samples = [...] or count = ...",
                ));
            }
            (Some(samples), None) if samples.len() > max => {
                let problem = format!("has {} entries", samples.len());
                let hint = format!("name at most {max} samples");
                return Err(InvalidSetting::new("samples", problem, hint));
            }
            (None, Some(count)) => {
                let hint = format!("use a number up to {max}");
                check_setting(count as usize <= max, "count", count, &hint)?;
            }
            (Some(_), None) => {}
        }
        check_setting(
            self.scale.is_finite(),
            "scale",
            self.scale,
            "use a finite number",
        )
    }
}
