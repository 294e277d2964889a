//! `[data]`: where samples come from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::clips::{self, Task};
use crate::data::{self, Images};

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
            let mend = "use split = \"train\", or a source with both: idx, cifar10";
            return Some(("split", problem, mend.to_owned()));
        }
        if self.task.is_some() && self.source != Source::Clips {
            return leave_out("task");
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
