//! `[data]`: where samples come from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::clips::{self, Task};
use crate::data::{self, Augmentation, Damage, Images, Permutation};
use crate::{ByteSize, Error, Result};

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a section [data]")]
pub struct DataSection {
    /// The source.
    pub source: Source,
    /// The folder or file, for sources that read one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Side of an image in pixels, for sources that are resized or generated; 32 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Images of a generated source; 4,096 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Of clips: one disc and its motion, or two discs and which goes where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<ClipTask>,
    /// Which part of a source that has parts.
    #[serde(default)]
    pub split: Split,
    /// Whether each epoch has an order of its own; false: batches in file order, wrapping round.
    #[serde(default = "yes")]
    pub shuffle: bool,
    /// The adapter's memory that the set may take; a larger one stays in main memory and is streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Random changes of each image in each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<AugmentSection>,
    /// Samples that are spoilt on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<CorruptSection>,
}

/// `augment = { flip = true, shift = 2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table like { flip = true, shift = 2 }"
)]
pub struct AugmentSection {
    /// Mirrors every other image, left for right.
    #[serde(default)]
    pub flip: bool,
    /// Moves each by up to so many pixels along each axis.
    #[serde(default)]
    pub shift: usize,
}

/// `corrupt = { samples = [3, 14], scale = 255.0 }`, or `count = 2` for as many that the seed chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table like { count = 3, scale = 255.0 }"
)]
pub struct CorruptSection {
    /// Their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Vec<u32>>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What their values are multiplied by; 255 unless given, as if they had not been scaled to [0, 1].
    #[serde(default = "bytes")]
    pub scale: f32,
}

fn bytes() -> f32 {
    255.0
}

impl CorruptSection {
    /// The damage to a set of `all` samples.
    fn damage(&self, seed: u64, all: usize) -> Result<Damage> {
        let samples = match (&self.samples, self.count) {
            (Some(samples), _) => samples.clone(),
            (None, count) => {
                let count = count.unwrap_or_default();
                if count as usize > all {
                    return Err(Error::input(
                        "data.corrupt",
                        format!("count = {count} of {all} samples"),
                        "spoil fewer",
                    ));
                }
                // An epoch that no run comes to.
                let order = Permutation::new(all as u32, seed, u32::MAX);
                (0..count).map(|place| order.at(place)).collect()
            }
        };
        Ok(Damage {
            samples,
            scale: self.scale,
        })
    }

    fn misfit(&self) -> Option<(String, &'static str)> {
        let named = self.samples.as_ref().map_or(0, Vec::len);
        let given = (self.samples.is_some(), self.count.is_some());
        if given.0 == given.1 {
            let problem = "corrupt has to say which samples".to_owned();
            return Some((problem, "write either samples = [...] or count = ..."));
        }
        if named > 4096 || self.count.is_some_and(|count| count > 4096) {
            let problem = "corrupt spoils more than 4096 samples".to_owned();
            return Some((problem, "spoil fewer"));
        }
        (!self.scale.is_finite()).then(|| {
            let problem = format!("corrupt.scale = {}", self.scale);
            (problem, "use a number")
        })
    }
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The embedded MNIST (the original test set).
    Mnist,
    /// A folder of IDX files, gzipped or not.
    Idx,
    /// A folder with CIFAR-10's binary version.
    Cifar10,
    /// A NumPy array of images.
    Npy,
    /// A folder of PNG and JPEG files, resized.
    Images,
    /// Generated images of one shape each.
    Shapes,
    /// Generated clips of textured discs that move.
    Clips,
}

/// What clips show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipTask {
    /// [`Task::Motion`].
    #[default]
    Motion,
    /// [`Task::Binding`].
    Binding,
}

impl Source {
    /// The word in a scenario.
    fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Idx => "idx",
            Self::Cifar10 => "cifar10",
            Self::Npy => "npy",
            Self::Images => "images",
            Self::Shapes => "shapes",
            Self::Clips => "clips",
        }
    }

    fn needs_path(self) -> bool {
        !matches!(self, Self::Mnist | Self::Shapes | Self::Clips)
    }

    fn has_splits(self) -> bool {
        matches!(self, Self::Idx | Self::Cifar10)
    }
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training set.
    #[default]
    Train,
    /// The test set.
    Test,
}

