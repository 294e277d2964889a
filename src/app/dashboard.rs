//! What the window shows and how a person steers it.

use std::time::{Duration, Instant};

use super::history::{History, Scalar};
use super::session::Session;
use super::surface::Surface;
use crate::Result;
use crate::gpu::Gpu;
use crate::nn::Role;
use crate::sample::{Budget, SampleOptions, Scale, ValueScale, sample};
use crate::tensor::TensorKind;
use crate::trace::Statistic;
use crate::view::{
    ImageGrid, ImageRow, Kept, LineChart, Lines, Painter, Picture, ScalarGroup, Series,
    SeriesChart, Theme, scalar_groups,
};

/// Pictures are drawn anew this often while a run trains.
const REFRESH: Duration = Duration::from_millis(700);

/// Text below the usual size, in points.
const SMALL: f32 = 11.5;

/// A texture that egui shows, and the size in points it was drawn for.
#[derive(Default)]
struct Tile {
    picture: Option<Picture>,
    id: Option<egui::TextureId>,
    wanted: egui::Vec2,
}

pub(super) struct Dashboard {
    painter: Painter,
    dark: bool,
    /// Place of the chosen tensor in the layout, and the chosen statistic.
    entry: usize,
    statistic: Statistic,
    keep: usize,
    scale: Scale,
    /// The charts that scalars make, and the one that is chosen.
    groups: Vec<ScalarGroup>,
    group: usize,
    scalars: Tile,
    series: Tile,
    images: Tile,
    /// Something was chosen that the pictures do not show yet.
    changed: bool,
    drawn_at: Option<Instant>,
    drawn_steps: usize,
}

impl Dashboard {
    pub fn new(gpu: &Gpu, session: &Session) -> Result<Self> {
        // The heads of the latent space first, where there are some: that is where generative models fail.
        let model = session.trainer().describe();
        let entries = session.history.layout.entries();
        let entry = model
            .with_role(Role::LatentMean)
            .and_then(|latent| {
                entries
                    .iter()
                    .position(|e| e.tensor == latent.name && e.kind == TensorKind::Activation)
            })
            .unwrap_or(0);
        Ok(Self {
            painter: Painter::new(gpu),
            dark: true,
            entry,
            statistic: Statistic::Mean,
            keep: 60,
            scale: Scale::Linear,
            groups: scalar_groups(&session.history.names),
            group: 0,
            scalars: Tile::default(),
            series: Tile::default(),
            images: Tile::default(),
            changed: true,
            drawn_at: None,
            drawn_steps: 0,
        })
    }

    /// Whether the pictures lag behind what was chosen or how large the window is.
    pub fn is_stale(&self) -> bool {
        self.changed
    }

    /// Draws the pictures anew where something has changed or enough time has gone by.
    pub fn refresh(&mut self, surface: &mut Surface, session: &Session) -> Result<()> {
        let scalars = &session.history.scalars;
        let steps = scalars.first().map_or(0, |loss| loss.values.len());
        let due = self.drawn_at.is_none_or(|at| at.elapsed() > REFRESH);
        if !self.changed && (!due || steps == self.drawn_steps) {
            return Ok(());
        }
        let theme = if self.dark {
            Theme::dark()
        } else {
            Theme::light()
        };
        let theme = theme.scaled(surface.window.scale_factor() as f32);
        self.draw_scalars(&session.history, &theme)?;
        self.draw_series(&session.history, &theme)?;
        self.draw_images(session, &theme)?;
        for tile in [&mut self.scalars, &mut self.series, &mut self.images] {
            if let Some(picture) = &tile.picture {
                tile.id = Some(surface.show_texture(picture.texture(), tile.id));
            }
        }
        self.changed = false;
        self.drawn_at = Some(Instant::now());
        self.drawn_steps = steps;
        Ok(())
    }

    fn draw_scalars(&mut self, history: &History, theme: &Theme) -> Result<()> {
        let Some(group) = self.groups.get(self.group) else {
            return Ok(());
        };
        let scalar = |place: &usize| &history.scalars[*place];
        let scalars: Vec<&Scalar> = group.members.iter().map(scalar).collect();
        let Some(first) = scalars.first().filter(|first| !first.values.is_empty()) else {
            return Ok(());
        };
        let series: Vec<Series<'_>> = group
            .labels
            .iter()
            .zip(&scalars)
            .map(|(name, scalar)| Series {
                name,
                values: &scalar.values,
            })
            .collect();
        let chart = LineChart {
            title: group.title,
            note: "",
            x_title: "training step",
            y_title: group.y_title,
            first_step: first.first_step,
            stride: first.stride.max(1),
            series: &series,
            scale: Scale::Symlog,
            smooth: 20,
        };
        if let Some(picture) = self.scalars.picture_for(self.painter.gpu(), theme)? {
            chart.draw(&self.painter, picture)?;
        }
        Ok(())
    }

