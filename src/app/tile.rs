//! A picture in the window: a texture that is kept as long as its size stays.

use egui::emath::GuiRounding as _;

use super::screen::Screen;
use crate::Result;
use crate::gpu::Gpu;
use crate::view::{Picture, Theme};

/// Sizes in points below which nothing is drawn.
const MIN_SIZE: egui::Vec2 = egui::vec2(160.0, 120.0);

/// A texture that egui shows, and the size in points that it has in the window.
#[derive(Debug, Default)]
pub(super) struct Tile {
    picture: Option<Picture>,
    id: Option<egui::TextureId>,
    /// Whether egui does not know the texture yet.
    is_unregistered: bool,
    wanted: egui::Vec2,
}

impl Tile {
    /// A picture of the size that the tile has in the window; `None` while that is unknown or too small.
    ///
    /// # Errors
    /// A size beyond the adapter's textures.
    pub fn target(&mut self, gpu: &Gpu, theme: &Theme) -> Result<Option<&Picture>> {
        if self.wanted.x < MIN_SIZE.x || self.wanted.y < MIN_SIZE.y {
            return Ok(None);
        }
        self.target_of(gpu, [self.wanted.x, self.wanted.y], theme)
            .map(Some)
    }

    /// A picture of `size` points: the one that is shown, where its size is the same.
    ///
    /// # Errors
    /// A size beyond the adapter's textures.
    pub fn target_of(&mut self, gpu: &Gpu, size: [f32; 2], theme: &Theme) -> Result<&Picture> {
        let pixels = size.map(|points| theme.px(points).round() as u32);
        let picture = match self.picture.take() {
            Some(picture) if picture.size() == pixels => picture.with_theme(theme),
            _ => {
                self.is_unregistered = true;
                Picture::new(gpu, size[0], size[1], theme)?
            }
        };
        Ok(self.picture.insert(picture))
    }

    /// Shows a new texture to egui, or that a kept one has been drawn again.
    pub fn register(&mut self, screen: &mut dyn Screen) {
        if let Some(picture) = self.picture.as_ref().filter(|_| self.is_unregistered) {
            self.id = Some(screen.show_texture(picture.texture(), self.id));
            self.is_unregistered = false;
        } else if let Some(id) = self.id {
            screen.renew(id);
        }
    }

    /// Shows the picture in `size` points. The second value is `true` when it was drawn for another size.
    pub fn show(&mut self, ui: &mut egui::Ui, size: egui::Vec2) -> (egui::Response, bool) {
        let size = size.floor().max(egui::vec2(1.0, 1.0));
        let (rect, response) = ui.allocate_exact_size(size, egui::Sense::click_and_drag());
        if let (Some(id), Some(shown)) = (self.id, self.size()) {
            // Between a change of the size and the next picture, the old one keeps its own.
            let scale = ui.pixels_per_point();
            let clip = rect.round_to_pixels(scale);
            // On whole pixels each of the picture is one of the window, and covers what is below it.
            let rect = egui::Rect::from_min_size(clip.min, shown);
            let whole = egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
            ui.painter()
                .with_clip_rect(clip)
                .image(id, rect, whole, egui::Color32::WHITE);
        }
        let is_resized = (size - self.wanted).abs().max_elem() >= 1.0;
        self.wanted = size;
        (response, is_resized)
    }

    /// Shows the whole picture in `size` points, smaller or larger than it is.
    pub fn show_fitted(&self, ui: &mut egui::Ui, size: egui::Vec2) -> Option<egui::Response> {
        let id = self.id?;
        Some(ui.image(egui::load::SizedTexture::new(id, size)))
    }

    /// Shows the whole picture, smaller than it is where there is less room.
    pub fn show_within(&self, ui: &mut egui::Ui) -> Option<egui::Response> {
        let size = self.size()?;
        let fitted = (ui.available_width() / size.x).min(1.0);
        self.show_fitted(ui, size * fitted)
    }

    /// Hands the picture over.
    pub fn take(&mut self) -> Option<Picture> {
        self.picture.take()
    }

    /// The size of the picture in points.
    pub fn size(&self) -> Option<egui::Vec2> {
        self.picture.as_ref().map(|picture| {
            let [width, height] = picture.size().map(|side| side as f32);
            egui::vec2(width, height) / picture.theme().scale_factor
        })
    }

    /// Pixels of the picture for each point of the window.
    pub fn scale_factor(&self) -> f32 {
        self.picture
            .as_ref()
            .map_or(1.0, |picture| picture.theme().scale_factor)
    }
}

/// A picture of a size of its own, which is drawn again where it shows something else.
#[derive(Debug, Default)]
pub(super) struct PictureTile {
    tile: Tile,
    is_stale: bool,
}

impl PictureTile {
    /// The picture has to be drawn again, such as in another theme.
    pub fn invalidate(&mut self) {
        self.is_stale = true;
    }

    /// Draws the picture where that is due; without one there is nothing to show.
    ///
    /// # Errors
    /// As `draw`.
    pub fn update(
        &mut self,
        screen: &mut dyn Screen,
        draw: impl FnOnce() -> Result<Option<Picture>>,
    ) -> Result<()> {
        if std::mem::take(&mut self.is_stale) {
            self.tile.picture = draw()?;
            self.tile.is_unregistered = true;
            self.tile.register(screen);
        }
        Ok(())
    }

    /// Shows the picture, once it shows what it is to show.
    pub fn show(&self, ui: &mut egui::Ui) {
        if !self.is_stale {
            self.tile.show_within(ui);
        }
    }

    /// Whether there is a picture, drawn as it is to be.
    #[cfg(test)]
    pub fn is_drawn(&self) -> bool {
        !self.is_stale && self.tile.picture.is_some()
    }
}
