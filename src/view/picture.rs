//! A [`Picture`]: the texture that charts draw into.
//!
//! Pictures are `Rgba8Unorm` and hold sRGB bytes: colors are blended as they are encoded, not in linear light.
//! That is how browsers and egui blend, so that the same texture looks the same in a PNG, in the report and in
//! the window (`egui_wgpu::Renderer::register_native_texture` asks for this format), and thin dark text keeps
//! its weight. There is no multisampling: every shader works out how much of a pixel it covers.

use glam::{Vec2, vec2};

use super::Theme;
use super::sketch::Sketch;
use crate::gpu::Gpu;
use crate::{Error, Result};

/// The format of every picture.
pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// A texture of sRGB bytes that charts draw into, with the theme they follow.
#[derive(Debug, Clone)]
pub struct Picture {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    theme: Theme,
    sketch: Sketch,
}

impl Picture {
    /// A picture of `width` by `height` points; its pixels are those times the theme's scale factor.
    ///
    /// # Errors
    /// An empty picture, or one larger than the adapter's textures.
    pub fn new(gpu: &Gpu, width: f32, height: f32, theme: &Theme) -> Result<Self> {
        let most = gpu.limits().max_texture_dimension_2d;
        let [w, h] = [width, height].map(|points| theme.px(points).round());
        if !(w >= 1.0 && h >= 1.0 && w <= most as f32 && h <= most as f32) {
            return Err(Error::input(
                format!("picture of {w} x {h} pixels"),
                format!(
                    "the adapter '{}' draws 1 to {most} pixels a side",
                    gpu.info().name
                ),
                "choose another size",
            ));
        }
        Ok(Self::of_size(gpu, [w as u32, h as u32], theme))
    }

    fn of_size(gpu: &Gpu, [width, height]: [u32; 2], theme: &Theme) -> Self {
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self {
            texture,
            view,
            theme: theme.clone(),
            sketch: Sketch::default(),
        }
    }

    /// Another picture of the same size and theme.
    #[must_use]
    pub fn alike(&self, gpu: &Gpu) -> Self {
        Self::of_size(gpu, self.size(), &self.theme)
    }

    /// What was drawn into it last, where its painter keeps outlines.
    pub(super) fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// The texture, of [`FORMAT`].
    pub fn texture(&self) -> &wgpu::Texture {
        &self.texture
    }

    /// A view of the whole texture.
    pub fn view(&self) -> &wgpu::TextureView {
        &self.view
    }

    /// The theme that is drawn with.
    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        [self.texture.width(), self.texture.height()]
    }

    /// Width and height in pixels, as coordinates.
    pub fn extent(&self) -> Vec2 {
        vec2(self.texture.width() as f32, self.texture.height() as f32)
    }

    /// The same texture, drawn with another theme from now on.
    #[must_use]
    pub fn with_theme(self, theme: &Theme) -> Self {
        Self {
            theme: theme.clone(),
            ..self
        }
    }
}
