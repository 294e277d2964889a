//! A warning about a scenario, made before its first step.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Severity;

/// Something in a scenario that usually keeps a run from learning, with the figures that say so and a change that removes
/// it. `run.json` keeps the warnings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// A word of the catalogue of causes, such as `output_activation`.
    pub cause: String,
    /// How bad it usually is.
    pub severity: Severity,
    /// The key of the scenario that it is about.
    pub key: String,
    /// What is unusual, and what follows from it, with figures.
    pub text: String,
    /// What to change.
    pub fix: String,
    /// The same as settings `KEY=VALUE`, where settings can say it.
    #[serde(default)]
    pub set: Vec<String>,
}

/// One sentence: the key, what is unusual, and the fix.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.text, self.fix)
    }
}
