//! The greedy choice of lines, in parallel.
//!
//! A bit matrix of all conflicts would take N²/8 bytes, 1.2 GB for 100,000 lines. Most lines fall to one of the first
//! few hundred kept ones, though: so the order is walked in chunks that double in size, each chunk is first held
//! against the lines kept so far, and only its survivors get a bit matrix. The result is that of the sequential
//! greedy, line for line; the parallel rounds within a chunk are those of Blelloch, Fineman and Shun ("Greedy
//! sequential maximal independent set and matching are parallel on average", SPAA 2012).

use bytemuck::{Pod, Zeroable};

use super::envelope::Envelopes;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, groups};
use crate::shader;

static SELECTION: Shader = shader!("sample/selection.wgsl");

const FIRST_CHUNK: usize = 256;
const LAST_CHUNK: usize = 8192;
/// Rounds enqueued before the states are read back.
const ROUNDS_AT_ONCE: usize = 6;

const UNDECIDED: u32 = 0;
const KEPT: u32 = 1;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    count: u32,
    kept: u32,
    pairs: u32,
    words: u32,
    radius: f32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}

/// Lines chosen at a radius.
pub(super) struct Selection {
    pub kept: Vec<u32>,
    /// Their envelopes, one behind the other; the buffer may be longer.
    pub envelopes: Buffer<[f32; 4]>,
    pub radius: f32,
    pub rounds: usize,
    /// Whether all lines were looked at, or the choice was given up.
    pub complete: bool,
}

/// Chooses lines at any radius.
pub(super) struct Selector<'a> {
    gpu: &'a Gpu,
    envelopes: &'a Envelopes,
    order: &'a [u32],
}

/// The buffers of one chunk.
struct Chunk<'a> {
    gpu: &'a Gpu,
    envelopes: &'a Envelopes,
    lines: Buffer<u32>,
    states: Buffer<u32>,
    parameters: wgpu::Buffer,
    count: usize,
    words: usize,
}

impl<'a> Selector<'a> {
    pub fn new(gpu: &'a Gpu, envelopes: &'a Envelopes, order: &'a [u32]) -> Self {
        Self {
            gpu,
            envelopes,
            order,
        }
    }

    /// The sequential greedy's choice at `radius`, given up once it holds more than `enough` lines.
    pub fn select(&self, radius: f32, enough: usize) -> Result<Selection> {
        let pairs = self.envelopes.pairs;
        let mut kept: Vec<u32> = Vec::new();
        let mut kept_envelopes: Buffer<[f32; 4]> =
            self.gpu.buffer("kept envelopes", FIRST_CHUNK * pairs)?;
        let mut rounds = 0;
        let mut start = 0;
        let mut size = FIRST_CHUNK;
        while start < self.order.len() && kept.len() <= enough {
            let lines = &self.order[start..(start + size).min(self.order.len())];
            start += lines.len();
            size = (2 * size).min(LAST_CHUNK);
            let survivors = self.survivors(lines, &kept_envelopes, kept.len(), radius)?;
            if survivors.is_empty() {
                continue;
            }
            let chunk = Chunk::new(self.gpu, self.envelopes, &survivors, kept.len(), radius)?;
            let states = chunk.decide(&mut rounds)?;
            let chosen: Vec<u32> = survivors
                .iter()
                .zip(&states)
                .filter(|(_, state)| **state == KEPT)
                .map(|(line, _)| *line)
                .collect();
            kept_envelopes = self.grown(kept_envelopes, kept.len(), kept.len() + chosen.len())?;
            Chunk::new(self.gpu, self.envelopes, &chosen, kept.len(), radius)?
                .keep(&kept_envelopes);
            kept.extend(chosen);
        }
        Ok(Selection {
            complete: start >= self.order.len(),
            kept,
            envelopes: kept_envelopes,
            radius,
            rounds,
        })
    }

    /// The lines that conflict with none of those kept so far.
    fn survivors(
        &self,
        lines: &[u32],
        kept_envelopes: &Buffer<[f32; 4]>,
        kept: usize,
        radius: f32,
    ) -> Result<Vec<u32>> {
        if kept == 0 {
            return Ok(lines.to_vec());
        }
        let chunk = Chunk::new(self.gpu, self.envelopes, lines, kept, radius)?;
        let states = chunk.against(kept_envelopes)?;
        let survives = |(line, state): (&u32, u32)| (state == UNDECIDED).then_some(*line);
        Ok(lines.iter().zip(states).filter_map(survives).collect())
    }

