//! Lines as rows of heights, which the sampler compares height by height.

use crate::gpu::{Buffer, Gpu, Shader, grid};
use crate::series::{SeriesBuffer, ValueScale};
use crate::{Error, Result, gpu_struct, shader};

static ENVELOPE: Shader = shader!("sample/envelope.wgsl");

/// What a row holds where a line has no value, and where it is infinite; as in the shader.
const GAP: f32 = -100.0;
const POSITIVE_INFINITY: f32 = 5.0;
const NEGATIVE_INFINITY: f32 = -4.0;

/// Heights of finite values are clamped to this: lines beyond the chart are told apart up to one chart's height.
pub const HEIGHTS: std::ops::RangeInclusive<f32> = -1.0..=2.0;

gpu_struct! {
    struct EnvelopeUniforms in ENVELOPE::Uniforms {
        scale: ValueScale,
        lines: u32,
        first_line: u32,
        steps: u32,
        quads: u32,
        columns_per_quad: u32,
    }
}

/// Lines as rows of heights, `[lines, quads]` of four heights each, on the GPU. The distance of two lines is the
/// largest difference between the heights of their rows.
///
/// The steps are divided evenly among pixel columns; every step belongs to exactly one. A column takes two heights,
/// its lowest and its highest one. Where there are as many columns as steps (or more were asked for) it takes one,
/// and the distance is the largest difference over all steps.
///
/// Columns are in bit-reversed order (first, middle, quarters, ...), so that the first few heights distinguish lines
/// that differ anywhere for a while. On the GPU, rows are padded to whole quads with gaps.
///
/// NaN is no value: a column takes the values that it has, and is a gap where it has none. Two lines are compared where
/// both have a value; an infinity is infinitely far from all but itself. A line with a value that is not finite is only
/// ever compared with other such lines.
#[derive(Debug, Clone)]
pub struct Envelopes {
    buffer: Buffer<[f32; 4]>,
    /// For each line whether (1) or not (0) it has a value that is not finite.
    nonfinite: Buffer<u32>,
    spans: Buffer<[u32; 2]>,
    lines: usize,
    steps: usize,
    columns: usize,
    quads: usize,
}

impl Envelopes {
    /// The envelopes of `series` in `columns` pixel columns.
    ///
    /// # Errors
    /// No lines or columns, or more than the adapter holds in one binding.
    pub fn new(gpu: &Gpu, series: &SeriesBuffer, columns: usize) -> Result<Self> {
        let envelopes = Self::allocate(gpu, series.lines(), series.steps(), columns)?;
        envelopes.fill(gpu, 0, series.lines(), series.values(), series.scale());
        Ok(envelopes)
    }

    /// Room for the envelopes of so many lines.
    pub(super) fn allocate(gpu: &Gpu, lines: usize, steps: usize, columns: usize) -> Result<Self> {
        check(lines, steps, columns)?;
        let spans = spans(steps, columns);
        let quads = spans.len() / columns_per_quad(steps, columns);
        let buffer = gpu.buffer("envelopes", lines * quads).map_err(|error| {
            Error::new(
                error.kind(),
                format!("envelopes of {lines} lines"),
                error.problem(),
                "compare the lines in fewer columns, or sample fewer lines",
            )
        })?;
        Ok(Self {
            buffer,
            nonfinite: gpu.buffer("lines with gaps", lines)?,
            spans: gpu.upload("column spans", &spans)?,
            lines,
            steps,
            columns: columns.min(steps),
            quads,
        })
    }

    /// Writes the envelopes of the lines from `first` on, of which `values` holds `lines`.
    pub(super) fn fill(
        &self,
        gpu: &Gpu,
        first: usize,
        lines: usize,
        values: &Buffer<f32>,
        scale: ValueScale,
    ) {
        let uniform = gpu.uniform(
            "envelopes",
            &EnvelopeUniforms {
                scale,
                lines: lines as u32,
                first_line: first as u32,
                steps: self.steps as u32,
                quads: self.quads as u32,
                columns_per_quad: columns_per_quad(self.steps, self.columns) as u32,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, values.binding()),
            (2, self.spans.binding()),
            (3, self.buffer.binding()),
            (4, self.nonfinite.binding()),
        ];
        let kernel = gpu.kernel(&ENVELOPE, "main", &[]);
        let dispatch = kernel.bind(gpu, &bindings, grid(lines * self.quads, 64));
        gpu.run("envelopes", [&dispatch]);
    }

