//! Batches, gathered from the data set on the GPU.

use super::augmentation::{Augmentation, Corruption};
use super::dataset::Store;
use super::permutation::half_bits;
use super::stream::{Stream, chunk_steps};
use super::{BatchCursor, Dataset, Order};
use crate::gpu::{Binding, Buffer, Dispatch, Gpu, Shader, Uniform, grid};
use crate::{Error, Result, gpu_struct, random};

static SHADER: Shader = crate::shader!("data/batch.wgsl");
const LANES: usize = 64;

gpu_struct! {
    struct BatchUniforms in SHADER::Uniforms {
        count: u32,
        half_bits: u32,
        seed: [u32; 2],
        batch: u32,
        sample_size: u32,
        shuffle: u32,
        ring: u32,
        height: u32,
        width: u32,
        flip: u32,
        shift: u32,
        corrupted: u32,
        factor: f32,
        scale: f32,
        shift_by: f32,
    }
}

/// How batches are made of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batching {
    /// Whether each epoch has an order of its own; else that of the file, wrapping round.
    pub shuffle: bool,
    /// Seed of shuffling and augmentation.
    pub seed: u64,
    /// Random changes of each image.
    pub augment: Option<Augmentation>,
    /// Samples that are corrupted on purpose.
    pub corrupt: Option<Corruption>,
}

/// The dispatches that make a batch, and what else they leave on the GPU.
#[derive(Debug)]
pub struct Gather {
    /// To be recorded in this order.
    pub dispatches: Vec<Dispatch>,
    /// Which image of the data set is in each row of the batch, `[batch]`.
    pub samples: Buffer<u32>,
    /// Which samples each step takes, on the CPU.
    pub order: Order,
    stream: Option<Stream>,
}

impl Gather {
    /// Call before the dispatches of `step` are submitted: brings what they need of a streamed data set to the GPU.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn prepare(&mut self, gpu: &Gpu, step: u64) -> Result<()> {
        match &mut self.stream {
            Some(stream) => stream.prepare(gpu, step),
            None => Ok(()),
        }
    }
}

