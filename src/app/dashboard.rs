//! What the window shows: charts of scalars and units, images, and the panel of controls.
//!
//! It asks the worker for data, draws what has come into the textures of its tiles, and never waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::controls;
use super::past::PastStep;
use super::preview::Images;
use super::selection::Selection;
use super::session::{Contents, Session};
use super::status::{Pacing, RunStatus};
use super::step_axis::StepAxis;
use super::surface::Surface;
use super::tile::Tile;
use super::unit_tile::UnitTile;
use super::view_options::ViewOptions;
use super::worker::Worker;
use crate::series::Scale;
use crate::view::{ChartLayout, Painter, SampledChart, ScalarChart, Theme};
use crate::{Error, Result};

/// While a run trains, its charts are computed again this often.
const REFRESH: Duration = Duration::from_millis(700);
/// Width of the panel of controls, in points.
const CONTROLS_WIDTH: f32 = 230.0;

/// What the worker is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Contents,
    Scalars,
    Units,
    Images,
    /// The run at an earlier step.
    Past,
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Prepared {
    Contents(Contents),
    Scalars(Option<ScalarChart>),
    Units(Option<Box<SampledChart>>),
    Images(Option<Images>),
    Past(Option<Box<PastStep>>),
}

pub(super) struct Dashboard {
    painter: Painter,
    worker: Worker<Session, Request, Prepared>,
    pacing: Arc<Mutex<Pacing>>,
    status: Arc<Mutex<RunStatus>>,
    contents: Option<Contents>,
    selection: Option<Selection>,
    options: ViewOptions,
    /// Requests that are due, and when and at which step the last round of them was made.
    due: Vec<Request>,
    asked_at: Instant,
    asked_step: Option<u64>,
    scalars: Option<ScalarChart>,
    scalar_tile: Tile,
    scalar_layout: Option<ChartLayout>,
    units: UnitTile,
    past: Option<Box<PastStep>>,
    tensor_tile: Tile,
    images: Option<Images>,
    image_tile: Tile,
    /// Why there are no images.
    no_images: Option<String>,
    is_stale: bool,
    /// Errors that the bar shows.
    errors: Vec<String>,
    /// What ended the run.
    failure: Option<Error>,
}

impl Dashboard {
    /// Shows what `worker` prepares.
    pub fn new(
        painter: Painter,
        units: UnitTile,
        worker: Worker<Session, Request, Prepared>,
        pacing: Arc<Mutex<Pacing>>,
        status: Arc<Mutex<RunStatus>>,
    ) -> Self {
        worker.submit(Request::Contents, |session, _| {
            Ok(Prepared::Contents(session.contents()))
        });
        Self {
            units,
            painter,
            worker,
            pacing,
            status,
            contents: None,
            selection: None,
            options: ViewOptions {
                group: None,
                scalar_scale: None,
                keep: 60,
                scale: Scale::Linear,
                is_dark: true,
                is_focused: true,
            },
            due: Vec::new(),
            asked_at: Instant::now(),
            asked_step: None,
            scalars: None,
            scalar_tile: Tile::default(),
            scalar_layout: None,
            past: None,
            tensor_tile: Tile::default(),
            images: None,
            image_tile: Tile::default(),
            no_images: None,
            is_stale: true,
            errors: Vec::new(),
            failure: None,
        }
    }

