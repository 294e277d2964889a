//! The time axis of a chart in the window: a cursor on one step, and a range that a person brushes.

use std::ops::Range;

use super::selection::Selection;
use crate::view::{Plot, TimeAxis, Vec2};

/// Pointers that move less than this far while pressed have clicked, in points.
const MIN_BRUSH: f32 = 6.0;

/// The columns of a chart and where they are in its tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepAxis<'a> {
    pub plot: Plot,
    pub axis: &'a TimeAxis,
    /// Pixels of the chart for each point of the window.
    pub scale_factor: f32,
}

impl StepAxis<'_> {
    /// The step under a point of the tile; `None` outside of the plot.
    fn step_at(&self, offset: egui::Vec2) -> Option<u64> {
        let pixel = Vec2::new(offset.x, offset.y) * self.scale_factor;
        let is_inside = self.plot.rect.contains(pixel);
        is_inside.then(|| self.nearest_step(offset))
    }

    /// The step nearest to a point of the tile.
    fn nearest_step(&self, offset: egui::Vec2) -> u64 {
        let pixel = Vec2::new(offset.x, offset.y) * self.scale_factor;
        self.axis.step_at(self.plot.to_data(pixel).x)
    }

    /// Where a step is along the tile; `None` outside of the plot.
    fn x_of(&self, step: u64) -> Option<f32> {
        let columns = self.axis.columns();
        let (first, last) = (columns.first()?.first, columns.last()?.last);
        (first..=last).contains(&step).then(|| {
            let column = self.axis.column_of(step) as f32;
            self.plot.to_pixel(column, 0.0).x / self.scale_factor
        })
    }

    /// A click puts the cursor on a step, or takes it away from there; a drag brushes a range, which all levels then show;
    /// a double click shows all steps again.
    pub fn choose(&self, response: &egui::Response, selection: &mut Selection) {
        if response.double_clicked() {
            selection.range = None;
            return;
        }
        if let Some(range) = self.brushed(response).filter(|_| response.drag_stopped()) {
            selection.range = Some(range);
        } else if response.clicked() {
            let at = response.interact_pointer_pos();
            if let Some(step) = at.and_then(|at| self.step_at(at - response.rect.min)) {
                let is_there = selection.cursor == Some(step);
                selection.cursor = (!is_there).then_some(step);
            }
        }
    }

    /// The range of steps that is being brushed.
    fn brushed(&self, response: &egui::Response) -> Option<Range<u64>> {
        if !response.dragged() && !response.drag_stopped() {
            return None;
        }
        let pointer = response.ctx.input(|input| {
            let pointer = &input.pointer;
            Some([pointer.press_origin()?, pointer.latest_pos()?])
        });
        let origin = response.rect.min;
        let id = response.id.with("brush");
        let ends = match pointer {
            Some(ends) => {
                response.ctx.data_mut(|data| data.insert_temp(id, ends));
                ends
            }
            // egui forgets where the press began with its release.
            None => response
                .ctx
                .data_mut(|data| data.remove_temp::<[egui::Pos2; 2]>(id))?,
        };
        let [from, to] = ends.map(|end| end - origin);
        if (to.x - from.x).abs() < MIN_BRUSH {
            return None;
        }
        let [from, to] = [from, to].map(|end| self.axis.column_of(self.nearest_step(end)));
        let columns = self.axis.columns();
        let (from, to) = (columns[from.min(to)], columns[from.max(to)]);
        (to.last > from.first).then_some(from.first..to.last + 1)
    }

    /// Draws the cursor, says its step, and shades what is being brushed.
    pub fn mark(&self, ui: &egui::Ui, response: &egui::Response, cursor: Option<u64>) {
        let rect = self.plot.rect;
        let top = response.rect.min.y + rect.top() / self.scale_factor;
        let bottom = response.rect.min.y + rect.bottom() / self.scale_factor;
        let painter = ui.painter().with_clip_rect(response.rect);
        if let Some(range) = self.brushed(response) {
            let ends = [range.start, range.end - 1].map(|step| self.x_of(step));
            if let [Some(from), Some(to)] = ends {
                let left = response.rect.min.x;
                let shade = egui::Rect::from_x_y_ranges(left + from..=left + to, top..=bottom);
                let color = ui.visuals().selection.bg_fill.gamma_multiply(0.35);
                painter.rect_filled(shade, 0.0, color);
            }
        }
        let Some((step, x)) = cursor.and_then(|step| Some((step, self.x_of(step)?))) else {
            return;
        };
        let x = response.rect.min.x + x;
        let color = ui.visuals().strong_text_color();
        painter.vline(x, top..=bottom, egui::Stroke::new(1.0, color));
        let font = egui::FontId::proportional(11.5);
        let text = format!("step {step}");
        let is_left = x + 80.0 > response.rect.max.x;
        let (at, align) = if is_left {
            (egui::pos2(x - 3.0, top), egui::Align2::RIGHT_TOP)
        } else {
            (egui::pos2(x + 3.0, top), egui::Align2::LEFT_TOP)
        };
        painter.text(at, align, text, font, color);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Rect, TimeScale};

    #[test]
    fn a_point_of_the_plot_is_a_recorded_step() {
        let steps: Vec<u64> = (0..11).map(|index| 100 + 5 * index).collect();
        let time = TimeAxis::new(TimeScale::Linear, &steps, &[]).unwrap();
        let axis = StepAxis {
            plot: Plot::over(Rect::new(20.0, 10.0, 100.0, 50.0), 11),
            axis: &time,
            scale_factor: 2.0,
        };
        // The plot is 10 to 60 points wide: its middle is column 5.
        let middle = axis.step_at(egui::vec2(35.0, 20.0)).unwrap();
        assert_eq!(time.column_of(middle), 5);
        assert_eq!(axis.step_at(egui::vec2(59.9, 20.0)), Some(150));
        assert_eq!(axis.step_at(egui::vec2(5.0, 20.0)), None);
        assert_eq!(axis.x_of(125), Some(35.0));
        assert_eq!(axis.x_of(99), None);
    }
}
