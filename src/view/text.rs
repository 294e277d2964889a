//! Text: glyphs rasterised on the CPU into an atlas, laid out on the CPU, drawn as quads.
//!
//! The typeface is Ubuntu Light, embedded; a character it does not have shows as a box.

use std::collections::HashMap;

use ab_glyph::{Font as _, FontRef, GlyphId, PxScale, point};

use super::picture::{Canvas, Rect};
use super::quads::Quad;
use super::theme::Color;
use crate::gpu::Gpu;

/// Side of the atlas in texels.
const ATLAS: u32 = 1024;
/// Horizontal places within a pixel that a glyph is rasterised at.
const SUBPIXELS: f32 = 4.0;
/// No single text is laid out beyond this many characters.
const LONGEST: usize = 600;
/// Exponent on the coverage of a glyph: below 1 gives the light typeface a little more weight.
const WEIGHT: f32 = 0.8;

/// Which point of a text lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Its left end.
    Left,
    /// Its middle.
    Center,
    /// Its right end.
    Right,
}

/// A glyph in the atlas.
#[derive(Debug, Clone, Copy)]
struct Placed {
    atlas: [u32; 2],
    size: [u32; 2],
    /// From the pen, on the baseline, to the top left texel.
    offset: [f32; 2],
}

/// Glyph, size in sixteenths of a pixel, place within the pixel.
type GlyphKey = (GlyphId, u32, u8);

/// The typeface and the atlas of the glyphs used so far.
#[derive(Debug)]
pub(super) struct Glyphs {
    font: FontRef<'static>,
    placed: HashMap<GlyphKey, Option<Placed>>,
    texels: Vec<u8>,
    /// Left and top of the next glyph, and the height of its row.
    pen: [u32; 3],
    changed: bool,
    texture: wgpu::Texture,
}

impl Glyphs {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("glyphs"),
            size: wgpu::Extent3d {
                width: ATLAS,
                height: ATLAS,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        Self {
            font: FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
                .expect("the embedded typeface is whole"),
            placed: HashMap::new(),
            texels: vec![0; (ATLAS * ATLAS) as usize],
            pen: [0; 3],
            changed: true,
            texture,
        }
    }

