//! A data set where batches are gathered from it: on the GPU, or in main memory and streamed.

use std::sync::Arc;

use super::permutation::Permutation;
use super::{Images, Scaling, stream};
use crate::gpu::{Buffer, Gpu};
use crate::{Error, Result};

/// Images, ready to be gathered into batches.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(super) count: usize,
    pub(super) shape: [usize; 3],
    pub(super) classes: usize,
    pub(super) scaling: Scaling,
    pub(super) store: Store,
}

/// Where the images lie.
#[derive(Debug, Clone)]
pub(super) enum Store {
    /// On the GPU, four bytes to a word; each image starts on a word of its own.
    Resident {
        words: Buffer<u32>,
        labels: Option<Buffer<u32>>,
    },
    /// In main memory; those of the coming steps on the GPU, in `budget` bytes at most.
    Streamed { images: Arc<Images>, budget: u64 },
}

/// Bytes of one image on the GPU.
fn image_bytes(images: &Images) -> u64 {
    4 * images.sample_size().div_ceil(4) as u64
}

/// Where a data set is kept, and how much of the adapter's memory it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residency {
    /// Bytes on the adapter.
    pub bytes: u64,
    /// Whether it stays in main memory and is streamed.
    pub streamed: bool,
    budget: u64,
}

impl Residency {
    /// On the GPU where all of it fits into `budget` bytes and the adapter's bindings, else in main memory.
    ///
    /// # Errors
    /// Not even two batches of `batch` images fit.
    pub fn of(gpu: &Gpu, images: &Images, batch: usize, budget: u64) -> Result<Self> {
        let pixels = image_bytes(images).saturating_mul(images.count as u64);
        let bytes = pixels.saturating_add(4 * images.labels.len() as u64);
        if bytes <= budget && pixels <= gpu.max_binding_size() {
            return Ok(Self {
                bytes,
                streamed: false,
                budget,
            });
        }
        let budget = budget.min(gpu.max_binding_size());
        let steps = stream::chunk_steps(images, batch, budget)?;
        Ok(Self {
            bytes: stream::ring_bytes(images, batch, steps),
            streamed: true,
            budget,
        })
    }
}

impl Dataset {
    /// Moves `images` to the GPU.
    ///
    /// # Errors
    /// Sizes of `images` that do not fit together, a label beyond the classes, or more bytes than the adapter
    /// allows in one binding.
    pub fn upload(gpu: &Gpu, images: &Images) -> Result<Self> {
        images.check()?;
        let all: Vec<u32> = (0..images.count as u32).collect();
        let (words, labels) = images.packed(&all);
        let store = Store::Resident {
            words: gpu.upload("data set", &words)?,
            labels: (!labels.is_empty())
                .then(|| gpu.upload("labels", &labels))
                .transpose()?,
        };
        Ok(Self::of(images, store))
    }

    /// Keeps `images` in main memory and streams what the coming steps need, with at most `budget` bytes of the adapter's.
    /// Batches are the same, bit for bit, as those of [`Dataset::upload`].
    ///
    /// # Errors
    /// As there, the adapter's limits apart.
    pub fn stream(images: Images, budget: u64) -> Result<Self> {
        images.check()?;
        let images = Arc::new(images);
        let store = Store::Streamed {
            images: images.clone(),
            budget,
        };
        Ok(Self::of(&images, store))
    }

    /// Puts `images` where `residency` says.
    ///
    /// # Errors
    /// As [`Dataset::upload`].
    pub fn new(gpu: &Gpu, images: Images, residency: Residency) -> Result<Self> {
        if residency.streamed {
            Self::stream(images, residency.budget)
        } else {
            Self::upload(gpu, &images)
        }
    }

    fn of(images: &Images, store: Store) -> Self {
        Self {
            count: images.count,
            shape: images.shape,
            classes: images.classes,
            scaling: images.scaling,
            store,
        }
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

    /// The same samples, scaled otherwise.
    pub fn with_scaling(self, scaling: Scaling) -> Self {
        Self { scaling, ..self }
    }

    /// What becomes of the values of `[0, 1]` in a batch.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Whether it stays in main memory.
    pub fn is_streamed(&self) -> bool {
        matches!(self.store, Store::Streamed { .. })
    }
}

impl Images {
    /// Values of one image.
    pub fn sample_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Some images as the GPU has them, four bytes to a word, each image on words of its own; and their labels, if any.
    pub(super) fn packed(&self, samples: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let size = self.sample_size();
        let mut words = Vec::with_capacity(samples.len() * size.div_ceil(4));
        for &sample in samples {
            let (whole, rest) = self.pixels[sample as usize * size..][..size].as_chunks();
            words.extend(whole.iter().map(|bytes| u32::from_le_bytes(*bytes)));
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                words.push(u32::from_le_bytes(word));
            }
        }
        let label = |&sample: &u32| self.labels.get(sample as usize).copied().map(u32::from);
        (words, samples.iter().filter_map(label).collect())
    }

    /// Whether sizes and labels fit together.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |problem: String| {
            Error::input(
                format!("data set '{}'", self.name),
                problem,
                "check where it comes from",
            )
        };
        let fits = self
            .shape
            .iter()
            .try_fold(self.count, |product, &side| product.checked_mul(side))
            .is_some_and(|size| size == self.pixels.len());
        if !fits || self.pixels.is_empty() {
            return Err(wrong(format!(
                "{} values for {} images of {:?}",
                self.pixels.len(),
                self.count,
                self.shape
            )));
        }
        if self.count > Permutation::MAX_COUNT as usize {
            return Err(wrong(format!(
                "{} images where {} are the most",
                self.count,
                Permutation::MAX_COUNT
            )));
        }
        if !self.labels.is_empty() && self.labels.len() != self.count {
            return Err(wrong(format!(
                "{} labels for {} images",
                self.labels.len(),
                self.count
            )));
        }
        let beyond = |&label: &u8| usize::from(label) >= self.classes;
        if let Some(index) = self.labels.iter().position(beyond) {
            return Err(wrong(format!(
                "image {index} has the label {} of {} classes",
                self.labels[index], self.classes
            )));
        }
        Ok(())
    }
}
