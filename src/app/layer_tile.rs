//! The layer level: the model as a graph whose nodes are charts, to be pointed at, chosen and collapsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::jobs::Contents;
use super::layer_values::LayerValues;
use super::screen::Screen;
use super::selection::Selection;
use super::tile::Tile;
use super::view_options::ViewOptions;
use crate::Result;
use crate::credit::Credit;
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::Severity;
use crate::view::{LayerGraph, LayerNode, LayerPicture, NodeEnvelope, Painter, Picture, Theme};

/// The graph, and what is under the pointer.
#[derive(Debug, Default)]
pub(super) struct LayerTile {
    tile: Tile,
    values: Option<Arc<LayerValues>>,
    envelopes: Vec<Option<NodeEnvelope>>,
    /// The worst event of each node up to the step that is looked at.
    health: Vec<Option<Severity>>,
    hovered: Option<usize>,
    /// What the picture shows, where it is up to date.
    drawn: Option<Drawn>,
}

/// What a picture depends on, beside its values.
#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    column: usize,
    chosen: Option<usize>,
    lit: Vec<usize>,
    kind: TensorKind,
    /// By edges; compared, because what is credited changes while the rest stays.
    credit: BTreeMap<usize, f64>,
    theme: Theme,
}

impl LayerTile {
    /// Shows other values from now on.
    pub fn set_values(&mut self, values: Option<LayerValues>) {
        self.values = values.map(Arc::new);
        self.drawn = None;
    }

    /// The values, to be exported.
    pub fn values(&self) -> Option<&LayerValues> {
        self.values.as_deref()
    }

    /// The picture as a painter draws it, to be exported; `None` before there is one.
    ///
    /// # Errors
    /// As [`LayerTile::update`].
    pub fn drawn_by(&self, painter: &Painter, theme: &Theme) -> Result<Option<Picture>> {
        let (Some(values), Some(drawn)) = (&self.values, &self.drawn) else {
            return Ok(None);
        };
        let content = self.content(values, drawn);
        let [width, height] = content.size();
        let picture = Picture::new(painter.gpu(), width, height, theme)?;
        content.draw(painter, &picture)?;
        Ok(Some(picture))
    }

    fn content<'a>(&'a self, values: &'a LayerValues, drawn: &'a Drawn) -> LayerPicture<'a> {
        LayerPicture {
            graph: &values.graph,
            envelopes: &self.envelopes,
            health: &self.health,
            column: drawn.column,
            chosen: drawn.chosen,
            lit: &drawn.lit,
            credit: &drawn.credit,
        }
    }

    /// Draws the picture where something has changed.
    ///
    /// # Errors
    /// A graph larger than the adapter's textures, or the device was lost.
    pub fn update(
        &mut self,
        painter: &Painter,
        theme: &Theme,
        selection: &Selection,
        kind: TensorKind,
        credit: Option<&Credit>,
        screen: &mut dyn Screen,
    ) -> Result<()> {
        let Some(values) = self.values.clone() else {
            return Ok(());
        };
        let values = &*values;
        let wanted = Drawn {
            column: column_of(values, selection),
            chosen: values.graph.node_with(&selection.tensor),
            lit: self
                .hovered
                .map_or(Vec::new(), |node| values.graph.path_of(node)),
            credit: credit.map_or_else(BTreeMap::new, |credit| credit_of(&values.graph, credit)),
            kind,
            theme: theme.clone(),
        };
        if self.drawn.as_ref() == Some(&wanted) {
            return Ok(());
        }
        // What cannot be drawn once is not tried again at every frame.
        self.drawn = Some(wanted.clone());
        let nodes = values.graph.nodes.iter();
        self.envelopes = nodes.clone().map(|node| values.of(node, kind)).collect();
        let at = at_cursor(values, selection);
        self.health = nodes.map(|node| health_of(values, node, at)).collect();
        let size = self.content(values, &wanted).size();
        let mut tile = std::mem::take(&mut self.tile);
        let drawn = tile
            .target_of(painter.gpu(), size, theme)
            .and_then(|target| self.content(values, &wanted).draw(painter, target));
        tile.register(screen);
        self.tile = tile;
        drawn
    }

    /// Whether the picture has to be drawn again.
    pub fn is_stale(&self) -> bool {
        self.values.is_some() && self.drawn.is_none()
    }

    /// Shows the graph. A click on a node looks at its tensor, one on the name of a group collapses it.
    pub fn show(
        &mut self,
        ui: &mut egui::Ui,
        contents: &Contents,
        selection: &mut Selection,
        options: &mut ViewOptions,
    ) {
        ui.horizontal_wrapped(|ui| {
            for kind in TensorKind::ALL {
                ui.selectable_value(&mut options.quantity, kind, kind.name());
            }
            ui.weak("of the units of each layer, lowest to highest, around the chosen step");
        });
        let Some(values) = self.values.clone() else {
            ui.weak("Layers appear after the first recorded step.");
            return;
        };
        let before = self.hovered.take();
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            let Some(size) = self.tile.size() else {
                return;
            };
            let origin = ui.min_rect().min;
            self.tile.show_fitted(ui, size);
            self.groups(ui, origin, &values, options);
            for index in 0..values.graph.nodes.len() {
                self.node(ui, origin, &values, index, contents, selection, options);
            }
        });
        if self.hovered != before {
            ui.ctx().request_repaint();
        }
    }

    fn groups(
        &self,
        ui: &mut egui::Ui,
        origin: egui::Pos2,
        values: &LayerValues,
        options: &mut ViewOptions,
    ) {
        let groups = values.graph.groups.iter().zip(&values.graph.layout.groups);
        for (group, rect) in groups.filter(|(_, rect)| rect.size.x > 0.0) {
            let at = origin + egui::vec2(rect.left(), rect.top());
            let header = egui::Rect::from_min_size(at, egui::vec2(rect.size.x, 18.0));
            let response =
                ui.interact(header, ui.scope_id().with(&group.key), egui::Sense::click());
            let name = format!("Collapse {}", group.name);
            label(&response, &name);
            if response.on_hover_text(name).clicked() {
                options.collapsed.insert(group.key.clone());
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // What is seen, and what a click on it changes.
    fn node(
        &mut self,
        ui: &mut egui::Ui,
        origin: egui::Pos2,
        values: &LayerValues,
        index: usize,
        contents: &Contents,
        selection: &mut Selection,
        options: &mut ViewOptions,
    ) {
        let node = &values.graph.nodes[index];
        let rect = values.graph.layout.nodes[index];
        let min = origin + egui::vec2(rect.left(), rect.top());
        let area = egui::Rect::from_min_size(min, egui::vec2(rect.size.x, rect.size.y));
        let response = ui.interact(
            area,
            ui.scope_id().with(("node", index)),
            egui::Sense::click(),
        );
        let verb = if node.is_collapsed { "Expand" } else { "Layer" };
        label(&response, &format!("{verb} {}", node.name));
        if response.hovered() || response.has_focus() {
            self.hovered = Some(index);
        }
        if response.clicked() {
            if node.is_collapsed {
                if let Some(group) = node.group {
                    options.collapsed.remove(&values.graph.groups[group].key);
                }
            } else if let Some(tensor) = recorded(node, options.quantity, contents) {
                selection.look_at(tensor, options.quantity);
            }
        }
        let envelope = self.envelopes.get(index).and_then(Option::as_ref);
        response.on_hover_ui(|ui| {
            ui.strong(&node.name);
            ui.label(&node.detail);
            let column = column_of(values, selection);
            let at = |side: &[f32]| side.get(column).map(|value| short(f64::from(*value)));
            if let Some(envelope) = envelope
                && let (Some(low), Some(high)) = (at(&envelope.low), at(&envelope.high))
            {
                let kind = options.quantity.name();
                let step = at_cursor(values, selection);
                ui.label(format!(
                    "step {step}: mean {kind} of a unit {low} to {high}"
                ));
            }
            for event in values
                .events
                .iter()
                .filter(|event| {
                    event
                        .subject
                        .tensor_name()
                        .is_some_and(|name| node.has(name))
                })
                .take(4)
            {
                ui.label(event.sentence());
            }
            for parameter in node.parameters.iter().take(4) {
                ui.weak(parameter);
            }
        });
    }
}

fn label(response: &egui::Response, name: &str) {
    let is_enabled = true;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, is_enabled, name));
}

