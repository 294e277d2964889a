//! Whether labels belong to their samples, by what samples that look alike are called.

use crate::data::Images;

/// Samples at most that are compared with each other.
const SAMPLES: usize = 800;
/// The side of the grid that images are averaged over before they are compared.
const GRID: usize = 7;
/// The nearest neighbors of a sample, every other one of which votes in the one of two votes.
const NEIGHBORS: usize = 30;
/// Votes that agree by more than this share of what chance leaves say what a sample is.
const CLEAR: f64 = 0.5;
/// Standard deviations above chance from which on labels have to do with the samples.
const DEVIATIONS: f64 = 3.5;

/// Two votes on each sample's class, by neighbors that have nothing to do with each other: where labels were changed here
/// and there, both still see the right class, and it is the sample's own label that differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LabelFacts {
    /// How often both votes name the same class.
    pub votes_agree: f64,
    /// How often a vote names the sample's own label.
    pub label_agrees: f64,
    /// How often two labels are the same by chance.
    pub by_chance: f64,
    /// Samples that were looked at.
    pub samples: usize,
}

impl LabelFacts {
    /// Of some of the images; `None` without labels or with too few samples to say anything.
    pub fn new(images: &Images) -> Option<Self> {
        if images.labels.is_empty() || images.count <= NEIGHBORS {
            return None;
        }
        let stride = images.count.div_ceil(SAMPLES).max(1);
        let samples: Vec<usize> = (0..images.count).step_by(stride).collect();
        let labels: Vec<u8> = samples
            .iter()
            .map(|&sample| images.labels[sample])
            .collect();
        let features: Vec<Vec<f32>> = samples
            .iter()
            .map(|&sample| coarse(images, sample))
            .collect();
        let (mut both, mut own) = (0.0, 0.0);
        for index in 0..samples.len() {
            let nearest = neighbors(&features, index);
            let votes = [0, 1].map(|first| vote(nearest.iter().skip(first).step_by(2), &labels));
            both += f64::from(u8::from(votes[0] == votes[1]));
            let agreeing = votes.iter().filter(|&&vote| vote == labels[index]).count();
            own += 0.5 * agreeing as f64;
        }
        let count = samples.len() as f64;
        let mut classes = [0.0; 256];
        for &label in &labels {
            classes[usize::from(label)] += 1.0 / count;
        }
        Some(Self {
            votes_agree: both / count,
            label_agrees: own / count,
            by_chance: classes.iter().map(|share| share * share).sum(),
            samples: samples.len(),
        })
    }

    /// Whether samples that look alike are not called the same more often than any two samples are.
    pub fn are_at_chance(&self) -> bool {
        let deviation = (self.by_chance * (1.0 - self.by_chance) / self.samples as f64).sqrt();
        self.label_agrees - self.by_chance < DEVIATIONS * deviation
    }

    /// The share of labels that are wrong, where looks tell classes apart: a vote is right as often as two votes agree,
    /// squared, so that it is the label that is wrong where votes agree among themselves and not with it.
    pub fn wrong_share(&self) -> Option<f64> {
        let clear = (self.votes_agree - self.by_chance) / (1.0 - self.by_chance).max(1e-9);
        (clear > CLEAR).then(|| (1.0 - self.label_agrees / self.votes_agree.sqrt()).max(0.0))
    }
}

/// The samples nearest to one of them, the nearest first; of equally near ones the first.
fn neighbors(features: &[Vec<f32>], index: usize) -> Vec<usize> {
    let own = &features[index];
    let distance = |other: &[f32]| -> f32 {
        let pairs = own.iter().zip(other);
        pairs.map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let others = (0..features.len()).filter(|&other| other != index);
    let mut all: Vec<(f32, usize)> = others
        .map(|other| (distance(&features[other]), other))
        .collect();
    let nearer = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let count = NEIGHBORS.min(all.len());
    if count < all.len() {
        all.select_nth_unstable_by(count, nearer);
        all.truncate(count);
    }
    all.sort_by(nearer);
    all.into_iter().map(|(_, other)| other).collect()
}

/// The label that most voters have; of several the first.
fn vote<'v>(voters: impl Iterator<Item = &'v usize>, labels: &[u8]) -> u8 {
    let mut counts = [0u32; 256];
    for &voter in voters {
        counts[usize::from(labels[voter])] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let first = counts.iter().position(|count| *count == most);
    first.unwrap_or_default() as u8
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
    let means = cells.iter().zip(&counts).map(|(sum, count)| sum / count);
    means.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{mnist, shapes};

    #[test]
    fn labels_that_follow_the_images_are_told_from_random_ones() {
        let digits = mnist().expect("it is part of the program").limited(2400);
        let of = |noise: f64| {
            let noisy = digits.clone().with_label_noise(noise, 5);
            LabelFacts::new(&noisy).expect("there are labels")
        };
        let clean = of(0.0);
        assert!(!clean.are_at_chance());
        assert!(clean.wrong_share().expect("clear") < 0.2, "{clean:?}");
        let half = of(0.5);
        let wrong = half.wrong_share().expect("clear");
        // Of the drawn half a tenth is right by chance.
        assert!((0.3..0.6).contains(&wrong), "{half:?}");
        let random = of(1.0);
        assert!(
            random.are_at_chance() && random.wrong_share().is_none(),
            "{random:?}"
        );
    }

    /// The kind of a shape hardly shows in how bright an image is where, and yet it does.
    #[test]
    fn what_looks_do_not_tell_is_not_called_wrong() {
        let all = shapes(3, 3000, 16);
        let facts = LabelFacts::new(&all).expect("there are labels");
        assert_eq!(facts.wrong_share(), None, "{facts:?}");
        assert!(!facts.are_at_chance(), "{facts:?}");
        let random = LabelFacts::new(&all.with_label_noise(1.0, 4)).expect("labels");
        assert!(random.are_at_chance(), "{random:?}");
    }

    #[test]
    fn images_without_labels_say_nothing_of_them() {
        let mut plain = shapes(3, 40, 8);
        plain.labels.clear();
        assert_eq!(LabelFacts::new(&plain), None);
        assert_eq!(LabelFacts::new(&shapes(3, 20, 8)), None);
    }
}
