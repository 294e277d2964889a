//! The greedy choice of lines, in parallel.
//!
//! A bit matrix of all conflicts would take N²/8 bytes, 1.2 GB for 100,000 lines. Most lines fall to one of the first
//! few hundred kept ones, though: so the order is walked in chunks that double in size, each chunk is first held
//! against the lines kept so far, and only its survivors get a bit matrix. The result is that of the sequential
//! greedy, line for line; the parallel rounds within a chunk are those of Blelloch, Fineman and Shun ("Greedy
//! sequential maximal independent set and matching are parallel on average", SPAA 2012).

use std::sync::atomic::AtomicBool;

use super::envelope::Envelopes;
use super::source::stop_if;
use crate::gpu::{Binding, Buffer, Dispatch, Gpu, Shader, groups};
use crate::{Result, gpu_struct, shader};

static SELECTION: Shader = shader!("sample/selection.wgsl");

const FIRST_CHUNK: usize = 256;
const LAST_CHUNK: usize = 8192;
/// Rounds enqueued before the states are read back.
const ROUNDS_AT_ONCE: usize = 6;
/// Comparisons of two lines in one dispatch at most, so that no driver takes it for hung.
pub(super) const MAX_COMPARISONS: usize = 1 << 26;

/// The low bits of a state hold the decision, those above the rounds that it took.
const DECISION: u32 = 3;
const UNDECIDED: u32 = 0;
const KEPT: u32 = 1;

gpu_struct! {
    struct SelectionUniforms in SELECTION::Uniforms {
        count: u32,
        kept_from: u32,
        kept_to: u32,
        quads: u32,
        words: u32,
        radius: f32,
    }
}

/// Lines chosen at a radius.
pub(super) struct Selection {
    /// The lines, in the order of their priority.
    pub kept: Vec<u32>,
    /// Their envelopes, one after another; the buffer may be longer.
    pub envelopes: Buffer<[f32; 4]>,
    pub radius: f32,
    /// Parallel rounds, summed over the chunks.
    pub rounds: usize,
    /// Whether all lines were looked at; else there are more than were wanted.
    pub complete: bool,
}

/// Chooses lines at any radius.
pub(super) struct Selector<'a> {
    pub gpu: &'a Gpu,
    pub envelopes: &'a Envelopes,
    /// Lines in the order of their priority.
    pub order: &'a [u32],
    /// Whether they have values that are not finite: all of them or none.
    pub has_gaps: bool,
    /// Set once the user has asked to stop.
    pub cancelled: &'a AtomicBool,
}

impl Selector<'_> {
    /// The sequential greedy's choice at `radius`, given up once it holds more than `max_kept` lines.
    pub fn select(&self, radius: f32, max_kept: usize) -> Result<Selection> {
        let quads = self.envelopes.quads();
        let mut selection = Selection {
            kept: Vec::new(),
            envelopes: self.gpu.buffer("kept envelopes", FIRST_CHUNK * quads)?,
            radius,
            rounds: 0,
            complete: false,
        };
        let mut rest = self.order;
        let mut size = FIRST_CHUNK;
        while !rest.is_empty() && selection.kept.len() <= max_kept {
            let (lines, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            stop_if(self.cancelled)?;
            size = (2 * size).min(LAST_CHUNK);
            self.push_chunk(lines, &mut selection)?;
        }
        selection.complete = rest.is_empty();
        Ok(selection)
    }

    /// Adds those of the next `lines` that the sequential greedy takes.
    fn push_chunk(&self, lines: &[u32], selection: &mut Selection) -> Result<()> {
        let survivors = if selection.kept.is_empty() {
            lines.to_vec()
        } else {
            let states = self.chunk(lines, selection)?.against_kept(selection)?;
            with_state(lines, &states, UNDECIDED)
        };
        if survivors.is_empty() {
            return Ok(());
        }
        let states = self.chunk(&survivors, selection)?.decide()?;
        let waited = states.iter().map(|state| state / (DECISION + 1)).max();
        selection.rounds += waited.unwrap_or(0) as usize;
        let chosen = with_state(&survivors, &states, KEPT);
        self.append(chosen, selection)
    }

    /// Adds lines to the kept ones, whatever their distances are.
    pub fn append(&self, chosen: Vec<u32>, selection: &mut Selection) -> Result<()> {
        if chosen.is_empty() {
            return Ok(());
        }
        self.make_room(selection, selection.kept.len() + chosen.len())?;
        self.chunk(&chosen, selection)?.keep(selection);
        selection.kept.extend(chosen);
        Ok(())
    }

    /// Lets the buffer of kept envelopes grow to hold `needed` lines.
    fn make_room(&self, selection: &mut Selection, needed: usize) -> Result<()> {
        let quads = self.envelopes.quads();
        if needed * quads <= selection.envelopes.len() {
            return Ok(());
        }
        let room = needed.next_power_of_two().min(self.order.len());
        let grown = self.gpu.buffer("kept envelopes", room * quads)?;
        let mut encoder = self.gpu.encoder("grow kept envelopes");
        let bytes = (selection.kept.len() * quads * size_of::<[f32; 4]>()) as u64;
        encoder.copy_buffer_to_buffer(selection.envelopes.raw(), 0, grown.raw(), 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        selection.envelopes = grown;
        Ok(())
    }

    fn chunk(&self, lines: &[u32], selection: &Selection) -> Result<Chunk<'_>> {
        let words = lines.len().div_ceil(32);
        Ok(Chunk {
            gpu: self.gpu,
            envelopes: self.envelopes,
            has_gaps: self.has_gaps,
            lines: self.gpu.upload("chunk", lines)?,
            states: self.gpu.buffer("states", lines.len())?,
            parameters: SelectionUniforms {
                count: lines.len() as u32,
                kept_from: 0,
                kept_to: selection.kept.len() as u32,
                quads: self.envelopes.quads() as u32,
                words: words as u32,
                radius: selection.radius,
            },
            count: lines.len(),
            words,
        })
    }
}

