//! A [`Canvas`]: the layers of one picture, collected and then drawn in one pass.

use glam::Vec2;

use super::Theme;
use super::geometry::Rect;
use super::painter::{Painter, QUADS_A_DRAW};
use super::picture::Picture;
use super::quads::{self, Quad};
use super::sketch::Mark;
use super::theme::Color;
use super::typeface::{Align, TextMetrics};
use crate::gpu::{Binding, Gpu, Shader};

/// Quads whose corners are made from the vertex index, cut off at the scissor rectangle.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pipeline: wgpu::RenderPipeline,
    bind_group: wgpu::BindGroup,
    quads: u32,
    /// Left, top, width and height in pixels.
    pub scissor: [u32; 4],
}

/// What becomes quads when a layer is complete.
#[derive(Debug)]
enum Flat {
    Rect(Rect, Color),
    Text {
        text: String,
        /// The em in pixels.
        size: f32,
        left: f32,
        baseline: f32,
        color: Color,
    },
}

/// The layers of one picture, from back to front. Nothing is drawn before [`Canvas::finish`].
#[derive(Debug)]
pub struct Canvas<'a> {
    painter: &'a Painter,
    picture: &'a Picture,
    /// What the layers lie over, instead of the background color.
    base: Option<&'a Picture>,
    layers: Vec<Layer>,
    flats: Vec<Flat>,
    /// The same as outlines, where the painter keeps them.
    marks: Vec<Mark>,
}

impl<'a> Canvas<'a> {
    /// An empty canvas in the theme's background color.
    pub fn new(painter: &'a Painter, picture: &'a Picture) -> Self {
        Self {
            painter,
            picture,
            base: None,
            layers: Vec::new(),
            flats: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Keeps what is drawn as outlines, where they are wanted.
    pub(super) fn keep(&mut self, mark: impl FnOnce() -> Mark) {
        if self.painter.keeps_marks() {
            self.marks.push(mark());
        }
    }

    /// A canvas over a picture of the same size that was drawn before.
    pub fn over(painter: &'a Painter, picture: &'a Picture, base: &'a Picture) -> Self {
        Self {
            base: Some(base),
            ..Self::new(painter, picture)
        }
    }

    /// The device.
    pub fn gpu(&self) -> &'a Gpu {
        self.painter.gpu()
    }

    /// The painter.
    pub fn painter(&self) -> &'a Painter {
        self.painter
    }

    /// The theme of the picture.
    pub fn theme(&self) -> &'a Theme {
        self.picture.theme()
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Vec2 {
        self.picture.extent()
    }

    /// Measures text for this picture.
    pub fn metrics(&self) -> TextMetrics {
        TextMetrics {
            scale_factor: self.theme().scale_factor,
        }
    }

    /// A filled rectangle; edges between pixels cover them in part.
    pub fn rect(&mut self, rect: Rect, color: Color) {
        self.keep(|| Mark::Rect(rect, color));
        self.flats.push(Flat::Rect(rect, color));
    }

    /// Writes `text` at an em of `size` points; `x`, `y` (in pixels) is its `align` end on the baseline.
    /// Returns the rectangle that it takes.
    pub fn text(
        &mut self,
        text: &str,
        size: f32,
        x: f32,
        y: f32,
        align: Align,
        color: Color,
    ) -> Rect {
        let width = self.metrics().width(text, size);
        let left = align.left(x, width);
        let size = self.theme().px(size);
        self.keep(|| Mark::Text {
            text: text.to_owned(),
            size,
            left,
            baseline: y,
            width,
            color,
        });
        self.flats.push(Flat::Text {
            text: text.to_owned(),
            size,
            left,
            baseline: y,
            color,
        });
        Rect::new(left, y - size * 0.75, width, size)
    }