    /// The rows, `[lines, quads]`.
    pub fn buffer(&self) -> &Buffer<[f32; 4]> {
        &self.buffer
    }

    /// The number of lines.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The number of quads in a row, padding included.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// For each line 1 where it has a value that is not finite, else 0.
    pub(super) fn nonfinite(&self) -> &Buffer<u32> {
        &self.nonfinite
    }

    /// The number of heights in a row, without padding.
    pub fn row_len(&self) -> usize {
        self.columns * 4 / columns_per_quad(self.steps, self.columns)
    }

    /// All rows, `[lines, row_len]`, read back, with NaN for gaps and infinities for infinities.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn read(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let unmarked = |height: &f32| match *height {
            GAP => f32::NAN,
            POSITIVE_INFINITY => f32::INFINITY,
            NEGATIVE_INFINITY => f32::NEG_INFINITY,
            height => height,
        };
        let padded = gpu.read(&self.buffer)?.into_flattened();
        let rows = padded.chunks_exact(4 * self.quads);
        Ok(rows
            .flat_map(|row| row[..self.row_len()].iter().map(unmarked))
            .collect())
    }
}

fn check(lines: usize, steps: usize, columns: usize) -> Result<()> {
    let wrong = |problem: String, hint: &str| Err(Error::input("sample", problem, hint));
    if lines == 0 || steps == 0 {
        return wrong(
            format!("there are {lines} lines of {steps} steps"),
            "give at least one line of one step",
        );
    }
    if columns == 0 {
        return wrong(
            "columns = 0".into(),
            "compare the lines in at least one column",
        );
    }
    // Shaders count values in 32 bits and blocks of 1024 lines in one dimension of a dispatch.
    let needed = lines
        .checked_mul(steps)
        .filter(|&needed| needed <= 1 << 30 && lines <= 1 << 25);
    match needed {
        None => wrong(
            format!("{lines} lines of {steps} steps are more than 2^25 lines or 2^30 values"),
            "sample a part of them",
        ),
        Some(_) => Ok(()),
    }
}

/// Columns whose heights fill a quad: four where every column is a step, else two.
pub(super) fn columns_per_quad(steps: usize, columns: usize) -> usize {
    if columns >= steps { 4 } else { 2 }
}

/// First step and end of each column, in the order of their heights in a row, padded with empty ones to whole quads.
pub(super) fn spans(steps: usize, columns: usize) -> Vec<[u32; 2]> {
    let columns = columns.min(steps);
    let bits = columns.next_power_of_two().trailing_zeros();
    let reversed = |index: u32| {
        index
            .reverse_bits()
            .checked_shr(u32::BITS - bits)
            .unwrap_or(0)
    };
    let step = |column: u32| (u64::from(column) * steps as u64 / columns as u64) as u32;
    let mut spans: Vec<[u32; 2]> = (0..1u32 << bits)
        .map(reversed)
        .filter(|&column| (column as usize) < columns)
        .map(|column| [step(column), step(column + 1)])
        .collect();
    spans.resize(
        columns.next_multiple_of(columns_per_quad(steps, columns)),
        [0, 0],
    );
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every step belongs to exactly one column, and no column is empty.
        #[test]
        fn spans_divide_the_steps(steps in 1usize..5000, columns in 1usize..600) {
            let mut spans = spans(steps, columns);
            prop_assert_eq!(spans.len() % columns_per_quad(steps, columns), 0);
            spans.retain(|span| *span != [0, 0]);
            spans.sort_unstable();
            prop_assert_eq!(spans.len(), columns.min(steps));
            let mut next = 0;
            for [first, end] in spans {
                prop_assert_eq!(first, next);
                prop_assert!(end > first);
                next = end;
            }
            prop_assert_eq!(next as usize, steps);
        }
    }
}
