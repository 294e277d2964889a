//! PNG and JPEG files, decoded, shown as they ask to be (their EXIF orientation, their transparency on white), cropped to
//! the largest square in the middle and resized.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::exif::orientation;
use crate::signature::{Expected, other_kind};

/// Pixels of a file's longer side at most.
const MAX_SIDE: usize = 16_384;
/// Bytes of a decoded image, and of a JPEG file, at most.
const MAX_BYTES: usize = 512 << 20;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// A decoded image, its samples interleaved, of one byte or of two in big-endian order.
struct Raster {
    width: usize,
    height: usize,
    channels: usize,
    is_deep: bool,
    bytes: Vec<u8>,
}

/// A file as a data set has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Square {
    /// Red, green and blue, channel after channel: `[3, size, size]`.
    pub pixels: Vec<u8>,
    /// Whether its EXIF orientation turned it.
    pub is_turned: bool,
    /// Whether some of it was transparent.
    pub is_transparent: bool,
}

/// The red, green and blue of a file.
pub(super) fn read_square(path: &Path, size: usize) -> Result<Square, String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => "it cannot be read".to_owned(),
    };
    let file = File::open(path).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(failed)?;
    let (raster, orientation) = if start.starts_with(PNG_SIGNATURE) {
        decode_png(reader)?
    } else if start.starts_with(JPEG_SIGNATURE) {
        decode_jpeg(reader)?
    } else {
        let other = other_kind("", start, Expected::Image);
        return Err(match other {
            Some(error) => error.problem().to_owned(),
            None => "neither a PNG nor a JPEG image".to_owned(),
        });
    };
    let mut raster = raster.turned(orientation);
    let is_transparent = raster.lay_on_white();
    Ok(Square {
        pixels: raster.square(size),
        is_turned: orientation > 1,
        is_transparent,
    })
}

/// What is wrong with a PNG file.
fn png_problem(error: &png::DecodingError) -> String {
    match error {
        png::DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it is cut short".to_owned()
        }
        png::DecodingError::LimitsExceeded => "it is too large".to_owned(),
        _ => "it is damaged".to_owned(),
    }
}

/// A PNG file and its orientation.
fn decode_png(reader: BufReader<File>) -> Result<(Raster, u8), String> {
    let failed = |error: png::DecodingError| png_problem(&error);
    let limits = png::Limits { bytes: MAX_BYTES };
    let mut decoder = png::Decoder::new_with_limits(reader, limits);
    let header = decoder.read_header_info().map_err(failed)?;
    check_size(header.width as usize, header.height as usize)?;
    // Palettes become colors, and one to four bits a sample become eight.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (color, depth) = reader.output_color_type();
    let length = reader
        .output_buffer_size()
        .filter(|&length| length <= MAX_BYTES)
        .ok_or("the image is too large")?;
    let mut bytes = vec![0; length];
    let frame = reader.next_frame(&mut bytes).map_err(failed)?;
    let turn = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation);
    let raster = Raster {
        width: frame.width as usize,
        height: frame.height as usize,
        channels: match color {
            ColorType::Grayscale => 1,
            ColorType::GrayscaleAlpha => 2,
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            ColorType::Indexed => return Err("its palette cannot be read".to_owned()),
        },
        is_deep: match depth {
            BitDepth::Eight => false,
            BitDepth::Sixteen => true,
            _ => return Err("fewer than eight bits a sample".to_owned()),
        },
        bytes,
    };
    Ok((raster, turn))
}

/// Whether the image of a JPEG file ends: a decoder fills what is missing with gray and reports no error. In the data of
/// an image no byte 0xff is followed by these; an image within the image, a preview, comes before them.
fn is_complete(file: &[u8]) -> bool {
    let last = |marker: [u8; 2]| file.windows(2).rposition(|at| at == marker);
    match (last([0xff, 0xda]), last([0xff, 0xd9])) {
        (Some(scan), Some(end)) => end > scan,
        _ => false,
    }
}