fn yes() -> bool {
    true
}

impl DataSection {
    /// Reads the samples; `seed` is that of generated ones.
    pub(super) fn images(&self, seed: u64) -> Result<Images> {
        let split = match self.split {
            Split::Train => "train",
            Split::Test => "test",
        };
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let size = self.size.unwrap_or(32);
        match self.source {
            Source::Mnist => data::mnist(),
            Source::Idx => data::idx_directory(path, split),
            Source::Cifar10 => data::cifar10(path, split),
            Source::Npy => data::npy_images(path),
            Source::Images => data::image_folder(path, size),
            Source::Shapes => Ok(data::shapes(seed, self.count.unwrap_or(4096), size)),
            Source::Clips => {
                let task = match self.task.unwrap_or_default() {
                    ClipTask::Motion => Task::Motion,
                    ClipTask::Binding => Task::Binding,
                };
                Ok(clips::generate(
                    seed,
                    task,
                    self.count.unwrap_or(4096),
                    size,
                ))
            }
        }
    }

    /// Bytes of the adapter's memory that the set may take.
    pub(crate) fn room(&self) -> u64 {
        self.memory.map_or(u64::MAX, |ByteSize(bytes)| bytes)
    }

    /// How batches are made of a set of `count` samples.
    pub(super) fn batching(&self, seed: u64, count: usize) -> Result<data::Batching> {
        let augment = |section: AugmentSection| Augmentation {
            flip: section.flip,
            shift: section.shift,
        };
        let corrupt = self.corrupt.as_ref();
        Ok(data::Batching {
            shuffle: self.shuffle,
            seed,
            augment: self.augment.map(augment),
            corrupt: corrupt.map(|c| c.damage(seed, count)).transpose()?,
        })
    }

    /// The key that does not fit the source, what is wrong and what mends it.
    pub(super) fn misfit(&self) -> Option<(&'static str, String, String)> {
        let source = self.source.name();
        let generated = matches!(self.source, Source::Shapes | Source::Clips);
        let sized = generated || self.source == Source::Images;
        let leave_out = |key: &'static str| {
            let problem = format!("source = \"{source}\" has no {key}");
            Some((key, problem, "leave it out".to_owned()))
        };
        match (self.source.needs_path(), &self.path) {
            (true, None) => {
                let problem = format!("source = \"{source}\" needs files");
                return Some(("source", problem, "add path = \"...\"".to_owned()));
            }
            (false, Some(_)) => return leave_out("path"),
            _ => {}
        }
        if self.split == Split::Test && !self.source.has_splits() {
            let problem = format!("source = \"{source}\" has one split");
            let hint = "use split = \"train\", or a source with both: idx, cifar10";
            return Some(("split", problem, hint.to_owned()));
        }
        if self.task.is_some() && self.source != Source::Clips {
            return leave_out("task");
        }
        if let Some((problem, hint)) = self.corrupt.as_ref().and_then(CorruptSection::misfit) {
            return Some(("corrupt", problem, hint.to_owned()));
        }
        if self.augment.is_some_and(|augment| augment.shift > 512) {
            let problem = "augment.shift is larger than any image".to_owned();
            return Some(("augment", problem, "use a few pixels".to_owned()));
        }
        match self.size {
            Some(size) if self.source == Source::Clips && !(24..=128).contains(&size) => {
                return Some((
                    "size",
                    format!("size = {size}"),
                    "clips have a size from 24 to 128".to_owned(),
                ));
            }
            Some(_) if !sized => return leave_out("size"),
            Some(size) if !(4..=512).contains(&size) => {
                return Some((
                    "size",
                    format!("size = {size}"),
                    "use a number from 4 to 512".to_owned(),
                ));
            }
            _ => {}
        }
        match self.count {
            Some(_) if !generated => leave_out("count"),
            Some(count) if !(1..=1 << 18).contains(&count) => Some((
                "count",
                format!("count = {count}"),
                "use a number from 1 to 262,144".to_owned(),
            )),
            _ => None,
        }
    }
}
