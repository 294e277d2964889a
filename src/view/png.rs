//! Pictures as PNG files.

use std::path::Path;

use super::Picture;
use super::palette::Palette;
use crate::gpu::Gpu;
use crate::{Error, Result, files};

impl Picture {
    /// The pixels, row by row from the top, four sRGB bytes each. Waits for what is being drawn.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn read(&self, gpu: &Gpu) -> Result<Vec<u8>> {
        let [width, height] = self.size();
        let row = width * 4;
        // Copies of textures have rows of whole 256 bytes.
        let padded = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let size = u64::from(padded) * u64::from(height);
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut encoder = gpu.encoder("picture to buffer");
        encoder.copy_texture_to_buffer(
            self.texture().as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(padded),
                    rows_per_image: None,
                },
            },
            self.texture().size(),
        );
        gpu.queue.submit([encoder.finish()]);
        let bytes = gpu.read_bytes(&buffer, 0, size)?;
        Ok(bytes
            .chunks_exact(padded as usize)
            .flat_map(|line| &line[..row as usize])
            .copied()
            .collect())
    }

    /// The picture as the bytes of a PNG file (8 bits, RGB, sRGB).
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn png_bytes(&self, gpu: &Gpu) -> Result<Vec<u8>> {
        rgb_png(self.size(), &self.opaque(gpu)?)
    }

    /// The same with a palette of 256 colors. A chart looks the same with them, and its file has a third of the size.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn compact_png_bytes(&self, gpu: &Gpu) -> Result<Vec<u8>> {
        let pixels = self.opaque(gpu)?;
        let palette = Palette::of(&pixels);
        let indices = palette.indices(&pixels);
        write(self.size(), &indices, |encoder| {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette.bytes());
            // Neighbors among the indices of a palette are no neighbors among colors.
            encoder.set_compression(png::Compression::High);
            encoder.set_filter(png::Filter::NoFilter);
        })
    }

    /// The pixels without their alpha.
    fn opaque(&self, gpu: &Gpu) -> Result<Vec<u8>> {
        let pixels = self.read(gpu)?;
        let colors = pixels.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
        Ok(colors.copied().collect())
    }

    /// Writes the picture as a PNG file, to a temporary name first and then renamed.
    ///
    /// # Errors
    /// The device was lost, or the folder cannot be written.
    pub fn write_png(&self, gpu: &Gpu, path: &Path) -> Result<()> {
        files::write_whole(path, &self.png_bytes(gpu)?)
    }
}

/// Pixels of three sRGB bytes each, row by row from the top, as the bytes of a PNG file.
///
/// # Errors
/// Sizes that PNG cannot hold.
pub(crate) fn rgb_png(size: [u32; 2], pixels: &[u8]) -> Result<Vec<u8>> {
    write(size, pixels, |encoder| {
        encoder.set_color(png::ColorType::Rgb);
    })
}

/// The same of pixels of four bytes each, the last of which is their opacity.
///
/// # Errors
/// Sizes that PNG cannot hold.
pub(super) fn rgba_png(size: [u32; 2], pixels: &[u8]) -> Result<Vec<u8>> {
    write(size, pixels, |encoder| {
        encoder.set_color(png::ColorType::Rgba);
    })
}

fn write(
    [width, height]: [u32; 2],
    data: &[u8],
    settings: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    settings(&mut encoder);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(data)?;
            writer.finish()
        })
        .map_err(|error| {
            Error::input(
                format!("picture of {width} x {height} pixels"),
                format!("it cannot be written as PNG: {error}"),
                "choose another size",
            )
        })?;
    Ok(bytes)
}
