//! What kernels are bound to.

use std::sync::Arc;

use super::Gpu;
use super::aliasing::Memory;
use super::texels::texels;

/// A part of a buffer that a kernel reads or writes, or that it reads as texels ([`Binding::as_texels`]).
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    size: u64,
    memory: Option<&'a Arc<Memory>>,
    as_texels: bool,
}

/// A small buffer of parameters. Cloning shares it.
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
        memory: Option<&'a Arc<Memory>>,
    ) -> Self {
        Self {
            buffer,
            offset,
            size,
            memory,
            as_texels: false,
        }
    }

    /// The same values as a `texture_storage_2d<rgba32float, read>`, of four values a texel; where `texel` of
    /// `shaders/shared/texels.wgsl` says. Where the device has no texels ([`Gpu::has_texels`]), a kernel must not read
    /// what is bound.
    pub fn as_texels(self) -> Self {
        Self {
            as_texels: true,
            ..self
        }
    }

    /// Bytes of storage; 0 of parameters, and of texels, since the buffer is bound beside them.
    pub fn bytes(&self) -> u64 {
        if self.as_texels || self.buffer.usage().contains(wgpu::BufferUsages::UNIFORM) {
            0
        } else {
            self.size
        }
    }

    /// Made to last, for binding number `number`.
    ///
    /// # Panics
    /// It was not made of a [`super::Buffer`] of this device, and is to be read as texels.
    pub(super) fn bound(&self, gpu: &Gpu, number: u32) -> Bound {
        let resource = match (self.as_texels, &gpu.no_texels) {
            (true, Some(nothing)) => Resource::Texels(nothing.clone()),
            (true, None) => {
                let memory = self.memory.expect("buffers of this device have one");
                Resource::Texels(texels(&gpu.device, memory, self.offset, self.size))
            }
            (false, _) => Resource::Part {
                buffer: self.buffer.clone(),
                offset: self.offset,
                size: wgpu::BufferSize::new(self.size),
            },
        };
        Bound { number, resource }
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

/// What is bound, and the number that it is bound to.
#[derive(Debug)]
pub(super) struct Bound {
    number: u32,
    resource: Resource,
}

#[derive(Debug)]
enum Resource {
    Part {
        buffer: wgpu::Buffer,
        offset: u64,
        size: Option<wgpu::BufferSize>,
    },
    Texels(wgpu::TextureView),
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
            Resource::Texels(view) => wgpu::BindingResource::TextureView(view),
        };
        wgpu::BindGroupEntry {
            binding: self.number,
            resource,
        }
    }
}
