//! Buffers as kernels are bound to them.

use std::sync::Arc;

use super::allocation::Allocation;
use super::image_alias::ImageAliases;

/// A part of a buffer that a kernel reads or writes, or that it reads as an image ([`Binding::as_image`]).
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    size: u64,
    allocation: Option<&'a Arc<Allocation>>,
    as_image: bool,
}

/// A small buffer with the settings of a kernel. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Uniform(pub(super) wgpu::Buffer);

impl Uniform {
    /// All of it.
    pub fn binding(&self) -> Binding<'_> {
        Binding::new(&self.0, 0, self.0.size(), None)
    }

    /// The wgpu buffer.
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.0
    }
}

impl<'a> Binding<'a> {
    pub(super) fn new(
        buffer: &'a wgpu::Buffer,
        offset: u64,
        size: u64,
        allocation: Option<&'a Arc<Allocation>>,
    ) -> Self {
        Self {
            buffer,
            offset,
            size,
            allocation,
            as_image: false,
        }
    }

    /// The same values as a `texture_storage_2d<rgba32float, read>` of four values a texel, which lie where `texel` of
    /// `shaders/shared/image_loads.wgsl` says. On a device without image loads
    /// ([`super::AdapterProfile::image_loads`]) a placeholder is bound, which a kernel must not read.
    pub fn as_image(self) -> Self {
        Self {
            as_image: true,
            ..self
        }
    }

    /// Bytes of storage. 0 for uniforms, and for images, next to which the buffer itself is bound.
    pub fn bytes(&self) -> u64 {
        if self.as_image || self.buffer.usage().contains(wgpu::BufferUsages::UNIFORM) {
            0
        } else {
            self.size
        }
    }

    /// With a share of what it refers to, for binding number `number`. Without image loads a placeholder is bound in
    /// place of an image.
    ///
    /// # Panics
    /// It is to be read as an image and is not of a [`super::Buffer`] of a device with image loads.
    pub(super) fn bound(&self, images: &ImageAliases, has_image_loads: bool, number: u32) -> Bound {
        let resource = match (self.as_image, has_image_loads) {
            (true, false) => Resource::Image(images.placeholder()),
            (true, true) => {
                let memory = self
                    .allocation
                    .and_then(|allocation| allocation.memory.as_ref());
                let memory = memory.expect("buffers of this device can be bound as images");
                Resource::Image(images.view(memory, self.offset, self.size))
            }
            (false, _) => Resource::Part {
                buffer: self.buffer.clone(),
                offset: self.offset,
                size: wgpu::BufferSize::new(self.size),
            },
        };
        Bound {
            number,
            resource,
            _allocation: self.allocation.cloned(),
        }
    }
}

impl<'a> From<Binding<'a>> for wgpu::BindingResource<'a> {
    fn from(binding: Binding<'a>) -> Self {
        Self::Buffer(wgpu::BufferBinding {
            buffer: binding.buffer,
            offset: binding.offset,
            size: wgpu::BufferSize::new(binding.size),
        })
    }
}

/// A binding with the number that it is bound to.
#[derive(Debug)]
pub(super) struct Bound {
    number: u32,
    resource: Resource,
    /// The buffer counts as in use as long as it is bound.
    _allocation: Option<Arc<Allocation>>,
}

#[derive(Debug)]
enum Resource {
    Part {
        buffer: wgpu::Buffer,
        offset: u64,
        size: Option<wgpu::BufferSize>,
    },
    Image(wgpu::TextureView),
}

impl Bound {
    /// As wgpu wants it.
    pub fn entry(&self) -> wgpu::BindGroupEntry<'_> {
        let resource = match &self.resource {
            Resource::Part {
                buffer,
                offset,
                size,
            } => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: *offset,
                size: *size,
            }),
            Resource::Image(view) => wgpu::BindingResource::TextureView(view),
        };
        wgpu::BindGroupEntry {
            binding: self.number,
            resource,
        }
    }
}
