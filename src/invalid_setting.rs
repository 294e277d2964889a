//! A setting that cannot work: what the checks of optimizers, schedules and scenario sections answer with.

use std::fmt;

/// A setting whose value is out of range, missing or in the wrong company.
///
/// A check knows only its own part of a scenario, so `key` begins there: [`Optimizer::validate`] names `adam.lr`, and
/// the section around it puts `train.optimizer` in front ([`InvalidSetting::within`]).
///
/// [`Optimizer::validate`]: crate::nn::Optimizer::validate
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The path of the key, with dots.
    pub key: String,
    /// What is wrong, as the rest of a sentence that begins with the key: `= 0`, `is empty`.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl InvalidSetting {
    /// A setting, what is wrong with it as the rest of a sentence that begins with `key`, and what to write instead.
    pub fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// The setting `key`, whose `value` cannot work.
    pub fn value(
        key: impl Into<String>,
        value: impl fmt::Display,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(key, format!("= {value}"), hint)
    }

    /// The same setting seen from the section `outer` that holds it.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        Self {
            key: format!("{outer}.{}", self.key),
            ..self
        }
    }
}

/// The first part of the sentence, without the hint.
impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.problem)
    }
}

/// Refuses the setting `key` unless its value is `valid`; `hint` says which values are.
pub(crate) fn check_setting(
    valid: bool,
    key: &str,
    value: impl fmt::Display,
    hint: &str,
) -> std::result::Result<(), InvalidSetting> {
    if valid {
        Ok(())
    } else {
        Err(InvalidSetting::value(key, value, hint))
    }
}