    fn draw_series(&mut self, history: &History, theme: &Theme) -> Result<()> {
        let entry = &history.layout.entries()[self.entry];
        let Some(matrix) = history
            .series(entry, self.statistic)
            .filter(|matrix| matrix.steps >= 2)
        else {
            return Ok(());
        };
        let gpu = self.painter.gpu().clone();
        let value_scale = ValueScale::fit(self.scale, &matrix.values);
        let values = gpu.upload("series", &matrix.values)?;
        let options = SampleOptions {
            budget: Budget::Keep(self.keep.min(matrix.units)),
            ..SampleOptions::default()
        };
        let kept = sample(
            &gpu,
            &values,
            matrix.units,
            matrix.steps,
            value_scale,
            &options,
        )?;
        let title = format!(
            "{} of {} {}",
            self.statistic.label(),
            entry.tensor,
            entry.kind.name()
        );
        let note = format!(
            "{} of {} units; each of the others stays within {:.3} of the chart's height of one of them",
            kept.kept.len(),
            matrix.units,
            kept.radius
        );
        let chart = SeriesChart {
            title: &title,
            note: &note,
            x_title: "training step",
            y_title: self.statistic.label(),
            first_step: matrix.first_step,
            stride: matrix.stride,
            lines: Lines {
                values: &values,
                lines: matrix.units,
                steps: matrix.steps,
                scale: value_scale,
            },
            kept: Some(Kept {
                lines: &kept.kept,
                counts: &kept.counts,
            }),
            density: true,
            nonfinite: kept.nonfinite,
        };
        if let Some(picture) = self.series.picture_for(&gpu, theme)? {
            chart.draw(&self.painter, picture)?;
        }
        Ok(())
    }

    fn draw_images(&mut self, session: &Session, theme: &Theme) -> Result<()> {
        let Some(gallery) = &session.gallery else {
            return Ok(());
        };
        gallery.refresh(self.painter.gpu());
        let [channels, height, width] = gallery.shape;
        let row = |label, images| ImageRow {
            label,
            images,
            logits: false,
        };
        let mut rows = Vec::new();
        if let Some([inputs, outputs]) = &gallery.reconstructions {
            rows.extend([row("input", inputs), row("output", outputs)]);
        }
        rows.push(row("sample", &gallery.samples));
        let grid = ImageGrid {
            title: if rows.len() > 1 {
                "Inputs, reconstructions, samples"
            } else {
                "Samples"
            },
            note: "",
            rows: &rows,
            count: gallery.count,
            channels,
            height,
            width,
            // A column a class where the model knows classes.
            columns: if gallery.classes > 1 {
                gallery.classes
            } else {
                8
            },
            zoom: 1,
        };
        self.images.picture = Some(grid.picture(&self.painter, theme)?);
        Ok(())
    }

    /// Panels and tiles.
    pub fn ui(&mut self, ui: &mut egui::Ui, session: &mut Session) {
        let preference = if self.dark {
            egui::Theme::Dark
        } else {
            egui::Theme::Light
        };
        ui.ctx().set_theme(preference);
        egui::Panel::left("controls")
            .exact_size(230.0)
            .show(ui, |ui| {
                egui::ScrollArea::vertical().show(ui, |ui| self.controls(ui, session));
            });
        egui::CentralPanel::default().show(ui, |ui| {
            let size = ui.available_size();
            let gap = ui.spacing().item_spacing;
            let images = self.images.size().map_or(0.0, |size| size.x + gap.x);
            let top = (size.y * 0.45)
                .max(self.images.size().map_or(0.0, |size| size.y))
                .min(size.y * 0.6);
            let scalars = egui::vec2(size.x - images, top);
            let series = egui::vec2(size.x, size.y - top - gap.y);
            ui.horizontal_top(|ui| {
                ui.set_height(top);
                self.changed |= self.scalars.show(ui, scalars);
                if let (Some(size), Some(id)) = (self.images.size(), self.images.id) {
                    ui.image(egui::load::SizedTexture::new(id, size));
                }
            });
            self.changed |= self.series.show(ui, series);
        });
    }

