//! Lines as a chart shows them: the lowest and highest height in each pixel column.

use bytemuck::{Pod, Zeroable};

use super::ValueScale;
use crate::gpu::{Buffer, Gpu, Shader, grid};
use crate::shader;
use crate::{Error, Result};

static ENVELOPE: Shader = shader!("sample/envelope.wgsl");

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    scale: ValueScale,
    lines: u32,
    steps: u32,
    columns: u32,
    pairs: u32,
}

/// The envelopes of all lines, `[lines, pairs]` of (low, high, low, high).
pub(super) struct Envelopes {
    pub buffer: Buffer<[f32; 4]>,
    pub lines: usize,
    /// Pairs of columns.
    pub pairs: usize,
}

impl Envelopes {
    pub fn new(
        gpu: &Gpu,
        values: &Buffer<f32>,
        lines: usize,
        steps: usize,
        scale: ValueScale,
        columns: usize,
    ) -> Result<Self> {
        // Products of a column and the steps stay within 32 bits.
        let columns = columns.min(steps).min(4096);
        if steps > 1 << 19 {
            return Err(Error::input(
                "sample",
                format!("lines of {steps} steps"),
                "thin them out to at most 524,288 steps",
            ));
        }
        let pairs = columns.div_ceil(2);
        let buffer = gpu.buffer("envelopes", lines * pairs)?;
        let uniform = gpu.uniform(
            "envelopes",
            &Parameters {
                scale,
                lines: lines as u32,
                steps: steps as u32,
                columns: columns as u32,
                pairs: pairs as u32,
            },
        );
        let bindings = [
            (0, uniform.as_entire_binding()),
            (1, values.binding()),
            (2, buffer.binding()),
        ];
        let kernel = gpu.kernel(&ENVELOPE, "main", &[]);
        gpu.run(
            "envelopes",
            [&kernel.bind(gpu, &bindings, grid(lines * pairs, 64))],
        );
        Ok(Self {
            buffer,
            lines,
            pairs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        ENVELOPE,
        "Parameters",
        Parameters {
            scale,
            lines,
            steps,
            columns,
            pairs
        }
    );
    layout_test!(
        value_scale,
        ENVELOPE,
        "ValueScale",
        ValueScale {
            low,
            inverse_extent,
            linear_threshold,
            padding
        }
    );
}
