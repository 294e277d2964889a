//! Rectangles and glyphs: everything flat in a picture is a list of quads.

use super::geometry::Rect;
use super::theme::Color;
use crate::gpu::{Gpu, Shader, Uniform};
use crate::{gpu_struct, shader};

pub(super) static SHADER: Shader = shader!("view/quads.wgsl");

/// The atlas position of a solid rectangle, which has none.
const SOLID: u32 = u32::MAX;

gpu_struct! {
    /// A solid rectangle, or a rectangle of the glyph atlas put at whole pixels.
    #[derive(PartialEq)]
    pub(super) struct Quad in SHADER::Quad {
        /// Left, top, width, height in pixels.
        rect: [f32; 4],
        /// Left and top in the atlas, in texels.
        atlas: [u32; 2],
        color: Color,
    }
}

impl Quad {
    pub(super) fn solid(rect: Rect, color: Color) -> Self {
        Self {
            rect: rect.to_array(),
            atlas: [SOLID; 2],
            color,
        }
    }

    pub(super) fn glyph(
        left: f32,
        top: f32,
        size: [u32; 2],
        atlas: [u32; 2],
        color: Color,
    ) -> Self {
        Self {
            rect: [left, top, size[0] as f32, size[1] as f32],
            atlas,
            color,
        }
    }
}

gpu_struct! {
    struct QuadsUniforms in SHADER::Uniforms {
        target_size: [f32; 2],
    }
}

/// The uniform and storage buffers of one layer of quads.
pub(super) fn upload(gpu: &Gpu, quads: &[Quad], target_size: [f32; 2]) -> (Uniform, wgpu::Buffer) {
    let uniform = gpu.uniform("quads", &QuadsUniforms { target_size });
    let buffer = gpu.constant_buffer("quads", quads, wgpu::BufferUsages::STORAGE);
    (uniform, buffer)
}
