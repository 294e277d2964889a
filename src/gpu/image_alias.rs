//! Buffers that kernels read as images, on adapters that run on the CPU.
//!
//! llvmpipe compiles a load from a storage buffer to a loop over the lanes with a check for each component, and a load
//! from an image of four components to a few vector instructions, at a sixth of the cost. So there, a buffer's memory
//! is bound a second time, as an image: what one kernel writes into the buffer another reads from the image.

use std::sync::Arc;

use super::aliasing::{self, Memory};

/// `bytes` bytes of `memory` from `offset` on.
pub(super) fn image_alias(
    device: &wgpu::Device,
    memory: &Arc<Memory>,
    offset: u64,
    bytes: u64,
) -> wgpu::TextureView {
    let texture = aliasing::texture(device, memory, offset, bytes);
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

/// An image of a single texel, for a binding that a kernel declares and does not read.
pub(super) fn placeholder(device: &wgpu::Device) -> wgpu::TextureView {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("no image"),
        size: wgpu::Extent3d::default(),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::STORAGE_BINDING,
        view_formats: &[],
    });
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}
