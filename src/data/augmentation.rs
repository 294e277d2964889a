//! What happens to images on their way into a batch: augmentation, and damage that is done on purpose.

use crate::random::{Stream, words};
use crate::{Error, Result};

/// Samples that are damaged at most.
const MOST_DAMAGED: usize = 4096;

/// Random changes of each image in each step: a pure function of seed, step and row of the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// Mirrors every other image, left for right.
    pub flip: bool,
    /// Moves it by up to so many pixels along each axis, equally likely; zeros come in from outside.
    pub shift: usize,
}

/// What an [`Augmentation`] does to one image: mirrored first, then moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Mirrored.
    pub flip: bool,
    /// Pixels downwards.
    pub down: isize,
    /// Pixels to the right.
    pub right: isize,
}

impl Augmentation {
    /// The change of the image in `row` of the batch of `step`.
    pub fn change(&self, seed: u64, step: u32, row: u32) -> Change {
        let drawn = words(seed, Stream::Augmentation, step, row);
        let shift = self.shift as isize;
        let moved = |word: u32| (word as usize % (2 * self.shift + 1)) as isize - shift;
        Change {
            flip: self.flip && drawn[0] & 1 == 1,
            down: moved(drawn[1]),
            right: moved(drawn[2]),
        }
    }

    /// Whether it fits images of `shape` (channels, height, width).
    pub(super) fn check(&self, shape: [usize; 3]) -> Result<()> {
        let side = shape[1].min(shape[2]);
        if self.shift < side {
            return Ok(());
        }
        Err(Error::input(
            format!("augment.shift = {}", self.shift),
            format!(
                "images of {} x {} pixels would leave the picture",
                shape[1], shape[2]
            ),
            format!("use a number below {side}"),
        ))
    }
}

impl Change {
    /// The CPU twin: `image` `[channels, height, width]` after the change.
    pub fn of(&self, image: &[u8], [channels, height, width]: [usize; 3]) -> Vec<u8> {
        let from = |y: usize, x: usize| {
            let y = y.checked_add_signed(-self.down).filter(|&y| y < height)?;
            let x = x.checked_add_signed(-self.right).filter(|&x| x < width)?;
            Some((y, if self.flip { width - 1 - x } else { x }))
        };
        let mut changed = Vec::with_capacity(image.len());
        for channel in 0..channels {
            for place in 0..height * width {
                let source = from(place / width, place % width);
                changed.push(source.map_or(0, |(y, x)| image[(channel * height + y) * width + x]));
            }
        }
        changed
    }
}

/// Samples whose values come multiplied by a factor, as if somebody had forgotten to scale them.
#[derive(Debug, Clone, PartialEq)]
pub struct Damage {
    /// Their numbers in the data set.
    pub samples: Vec<u32>,
    /// The factor.
    pub scale: f32,
}

impl Damage {
    /// Whether it fits a data set of `count` samples.
    pub(super) fn check(&self, count: usize) -> Result<()> {
        let wrong = |problem: String, hint: String| Err(Error::input("corrupt", problem, hint));
        if let Some(sample) = self
            .samples
            .iter()
            .find(|&&sample| sample as usize >= count)
        {
            return wrong(
                format!("there is no sample {sample} among {count}"),
                format!("choose from 0 to {}", count - 1),
            );
        }
        if self.samples.len() > MOST_DAMAGED {
            return wrong(
                format!("it names {} samples", self.samples.len()),
                format!("name at most {MOST_DAMAGED}"),
            );
        }
        Ok(())
    }
}
