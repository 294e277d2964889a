//! What the samples and labels of a run say by themselves, without any model.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::data::{Corruption, Images};

/// Samples at most that sums over pixels are taken over.
const SAMPLES: usize = 4096;
/// Samples at most whose nearest neighbors are looked for.
const NEIGHBORS: usize = 700;
/// The side of the grid that images are averaged over before they are compared.
const GRID: usize = 7;
/// A sample is out of line where its largest value is this many times the median sample's.
const OUT_OF_LINE: f64 = 3.0;

/// Statistics of a data set as batches hold it: scaled, and with corrupted samples.
#[derive(Debug, Clone, Default)]
pub(super) struct DataFacts {
    /// How many samples there are.
    pub count: usize,
    /// How many differ from all others; a lower bound where there are more than were looked at.
    pub unique: usize,
    /// The least and the greatest value.
    pub range: [f64; 2],
    /// The root of the mean square of all values.
    pub rms: f64,
    /// The variance over the samples, averaged over the positions of an image.
    pub variance: f64,
    /// Samples with values beyond `[0, 1]`.
    pub beyond: Vec<u32>,
    /// Samples whose largest value is out of line with that of the others.
    pub outliers: Vec<u32>,
    /// Least mean binary cross-entropy and squared error of a sample that one constant image can have.
    pub constant_loss: [f64; 2],
    /// How many samples each class has; none without labels.
    pub classes: Vec<usize>,
    /// The mean length of runs of the same label in the order of the file.
    pub label_run: f64,
    /// How often the nearest other sample has the same label; `None` without labels.
    pub neighbor_agreement: Option<f64>,
}

impl DataFacts {
    /// The statistics of `images` with some of them corrupted.
    pub fn new(images: &Images, corruption: Option<&Corruption>) -> Self {
        let size: usize = images.shape.iter().product();
        let factor = |sample: usize| match corruption {
            Some(corruption) if corruption.samples.contains(&(sample as u32)) => {
                f64::from(corruption.scale)
            }
            _ => 1.0,
        };
        let mut facts = Self {
            count: images.count,
            classes: class_counts(&images.labels, images.classes),
            label_run: label_run(&images.labels),
            ..Self::default()
        };
        facts.scan_extremes(images, size, &factor);
        facts.scan_pixels(images, size, &factor);
        if !images.labels.is_empty() {
            facts.neighbor_agreement = Some(neighbor_agreement(images));
        }
        facts
    }

    /// The share of the largest class.
    pub fn largest_class(&self) -> Option<(usize, f64)> {
        let total: usize = self.classes.iter().sum();
        let (class, count) = self
            .classes
            .iter()
            .enumerate()
            .max_by_key(|(_, count)| **count)?;
        (total > 0).then(|| (class, *count as f64 / total as f64))
    }

    /// The entropy of the labels: the least cross-entropy of an answer that does not look at the sample.
    pub fn label_entropy(&self) -> Option<f64> {
        let total: usize = self.classes.iter().sum();
        (total > 0).then(|| {
            let shares = self
                .classes
                .iter()
                .map(|&count| count as f64 / total as f64);
            shares
                .filter(|share| *share > 0.0)
                .map(|p| -p * p.ln())
                .sum()
        })
    }

    fn scan_extremes(&mut self, images: &Images, size: usize, factor: &dyn Fn(usize) -> f64) {
        let mut range = [f64::INFINITY, f64::NEG_INFINITY];
        let mut greatest = Vec::with_capacity(images.count);
        let mut hashes = HashSet::new();
        for (sample, pixels) in images.pixels.chunks_exact(size).enumerate() {
            let scale = factor(sample) / 255.0;
            let (low, high) = pixels
                .iter()
                .fold((u8::MAX, u8::MIN), |(low, high), &pixel| {
                    (low.min(pixel), high.max(pixel))
                });
            let ends = [f64::from(low) * scale, f64::from(high) * scale];
            range = [
                range[0].min(ends[0]).min(ends[1]),
                range[1].max(ends[0]).max(ends[1]),
            ];
            let most = ends[0].abs().max(ends[1].abs());
            greatest.push(most);
            if ends.iter().any(|end| !(-1e-6..=1.0 + 1e-6).contains(end)) {
                self.beyond.push(sample as u32);
            }
            let mut hasher = DefaultHasher::new();
            (pixels, scale.to_bits()).hash(&mut hasher);
            hashes.insert(hasher.finish());
        }
        let mut sorted = greatest.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let is_out = |most: f64| median > 0.0 && most > OUT_OF_LINE * median;
        let outliers = (0..).zip(&greatest).filter(|(_, most)| is_out(**most));
        self.outliers = outliers.map(|(sample, _)| sample).collect();
        self.range = range;
        self.unique = hashes.len();
    }

