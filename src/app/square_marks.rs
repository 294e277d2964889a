//! Expanded nodes of the layer graph under the pointer and the keyboard: the marker that expands a node into squares, and
//! its squares.

use super::jobs::Contents;
use super::layer_tile::{LayerTile, at_cursor, label, recorded};
use super::layer_values::LayerValues;
use super::selection::Selection;
use super::view_options::ViewOptions;
use crate::tensor::TensorKind;
use crate::view::LayerNode;

/// Units of a square that are named, at most.
const MOST_NAMED: usize = 24;
/// Side of the marker, and its distance from the corner of its node, in points.
const MARKER: f32 = 17.0;
const INSET: f32 = 3.0;

/// The marker that expands a node into squares, and the same in its menu and at a key.
pub(super) fn marker(
    ui: &mut egui::Ui,
    node_response: &egui::Response,
    node: &LayerNode,
    options: &mut ViewOptions,
) {
    let Some(layer) = node.layer() else {
        return;
    };
    let is_expanded = options.expanded.contains(layer);
    let (name, sign) = match is_expanded {
        true => (format!("Chart of {layer}"), "−"),
        false => (format!("Squares of {layer}"), "+"),
    };
    let corner = node_response.rect.right_top() + egui::vec2(-MARKER - INSET, INSET);
    let area = egui::Rect::from_min_size(corner, egui::Vec2::splat(MARKER));
    let id = node_response.id.with("squares");
    let response = ui.interact(area, id, egui::Sense::click());
    label(&response, &name);
    let visuals = *ui.style().interact(&response);
    let font = egui::FontId::proportional(13.0);
    let align = egui::Align2::CENTER_CENTER;
    ui.painter().rect_filled(area, 3.0, visuals.bg_fill);
    let color = visuals.text_color();
    ui.painter().text(area.center(), align, sign, font, color);
    let mut is_wanted = response.on_hover_text(&name).clicked();
    let is_at_node = node_response.has_focus() || node_response.hovered();
    is_wanted |= is_at_node
        && !ui.ctx().text_edit_focused()
        && ui.input(|input| input.key_pressed(egui::Key::S));
    node_response.context_menu(|ui| {
        if ui.button(&name).clicked() {
            is_wanted = true;
            ui.close();
        }
    });
    if is_wanted {
        options.toggle_squares(layer);
    }
}

impl LayerTile {
    /// The squares of a node. One that is pointed at lights its units wherever they are; a click pins the unit that stands for
    /// them.
    pub(super) fn show_squares(
        &mut self,
        ui: &mut egui::Ui,
        origin: egui::Pos2,
        values: &LayerValues,
        index: usize,
        contents: &Contents,
        selection: &mut Selection,
    ) {
        let node = &values.graph.nodes[index];
        let (Some(squares), Some(layer)) = (self.squares.get(&index), node.layer()) else {
            return;
        };
        let step = self.known.get(layer).map(|known| known.step);
        for (number, square) in squares.iter().enumerate() {
            let rect = values.graph.square(index, number);
            let min = origin + egui::vec2(rect.left(), rect.top());
            let area = egui::Rect::from_min_size(min, egui::vec2(rect.size.x, rect.size.y));
            let id = ui.scope_id().with(("square", index, number));
            let response = ui.interact(area, id, egui::Sense::click());
            let name = square.describe(layer);
            label(&response, &name);
            if response.hovered() || response.has_focus() {
                self.hovered_square = Some((index, number));
            }
            let kind = TensorKind::Activation;
            if response.clicked()
                && let Some(tensor) = recorded(node, kind, contents)
            {
                selection.look_at(tensor, kind);
                let unit = square.representative as u32;
                if !selection.units.contains(&unit) {
                    selection.toggle(unit, at_cursor(values, selection));
                }
            }
            response.on_hover_ui(|ui| {
                ui.strong(&name);
                if let Some(step) = step {
                    ui.label(format!("on the probe batch, after {step} steps"));
                }
                let mut units: Vec<String> = square.units.iter().map(usize::to_string).collect();
                if units.len() > MOST_NAMED {
                    units.truncate(MOST_NAMED);
                    units.push("...".to_owned());
                }
                ui.label(format!("units {}", units.join(", ")));
                ui.weak(format!("A click pins unit {}.", square.representative));
            });
        }
    }
}
