//! Generated images of one shape each, whose factors are known: what a latent space should find.

use std::f64::consts::TAU;

use super::Images;
use crate::random::{Stream, uniform, words};

/// Kinds of shapes, which are the classes.
const KINDS: [&str; 3] = ["square", "ellipse", "triangle"];

/// What an image shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Place in square, ellipse, triangle: the label.
    pub kind: usize,
    /// Hue in `[0, 1)`: red, yellow, green, ...
    pub hue: f64,
    /// Center across and down, in parts of the image's side.
    pub center: [f64; 2],
    /// Half the extent, in parts of the image's side.
    pub size: f64,
    /// Turns counter-clockwise in `[0, 1)`.
    pub orientation: f64,
}

/// The factors of image `index` of the set that `seed` names.
pub fn factors(seed: u64, index: u32) -> Factors {
    let first = words(seed, Stream::Synthetic, 0, index).map(uniform);
    let second = words(seed, Stream::Synthetic, 1, index).map(uniform);
    let size = 0.12 + 0.13 * first[2];
    let within = |share: f64| size + (1.0 - 2.0 * size) * share;
    Factors {
        kind: (first[0] * KINDS.len() as f64) as usize,
        hue: first[1],
        center: [within(second[0]), within(second[1])],
        size,
        orientation: first[3],
    }
}

/// What is behind the shapes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Background {
    /// Nothing.
    #[default]
    Black,
    /// A color of its own for each image, with noise in every pixel; this share of the images has the color alone.
    Texture {
        /// The share of images with a flat background.
        flat: f64,
        /// The greatest distance of a pixel from its color.
        noise: f64,
    },
    /// As film grain has it: background and shape have a color each, with noise in every pixel that the ends of the range
    /// never cut off; this share of the images has a white background without noise, as cut-out pictures of products do.
    Grain {
        /// The share of images with a flat background.
        flat: f64,
        /// The greatest distance of a pixel from its color, at most half of the range.
        noise: f64,
    },
}

impl Background {
    /// Red, green and blue of pixel `pixel` of image `index`, which has `pixels` of them.
    fn color(self, seed: u64, index: u32, pixel: usize, pixels: usize) -> [f64; 3] {
        let (flat, noise) = match self {
            Self::Black => return [0.0; 3],
            Self::Texture { flat, noise } => (flat, noise),
            Self::Grain { flat, noise } => {
                let kind = words(seed, Stream::Synthetic, 2, index).map(uniform)[3];
                let at = number(index, pixel, pixels);
                return if kind < flat {
                    [1.0; 3]
                } else {
                    grain(seed, [2, 3], [index, at], noise)
                };
            }
        };
        let [red, green, blue, kind] = words(seed, Stream::Synthetic, 2, index).map(uniform);
        let drawn = words(seed, Stream::Synthetic, 3, number(index, pixel, pixels)).map(uniform);
        let amplitude = if kind < flat { 0.0 } else { noise };
        let shade = |color: f64, drawn: f64| {
            let value = 0.2 + 0.6 * color + amplitude * (2.0 * drawn - 1.0);
            value.clamp(0.0, 1.0)
        };
        [
            shade(red, drawn[0]),
            shade(green, drawn[1]),
            shade(blue, drawn[2]),
        ]
    }
}

/// The number of a pixel among those of all images.
fn number(index: u32, pixel: usize, pixels: usize) -> u32 {
    index.wrapping_mul(pixels as u32).wrapping_add(pixel as u32)
}

/// A color and noise around it, from two positions of the stream: that of the image and that of the pixel.
fn grain(seed: u64, streams: [u32; 2], [image, pixel]: [u32; 2], noise: f64) -> [f64; 3] {
    let color = words(seed, Stream::Synthetic, streams[0], image).map(uniform);
    let drawn = words(seed, Stream::Synthetic, streams[1], pixel).map(uniform);
    let noise = noise.min(0.5);
    [0, 1, 2].map(|channel| {
        let middle = noise + (1.0 - 2.0 * noise) * color[channel];
        middle + noise * (2.0 * drawn[channel] - 1.0)
    })
}

/// `count` images of `side` x `side` pixels, red, green and blue on black, with antialiased edges.
pub fn shapes(seed: u64, count: usize, side: usize) -> Images {
    shapes_on(Background::Black, seed, count, side)
}

/// The same shapes on a background.
pub fn shapes_on(background: Background, seed: u64, count: usize, side: usize) -> Images {
    let mut pixels = Vec::with_capacity(count * 3 * side * side);
    let mut labels = Vec::with_capacity(count);
    for index in 0..count {
        let factors = factors(seed, index as u32);
        labels.push(factors.kind as u8);
        let cover: Vec<f64> = (0..side * side)
            .map(|i| coverage(&factors, i % side, i / side, side))
            .collect();
        let behind: Vec<[f64; 3]> = (0..side * side)
            .map(|pixel| background.color(seed, index as u32, pixel, side * side))
            .collect();
        let hue = color(factors.hue);
        let before: Vec<[f64; 3]> = (0..side * side)
            .map(|pixel| match background {
                Background::Grain { noise, .. } => {
                    let at = number(index as u32, pixel, side * side);
                    grain(seed, [4, 5], [index as u32, at], noise)
                }
                Background::Black | Background::Texture { .. } => hue,
            })
            .collect();
        for channel in 0..3 {
            let values = cover.iter().zip(before.iter().zip(&behind));
            let values = values.map(|(cover, (before, behind))| {
                before[channel] * cover + behind[channel] * (1.0 - cover)
            });
            pixels.extend(values.map(|value| (255.0 * value).round() as u8));
        }
    }
    Images {
        count,
        shape: [3, side, side],
        pixels,
        labels,
        classes: KINDS.len(),
        class_names: KINDS.map(str::to_owned).to_vec(),
        name: "shapes".to_owned(),
        ..Images::default()
    }
}

