//! Buffers that kernels read as images, on adapters that run on the CPU.
//!
//! llvmpipe compiles a load from a storage buffer to a loop over the lanes with a check for each component, and a load
//! from an image of four components to a few vector instructions, at a sixth of the cost. So there, a buffer's memory
//! is bound a second time, as an image: what one kernel writes into the buffer another reads from the image.

use std::sync::Arc;

use super::aliasing::{self, Memory};
use super::errors::FirstError;
use crate::ErrorKind;

/// Makes the images of a device's buffers.
#[derive(Debug, Clone)]
pub(super) struct ImageAliases {
    device: wgpu::Device,
    /// An image of a single texel, for a binding that a kernel declares and does not read.
    placeholder: wgpu::TextureView,
    first_error: FirstError,
}

impl ImageAliases {
    /// Of a device that reports its errors to `first_error`.
    pub fn new(device: &wgpu::Device, first_error: &FirstError) -> Self {
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
        Self {
            device: device.clone(),
            placeholder: texture.create_view(&wgpu::TextureViewDescriptor::default()),
            first_error: first_error.clone(),
        }
    }

    /// What is bound in place of an image on a device without image loads.
    pub fn placeholder(&self) -> wgpu::TextureView {
        self.placeholder.clone()
    }

    /// `bytes` bytes of `memory` from `offset` on. Where the driver refuses that, the device has failed, and the placeholder
    /// takes the place of the image in what is never submitted successfully.
    pub fn view(&self, memory: &Arc<Memory>, offset: u64, bytes: u64) -> wgpu::TextureView {
        match aliasing::texture(&self.device, memory, offset, bytes) {
            Ok(texture) => texture.create_view(&wgpu::TextureViewDescriptor::default()),
            Err(refusal) => {
                let problem = format!("no image of a buffer can be made: {refusal}");
                self.first_error.record(ErrorKind::OutOfMemory, problem);
                self.placeholder()
            }
        }
    }
}