/// The tensor of a node that is looked at: of its parameters the first, which is the weight.
fn recorded<'a>(node: &'a LayerNode, kind: TensorKind, contents: &Contents) -> Option<&'a str> {
    let is_recorded = |tensor: &&String| {
        let entries = contents.entries.iter();
        entries
            .filter(|entry| entry.kind == kind)
            .any(|entry| entry.tensor == **tensor)
    };
    let tensors = node.tensors_of(kind).iter();
    tensors.filter(is_recorded).map(String::as_str).next()
}

/// The step that is looked at: the chosen one, else the last.
fn at_cursor(values: &LayerValues, selection: &Selection) -> u64 {
    let [first, last] = values.timeline.ends();
    selection
        .cursor
        .map_or(last, |step| step.clamp(first, last))
}

fn column_of(values: &LayerValues, selection: &Selection) -> usize {
    values.timeline.axis.column_of(at_cursor(values, selection))
}

/// The worst event of a node's tensors up to a step.
fn health_of(values: &LayerValues, node: &LayerNode, step: u64) -> Option<Severity> {
    let events = values.events.iter();
    events
        .filter(|event| event.step <= step)
        .filter(|event| {
            event
                .subject
                .tensor_name()
                .is_some_and(|name| node.has(name))
        })
        .map(|event| event.severity)
        .max()
}

/// How much credit flows along each edge, in shares of the largest: between the layer that is credited and each layer that
/// moved it.
fn credit_of(graph: &LayerGraph, credit: &Credit) -> BTreeMap<usize, f64> {
    let Some(here) = graph.node_with(&credit.layer) else {
        return BTreeMap::new();
    };
    let mut edges: BTreeMap<usize, f64> = BTreeMap::new();
    let sides = [(&credit.predecessors, true), (&credit.successors, false)];
    for (parts, is_before) in sides {
        let mut of_layers: BTreeMap<&str, f64> = BTreeMap::new();
        for part in parts {
            *of_layers.entry(&part.layer).or_insert(0.0) += part.credit;
        }
        for (layer, sum) in of_layers {
            let Some(other) = graph.node_with(layer) else {
                continue;
            };
            let (from, to) = if is_before {
                (other, here)
            } else {
                (here, other)
            };
            for edge in graph.edges_between(from, to) {
                *edges.entry(edge).or_insert(0.0) += sum;
            }
        }
    }
    let most = edges
        .values()
        .map(|credit| credit.abs())
        .fold(0.0, f64::max);
    if most > 0.0 {
        edges.values_mut().for_each(|credit| *credit /= most);
    }
    edges
}
