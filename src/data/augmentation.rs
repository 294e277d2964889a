//! How images change on their way into a batch: random augmentation, and corruption on purpose.

use crate::random::{Stream, words};
use crate::{Error, Result};

/// How many samples of a data set can be corrupted.
pub(crate) const MAX_CORRUPTED: usize = 4096;

/// Random changes of every image in every step. They are a pure function of the seed, the step and the row of the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// Whether a random half of the images is mirrored left to right.
    pub flip: bool,
    /// Each image moves by up to this many pixels along each axis, every offset equally likely; zeros fill the rest.
    pub shift: usize,
}

/// The changes that an [`Augmentation`] makes to one image: it is mirrored first, then moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentationSample {
    /// Whether the image is mirrored.
    pub flip: bool,
    /// By how many pixels it moves down.
    pub down: isize,
    /// By how many pixels it moves to the right.
    pub right: isize,
}

impl Augmentation {
    /// Draws the changes of the image in `row` of the batch of `step`.
    pub fn sample(&self, seed: u64, step: u32, row: u32) -> AugmentationSample {
        let drawn = words(seed, Stream::Augmentation, step, row);
        let shift = self.shift as isize;
        let offset = |word: u32| (word as usize % (2 * self.shift + 1)) as isize - shift;
        AugmentationSample {
            flip: self.flip && drawn[0] & 1 == 1,
            down: offset(drawn[1]),
            right: offset(drawn[2]),
        }
    }

    /// Checks that images of `shape` (channels, height, width) are larger than the shift.
    pub(super) fn check(&self, shape: [usize; 3]) -> Result<()> {
        let [_, height, width] = shape;
        let side = height.min(width);
        if self.shift < side {
            return Ok(());
        }
        Err(Error::input(
            format!("augment.shift = {}", self.shift),
            format!("images of {height} x {width} pixels would move out of sight"),
            format!("use a number below {side}"),
        ))
    }
}

impl AugmentationSample {
    /// The reference implementation on the CPU: `image` `[channels, height, width]` after the changes.
    pub fn apply(&self, image: &[u8], [channels, height, width]: [usize; 3]) -> Vec<u8> {
        let source = |y: usize, x: usize| {
            let y = y.checked_add_signed(-self.down).filter(|&y| y < height)?;
            let x = x.checked_add_signed(-self.right).filter(|&x| x < width)?;
            Some((y, if self.flip { width - 1 - x } else { x }))
        };
        let mut changed = Vec::with_capacity(image.len());
        for channel in 0..channels {
            for pixel in 0..height * width {
                let source = source(pixel / width, pixel % width);
                changed.push(source.map_or(0, |(y, x)| image[(channel * height + y) * width + x]));
            }
        }
        changed
    }
}

/// Samples whose values are multiplied by a factor, as if somebody had forgotten to scale them to `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Corruption {
    /// The numbers of the samples in the data set.
    pub samples: Vec<u32>,
    /// The factor.
    pub scale: f32,
}

impl Corruption {
    /// Checks that a data set of `count` samples has them all.
    pub(super) fn check(&self, count: usize) -> Result<()> {
        let is_missing = |sample: &&u32| **sample as usize >= count;
        if let Some(sample) = self.samples.iter().find(is_missing) {
            return Err(Error::input(
                "corrupt.samples",
                format!("there is no sample {sample}: the data set has {count}"),
                format!("choose from 0 to {}", count - 1),
            ));
        }
        if self.samples.len() > MAX_CORRUPTED {
            return Err(Error::input(
                "corrupt.samples",
                format!(
                    "expected at most {MAX_CORRUPTED} samples, got {}",
                    self.samples.len()
                ),
                "name fewer samples",
            ));
        }
        Ok(())
    }
}
