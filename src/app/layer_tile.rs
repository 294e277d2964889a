//! The layer level: the model as a graph whose nodes are charts, to be pointed at, chosen and collapsed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::jobs::Contents;
use super::layer_squares::{Compared, LayerSquares, Square, square_edges};
use super::layer_values::{LayerValues, LayersRead};
use super::screen::Screen;
use super::selection::Selection;
use super::square_marks::marker;
use super::tile::Tile;
use super::view_options::ViewOptions;
use crate::Result;
use crate::credit::Credit;
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::Severity;
use crate::view::{
    LayerGraph, LayerNode, LayerPicture, NodeEnvelope, NodeSquares, Painter, Picture, SquareEdge,
    Theme, UnitSquare,
};

/// The graph, and what is under the pointer.
#[derive(Debug, Default)]
pub(super) struct LayerTile {
    tile: Tile,
    values: Option<Arc<LayerValues>>,
    /// How much of a large run was read before there are values.
    read: Option<LayersRead>,
    envelopes: Vec<Option<NodeEnvelope>>,
    /// The worst event of each node up to the step that is looked at.
    health: Vec<Option<Severity>>,
    hovered: Option<usize>,
    /// The squares of expanded layers.
    pub(super) known: BTreeMap<String, LayerSquares>,
    /// Layers whose units cannot be compared.
    failed: BTreeSet<String>,
    /// The squares of each expanded node, as they are drawn.
    pub(super) squares: BTreeMap<usize, Vec<Square>>,
    /// The same as a picture needs them, and the credit between them.
    node_squares: Vec<Option<NodeSquares>>,
    square_edges: Vec<SquareEdge>,
    /// The square that is pointed at, by its node and number.
    pub(super) hovered_square: Option<(usize, usize)>,
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
    expanded: BTreeSet<String>,
    /// The layer and the unit whose credit is known.
    credited: Option<(String, usize, u64, u64)>,
    /// Squares that hold a lit unit, by their nodes and numbers.
    lit_squares: Vec<(usize, usize)>,
    theme: Theme,
}

/// Units that are lit wherever they are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct LitUnits<'a> {
    /// The tensor that they are of.
    pub tensor: &'a str,
    pub units: &'a [u32],
}

