//! The matrix product, in one variant for adapters that run on the CPU and one for GPUs.
//!
//! `shaders/nn/matmul_cpu.wgsl` and `shaders/nn/matmul_gpu.wgsl` compute the same sums in another order; which one
//! runs is the adapter's nature ([`Variant::of`]) and is written into the run. Why two: on a CPU adapter loads cost
//! more than arithmetic, shared memory and barriers more than the product itself; on a GPU it is the other way round.

use crate::gpu::{Binding, Dispatch, Gpu, Shader, groups};
use crate::{Error, Result, gpu_struct, shader};

static MATMUL_CPU: Shader = shader!("nn/matmul_cpu.wgsl");
static MATMUL_GPU: Shader = shader!("nn/matmul_gpu.wgsl");

/// What is bound where no sums are asked for: a kernel's bindings are the same with all its constants.
const NO_SUMS: &str = "no row sums";

/// Which way an operand lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixLayout {
    /// Row-major as it enters the product.
    RowMajor,
    /// Row-major before it is transposed for the product.
    Transposed,
}

/// The kernel variants of the matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// A workgroup is a subgroup of so many lanes, 4 or 8, which shares what it loads by shuffles.
    Cpu {
        /// The adapter's [`Gpu::subgroup_size`].
        lanes: u32,
    },
    /// 64 x 64 tiles through shared memory.
    Gpu,
}

impl Variant {
    /// The variant for an adapter.
    pub fn of(gpu: &Gpu) -> Self {
        match gpu.subgroup_size() {
            Some(lanes @ (4 | 8)) if gpu.has_texels() => Self::Cpu { lanes },
            _ => Self::Gpu,
        }
    }

    /// An operand as this variant reads it.
    pub(super) fn operand(self, operand: Binding<'_>) -> Binding<'_> {
        match self {
            Self::Cpu { .. } => operand.as_texels(),
            Self::Gpu => operand,
        }
    }

    /// Rows of a result that each lane of a subgroup loads, for a product of so many channels: tall tiles load least for
    /// what they compute, if the channels fill them.
    pub(super) fn lane_rows(self, channels: usize) -> u32 {
        match self {
            Self::Cpu { lanes } => match channels.div_ceil(lanes as usize) {
                1 => 1,
                2 => 2,
                _ => 4,
            },
            Self::Gpu => 4,
        }
    }

    /// Its name in `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu { lanes: 4 } => "matmul_cpu 4 lanes",
            Self::Cpu { .. } => "matmul_cpu 8 lanes",
            Self::Gpu => "matmul_gpu 64x64x16 shared",
        }
    }
}

gpu_struct! {
    struct MatmulUniforms in MATMUL_CPU::Uniforms, MATMUL_GPU::Uniforms {
        m: u32,
        n: u32,
        k: u32,
        slice: u32,
    }
}

