//! The order of an epoch: a keyed bijection of `0..count` that is computed where it is needed, so that shuffling
//! needs neither memory nor a sort, and any step of any epoch finds its samples alone.
//!
//! A Feistel network permutes the next power of four; indices beyond `count` are permuted again until one falls inside
//! (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Exactly the integers
//! of `shaders/data/permutation.wgsl`.

use crate::random::{Stream, words};

const ROUNDS: u32 = 8;

/// A bijection of `0..count`, chosen by a seed and an epoch.
#[derive(Debug, Clone)]
pub struct Permutation {
    count: u32,
    half_bits: u32,
    keys: [[u32; 4]; 2],
}

impl Permutation {
    /// The largest count it can order.
    pub const MAX_COUNT: u32 = 1 << 30;

    /// The order of `count` samples in `epoch` under `seed`.
    ///
    /// # Panics
    /// `count` is 0 or more than [`Permutation::MAX_COUNT`].
    pub fn new(count: u32, seed: u64, epoch: u32) -> Self {
        assert!(
            (1..=Self::MAX_COUNT).contains(&count),
            "a count that can be ordered"
        );
        Self {
            count,
            half_bits: half_bits(count),
            keys: [0, 1].map(|index| words(seed, Stream::Shuffle, epoch, index)),
        }
    }

    /// The sample at position `index`, which is below the count.
    pub fn at(&self, index: u32) -> u32 {
        let mut value = index;
        // The walk comes back to its start at last, which lies inside, so the bound is never reached.
        for _ in 0..1u32 << (2 * self.half_bits) {
            value = self.feistel(value);
            if value < self.count {
                break;
            }
        }
        value
    }

    fn feistel(&self, value: u32) -> u32 {
        let mask = (1u32 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..ROUNDS {
            let key = self.keys[(round / 4) as usize][(round % 4) as usize];
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// Half the bits of the smallest power of four that is not below `count`.
pub(super) fn half_bits(count: u32) -> u32 {
    (u32::BITS - (count - 1).leading_zeros()).div_ceil(2)
}

/// Spreads every bit of the word over all others: multiply and shift, with the constants that C. Wellons found by
/// search ("lowbias32").
fn mix(word: u32) -> u32 {
    let mut x = word;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_taken_once() {
        for count in [1, 2, 3, 4, 5, 17, 64, 257, 10_000, 60_000] {
            for epoch in 0..3 {
                let order = Permutation::new(count, 7, epoch);
                let mut seen = vec![false; count as usize];
                for index in 0..count {
                    let value = order.at(index) as usize;
                    assert!(!seen[value], "{value} comes twice among {count}");
                    seen[value] = true;
                }
            }
        }
    }

    #[test]
    fn half_bits_hold_the_count() {
        let expected = [(1, 0), (2, 1), (4, 1), (5, 2), (16, 2), (17, 3)];
        for (count, bits) in expected {
            assert_eq!(half_bits(count), bits, "{count}");
        }
        assert_eq!(half_bits(Permutation::MAX_COUNT), 15);
    }

    /// Over many epochs each sample should visit each position equally often: chi-square over the whole table, which
    /// has `(n - 1)^2` degrees of freedom, within five standard deviations.
    #[test]
    fn places_are_uniform_over_epochs() {
        for count in [5u32, 12, 31] {
            let n = count as usize;
            let epochs = 4_000;
            let mut table = vec![0u32; n * n];
            for epoch in 0..epochs {
                let order = Permutation::new(count, 11, epoch);
                for index in 0..count {
                    table[index as usize * n + order.at(index) as usize] += 1;
                }
            }
            let expected = f64::from(epochs) / f64::from(count);
            let chi_square: f64 = table
                .iter()
                .map(|&seen| (f64::from(seen) - expected).powi(2) / expected)
                .sum();
            let freedom = (f64::from(count) - 1.0).powi(2);
            let deviation = (chi_square - freedom) / (2.0 * freedom).sqrt();
            assert!(deviation.abs() < 5.0, "{count}: {deviation}");
        }
    }

    /// Neighbors in the file should not stay neighbors: the sign of the step between consecutive positions is a
    /// coin that falls towards "descending" half of the time.
    #[test]
    fn neighbors_are_torn_apart() {
        let count = 10_000;
        let order = Permutation::new(count, 3, 0);
        let mut falls = 0;
        let mut near = 0;
        for index in 1..count {
            let (a, b) = (order.at(index - 1), order.at(index));
            falls += u32::from(b < a);
            near += u32::from(a.abs_diff(b) <= 10);
        }
        // Deviations of about 29 (descents of a permutation) and 4.5 (20 of 10,000 on average).
        assert!(falls.abs_diff(5_000) < 150, "{falls}");
        assert!(near < 60, "{near}");
    }
}
