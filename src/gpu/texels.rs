//! Buffers as texels, for kernels of adapters that run on the CPU.
//!
//! llvmpipe makes a load from a storage buffer a loop over the lanes with a check for each component, and a fetch of a
//! texel of four components a few vector instructions: a kernel that is bound by its loads runs 1.2 to 1.4 times as fast
//! on a copy in a texture, the copy included. On GPUs it is the buffers that are fast.

use super::Gpu;
use super::buffer::allocated;
use crate::{Error, Result};

/// Texels in a row of the texture. Shaders know it too: `shaders/common/texels.wgsl`.
const ROW: usize = 1024;
/// Bytes of a texel: four components in float32.
const TEXEL: usize = 16;

/// A texture in which the vectors of a buffer lie row after row. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Texels {
    texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
}

fn rows(vectors: usize) -> usize {
    vectors.div_ceil(ROW).max(1)
}

impl Gpu {
    /// Texels for `elements` of a buffer, which everybody who asks under this label shares, as with [`Gpu::scratch`].
    ///
    /// # Errors
    /// More rows than the adapter's textures have.
    pub fn texels(&self, label: &'static str, elements: usize) -> Result<Texels> {
        let rows = rows(elements.div_ceil(4));
        let most = self.limits.max_texture_dimension_2d as usize;
        if rows > most {
            return Err(Error::gpu(
                format!("texture '{label}'"),
                format!("it needs {rows} rows of {ROW} texels, the adapter allows {most}"),
                "make the layer or the batch smaller",
            ));
        }
        let mut all = self.texels.lock().expect("never poisoned");
        if let Some(texels) = all.get(label)
            && texels.texture.height() as usize >= rows
        {
            return Ok(texels.clone());
        }
        let bytes = Texels::bytes(elements);
        let texture = allocated(self, label, bytes, || {
            self.device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d {
                    width: ROW as u32,
                    height: rows as u32,
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba32Float,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            })
        })?;
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let texels = Texels { texture, view };
        all.insert(label, texels.clone());
        Ok(texels)
    }
}

impl Texels {
    /// Bytes of texels for so many elements.
    pub(super) fn bytes(elements: usize) -> u64 {
        (rows(elements.div_ceil(4)) * ROW * TEXEL) as u64
    }

    /// Copies so many vectors of `buffer`, from a byte that is a multiple of 16 on: the whole rows, and what is left.
    pub(super) fn copy(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        buffer: &wgpu::Buffer,
        offset: u64,
        vectors: usize,
    ) {
        let mut copy = |row: usize, width: usize, height: usize| {
            if width * height == 0 {
                return;
            }
            encoder.copy_buffer_to_texture(
                wgpu::TexelCopyBufferInfo {
                    buffer,
                    layout: wgpu::TexelCopyBufferLayout {
                        offset: offset + (row * ROW * TEXEL) as u64,
                        bytes_per_row: Some((ROW * TEXEL) as u32),
                        rows_per_image: None,
                    },
                },
                wgpu::TexelCopyTextureInfo {
                    texture: &self.texture,
                    mip_level: 0,
                    origin: wgpu::Origin3d {
                        x: 0,
                        y: row as u32,
                        z: 0,
                    },
                    aspect: wgpu::TextureAspect::All,
                },
                wgpu::Extent3d {
                    width: width as u32,
                    height: height as u32,
                    depth_or_array_layers: 1,
                },
            );
        };
        let whole = vectors / ROW;
        copy(0, ROW, whole);
        copy(whole, vectors % ROW, 1);
    }
}
