//! `train.frozen`: layers that keep their first parameters.

use std::collections::BTreeSet;

use crate::models::Model;
use crate::nn::{Graph, NodeId};
use crate::text::listed;
use crate::{Error, Result};

/// Characters of a list of layers in a message.
const LISTED: usize = 200;

/// Freezes the layers of these names, and those whose names begin with one of them and a dot.
///
/// # Errors
/// No layer with parameters has such a name, or none is left to train.
pub(super) fn freeze(model: &mut dyn Model, names: &[String]) -> Result<()> {
    let layers = names_of(model, &Graph::is_updated);
    for name in names {
        let frozen = model
            .graphs_mut()
            .into_iter()
            .map(|graph| graph.freeze(name));
        if frozen.sum::<usize>() == 0 && !has_frozen(model, name) {
            return Err(Error::input(
                format!("train.frozen, '{name}'"),
                "no layer with parameters has that name, and none begins with it",
                format!(
                    "choose one of: {}",
                    listed(layers.iter().map(String::as_str), LISTED)
                ),
            ));
        }
    }
    if !names.is_empty() && names_of(model, &Graph::is_updated).is_empty() {
        return Err(Error::input(
            "train.frozen",
            "all layers of the model are frozen, so that nothing is left to train",
            "leave out one of them",
        ));
    }
    Ok(())
}

/// The names of all layers of which that is true.
fn names_of(model: &dyn Model, is_meant: &dyn Fn(&Graph, NodeId) -> bool) -> BTreeSet<String> {
    let passes = model.passes();
    let graphs = passes.iter().map(|pass| pass.graph);
    let names = graphs.flat_map(|graph| {
        let meant = graph.ids().filter(|&id| is_meant(graph, id));
        meant.map(|id| graph.node(id).name.clone())
    });
    names.collect()
}

/// Whether an earlier name has frozen what this one means.
fn has_frozen(model: &dyn Model, name: &str) -> bool {
    let frozen = names_of(model, &Graph::is_frozen);
    frozen.iter().any(|layer| {
        let rest = layer.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