    /// Adds so many quads, cut off at `clip`. It has no outlines: what keeps them keeps its pixels.
    pub(super) fn layer(
        &mut self,
        shader: &'static Shader,
        entries: [&'static str; 2],
        bindings: &[(u32, Binding<'_>)],
        quads: u32,
        clip: Rect,
    ) {
        let before = self.layers.len();
        self.outlined_layer(shader, entries, bindings, quads, clip);
        if self.painter.keeps_marks() {
            let last = self.layers.last().filter(|_| self.layers.len() > before);
            self.marks.extend(last.cloned().map(Mark::Pixels));
        }
    }

    /// Adds quads whose outlines have been kept.
    pub(super) fn outlined_layer(
        &mut self,
        shader: &'static Shader,
        entries: [&'static str; 2],
        bindings: &[(u32, Binding<'_>)],
        quads: u32,
        clip: Rect,
    ) {
        self.flush();
        let bindings: Vec<_> = bindings
            .iter()
            .map(|&(number, binding)| (number, binding.into()))
            .collect();
        self.push_layer(shader, entries, &bindings, quads, clip);
    }

    fn push_layer(
        &mut self,
        shader: &'static Shader,
        entries: [&'static str; 2],
        bindings: &[(u32, wgpu::BindingResource<'_>)],
        quads: u32,
        clip: Rect,
    ) {
        let size = self.size();
        let low = clip.min.floor().clamp(Vec2::ZERO, size);
        let high = (clip.min + clip.size).ceil().clamp(low, size);
        if quads == 0 || !low.cmplt(high).all() {
            return;
        }
        let pipeline = self.painter.pipeline(shader, entries);
        let entries: Vec<_> = bindings
            .iter()
            .map(|(binding, resource)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: resource.clone(),
            })
            .collect();
        let bind_group = self
            .gpu()
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(shader.path()),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
        self.layers.push(Layer {
            pipeline,
            bind_group,
            quads,
            scissor: [low.x, low.y, high.x - low.x, high.y - low.y].map(|side| side as u32),
        });
    }

    /// Turns the rectangles and glyphs so far into a layer, so that what follows lies over them.
    fn flush(&mut self) {
        if self.flats.is_empty() {
            return;
        }
        let mut list = Vec::new();
        let mut glyphs = self.painter.glyphs();
        glyphs.make_room(self.gpu());
        for flat in self.flats.drain(..) {
            match flat {
                Flat::Rect(rect, color) => list.push(Quad::solid(rect, color)),
                Flat::Text {
                    text,
                    size,
                    left,
                    baseline,
                    color,
                } => glyphs.lay_out(&text, size, left, baseline, color, &mut list),
            }
        }
        let atlas = glyphs.upload(self.gpu());
        drop(glyphs);
        let size = self.size();
        let (uniform, buffer) = quads::upload(self.gpu(), &list, size.to_array());
        self.push_layer(
            &quads::SHADER,
            ["quad_vertex", "quad_fragment"],
            &[
                (0, uniform.binding().into()),
                (1, buffer.as_entire_binding()),
                (2, wgpu::BindingResource::TextureView(&atlas)),
            ],
            list.len() as u32,
            Rect {
                min: Vec2::ZERO,
                size,
            },
        );
    }

    /// Draws all layers over the background, in one pass and one submission, without waiting for it.
    pub fn finish(mut self) {
        self.flush();
        let ground = match self.base {
            Some(base) => Ground::Picture(base),
            None => Ground::Color(self.theme().background),
        };
        draw(self.painter, self.picture, ground, &self.layers);
        if self.painter.keeps_marks() {
            let base = self.base.and_then(|base| base.sketch().marks());
            let mut marks = base.unwrap_or_default();
            marks.append(&mut self.marks);
            self.picture.sketch().set(marks);
        }
    }
}

/// What layers lie over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ground<'a> {
    /// One color.
    Color(Color),
    /// A picture of the same size.
    Picture(&'a Picture),
}

/// Draws layers over a ground into a whole picture.
pub(super) fn draw(painter: &Painter, picture: &Picture, ground: Ground<'_>, layers: &[Layer]) {
    let gpu = painter.gpu();
    let mut encoder = gpu.encoder("picture");
    let load = match ground {
        Ground::Picture(base) => {
            let (from, to) = (base.texture(), picture.texture());
            let ends = (from.as_image_copy(), to.as_image_copy());
            encoder.copy_texture_to_texture(ends.0, ends.1, to.size());
            wgpu::LoadOp::Load
        }
        Ground::Color(color) => {
            let [r, g, b, a] = color.map(|byte| f64::from(byte) / 255.0);
            wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a })
        }
    };
    {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("picture"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: picture.view(),
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load,
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_index_buffer(painter.quad_indices().slice(..), wgpu::IndexFormat::Uint16);
        for layer in layers {
            let [x, y, width, height] = layer.scissor;
            pass.set_pipeline(&layer.pipeline);
            pass.set_bind_group(0, &layer.bind_group, &[]);
            pass.set_scissor_rect(x, y, width, height);
            for first in (0..layer.quads).step_by(QUADS_A_DRAW as usize) {
                let quads = QUADS_A_DRAW.min(layer.quads - first);
                pass.draw_indexed(0..6 * quads, 4 * first as i32, 0..1);
            }
        }
    }
    gpu.queue.submit([encoder.finish()]);
}
