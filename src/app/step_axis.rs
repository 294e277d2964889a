//! The training steps along the x-axis of a chart in the window: a cursor on one of them, which a person moves.

use crate::view::{Plot, Vec2};

/// The steps of a chart and where they are in its tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepAxis {
    pub plot: Plot,
    /// The step of the first column, and steps from one column to the next.
    pub first: u64,
    pub stride: u64,
    /// Pixels of the chart for each point of the window.
    pub scale_factor: f32,
}

impl StepAxis {
    /// The step under a point of the tile; `None` outside of the plot.
    fn step_at(&self, offset: egui::Vec2) -> Option<u64> {
        let pixel = Vec2::new(offset.x, offset.y) * self.scale_factor;
        let column = self.plot.to_data(pixel).x.round().max(0.0) as u64;
        let is_inside = self.plot.rect.contains(pixel);
        is_inside.then(|| self.first + column.min(self.plot.last.max(0.0) as u64) * self.stride)
    }

    /// Where a click leaves the cursor: on the step under it, or nowhere where it is there already.
    pub fn scrub(&self, response: &egui::Response, cursor: Option<u64>) -> Option<u64> {
        let is_moved = response.clicked() || response.drag_stopped();
        let at = response.interact_pointer_pos().filter(|_| is_moved);
        match at.and_then(|at| self.step_at(at - response.rect.min)) {
            Some(step) if Some(step) == cursor => None,
            Some(step) => Some(step),
            None => cursor,
        }
    }

    /// Draws the cursor, and says its step.
    pub fn mark(&self, ui: &egui::Ui, response: &egui::Response, cursor: Option<u64>) {
        let Some(step) = cursor.filter(|step| *step >= self.first) else {
            return;
        };
        let column = (step - self.first) as f32 / self.stride.max(1) as f32;
        if column > self.plot.last {
            return;
        }
        let x = response.rect.min.x + self.plot.to_pixel(column, 0.0).x / self.scale_factor;
        let rect = self.plot.rect;
        let top = response.rect.min.y + rect.top() / self.scale_factor;
        let bottom = response.rect.min.y + rect.bottom() / self.scale_factor;
        let color = ui.visuals().strong_text_color();
        ui.painter()
            .vline(x, top..=bottom, egui::Stroke::new(1.0, color));
        let font = egui::FontId::proportional(11.0);
        let at = egui::pos2(x + 3.0, top);
        ui.painter().text(
            at,
            egui::Align2::LEFT_TOP,
            format!("step {step}"),
            font,
            color,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Rect;

    #[test]
    fn a_point_of_the_plot_is_a_recorded_step() {
        let axis = StepAxis {
            plot: Plot::over(Rect::new(20.0, 10.0, 100.0, 50.0), 11),
            first: 100,
            stride: 5,
            scale_factor: 2.0,
        };
        // The plot is 10 to 60 points wide: its middle is column 5.
        assert_eq!(axis.step_at(egui::vec2(35.0, 20.0)), Some(125));
        assert_eq!(axis.step_at(egui::vec2(59.9, 20.0)), Some(150));
        assert_eq!(axis.step_at(egui::vec2(5.0, 20.0)), None);
    }
}
