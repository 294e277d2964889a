//! What the model makes, and the tensor of the step that is looked at; samples of the probe batch are pinned here and in the
//! lines of single samples.

use super::dashboard::{Dashboard, scrolled};
use super::tile::Tile;

impl Dashboard {
    /// Both, as large as there is room.
    pub(super) fn image_pane(&mut self, ui: &mut egui::Ui) {
        if let Some(text) = &self.no_images {
            ui.weak(format!("No images: {text}"));
        }
        let past = self.past.as_ref();
        let has_tensor = past.is_some_and(|past| past.tensor.is_some());
        let has_images = self.shown_images().is_some();
        if !has_tensor && !has_images && self.no_images.is_none() {
            ui.weak("This model makes no images. Choose a step to see a tensor of it.");
        }
        let toggled = scrolled(ui, |ui| {
            if has_tensor {
                self.tensor_tile.show_within(ui);
            }
            has_images.then(|| self.samples(ui)).flatten()
        });
        if let (Some(sample), Some(selection)) = (toggled, &mut self.selection) {
            selection.toggle_sample(sample);
        }
    }

    /// The images, with a frame around the pinned sample; returns the sample that was clicked.
    fn samples(&self, ui: &mut egui::Ui) -> Option<u32> {
        let tile: &Tile = &self.image_tile;
        let pinned = self
            .selection
            .as_ref()
            .and_then(|selection| selection.sample);
        let images = self.shown_images()?;
        if let Some(sample) = pinned.filter(|sample| *sample as usize >= images.count()) {
            ui.weak(format!(
                "Sample {sample} is pinned; the first {} are shown.",
                images.count()
            ));
        }
        let shown = tile.show_within(ui)?;
        let fitted = shown.rect.width() / tile.size()?.x;
        let theme = self.theme().scaled(tile.scale_factor());
        let mut clicked = None;
        for sample in 0..images.count() {
            for (row, place) in images.places_of(sample, &theme).into_iter().enumerate() {
                let min = shown.rect.min + fitted * egui::vec2(place.left(), place.top());
                let size = fitted * egui::vec2(place.size.x, place.size.y);
                let rect = egui::Rect::from_min_size(min, size);
                let id = ui.scope_id().with(("sample", sample, row));
                let response = ui.interact(rect, id, egui::Sense::click());
                let name = ["Input of sample", "Reconstruction of sample"][row];
                let name = format!("{name} {sample}");
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
                if pinned == Some(sample as u32) {
                    let stroke = egui::Stroke::new(2.0, ui.visuals().warn_fg_color);
                    let outside = egui::StrokeKind::Outside;
                    ui.painter().rect_stroke(rect, 0.0, stroke, outside);
                }
                if response.on_hover_text(name).clicked() {
                    clicked = Some(sample as u32);
                }
            }
        }
        clicked
    }
}