impl LayerTile {
    /// Says how much of a large run was read.
    pub fn set_read(&mut self, read: LayersRead) {
        self.read = Some(read);
    }

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
            squares: &self.node_squares,
            square_edges: &self.square_edges,
        }
    }

    /// Shows other squares from now on. Returns why those of some layers could not be made.
    pub fn set_squares(&mut self, compared: Compared) -> Vec<crate::Error> {
        let mut errors = Vec::new();
        for (layer, squares) in compared {
            match squares {
                Ok(squares) => {
                    self.failed.remove(&layer);
                    self.known.insert(layer, squares);
                }
                Err(error) => {
                    self.known.remove(&layer);
                    self.failed.insert(layer);
                    errors.push(error);
                }
            }
        }
        self.drawn = None;
        errors
    }

    /// The squares that are known.
    pub fn known_squares(&self) -> &BTreeMap<String, LayerSquares> {
        &self.known
    }

    /// How many squares there are to be in the node of each expanded layer.
    pub fn square_counts(
        &self,
        expanded: &BTreeSet<String>,
        credit: Option<&Credit>,
    ) -> BTreeMap<String, usize> {
        let count = |layer: &String| self.known.get(layer).map_or(1, |of| of.shown(credit).len());
        let layers = expanded.iter();
        layers.map(|layer| (layer.clone(), count(layer))).collect()
    }

    /// The units of the square that is pointed at, and their layer.
    pub fn hovered_units(&self) -> Option<(&str, &[usize])> {
        let (node, square) = self.hovered_square?;
        let layer = self.values.as_ref()?.graph.nodes.get(node)?.layer()?;
        let square = self.squares.get(&node)?.get(square)?;
        Some((layer, square.units.as_slice()))
    }

    /// Draws the picture where something has changed.
    ///
    /// # Errors
    /// A graph larger than the adapter's textures, or the device was lost.
    #[allow(clippy::too_many_arguments)] // What the picture shows, and where it is shown.
    pub fn update(
        &mut self,
        painter: &Painter,
        theme: &Theme,
        selection: &Selection,
        options: &ViewOptions,
        credit: Option<&Credit>,
        lit: LitUnits<'_>,
        screen: &mut dyn Screen,
    ) -> Result<()> {
        let Some(values) = self.values.clone() else {
            return Ok(());
        };
        let values = &*values;
        let graph = &values.graph;
        self.known
            .retain(|layer, _| options.expanded.contains(layer));
        self.failed.retain(|layer| options.expanded.contains(layer));
        self.squares = self.shown_squares(graph, credit);
        let kind = options.quantity;
        let flows = |credit| credit_of(graph, credit, &self.squares);
        let wanted = Drawn {
            column: column_of(values, selection),
            chosen: graph.node_with(&selection.tensor),
            lit: self.hovered.map_or(Vec::new(), |node| graph.path_of(node)),
            credit: credit.map_or_else(BTreeMap::new, flows),
            expanded: options.expanded.clone(),
            credited: credit.map(|of| (of.layer.clone(), of.unit, of.from, of.to)),
            lit_squares: self.lit_squares(graph, lit),
            kind,
            theme: theme.clone(),
        };
        if self.drawn.as_ref() == Some(&wanted) {
            return Ok(());
        }
        // What cannot be drawn once is not tried again at every frame.
        self.drawn = Some(wanted.clone());
        let nodes = graph.nodes.iter();
        self.envelopes = nodes.clone().map(|node| values.of(node, kind)).collect();
        let at = at_cursor(values, selection);
        self.health = nodes.map(|node| health_of(values, node, at)).collect();
        self.node_squares = self.drawn_squares(graph, &wanted);
        self.square_edges = credit.map_or_else(Vec::new, |credit| {
            square_edges(graph, credit, &self.known, &self.squares)
        });
        let size = self.content(values, &wanted).size();
        let mut tile = std::mem::take(&mut self.tile);
        let drawn = tile
            .target_of(painter.gpu(), size, theme)
            .and_then(|target| self.content(values, &wanted).draw(painter, target));
        tile.register(screen);
        self.tile = tile;
        drawn
    }

    /// The squares of each node that is expanded and has room for them: until it is laid out again, it has not.
    fn shown_squares(
        &self,
        graph: &LayerGraph,
        credit: Option<&Credit>,
    ) -> BTreeMap<usize, Vec<Square>> {
        let nodes = graph.nodes.iter().enumerate();
        let squares = nodes.filter_map(|(index, node)| {
            let squares = self.known.get(node.layer()?)?.shown(credit);
            let last = graph.square(index, squares.len().saturating_sub(1));
            let has_room = last.bottom() <= graph.layout.nodes[index].bottom();
            has_room.then_some((index, squares))
        });
        squares.collect()
    }

    fn lit_squares(&self, graph: &LayerGraph, lit: LitUnits<'_>) -> Vec<(usize, usize)> {
        let mut squares: Vec<(usize, usize)> = self.hovered_square.into_iter().collect();
        let is_lit = |square: &Square| {
            let mut units = lit.units.iter();
            units.any(|unit| square.units.binary_search(&(*unit as usize)).is_ok())
        };
        let nodes = self.squares.iter();
        let of_tensor = nodes.filter(|(node, _)| graph.nodes[**node].has(lit.tensor));
        for (node, of_node) in of_tensor {
            let all = of_node.iter().enumerate();
            let lit = all.filter(|(_, square)| is_lit(square));
            squares.extend(lit.map(|(index, _)| (*node, index)));
        }
        squares
    }

    /// What is drawn in each node that is expanded.
    fn drawn_squares(&self, graph: &LayerGraph, wanted: &Drawn) -> Vec<Option<NodeSquares>> {
        let nodes = graph.nodes.iter().enumerate();
        let squares = nodes.map(|(index, node)| {
            let layer = node
                .layer()
                .filter(|layer| wanted.expanded.contains(*layer))?;
            let Some(squares) = self.squares.get(&index) else {
                let text = match self.failed.contains(layer) {
                    true => "not comparable",
                    false => "comparing units",
                };
                return Some(NodeSquares::Waiting(text.to_owned()));
            };
            let width = self.known.get(layer).map_or(1, |known| known.width);
            let all = squares.iter().enumerate();
            let shown = all.map(|(number, square)| UnitSquare {
                values: square.values.clone(),
                width,
                text: [square.counted(), square.credit_text()],
                is_lit: wanted.lit_squares.contains(&(index, number)),
            });
            Some(NodeSquares::Squares(shown.collect()))
        });
        squares.collect()
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
            match self.read {
                Some(LayersRead { read, of }) => {
                    ui.weak(format!(
                        "Reading the layers: {read} of {of} parts of the run."
                    ));
                    ui.add(egui::ProgressBar::new(read as f32 / of.max(1) as f32));
                }
                None => {
                    ui.weak("Layers appear after the first recorded step.");
                }
            }
            return;
        };
        let before = (self.hovered.take(), self.hovered_square.take());
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            let Some(size) = self.tile.size() else {
                return;
            };
            let origin = ui.min_rect().min;
            self.tile.show_fitted(ui, size);
            self.groups(ui, origin, &values, options);
            for index in 0..values.graph.nodes.len() {
                self.node(ui, origin, &values, index, contents, selection, options);
                self.show_squares(ui, origin, &values, index, contents, selection);
            }
        });
        if (self.hovered, self.hovered_square) != before {
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
        marker(ui, &response, node, options);
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

pub(super) fn label(response: &egui::Response, name: &str) {
    let is_enabled = true;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, is_enabled, name));
}

/// The tensor of a node that is looked at: of its parameters the first, which is the weight.
pub(super) fn recorded<'a>(
    node: &'a LayerNode,
    kind: TensorKind,
    contents: &Contents,
) -> Option<&'a str> {
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
pub(super) fn at_cursor(values: &LayerValues, selection: &Selection) -> u64 {
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
/// Layers with squares have curves of their own.
fn credit_of(
    graph: &LayerGraph,
    credit: &Credit,
    squares: &BTreeMap<usize, Vec<Square>>,
) -> BTreeMap<usize, f64> {
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
            let other = graph.node_with(layer);
            let Some(other) = other.filter(|other| !squares.contains_key(other)) else {
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