/// A JPEG file and its orientation.
fn decode_jpeg(reader: BufReader<File>) -> Result<(Raster, u8), String> {
    let mut file = Vec::new();
    reader
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut file)
        .map_err(|_| "it cannot be read".to_owned())?;
    if file.len() > MAX_BYTES {
        return Err("the file is too large".to_owned());
    }
    if !is_complete(&file) {
        return Err("it is cut short".to_owned());
    }
    let damaged = |_| "it is damaged, or a kind of JPEG that is not read".to_owned();
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&file[..]), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    check_size(width, height)?;
    let (color, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::LumaA) => (ColorSpace::LumaA, 2),
        Some(ColorSpace::RGBA) => (ColorSpace::RGBA, 4),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(color));
    let turn = decoder.exif().map_or(1, |exif| orientation(exif));
    let bytes = decoder.decode().map_err(damaged)?;
    if bytes.len() != width * height * channels {
        return Err("it has another number of pixels than its header says".to_owned());
    }
    let raster = Raster {
        width,
        height,
        channels,
        is_deep: false,
        bytes,
    };
    Ok((raster, turn))
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width.max(height) > MAX_SIDE || width.min(height) == 0 {
        return Err(format!(
            "{width} x {height} pixels; sides can have from 1 to {MAX_SIDE}"
        ));
    }
    Ok(())
}

impl Raster {
    fn sample(&self, x: usize, y: usize, channel: usize) -> f32 {
        let index = (y * self.width + x) * self.channels + channel;
        if self.is_deep {
            f32::from(u16::from_be_bytes([
                self.bytes[2 * index],
                self.bytes[2 * index + 1],
            ]))
        } else {
            f32::from(self.bytes[index])
        }
    }

    /// The image as its EXIF orientation, 1 to 8, asks for it to be shown.
    fn turned(self, orientation: u8) -> Self {
        let (w, h) = (self.width, self.height);
        // Where the pixel comes from that is shown at a position.
        let source = |x: usize, y: usize| match orientation {
            2 => (w - 1 - x, y),
            3 => (w - 1 - x, h - 1 - y),
            4 => (x, h - 1 - y),
            5 => (y, x),
            6 => (y, h - 1 - x),
            7 => (w - 1 - y, h - 1 - x),
            8 => (w - 1 - y, x),
            _ => (x, y),
        };
        let (width, height) = match orientation {
            5..=8 => (h, w),
            2..=4 => (w, h),
            _ => return self,
        };
        let size = self.channels * if self.is_deep { 2 } else { 1 };
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = source(x, y);
                bytes.extend_from_slice(&self.bytes[(from_y * w + from_x) * size..][..size]);
            }
        }
        Self {
            width,
            height,
            bytes,
            ..self
        }
    }

    /// Lays what is transparent on white, as most viewers and a printed page show it; whether anything was.
    fn lay_on_white(&mut self) -> bool {
        if !matches!(self.channels, 2 | 4) {
            return false;
        }
        let (size, most) = if self.is_deep { (2, 65_535) } else { (1, 255) };
        let value = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0u64, |value, &byte| value << 8 | u64::from(byte))
        };
        let mut is_transparent = false;
        for pixel in self.bytes.chunks_exact_mut(self.channels * size) {
            let (colors, alpha) = pixel.split_at_mut((self.channels - 1) * size);
            let alpha = value(alpha);
            if alpha == most {
                continue;
            }
            is_transparent = true;
            for color in colors.chunks_exact_mut(size) {
                let laid = (value(color) * alpha + most * (most - alpha) + most / 2) / most;
                color.copy_from_slice(&laid.to_be_bytes()[8 - size..]);
            }
        }
        is_transparent
    }

    /// The largest square in the middle, resized by a triangle filter: `[3, size, size]`.
    ///
    /// Rows are filtered first, then columns, in float32 and in this order of additions, as the crate `image` does it:
    /// data sets of earlier versions stay the same bit for bit.
    fn square(&self, size: usize) -> Vec<u8> {
        let scale = (size as f64 / self.width as f64).max(size as f64 / self.height as f64);
        let scaled = |side: usize| ((side as f64 * scale).round() as usize).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        let is_same_size = (width, height) == (self.width, self.height);
        let crop = |side: usize| (side - size) / 2..(side - size) / 2 + size;
        let columns: Vec<Taps> = crop(width)
            .map(|x| Taps::new(x, self.width, width, is_same_size))
            .collect();
        let mut pixels = vec![0; 3 * size * size];
        let mut row = vec![0.0; self.width];
        for (y, output_y) in crop(height).enumerate() {
            let taps = Taps::new(output_y, self.height, height, is_same_size);
            for color in 0..3 {
                // Gray is red, green and blue alike.
                let channel = if self.channels < 3 { 0 } else { color };
                for (x, value) in row.iter_mut().enumerate() {
                    *value = taps.sum(|y| self.sample(x, y, channel));
                }
                for (x, taps) in columns.iter().enumerate() {
                    let value = taps.sum(|x| row[x]);
                    pixels[(color * size + y) * size + x] = self.to_byte(value);
                }
            }
        }
        pixels
    }

    fn to_byte(&self, value: f32) -> u8 {
        if self.is_deep {
            let value = value.clamp(0.0, 65_535.0).round() as u32;
            ((value + 128) / 257) as u8
        } else {
            value.clamp(0.0, 255.0).round() as u8
        }
    }
}

