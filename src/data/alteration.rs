//! Data sets made worse on purpose: fewer samples, wrong labels.

use super::Images;
use crate::random::{Stream, uniform, words};

/// The counters of the random numbers of labels, which no generated image uses.
const WRONG: u32 = u32::MAX - 2;

impl Images {
    /// The first `limit` images.
    pub fn limited(mut self, limit: usize) -> Self {
        let count = limit.min(self.count);
        self.pixels.truncate(count * self.sample_size());
        self.labels.truncate(count);
        Self { count, ..self }
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
    use super::super::shapes;

    #[test]
    fn images_are_cut_and_labels_drawn() {
        let all = shapes(3, 600, 8);
        let few = all.clone().limited(10);
        assert_eq!((few.count, few.labels.len()), (10, 10));
        assert_eq!(few.pixels, all.pixels[..10 * 3 * 64]);
        assert_eq!(all.clone().limited(1000), all);
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
