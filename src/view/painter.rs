//! A [`Painter`]: the pipelines, glyphs and indices that pictures of one device share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::glyph_atlas::GlyphAtlas;
use super::picture::FORMAT;
use crate::gpu::{Gpu, Shader};

/// Quads in one draw call: as many as 16 bits number the vertices of.
pub(super) const QUADS_A_DRAW: u32 = 1 << 14;

type Pipelines = HashMap<(&'static str, &'static str), wgpu::RenderPipeline>;

/// Draws on one device: render pipelines and glyphs, shared by all pictures. Cloning shares them.
#[derive(Clone)]
pub struct Painter {
    gpu: Gpu,
    pipelines: Arc<Mutex<Pipelines>>,
    glyphs: Arc<Mutex<GlyphAtlas>>,
    /// Two triangles for each quad, so that each of its corners is computed once.
    quad_indices: wgpu::Buffer,
    keeps_marks: bool,
}

impl Painter {
    /// A painter on `gpu`. Pipelines are built when they are first used.
    pub fn new(gpu: &Gpu) -> Self {
        let quad = |first: u32| [0, 1, 2, 3, 1, 2].map(|corner| (first + corner) as u16);
        let indices: Vec<u16> = (0..4 * QUADS_A_DRAW).step_by(4).flat_map(quad).collect();
        Self {
            gpu: gpu.clone(),
            pipelines: Arc::default(),
            glyphs: Arc::new(Mutex::new(GlyphAtlas::new(gpu))),
            quad_indices: gpu.constant_buffer("quads", &indices, wgpu::BufferUsages::INDEX),
            keeps_marks: false,
        }
    }

    /// The same painter, whose pictures keep the outlines of what is drawn, so that they can be written as
    /// [SVG](super::Picture::svg).
    #[must_use]
    pub fn keeping_outlines(&self) -> Self {
        Self {
            keeps_marks: true,
            ..self.clone()
        }
    }

    pub(super) fn keeps_marks(&self) -> bool {
        self.keeps_marks
    }

    /// The device it draws on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(super) fn quad_indices(&self) -> &wgpu::Buffer {
        &self.quad_indices
    }

    pub(super) fn glyphs(&self) -> MutexGuard<'_, GlyphAtlas> {
        self.glyphs.lock().expect("never poisoned")
    }

    /// The pipeline of a vertex and a fragment entry point; its bindings are the shader's.
    pub(super) fn pipeline(
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
                let module = shader.module(device, &label);
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

impl fmt::Debug for Painter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Painter").finish_non_exhaustive()
    }
}
