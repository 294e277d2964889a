//! `graph.json`: the graphs of a model.
//!
//! The file has the layers and losses of the first graph at its top level, as the first version wrote them, and all
//! graphs under `graphs`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::earlier_graph;
use super::run_info::read_json;
use crate::nn::{GraphDescription, LayerDescription, LossDescription, Role};
use crate::{Error, Result, files};

/// The graphs of a model's training step. A GAN has several; layers of the same name share their parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelDescription {
    /// The graphs, the main one first.
    pub graphs: Vec<GraphDescription>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GraphFile {
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
        self.layers().find(|layer| layer.role == Some(role))
    }

    /// Writes `graph.json`.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let first = self.graphs.first().cloned().unwrap_or_default();
        let file = GraphFile {
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
        let mut layers = graphs.iter().flat_map(|graph| &graph.layers);
        if layers.all(|layer| layer.properties.is_empty()) {
            graphs.iter_mut().for_each(earlier_graph::add_properties);
        }
        Ok(Self { graphs })
    }
}