fn with_state(lines: &[u32], states: &[u32], wanted: u32) -> Vec<u32> {
    let pairs = lines.iter().zip(states);
    pairs
        .filter(|(_, state)| **state & DECISION == wanted)
        .map(|(line, _)| *line)
        .collect()
}

/// Some lines of the order and what has been decided about them.
struct Chunk<'a> {
    gpu: &'a Gpu,
    envelopes: &'a Envelopes,
    has_gaps: bool,
    lines: Buffer<u32>,
    states: Buffer<u32>,
    parameters: SelectionUniforms,
    count: usize,
    words: usize,
}

impl Chunk<'_> {
    fn dispatch(
        &self,
        entry: &'static str,
        parameters: &SelectionUniforms,
        bindings: &[(u32, Binding<'_>)],
        workgroups: [u32; 3],
    ) -> Dispatch {
        let uniform = self.gpu.uniform("selection", parameters);
        let mut all = vec![(0, uniform.binding())];
        all.extend(bindings.iter().cloned());
        let compares = matches!(entry, "against_kept" | "find_conflicts");
        let has_gaps = [("HAS_GAPS", f64::from(u8::from(self.has_gaps)))];
        let constants = if compares { &has_gaps[..] } else { &[] };
        let kernel = self.gpu.kernel(&SELECTION, entry, constants);
        kernel.bind(self.gpu, &all, workgroups)
    }

    /// States after the lines were held against those kept before.
    fn against_kept(&self, selection: &Selection) -> Result<Vec<u32>> {
        let slice = MAX_COMPARISONS / self.count.max(1);
        for from in (0..selection.kept.len()).step_by(slice) {
            let parameters = SelectionUniforms {
                kept_from: from as u32,
                kept_to: selection.kept.len().min(from + slice) as u32,
                ..self.parameters
            };
            let dispatch = self.dispatch(
                "against_kept",
                &parameters,
                &[
                    (1, self.envelopes.buffer().binding()),
                    (2, self.lines.binding()),
                    (3, selection.envelopes.binding()),
                    (4, self.states.binding()),
                ],
                [groups(self.count, 64), 1, 1],
            );
            self.gpu.run("against kept lines", [&dispatch]);
        }
        self.gpu.read(&self.states)
    }

    /// States after the lines were decided among each other.
    fn decide(&self) -> Result<Vec<u32>> {
        let conflicts = self
            .gpu
            .buffer::<u32>("conflicts", self.count * self.words)?;
        let masks = self.gpu.buffer::<[u32; 2]>("masks", self.words)?;
        let line_groups = groups(self.count, 64);
        let find = self.dispatch(
            "find_conflicts",
            &self.parameters,
            &[
                (1, self.envelopes.buffer().binding()),
                (2, self.lines.binding()),
                (5, conflicts.binding()),
            ],
            [line_groups, self.words as u32, 1],
        );
        let pack = self.dispatch(
            "pack",
            &self.parameters,
            &[(4, self.states.binding()), (6, masks.binding())],
            [groups(self.words, 64), 1, 1],
        );
        let decide = self.dispatch(
            "decide",
            &self.parameters,
            &[
                (4, self.states.binding()),
                (5, conflicts.binding()),
                (6, masks.binding()),
            ],
            [line_groups, 1, 1],
        );
        let rounds = || std::iter::repeat_n([&pack, &decide], ROUNDS_AT_ONCE).flatten();
        self.gpu.run(
            "conflicts and rounds",
            std::iter::once(&find).chain(rounds()),
        );
        loop {
            let states = self.gpu.read(&self.states)?;
            // Every round decides at least the first undecided line, so this ends.
            if states.iter().all(|state| state & DECISION != UNDECIDED) {
                return Ok(states);
            }
            self.gpu.run("rounds", rounds());
        }
    }

    /// Appends the envelopes of the chunk's lines to those of the selection, which has room for them.
    fn keep(&self, selection: &Selection) {
        let dispatch = self.dispatch(
            "keep",
            &self.parameters,
            &[
                (1, self.envelopes.buffer().binding()),
                (2, self.lines.binding()),
                (3, selection.envelopes.binding()),
            ],
            [groups(self.envelopes.quads(), 64), self.count as u32, 1],
        );
        self.gpu.run("keep", [&dispatch]);
    }
}
