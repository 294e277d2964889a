//! The probe: statistics of every unit, taken on the GPU where the values lie.

use bytemuck::{Pod, Zeroable};

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};

static SHADER: Shader = crate::shader!("trace/statistics.wgsl");
/// Of a workgroup on a GPU.
const INVOCATIONS: usize = 64;

/// Figures that are kept of a unit: the columns of a row of statistics, see [`super::Quantity`].
pub const FIGURES: usize = 6;

/// Where the values of a unit lie in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitLayout {
    /// `[rows, units]`: activations and gradients of a batch; a unit is a column.
    Columns {
        /// Samples.
        rows: usize,
        /// Units side by side.
        units: usize,
    },
    /// `[samples, units, places]`: images of a batch; a unit is a channel.
    Channels {
        /// Images.
        samples: usize,
        /// Channels.
        units: usize,
        /// Height times width.
        places: usize,
    },
    /// `[units, length]`: weights and updates; a unit is a row.
    Rows {
        /// Units one behind the other.
        units: usize,
        /// Values of each.
        length: usize,
    },
}

impl UnitLayout {
    /// How many units it has.
    pub fn units(&self) -> usize {
        match *self {
            Self::Columns { units, .. }
            | Self::Channels { units, .. }
            | Self::Rows { units, .. } => units,
        }
    }

    /// How many values it covers.
    pub fn len(&self) -> usize {
        match *self {
            Self::Columns { rows, units } => rows * units,
            Self::Channels {
                samples,
                units,
                places,
            } => samples * units * places,
            Self::Rows { units, length } => units * length,
        }
    }

    /// Whether it covers no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many lanes share the values of a unit. Both give the same figures up to rounding; a run stays with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    /// One: best on a CPU adapter, where strided sums beat barriers.
    One,
    /// Several, merged in a fixed order: best on a GPU.
    Several,
}

impl Lanes {
    /// What fits the adapter.
    pub fn for_adapter(gpu: &Gpu) -> Self {
        if gpu.is_software() {
            Self::One
        } else {
            Self::Several
        }
    }
}

/// The twin of `Parameters` in `shaders/trace/statistics.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
struct Parameters {
    targets: u32,
    items: u32,
    target_stride: u32,
    item_stride: u32,
    limit: u32,
    units: u32,
    first_row: u32,
    not_a_number: u32,
    run: u32,
    run_stride: u32,
    padding0: u32,
    padding1: u32,
}

/// A dispatch that writes [`FIGURES`] numbers for each unit of the matrix that starts at element `at` of `source`
/// into `out` `[rows, 6]`, from row `first_row` on: mean, standard deviation (of the population), least and
/// greatest value, fraction of zeros, number of non-finite values.
///
/// Non-finite values count in the last figure and in no other; a unit without a finite value has NaN for its first
/// four. A standard deviation is infinite where squares leave the range of f32 (values beyond about 1e19), and so
/// may be the mean of values beyond 1e36. The order of all sums is fixed.
///
/// # Panics
/// `at` is not a multiple of 64 elements, or a buffer is smaller than asked: mistakes of the caller.
pub fn statistics(
    gpu: &Gpu,
    source: &Buffer<f32>,
    at: usize,
    layout: UnitLayout,
    out: &Buffer<f32>,
    first_row: usize,
) -> Dispatch {
    let lanes = Lanes::for_adapter(gpu);
    statistics_by(gpu, lanes, source, at, layout, out, first_row)
}

/// [`statistics`] with a given number of lanes.
///
/// # Panics
/// As [`statistics`].
pub fn statistics_by(
    gpu: &Gpu,
    lanes: Lanes,
    source: &Buffer<f32>,
    at: usize,
    layout: UnitLayout,
    out: &Buffer<f32>,
    first_row: usize,
) -> Dispatch {
    assert!(
        at.is_multiple_of(64) && at + layout.len() <= source.len() && !layout.is_empty(),
        "{layout:?} at element {at} of {}",
        source.len()
    );
    assert!(
        (first_row + layout.units()) * FIGURES <= out.len(),
        "rows of statistics"
    );
    let (columns, targets, items, target_stride, item_stride, limit) = match layout {
        UnitLayout::Columns { rows, units } => (true, units.div_ceil(4), rows, 4, units, units),
        UnitLayout::Channels {
            samples,
            units,
            places,
        } => (
            false,
            units,
            samples * places.div_ceil(4),
            places,
            4,
            places,
        ),
        UnitLayout::Rows { units, length } => (false, units, length.div_ceil(4), length, 4, length),
    };
    let (run, run_stride) = match layout {
        UnitLayout::Channels { units, places, .. } => (places.div_ceil(4), units * places),
        _ => (0, 0),
    };
    let parameters = Parameters {
        targets: targets as u32,
        items: items as u32,
        target_stride: target_stride as u32,
        item_stride: item_stride as u32,
        limit: limit as u32,
        units: layout.units() as u32,
        first_row: first_row as u32,
        not_a_number: f32::NAN.to_bits(),
        run: run as u32,
        run_stride: run_stride as u32,
        padding0: 0,
        padding1: 0,
    };
    let entry = if limit.is_multiple_of(4) {
        "by_vectors"
    } else {
        "by_scalars"
    };
    let lanes = match (lanes, columns) {
        (Lanes::One, _) => 1,
        // Eight vectors side by side are a cache line of most GPUs.
        (Lanes::Several, true) => 8,
        (Lanes::Several, false) => INVOCATIONS,
    };
    let targets_per_group = match lanes {
        1 => 8,
        _ => INVOCATIONS / lanes,
    };
    let kernel = gpu.kernel(
        &SHADER,
        entry,
        &[
            ("LANES", lanes as f64),
            ("TARGETS", targets_per_group as f64),
            ("COLUMNS", f64::from(u8::from(columns))),
            ("CHANNELS", f64::from(u8::from(run > 0))),
        ],
    );
    let uniform = gpu.uniform("statistics", &parameters);
    kernel.bind(
        gpu,
        &[
            (0, uniform.as_entire_binding()),
            (1, source.binding_of(at..at + layout.len())),
            (2, out.binding()),
        ],
        grid(targets, targets_per_group),
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
            targets,
            items,
            target_stride,
            item_stride,
            limit,
            units,
            first_row,
            not_a_number,
            run,
            run_stride,
            padding0,
            padding1
        }
    );
}
