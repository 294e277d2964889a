//! The pinned unit: its dream beside the inputs that drive it, the units that behave like it, and where else it is so.

use super::find::{self, Found};
use super::jobs::Contents;
use super::screen::Screen;
use super::selection::Selection;
use super::tile::PictureTile;
use crate::Result;
use crate::cluster::Clustering;
use crate::dream::Dreams;
use crate::patterns::Query;
use crate::view::{ClusterSheet, DreamSheet, Painter, Picture, TextLine, TextSheet, Theme};

/// Width of a picture of clusters, in points.
const CLUSTERS_WIDTH: f32 = 900.0;
/// The share of its ascent after which a dream is shown for the first time.
const FIRST_LOOK: f64 = 0.15;
/// Records that are compared where no steps are brushed, at least.
const FEWEST_RECORDS: u64 = 8;

/// What is shown of a unit.
#[derive(Debug)]
pub(super) enum Sheet {
    /// A dream, and real inputs.
    Dreams { run: String, dreams: Box<Dreams> },
    /// The clusters of its layer.
    Clusters {
        layer: String,
        step: u64,
        clustering: Box<Clustering>,
    },
}

impl Sheet {
    fn picture(&self, painter: &Painter, theme: &Theme) -> Result<Picture> {
        match self {
            Self::Dreams { run, dreams } => {
                let snapshots = std::slice::from_ref(&**dreams);
                DreamSheet { run, snapshots }.picture(painter, theme)
            }
            Self::Clusters {
                layer,
                step,
                clustering,
            } => ClusterSheet {
                layer,
                step: Some(*step),
                clustering,
            }
            .picture(painter, CLUSTERS_WIDTH, theme),
        }
    }
}

/// What a person asks of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Dream { layer: String, unit: usize },
    Clusters { layer: String },
    Like(Query),
}

/// Which steps of a run are recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded {
    pub last: u64,
    /// The distance of records, in steps.
    pub every: u64,
}

/// The pane.
#[derive(Debug, Default)]
pub(super) struct UnitPane {
    /// What was asked last.
    question: Option<Question>,
    sheet: Option<Sheet>,
    picture: PictureTile,
    found: Option<Vec<Found>>,
    /// A dream is shown after a few steps of its ascent at first.
    is_first_look: bool,
}

