//! Batches, gathered from the data set on the GPU.

use bytemuck::{Pod, Zeroable};

use super::permutation::half_bits;
use super::{Cursor, Dataset};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{Error, Result, random};

static SHADER: Shader = crate::shader!("data/batch.wgsl");
const LANES: usize = 64;

/// The twin of `Parameters` in `shaders/data/batch.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
struct Parameters {
    count: u32,
    half_bits: u32,
    seed: [u32; 2],
    batch: u32,
    sample_size: u32,
    shuffle: u32,
    padding: u32,
}

/// The dispatches that make a batch, and what they leave on the GPU beside it.
#[derive(Debug, Clone)]
pub struct Gather {
    /// To be recorded in this order.
    pub dispatches: Vec<Dispatch>,
    /// Which image of the data set stands in each row of the batch, `[batch]`.
    pub samples: Buffer<u32>,
}

impl Dataset {
    /// Dispatches that fill `pixels` `[batch, channels * height * width]` with the batch at `cursor`, scaled to
    /// `[0, 1]` (exactly `byte as f32 / 255.0`), and `labels` `[batch]` with its labels.
    ///
    /// Row `i` is the image at place `offset + i` of the epoch's order; places past its end go on in the next
    /// epoch with that epoch's order. Without `shuffle` the order is that of the file.
    ///
    /// # Errors
    /// `labels` of a data set that has none, buffers that are too small for the cursor's batch, a cursor over
    /// another number of samples, or too little memory.
    pub fn gather(
        &self,
        gpu: &Gpu,
        cursor: &Cursor,
        shuffle: bool,
        seed: u64,
        pixels: &Buffer<f32>,
        labels: Option<&Buffer<u32>>,
    ) -> Result<Gather> {
        let batch = cursor.batch();
        if cursor.count() != self.count {
            return Err(misfit("cursor", "samples", cursor.count(), self.count));
        }
        if let Some(labels) = labels
            && labels.len() < batch
        {
            return Err(misfit("buffer of labels", "places", labels.len(), batch));
        }
        let samples = gpu.buffer("samples of the batch", batch)?;
        let parameters = self.parameters(batch, shuffle, seed);
        let uniform = gpu.uniform("batch", &parameters);
        let mut dispatches = vec![gpu.kernel(&SHADER, "choose", &[]).bind(
            gpu,
            &[
                (0, uniform.as_entire_binding()),
                (1, cursor.buffer().binding()),
                (2, samples.binding()),
            ],
            grid(batch, LANES),
        )];
        if let Some(labels) = labels {
            let Some(all) = &self.labels else {
                return Err(Error::input(
                    "data set",
                    "it has no labels",
                    "put the file of labels beside the images",
                ));
            };
            dispatches.push(gpu.kernel(&SHADER, "gather_labels", &[]).bind(
                gpu,
                &[
                    (0, uniform.as_entire_binding()),
                    (2, samples.binding()),
                    (5, all.binding()),
                    (6, labels.binding()),
                ],
                grid(batch, LANES),
            ));
        }
        dispatches.push(self.copy_pixels(gpu, &uniform, &samples, batch, pixels)?);
        Ok(Gather {
            dispatches,
            samples,
        })
    }

    /// A dispatch that fills `pixels` `[indices.len(), channels * height * width]` with the images at `indices`:
    /// a probe batch that stays the same through a run.
    ///
    /// # Errors
    /// No index, one beyond the data set, a buffer that is too small, or too little memory.
    pub fn gather_indices(
        &self,
        gpu: &Gpu,
        indices: &[u32],
        pixels: &Buffer<f32>,
    ) -> Result<Dispatch> {
        if indices.is_empty() {
            return Err(misfit("list of images", "entries", 0, 1));
        }
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= self.count) {
            return Err(Error::input(
                format!("image {index}"),
                format!("the data set has {}", self.count),
                format!("choose from 0 to {}", self.count - 1),
            ));
        }
        let samples = gpu.upload("chosen samples", indices)?;
        let parameters = self.parameters(indices.len(), false, 0);
        let uniform = gpu.uniform("chosen samples", &parameters);
        self.copy_pixels(gpu, &uniform, &samples, indices.len(), pixels)
    }

    fn parameters(&self, batch: usize, shuffle: bool, seed: u64) -> Parameters {
        Parameters {
            count: self.count as u32,
            half_bits: half_bits(self.count as u32),
            seed: random::key(seed),
            batch: batch as u32,
            sample_size: self.sample_size() as u32,
            shuffle: shuffle.into(),
            padding: 0,
        }
    }

    fn copy_pixels(
        &self,
        gpu: &Gpu,
        uniform: &wgpu::Buffer,
        samples: &Buffer<u32>,
        batch: usize,
        pixels: &Buffer<f32>,
    ) -> Result<Dispatch> {
        let size = self.sample_size();
        match batch.checked_mul(size) {
            Some(needed) if needed <= pixels.len() => {}
            _ => {
                let needed = batch.saturating_mul(size);
                return Err(misfit("buffer of a batch", "values", pixels.len(), needed));
            }
        }
        let entry = if size.is_multiple_of(4) {
            "gather_vectors"
        } else {
            "gather_scalars"
        };
        let groups_per_row = size.div_ceil(4).div_ceil(LANES);
        Ok(gpu.kernel(&SHADER, entry, &[]).bind(
            gpu,
            &[
                (0, uniform.as_entire_binding()),
                (2, samples.binding()),
                (3, self.words.binding()),
                (4, pixels.binding()),
            ],
            grid(batch * groups_per_row, 1),
        ))
    }
}

fn misfit(place: &str, what: &str, has: usize, needed: usize) -> Error {
    Error::input(
        place,
        format!("it has {has} {what} where {needed} are needed"),
        "make both for the same data set and batch",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::gpu::layout::layout_test!(
        parameters,
        SHADER,
        "Parameters",
        Parameters {
            count,
            half_bits,
            seed,
            batch,
            sample_size,
            shuffle,
            padding
        }
    );
}
