//! What the window shows: panes of snapshots, layers and units that share one selection and one time axis.
//!
//! It asks the worker for data, draws what has come into the textures of its panes, and never waits.

use std::sync::{Arc, Mutex, PoisonError};

use super::analyses::Compared;
use super::arrangement_file::ArrangementFile;
use super::credit_walk::CreditWalk;
use super::explain_pane::{ExplainPane, Wish};
use super::find::Found;
use super::jobs::{Contents, Timed};
use super::layer_tile::{LayerTile, LitUnits};
use super::layer_values::Layers;
use super::panes::{Arrangement, Pane};
use super::past::PastStep;
use super::preview::Images;
use super::requests::{Due, Prepared, Request};
use super::run_form::RunForm;
use super::screen::Screen;
use super::selection::Selection;
use super::session::Session;
use super::status::{Pacing, RunStatus};
use super::step_axis::StepAxis;
use super::tile::Tile;
use super::timeline::Timeline;
use super::undo::Undo;
use super::unit_pane::{Recorded, UnitPane};
use super::unit_tile::UnitTile;
use super::view_options::ViewOptions;
use super::worker::Worker;
use crate::trace::TraceEntry;
use crate::view::{ChartLayout, LayerGraph, Painter, ScalarChart, Theme};
use crate::{Error, Result};

/// Of larger models the groups of layers are collapsed at first.
const MOST_LAYERS: usize = 40;

pub(super) struct Dashboard {
    pub(super) painter: Painter,
    pub(super) worker: Worker<Session, Request, Prepared>,
    pub(super) pacing: Arc<Mutex<Pacing>>,
    status: Arc<Mutex<RunStatus>>,
    pub(super) contents: Option<Contents>,
    pub(super) selection: Option<Selection>,
    pub(super) undo: Undo,
    /// Whether the selection of this frame came from there, and is not to be kept again.
    pub(super) is_undone: bool,
    pub(super) options: ViewOptions,
    pub(super) due: Due,
    pub(super) arrangement: Arrangement,
    /// Where the arrangement is kept from one window to the next.
    kept: ArrangementFile,
    pub(super) scalars: Option<Timed<ScalarChart>>,
    scalar_tile: Tile,
    scalar_layout: Option<ChartLayout>,
    pub(super) layers: LayerTile,
    pub(super) units: UnitTile,
    pub(super) past: Option<Box<PastStep>>,
    pub(super) tensor_tile: Tile,
    pub(super) images: Option<Images>,
    pub(super) image_tile: Tile,
    /// Why there are no images.
    pub(super) no_images: Option<String>,
    pub(super) explain: ExplainPane,
    pub(super) walk: CreditWalk,
    pub(super) unit_pane: UnitPane,
    /// Matches of the expression in the find box, once they were looked for.
    pub(super) words: Option<(String, Vec<Found>)>,
    /// Runs that are drawn over this one.
    pub(super) compared: Vec<Compared>,
    pub(super) run_form: RunForm,
    /// What is looked for.
    pub(super) query: String,
    pub(super) is_help_open: bool,
    /// Whether the cursor moves through the recorded steps by itself.
    pub(super) is_playing: bool,
    /// All pictures have to be drawn again, such as in another theme.
    pub(super) is_stale: bool,
    /// The chart of scalars has to be drawn again.
    are_scalars_stale: bool,
    /// The images and the tensor have to be drawn again.
    pub(super) are_images_stale: bool,
    /// Errors that the bar shows.
    errors: Vec<String>,
    /// What was done last, such as a file that was written.
    pub(super) note: Option<String>,
    /// What ended the run.
    failure: Option<Error>,
    /// What was looked at in a window before, to be looked at again.
    pub(super) restored: Option<(Selection, ViewOptions)>,
}

