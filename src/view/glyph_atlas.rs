//! The glyphs used so far, rasterized on the CPU into one texture.

use std::collections::HashMap;

use ab_glyph::{Font as _, GlyphId, PxScale, point};

use super::quads::Quad;
use super::theme::Color;
use super::typeface;
use crate::gpu::Gpu;

/// Side of the atlas in texels.
const SIDE: u32 = 1024;
/// Horizontal positions within a pixel that a glyph is rasterized at.
const SUBPIXELS: f32 = 4.0;
/// Exponent on the coverage of a glyph: below 1 gives the light typeface a little more weight.
const WEIGHT: f32 = 0.8;

/// A glyph in the atlas.
#[derive(Debug, Clone, Copy)]
struct AtlasGlyph {
    atlas: [u32; 2],
    size: [u32; 2],
    /// From the pen, on the baseline, to the top left texel.
    offset: [f32; 2],
}

/// Glyph, size in sixteenths of a pixel, position within the pixel.
type GlyphKey = (GlyphId, u32, u8);

/// The atlas, which grows with every glyph that was not drawn before.
#[derive(Debug)]
pub(super) struct GlyphAtlas {
    placed: HashMap<GlyphKey, Option<AtlasGlyph>>,
    texels: Vec<u8>,
    /// Left and top of the next glyph, and the height of its row.
    pen: [u32; 3],
    changed: bool,
    texture: wgpu::Texture,
}

impl GlyphAtlas {
    pub(super) fn new(gpu: &Gpu) -> Self {
        Self {
            placed: HashMap::new(),
            texels: vec![0; (SIDE * SIDE) as usize],
            pen: [0; 3],
            changed: true,
            texture: texture(gpu),
        }
    }

    /// Starts an empty atlas when this one is nearly full. It has a texture of its own: quads that were laid out before
    /// and are not drawn yet keep the old one.
    pub(super) fn make_room(&mut self, gpu: &Gpu) {
        if self.pen[1] > SIDE * 3 / 4 {
            self.texture = texture(gpu);
            self.placed.clear();
            self.texels.fill(0);
            self.pen = [0; 3];
            self.changed = true;
        }
    }

    /// The atlas as a texture, with all glyphs so far.
    pub(super) fn upload(&mut self, gpu: &Gpu) -> wgpu::TextureView {
        if std::mem::take(&mut self.changed) {
            gpu.queue.write_texture(
                self.texture.as_image_copy(),
                &self.texels,
                wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(SIDE),
                    rows_per_image: None,
                },
                self.texture.size(),
            );
        }
        self.texture
            .create_view(&wgpu::TextureViewDescriptor::default())
    }

    /// Appends the quads of `text` with its left end at `x` and its baseline at `y`.
    pub(super) fn lay_out(
        &mut self,
        text: &str,
        size: f32,
        x: f32,
        y: f32,
        color: Color,
        out: &mut Vec<Quad>,
    ) {
        let sixteenths = (size * 16.0).round() as u32;
        for (glyph, pen) in typeface::run(text, size).0 {
            let position = ((x + pen) * SUBPIXELS).round() / SUBPIXELS;
            let sub = ((position - position.floor()) * SUBPIXELS) as u8;
            let key = (glyph, sixteenths, sub);
            let placed = match self.placed.get(&key) {
                Some(placed) => *placed,
                None => {
                    let placed = self.rasterize(glyph, size, f32::from(sub) / SUBPIXELS);
                    self.placed.insert(key, placed);
                    placed
                }
            };
            if let Some(AtlasGlyph {
                atlas,
                size,
                offset,
            }) = placed
            {
                let left = position.floor() + offset[0];
                out.push(Quad::glyph(left, y.round() + offset[1], size, atlas, color));
            }
        }
    }

    /// Draws a glyph into the atlas; `None` for blanks and when the atlas is full.
    fn rasterize(&mut self, glyph: GlyphId, size: f32, sub: f32) -> Option<AtlasGlyph> {
        let font = typeface::font();
        let scale = PxScale::from(font.height_unscaled() * typeface::unit(size));
        let outlined = font.outline_glyph(glyph.with_scale_and_position(scale, point(sub, 0.0)))?;
        let bounds = outlined.px_bounds();
        let [w, h] = [bounds.width().ceil() as u32, bounds.height().ceil() as u32];
        let [mut left, mut top, mut row] = self.pen;
        if left + w > SIDE {
            (left, top, row) = (0, top + row, 0);
        }
        if w > SIDE || top + h > SIDE {
            return None;
        }
        outlined.draw(|x, y, coverage| {
            if x < w && y < h {
                let at = ((top + y) * SIDE + left + x) as usize;
                let weighted = coverage.clamp(0.0, 1.0).powf(WEIGHT);
                self.texels[at] = (weighted * 255.0).round() as u8;
            }
        });
        self.pen = [left + w, top, row.max(h)];
        self.changed = true;
        Some(AtlasGlyph {
            atlas: [left, top],
            size: [w, h],
            offset: [bounds.min.x, bounds.min.y],
        })
    }
}

fn texture(gpu: &Gpu) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("glyphs"),
        size: wgpu::Extent3d {
            width: SIDE,
            height: SIDE,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::R8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}