/// How much of a pixel the shape covers, from the distance of its center to the edge.
fn coverage(factors: &Factors, x: usize, y: usize, side: usize) -> f64 {
    let offset = |i: usize, center: f64| (i as f64 + 0.5) / side as f64 - center;
    let (dx, dy) = (offset(x, factors.center[0]), offset(y, factors.center[1]));
    let (sin, cos) = (TAU * factors.orientation).sin_cos();
    // In units of the shape's size, turned back.
    let u = (cos * dx - sin * dy) / factors.size;
    let v = (sin * dx + cos * dy) / factors.size;
    let outside = match factors.kind {
        0 => u.abs().max(v.abs()) - 0.75,
        1 => (u * u + (v / 0.6).powi(2)).sqrt() * 0.6 - 0.6,
        _ => (0..3)
            .map(|edge| {
                let (sin, cos) = (TAU * (f64::from(edge) / 3.0 + 0.25)).sin_cos();
                u * cos + v * sin - 0.5
            })
            .fold(f64::NEG_INFINITY, f64::max),
    };
    (0.5 - outside * factors.size * side as f64).clamp(0.0, 1.0)
}

/// Red, green and blue of a full hue.
fn color(hue: f64) -> [f64; 3] {
    [0.0, 1.0, 2.0].map(|part| {
        let distance = (hue * 3.0 - part + 1.5).rem_euclid(3.0) - 1.5;
        (1.5 - 1.5 * distance.abs()).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_show_in_the_image() {
        let images = shapes(3, 60, 32);
        for index in 0..60 {
            let factors = factors(3, index as u32);
            assert_eq!(usize::from(images.labels[index]), factors.kind);
            let image = &images.pixels[index * 3 * 1024..][..3 * 1024];
            let strength: Vec<f64> = (0..1024)
                .map(|i| (0..3).map(|c| f64::from(image[c * 1024 + i])).sum())
                .collect();
            let total: f64 = strength.iter().sum();
            let mean = |of: &dyn Fn(usize) -> usize| {
                let sum: f64 = (0..1024).map(|i| strength[i] * (of(i) as f64 + 0.5)).sum();
                sum / total / 32.0
            };
            assert!(total > 0.0);
            assert!((mean(&|i| i % 32) - factors.center[0]).abs() < 0.02);
            assert!((mean(&|i| i / 32) - factors.center[1]).abs() < 0.02);
        }
    }

    /// Away from the shapes a flat background is one color, and a texture is not; the share is about right.
    #[test]
    fn backgrounds_are_flat_or_textured() {
        let side = 16;
        let is_flat = |images: &Images, index: usize| {
            let image = &images.pixels[index * 3 * side * side..][..3 * side * side];
            // The corners, of which a shape covers one at most.
            let corners = [0, side - 1, side * (side - 1), side * side - 1];
            let mut colors = corners.map(|corner| image[corner]);
            colors.sort();
            colors.windows(3).any(|three| three[0] == three[2])
        };
        let flat_ones = |flat: f64| {
            let images = shapes_on(Background::Texture { flat, noise: 0.2 }, 3, 200, side);
            (0..200).filter(|&index| is_flat(&images, index)).count()
        };
        assert_eq!(flat_ones(1.0), 200);
        assert!(flat_ones(0.0) < 20);
        assert!((60..150).contains(&flat_ones(0.5)));
        assert_eq!(shapes(3, 5, side), shapes_on(Background::Black, 3, 5, side));
    }

    /// Grain is everywhere, the shapes included, and nothing of it is cut off; flat backgrounds are white.
    #[test]
    fn grain_has_no_flat_region() {
        let side = 16;
        let share = |images: &Images, is: &dyn Fn(&[u8]) -> bool| {
            let pairs = images
                .pixels
                .chunks(side)
                .flat_map(|line| line.windows(2).map(is));
            let (count, of) = pairs.fold((0, 0), |(count, of), found| {
                (count + usize::from(found), of + 1)
            });
            f64::from(count as u32) / f64::from(of)
        };
        let equal = |pair: &[u8]| pair[0] == pair[1];
        let cut_off = |pair: &[u8]| pair.iter().any(|&value| value == 0 || value == 255);
        let grainy = shapes_on(
            Background::Grain {
                flat: 0.0,
                noise: 0.3,
            },
            3,
            100,
            side,
        );
        // Two of 153 values at random, and a little more at edges.
        assert!(share(&grainy, &equal) < 0.03, "{}", share(&grainy, &equal));
        assert!(share(&grainy, &cut_off) < 0.01);
        let flat = shapes_on(
            Background::Grain {
                flat: 1.0,
                noise: 0.3,
            },
            3,
            100,
            side,
        );
        assert!(share(&flat, &equal) > 0.6, "{}", share(&flat, &equal));
        assert!(share(&flat, &|pair| pair == [255, 255]) > 0.6);
    }
}