    /// Ends the worker: it saves what trains. Returns the run's directory.
    ///
    /// # Errors
    /// What ended the run before, or why it cannot be saved.
    pub fn close(self) -> Result<std::path::PathBuf> {
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
    pub fn update(&mut self, surface: &mut Surface) {
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
        self.draw(surface);
    }

    /// Shows an error in the bar at the top.
    pub fn report(&mut self, error: &Error) {
        let text = error.to_string();
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    fn take(&mut self, prepared: Prepared) {
        match prepared {
            Prepared::Contents(contents) => {
                self.options.group = contents.groups.first().map(|group| group.title);
                self.selection = Some(contents.selection.clone());
                self.contents = Some(contents);
                self.due = vec![Request::Scalars, Request::Units, Request::Images];
            }
            Prepared::Scalars(chart) => self.scalars = chart,
            Prepared::Units(chart) => self.units.set_chart(chart.map(|chart| *chart)),
            Prepared::Images(images) => {
                self.images = images;
                self.no_images = None;
            }
            Prepared::Past(past) => self.past = past,
        }
        self.is_stale = true;
    }

    fn status(&self) -> RunStatus {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Submits requests that are due to the worker; those whose kind is still being worked on stay due.
    pub fn ask(&mut self) {
        let step = self.status().step;
        let is_behind = self.asked_step.is_some_and(|asked| asked != step);
        if is_behind && self.asked_at.elapsed() >= REFRESH {
            self.due = vec![Request::Scalars, Request::Units, Request::Images];
        }
        let (Some(contents), Some(selection)) = (&self.contents, &self.selection) else {
            return;
        };
        let due = std::mem::take(&mut self.due);
        for request in due {
            if self.worker.is_pending(request) {
                self.due.push(request);
                continue;
            }
            self.asked_at = Instant::now();
            self.asked_step = Some(step);
            let failure = contents.failure.clone().filter(|_| self.options.is_focused);
            match request {
                Request::Contents => {}
                Request::Past => {
                    let Some(step) = selection.cursor else {
                        continue;
                    };
                    let selection = selection.clone();
                    self.worker.submit(request, move |session, progress| {
                        let past = session.past(step, &selection, progress)?;
                        Ok(Prepared::Past(past.map(Box::new)))
                    });
                }
                Request::Scalars => {
                    let group = self.options.group;
                    let group = contents
                        .groups
                        .iter()
                        .find(|other| Some(other.title) == group);
                    let scale = self.options.scalar_scale;
                    if let Some(group) = group.cloned() {
                        self.worker.submit(request, move |session, _| {
                            let chart = session.scalars(&group, scale, failure.as_ref());
                            chart.map(Prepared::Scalars)
                        });
                    }
                }
                Request::Units => {
                    let selection = selection.clone();
                    let (keep, scale) = (self.options.keep, self.options.scale);
                    self.worker.submit(request, move |session, progress| {
                        let chart =
                            session.units(&selection, keep, scale, failure.as_ref(), progress)?;
                        Ok(Prepared::Units(chart.map(Box::new)))
                    });
                }
                Request::Images => self.worker.submit(request, |session, progress| {
                    session.images(progress).map(Prepared::Images)
                }),
            }
        }
    }

    fn draw(&mut self, surface: &mut Surface) {
        let theme = if self.options.is_dark {
            Theme::dark()
        } else {
            Theme::light()
        };
        let theme = theme.scaled(surface.window.scale_factor() as f32);
        if std::mem::take(&mut self.is_stale) {
            self.units.invalidate();
            let drawn = self.draw_scalars(&theme);
            self.report_failure(drawn);
            let past = self.past.as_ref();
            let images = past.and_then(|past| past.images.as_ref());
            let drawn = match images.or(self.images.as_ref()) {
                Some(images) => images.draw(&self.painter, &theme, &mut self.image_tile),
                None => Ok(()),
            };
            let tensor = past.and_then(|past| past.tensor.as_ref());
            let drawn = drawn.and_then(|()| match tensor {
                Some(tensor) => tensor.draw(&self.painter, &theme, &mut self.tensor_tile),
                None => Ok(()),
            });
            self.report_failure(drawn);
            self.tensor_tile.register(surface);
            self.scalar_tile.register(surface);
            self.image_tile.register(surface);
        }
        if let Some(selection) = &self.selection {
            let drawn = self.units.update(&self.painter, &theme, selection, surface);
            self.report_failure(drawn);
        }
    }

    fn draw_scalars(&mut self, theme: &Theme) -> Result<()> {
        if let Some(chart) = &self.scalars
            && let Some(picture) = self.scalar_tile.target(self.painter.gpu(), theme)?
        {
            let chart = chart.chart();
            // A tile that is too small for a chart shows the last picture.
            if let Ok(layout) = chart.layout(picture.extent(), theme.scale_factor) {
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

    /// Panels and tiles.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let preference = if self.options.is_dark {
            egui::Theme::Dark
        } else {
            egui::Theme::Light
        };
        ui.ctx().set_theme(preference);
        let before = (self.selection.clone(), self.options.clone());
        self.error_bar(ui);
        egui::Panel::left("controls")
            .exact_size(CONTROLS_WIDTH)
            .show(ui, |ui| {
                egui::ScrollArea::vertical().show(ui, |ui| self.controls(ui));
            });
        egui::CentralPanel::default().show(ui, |ui| self.tiles(ui));
        self.note_changes(&before.0, &before.1);
        if self.is_stale || self.units.is_stale() || self.selection != before.0 {
            // Pictures are drawn before a frame.
            ui.ctx().request_repaint();
        }
        let status = self.status();
        if self.asked_step.is_some_and(|step| step != status.step) || !self.due.is_empty() {
            let rest = REFRESH.saturating_sub(self.asked_at.elapsed());
            ui.ctx()
                .request_repaint_after(rest.max(Duration::from_millis(20)));
        }
    }

    /// What was chosen since `selection` and `options` has to be computed or drawn.
    fn note_changes(&mut self, selection: &Option<Selection>, options: &ViewOptions) {
        let series = |selection: &Option<Selection>| selection.as_ref().map(Selection::series);
        let is_other = series(&self.selection) != series(selection);
        if is_other {
            // Whatever is on its way is of no use any more.
            self.worker.cancel(Request::Units);
        }
        let (keep, scale) = (options.keep, options.scale);
        if is_other || (self.options.keep, self.options.scale) != (keep, scale) {
            self.want(Request::Units);
        }
        if self.options.is_focused != options.is_focused {
            self.want(Request::Scalars);
            self.want(Request::Units);
        }
        let cursor = |selection: &Option<Selection>| selection.as_ref().and_then(|s| s.cursor);
        if cursor(&self.selection) != cursor(selection) || is_other {
            // The tensor of the step that is looked at is another one, too.
            self.worker.cancel(Request::Past);
            self.is_stale |= self.past.take().is_some();
            if cursor(&self.selection).is_some() {
                self.want(Request::Past);
            }
        }
        if (self.options.group, self.options.scalar_scale) != (options.group, options.scalar_scale)
        {
            self.want(Request::Scalars);
        }
        self.is_stale |= self.options.is_dark != options.is_dark;
    }

    fn want(&mut self, request: Request) {
        if !self.due.contains(&request) {
            self.due.push(request);
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
                    is_closed |= ui.small_button("x").clicked();
                    ui.colored_label(color, error);
                });
            }
            if is_closed {
                self.errors.clear();
            }
        });
    }

