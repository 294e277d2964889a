//! Data sets: read from files, kept on the GPU or streamed to it, shuffled and batched there.
//!
//! A source ([`mnist`], [`idx_directory`], [`cifar10`], [`npy_images`], [`image_folder`], [`shapes()`], [`clips::generate`]) gives [`Images`] in main memory; [`Dataset::upload`] moves them to the
//! GPU for good, and [`Dataset::stream`] keeps them where they are and brings what the next steps need. From then on a
//! [`BatchCursor`], a small buffer on the GPU, says which training step it is, and the dispatches of [`Dataset::gather`] turn
//! it into a batch; many steps fit into one submission. The order of an epoch is a [`Permutation`] that is computed, not
//! stored, so that the CPU can compute it too ([`Order`]).

mod alteration;
mod augmentation;
mod batch;
mod batch_cursor;
mod cifar10;
pub mod clips;
mod dataset;
mod exif;
mod folder;
mod hold_out;
mod idx;
mod image_file;
mod npy;
mod order;
mod permutation;
mod scaling;
mod shapes;
mod stream;
mod tally;

pub(crate) use augmentation::MAX_CORRUPTED;
pub use augmentation::{Augmentation, AugmentationSample, Corruption};
pub use batch::{Batching, Gather};
pub use batch_cursor::BatchCursor;
pub use cifar10::cifar10;
pub use dataset::{Dataset, Residency};
pub use folder::image_folder;
pub use idx::{idx_directory, mnist};
pub use npy::npy_images;
pub use order::Order;
pub use permutation::Permutation;
pub use scaling::Scaling;
pub use shapes::{Background, Factors, factors, shapes, shapes_on};

use crate::trace::{DataOrigin, LeftOut};

/// Images in main memory, one byte for each value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Images {
    /// How many images.
    pub count: usize,
    /// Channels, height, width of each.
    pub shape: [usize; 3],
    /// `[count, channels, height, width]`, row-major; 0 to 255 means 0.0 to 1.0.
    pub pixels: Vec<u8>,
    /// What becomes of these values when a batch is made.
    pub scaling: Scaling,
    /// The class of each image, or nothing where the source has no labels.
    pub labels: Vec<u8>,
    /// How many classes: the largest label plus one, 0 without labels.
    pub classes: usize,
    /// What the source is called in messages and pictures.
    pub name: String,
    /// The names of the classes, where the source has names for them.
    pub class_names: Vec<String>,
    /// Where they came from, where that is known.
    pub origin: DataOrigin,
    /// Files that were not read, by reason.
    pub left_out: Vec<LeftOut>,
    /// What else is remarkable about how they were read, each as a clause.
    pub notes: Vec<String>,
}

impl Images {
    /// Refuses pixels that were saved as 0 and 1 where 0 and 255 were meant; `file` is what the message names.
    pub(crate) fn check_range(&self, file: &std::path::Path) -> crate::Result<()> {
        if self.pixels.iter().max() != Some(&1) {
            return Ok(());
        }
        Err(crate::Error::file(
            file.display().to_string(),
            "its pixels are all 0 or 1 of 255, which is nearly black",
            "save them times 255, or as floats or booleans in a NumPy array",
        ))
    }
}