impl Dashboard {
    /// Shows what `worker` prepares, arranged as a file says.
    pub fn new(
        painter: Painter,
        units: UnitTile,
        worker: Worker<Session, Request, Prepared>,
        pacing: Arc<Mutex<Pacing>>,
        status: Arc<Mutex<RunStatus>>,
        kept: ArrangementFile,
    ) -> Self {
        worker.submit(Request::Contents, |session, _| {
            Ok(Prepared::Contents(Box::new(session.contents())))
        });
        Self {
            arrangement: kept.read(),
            kept,
            units,
            painter,
            worker,
            pacing,
            status,
            contents: None,
            selection: None,
            undo: Undo::default(),
            is_undone: false,
            options: ViewOptions::default(),
            due: Due::default(),
            scalars: None,
            scalar_tile: Tile::default(),
            scalar_layout: None,
            layers: LayerTile::default(),
            past: None,
            tensor_tile: Tile::default(),
            images: None,
            image_tile: Tile::default(),
            no_images: None,
            explain: ExplainPane::default(),
            walk: CreditWalk::default(),
            unit_pane: UnitPane::default(),
            words: None,
            compared: Vec::new(),
            run_form: RunForm::default(),
            query: String::new(),
            is_help_open: false,
            is_playing: false,
            is_stale: true,
            are_scalars_stale: true,
            are_images_stale: true,
            errors: Vec::new(),
            note: None,
            failure: None,
            restored: None,
        }
    }

    /// Ends the worker: it saves what trains. Returns the run's directory.
    ///
    /// # Errors
    /// What ended the run before, or why it cannot be saved.
    pub fn close(self) -> Result<std::path::PathBuf> {
        self.kept.write(&self.arrangement);
        let Self {
            worker, failure, ..
        } = self;
        let saved = worker
            .close(|session| session.and_then(Session::close))
            .flatten();
        match failure {
            Some(failure) => Err(failure),
            None => saved,
        }
    }

    /// Asks the worker to submit nothing, and returns whether it does so now.
    pub fn rest_worker(&self) -> bool {
        self.worker.rest()
    }

    /// Lets the worker submit again.
    pub fn resume_worker(&self) {
        self.worker.resume();
    }

    /// Takes what has come, asks for what is due, and draws what has changed. What cannot be drawn is said in the bar.
    pub fn update(&mut self, screen: &mut dyn Screen) {
        for answer in self.worker.answers() {
            match (answer.kind, answer.result) {
                (_, Ok(prepared)) => self.take(prepared),
                (Some(Request::Images), Err(error)) => self.no_images = Some(error.to_string()),
                (kind, Err(error)) => {
                    self.report(&error);
                    if kind.is_none() {
                        self.failure.get_or_insert(error);
                    }
                }
            }
        }
        self.ask();
        self.draw(screen);
    }

    /// Shows an error in the bar at the top.
    pub fn report(&mut self, error: &Error) {
        self.say(error.to_string());
    }