    fn controls(&mut self, ui: &mut egui::Ui) {
        let status = self.status();
        {
            let mut pacing = self.pacing.lock().unwrap_or_else(PoisonError::into_inner);
            controls::run(ui, &status, &mut pacing);
        }
        ui.separator();
        if let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) {
            controls::choices(ui, contents, selection, &mut self.options);
            controls::step(ui, &status, selection);
            ui.separator();
        }
        if self.worker.is_pending(Request::Past) && ui.small_button("Cancel the replay").clicked() {
            self.worker.cancel(Request::Past);
            if let Some(selection) = &mut self.selection {
                selection.cursor = None;
            }
        }
        controls::findings(ui, &status, self.worker.activity().as_deref());
    }

    fn tiles(&mut self, ui: &mut egui::Ui) {
        if self.contents.is_none() && self.errors.is_empty() {
            ui.centered_and_justified(|ui| {
                ui.label("Preparing the run: reading its data and building kernels");
            });
            return;
        }
        let size = ui.available_size();
        let gap = ui.spacing().item_spacing;
        let images = self.image_tile.size().unwrap_or_default();
        let has_images = self.images.is_some() && images.x > 0.0;
        // Images have their own size, where that leaves half of the window to the charts; else they are made smaller.
        let room = size * egui::vec2(0.5, 0.58) / images.max(egui::vec2(1.0, 1.0));
        let images = images * room.min_elem().min(1.0);
        let top = (size.y * 0.45).max(if has_images { images.y } else { 0.0 });
        let left = size.x - if has_images { images.x + gap.x } else { 0.0 };
        ui.horizontal_top(|ui| {
            ui.set_height(top);
            let (response, is_resized) = self.scalar_tile.show(ui, egui::vec2(left, top));
            self.is_stale |= is_resized;
            if let (Some(chart), Some(layout), Some(selection)) =
                (&self.scalars, &self.scalar_layout, &mut self.selection)
            {
                let steps = StepAxis {
                    plot: layout.plot,
                    first: chart.caption().first_step,
                    stride: chart.caption().stride,
                    scale_factor: self.scalar_tile.scale_factor(),
                };
                selection.cursor = steps.scrub(&response, selection.cursor);
                steps.mark(ui, &response, selection.cursor);
            }
            if has_images {
                self.image_tile.show_fitted(ui, images);
            }
        });
        let mut rest = size.y - top - gap.y;
        if let Some(text) = &self.no_images {
            let label = ui.label(egui::RichText::new(format!("No images: {text}")).weak());
            rest -= label.rect.height() + gap.y;
        }
        let Some(selection) = &mut self.selection else {
            return;
        };
        let tensor = self.past.as_ref().and_then(|past| past.tensor.as_ref());
        let tensor = tensor.and_then(|_| self.tensor_tile.size());
        let room = egui::vec2(size.x * 0.4, rest);
        let tensor = tensor.map(|size| size * (room / size).min_elem().min(1.0));
        let width = size.x - tensor.map_or(0.0, |size| size.x + gap.x);
        ui.horizontal_top(|ui| {
            self.units.show(ui, egui::vec2(width, rest), selection);
            if let Some(size) = tensor {
                self.tensor_tile.show_fitted(ui, size);
            }
        });
    }
}
