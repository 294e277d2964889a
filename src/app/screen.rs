//! What pictures are shown on: the window, or nothing at all in tests.

/// Takes textures that egui is to show.
pub(super) trait Screen {
    /// The texture as something egui can show; registers it, or renews `id` when the texture was made anew.
    fn show_texture(
        &mut self,
        texture: &wgpu::Texture,
        id: Option<egui::TextureId>,
    ) -> egui::TextureId;

    /// The content of a texture that is shown has changed.
    fn renew(&mut self, id: egui::TextureId);

    /// Pixels of each point.
    fn scale_factor(&self) -> f32;
}
