//! A walk along the credit: what pushed a unit, what pushed that, and the way back.

use std::ops::Range;

use super::jobs::Contents;
use super::screen::Screen;
use super::selection::Selection;
use super::tile::PictureTile;
use crate::Result;
use crate::credit::{Contribution, Credit};
use crate::nn::Property;
use crate::tensor::TensorKind;
use crate::view::{CreditChart, Painter, Picture, Theme, theme};

/// Width of the picture, in points.
const WIDTH: f32 = 760.0;
/// Contributions that are listed on each side.
const MOST: usize = 8;
/// Steps of a range that nobody has brushed; credit replays them all.
const STEPS: u64 = 20;
/// The longest range that is credited.
const MOST_STEPS: u64 = 500;
/// Width and height of a bar, in points.
const BAR: egui::Vec2 = egui::vec2(70.0, 12.0);

/// A unit, and the steps over which it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub layer: String,
    pub unit: usize,
    pub range: Range<u64>,
}

/// The way so far.
#[derive(Debug, Default)]
pub(super) struct CreditWalk {
    /// Places on the way, the first one first; the last is where the walk is.
    places: Vec<Place>,
    /// What is known of the last place.
    credit: Option<Box<Credit>>,
    /// The same as a picture, with feature maps where there are some.
    picture: PictureTile,
}

impl CreditWalk {
    /// The place whose credit is to be computed.
    pub fn wanted(&self) -> Option<Place> {
        self.places.last().cloned()
    }

    /// Shows what was computed, unless the walk has gone on.
    pub fn set(&mut self, credit: Option<Box<Credit>>) {
        let is_here = |credit: &Credit| {
            let here = self.places.last();
            here.is_some_and(|here| here.layer == credit.layer && here.unit == credit.unit)
        };
        if let Some(credit) = credit.filter(|credit| is_here(credit)) {
            self.credit = Some(credit);
            self.picture.invalidate();
        }
    }

    /// The picture has to be drawn again, such as in another theme.
    pub fn invalidate(&mut self) {
        self.picture.invalidate();
    }

    /// The picture as a painter draws it, to be exported; `None` before there is a credit.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures.
    pub fn drawn_by(&self, painter: &Painter, theme: &Theme) -> Result<Option<Picture>> {
        let Some(credit) = self.credit.as_deref() else {
            return Ok(None);
        };
        let chart = CreditChart {
            credits: std::slice::from_ref(credit),
        };
        let picture = Picture::new(painter.gpu(), WIDTH, chart.height(), theme)?;
        chart.draw(painter, &picture);
        Ok(Some(picture))
    }

    /// Draws the picture where it shows something else.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures.
    pub fn update(
        &mut self,
        painter: &Painter,
        theme: &Theme,
        screen: &mut dyn Screen,
    ) -> Result<()> {
        let mut tile = std::mem::take(&mut self.picture);
        let drawn = tile.update(screen, || self.drawn_by(painter, theme));
        self.picture = tile;
        drawn
    }

    /// What is known of where the walk is.
    pub fn credit(&self) -> Option<&Credit> {
        self.credit.as_deref()
    }

    fn go(&mut self, place: Place) {
        self.credit = None;
        self.picture.invalidate();
        self.places.push(place);
    }

    /// Shows the walk; `true` where the credit of another place is wanted.
    pub fn show(
        &mut self,
        ui: &mut egui::Ui,
        contents: &Contents,
        selection: &mut Selection,
        last_step: u64,
        is_busy: bool,
    ) -> bool {
        let mut is_wanted = false;
        let start = start(contents, selection, last_step);
        ui.horizontal_wrapped(|ui| match &start {
            Ok(place) => {
                let Place { layer, unit, range } = place;
                let text = format!(
                    "What moved unit {unit} of {layer}, steps {} to {}?",
                    range.start, range.end
                );
                if ui.add_enabled(!is_busy, egui::Button::new(text)).clicked() {
                    self.places.clear();
                    self.go(place.clone());
                    is_wanted = true;
                }
            }
            Err(why) => {
                ui.weak(*why);
                if !selection.units.is_empty()
                    && let Some(maker) = maker(contents, &selection.tensor)
                    && ui
                        .button(format!("Look at {maker}, which made it"))
                        .clicked()
                {
                    selection.look_at(maker, TensorKind::Activation);
                }
            }
        });
        is_wanted |= self.way_back(ui, is_busy);
        if is_busy {
            ui.weak("Replaying the steps.");
        }
        let Some(credit) = &self.credit else {
            return is_wanted;
        };
        let mut chosen = None;
        summary(ui, credit);
        ui.columns(2, |columns| {
            columns[0].strong("by what enters the layer");
            chosen = list(&mut columns[0], &credit.predecessors, credit, is_busy);
            columns[1].strong("by what lies behind it");
            let behind = list(&mut columns[1], &credit.successors, credit, is_busy);
            chosen = chosen.take().or(behind);
        });
        self.picture.show(ui);
        if let Some(part) = chosen {
            let layer = layer_with_weights(contents, &part.layer).to_owned();
            let range = credit.from..credit.to;
            selection.look_at(&layer, TensorKind::Activation);
            selection.units = vec![part.unit as u32];
            selection.step = Some(credit.to);
            self.go(Place {
                layer,
                unit: part.unit,
                range,
            });
            is_wanted = true;
        }
        is_wanted
    }

