//! Rectangles and glyphs: everything flat in a picture is a list of quads.

use bytemuck::{Pod, Zeroable};
use wgpu::util::DeviceExt as _;

use super::picture::Rect;
use super::theme::Color;
use crate::gpu::{Gpu, Shader, Uniform};
use crate::shader;

pub(super) static SHADER: Shader = shader!("view/quads.wgsl");

/// Where a solid rectangle points in the atlas: nowhere.
const SOLID: u32 = u32::MAX;

/// A solid rectangle, or a rectangle of the glyph atlas put at whole pixels.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub(super) struct Quad {
    /// Left, top, width, height in pixels.
    rect: [f32; 4],
    /// Left and top in the atlas, in texels.
    atlas: [u32; 2],
    color: Color,
    padding: u32,
}

impl Quad {
    pub(super) fn solid(rect: Rect, color: Color) -> Self {
        Self {
            rect: rect.to_array(),
            atlas: [SOLID; 2],
            color,
            padding: 0,
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
            padding: 0,
        }
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
struct Parameters {
    target_size: [f32; 2],
    padding: [f32; 2],
}

/// The uniform and storage buffers of one layer of quads.
pub(super) fn upload(gpu: &Gpu, quads: &[Quad], target_size: [f32; 2]) -> (Uniform, wgpu::Buffer) {
    let uniform = gpu.uniform(
        "quads",
        &Parameters {
            target_size,
            padding: [0.0; 2],
        },
    );
    let buffer = gpu
        .device
        .create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("quads"),
            contents: bytemuck::cast_slice(quads),
            usage: wgpu::BufferUsages::STORAGE,
        });
    (uniform, buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::gpu::layout::layout_test!(
        parameters,
        SHADER,
        "Parameters",
        Parameters {
            target_size,
            padding
        }
    );
    crate::gpu::layout::layout_test!(
        quad,
        SHADER,
        "Quad",
        Quad {
            rect,
            atlas,
            color,
            padding
        }
    );
}
