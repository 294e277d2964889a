//! The chart of units: drawn from data that stays on the GPU, with the line under the pointer highlighted.

use super::jobs::Timed;
use super::screen::Screen;
use super::selection::Selection;
use super::step_axis::StepAxis;
use super::tile::Tile;
use super::unit_lines::UnitLines;
use crate::Result;
use crate::gpu::Gpu;
use crate::number::short;
use crate::train::ProbeLines;
use crate::view::{ChartLayout, Painter, Picked, Picker, Picture, SampledChart, Theme, Vec2};

/// Lines farther away from the pointer are not picked, in points.
const REACH: f32 = 24.0;
/// While an answer of the picker is on its way, the window looks for it this often.
const PICK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(10);

/// The chart, and what is under the pointer.
#[derive(Debug)]
pub(super) struct UnitTile {
    tile: Tile,
    /// The chart without highlighted lines, as it is and faded, each from when it is first needed.
    grounds: [Option<Picture>; 2],
    chart: Option<Timed<SampledChart>>,
    /// Which values the lines follow, where they are no units.
    probe: Option<ProbeLines>,
    /// The distance of recorded steps.
    every: u64,
    layout: Option<ChartLayout>,
    picker: Picker,
    /// The pixel that was asked for last.
    asked: Option<Vec2>,
    hovered: Option<Picked>,
    /// The picture does not show the data, size or highlighted lines of now.
    is_stale: bool,
    highlighted: Vec<u32>,
}