    /// The places on the way; `true` where one of them was gone back to.
    fn way_back(&mut self, ui: &mut egui::Ui, is_busy: bool) -> bool {
        let mut back = None;
        ui.horizontal_wrapped(|ui| {
            for (index, place) in self.places.iter().enumerate() {
                if index > 0 {
                    ui.weak("›");
                }
                let name = format!("{} {}", place.layer, place.unit);
                let is_here = index + 1 == self.places.len();
                if is_here {
                    ui.strong(name);
                } else if ui.add_enabled(!is_busy, egui::Link::new(name)).clicked() {
                    back = Some(index);
                }
            }
        });
        if let Some(index) = back {
            self.places.truncate(index + 1);
            self.credit = None;
            self.picture.invalidate();
        }
        back.is_some()
    }
}

/// Where a walk from the selection begins, or why it cannot.
fn start(
    contents: &Contents,
    selection: &Selection,
    last_step: u64,
) -> std::result::Result<Place, &'static str> {
    let Some(unit) = selection.units.last() else {
        return Err("Pin a unit in the chart of units: a click on its line.");
    };
    let layer = layer_with_weights(contents, &selection.tensor);
    let has_weights = contents
        .model
        .layers()
        .any(|other| other.name == layer && !other.parameters.is_empty());
    if !has_weights {
        return Err("Only layers with weights are credited: choose a unit of one.");
    }
    let end = selection.cursor.or(selection.step).unwrap_or(last_step);
    let end = (end + 1).min(last_step);
    let range = match &selection.range {
        Some(range) if range.end - range.start <= MOST_STEPS => {
            range.start..range.end.min(last_step)
        }
        _ => end.saturating_sub(STEPS)..end,
    };
    if range.is_empty() {
        return Err("There are no steps to credit yet.");
    }
    Ok(Place {
        layer: layer.to_owned(),
        unit: *unit as usize,
        range,
    })
}

/// The layer whose weights made a tensor: itself, the layer of a parameter, or the nearest one before that keeps the
/// number of units.
fn layer_with_weights<'a>(contents: &'a Contents, tensor: &'a str) -> &'a str {
    let name = tensor.split('@').next().unwrap_or(tensor);
    let layers = || contents.model.layers();
    if let Some(layer) = layers().find(|layer| {
        let mut parameters = layer.parameters.iter();
        parameters.any(|parameter| parameter.name == name)
    }) {
        return &layer.name;
    }
    let mut at = layers().find(|layer| layer.name == name);
    let units = at.and_then(|layer| layer.shape.first().copied());
    while let Some(layer) = at {
        if layer.has(Property::WeightedSum) && layer.shape.first().copied() == units {
            return &layer.name;
        }
        let [before] = &layer.inputs[..] else { break };
        at = layers().find(|layer| &layer.name == before);
    }
    tensor
}

/// The nearest layer with weights before a tensor.
fn maker<'a>(contents: &'a Contents, tensor: &str) -> Option<&'a str> {
    let layer = |name: &str| contents.model.layers().find(|layer| layer.name == name);
    let mut at = layer(tensor.split('@').next().unwrap_or(tensor))?;
    loop {
        at = layer(at.inputs.first()?)?;
        if !at.parameters.is_empty() {
            return Some(&at.name);
        }
    }
}

fn summary(ui: &mut egui::Ui, credit: &Credit) {
    let Credit {
        layer, unit, from, ..
    } = credit;
    let signed = |value: f64| format!("{value:+.3e}");
    ui.label(format!(
        "The mean of unit {unit} of {layer} changed by {} from step {from} to {}; {} of it is not explained.",
        signed(credit.change),
        credit.to,
        signed(credit.residual)
    ));
    for (name, value) in credit.other.parts() {
        if value != 0.0 {
            ui.weak(format!("{}: {}", name.replace('_', " "), signed(value)));
        }
    }
    if let Some(first) = &credit.first_nonfinite {
        ui.weak(format!(
            "The range ends before step {}, which computes a value that is not finite: {}.",
            first.step, first.what
        ));
    }
}

/// Lists the strongest contributions; returns the one that is clicked.
fn list(
    ui: &mut egui::Ui,
    parts: &[Contribution],
    credit: &Credit,
    is_busy: bool,
) -> Option<Contribution> {
    let all = credit.predecessors.iter().chain(&credit.successors);
    let most = all.map(|part| part.credit.abs()).fold(0.0, f64::max);
    let mut sorted: Vec<&Contribution> = parts.iter().filter(|part| part.credit != 0.0).collect();
    sorted.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
    if sorted.is_empty() {
        ui.weak("Nothing that changed.");
    }
    let (shown, rest) = sorted.split_at(sorted.len().min(MOST));
    let mut chosen = None;
    for part in shown {
        ui.horizontal(|ui| {
            bar(ui, part.credit / most);
            let is_loss = part.layer.starts_with("loss");
            let link = egui::Link::new(part.name());
            if ui.add_enabled(!is_loss && !is_busy, link).clicked() {
                chosen = Some((*part).clone());
            }
            ui.weak(format!("{:+.3e}", part.credit));
        });
    }
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|part| part.credit).sum();
        ui.weak(format!("{} others: {sum:+.3e}", rest.len()));
    }
    chosen
}

/// A bar from the middle, to the right for what pushed up and to the left for what pushed down.
fn bar(ui: &mut egui::Ui, share: f64) {
    let (rect, _) = ui.allocate_exact_size(BAR, egui::Sense::hover());
    let middle = rect.center().x;
    let end = middle + share.clamp(-1.0, 1.0) as f32 * BAR.x / 2.0;
    let filled = egui::Rect::from_x_y_ranges(middle.min(end)..=middle.max(end), rect.y_range());
    let [r, g, b, _] = theme::diverging_at(if share > 0.0 { 0.85 } else { -0.85 });
    ui.painter()
        .rect_filled(filled, 1.0, egui::Color32::from_rgb(r, g, b));
    let stroke = egui::Stroke::new(1.0, ui.visuals().weak_text_color());
    ui.painter().vline(middle, rect.y_range(), stroke);
}
