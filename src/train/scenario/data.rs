//! `[data]`: where samples come from.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batching::{AugmentSection, CorruptSection};
use super::data_places::{DataPlaces, origin};
use crate::data::clips::{self, Task};
use crate::data::{self, Background, Images, Scaling};
use crate::invalid_setting::check_setting;
use crate::{ByteSize, InvalidSetting, Result};

/// The side of an image where `size` is left out.
const DEFAULT_SIZE: usize = 32;
/// The sides that images can be resized to or generated with.
const SIZES: RangeInclusive<usize> = 4..=512;
/// The sides that clips can be generated with.
const CLIP_SIZES: RangeInclusive<usize> = 24..=128;
/// How many images a generated source has where `count` is left out.
const DEFAULT_COUNT: usize = 4096;
/// The greatest distance of a pixel of a texture from its color where `texture` is left out.
const DEFAULT_TEXTURE: f64 = 0.2;
/// Images of a generated source at most.
const MAX_COUNT: usize = 1 << 18;

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section [data]")]
pub struct DataSection {
    /// The kind of source.
    pub source: Source,
    /// The folder or file of a source that reads one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The side of an image in pixels, of a source that is resized or generated; 32 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// How many images a generated source has; 4,096 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What clips show: one disc and its motion, or two discs and which of them moves where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<ClipTask>,
    /// What is behind generated shapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<BackgroundKind>,
    /// The share of textured images whose background is one color.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<f64>,
    /// The greatest distance of a pixel of a texture from the color of its background; 0.2 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texture: Option<f64>,
    /// Only this many samples, the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The share of each class's samples that is kept, in the order of the classes; all of those that are not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_shares: Option<Vec<f64>>,
    /// The factor on every value, after the division by 255; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
    /// What is added to every value after that; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<f32>,
    /// The share of samples whose label is drawn at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_noise: Option<f64>,
    /// Which part of a source that has a training and a test set.
    #[serde(default)]
    pub split: Split,
    /// Whether every epoch has its own random order. Otherwise batches follow the file, from its end back to its start.
    #[serde(default = "yes")]
    pub shuffle: bool,
    /// How much of the adapter's memory the data set may take. A larger set stays in main memory and is streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Random changes of every image in every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<AugmentSection>,
    /// Samples that are corrupted on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<CorruptSection>,
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClipTask {
    /// [`Task::Motion`].
    #[default]
    Motion,
    /// [`Task::Binding`].
    Binding,
}

/// What is behind generated shapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundKind {
    /// [`Background::Black`].
    #[default]
    Black,
    /// [`Background::Texture`].
    Texture,
    /// [`Background::Grain`].
    Grain,
}

impl Source {
    /// The source's name in a scenario.
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

    /// Whether it has a training and a test set.
    pub(super) fn has_splits(self) -> bool {
        matches!(self, Self::Idx | Self::Cifar10)
    }
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Reads the samples, which are looked for in `places`; `seed` is that of generated ones.
    pub(super) fn images(&self, seed: u64, places: &DataPlaces) -> Result<Images> {
        let found = self
            .path
            .as_deref()
            .map(|path| places.find(path))
            .transpose()?;
        let path = found.as_ref().map_or(Path::new(""), |found| &found.path);
        let mut images = self.whole(seed, path)?;
        images.scaling = self.scaling();
        if let Some(shares) = &self.class_shares {
            images = images.with_class_shares(shares, seed)?;
        }
        if let Some(limit) = self.limit {
            images = images.limited(limit);
        }
        if let Some(share) = self.label_noise {
            images = images.with_label_noise(share, seed);
        }
        images.origin = origin(self.source.name(), self.path.as_deref(), found.as_ref());
        images.notes.extend(found.and_then(|found| found.note));
        Ok(images)
    }

    /// The samples of the source as they are.
    fn whole(&self, seed: u64, path: &Path) -> Result<Images> {
        let split = match self.split {
            Split::Train => "train",
            Split::Test => "test",
        };
        let size = self.size.unwrap_or(DEFAULT_SIZE);
        let count = self.count.unwrap_or(DEFAULT_COUNT);
        match self.source {
            Source::Mnist => data::mnist(),
            Source::Idx => data::idx_directory(path, split),
            Source::Cifar10 => data::cifar10(path, split),
            Source::Npy => data::npy_images(path),
            Source::Images => data::image_folder(path, size),
            Source::Shapes => Ok(data::shapes_on(self.background(), seed, count, size)),
            Source::Clips => {
                let task = match self.task.unwrap_or_default() {
                    ClipTask::Motion => Task::Motion,
                    ClipTask::Binding => Task::Binding,
                };
                Ok(clips::generate(seed, task, count, size))
            }
        }
    }

    fn background(&self) -> Background {
        match self.background.unwrap_or_default() {
            BackgroundKind::Black => Background::Black,
            BackgroundKind::Texture => Background::Texture {
                flat: self.flat.unwrap_or(0.0),
                noise: self.texture.unwrap_or(DEFAULT_TEXTURE),
            },
            BackgroundKind::Grain => Background::Grain {
                flat: self.flat.unwrap_or(0.0),
                noise: self.texture.unwrap_or(DEFAULT_TEXTURE),
            },
        }
    }

