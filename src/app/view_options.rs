//! How the window shows what is looked at.

use std::collections::BTreeSet;

use crate::series::Scale;
use crate::tensor::TensorKind;

/// How things are shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewOptions {
    /// The title of the chart of scalars.
    pub group: Option<&'static str>,
    /// Its y-axis; one that suits the values where nothing was chosen.
    pub scalar_scale: Option<Scale>,
    /// Lines in the chart of units.
    pub keep: usize,
    /// Its y-axis; one that suits the values where nothing was chosen.
    pub scale: Option<Scale>,
    /// Whether lines are single values on the probe batch, by replay, and not statistics of units.
    pub is_per_sample: bool,
    /// Whether lines have the colors of clusters of units that behave alike.
    pub is_clustered: bool,
    /// Light on near-black.
    pub is_dark: bool,
    /// What the charts of the layers show.
    pub quantity: TensorKind,
    /// Groups of layers that are collapsed.
    pub collapsed: BTreeSet<String>,
    /// Layers whose nodes show squares of units instead of a chart.
    pub expanded: BTreeSet<String>,
}

impl ViewOptions {
    /// Expands the node of a layer, or folds it again.
    pub fn toggle_squares(&mut self, layer: &str) {
        if !self.expanded.remove(layer) {
            self.expanded.insert(layer.to_owned());
        }
    }
}

impl Default for ViewOptions {
    fn default() -> Self {
        Self {
            group: None,
            scalar_scale: None,
            keep: 60,
            scale: None,
            is_per_sample: false,
            is_clustered: false,
            is_dark: true,
            quantity: TensorKind::Activation,
            collapsed: BTreeSet::new(),
            expanded: BTreeSet::new(),
        }
    }
}
