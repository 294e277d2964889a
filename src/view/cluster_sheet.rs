//! A clustering as a picture: its clusters as squares, with their sizes, means and credit.

use super::cluster_chart::ClusterChart;
use super::painter::Painter;
use super::picture::Picture;
use super::theme::Theme;
use crate::cluster::Clustering;
use crate::series::{Scale, SeriesBuffer};
use crate::{Error, Result};

/// The clusters of a layer's units.
#[derive(Debug, Clone, Copy)]
pub struct ClusterSheet<'a> {
    /// The layer.
    pub layer: &'a str,
    /// So many steps the units were trained for when they were compared; `None` where they were compared over the whole run.
    pub step: Option<u64>,
    /// What was found.
    pub clustering: &'a Clustering,
}

impl ClusterSheet<'_> {
    /// The sheet in a new picture of `width` points.
    ///
    /// # Errors
    /// No unit is finite, so that there is no cluster, or a picture larger than the adapter's textures.
    pub fn picture(&self, painter: &Painter, width: f32, theme: &Theme) -> Result<Picture> {
        let clusters = &self.clustering.clusters;
        let Some(first) = clusters.first() else {
            return Err(Error::input(
                format!("clusters of {}", self.layer),
                "no unit of the layer is finite, so there is no cluster to draw",
                "choose an earlier step",
            ));
        };
        let means = clusters.iter().flat_map(|cluster| &cluster.mean);
        let means: Vec<f32> = means.map(|value| *value as f32).collect();
        let low = means.iter().copied().fold(f32::INFINITY, f32::min);
        let high = means.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let labels = clusters.iter().map(|cluster| {
            let units = cluster.counted();
            let credit = cluster
                .credit
                .map(|credit| format!(", credit {credit:+.3}"));
            format!("{}: {units}{}", cluster.id, credit.unwrap_or_default())
        });
        let labels: Vec<String> = labels.collect();
        let sizes: Vec<usize> = clusters.iter().map(|cluster| cluster.units.len()).collect();
        let (when, x) = match self.step {
            Some(step) => (format!("after step {step}"), "sample of the probe batch"),
            None => ("over the run".to_owned(), "record"),
        };
        let length = first.mean.len();
        ClusterChart {
            title: &format!("Units of {} that behave alike, {when}", self.layer),
            note: &format!(
                "{} A line is the mean of a cluster's units for each {x}; all squares have the same axes, from {low:.4} to {high:.4}.",
                self.clustering.summary()
            ),
            sizes: &sizes,
            labels: &labels,
            means: &SeriesBuffer::upload(painter.gpu(), &means, length, Scale::Linear)?,
        }
        .picture(painter, width, theme)
    }
}