    /// A buffer with room for `needed` envelopes that holds the first `kept` of `old`.
    fn grown(&self, old: Buffer<[f32; 4]>, kept: usize, needed: usize) -> Result<Buffer<[f32; 4]>> {
        let pairs = self.envelopes.pairs;
        if needed * pairs <= old.len() {
            return Ok(old);
        }
        let room = needed.next_power_of_two().min(self.order.len().max(needed));
        let new = self.gpu.buffer("kept envelopes", room * pairs)?;
        let mut encoder = self.gpu.encoder("grow kept envelopes");
        let bytes = (kept * pairs * size_of::<[f32; 4]>()) as u64;
        encoder.copy_buffer_to_buffer(old.raw(), 0, new.raw(), 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        Ok(new)
    }
}

impl<'a> Chunk<'a> {
    fn new(
        gpu: &'a Gpu,
        envelopes: &'a Envelopes,
        lines: &[u32],
        kept: usize,
        radius: f32,
    ) -> Result<Self> {
        let words = lines.len().div_ceil(32);
        let parameters = gpu.uniform(
            "selection",
            &Parameters {
                count: lines.len() as u32,
                kept: kept as u32,
                pairs: envelopes.pairs as u32,
                words: words as u32,
                radius,
                padding0: 0,
                padding1: 0,
                padding2: 0,
            },
        );
        Ok(Self {
            gpu,
            envelopes,
            lines: gpu.upload("chunk", lines)?,
            states: gpu.buffer("states", lines.len())?,
            parameters,
            count: lines.len(),
            words,
        })
    }

    fn dispatch(
        &self,
        entry: &'static str,
        bindings: &[(u32, wgpu::BindingResource<'_>)],
        workgroups: [u32; 3],
    ) -> Dispatch {
        let mut all = vec![(0, self.parameters.as_entire_binding())];
        all.extend(bindings.iter().cloned());
        self.gpu
            .kernel(&SELECTION, entry, &[])
            .bind(self.gpu, &all, workgroups)
    }

    /// States after the chunk was held against the kept lines.
    fn against(&self, kept_envelopes: &Buffer<[f32; 4]>) -> Result<Vec<u32>> {
        let dispatch = self.dispatch(
            "against_kept",
            &[
                (1, self.envelopes.buffer.binding()),
                (2, self.lines.binding()),
                (3, kept_envelopes.binding()),
                (4, self.states.binding()),
            ],
            [groups(self.count, 64), 1, 1],
        );
        self.gpu.run("against kept lines", [&dispatch]);
        self.gpu.read(&self.states)
    }

    /// States after the lines were decided among each other.
    fn decide(&self, rounds: &mut usize) -> Result<Vec<u32>> {
        let conflicts = self
            .gpu
            .buffer::<u32>("conflicts", self.count * self.words)?;
        let masks = self.gpu.buffer::<[u32; 2]>("states as bits", self.words)?;
        let line_groups = groups(self.count, 64);
        let find = self.dispatch(
            "find_conflicts",
            &[
                (1, self.envelopes.buffer.binding()),
                (2, self.lines.binding()),
                (5, conflicts.binding()),
            ],
            [line_groups, self.words as u32, 1],
        );
        let pack = self.dispatch(
            "pack",
            &[(4, self.states.binding()), (6, masks.binding())],
            [groups(self.words, 64), 1, 1],
        );
        let decide = self.dispatch(
            "decide",
            &[
                (4, self.states.binding()),
                (5, conflicts.binding()),
                (6, masks.binding()),
            ],
            [line_groups, 1, 1],
        );
        let some_rounds = || std::iter::repeat_n([&pack, &decide], ROUNDS_AT_ONCE).flatten();
        self.gpu.run(
            "conflicts and rounds",
            [&find].into_iter().chain(some_rounds()),
        );
        loop {
            *rounds += ROUNDS_AT_ONCE;
            // Every round decides at least the first undecided line, so this ends.
            let states = self.gpu.read(&self.states)?;
            if !states.contains(&UNDECIDED) {
                return Ok(states);
            }
            self.gpu.run("rounds", some_rounds());
        }
    }

    /// Appends the chunk's envelopes to those of the kept lines.
    fn keep(&self, kept_envelopes: &Buffer<[f32; 4]>) {
        if self.count == 0 {
            return;
        }
        let dispatch = self.dispatch(
            "keep",
            &[
                (1, self.envelopes.buffer.binding()),
                (2, self.lines.binding()),
                (3, kept_envelopes.binding()),
            ],
            [groups(self.envelopes.pairs, 64), self.count as u32, 1],
        );
        self.gpu.run("keep", [&dispatch]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        SELECTION,
        "Parameters",
        Parameters {
            count,
            kept,
            pairs,
            words,
            radius,
            padding0,
            padding1,
            padding2
        }
    );
}
