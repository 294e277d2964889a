//! Statistics of units, taken on the GPU where the values lie.

use super::UnitStatistics;
use crate::gpu::{Buffer, Dispatch, Gpu, Reduction, Shader, grid};
use crate::{gpu_struct, shader};

static SHADER: Shader = shader!("trace/statistics.wgsl");
/// Invocations of a workgroup on a GPU.
const INVOCATIONS: usize = 64;
/// Invocations of a workgroup on a CPU adapter: as many as fill a vector of the CPU.
const VECTOR: usize = 8;

/// Where the values of a unit lie in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitLayout {
    /// `[rows, units]`: activations and gradients of a batch; a unit is a column.
    Columns {
        /// Samples of the batch.
        rows: usize,
        /// Columns of the matrix.
        units: usize,
    },
    /// `[samples, units, positions]`: images of a batch; a unit is a channel.
    Channels {
        /// Images of the batch.
        samples: usize,
        /// Channels of an image.
        units: usize,
        /// Height times width.
        positions: usize,
    },
    /// `[units, length]`: weights and updates; a unit is a row.
    Rows {
        /// Rows of the matrix.
        units: usize,
        /// Values of each unit.
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

    /// How many values it has.
    pub fn len(&self) -> usize {
        match *self {
            Self::Columns { rows, units } => rows * units,
            Self::Channels {
                samples,
                units,
                positions,
            } => samples * units * positions,
            Self::Rows { units, length } => units * length,
        }
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Units of a buffer whose statistics are taken.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    /// The buffer that holds the values.
    pub values: &'a Buffer<f32>,
    /// Their first element in the buffer, a multiple of 4.
    pub at: usize,
    /// How they are arranged from there on.
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
        span: u32,
        span_stride: u32,
        span_skip: u32,
        columns: u32,
    }
}

impl Matrix {
    /// The matrix of units that lie in the `source`-th of a dispatch's buffers.
    fn new(units: &Units<'_>, source: usize) -> Self {
        let (targets, items, target_stride, item_stride, limit) = match units.layout {
            UnitLayout::Columns { rows, units } => (units.div_ceil(4), rows, 4, units, units),
            UnitLayout::Channels {
                samples,
                units,
                positions,
            } => (
                units,
                samples * positions.div_ceil(4),
                positions,
                4,
                positions,
            ),
            UnitLayout::Rows { units, length } => (units, length.div_ceil(4), length, 4, length),
        };
        let (span, span_stride) = match units.layout {
            UnitLayout::Channels {
                units, positions, ..
            } => (positions.div_ceil(4), units * positions),
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
            span: span as u32,
            span_stride: span_stride as u32,
            span_skip: (span_stride as u32).wrapping_sub((span * item_stride) as u32),
            columns: matches!(units.layout, UnitLayout::Columns { .. }).into(),
        }
    }
}

/// What distinguishes the kernels: the entry point, how many lanes share a target, and how many targets a workgroup has.
type Kind = (&'static str, [usize; 2]);

fn kind(reduction: Reduction, units: &Units<'_>) -> Kind {
    let (row, several) = match units.layout {
        // Eight vectors side by side are a cache line of most GPUs.
        UnitLayout::Columns { units, .. } => (units, 8),
        UnitLayout::Channels { positions, .. } => (positions, INVOCATIONS),
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
    let spread = match reduction {
        Reduction::Serial if is_shared => [VECTOR, 1],
        Reduction::Serial => [1, VECTOR],
        Reduction::Parallel => [several, INVOCATIONS / several],
    };
    (entry, spread)
}

/// Whether one dispatch can take both matrices.
pub fn can_batch(reduction: Reduction, a: &Units<'_>, b: &Units<'_>) -> bool {
    kind(reduction, a) == kind(reduction, b)
}

/// Dispatches that write the statistics of each unit of some matrices into its row of `out`. Matrices that
/// [can be batched](can_batch) go into one dispatch, of one buffer or of two: on a CPU adapter a dispatch costs as much as
/// a hundred thousand values.
///
/// A standard deviation is infinite where squares leave the range of f32 (values beyond about 1e19), and so
/// may be the mean of values beyond 1e36. The order of all sums is fixed.
///
/// # Panics
/// Matrices lie in more than two buffers, one does not start at a multiple of 4 elements, or a buffer is smaller than
/// asked: mistakes of the caller.
pub fn statistics(
    gpu: &Gpu,
    reduction: Reduction,
    matrices: &[Units<'_>],
    out: &Buffer<UnitStatistics>,
) -> Vec<Dispatch> {
    for units in matrices {
        let Units { at, layout, .. } = *units;
        assert!(
            at.is_multiple_of(4) && at + layout.len() <= units.values.len() && !layout.is_empty(),
            "{layout:?} at element {at} of {}",
            units.values.len()
        );
        assert!(
            units.first_row + layout.units() <= out.len(),
            "rows of statistics"
        );
    }
    let mut kinds: Vec<Kind> = matrices
        .iter()
        .map(|units| kind(reduction, units))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let dispatch = |wanted: Kind| {
        let of_kind = matrices
            .iter()
            .filter(|units| kind(reduction, units) == wanted);
        of_one_kind(gpu, wanted, &of_kind.copied().collect::<Vec<_>>(), out)
    };
    kinds.into_iter().map(dispatch).collect()
}

fn of_one_kind(
    gpu: &Gpu,
    (entry, [lanes, targets_per_group]): Kind,
    matrices: &[Units<'_>],
    out: &Buffer<UnitStatistics>,
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
    let workgroups: Vec<[u32; 2]> = (0..)
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
        gpu.profile().image_loads_constant(),
    ];
    let parameters = gpu.uniforms("statistics", &list);
    let workgroup_targets = gpu.uniforms("workgroups", &workgroups);
    let elements: usize = matrices.iter().map(|units| units.layout.len()).sum();
    let rows: usize = matrices.iter().map(|units| units.layout.units()).sum();
    gpu.kernel(&SHADER, entry, &constants)
        .bind(
            gpu,
            &[
                (0, parameters.binding()),
                (1, first.binding()),
                (2, out.binding()),
                (3, first.binding().as_image()),
                (4, workgroup_targets.binding()),
                (5, other.binding()),
                (6, other.binding().as_image()),
            ],
            grid(workgroups.len(), 1),
        )
        .with_bytes(4 * (elements + rows * UnitStatistics::LEN) as u64)
}
