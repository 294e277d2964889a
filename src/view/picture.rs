//! The common target: a [`Picture`] is a texture with a theme, a [`Painter`] holds what is needed to draw into
//! any of them, and a [`Canvas`] collects one picture's layers and draws them in one pass.
//!
//! Pictures are `Rgba8Unorm` and hold sRGB bytes: colors are blended as they are encoded, not in linear light.
//! That is how browsers and egui blend, so that the same texture looks the same in a PNG, in the report and in
//! the window (`egui_wgpu::Renderer::register_native_texture` asks for this format), and thin dark text keeps
//! its weight. There is no multisampling: every shader works out how much of a pixel it covers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::Theme;
use super::quads::{self, Quad};
use super::text::Glyphs;
use super::theme::Color;
use crate::gpu::{Binding, Gpu, Shader};
use crate::{Error, Result};

/// The format of every picture.
pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// A rectangle in pixels; y goes down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Its left edge.
    pub left: f32,
    /// Its top edge.
    pub top: f32,
    /// Its width.
    pub width: f32,
    /// Its height.
    pub height: f32,
}

impl Rect {
    /// Its right edge.
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// Its bottom edge.
    pub fn bottom(&self) -> f32 {
        self.top + self.height
    }

    pub(super) fn to_array(self) -> [f32; 4] {
        [self.left, self.top, self.width, self.height]
    }
}

/// A texture of sRGB bytes that charts draw into, with the theme they follow.
#[derive(Debug, Clone)]
pub struct Picture {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    theme: Theme,
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
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d {
                width: w as u32,
                height: h as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Self {
            texture,
            view,
            theme: theme.clone(),
        })
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
}

type Pipelines = HashMap<(&'static str, &'static str), wgpu::RenderPipeline>;

/// Render pipelines and glyphs, shared by all pictures of a device. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Painter {
    gpu: Gpu,
    pipelines: Arc<Mutex<Pipelines>>,
    glyphs: Arc<Mutex<Glyphs>>,
}

impl Painter {
    /// A painter on `gpu`. Pipelines are built when they are first used.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            gpu: gpu.clone(),
            pipelines: Arc::default(),
            glyphs: Arc::new(Mutex::new(Glyphs::new(gpu))),
        }
    }

    /// The device it draws on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(super) fn glyphs(&self) -> MutexGuard<'_, Glyphs> {
        self.glyphs.lock().expect("never poisoned")
    }

    /// The pipeline of the entry points `{name}_vertex` and `{name}_fragment`; its bindings are the shader's.
    fn pipeline(
        &self,
        shader: &'static Shader,
        [vertex, fragment]: [&'static str; 2],
    ) -> wgpu::RenderPipeline {
        let device = &self.gpu.device;
        let mut pipelines = self.pipelines.lock().expect("never poisoned");
        pipelines
            .entry((shader.path(), vertex))
            .or_insert_with(|| {
                let label = format!("{}:{vertex}", shader.path());
                let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some(&label),
                    source: wgpu::ShaderSource::Wgsl(shader.text().into()),
                });
                device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                    label: Some(&label),
                    layout: None,
                    vertex: wgpu::VertexState {
                        module: &module,
                        entry_point: Some(vertex),
                        compilation_options: wgpu::PipelineCompilationOptions::default(),
                        buffers: &[],
                    },
                    primitive: wgpu::PrimitiveState::default(),
                    depth_stencil: None,
                    multisample: wgpu::MultisampleState::default(),
                    fragment: Some(wgpu::FragmentState {
                        module: &module,
                        entry_point: Some(fragment),
                        compilation_options: wgpu::PipelineCompilationOptions::default(),
                        targets: &[Some(wgpu::ColorTargetState {
                            format: FORMAT,
                            blend: Some(wgpu::BlendState::ALPHA_BLENDING),
                            write_mask: wgpu::ColorWrites::ALL,
                        })],
                    }),
                    multiview_mask: None,
                    cache: None,
                })
            })
            .clone()
    }
}

/// One draw call: vertices made from the vertex index, cut off at the scissor rectangle.
#[derive(Debug)]
struct Layer {
    pipeline: wgpu::RenderPipeline,
    bind_group: wgpu::BindGroup,
    vertices: u32,
    scissor: [u32; 4],
}

