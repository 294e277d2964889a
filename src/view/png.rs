//! Pictures as PNG files.

use std::path::Path;

use super::Picture;
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
        self.encode(gpu, |value| value)
    }

    /// The same with 32 levels of each primary color. A chart looks the same with them, and its file has half the size.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn compact_png_bytes(&self, gpu: &Gpu) -> Result<Vec<u8>> {
        self.encode(gpu, |value| {
            let level = (u16::from(value) * 31 + 127) / 255;
            // At most 255.
            ((level * 255 + 15) / 31) as u8
        })
    }

    fn encode(&self, gpu: &Gpu, value: impl Fn(u8) -> u8) -> Result<Vec<u8>> {
        let [width, height] = self.size();
        let opaque: Vec<u8> = self
            .read(gpu)?
            .chunks_exact(4)
            .flat_map(|pixel| &pixel[..3])
            .map(|byte| value(*byte))
            .collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(&opaque)?;
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

    /// Writes the picture as a PNG file, to a temporary name first and then renamed.
    ///
    /// # Errors
    /// The device was lost, or the folder cannot be written.
    pub fn write_png(&self, gpu: &Gpu, path: &Path) -> Result<()> {
        files::write_whole(path, &self.png_bytes(gpu)?)
    }
}