impl UnitPane {
    /// What was asked last.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// What is shown.
    pub fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_ref()
    }

    /// How much of a dream's ascent is wanted.
    pub fn share(&self) -> f64 {
        if self.is_first_look { FIRST_LOOK } else { 1.0 }
    }

    /// Shows a dream or clusters; `true` where the rest of a dream's ascent is to follow.
    pub fn set_sheet(&mut self, sheet: Sheet) -> bool {
        let is_first = matches!(sheet, Sheet::Dreams { .. }) && self.is_first_look;
        self.is_first_look = false;
        self.sheet = Some(sheet);
        self.found = None;
        self.picture.invalidate();
        is_first
    }

    /// Lists windows of units.
    pub fn set_found(&mut self, found: Vec<Found>) {
        self.sheet = None;
        self.picture.invalidate();
        self.found = Some(found);
    }

    /// Windows of units that are listed.
    pub fn found(&self) -> Option<&[Found]> {
        self.found.as_deref()
    }

    /// The step of what is shown.
    pub fn step(&self) -> Option<u64> {
        match self.sheet.as_ref()? {
            Sheet::Dreams { dreams, .. } => Some(dreams.step),
            Sheet::Clusters { step, .. } => Some(*step),
        }
    }

    /// What a file of what is shown is called after.
    pub fn name(&self) -> String {
        match &self.sheet {
            Some(Sheet::Dreams { dreams, .. }) => {
                let unit = dreams.dreams.first().map(|dream| dream.unit.as_str());
                format!("dream-{}", unit.unwrap_or(&dreams.layer))
            }
            Some(Sheet::Clusters { layer, .. }) => format!("clusters-{layer}"),
            None => "like".to_owned(),
        }
    }

    /// The sheet, or the list, as a painter draws it, to be exported; `None` where there is neither.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures.
    pub fn drawn_by(&self, painter: &Painter, theme: &Theme) -> Result<Option<Picture>> {
        if let Some(sheet) = &self.sheet {
            return sheet.picture(painter, theme).map(Some);
        }
        let Some(found) = &self.found else {
            return Ok(None);
        };
        let title = TextLine::Title("Where else it is so".to_owned());
        let texts = found.iter().map(|found| TextLine::Said(found.text.clone()));
        let lines = std::iter::once(title).chain(texts).collect();
        TextSheet { lines }
            .picture(painter, CLUSTERS_WIDTH, theme)
            .map(Some)
    }

    /// Whether the picture shows what it is to show.
    #[cfg(test)]
    pub fn is_drawn(&self) -> bool {
        self.picture.is_drawn()
    }

    /// The picture has to be drawn again, such as in another theme.
    pub fn invalidate(&mut self) {
        self.picture.invalidate();
    }

    /// Draws the picture where it shows something else.
    ///
    /// # Errors
    /// The device was lost, or a picture larger than the adapter's textures.
    pub fn update(
        &mut self,
        painter: &Painter,
        theme: &Theme,
        screen: &mut dyn Screen,
    ) -> Result<()> {
        let sheet = self.sheet.as_ref();
        self.picture.update(screen, || {
            sheet.map(|sheet| sheet.picture(painter, theme)).transpose()
        })
    }

    /// Shows the pane; `true` where there is a new question.
    pub fn show(
        &mut self,
        ui: &mut egui::Ui,
        contents: &Contents,
        selection: &mut Selection,
        recorded: Recorded,
        is_busy: bool,
    ) -> bool {
        let layer = layer_of(contents, &selection.tensor).to_owned();
        let is_layer = contents.model.layers().any(|other| other.name == layer);
        let unit = selection.units.last().copied();
        let mut asked = None;
        ui.horizontal_wrapped(|ui| {
            let mut ask = |text: String, hint: &str, is_possible: bool, question: Question| {
                let button = egui::Button::new(text);
                let response = ui.add_enabled(is_possible && !is_busy, button);
                if response.on_hover_text(hint).clicked() {
                    asked = Some(question);
                }
            };
            if let Some(unit) = unit {
                let (layer, unit) = (layer.clone(), unit as usize);
                let text = format!("Dream of unit {unit} of {layer}");
                let hint = "The input that it answers most, beside the real ones that drive it most and least";
                ask(text, hint, is_layer, Question::Dream { layer, unit });
                let query = Query {
                    tensor: selection.tensor.clone(),
                    unit,
                    steps: stretch(selection, recorded),
                };
                let text = format!(
                    "Where else is it as in steps {} to {}?",
                    query.steps.start,
                    query.steps.end.saturating_sub(1)
                );
                let hint = "Windows of all units whose lines have the same shape";
                ask(text, hint, !query.steps.is_empty(), Question::Like(query));
            }
            let text = format!("Clusters of {layer}");
            let hint = "Which units behave alike on the probe batch";
            ask(text, hint, is_layer, Question::Clusters { layer: layer.clone() });
        });
        if unit.is_none() {
            ui.weak("Pin a unit in the chart of units to ask about it: a click on its line.");
        }
        if is_busy {
            ui.weak("Working on it.");
        }
        let is_asked = asked.is_some();
        if is_asked {
            self.question = asked;
            self.is_first_look = true;
        }
        if let Some(found) = &self.found {
            find::list(
                ui,
                found,
                "Nowhere else: no other window is like it.",
                selection,
            );
        }
        self.picture.show(ui);
        is_asked
    }
}

/// The layer that a tensor is of: itself, or that of a parameter.
fn layer_of<'a>(contents: &'a Contents, tensor: &'a str) -> &'a str {
    let name = tensor.split('@').next().unwrap_or(tensor);
    let mut layers = contents.model.layers();
    let layer = layers.find(|layer| {
        let mut parameters = layer.parameters.iter();
        parameters.any(|parameter| parameter.name == name)
    });
    layer.map_or(name, |layer| &layer.name)
}

/// The steps that are brushed, or some before the one that is looked at.
fn stretch(selection: &Selection, recorded: Recorded) -> std::ops::Range<u64> {
    match &selection.range {
        Some(range) => range.clone(),
        None => {
            let end = selection.cursor.or(selection.step).unwrap_or(recorded.last) + 1;
            let length = (recorded.last / 20).max(FEWEST_RECORDS * recorded.every);
            end.saturating_sub(length)..end
        }
    }
}
