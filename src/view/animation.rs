//! Pictures that follow each other in a loop, as GIF and as animated PNG.

use std::path::Path;

use super::picture::Picture;
use crate::gpu::Gpu;
use crate::{Error, Result, files};

/// How thoroughly the colors of a GIF are chosen: 1 is best, 30 fastest.
const QUANTIZATION: i32 = 10;

/// Frames of one size that are shown again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animation {
    size: [u32; 2],
    /// Red, green and blue of each.
    frames: Vec<Vec<u8>>,
    /// Hundredths of a second that each is shown.
    delay: u16,
}

impl Animation {
    /// An animation of pictures, each shown for `delay` hundredths of a second.
    ///
    /// # Errors
    /// No pictures, pictures of several sizes, or the device was lost.
    pub fn new(gpu: &Gpu, pictures: &[Picture], delay: u16) -> Result<Self> {
        let wrong = |problem: &str| {
            Error::input(
                "animation",
                problem,
                "give it pictures that are all of one size",
            )
        };
        let Some(first) = pictures.first() else {
            return Err(wrong("it has no frames"));
        };
        let size = first.size();
        if pictures.iter().any(|picture| picture.size() != size) {
            return Err(wrong("its frames are of several sizes"));
        }
        let frames = pictures.iter().map(|picture| {
            let pixels = picture.read(gpu)?;
            let opaque = pixels.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
            Ok(opaque.copied().collect())
        });
        Ok(Self {
            size,
            frames: frames.collect::<Result<_>>()?,
            delay,
        })
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The bytes of a GIF file, 256 colors a frame.
    ///
    /// # Errors
    /// The frames are larger than a GIF can be.
    pub fn gif_bytes(&self) -> Result<Vec<u8>> {
        let refused = |problem: String| self.refused("GIF", problem);
        let [width, height] = self.size;
        let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
            return Err(refused("a side is longer than 65,535 pixels".to_owned()));
        };
        let mut bytes = Vec::new();
        let encode = |bytes: &mut Vec<u8>| {
            let mut encoder = gif::Encoder::new(bytes, width, height, &[])?;
            encoder.set_repeat(gif::Repeat::Infinite)?;
            for pixels in &self.frames {
                let mut frame = gif::Frame::from_rgb_speed(width, height, pixels, QUANTIZATION);
                frame.delay = self.delay;
                encoder.write_frame(&frame)?;
            }
            Ok::<_, gif::EncodingError>(())
        };
        encode(&mut bytes).map_err(|error| refused(error.to_string()))?;
        Ok(bytes)
    }

    /// The bytes of an animated PNG file, whose first frame is what programs show that know no animation.
    ///
    /// # Errors
    /// The frames are larger than a PNG can be.
    pub fn apng_bytes(&self) -> Result<Vec<u8>> {
        let [width, height] = self.size;
        let mut bytes = Vec::new();
        let encode = |bytes: &mut Vec<u8>| {
            let mut encoder = png::Encoder::new(bytes, width, height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.set_animated(self.frames.len() as u32, 0)?;
            encoder.set_frame_delay(self.delay, 100)?;
            let mut writer = encoder.write_header()?;
            for pixels in &self.frames {
                writer.write_image_data(pixels)?;
            }
            writer.finish()
        };
        encode(&mut bytes).map_err(|error| self.refused("PNG", error.to_string()))?;
        Ok(bytes)
    }

    /// Writes it as a GIF or an animated PNG file, as the name ends, to a temporary name first.
    ///
    /// # Errors
    /// Another ending, frames that are too large, or the folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let is = |wanted: &str| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
        };
        let bytes = if is("gif") {
            self.gif_bytes()?
        } else if is("apng") || is("png") {
            self.apng_bytes()?
        } else {
            return Err(Error::usage(
                path.display().to_string(),
                "animations are written as GIF or animated PNG files",
                format!("name it {}", path.with_extension("gif").display()),
            ));
        };
        files::write_whole(path, &bytes)
    }

    fn refused(&self, format: &str, problem: String) -> Error {
        let [width, height] = self.size;
        Error::input(
            format!("animation of {width} x {height} pixels"),
            format!("it cannot be written as {format}: {problem}"),
            "show fewer units, or write single pictures",
        )
    }
}