    /// Shows a sentence in the bar at the top.
    pub fn say(&mut self, text: String) {
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    /// What the bar shows.
    #[cfg(test)]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Shows another directory as that of the run.
    #[cfg(test)]
    pub fn set_shown_dir(&self, dir: std::path::PathBuf) {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .dir = dir;
    }

    fn take(&mut self, prepared: Prepared) {
        match prepared {
            Prepared::Contents(contents) => {
                self.options.group = contents.groups.first().map(|group| group.title);
                let mut selection = contents.selection.clone();
                selection.range.clone_from(&contents.failure);
                if contents.model.layers().count() > MOST_LAYERS {
                    self.options.collapsed = LayerGraph::group_keys(&contents.model);
                }
                if let Some((before, options)) = self.restored.take() {
                    let is_recorded = |entry: &TraceEntry| {
                        entry.tensor == before.tensor && entry.kind == before.kind
                    };
                    if contents.entries.iter().any(is_recorded) {
                        selection = before;
                    }
                    self.options = options;
                }
                self.selection = Some(selection);
                self.contents = Some(*contents);
                self.due.want_all();
                self.is_stale = true;
            }
            Prepared::Scalars(chart) => {
                self.scalars = chart;
                self.are_scalars_stale = true;
            }
            Prepared::Units(chart) => self.units.set_lines(chart.map(|chart| *chart)),
            Prepared::Images(images) => {
                self.images = images;
                self.no_images = None;
                self.are_images_stale = true;
            }
            Prepared::Layers(Layers::Part(part)) => {
                self.layers.set_read(part);
                self.due.want(Request::Layers);
            }
            Prepared::Layers(Layers::All(values)) => self.layers.set_values(Some(*values)),
            Prepared::Layers(Layers::None) => self.layers.set_values(None),
            Prepared::Squares(squares) => {
                let errors = self.layers.set_squares(squares.unwrap_or_default());
                errors.iter().for_each(|error| self.report(error));
                self.due.want(Request::Layers);
            }
            Prepared::Past(past) => {
                self.past = past;
                self.are_images_stale = true;
            }
            Prepared::Explanation(explanation) => {
                self.explain.set(*explanation);
                self.due.want(Request::Scalars);
            }
            Prepared::Trial(tried) => {
                if let Some(tried) = tried {
                    self.explain.add(*tried);
                    self.due.want(Request::Scalars);
                }
            }
            Prepared::Credit(credit) => {
                self.walk.set(credit);
                // Squares that moved the unit come first: there may be other ones.
                if !self.options.expanded.is_empty() {
                    self.due.want(Request::Layers);
                }
            }
            Prepared::Sheet(sheet) => {
                if let Some(sheet) = sheet
                    && self.unit_pane.set_sheet(*sheet)
                {
                    self.due.want(Request::Unit);
                }
            }
            Prepared::Like(found) => self.unit_pane.set_found(found),
            Prepared::Words(expression, found) => self.words = Some((expression, found)),
            Prepared::Compared(run) => {
                self.compared.retain(|other| other.name != run.name);
                self.compared.push(run);
                self.due.want(Request::Scalars);
            }
            Prepared::Branch(left) => {
                self.compared.push(left);
                self.start_over();
                self.is_stale = true;
            }
        }
    }

    /// Another run is shown from now on.
    fn start_over(&mut self) {
        self.past = None;
        self.explain = ExplainPane::default();
        self.walk = CreditWalk::default();
        self.unit_pane = UnitPane::default();
        self.words = None;
        self.undo = Undo::default();
        self.worker.submit(Request::Contents, |session, _| {
            Ok(Prepared::Contents(Box::new(session.contents())))
        });
    }

    pub(super) fn status(&self) -> RunStatus {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The time axis that is shown; `None` before the first step.
    pub(super) fn timeline(&self) -> Option<&Arc<Timeline>> {
        self.scalars.as_ref().map(|timed| &timed.timeline)
    }

    /// The theme of pictures, for a screen.
    pub(super) fn theme(&self) -> Theme {
        if self.options.is_dark {
            Theme::dark()
        } else {
            Theme::light()
        }
    }

    fn draw(&mut self, screen: &mut dyn Screen) {
        let theme = self.theme().scaled(screen.scale_factor());
        if std::mem::take(&mut self.is_stale) {
            self.units.invalidate();
            self.unit_pane.invalidate();
            self.walk.invalidate();
            (self.are_scalars_stale, self.are_images_stale) = (true, true);
        }
        if std::mem::take(&mut self.are_scalars_stale) {
            let drawn = self.draw_scalars(&theme);
            self.report_failure(drawn);
            self.scalar_tile.register(screen);
        }
        if std::mem::take(&mut self.are_images_stale) {
            let past = self.past.as_deref();
            let drawn = match shown_images(past, self.images.as_ref()) {
                Some(images) => images.draw(&self.painter, &theme, &mut self.image_tile),
                None => Ok(()),
            };
            let tensor = past.and_then(|past| past.tensor.as_ref());
            let drawn = drawn.and_then(|()| match tensor {
                Some(tensor) => tensor.draw(&self.painter, &theme, &mut self.tensor_tile),
                None => Ok(()),
            });
            self.report_failure(drawn);
            self.tensor_tile.register(screen);
            self.image_tile.register(screen);
        }
        let drawn = self.unit_pane.update(&self.painter, &theme, screen);
        let drawn = drawn.and(self.walk.update(&self.painter, &theme, screen));
        self.report_failure(drawn);
        if let Some(selection) = &self.selection {
            let lit = self.layers.hovered_units();
            let lit = lit.filter(|(tensor, _)| *tensor == selection.tensor);
            let lit = lit.map_or(&[][..], |(_, units)| units);
            let drawn = self
                .units
                .update(&self.painter, &theme, selection, lit, screen);
            let mut units = selection.units.clone();
            units.extend(self.units.hovered_unit());
            let lit = LitUnits {
                tensor: &selection.tensor,
                units: &units,
            };
            let (options, credit) = (&self.options, self.walk.credit());
            let layers = self.layers.update(
                &self.painter,
                &theme,
                selection,
                options,
                credit,
                lit,
                screen,
            );
            self.report_failure(drawn.and(layers));
        }
    }

    /// The images of the step that is looked at.
    pub(super) fn shown_images(&self) -> Option<&Images> {
        shown_images(self.past.as_deref(), self.images.as_ref())
    }

    fn draw_scalars(&mut self, theme: &Theme) -> Result<()> {
        if let Some(timed) = &self.scalars
            && let Some(picture) = self.scalar_tile.target(self.painter.gpu(), theme)?
        {
            let chart = timed.chart.chart();
            // A tile that is too small for a chart shows the last picture.
            if let Ok(layout) = chart.layout(picture.extent(), theme.scale_factor) {
                let timeline = &timed.timeline;
                let layout = layout.with_time(&timeline.axis, &timeline.moments);
                chart.draw(&self.painter, &layout, picture)?;
                self.scalar_layout = Some(layout);
            }
        }
        Ok(())
    }

    fn report_failure(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.report(&error);
        }
    }

    /// The bar and the panes.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let preference = if self.options.is_dark {
            egui::Theme::Dark
        } else {
            egui::Theme::Light
        };
        ui.ctx().set_theme(preference);
        let before = (self.selection.clone(), self.options.clone());
        self.keys(ui.ctx());
        self.error_bar(ui);
        egui::Panel::top("bar").show(ui, |ui| self.bar(ui));
        egui::CentralPanel::default()
            .frame(egui::Frame::new().fill(ui.visuals().panel_fill))
            .show(ui, |ui| {
                if self.contents.is_none() && self.errors.is_empty() {
                    ui.centered_and_justified(|ui| {
                        ui.label("Preparing the run: reading its data and building kernels")
                    });
                    return;
                }
                let mut arrangement = std::mem::take(&mut self.arrangement);
                let chosen = arrangement.ui(ui, &mut |ui, pane| self.pane(ui, pane));
                self.arrangement = arrangement;
                if let Some((pane, wish)) = chosen {
                    self.grant(pane, wish, &ui.ctx().clone());
                }
            });
        super::keys::sheet(&ui.ctx().clone(), &mut self.is_help_open);
        self.play(ui.ctx());
        self.note_changes(&before.0, &before.1);
        self.remember(ui.ctx(), before.0);
        self.ask_for_frames(ui.ctx(), &before.1);
    }

    /// Keeps the selection that was left, once the pointer is up: a drag is one change.
    fn remember(&mut self, context: &egui::Context, before: Option<Selection>) {
        if std::mem::take(&mut self.is_undone) {
            context.request_repaint();
            return;
        }
        let is_settled = !context.input(|input| input.pointer.any_down()) && !self.is_playing;
        if let Some(before) = before.filter(|before| Some(before) != self.selection.as_ref())
            && is_settled
        {
            self.undo.left(before);
            context.request_repaint();
        }
    }

    fn ask_for_frames(&self, context: &egui::Context, options: &ViewOptions) {
        let is_stale = self.is_stale || self.are_scalars_stale || self.are_images_stale;
        let is_stale = is_stale || self.units.is_stale() || self.layers.is_stale();
        if is_stale || self.options != *options {
            // Pictures are drawn before a frame.
            context.request_repaint();
        }
        if let Some(delay) = self.due.delay(self.status().step) {
            context.request_repaint_after(delay);
        }
    }

    fn error_bar(&mut self, ui: &mut egui::Ui) {
        if self.errors.is_empty() {
            return;
        }
        let color = ui.visuals().error_fg_color;
        egui::Panel::top("errors").show(ui, |ui| {
            let mut is_closed = false;
            for error in &self.errors {
                ui.horizontal_wrapped(|ui| {
                    let close = ui.small_button("x").on_hover_text("Close");
                    is_closed |= close.clicked();
                    ui.colored_label(color, error);
                });
            }
            if is_closed {
                self.errors.clear();
            }
        });
    }

    fn pane(&mut self, ui: &mut egui::Ui, pane: Pane) {
        match pane {
            Pane::Run => scrolled(ui, |ui| self.run_pane(ui)),
            Pane::Explain => scrolled(ui, |ui| self.explain_pane(ui)),
            Pane::Credit => scrolled(ui, |ui| self.credit_pane(ui)),
            Pane::Unit => scrolled(ui, |ui| self.unit_pane(ui)),
            Pane::Snapshots => self.snapshots(ui),
            Pane::Layers => {
                if let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) {
                    self.layers.show(ui, contents, selection, &mut self.options);
                }
            }
            Pane::Units => {
                let size = ui.available_size();
                if let Some(selection) = &mut self.selection {
                    self.units.show(ui, size, selection);
                }
            }
            Pane::Images => self.image_pane(ui),
        }
    }

    fn snapshots(&mut self, ui: &mut egui::Ui) {
        let size = ui.available_size();
        let (response, is_resized) = self.scalar_tile.show(ui, size);
        self.are_scalars_stale |= is_resized;
        response.widget_info(|| {
            let name = self.options.group.unwrap_or("Scalars");
            egui::WidgetInfo::labeled(egui::Role::Image, true, name)
        });
        if let (Some(timed), Some(layout), Some(selection)) =
            (&self.scalars, &self.scalar_layout, &mut self.selection)
        {
            let steps = StepAxis {
                plot: layout.plot,
                axis: &timed.timeline.axis,
                scale_factor: self.scalar_tile.scale_factor(),
            };
            steps.choose(&response, selection);
            steps.mark(ui, &response, selection.cursor);
        }
    }

    fn explain_pane(&mut self, ui: &mut egui::Ui) {
        let explains =
            |request: &Request| matches!(request, Request::Explanation | Request::Trial(_));
        let is_busy = self.worker.is_any_pending(explains);
        let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) else {
            return;
        };
        match self.explain.show(ui, contents, selection, is_busy) {
            Some(Wish::Explain) => self.due.want(Request::Explanation),
            Some(Wish::Try(which)) => self.due.want(Request::Trial(which)),
            None => {}
        }
    }

    fn unit_pane(&mut self, ui: &mut egui::Ui) {
        let is_busy = self.worker.is_pending(Request::Unit);
        let recorded = Recorded {
            last: self.status().step,
            every: self.units.every(),
        };
        let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) else {
            return;
        };
        if self
            .unit_pane
            .show(ui, contents, selection, recorded, is_busy)
        {
            self.due.want(Request::Unit);
        }
    }

    fn credit_pane(&mut self, ui: &mut egui::Ui) {
        let is_busy = self.worker.is_pending(Request::Credit);
        let last = self.status().step;
        let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) else {
            return;
        };
        if self.walk.show(ui, contents, selection, last, is_busy) {
            self.due.want(Request::Credit);
        }
    }
}

/// The images of an earlier step, or those of now.
fn shown_images<'a>(past: Option<&'a PastStep>, now: Option<&'a Images>) -> Option<&'a Images> {
    past.and_then(|past| past.images.as_ref()).or(now)
}

/// Shows what may be higher or wider than the pane.
pub(super) fn scrolled<R>(ui: &mut egui::Ui, show: impl FnOnce(&mut egui::Ui) -> R) -> R {
    let area = egui::ScrollArea::vertical().auto_shrink(false);
    area.show(ui, show).inner
}