/// What one output position takes from the input positions `first`, `first + 1`, ...
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    /// Those of output position `at` of `output` over `input` positions, or the position itself where nothing is resized.
    fn new(at: usize, input: usize, output: usize, is_same_size: bool) -> Self {
        if is_same_size {
            return Self {
                first: at,
                weights: vec![1.0],
            };
        }
        let ratio = input as f32 / output as f32;
        let width = ratio.max(1.0);
        let center = (at as f32 + 0.5) * ratio;
        let first = ((center - width).floor() as i64).clamp(0, input as i64 - 1);
        let end = ((center + width).ceil() as i64).clamp(first + 1, input as i64);
        let triangle = |position: i64| {
            let distance = ((position as f32 - (center - 0.5)) / width).abs();
            if distance < 1.0 { 1.0 - distance } else { 0.0 }
        };
        let weights: Vec<f32> = (first..end).map(triangle).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        Self {
            first: first as usize,
            weights: weights.iter().map(|weight| weight / sum).collect(),
        }
    }

    fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        let taps = self.weights.iter().enumerate();
        taps.fold(0.0, |sum, (index, weight)| {
            sum + value(self.first + index) * weight
        })
    }
}

#[cfg(test)]
mod tests {
    use image::imageops::FilterType;
    use image::{DynamicImage, ImageFormat};
    use proptest::prelude::*;

    use super::*;

    /// An image of one of the formats that files come in, with random samples.
    fn noise(format: usize, width: u32, height: u32, seed: u64) -> DynamicImage {
        let mut image = match format {
            0 => DynamicImage::new_luma8(width, height),
            1 => DynamicImage::new_luma_a8(width, height),
            2 => DynamicImage::new_rgb8(width, height),
            3 => DynamicImage::new_rgba8(width, height),
            4 => DynamicImage::new_luma16(width, height),
            5 => DynamicImage::new_luma_a16(width, height),
            6 => DynamicImage::new_rgb16(width, height),
            _ => DynamicImage::new_rgba16(width, height),
        };
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as u16
        };
        match &mut image {
            DynamicImage::ImageLuma8(image) => image.iter_mut().for_each(|s| *s = next() as u8),
            DynamicImage::ImageLumaA8(image) => image.iter_mut().for_each(|s| *s = next() as u8),
            DynamicImage::ImageRgb8(image) => image.iter_mut().for_each(|s| *s = next() as u8),
            DynamicImage::ImageRgba8(image) => image.iter_mut().for_each(|s| *s = next() as u8),
            DynamicImage::ImageLuma16(image) => image.iter_mut().for_each(|s| *s = next()),
            DynamicImage::ImageLumaA16(image) => image.iter_mut().for_each(|s| *s = next()),
            DynamicImage::ImageRgb16(image) => image.iter_mut().for_each(|s| *s = next()),
            DynamicImage::ImageRgba16(image) => image.iter_mut().for_each(|s| *s = next()),
            _ => unreachable!("made above"),
        }
        image
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn squares_equal_those_of_the_image_crate(
            format in 0..8usize,
            width in 1..40u32,
            height in 1..40u32,
            size in 1..48usize,
            is_jpeg: bool,
            seed: u64,
        ) {
            let is_jpeg = is_jpeg && (format == 0 || format == 2);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("image");
            let kind = if is_jpeg { ImageFormat::Jpeg } else { ImageFormat::Png };
            noise(format, width, height, seed).save_with_format(&path, kind).unwrap();
            let reader = image::ImageReader::open(&path).unwrap().with_guessed_format().unwrap();
            let image = reader.decode().unwrap();
            let side = size as u32;
            let image = on_white(image);
            let image = image.resize_to_fill(side, side, FilterType::Triangle).to_rgb8();
            let channel = |c: usize| image.as_raw().iter().skip(c).step_by(3).copied();
            let expected: Vec<u8> = (0..3).flat_map(channel).collect();
            let square = read_square(&path, size).unwrap();
            prop_assert_eq!(square.pixels, expected);
            prop_assert!(!square.is_turned);
        }

