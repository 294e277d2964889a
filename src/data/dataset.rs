//! A data set that stays on the GPU.

use super::permutation::Permutation;
use super::{Images, cursor};
use crate::gpu::{Buffer, Gpu};
use crate::{Error, Result};

/// Images on the GPU, four bytes to a word; each image starts on a word of its own.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(super) count: usize,
    pub(super) shape: [usize; 3],
    pub(super) classes: usize,
    pub(super) words: Buffer<u32>,
    pub(super) labels: Option<Buffer<u32>>,
}

impl Dataset {
    /// Moves `images` to the GPU.
    ///
    /// # Errors
    /// Sizes of `images` that do not fit together, a label beyond the classes, or more bytes than the adapter
    /// allows in one binding.
    pub fn upload(gpu: &Gpu, images: &Images) -> Result<Self> {
        let wrong = |problem: String| {
            Error::input(
                format!("data set '{}'", images.name),
                problem,
                "check where it comes from",
            )
        };
        let size = images
            .shape
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(side))
            .filter(|size| size.checked_mul(images.count) == Some(images.pixels.len()));
        let Some(size) = size.filter(|_| !images.pixels.is_empty()) else {
            return Err(wrong(format!(
                "{} values for {} images of {:?}",
                images.pixels.len(),
                images.count,
                images.shape
            )));
        };
        if images.count > Permutation::MOST as usize {
            return Err(wrong(format!(
                "{} images where {} are the most",
                images.count,
                Permutation::MOST
            )));
        }
        if !images.labels.is_empty() && images.labels.len() != images.count {
            return Err(wrong(format!(
                "{} labels for {} images",
                images.labels.len(),
                images.count
            )));
        }
        if let Some(place) = images
            .labels
            .iter()
            .position(|&label| usize::from(label) >= images.classes)
        {
            return Err(wrong(format!(
                "image {place} has the label {} of {} classes",
                images.labels[place], images.classes
            )));
        }
        let words: Vec<u32> = images
            .pixels
            .chunks_exact(size)
            .flat_map(|image| image.chunks(4))
            .map(|bytes| {
                let mut word = [0; 4];
                word[..bytes.len()].copy_from_slice(bytes);
                u32::from_le_bytes(word)
            })
            .collect();
        let labels: Vec<u32> = images.labels.iter().map(|&label| label.into()).collect();
        Ok(Self {
            count: images.count,
            shape: images.shape,
            classes: images.classes,
            words: gpu.upload("data set", &words)?,
            labels: (!labels.is_empty())
                .then(|| gpu.upload("labels", &labels))
                .transpose()?,
        })
    }

    /// Images in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Values of one image: channels times height times width.
    pub fn sample_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Classes of its labels; 0 without labels.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Which image stands in `row` of the batch of `step`: the twin of what [`Dataset::gather`] does on the GPU.
    /// `batch` is the size of a batch; without `shuffle` the order is that of the file.
    pub fn sample_index(
        &self,
        step: u64,
        row: usize,
        batch: usize,
        shuffle: bool,
        seed: u64,
    ) -> usize {
        let count = self.count as u64;
        let (epoch, offset) = cursor::start_of(step, self.count as u32, batch as u32);
        let position = u64::from(offset) + row as u64;
        let place = (position % count) as u32;
        if shuffle {
            let epoch = epoch.wrapping_add(position / count) as u32;
            Permutation::new(self.count as u32, seed, epoch).at(place) as usize
        } else {
            place as usize
        }
    }
}
