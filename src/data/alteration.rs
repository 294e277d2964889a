//! Data sets made worse on purpose: fewer samples, of all or some classes, and wrong labels.

use super::Images;
use crate::random::{Stream, uniform, words};
use crate::{Error, Result};

/// The counters of the random numbers of labels, which no generated image uses.
const WRONG: u32 = u32::MAX - 2;
/// Those of the choice of samples by class.
const CHOSEN: u32 = u32::MAX - 3;

impl Images {
    /// The first `limit` images.
    pub fn limited(mut self, limit: usize) -> Self {
        let count = limit.min(self.count);
        self.pixels.truncate(count * self.sample_size());
        self.labels.truncate(count);
        Self { count, ..self }
    }

    /// Of class `i` the share `shares[i]`, drawn by `seed` sample by sample, and all of the classes that `shares` does not
    /// reach. Labels stay as they are, so that a class may have no
    /// sample; those behind the last one with a sample are no classes any more.
    ///
    /// # Errors
    /// Images without labels, or no sample is left.
    pub fn with_class_shares(mut self, shares: &[f64], seed: u64) -> Result<Self> {
        let wrong = |problem: &str, hint: &str| Error::input("data.class_shares", problem, hint);
        if self.labels.is_empty() {
            let hint = "leave the key out, or add labels";
            return Err(wrong(
                "chooses samples by their class, and these have no labels",
                hint,
            ));
        }
        let size = self.sample_size();
        let mut kept = 0;
        for index in 0..self.count {
            let label = self.labels[index];
            let share = shares.get(usize::from(label)).copied().unwrap_or(1.0);
            let [drawn, ..] = words(seed, Stream::Synthetic, CHOSEN, index as u32);
            if uniform(drawn) < share {
                self.pixels
                    .copy_within(index * size..(index + 1) * size, kept * size);
                self.labels[kept] = label;
                kept += 1;
            }
        }
        if kept == 0 {
            return Err(wrong("leaves no sample", "give a class a larger share"));
        }
        let mut left = self.limited(kept);
        left.classes = left
            .labels
            .iter()
            .map(|&label| usize::from(label) + 1)
            .max()
            .unwrap_or(0);
        left.class_names.truncate(left.classes);
        Ok(left)
    }

    /// The same images, a `share` of which get a label that `seed` draws from all classes: with 1 the labels say nothing.
    pub fn with_label_noise(mut self, share: f64, seed: u64) -> Self {
        let classes = self.classes as f64;
        for (index, label) in self.labels.iter_mut().enumerate() {
            let [chosen, class, ..] = words(seed, Stream::Synthetic, WRONG, index as u32);
            if uniform(chosen) < share {
                *label = (uniform(class) * classes) as u8;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Images, shapes};

    #[test]
    fn images_are_cut_and_labels_drawn() {
        let all = shapes(3, 600, 8);
        let few = all.clone().limited(10);
        assert_eq!((few.count, few.labels.len()), (10, 10));
        assert_eq!(few.pixels, all.pixels[..10 * 3 * 64]);
        assert_eq!(all.clone().limited(1000), all);
        let only_first = all.clone().with_class_shares(&[1.0, 0.0, 0.0], 5).unwrap();
        assert!(only_first.labels.iter().all(|&label| label == 0));
        let first = all.labels.iter().position(|&label| label == 0).unwrap();
        assert_eq!(
            only_first.pixels[..3 * 64],
            all.pixels[first * 3 * 64..][..3 * 64]
        );
        let of_class = |images: &Images, class| {
            images
                .labels
                .iter()
                .filter(|&&label| label == class)
                .count() as f64
        };
        let fewer = all.clone().with_class_shares(&[0.25], 5).unwrap();
        assert!((of_class(&fewer, 0) / of_class(&all, 0) - 0.25).abs() < 0.13);
        assert_eq!(of_class(&fewer, 2), of_class(&all, 2));
        assert!(all.clone().with_class_shares(&[0.0, 0.0, 0.0], 5).is_err());
        let different = |share: f64| {
            let noisy = all.clone().with_label_noise(share, 5);
            assert_eq!(noisy.pixels, all.pixels);
            assert!(noisy.labels.iter().all(|&label| label < 3));
            let pairs = noisy.labels.iter().zip(&all.labels);
            pairs.filter(|(a, b)| a != b).count() as f64 / 600.0
        };
        // A drawn label is the right one in a third of all cases; four standard deviations.
        assert_eq!(different(0.0), 0.0);
        assert!((different(1.0) - 2.0 / 3.0).abs() < 0.08);
        assert!((different(0.3) - 0.2).abs() < 0.07);
    }
}