/// `C[m, n] = A[m, k] B[k, n]`, plus `bias[n]` for every row, added to C where `accumulate` is set.
pub struct Matmul<'a> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A and rows of B.
    pub k: usize,
    /// `[m, k]`, or `[k, m]` transposed.
    pub a: (Binding<'a>, MatrixLayout),
    /// `[k, n]`, or `[n, k]` transposed.
    pub b: (Binding<'a>, MatrixLayout),
    /// `[n]`.
    pub bias: Option<Binding<'a>>,
    /// `[m, n]`.
    pub c: Binding<'a>,
    /// `[m]`: also write the sum of each row of A there. A layer's weight gradient so gives its bias' gradient.
    pub row_sums: Option<Binding<'a>>,
    /// Add to what C holds instead of overwriting it.
    pub accumulate: bool,
}

impl Matmul<'_> {
    /// The dispatch, in the adapter's own variant.
    ///
    /// # Errors
    /// As [`Matmul::dispatch_as`].
    pub fn dispatch(self, gpu: &Gpu) -> Result<Dispatch> {
        self.dispatch_as(gpu, Variant::of(gpu))
    }

    /// The dispatch in a given variant.
    ///
    /// # Errors
    /// Both operands transposed, a dimension of 0, or more tiles than one dispatch holds.
    pub fn dispatch_as(self, gpu: &Gpu, variant: Variant) -> Result<Dispatch> {
        self.dispatch_sliced(gpu, variant, 1)
    }

    /// As [`Matmul::dispatch_as`] with the sum over k cut into slices that are computed side by side: C is
    /// `[slices, m, n]`, whose sum over the slices is the product. For small C and long k.
    ///
    /// # Errors
    /// As [`Matmul::dispatch_as`]; row sums of more than one slice.
    pub fn dispatch_sliced(self, gpu: &Gpu, variant: Variant, slices: usize) -> Result<Dispatch> {
        let Self { m, n, k, .. } = self;
        let place = format!("matrix product [{m}, {k}] x [{k}, {n}]");
        let transpose_a = self.a.1 == MatrixLayout::Transposed;
        let transpose_b = self.b.1 == MatrixLayout::Transposed;
        if transpose_a && transpose_b {
            return Err(Error::input(
                place,
                "both operands are transposed",
                "compute the transposed product instead",
            ));
        }
        if m * n * k == 0 {
            return Err(Error::input(
                place,
                "a dimension is 0",
                "give every layer and batch at least one element",
            ));
        }
        let slices = slices.max(1);
        if slices > 1 && self.row_sums.is_some() {
            return Err(Error::input(
                place,
                format!("row sums of {slices} slices"),
                "ask for one slice, or for no sums",
            ));
        }
        let slice = k.div_ceil(slices).next_multiple_of(16);
        let parameters = MatmulUniforms {
            m: m as u32,
            n: n as u32,
            k: k as u32,
            slice: slice as u32,
        };
        let flag = |set: bool| f64::from(u8::from(set));
        let constants = [
            ("TRANSPOSE_A", flag(transpose_a)),
            ("TRANSPOSE_B", flag(transpose_b)),
            ("ROW_SUMS", flag(self.row_sums.is_some())),
            ("ACCUMULATE", flag(self.accumulate)),
            ("HAS_BIAS", flag(self.bias.is_some())),
        ];
        let (kernel, workgroups) = match variant {
            Variant::Cpu { lanes } => {
                // The dimension along which each operand is contiguous.
                let a_contiguous = if transpose_a { m } else { k };
                let b_contiguous = if transpose_b { k } else { n };
                let aligned = [a_contiguous, b_contiguous, n]
                    .iter()
                    .all(|length| length.is_multiple_of(4));
                let lanes = lanes as usize;
                // Tall tiles load least for what they compute, if the rows fill them.
                let filled = |rows: usize| m.next_multiple_of(rows * lanes);
                let rows = match aligned {
                    false => 1,
                    true if filled(2) < filled(4) && m < 16 * lanes => 2,
                    true => 4,
                };
                let constants = [
                    &constants[..],
                    &[("LANES", lanes as f64), ("ROWS", rows as f64)],
                ]
                .concat();
                let entry = if aligned { "aligned" } else { "unaligned" };
                let kernel = gpu.kernel(&MATMUL_CPU, entry, &constants);
                (
                    kernel,
                    // Tiles of the same columns follow each other, and find B in the cache.
                    [groups(m, rows * lanes), groups(n, 4 * lanes), slices as u32],
                )
            }
            Variant::Gpu => (
                gpu.kernel(&MATMUL_GPU, "main", &constants),
                [groups(n, 64), groups(m, 64), slices as u32],
            ),
        };
        expect_workgroups(gpu, place, workgroups)?;
        let uniform = gpu.uniform("matmul", &parameters);
        // Without a bias the binding still needs a buffer that the product does not write.
        let bias = self.bias.unwrap_or(self.a.0);
        let no_sums = gpu.scratch(NO_SUMS, 1)?;
        let row_sums = self.row_sums.unwrap_or_else(|| no_sums.binding());
        let bindings = [
            (0, uniform.binding()),
            (1, variant.operand(self.a.0)),
            (2, variant.operand(self.b.0)),
            (3, bias),
            (4, self.c),
            (5, row_sums),
        ];
        let dispatch = kernel.bind(gpu, &bindings, workgroups);
        let flops = 2.0 * m as f64 * n as f64 * k as f64;
        let bytes = 4 * (m * k + k * n + slices * m * n) as u64;
        Ok(dispatch.with_flops(flops).with_bytes(bytes))
    }
}

/// As many workgroups as the adapter starts at once.
pub(super) fn expect_workgroups(gpu: &Gpu, place: String, workgroups: [u32; 3]) -> Result<()> {
    let most = gpu.limits.max_compute_workgroups_per_dimension;
    if workgroups.iter().any(|&count| count > most) {
        return Err(Error::gpu(
            place,
            format!(
                "it needs {workgroups:?} workgroups, the adapter allows {most} in one dimension"
            ),
            "make the layer or the batch smaller",
        ));
    }
    Ok(())
}

/// The CPU twin in float64: `A B (+ bias)` of row-major slices, `a` `[m, k]` (or `[k, m]`), `b` `[k, n]` (or `[n, k]`).
pub fn reference(
    [m, n, k]: [usize; 3],
    a: (&[f64], MatrixLayout),
    b: (&[f64], MatrixLayout),
    bias: Option<&[f64]>,
) -> Vec<f64> {
    let a_at = |row: usize, inner: usize| match a.1 {
        MatrixLayout::RowMajor => a.0[row * k + inner],
        MatrixLayout::Transposed => a.0[inner * m + row],
    };
    let b_at = |inner: usize, column: usize| match b.1 {
        MatrixLayout::RowMajor => b.0[inner * n + column],
        MatrixLayout::Transposed => b.0[column * k + inner],
    };
    let mut c = vec![0.0; m * n];
    for row in 0..m {
        for column in 0..n {
            let sum: f64 = (0..k)
                .map(|inner| a_at(row, inner) * b_at(inner, column))
                .sum();
            c[row * n + column] = sum + bias.map_or(0.0, |bias| bias[column]);
        }
    }
    c
}
