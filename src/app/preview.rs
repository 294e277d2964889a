//! Images that a run's model makes, on the worker: of a run in training, or restored from a run directory.

use std::path::{Path, PathBuf};

use super::tile::Tile;
use super::worker::Progress;
use crate::gpu::{Buffer, Gpu};
use crate::trace::RunReader;
use crate::train::{ModelPreview, Scenario, Trainer};
use crate::view::{ImageGrid, ImageRow, Painter, Rect, Theme};
use crate::{Error, Result};

/// Images of each sort.
const COUNT: usize = 32;
/// Images side by side where the model knows no classes.
const COLUMNS: usize = 8;
/// Points that an image may take on a side, where its pixels divide them.
const MAX_SIDE: usize = 28;

/// Where images come from.
pub(super) enum Preview {
    /// A directory whose model is restored when images are first wanted.
    Directory(PathBuf),
    /// A model that makes images.
    Model(Box<ModelPreview>),
    /// A model that makes none.
    None,
    /// The model cannot be had.
    Failed(Error),
}

impl Preview {
    pub fn of_directory(dir: &Path) -> Self {
        Self::Directory(dir.to_owned())
    }

    pub fn of_trainer(trainer: &Trainer) -> Self {
        match ModelPreview::new(trainer, COUNT) {
            Ok(Some(preview)) => Self::Model(Box::new(preview)),
            Ok(None) => Self::None,
            Err(error) => Self::Failed(error),
        }
    }

    /// The images as the model makes them now; `None` of models that make none.
    ///
    /// # Errors
    /// Why there are none, in a sentence.
    pub fn images(&mut self, gpu: &Gpu, progress: &Progress) -> Result<Option<Images>> {
        if let Self::Directory(dir) = self {
            progress.say("restoring the model for its images");
            *self = match restore(gpu, dir) {
                Ok(trainer) => Self::of_trainer(&trainer),
                Err(error) => Self::Failed(error),
            };
        }
        match self {
            Self::Model(preview) => {
                preview.refresh(gpu);
                Ok(Some(Images {
                    count: preview.count,
                    shape: preview.shape,
                    classes: preview.classes,
                    reconstructions: preview.reconstructions.clone(),
                    samples: preview.samples.clone(),
                    note: String::new(),
                }))
            }
            Self::None => Ok(None),
            Self::Failed(error) => Err(error.clone()),
            Self::Directory(_) => Ok(None),
        }
    }
}

/// The trainer of a run directory as it was at its last checkpoint that can be read.
fn restore(gpu: &Gpu, dir: &Path) -> Result<Trainer> {
    let reader = RunReader::open(dir)?;
    let scenario = Scenario::of_run(&reader)?;
    let (trainer, _) = Trainer::restored_latest(gpu, &scenario, &reader)?;
    Ok(trainer)
}

/// Images on the GPU.
#[derive(Debug, Clone)]
pub(super) struct Images {
    count: usize,
    shape: [usize; 3],
    classes: usize,
    reconstructions: Option<[Buffer<f32>; 2]>,
    samples: Buffer<f32>,
    /// Which step they are of, where that is not the last.
    note: String,
}

impl Images {
    /// Images of their own, which do not change any more with the model's parameters, with a note below their title.
    ///
    /// # Errors
    /// The device was lost, or has no room for them.
    pub fn copied(&self, gpu: &Gpu, note: String) -> Result<Self> {
        let copy = |images: &Buffer<f32>| gpu.upload("images", &gpu.read(images)?);
        let reconstructions = match &self.reconstructions {
            Some([inputs, outputs]) => Some([copy(inputs)?, copy(outputs)?]),
            None => None,
        };
        Ok(Self {
            reconstructions,
            samples: copy(&self.samples)?,
            note,
            ..self.clone()
        })
    }

    /// How many images there are of each sort.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The sorts of images with their pixels.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &Buffer<f32>)> {
        let pairs = self.reconstructions.as_ref();
        let pairs = pairs.map(|[inputs, outputs]| [("input", inputs), ("output", outputs)]);
        let samples = std::iter::once(("sample", &self.samples));
        pairs.into_iter().flatten().chain(samples)
    }

    fn image_rows(&self) -> Vec<ImageRow<'_>> {
        let row = |(label, images)| ImageRow {
            label,
            images,
            logits: false,
        };
        self.rows().map(row).collect()
    }

    fn grid<'a>(&'a self, rows: &'a [ImageRow<'a>]) -> ImageGrid<'a> {
        let [channels, height, width] = self.shape;
        ImageGrid {
            title: match self.reconstructions {
                Some(_) => "Inputs, reconstructions, samples",
                None => "Samples",
            },
            note: &self.note,
            rows,
            count: self.count,
            channels,
            height,
            width,
            // A column for each class where the model knows classes.
            columns: match self.classes {
                1 => COLUMNS,
                classes => classes,
            },
            zoom: (MAX_SIDE / width.max(1)).clamp(1, 4),
        }
    }

    /// Where the input and the reconstruction of a sample of the probe batch are drawn, in points; none where the model
    /// reconstructs nothing.
    pub fn places_of(&self, sample: usize, theme: &Theme) -> Vec<Rect> {
        let is_shown = self.reconstructions.is_some() && sample < self.count;
        let rows = self.image_rows();
        let grid = self.grid(&rows);
        let places = (0..2).filter(|_| is_shown);
        places.map(|row| grid.place(row, sample, theme)).collect()
    }

    /// Draws the images into a tile, in their own size.
    ///
    /// # Errors
    /// A grid larger than the adapter's textures.
    pub fn draw(&self, painter: &Painter, theme: &Theme, tile: &mut Tile) -> Result<()> {
        let rows = self.image_rows();
        let grid = self.grid(&rows);
        let picture = tile.target_of(painter.gpu(), grid.size(theme), theme)?;
        grid.draw(painter, picture)
    }
}
