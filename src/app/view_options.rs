//! How the window shows what is looked at.

use crate::series::Scale;

/// How things are shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewOptions {
    /// The title of the chart of scalars.
    pub group: Option<&'static str>,
    /// Its y-axis; one that suits the values where nothing was chosen.
    pub scalar_scale: Option<Scale>,
    /// Lines in the chart of units.
    pub keep: usize,
    /// Its y-axis.
    pub scale: Scale,
    /// Light on near-black.
    pub is_dark: bool,
    /// Whether of a run that failed early only the steps around the failure are shown.
    pub is_focused: bool,
}
