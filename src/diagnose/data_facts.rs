//! What the samples and labels of a run say by themselves, without any model.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::label_facts::LabelFacts;
use crate::data::{Corruption, Images};

/// Samples at most that sums over pixels are taken over.
const SAMPLES: usize = 4096;
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
    /// Whether labels belong to their samples; `None` without labels or with hardly any samples.
    pub labels: Option<LabelFacts>,
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
            labels: LabelFacts::new(images),
            ..Self::default()
        };
        facts.scan_extremes(images, size, &factor);
        facts.scan_pixels(images, size, &factor);
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

    /// The share of each class; `None` without labels.
    pub fn class_shares(&self) -> Option<Vec<f64>> {
        let total: usize = self.classes.iter().sum();
        let shares = self
            .classes
            .iter()
            .map(|&count| count as f64 / total as f64);
        (total > 0).then(|| shares.collect())
    }

    fn scan_extremes(&mut self, images: &Images, size: usize, factor: &dyn Fn(usize) -> f64) {
        let mut range = [f64::INFINITY, f64::NEG_INFINITY];
        let mut greatest = Vec::with_capacity(images.count);
        let mut hashes = HashSet::new();
        for (sample, pixels) in images.pixels.chunks_exact(size).enumerate() {
            let factor = factor(sample) / 255.0;
            let (low, high) = pixels
                .iter()
                .fold((u8::MAX, u8::MIN), |(low, high), &pixel| {
                    (low.min(pixel), high.max(pixel))
                });
            let scaled = |pixel: u8| images.scaling.value(f64::from(pixel) * factor);
            let ends = [scaled(low), scaled(high)];
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
            (pixels, factor.to_bits()).hash(&mut hasher);
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
            let factor = factor(sample) / 255.0;
            let pixels = &images.pixels[sample * size..(sample + 1) * size];
            for ((sum, square), &pixel) in sums.iter_mut().zip(&mut squares).zip(pixels) {
                let value = images.scaling.value(f64::from(pixel) * factor);
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
        assert_eq!(same.class_shares(), None);
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
    fn runs_of_labels_have_their_mean_length() {
        let labels = (0..80).map(|index| u8::from(index / 2 % 2 == 0)).collect();
        let facts = DataFacts::new(&images([7, 9, 200, 3].repeat(80), labels, 2), None);
        assert_eq!((facts.label_run, facts.classes), (2.0, vec![40, 40]));
    }
}
