//! `graph.json`: the graphs of a model.
//!
//! The file has the layers and losses of the first graph at its top level, as the first version wrote them, and all
//! graphs under `graphs`.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::earlier_graph;
use super::run_info::read_json;
use crate::nn::{GraphDescription, LayerDescription, LossDescription, Property, Role};
use crate::{Error, Result, files};

/// The version of the file: 1 since it says all properties and ranges of its layers.
const VERSION: u32 = 1;

/// The graphs of a model's training step. A GAN has several; layers of the same name share their parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelDescription {
    /// The graphs, the main one first.
    pub graphs: Vec<GraphDescription>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GraphFile {
    /// Which properties its writer knew.
    #[serde(default)]
    version: u32,
    #[serde(default)]
    layers: Vec<LayerDescription>,
    #[serde(default)]
    losses: Vec<LossDescription>,
    #[serde(default)]
    graphs: Vec<GraphDescription>,
}

impl ModelDescription {
    /// All layers of all graphs.
    pub fn layers(&self) -> impl Iterator<Item = &LayerDescription> {
        self.graphs.iter().flat_map(|graph| &graph.layers)
    }

    /// The first layer of a name.
    pub fn layer(&self, name: &str) -> Option<&LayerDescription> {
        self.layers().find(|layer| layer.name == name)
    }

    /// The first layer of a role.
    pub fn with_role(&self, role: Role) -> Option<&LayerDescription> {
        self.all_with_role(role).next()
    }

    /// All layers of a role, in the order of computation, each name once.
    pub fn all_with_role(&self, role: Role) -> impl Iterator<Item = &LayerDescription> {
        let mut seen = HashSet::new();
        self.layers()
            .filter(move |layer| layer.role == Some(role) && seen.insert(layer.name.as_str()))
    }

    /// Whether a layer that gives a log-variance is read by one that keeps it within a range.
    pub fn is_bounded_later(&self, head: &LayerDescription) -> bool {
        let graphs = self.graphs.iter();
        let mut readers = graphs.flat_map(|graph| graph.consumers(&head.name));
        readers.any(|reader| reader.has(Property::LogVariance))
    }

    /// Whether what a layer gives cannot fall without end: it, or what it is an affine function of, has a least value.
    pub fn is_bounded_below(&self, layer: &str) -> bool {
        let mut name = layer;
        while let Some(layer) = self.layer(name) {
            if layer.range.least.is_finite() {
                return true;
            }
            match (layer.has(Property::Affine), layer.inputs.as_slice()) {
                (true, [input]) => name = input,
                _ => return false,
            }
        }
        false
    }

    /// The names of the layers of a GAN's discriminator: what a score is computed from, up to the images.
    pub fn discriminator(&self) -> HashSet<&str> {
        let mut names = HashSet::new();
        for graph in &self.graphs {
            let Some(score) = graph.with_role(Role::Score) else {
                continue;
            };
            let image = graph.with_role(Role::Image);
            let makes_image = image.map_or_else(Vec::new, |image| graph.sources(&image.name));
            let sources = graph.sources(&score.name).into_iter();
            let after_image = sources.filter(|layer| {
                !layer.inputs.is_empty() && !makes_image.iter().any(|made| made.name == layer.name)
            });
            names.extend(after_image.map(|layer| layer.name.as_str()));
        }
        names
    }

    /// Writes `graph.json`.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let first = self.graphs.first().cloned().unwrap_or_default();
        let file = GraphFile {
            version: VERSION,
            layers: first.layers,
            losses: first.losses,
            graphs: self.graphs.clone(),
        };
        let mut text = serde_json::to_string_pretty(&file).expect("plain data");
        text.push('\n');
        files::write_whole(path, text.as_bytes())
    }

    /// Reads `graph.json` of this and of earlier versions.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file: GraphFile = serde_json::from_value(read_json(path)?).map_err(|error| {
            Error::file(
                path.display().to_string(),
                format!(
                    "not a valid description of graphs: {}",
                    files::json_problem(&error)
                ),
                "restore the file from a copy",
            )
            .with_source(error)
        })?;
        let mut graphs = file.graphs;
        if graphs.is_empty() && !file.layers.is_empty() {
            let mut graph = GraphDescription {
                name: "model".to_owned(),
                suffix: String::new(),
                layers: file.layers,
                losses: file.losses,
            };
            earlier_graph::update(&mut graph);
            graphs.push(graph);
        }
        if file.version < VERSION {
            graphs.iter_mut().for_each(earlier_graph::add_properties);
        }
        Ok(Self { graphs })
    }
}
