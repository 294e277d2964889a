//! Images with a signed number at each pixel laid over them: red positive, blue negative, white at zero.

use super::image_grid::{ImageGrid, ImageRow};
use super::painter::Painter;
use super::picture::Picture;
use super::theme::{Theme, diverging_at};
use crate::gpu::{Buffer, Gpu};
use crate::number::short;
use crate::{Error, Result};

/// How much darker than white the darkest image shows through the numbers.
const SHADE: f32 = 0.35;
/// Side of an image in points, where its pixels are small enough.
const SIDE: usize = 64;

/// Images and the numbers of their pixels. The numbers of each image row share their limits, the same on both sides of zero.
#[derive(Debug, Clone, Copy)]
pub struct SignedImages<'a> {
    /// Says what is drawn.
    pub title: &'a str,
    /// A sentence below the title.
    pub note: &'a str,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// `[count, channels, height, width]`, in `[0, 1]`.
    pub images: &'a [f32],
    /// A number for each value of the images; the numbers of all channels of a pixel are added up.
    pub numbers: &'a [f64],
    /// Images side by side.
    pub columns: usize,
}

impl SignedImages<'_> {
    /// The largest sum of a pixel's numbers, by magnitude: what the full colors stand for.
    pub fn limit(&self) -> f64 {
        let sums = self.pixel_sums();
        let finite = sums.iter().filter(|sum| sum.is_finite());
        finite.fold(0.0, |most, sum| most.max(sum.abs()))
    }

    /// A picture with each image above the same one with its numbers, without waiting for it.
    ///
    /// # Errors
    /// Sizes that do not fit each other, or more images than the adapter's textures hold.
    pub fn picture(&self, painter: &Painter, theme: &Theme) -> Result<Picture> {
        let [channels, height, width] = self.shape;
        let size = channels * height * width;
        if size == 0
            || !self.images.len().is_multiple_of(size)
            || self.numbers.len() != self.images.len()
        {
            return Err(Error::input(
                format!("signed images '{}'", self.title),
                format!(
                    "{} values and {} numbers for images of {channels} x {height} x {width}",
                    self.images.len(),
                    self.numbers.len()
                ),
                "give one number for each value of whole images",
            ));
        }
        let count = self.images.len() / size;
        let limit = self.limit();
        let gpu = painter.gpu();
        let [images, overlays] = [self.colors(), self.overlays(limit)];
        let [images, overlays]: [Buffer<f32>; 2] = [upload(gpu, &images)?, upload(gpu, &overlays)?];
        let note = format!("{} Full color: ±{}.", self.note, short(limit));
        let grid = ImageGrid {
            title: self.title,
            note: note.trim_start(),
            rows: &[
                ImageRow {
                    label: "input",
                    images: &images,
                    logits: false,
                },
                ImageRow {
                    label: "contribution",
                    images: &overlays,
                    logits: false,
                },
            ],
            count,
            channels: 3,
            height,
            width,
            columns: self.columns.min(count),
            zoom: (SIDE / width.max(height)).max(1),
        };
        grid.picture(painter, theme)
    }

    /// The sum over the channels of each pixel's numbers, `[count, height * width]`.
    fn pixel_sums(&self) -> Vec<f64> {
        let [channels, height, width] = self.shape;
        let pixels = height * width;
        let images = self.numbers.chunks_exact((channels * pixels).max(1));
        let sums = images.flat_map(|numbers| {
            (0..pixels).map(move |p| numbers.iter().skip(p).step_by(pixels).sum::<f64>())
        });
        sums.collect()
    }

    /// The images in red, green and blue: of one channel as gray, of more the first three (two leave blue at 0).
    fn colors(&self) -> Vec<f32> {
        let [channels, height, width] = self.shape;
        let pixels = height * width;
        let images = self.images.chunks_exact(channels * pixels);
        let colors = images.flat_map(|image| {
            (0..3).flat_map(move |color| {
                let channel = if channels == 1 { 0 } else { color };
                (0..pixels).map(move |p| image.get(channel * pixels + p).copied().unwrap_or(0.0))
            })
        });
        colors.collect()
    }

    /// The numbers in color, on paper that the images shade.
    fn overlays(&self, limit: f64) -> Vec<f32> {
        let [_, height, width] = self.shape;
        let pixels = height * width;
        let colors = self.colors();
        let images = colors
            .chunks_exact(3 * pixels)
            .zip(self.pixel_sums_by_image());
        let overlays = images.flat_map(|(image, sums)| {
            (0..3).flat_map(move |color| {
                let sums = sums.clone();
                (0..pixels).map(move |p| {
                    let gray = (0..3).map(|c| image[c * pixels + p]).sum::<f32>() / 3.0;
                    let paper = 1.0 - SHADE * gray.clamp(0.0, 1.0);
                    let share = if limit > 0.0 { sums[p] / limit } else { 0.0 };
                    paper * f32::from(diverging_at(share as f32)[color]) / 255.0
                })
            })
        });
        overlays.collect()
    }

    fn pixel_sums_by_image(&self) -> Vec<Vec<f64>> {
        let [_, height, width] = self.shape;
        let sums = self.pixel_sums();
        sums.chunks_exact(height * width)
            .map(<[f64]>::to_vec)
            .collect()
    }
}

fn upload(gpu: &Gpu, values: &[f32]) -> Result<Buffer<f32>> {
    gpu.upload("signed images", values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_equal_and_zero_is_the_paper() {
        let images = [0.0, 1.0, 0.0, 1.0];
        let numbers = [0.5, -2.0, 1.0, 0.0];
        let signed = SignedImages {
            title: "",
            note: "",
            shape: [1, 1, 2],
            images: &images,
            numbers: &numbers,
            columns: 2,
        };
        assert_eq!(signed.limit(), 2.0);
        let overlays = signed.overlays(2.0);
        // Each image has its red pixels first, then green, then blue.
        let color =
            |image: usize, pixel: usize| [0, 1, 2].map(|c| overlays[image * 6 + c * 2 + pixel]);
        assert_eq!(color(1, 1), [1.0 - SHADE; 3], "zero on a bright pixel");
        let blue = diverging_at(-1.0).map(|byte| f32::from(byte) / 255.0 * (1.0 - SHADE));
        let drawn = color(0, 1);
        assert!(drawn.iter().zip(blue).all(|(a, b)| (a - b).abs() < 1e-6));
        let [red, _, other] = color(1, 0);
        assert!(red > other, "positive is red");
    }

    #[test]
    fn channels_of_a_pixel_are_added_up() {
        let numbers = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0];
        let signed = SignedImages {
            title: "",
            note: "",
            shape: [3, 1, 2],
            images: &[0.0; 6],
            numbers: &numbers,
            columns: 1,
        };
        assert_eq!(signed.pixel_sums(), [111.0, 222.0]);
    }
}
