//! A run at an earlier step, by replaying it: what the model made then, and one tensor of the step, sample by sample.

use std::path::Path;

use super::preview::{Images, Preview};
use super::tile::Tile;
use super::worker::Progress;
use crate::Result;
use crate::gpu::{Buffer, Gpu};
use crate::number::short;
use crate::tensor::NamedTensor;
use crate::train::{Replay, TensorCapture, TensorRequest};
use crate::view::{ImageGrid, ImageRow, Painter, Theme};

/// Samples and units of a tensor that are shown.
const MAX_SAMPLES: usize = 128;
const MAX_UNITS: usize = 512;
/// Feature maps of a sample that are shown.
const MAX_MAPS: usize = 64;
/// Points that a tensor's picture takes on its longer side, where its values divide them.
const SIDE: usize = 256;

/// A run as a training step found it, and a tensor of that step.
#[derive(Debug)]
pub(super) struct PastStep {
    /// What the model made before the step; `None` of models that make no images.
    pub images: Option<Images>,
    pub tensor: Option<TensorImage>,
}

/// Replays the run in `dir` up to `step`, with the tensor of a `request` captured. `None` where that was cancelled.
///
/// # Errors
/// The run's data are gone, it has no such step or tensor, or the device was lost.
pub(super) fn replay(
    gpu: &Gpu,
    dir: &Path,
    step: u64,
    request: TensorRequest,
    progress: &Progress,
) -> Result<Option<PastStep>> {
    progress.say(format!("restoring the checkpoint before step {step}"));
    let mut replay = Replay::open(gpu, dir)?
        .range(step..step + 1)
        .probe(TensorCapture::new([request]))
        .start()?;
    let from = replay.trainer().steps_done();
    loop {
        if progress.is_cancelled() {
            return Ok(None);
        }
        let done = replay.trainer().steps_done();
        if done == step {
            break;
        }
        progress.say(format!("replaying steps {from} to {step}: at {done}"));
        replay.advance()?;
    }
    // Of the moment before the step: the tensor is what the step makes of it.
    let images = match Preview::of_trainer(replay.trainer()).images(gpu, progress)? {
        Some(images) => Some(images.copied(gpu, format!("Before step {step}, by replay."))?),
        None => None,
    };
    let record = replay.step()?;
    let captured = record.and_then(|record| record.outputs.into_iter().next());
    let tensor = captured
        .map(|tensor| TensorImage::new(gpu, &tensor, step))
        .transpose()?;
    Ok(Some(PastStep { images, tensor }))
}

/// A tensor as gray pixels, from its lowest to its highest value: samples by units, or a sample's feature maps.
#[derive(Debug)]
pub(super) struct TensorImage {
    title: String,
    /// What a file of it is called after.
    name: String,
    note: String,
    /// The values that are shown, `[count, height, width]`.
    values: Vec<f32>,
    pixels: Buffer<f32>,
    count: usize,
    height: usize,
    width: usize,
}

impl TensorImage {
    fn new(gpu: &Gpu, tensor: &NamedTensor, step: u64) -> Result<Self> {
        let shown = shown_part(tensor);
        let finite = shown
            .values
            .iter()
            .copied()
            .filter(|value| value.is_finite());
        let low = finite.clone().fold(f32::INFINITY, f32::min);
        let high = finite.fold(f32::NEG_INFINITY, f32::max);
        let gray = |value: &f32| {
            // Values that are all alike are neither black nor white.
            let part = (value - low) / (high - low);
            if value.is_finite() && !part.is_finite() {
                0.5
            } else {
                part
            }
        };
        let pixels: Vec<f32> = shown.values.iter().map(gray).collect();
        let range = if low <= high {
            format!(
                "black {}, white {}",
                short(f64::from(low)),
                short(f64::from(high))
            )
        } else {
            "no value is finite".to_owned()
        };
        Ok(Self {
            name: format!("tensor-{}", tensor.name),
            title: format!("{} at step {step}", tensor.name.replace('/', " ")),
            note: format!("{}; {range}", shown.words),
            pixels: gpu.upload("tensor", &pixels)?,
            count: shown.count,
            height: shown.height,
            width: shown.width,
            values: shown.values,
        })
    }

    /// What a file of it is called after.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The values that are shown, and how many maps there are of what height and width.
    pub fn shown(&self) -> ([usize; 3], &[f32]) {
        ([self.count, self.height, self.width], &self.values)
    }

    /// Draws the tensor into a tile, in its own size.
    ///
    /// # Errors
    /// A picture larger than the adapter's textures.
    pub fn draw(&self, painter: &Painter, theme: &Theme, tile: &mut Tile) -> Result<()> {
        let columns = (self.count as f32).sqrt().ceil().max(1.0) as usize;
        let rows = [ImageRow {
            label: "",
            images: &self.pixels,
            logits: false,
        }];
        let longer = (self.width * columns).max(self.height * self.count.div_ceil(columns));
        let grid = ImageGrid {
            title: &self.title,
            note: &self.note,
            rows: &rows,
            count: self.count,
            channels: 1,
            height: self.height,
            width: self.width,
            columns,
            zoom: (SIDE / longer.max(1)).clamp(1, 8),
        };
        let picture = tile.target_of(painter.gpu(), grid.size(theme), theme)?;
        grid.draw(painter, picture)
    }
}

/// What fits of a tensor, as images of one channel.
struct ShownPart {
    values: Vec<f32>,
    count: usize,
    height: usize,
    width: usize,
    words: String,
}

fn shown_part(tensor: &NamedTensor) -> ShownPart {
    let shape = &tensor.shape;
    if let [_, channels, height, width] = shape[..] {
        let count = channels.min(MAX_MAPS);
        let of = if count < channels {
            format!("{count} of {channels}")
        } else {
            channels.to_string()
        };
        return ShownPart {
            values: tensor.values[..count * height * width].to_vec(),
            count,
            height,
            width,
            words: format!("{of} maps of the first sample"),
        };
    }
    // Of activations and gradients these are samples and units.
    let rows = shape.first().copied().unwrap_or(1).max(1);
    let columns = tensor.values.len() / rows;
    let (height, width) = (rows.min(MAX_SAMPLES), columns.min(MAX_UNITS));
    let values = tensor.values.chunks_exact(columns.max(1)).take(height);
    let part = |shown: usize, all: usize| {
        if shown < all {
            format!("{shown} of {all}")
        } else {
            all.to_string()
        }
    };
    ShownPart {
        values: values.flat_map(|row| &row[..width]).copied().collect(),
        count: 1,
        height,
        width,
        words: format!(
            "{} rows by {} columns",
            part(height, rows),
            part(width, columns)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_tensors_are_shown_in_part_and_say_so() {
        let tensor = NamedTensor::new("mu/activation", vec![200, 3], vec![1.0; 600]);
        let shown = shown_part(&tensor);
        assert_eq!(
            (shown.height, shown.width, shown.values.len()),
            (128, 3, 384)
        );
        assert_eq!(shown.words, "128 of 200 rows by 3 columns");
        let maps = NamedTensor::new("c", vec![2, 5, 4, 3], (0..120).map(|v| v as f32).collect());
        let shown = shown_part(&maps);
        assert_eq!((shown.count, shown.height, shown.width), (5, 4, 3));
        assert_eq!(shown.values.last(), Some(&59.0));
    }
}
