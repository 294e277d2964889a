//! Few colors that stand for the many of a picture.

use std::collections::HashMap;

type Rgb = [u8; 3];

/// Colors that a PNG file can number.
const MOST: usize = 256;
/// Of these, how many are the most frequent ones; the others are those that are farthest from any so far, so that a rare
/// color of its own, such as a mark, is never lost to frequent shades.
const FREQUENT: usize = 176;

/// Colors, and for each color of a picture the nearest of them.
#[derive(Debug)]
pub(super) struct Palette {
    colors: Vec<Rgb>,
    nearest: HashMap<Rgb, u8>,
}

impl Palette {
    /// The palette of pixels of three bytes each. A picture of at most 256 colors keeps them all.
    pub fn of(pixels: &[u8]) -> Self {
        let mut counts: HashMap<Rgb, usize> = HashMap::new();
        for pixel in pixels.as_chunks::<3>().0 {
            *counts.entry(*pixel).or_default() += 1;
        }
        let mut all: Vec<(Rgb, usize)> = counts.into_iter().collect();
        all.sort_by_key(|(color, count)| (std::cmp::Reverse(*count), *color));
        let all: Vec<Rgb> = all.into_iter().map(|(color, _)| color).collect();
        let frequent = match all.len() {
            few if few <= MOST => few,
            _ => FREQUENT,
        };
        let mut colors = all[..frequent].to_vec();
        // For each color the nearest of the palette so far, and how far that is.
        let mut nearest: Vec<(usize, u32)> =
            all.iter().map(|color| closest(&colors, *color)).collect();
        while colors.len() < MOST.min(all.len()) {
            let far = (0..all.len()).max_by_key(|&i| (nearest[i].1, std::cmp::Reverse(i)));
            let Some(far) = far.filter(|&i| nearest[i].1 > 0) else {
                break;
            };
            let index = colors.len();
            colors.push(all[far]);
            for (color, best) in all.iter().zip(&mut nearest) {
                let distance = squared_distance(*color, all[far]);
                if distance < best.1 {
                    *best = (index, distance);
                }
            }
        }
        let pairs = all.iter().zip(&nearest);
        Self {
            colors,
            // At most 256 colors.
            nearest: pairs
                .map(|(color, (index, _))| (*color, *index as u8))
                .collect(),
        }
    }

    /// The colors, three bytes each.
    pub fn bytes(&self) -> Vec<u8> {
        self.colors.concat()
    }

    /// The number of the color of each pixel; the pixels are those that the palette was made of.
    pub fn indices(&self, pixels: &[u8]) -> Vec<u8> {
        let pixels = pixels.as_chunks::<3>().0.iter();
        pixels
            .map(|pixel| self.nearest.get(pixel).copied().unwrap_or(0))
            .collect()
    }
}

fn closest(colors: &[Rgb], color: Rgb) -> (usize, u32) {
    let distances = colors.iter().map(|other| squared_distance(*other, color));
    distances
        .enumerate()
        .min_by_key(|(_, distance)| *distance)
        .unwrap_or((0, u32::MAX))
}

fn squared_distance(a: Rgb, b: Rgb) -> u32 {
    let squares = a
        .iter()
        .zip(b)
        .map(|(a, b)| u32::from(a.abs_diff(b)).pow(2));
    squares.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restored(pixels: &[u8]) -> Vec<u8> {
        let palette = Palette::of(pixels);
        let colors = palette.bytes();
        let indices = palette.indices(pixels).into_iter().map(usize::from);
        indices
            .flat_map(|index| colors[3 * index..3 * index + 3].to_vec())
            .collect()
    }

    #[test]
    fn a_rare_color_of_its_own_is_kept() {
        // A thousand grays with a blue tint, and one magenta pixel.
        let mut pixels: Vec<u8> = (0..4000u32)
            .flat_map(|i| [(i % 250) as u8, (i % 251) as u8, (i % 253) as u8])
            .collect();
        pixels.extend([214, 0, 108]);
        assert_eq!(restored(&pixels)[pixels.len() - 3..], [214, 0, 108]);
    }

    proptest! {
        #[test]
        fn few_colors_are_exact_and_many_are_near(
            colors in prop::collection::vec(any::<[u8; 3]>(), 1..600),
            repeats in 1usize..4,
        ) {
            let pixels = colors.concat().repeat(repeats);
            let restored = restored(&pixels);
            let mut distinct = colors.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if distinct.len() <= MOST {
                prop_assert_eq!(&restored, &pixels);
            }
            // Eighty farthest points of the cube of all colors leave no color farther away than this.
            for (a, b) in restored.chunks(3).zip(pixels.chunks(3)) {
                let apart = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
                prop_assert!(apart <= Some(96), "{:?} {:?}", a, b);
            }
        }
    }
}