impl Dataset {
    /// Dispatches that fill `pixels` `[batch, channels * height * width]` with the batch at `cursor`, scaled to
    /// `[0, 1]` (exactly `byte as f32 / 255.0`) and then by the images' [`Scaling`](super::Scaling), and `labels` `[batch]` with its labels.
    ///
    /// Row `i` is the image at position `offset + i` of the epoch's order; positions past its end continue in the next
    /// epoch with that epoch's order.
    ///
    /// # Errors
    /// `labels` of a data set that has none, buffers that are too small for the cursor's batch, a cursor over
    /// another number of samples, changes that do not fit the images, or too little memory.
    pub fn gather(
        &self,
        gpu: &Gpu,
        cursor: &BatchCursor,
        batching: &Batching,
        pixels: &Buffer<f32>,
        labels: Option<&Buffer<u32>>,
    ) -> Result<Gather> {
        let batch = cursor.batch();
        if cursor.count() != self.count {
            return Err(size_error("cursor", "samples", cursor.count(), self.count));
        }
        if let Some(augmentation) = &batching.augment {
            augmentation.check(self.shape)?;
        }
        if let Some(corruption) = &batching.corrupt {
            corruption.check(self.count)?;
        }
        let order = Order {
            count: self.count as u32,
            batch: batch as u32,
            shuffle: batching.shuffle,
            seed: batching.seed,
        };
        let stream = match &self.store {
            Store::Resident { .. } => None,
            Store::Streamed { images, budget } => {
                let steps = chunk_steps(images, batch, *budget)?;
                Some(Stream::new(gpu, images, order, steps)?)
            }
        };
        let ring = stream.as_ref().map_or(0, |stream| stream.ring() as u32);
        let parameters = self.parameters(batch, batching, ring);
        let uniform = gpu.uniform("batch", &parameters);
        let samples: Buffer<u32> = gpu.buffer("samples of the batch", batch)?;
        let rows = |entry, bindings: &[(u32, Binding<'_>)]| {
            let all = [&[(0, uniform.binding())][..], bindings].concat();
            gpu.kernel(&SHADER, entry, &[])
                .bind(gpu, &all, grid(batch, LANES))
        };
        let mut dispatches = vec![rows(
            "choose",
            &[(1, cursor.buffer().binding()), (2, samples.binding())],
        )];
        let (words, all_labels, slots) = match (&stream, &self.store) {
            (Some(stream), _) => {
                let slots: Buffer<u32> = gpu.buffer("slots in the ring", batch)?;
                dispatches.push(rows(
                    "choose_slots",
                    &[(1, cursor.buffer().binding()), (7, slots.binding())],
                ));
                (&stream.words, &stream.labels, slots)
            }
            (None, Store::Resident { words, labels }) => (words, labels, samples.clone()),
            (None, Store::Streamed { .. }) => unreachable!("what is streamed has a stream"),
        };
        let changes = if batching.changes_images() {
            let changes: Buffer<[u32; 4]> = gpu.buffer("changes of images", batch)?;
            let corrupted = batching.corrupt.as_ref().map_or(&[][..], |d| &d.samples);
            let corrupted = gpu.upload("corrupted samples", corrupted)?;
            dispatches.push(rows(
                "draw_changes",
                &[
                    (1, cursor.buffer().binding()),
                    (2, samples.binding()),
                    (8, corrupted.binding()),
                    (9, changes.binding()),
                ],
            ));
            Some(changes)
        } else {
            None
        };
        let rows = Rows {
            uniform: &uniform,
            words,
            labels: all_labels.as_ref(),
            slots: &slots,
            changes: changes.as_ref(),
            batch,
        };
        dispatches.push(self.copy_pixels(gpu, &rows, pixels)?);
        if let Some(labels) = labels {
            dispatches.push(rows.copy_labels(gpu, labels)?);
        }
        Ok(Gather {
            dispatches,
            samples,
            order,
            stream,
        })
    }

    /// Dispatches that fill `pixels` `[indices.len(), channels * height * width]` with the images at `indices`, as they
    /// are, and `labels` `[indices.len()]` with theirs: a probe batch that stays the same through a run.
    ///
    /// # Errors
    /// No index, one beyond the data set, a buffer that is too small, `labels` of a data set that has none, or too little
    /// memory.
    pub fn gather_indices(
        &self,
        gpu: &Gpu,
        indices: &[u32],
        pixels: &Buffer<f32>,
        labels: Option<&Buffer<u32>>,
    ) -> Result<Vec<Dispatch>> {
        if indices.is_empty() {
            return Err(size_error("list of images", "entries", 0, 1));
        }
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= self.count) {
            return Err(Error::input(
                format!("image {index}"),
                format!("the data set has {}", self.count),
                format!("choose from 0 to {}", self.count - 1),
            ));
        }
        let (words, all_labels, slots) = match &self.store {
            Store::Resident { words, labels } => {
                let slots = gpu.upload("chosen samples", indices)?;
                (words.clone(), labels.clone(), slots)
            }
            Store::Streamed { images, .. } => {
                let (words, labels) = images.packed(indices);
                let labels = (!labels.is_empty()).then(|| gpu.upload("chosen labels", &labels));
                let slots: Vec<u32> = (0..indices.len() as u32).collect();
                (
                    gpu.upload("chosen images", &words)?,
                    labels.transpose()?,
                    gpu.upload("chosen samples", &slots)?,
                )
            }
        };
        let parameters = self.parameters(indices.len(), &Batching::default(), 0);
        let rows = Rows {
            uniform: &gpu.uniform("chosen samples", &parameters),
            words: &words,
            labels: all_labels.as_ref(),
            slots: &slots,
            changes: None,
            batch: indices.len(),
        };
        let mut dispatches = vec![self.copy_pixels(gpu, &rows, pixels)?];
        if let Some(labels) = labels {
            dispatches.push(rows.copy_labels(gpu, labels)?);
        }
        Ok(dispatches)
    }

