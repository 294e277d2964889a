//! `[validate]`: samples that training does not see, and how often they are measured.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::{DataSection, Source};
use crate::InvalidSetting;
use crate::invalid_setting::check_setting;

/// Steps between two measurements at most.
const MAX_STEPS: u64 = 1 << 31;

/// `[validate]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidateSection {
    /// Which samples: a share of the data such as 0.1, `"test"`, or the path of data of the same kind.
    pub split: ValidationSplit,
    /// They are measured at every n-th step, and at the last.
    pub every: u64,
}

/// Which samples are held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ValidationSplit {
    /// A share of the data, chosen by the seed.
    Share(f64),
    /// `"test"`: the test set of a source that has one. Any other text is the path of data of the same kind.
    Named(String),
}

impl Default for ValidateSection {
    fn default() -> Self {
        Self {
            split: ValidationSplit::Share(0.1),
            every: 100,
        }
    }
}

impl ValidateSection {
    /// The share of the data that is held out, where it is a share.
    pub fn share(&self) -> Option<f64> {
        match self.split {
            ValidationSplit::Share(share) => Some(share),
            ValidationSplit::Named(_) => None,
        }
    }

    /// The section of the validation data, where they are no share of the training data.
    pub(super) fn data(&self, data: &DataSection) -> Option<DataSection> {
        let ValidationSplit::Named(name) = &self.split else {
            return None;
        };
        let mut held_out = data.clone();
        if name == "test" && data.source.has_splits() {
            held_out.split = super::Split::Test;
        } else {
            held_out.path = Some(PathBuf::from(name));
        }
        Some(held_out)
    }

    /// Checks the ranges of the section's keys.
    pub(super) fn validate(&self, data: &DataSection) -> std::result::Result<(), InvalidSetting> {
        let hint = format!("use a number from 1 to {MAX_STEPS}");
        check_setting(
            (1..=MAX_STEPS).contains(&self.every),
            "every",
            self.every,
            &hint,
        )?;
        match &self.split {
            ValidationSplit::Share(share) => check_setting(
                *share > 0.0 && *share < 1.0,
                "split",
                share,
                "use a share above 0 and below 1, such as 0.1",
            ),
            ValidationSplit::Named(name) => {
                let has_files =
                    !matches!(data.source, Source::Mnist | Source::Shapes | Source::Clips);
                let name = format!("{name:?}");
                let hint = "this source reads no files: use a share such as 0.1";
                check_setting(has_files, "split", name, hint)
            }
        }
    }
}