/// The layers of one picture, from back to front. Nothing is drawn before [`Canvas::finish`].
#[derive(Debug)]
pub struct Canvas<'a> {
    painter: &'a Painter,
    picture: &'a Picture,
    layers: Vec<Layer>,
    quads: Vec<Quad>,
}

impl<'a> Canvas<'a> {
    /// An empty canvas in the theme's background color.
    pub fn new(painter: &'a Painter, picture: &'a Picture) -> Self {
        painter.glyphs().make_room();
        Self {
            painter,
            picture,
            layers: Vec::new(),
            quads: Vec::new(),
        }
    }

    /// The device.
    pub fn gpu(&self) -> &'a Gpu {
        &self.painter.gpu
    }

    /// The painter.
    pub fn painter(&self) -> &'a Painter {
        self.painter
    }

    /// The theme of the picture.
    pub fn theme(&self) -> &'a Theme {
        &self.picture.theme
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [f32; 2] {
        self.picture.size().map(|side| side as f32)
    }

    /// A filled rectangle; edges between pixels cover them in part.
    pub fn rect(&mut self, rect: Rect, color: Color) {
        self.quads.push(Quad::solid(rect, color));
    }

    pub(super) fn push_quads(&mut self, quads: impl IntoIterator<Item = Quad>) {
        self.quads.extend(quads);
    }

    /// Adds a draw of `vertices` vertices, cut off at `clip`.
    pub(super) fn layer(
        &mut self,
        shader: &'static Shader,
        entries: [&'static str; 2],
        bindings: &[(u32, Binding<'_>)],
        vertices: u32,
        clip: Rect,
    ) {
        self.flush();
        let bindings: Vec<_> = bindings
            .iter()
            .map(|&(number, binding)| (number, binding.into()))
            .collect();
        self.push_layer(shader, entries, &bindings, vertices, clip);
    }

    fn push_layer(
        &mut self,
        shader: &'static Shader,
        entries: [&'static str; 2],
        bindings: &[(u32, wgpu::BindingResource<'_>)],
        vertices: u32,
        clip: Rect,
    ) {
        let [width, height] = self.size();
        let left = clip.left.floor().clamp(0.0, width);
        let top = clip.top.floor().clamp(0.0, height);
        let right = clip.right().ceil().clamp(left, width);
        let bottom = clip.bottom().ceil().clamp(top, height);
        if vertices == 0 || right <= left || bottom <= top {
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
            vertices,
            scissor: [left, top, right - left, bottom - top].map(|side| side as u32),
        });
    }

    /// Turns the rectangles and glyphs so far into a layer, so that what follows lies over them.
    fn flush(&mut self) {
        if self.quads.is_empty() {
            return;
        }
        let quads = std::mem::take(&mut self.quads);
        let atlas = self.painter.glyphs().upload(self.gpu());
        let [width, height] = self.size();
        let whole = Rect {
            left: 0.0,
            top: 0.0,
            width,
            height,
        };
        let (uniform, buffer) = quads::upload(self.gpu(), &quads, self.size());
        self.push_layer(
            &quads::SHADER,
            ["quad_vertex", "quad_fragment"],
            &[
                (0, uniform.binding().into()),
                (1, buffer.as_entire_binding()),
                (2, wgpu::BindingResource::TextureView(&atlas)),
            ],
            6 * quads.len() as u32,
            whole,
        );
    }

    /// Draws all layers over the background, in one pass and one submission, without waiting for it.
    pub fn finish(mut self) {
        self.flush();
        let [r, g, b, a] = self.theme().background.map(|byte| f64::from(byte) / 255.0);
        let mut encoder = self.gpu().encoder("picture");
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("picture"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &self.picture.view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a }),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            for layer in &self.layers {
                let [x, y, width, height] = layer.scissor;
                pass.set_pipeline(&layer.pipeline);
                pass.set_bind_group(0, &layer.bind_group, &[]);
                pass.set_scissor_rect(x, y, width, height);
                pass.draw(0..layer.vertices, 0..1);
            }
        }
        self.gpu().queue.submit([encoder.finish()]);
    }
}