    fn parameters(&self, batch: usize, batching: &Batching, ring: u32) -> BatchUniforms {
        let [_, height, width] = self.shape.map(|side| side as u32);
        let augment = batching.augment.unwrap_or_default();
        let corruption = batching.corrupt.as_ref();
        BatchUniforms {
            count: self.count as u32,
            half_bits: half_bits(self.count as u32),
            seed: random::key(batching.seed),
            batch: batch as u32,
            sample_size: self.sample_size() as u32,
            shuffle: batching.shuffle.into(),
            ring,
            height,
            width,
            flip: augment.flip.into(),
            shift: augment.shift as u32,
            corrupted: corruption.map_or(0, |corruption| corruption.samples.len() as u32),
            factor: corruption.map_or(1.0, |corruption| corruption.scale),
            scale: self.scaling.scale,
            shift_by: self.scaling.shift,
        }
    }

    fn copy_pixels(&self, gpu: &Gpu, rows: &Rows<'_>, pixels: &Buffer<f32>) -> Result<Dispatch> {
        let size = self.sample_size();
        let needed = rows.batch.saturating_mul(size);
        if needed > pixels.len() {
            return Err(size_error(
                "buffer of a batch",
                "values",
                pixels.len(),
                needed,
            ));
        }
        let entry = match rows.changes {
            Some(_) => "gather_changed",
            None if size.is_multiple_of(4) => "gather_vectors",
            None => "gather_scalars",
        };
        let mut bindings = vec![
            (0, rows.uniform.binding()),
            (3, rows.words.binding()),
            (4, pixels.binding()),
            (7, rows.slots.binding()),
        ];
        bindings.extend(rows.changes.map(|changes| (9, changes.binding())));
        let groups_per_row = size.div_ceil(4).div_ceil(LANES);
        let workgroups = grid(rows.batch * groups_per_row, 1);
        // Of the data set only the batch is read, a byte for each float that is written.
        let moved = 5 * needed as u64;
        Ok(gpu
            .kernel(&SHADER, entry, &[])
            .bind(gpu, &bindings, workgroups)
            .with_bytes(moved))
    }
}

impl Batching {
    fn changes_images(&self) -> bool {
        let augments = self.augment.is_some_and(|a| a != Augmentation::default());
        augments || self.corrupt.is_some()
    }
}

/// Rows of a batch: where their images and labels lie, and what changes them.
struct Rows<'a> {
    uniform: &'a Uniform,
    words: &'a Buffer<u32>,
    labels: Option<&'a Buffer<u32>>,
    slots: &'a Buffer<u32>,
    changes: Option<&'a Buffer<[u32; 4]>>,
    batch: usize,
}

impl Rows<'_> {
    fn copy_labels(&self, gpu: &Gpu, labels: &Buffer<u32>) -> Result<Dispatch> {
        if labels.len() < self.batch {
            return Err(size_error(
                "buffer of labels",
                "entries",
                labels.len(),
                self.batch,
            ));
        }
        let Some(all) = self.labels else {
            return Err(Error::input(
                "data set",
                "it has no labels",
                "put the file of labels next to the images",
            ));
        };
        let bindings = [
            (0, self.uniform.binding()),
            (5, all.binding()),
            (6, labels.binding()),
            (7, self.slots.binding()),
        ];
        let kernel = gpu.kernel(&SHADER, "gather_labels", &[]);
        Ok(kernel.bind(gpu, &bindings, grid(self.batch, LANES)))
    }
}

fn size_error(context: &str, what: &str, has: usize, needed: usize) -> Error {
    Error::input(
        context,
        format!("expected {needed} {what}, got {has}"),
        "make both for the same data set and batch",
    )
}
