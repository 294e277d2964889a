//! The probe: statistics of every unit, taken on the GPU where the values lie.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{gpu_struct, shader};

static SHADER: Shader = shader!("trace/statistics.wgsl");
/// Of a workgroup on a GPU.
const INVOCATIONS: usize = 64;
/// Of one on a CPU adapter: what fills a vector of the CPU.
const VECTOR: usize = 8;

/// Figures that are kept of a unit: the columns of a row of statistics, see [`super::Statistic`].
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
    /// One, but where units are few and large: best on a CPU adapter, where strided sums beat barriers.
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

/// Units of a buffer whose statistics are taken.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    /// The buffer.
    pub values: &'a Buffer<f32>,
    /// First element in the buffer, a multiple of 4.
    pub at: usize,
    /// How they lie from there on.
    pub layout: UnitLayout,
    /// Row of the statistics that the first unit gets; the others follow.
    pub first_row: usize,
}

gpu_struct! {
    struct Matrix in SHADER::Matrix {
        source: u32,
        start: u32,
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
        run_skip: u32,
        columns: u32,
    }
}

impl Matrix {
    /// Of units that lie in the `source`-th of a dispatch's buffers.
    fn new(units: &Units<'_>, source: usize) -> Self {
        let (targets, items, target_stride, item_stride, limit) = match units.layout {
            UnitLayout::Columns { rows, units } => (units.div_ceil(4), rows, 4, units, units),
            UnitLayout::Channels {
                samples,
                units,
                places,
            } => (units, samples * places.div_ceil(4), places, 4, places),
            UnitLayout::Rows { units, length } => (units, length.div_ceil(4), length, 4, length),
        };
        let (run, run_stride) = match units.layout {
            UnitLayout::Channels { units, places, .. } => (places.div_ceil(4), units * places),
            _ => (items, 0),
        };
        Self {
            source: source as u32,
            start: units.at as u32,
            targets: targets as u32,
            items: items as u32,
            target_stride: target_stride as u32,
            item_stride: item_stride as u32,
            limit: limit as u32,
            units: units.layout.units() as u32,
            first_row: units.first_row as u32,
            not_a_number: f32::NAN.to_bits(),
            run: run as u32,
            run_stride: run_stride as u32,
            run_skip: (run_stride as u32).wrapping_sub((run * item_stride) as u32),
            columns: matches!(units.layout, UnitLayout::Columns { .. }).into(),
        }
    }
}

/// What tells the kernels apart: the entry point, how many lanes share a target, and how many targets a workgroup has.
type Kind = (&'static str, [usize; 2]);

fn kind(lanes: Lanes, units: &Units<'_>) -> Kind {
    let (row, several) = match units.layout {
        // Eight vectors side by side are a cache line of most GPUs.
        UnitLayout::Columns { units, .. } => (units, 8),
        UnitLayout::Channels { places, .. } => (places, INVOCATIONS),
        UnitLayout::Rows { length, .. } => (length, INVOCATIONS),
    };
    let entry = if row.is_multiple_of(4) {
        "by_vectors"
    } else {
        "by_scalars"
    };
    let matrix = Matrix::new(units, 0);
    // A few long ones would leave lanes idle, and all cores but one.
    let is_shared = matrix.columns == 0 && matrix.targets < 8 && matrix.items >= 64;
    let spread = match lanes {
        Lanes::One if is_shared => [VECTOR, 1],
        Lanes::One => [1, VECTOR],
        Lanes::Several => [several, INVOCATIONS / several],
    };
    (entry, spread)
}

/// Whether one dispatch can take both.
pub fn share_a_dispatch(lanes: Lanes, a: &Units<'_>, b: &Units<'_>) -> bool {
    kind(lanes, a) == kind(lanes, b)
}

/// Dispatches that write [`FIGURES`] numbers for each unit of some matrices into `out` `[rows, 6]`: mean, standard
/// deviation (of the population), least and greatest value, fraction of zeros, number of non-finite values. Matrices of
/// one kind go into one dispatch, of one buffer or of two: on a CPU adapter a dispatch costs as much as a hundred
/// thousand values.
///
/// Non-finite values count in the last figure and in no other; a unit without a finite value has NaN for its first
/// four. A standard deviation is infinite where squares leave the range of f32 (values beyond about 1e19), and so
/// may be the mean of values beyond 1e36. The order of all sums is fixed.
///
/// # Panics
/// Matrices lie in more than two buffers, one does not start at a multiple of 4 elements, or a buffer is smaller than
/// asked: mistakes of the caller.
pub fn statistics(
    gpu: &Gpu,
    lanes: Lanes,
    matrices: &[Units<'_>],
    out: &Buffer<f32>,
) -> Vec<Dispatch> {
    for units in matrices {
        let Units { at, layout, .. } = *units;
        assert!(
            at.is_multiple_of(4) && at + layout.len() <= units.values.len() && !layout.is_empty(),
            "{layout:?} at element {at} of {}",
            units.values.len()
        );
        assert!(
            (units.first_row + layout.units()) * FIGURES <= out.len(),
            "rows of statistics"
        );
    }
    let mut kinds: Vec<Kind> = matrices.iter().map(|units| kind(lanes, units)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let dispatch = |wanted: Kind| {
        let of_kind = matrices.iter().filter(|units| kind(lanes, units) == wanted);
        of_one_kind(gpu, wanted, &of_kind.copied().collect::<Vec<_>>(), out)
    };
    kinds.into_iter().map(dispatch).collect()
}

fn of_one_kind(
    gpu: &Gpu,
    (entry, [lanes, targets_per_group]): Kind,
    matrices: &[Units<'_>],
    out: &Buffer<f32>,
) -> Dispatch {
    let first = matrices[0].values;
    let is_other = |units: &Units<'_>| units.values.raw() != first.raw();
    let other = matrices.iter().find(|units| is_other(units));
    let other = other.map_or(first, |units| units.values);
    let list: Vec<Matrix> = matrices
        .iter()
        .map(|units| {
            let known = !is_other(units) || units.values.raw() == other.raw();
            assert!(known, "matrices of three buffers in one dispatch");
            Matrix::new(units, is_other(units).into())
        })
        .collect();
    let places: Vec<[u32; 2]> = (0..)
        .zip(&list)
        .flat_map(|(number, matrix)| {
            let firsts = (0..matrix.targets).step_by(targets_per_group);
            firsts.map(move |first| [number, first])
        })
        .collect();
    let constants = [
        ("LANES", lanes as f64),
        ("TARGETS", targets_per_group as f64),
        (
            "MATRICES",
            if list.len() > 2 {
                0.0
            } else {
                list.len() as f64
            },
        ),
        (
            "SOURCES",
            if other.raw() == first.raw() { 1.0 } else { 2.0 },
        ),
        gpu.texels_constant(),
    ];
    let parameters = gpu.uniforms("statistics", &list);
    let workgroups = gpu.uniforms("workgroups", &places);
    let elements: usize = matrices.iter().map(|units| units.layout.len()).sum();
    let rows: usize = matrices.iter().map(|units| units.layout.units()).sum();
    gpu.kernel(&SHADER, entry, &constants)
        .bind(
            gpu,
            &[
                (0, parameters.binding()),
                (1, first.binding()),
                (2, out.binding()),
                (3, first.binding().as_texels()),
                (4, workgroups.binding()),
                (5, other.binding()),
                (6, other.binding().as_texels()),
            ],
            grid(places.len(), 1),
        )
        .with_bytes(4 * (elements + rows * FIGURES) as u64)
}