impl UnitTile {
    /// # Errors
    /// The adapter has no room for a few bytes.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            tile: Tile::default(),
            grounds: [None, None],
            chart: None,
            probe: None,
            every: 1,
            layout: None,
            picker: Picker::new(gpu)?,
            asked: None,
            hovered: None,
            is_stale: true,
            highlighted: Vec::new(),
        })
    }

    /// Shows other lines from now on.
    pub fn set_lines(&mut self, lines: Option<UnitLines>) {
        (self.chart, self.probe) = (None, None);
        if let Some(lines) = lines {
            (self.chart, self.probe) = (Some(lines.chart), lines.probe);
            self.every = lines.every;
        }
        self.asked = None;
        self.is_stale = true;
    }

    /// The picture has to be drawn again, such as in another theme.
    pub fn invalidate(&mut self) {
        self.is_stale = true;
    }

    /// Whether the picture has to be drawn again.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Takes the picker's answers, and draws the picture where something has changed. Units that are `lit` elsewhere are
    /// highlighted here, too.
    ///
    /// # Errors
    /// The device was lost, or the adapter has no room for the density image.
    pub fn update(
        &mut self,
        painter: &Painter,
        theme: &Theme,
        selection: &Selection,
        lit: &[usize],
        screen: &mut dyn Screen,
    ) -> Result<()> {
        while let Some(answer) = self.picker.take()? {
            if self.asked.is_some() {
                self.hovered = answer.picked;
            }
        }
        let lines = self
            .chart
            .as_ref()
            .map_or(0, |timed| timed.chart.data().series().lines() as u32);
        let hovered = self.hovered.map(|picked| picked.line);
        let mut units = selection.units.clone();
        units.extend(lit.iter().map(|unit| *unit as u32));
        let mut highlighted = self.lines_of(&units, selection.sample);
        highlighted.extend(hovered.filter(|line| !highlighted.contains(line)));
        highlighted.retain(|line| *line < lines);
        if !self.is_stale && highlighted == self.highlighted {
            return Ok(());
        }
        if std::mem::take(&mut self.is_stale) {
            self.grounds = [None, None];
        }
        let (Some(chart), Some(picture)) = (&self.chart, self.tile.target(painter.gpu(), theme)?)
        else {
            return Ok(());
        };
        let timeline = &chart.timeline;
        let chart = chart.chart.chart();
        let layout = chart.layout(picture.extent(), theme.scale_factor).ok();
        let layout = layout.map(|layout| layout.with_time(&timeline.axis, &timeline.moments));
        if layout != self.layout {
            self.grounds = [None, None];
            // What was picked is somewhere else now: to be asked again.
            self.asked = None;
        }
        self.layout = layout;
        // A tile that is too small for a chart shows the last picture.
        if let Some(layout) = &self.layout {
            let is_faded = !highlighted.is_empty();
            let ground = match &mut self.grounds[usize::from(is_faded)] {
                Some(ground) => ground,
                none => {
                    let ground = picture.alike(painter.gpu());
                    chart.draw_ground(painter, layout, is_faded, &ground)?;
                    none.insert(ground)
                }
            };
            chart.draw_over(painter, layout, &highlighted, ground, picture)?;
            self.highlighted = highlighted;
        }
        self.tile.register(screen);
        Ok(())
    }

    /// Shows the chart in `size` points, and reads out the line under the pointer. A click pins its unit.
    pub fn show(&mut self, ui: &mut egui::Ui, size: egui::Vec2, selection: &mut Selection) {
        let (response, is_resized) = self.tile.show(ui, size);
        self.is_stale |= is_resized;
        if self.chart.is_none() {
            let text = "Units appear after the second recorded step.";
            let font = egui::FontId::proportional(14.0);
            let color = ui.visuals().weak_text_color();
            let align = egui::Align2::CENTER_CENTER;
            ui.painter()
                .text(response.rect.center(), align, text, font, color);
            return;
        }
        if let (Some(chart), Some(layout)) = (&self.chart, &self.layout) {
            let steps = StepAxis {
                plot: layout.plot,
                axis: &chart.timeline.axis,
                scale_factor: self.tile.scale_factor(),
            };
            steps.mark(ui, &response, selection.cursor);
            if response.double_clicked() || response.drag_stopped() {
                steps.choose(&response, selection);
            }
        }
        self.follow(&response);
        if !self.picker.is_idle() {
            ui.ctx().request_repaint_after(PICK_INTERVAL);
        }
        let Some(hovered) = self.hovered else {
            return;
        };
        self.read_out(ui, &response, hovered);
        if response.clicked() {
            let step = self.step_of(hovered);
            match &self.probe {
                Some(probe) => {
                    let line = probe.line(hovered.line as usize);
                    selection.toggle_value(line.sample as u32, line.unit as u32, step);
                }
                None => selection.toggle(hovered.line, step),
            }
        }
    }

    /// The lines of pinned units: of single values those that are drawn, and of the pinned sample where there is one.
    pub fn pinned(&self, selection: &Selection) -> Vec<u32> {
        self.lines_of(&selection.units, selection.sample)
    }

    /// The lines of some units: of single values those that are drawn, of one sample where that is named.
    fn lines_of(&self, units: &[u32], sample: Option<u32>) -> Vec<u32> {
        let (Some(probe), Some(timed)) = (&self.probe, &self.chart) else {
            return units.to_vec();
        };
        let kept = timed.chart.sample().kept.iter().copied();
        let is_wanted = |line: &u32| {
            let line = probe.line(*line as usize);
            let is_of_unit = units.contains(&(line.unit as u32));
            match sample {
                // A sample alone shows all that is its own.
                Some(sample) => line.sample == sample as usize && (is_of_unit || units.is_empty()),
                None => is_of_unit,
            }
        };
        kept.filter(is_wanted).collect()
    }

    /// The unit whose line is pointed at.
    pub fn hovered_unit(&self) -> Option<u32> {
        let line = self.hovered?.line;
        Some(match &self.probe {
            Some(probe) => probe.line(line as usize).unit as u32,
            None => line,
        })
    }

    /// Whether lines are single values, and not statistics of units.
    pub fn is_of_single_values(&self) -> bool {
        self.probe.is_some()
    }

    /// The steps of single values.
    pub fn single_steps(&self) -> Option<std::ops::Range<u64>> {
        let timed = self.chart.as_ref().filter(|_| self.probe.is_some())?;
        let [first, last] = timed.timeline.ends();
        Some(first..last + 1)
    }

    /// The distance of the records that the lines are made from, in steps.
    pub fn every(&self) -> u64 {
        self.every
    }

    /// What a line is of.
    pub fn name(&self, line: usize) -> String {
        if let Some(probe) = &self.probe {
            return probe.line(line).to_string();
        }
        let series = self.chart.as_ref().map(|timed| timed.chart.data().series());
        let unit = series.and_then(|series| series.unit(line));
        unit.map_or(format!("line {line}"), |unit| format!("unit {}", unit.unit))
    }

    /// The chart, to be exported.
    pub fn chart(&self) -> Option<&Timed<SampledChart>> {
        self.chart.as_ref()
    }

    /// Asks for the line under the pointer, where that has moved.
    fn follow(&mut self, response: &egui::Response) {
        let (Some(chart), Some(layout)) = (&self.chart, &self.layout) else {
            return;
        };
        let scale_factor = self.tile.scale_factor();
        let at = response.hover_pos().map(|position| {
            let offset = (position - response.rect.min) * scale_factor;
            Vec2::new(offset.x, offset.y)
        });
        let Some(at) = at.filter(|at| layout.plot.rect.contains(*at)) else {
            self.asked = None;
            self.hovered = None;
            return;
        };
        let reach = REACH * scale_factor;
        if self.asked != Some(at)
            && self
                .picker
                .request(chart.chart.data(), &layout.plot, at, reach)
        {
            self.asked = Some(at);
        }
    }

    /// The training step of what was picked.
    fn step_of(&self, picked: Picked) -> u64 {
        let chart = self.chart.as_ref();
        chart.map_or(0, |timed| timed.timeline.axis.step_at(picked.step as f32))
    }

    /// A dot on the picked value, and what it is next to the pointer.
    fn read_out(&self, ui: &egui::Ui, response: &egui::Response, picked: Picked) {
        let (Some(chart), Some(layout)) = (&self.chart, &self.layout) else {
            return;
        };
        let series = chart.chart.data().series();
        let height = series.scale().height(picked.value);
        let at = layout.plot.to_pixel(picked.step as f32, height) / self.tile.scale_factor();
        let center = response.rect.min + egui::vec2(at.x, at.y);
        let color = ui.visuals().strong_text_color();
        ui.painter().circle_filled(center, 3.5, color);
        let Some(unit) = series.unit(picked.line as usize) else {
            return;
        };
        let text = format!(
            "{} {}, {}\nstep {}: {}",
            unit.tensor,
            unit.kind.name(),
            self.name(picked.line as usize),
            self.step_of(picked),
            short(series.value(picked.value))
        );
        egui::Tooltip::always_open(
            ui.ctx().clone(),
            ui.layer_id(),
            response.id,
            egui::PopupAnchor::Pointer,
        )
        .gap(12.0)
        .show(|ui| ui.label(text));
    }
}