    fn controls(&mut self, ui: &mut egui::Ui, session: &mut Session) {
        let trainer = session.trainer();
        ui.add_space(6.0);
        ui.heading(&trainer.scenario().name);
        ui.label(format!(
            "{}, step {} of {}",
            session.status(),
            trainer.steps_done(),
            trainer.scenario().train.steps
        ));
        ui.label(
            egui::RichText::new(session.dir().display().to_string())
                .size(SMALL)
                .weak(),
        );
        if session.is_training() {
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                let label = if session.paused { "Go on" } else { "Pause" };
                if ui.button(label).clicked() {
                    session.paused = !session.paused;
                }
                if ui.button("One step").clicked() {
                    session.step_once();
                }
            });
            ui.label("Steps a second, at most");
            let mut unlimited = session.speed.is_infinite();
            ui.horizontal(|ui| {
                let mut speed = if unlimited { 100.0 } else { session.speed };
                let slider = egui::Slider::new(&mut speed, 1.0..=100.0).logarithmic(true);
                ui.add_enabled(!unlimited, slider);
                ui.checkbox(&mut unlimited, "all");
                session.speed = if unlimited { f32::INFINITY } else { speed };
            });
        }
        ui.separator();
        let before = self.group;
        ui.label("Scalars");
        egui::ComboBox::from_id_salt("scalars")
            .selected_text(self.groups.get(self.group).map_or("", |group| group.title))
            .width(200.0)
            .show_ui(ui, |ui| {
                for (place, group) in self.groups.iter().enumerate() {
                    ui.selectable_value(&mut self.group, place, group.title);
                }
            });
        self.changed |= before != self.group;
        ui.label("Units of");
        let entries = session.history.layout.entries();
        let name =
            |place: usize| format!("{} {}", entries[place].tensor, entries[place].kind.name());
        let before = (self.entry, self.statistic, self.keep, self.scale, self.dark);
        egui::ComboBox::from_id_salt("tensor")
            .selected_text(name(self.entry))
            .width(200.0)
            .show_ui(ui, |ui| {
                for place in 0..entries.len() {
                    ui.selectable_value(&mut self.entry, place, name(place));
                }
            });
        egui::ComboBox::from_id_salt("statistic")
            .selected_text(self.statistic.label())
            .width(200.0)
            .show_ui(ui, |ui| {
                for statistic in Statistic::ALL {
                    ui.selectable_value(&mut self.statistic, statistic, statistic.label());
                }
            });
        ui.label("Lines drawn");
        ui.add(egui::Slider::new(&mut self.keep, 5..=300).logarithmic(true));
        ui.horizontal(|ui| {
            ui.selectable_value(&mut self.scale, Scale::Linear, "linear");
            ui.selectable_value(&mut self.scale, Scale::Symlog, "symlog");
        });
        ui.horizontal(|ui| {
            ui.selectable_value(&mut self.dark, true, "dark");
            ui.selectable_value(&mut self.dark, false, "light");
        });
        self.changed |= before != (self.entry, self.statistic, self.keep, self.scale, self.dark);
        ui.separator();
        ui.label(format!("Events: {}", session.events().len()));
        for event in session.events().iter().rev().take(40) {
            let line = format!("{}: {} {}", event.step, event.kind, event.subject);
            ui.label(egui::RichText::new(line).size(SMALL));
        }
        if session.history.recorded() < 2 {
            ui.label("Units appear after the second recorded step.");
        }
    }
}

impl Tile {
    /// A picture of the size that the tile has in the window; `None` while that is not known.
    fn picture_for(&mut self, gpu: &Gpu, theme: &Theme) -> Result<Option<&Picture>> {
        if self.wanted.x < 160.0 || self.wanted.y < 120.0 {
            return Ok(None);
        }
        self.picture = Some(Picture::new(gpu, self.wanted.x, self.wanted.y, theme)?);
        Ok(self.picture.as_ref())
    }

    /// Shows the picture in `size` points; `true` when it was drawn for another size.
    fn show(&mut self, ui: &mut egui::Ui, size: egui::Vec2) -> bool {
        let size = size.floor().max(egui::vec2(1.0, 1.0));
        match (self.id, &self.picture) {
            (Some(id), Some(_)) => {
                ui.image(egui::load::SizedTexture::new(id, size));
            }
            _ => {
                ui.allocate_space(size);
            }
        }
        let changed = (size - self.wanted).abs().max_elem() >= 1.0;
        self.wanted = size;
        changed
    }

    /// The picture's own size in points.
    fn size(&self) -> Option<egui::Vec2> {
        self.picture.as_ref().map(|picture| {
            let [width, height] = picture.size();
            let points = picture.theme().scale_factor;
            egui::vec2(width as f32 / points, height as f32 / points)
        })
    }
}