    /// What becomes of values of `[0, 1]`.
    pub fn scaling(&self) -> Scaling {
        let same = Scaling::default();
        Scaling {
            scale: self.scale.unwrap_or(same.scale),
            shift: self.shift.unwrap_or(same.shift),
        }
    }

    /// The least and the greatest value that a pixel can have in a batch.
    pub fn range(&self) -> (f64, f64) {
        self.scaling().range()
    }

    /// What to do where a model needs labels and the source gives none.
    pub(crate) fn labels_hint(&self) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        match self.source {
            Source::Npy => {
                let labels = path.with_extension("labels.npy");
                format!("save one label for each image as {}", labels.display())
            }
            Source::Idx => {
                let prefix = match self.split {
                    Split::Train => "train",
                    Split::Test => "t10k",
                };
                format!("put {prefix}-labels-idx1-ubyte beside the images")
            }
            Source::Images => "put the images of each class into a subfolder of its own".to_owned(),
            _ => "add labels, or train a vae without a condition".to_owned(),
        }
    }

    /// Bytes of the adapter's memory that the data set may take.
    pub(crate) fn memory_budget(&self) -> u64 {
        self.memory.map_or(u64::MAX, |ByteSize(bytes)| bytes)
    }

    /// How batches are made of a set of `count` samples.
    pub(super) fn batching(&self, seed: u64, count: usize) -> Result<data::Batching> {
        let corrupt = self.corrupt.as_ref();
        Ok(data::Batching {
            shuffle: self.shuffle,
            seed,
            augment: self.augment.map(AugmentSection::augmentation),
            corrupt: corrupt
                .map(|section| section.corruption(seed, count))
                .transpose()?,
        })
    }

    /// Checks which keys belong to the source, and their ranges.
    pub(super) fn validate(&self) -> std::result::Result<(), InvalidSetting> {
        self.check_keys()?;
        if let Some(corrupt) = &self.corrupt {
            corrupt
                .validate()
                .map_err(|invalid| invalid.within("corrupt"))?;
        }
        if let Some(augment) = self.augment {
            augment
                .validate()
                .map_err(|invalid| invalid.within("augment"))?;
        }
        if let Some(size) = self.size {
            let sizes = match self.source {
                Source::Clips => CLIP_SIZES,
                _ => SIZES,
            };
            let hint = format!("use a number from {} to {}", sizes.start(), sizes.end());
            check_setting(sizes.contains(&size), "size", size, &hint)?;
        }
        if let Some(limit) = self.limit {
            check_setting(limit >= 1, "limit", limit, "use at least one sample")?;
        }
        for (key, value) in [("scale", self.scale), ("shift", self.shift)] {
            let value = value.unwrap_or_default();
            check_setting(value.is_finite(), key, value, "use a finite number")?;
        }
        for &share in self.class_shares.iter().flatten() {
            let valid = (0.0..=1.0).contains(&share);
            check_setting(valid, "class_shares", share, "use shares from 0 to 1")?;
        }
        if let Some(share) = self.label_noise {
            let valid = (0.0..=1.0).contains(&share);
            check_setting(valid, "label_noise", share, "use a share from 0 to 1")?;
        }
        for (key, share) in [("flat", self.flat), ("texture", self.texture)] {
            let share = share.unwrap_or_default();
            let valid = (0.0..=1.0).contains(&share);
            check_setting(valid, key, share, "use a number from 0 to 1")?;
        }
        if let Some(count) = self.count {
            let hint = format!("use a number from 1 to {MAX_COUNT}");
            check_setting((1..=MAX_COUNT).contains(&count), "count", count, &hint)?;
        }
        Ok(())
    }

    /// Checks that every key is one that the source has.
    fn check_keys(&self) -> std::result::Result<(), InvalidSetting> {
        let source = self.source;
        let quoted = format!("\"{}\"", source.name());
        if source.needs_path() && self.path.is_none() {
            let problem = format!("= {quoted} needs the key 'path'");
            return Err(InvalidSetting::new("source", problem, "add path = \"...\""));
        }
        let is_generated = matches!(source, Source::Shapes | Source::Clips);
        let has_size = is_generated || source == Source::Images;
        let optional_keys = [
            ("path", self.path.is_some(), source.needs_path()),
            ("task", self.task.is_some(), source == Source::Clips),
            ("size", self.size.is_some(), has_size),
            ("count", self.count.is_some(), is_generated),
            (
                "background",
                self.background.is_some(),
                source == Source::Shapes,
            ),
            ("flat", self.flat.is_some(), source == Source::Shapes),
            ("texture", self.texture.is_some(), source == Source::Shapes),
        ];
        for (key, is_given, belongs) in optional_keys {
            if is_given && !belongs {
                let problem = format!("does not belong to source = {quoted}");
                return Err(InvalidSetting::new(key, problem, "leave it out"));
            }
        }
        let has_split = self.split == Split::Train || source.has_splits();
        let problem = format!("\"test\", but source = {quoted} has only one part");
        let hint = "use split = \"train\", or a source with both parts: idx, cifar10";
        check_setting(has_split, "split", problem, hint)
    }
}
