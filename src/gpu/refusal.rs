//! Why a driver does not make a resource.

use std::fmt;

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has no memory left.
    NoMemory,
    /// Something else, in its words.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory is left"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}