    /// Starts the atlas afresh when it is nearly full. Only between pictures: quads hold places in it.
    pub(super) fn make_room(&mut self) {
        if self.pen[1] > ATLAS * 3 / 4 {
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
                    bytes_per_row: Some(ATLAS),
                    rows_per_image: None,
                },
                self.texture.size(),
            );
        }
        self.texture
            .create_view(&wgpu::TextureViewDescriptor::default())
    }

    /// The pixels that one font unit takes at an em of `size` pixels.
    fn unit(&self, size: f32) -> f32 {
        size / self.font.units_per_em().unwrap_or(1000.0)
    }

    /// Glyphs with the pen's place at each, and the place after the last.
    fn run(&self, text: &str, size: f32) -> (Vec<(GlyphId, f32)>, f32) {
        let unit = self.unit(size);
        let mut pen = 0.0;
        let mut before = None;
        let mut glyphs = Vec::new();
        for c in text.chars().take(LONGEST) {
            let glyph = self.font.glyph_id(if c.is_control() { ' ' } else { c });
            if let Some(before) = before {
                pen += self.font.kern_unscaled(before, glyph) * unit;
            }
            glyphs.push((glyph, pen));
            pen += self.font.h_advance_unscaled(glyph) * unit;
            before = Some(glyph);
        }
        (glyphs, pen)
    }

    /// The width of `text` at an em of `size` pixels.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        self.run(text, size).1
    }

    /// `text`, cut short with an ellipsis where it is wider than `width`.
    pub(super) fn fit(&self, text: &str, size: f32, width: f32) -> String {
        let long = text.chars().nth(LONGEST).is_some();
        if !long && self.width(text, size) <= width {
            return text.to_owned();
        }
        let room = width - self.width("\u{2026}", size);
        let (glyphs, end) = self.run(text, size);
        let ends = glyphs.iter().skip(1).map(|(_, pen)| *pen).chain([end]);
        let fits = ends.take_while(|end| *end <= room).count();
        let kept: String = text.chars().take(fits).collect();
        format!("{}\u{2026}", kept.trim_end())
    }

    /// `text` in at most `most` lines of at most `width`, broken between words.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace().take(LONGEST) {
            let longer = match lines.last() {
                Some(line) => format!("{line} {word}"),
                None => word.to_owned(),
            };
            let full = lines.len() == most;
            if lines.is_empty() {
                lines.push(longer);
            } else if full || self.width(&longer, size) <= width {
                *lines.last_mut().expect("not empty") = longer;
            } else {
                lines.push(word.to_owned());
            }
        }
        lines
            .iter()
            .map(|line| self.fit(line, size, width))
            .collect()
    }

    /// Appends the quads of `text` with its left end at `x` and its baseline at `y`.
    fn lay_out(
        &mut self,
        text: &str,
        size: f32,
        x: f32,
        y: f32,
        color: Color,
        out: &mut Vec<Quad>,
    ) {
        let sixteenths = (size * 16.0).round() as u32;
        for (glyph, pen) in self.run(text, size).0 {
            let place = ((x + pen) * SUBPIXELS).round() / SUBPIXELS;
            let sub = ((place - place.floor()) * SUBPIXELS) as u8;
            let key = (glyph, sixteenths, sub);
            let placed = match self.placed.get(&key) {
                Some(placed) => *placed,
                None => {
                    let placed = self.rasterise(glyph, size, f32::from(sub) / SUBPIXELS);
                    self.placed.insert(key, placed);
                    placed
                }
            };
            if let Some(Placed {
                atlas,
                size,
                offset,
            }) = placed
            {
                let left = place.floor() + offset[0];
                out.push(Quad::glyph(left, y.round() + offset[1], size, atlas, color));
            }
        }
    }

    /// Draws a glyph into the atlas; `None` for blanks and when the atlas is full.
    fn rasterise(&mut self, glyph: GlyphId, size: f32, sub: f32) -> Option<Placed> {
        let scale = PxScale::from(self.font.height_unscaled() * self.unit(size));
        let outlined = self
            .font
            .outline_glyph(glyph.with_scale_and_position(scale, point(sub, 0.0)))?;
        let bounds = outlined.px_bounds();
        let [w, h] = [bounds.width().ceil() as u32, bounds.height().ceil() as u32];
        let [mut left, mut top, mut row] = self.pen;
        if left + w > ATLAS {
            (left, top, row) = (0, top + row, 0);
        }
        if w > ATLAS || top + h > ATLAS {
            return None;
        }
        outlined.draw(|x, y, coverage| {
            if x < w && y < h {
                let at = ((top + y) * ATLAS + left + x) as usize;
                let weighted = coverage.clamp(0.0, 1.0).powf(WEIGHT);
                self.texels[at] = (weighted * 255.0).round() as u8;
            }
        });
        self.pen = [left + w, top, row.max(h)];
        self.changed = true;
        Some(Placed {
            atlas: [left, top],
            size: [w, h],
            offset: [bounds.min.x, bounds.min.y],
        })
    }
}

impl Canvas<'_> {
    /// Writes `text` at an em of `size` points; `x`, `y` (in pixels) is its `align` end on the baseline.
    /// Returns the rectangle it takes.
    pub fn text(
        &mut self,
        text: &str,
        size: f32,
        x: f32,
        y: f32,
        align: Align,
        color: Color,
    ) -> Rect {
        let size = self.theme().px(size);
        let mut quads = Vec::new();
        let painter = self.painter();
        let mut glyphs = painter.glyphs();
        let width = glyphs.width(text, size);
        let left = match align {
            Align::Left => x,
            Align::Center => x - width / 2.0,
            Align::Right => x - width,
        };
        glyphs.lay_out(text, size, left, y, color, &mut quads);
        drop(glyphs);
        self.push_quads(quads);
        Rect {
            left,
            top: y - size * 0.75,
            width,
            height: size,
        }
    }

    /// The width in pixels of `text` at an em of `size` points.
    pub fn text_width(&self, text: &str, size: f32) -> f32 {
        self.painter().glyphs().width(text, self.theme().px(size))
    }

    /// `text`, cut short with an ellipsis where it is wider than `width` pixels.
    pub fn fitted(&self, text: &str, size: f32, width: f32) -> String {
        self.painter()
            .glyphs()
            .fit(text, self.theme().px(size), width)
    }

    /// `text` broken between words into at most `most` lines of at most `width` pixels.
    pub fn wrapped(&self, text: &str, size: f32, width: f32, most: usize) -> Vec<String> {
        self.painter()
            .glyphs()
            .wrap(text, self.theme().px(size), width, most)
    }
}