        /// As the image crate turns them, on both of the paths that orientations come by.
        #[test]
        fn images_are_turned_as_their_orientation_asks(
            width in 1..12u32,
            height in 1..12u32,
            orientation in 1..9u8,
            is_big_endian: bool,
            seed: u64,
        ) {
            let image = noise(2, width, height, seed);
            let block = super::super::exif::tests::block(orientation, is_big_endian);
            let mut file = Vec::new();
            let mut info = png::Info::with_size(width, height);
            info.color_type = ColorType::Rgb;
            info.bit_depth = BitDepth::Eight;
            info.exif_metadata = Some(block.clone().into());
            let encoder = png::Encoder::with_info(&mut file, info).unwrap();
            let mut encoder = encoder.write_header().unwrap();
            encoder.write_image_data(image.as_bytes()).unwrap();
            encoder.finish().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("image.png");
            std::fs::write(&path, &file).unwrap();
            let mut shown = image;
            shown.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
            let side = width.min(height) as usize;
            let upright = folder.path().join("upright.png");
            shown.save(&upright).unwrap();
            let square = read_square(&path, side).unwrap();
            prop_assert_eq!(square.is_turned, orientation > 1);
            prop_assert_eq!(square.pixels, read_square(&upright, side).unwrap().pixels);
            let mut jpeg = Vec::new();
            shown.write_to(&mut std::io::Cursor::new(&mut jpeg), ImageFormat::Jpeg).unwrap();
            let length = (block.len() as u16 + 8).to_be_bytes();
            let header = [b"\xff\xe1", &length[..], b"Exif\0\0", &block].concat();
            jpeg.splice(2..2, header);
            std::fs::write(&path, &jpeg).unwrap();
            let square = read_square(&path, side);
            prop_assert_eq!(square.map(|square| square.is_turned), Ok(orientation > 1));
            std::fs::write(&path, &jpeg[..jpeg.len() - 2]).unwrap();
            prop_assert_eq!(read_square(&path, side), Err("it is cut short".to_owned()));
        }
    }

    /// The image without transparency, on white.
    fn on_white(image: DynamicImage) -> DynamicImage {
        let lay = |color: u64, alpha: u64, most: u64| {
            (color * alpha + most * (most - alpha) + most / 2) / most
        };
        match image {
            DynamicImage::ImageLumaA8(_) | DynamicImage::ImageRgba8(_) => {
                let mut image = image.to_rgba8();
                for pixel in image.pixels_mut() {
                    let [.., alpha] = pixel.0;
                    let laid = |color: u8| lay(color.into(), alpha.into(), 255) as u8;
                    pixel.0 = [laid(pixel.0[0]), laid(pixel.0[1]), laid(pixel.0[2]), 255];
                }
                DynamicImage::ImageRgba8(image)
            }
            DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgba16(_) => {
                let mut image = image.to_rgba16();
                for pixel in image.pixels_mut() {
                    let [.., alpha] = pixel.0;
                    let laid = |color: u16| lay(color.into(), alpha.into(), 65_535) as u16;
                    pixel.0 = [laid(pixel.0[0]), laid(pixel.0[1]), laid(pixel.0[2]), 65_535];
                }
                DynamicImage::ImageRgba16(image)
            }
            opaque => opaque,
        }
    }
}