    fn scan_pixels(&mut self, images: &Images, size: usize, factor: &dyn Fn(usize) -> f64) {
        let stride = images.count.div_ceil(SAMPLES).max(1);
        let mut sums = vec![0.0f64; size];
        let mut squares = vec![0.0f64; size];
        let mut taken = 0.0;
        for sample in (0..images.count).step_by(stride) {
            let scale = factor(sample) / 255.0;
            let pixels = &images.pixels[sample * size..(sample + 1) * size];
            for ((sum, square), &pixel) in sums.iter_mut().zip(&mut squares).zip(pixels) {
                let value = f64::from(pixel) * scale;
                *sum += value;
                *square += value * value;
            }
            taken += 1.0;
        }
        let variances = sums.iter().zip(&squares).map(|(sum, square)| {
            let mean = sum / taken;
            (square / taken - mean * mean).max(0.0)
        });
        let error: f64 = variances.sum();
        self.variance = error / size as f64;
        self.rms = (squares.iter().sum::<f64>() / taken / size as f64).sqrt();
        let entropies = sums.iter().map(|sum| {
            let mean = (sum / taken).clamp(0.0, 1.0);
            let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
            term(mean) + term(1.0 - mean)
        });
        self.constant_loss = [entropies.sum(), error];
    }
}

fn class_counts(labels: &[u8], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; if labels.is_empty() { 0 } else { classes }];
    for &label in labels {
        if let Some(count) = counts.get_mut(usize::from(label)) {
            *count += 1;
        }
    }
    counts
}

fn label_run(labels: &[u8]) -> f64 {
    let changes = labels.windows(2).filter(|pair| pair[0] != pair[1]).count();
    labels.len() as f64 / (changes + 1) as f64
}

/// How often the nearest of some other samples has the same label, of images averaged over a coarse grid.
fn neighbor_agreement(images: &Images) -> f64 {
    let stride = images.count.div_ceil(NEIGHBORS).max(1);
    let samples: Vec<usize> = (0..images.count).step_by(stride).collect();
    let features: Vec<Vec<f32>> = samples
        .iter()
        .map(|&sample| coarse(images, sample))
        .collect();
    let distance =
        |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
    let agrees = |&index: &usize| {
        let others = (0..samples.len()).filter(|&other| other != index);
        let nearest = others.min_by(|&a, &b| {
            let [a, b] = [a, b].map(|other| distance(&features[index], &features[other]));
            a.total_cmp(&b)
        });
        nearest.is_some_and(|other| images.labels[samples[index]] == images.labels[samples[other]])
    };
    let agreeing = (0..samples.len()).filter(agrees).count();
    agreeing as f64 / samples.len().max(1) as f64
}

/// The channels of an image, each averaged over a grid of at most [`GRID`] by [`GRID`] cells.
fn coarse(images: &Images, sample: usize) -> Vec<f32> {
    let [channels, height, width] = images.shape;
    let (rows, columns) = (height.min(GRID), width.min(GRID));
    let size = channels * height * width;
    let pixels = &images.pixels[sample * size..(sample + 1) * size];
    let mut cells = vec![0.0f32; channels * rows * columns];
    let mut counts = vec![0.0f32; cells.len()];
    for (index, &pixel) in pixels.iter().enumerate() {
        let (channel, place) = (index / (height * width), index % (height * width));
        let (row, column) = (
            place / width * rows / height,
            place % width * columns / width,
        );
        let cell = (channel * rows + row) * columns + column;
        cells[cell] += f32::from(pixel);
        counts[cell] += 1.0;
    }
    cells
        .iter()
        .zip(&counts)
        .map(|(sum, count)| sum / count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(pixels: Vec<u8>, labels: Vec<u8>, size: usize) -> Images {
        let count = pixels.len() / (size * size);
        Images {
            count,
            shape: [1, size, size],
            classes: labels.iter().max().map_or(0, |most| usize::from(*most) + 1),
            pixels,
            labels,
            name: "made up".to_owned(),
            ..Images::default()
        }
    }

    #[test]
    fn equal_samples_do_not_vary() {
        let same = DataFacts::new(&images([7, 9, 200, 3].repeat(20), Vec::new(), 2), None);
        assert_eq!((same.unique, same.count), (1, 20));
        assert!(same.variance < 1e-12 && same.rms > 0.1);
        assert_eq!(same.neighbor_agreement, None);
        assert_eq!(same.label_entropy(), None);
    }

    #[test]
    fn a_corrupt_sample_is_out_of_line() {
        let pixels = [0, 80, 160, 240].repeat(50);
        let corruption = Corruption {
            samples: vec![7],
            scale: 255.0,
        };
        let facts = DataFacts::new(&images(pixels, Vec::new(), 2), Some(&corruption));
        assert_eq!((facts.outliers, facts.beyond), (vec![7], vec![7]));
        assert!((facts.range[1] - 240.0).abs() < 1e-9);
    }

    #[test]
    fn neighbors_agree_where_labels_follow_the_images() {
        let bright = |index: usize| u8::from(index.is_multiple_of(2));
        let pixels: Vec<u8> = (0..80)
            .flat_map(|index| [60 + 120 * bright(index) + (index % 7) as u8; 4])
            .collect();
        let follows = images(pixels.clone(), (0..80).map(bright).collect(), 2);
        assert_eq!(DataFacts::new(&follows, None).neighbor_agreement, Some(1.0));
        let other = images(
            pixels,
            (0..80).map(|index| u8::from(index / 2 % 2 == 0)).collect(),
            2,
        );
        let agreement = DataFacts::new(&other, None)
            .neighbor_agreement
            .expect("there are labels");
        assert!((0.2..0.8).contains(&agreement), "{agreement}");
        assert!((other.classes == 2) && DataFacts::new(&other, None).label_run == 2.0);
    }
}
