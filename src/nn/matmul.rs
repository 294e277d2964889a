//! The matrix product, in one variant for adapters that run on the CPU and one for GPUs.
//!
//! `shaders/nn/matmul_cpu.wgsl` and `shaders/nn/matmul_gpu.wgsl` compute the same sums in another order; which one
//! runs is a choice of the device's [`AdapterProfile`](crate::gpu::AdapterProfile), which a run records.

use crate::gpu::{Binding, Dispatch, Gpu, Kernel, MatmulKernel, Shader, groups};
use crate::{Error, Result, gpu_struct, shader};

static MATMUL_CPU: Shader = shader!("nn/matmul_cpu.wgsl");
static MATMUL_GPU: Shader = shader!("nn/matmul_gpu.wgsl");

/// The label of what is bound where no gradient of a bias is wanted: a kernel declares all bindings whatever its
/// constants are.
const NO_BIAS_GRADIENT: &str = "no bias gradient";

/// How an operand lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixLayout {
    /// Row-major as it enters the product.
    RowMajor,
    /// Row-major before it is transposed for the product.
    Transposed,
}

impl MatmulKernel {
    /// An operand as this kernel reads it.
    pub(super) fn operand(self, operand: Binding<'_>) -> Binding<'_> {
        match self {
            Self::Subgroup { .. } => operand.as_image(),
            Self::Tiled => operand,
        }
    }

    /// Rows of a result that each lane of a subgroup loads, for a product of so many channels. Tall tiles load least for
    /// what they compute, if the channels fill them.
    pub(super) fn lane_rows(self, channels: usize) -> u32 {
        match self {
            Self::Subgroup { lanes } => match channels.div_ceil(lanes as usize) {
                1 => 1,
                2 => 2,
                _ => 4,
            },
            Self::Tiled => 4,
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

/// `C[m, n] = A[m, k] B[k, n]`, plus `bias[n]` in every row, added to C where `accumulate` is set.
#[derive(Debug, Clone, Copy)]
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
    /// `[m]`, where the sum of each row of A is written too. Where C is the gradient of a layer's weight, A is the
    /// gradient of its output, transposed, and the sums are the gradient of its bias.
    pub bias_gradient: Option<Binding<'a>>,
    /// Whether to add to what C holds instead of overwriting it.
    pub accumulate: bool,
}

impl Matmul<'_> {
    /// The dispatch, with the kernel of the device's profile.
    ///
    /// # Errors
    /// Both operands transposed, a dimension of 0, or more tiles than one dispatch holds.
    pub fn dispatch(&self, gpu: &Gpu) -> Result<Dispatch> {
        self.dispatch_sliced(gpu, 1)
    }

    /// As [`Matmul::dispatch`], with the sum over k cut into slices that are computed side by side: C is
    /// `[slices, m, n]`, whose sum over the slices is the product. For small C and long k.
    ///
    /// # Errors
    /// As [`Matmul::dispatch`], or a bias gradient of more than one slice.
    pub fn dispatch_sliced(&self, gpu: &Gpu, slices: usize) -> Result<Dispatch> {
        let Self { m, n, k, .. } = *self;
        let slices = slices.max(1);
        self.validate(slices)?;
        let variant = gpu.profile().matmul;
        let (kernel, workgroups) = self.kernel(gpu, variant, slices as u32);
        expect_workgroups(gpu, self.name(), workgroups)?;
        let uniform = gpu.uniform(
            "matmul",
            &MatmulUniforms {
                m: m as u32,
                n: n as u32,
                k: k as u32,
                slice: k.div_ceil(slices).next_multiple_of(16) as u32,
            },
        );
        let no_bias_gradient = gpu.scratch(NO_BIAS_GRADIENT, 1)?;
        let bindings = [
            (0, uniform.binding()),
            (1, variant.operand(self.a.0)),
            (2, variant.operand(self.b.0)),
            // Without a bias the binding still needs a buffer that the product does not write.
            (3, self.bias.unwrap_or(self.a.0)),
            (4, self.c),
            (
                5,
                self.bias_gradient
                    .unwrap_or_else(|| no_bias_gradient.binding()),
            ),
        ];
        let dispatch = kernel.bind(gpu, &bindings, workgroups);
        let flops = 2.0 * m as f64 * n as f64 * k as f64;
        let bytes = 4 * (m * k + k * n + slices * m * n) as u64;
        Ok(dispatch.with_flops(flops).with_bytes(bytes))
    }

    /// Its name in messages.
    fn name(&self) -> String {
        let Self { m, n, k, .. } = self;
        format!("matrix product [{m}, {k}] x [{k}, {n}]")
    }

    fn validate(&self, slices: usize) -> Result<()> {
        let [a, b] = [self.a.1, self.b.1];
        if a == MatrixLayout::Transposed && b == MatrixLayout::Transposed {
            return Err(Error::input(
                self.name(),
                "both operands are transposed",
                "compute the transposed product instead",
            ));
        }
        if self.m * self.n * self.k == 0 {
            return Err(Error::input(
                self.name(),
                "a dimension is 0",
                "give every layer and batch at least one element",
            ));
        }
        if slices > 1 && self.bias_gradient.is_some() {
            return Err(Error::input(
                self.name(),
                format!("a bias gradient of {slices} slices"),
                "use one slice, or no bias gradient",
            ));
        }
        Ok(())
    }

    /// The kernel of this variant, and its workgroups.
    fn kernel(&self, gpu: &Gpu, variant: MatmulKernel, slices: u32) -> (Kernel, [u32; 3]) {
        let Self { m, n, .. } = *self;
        let flag = |set: bool| f64::from(u8::from(set));
        let mut constants = vec![
            ("TRANSPOSE_A", flag(self.a.1 == MatrixLayout::Transposed)),
            ("TRANSPOSE_B", flag(self.b.1 == MatrixLayout::Transposed)),
            ("BIAS_GRADIENT", flag(self.bias_gradient.is_some())),
            ("ACCUMULATE", flag(self.accumulate)),
            ("HAS_BIAS", flag(self.bias.is_some())),
        ];
        match variant {
            MatmulKernel::Subgroup { lanes } => {
                let is_aligned = self.is_aligned();
                let lanes = lanes as usize;
                // Tall tiles load least for what they compute, if the rows fill them.
                let filled = |rows: usize| m.next_multiple_of(rows * lanes);
                let rows = match is_aligned {
                    false => 1,
                    true if filled(2) < filled(4) && m < 16 * lanes => 2,
                    true => 4,
                };
                constants.extend([("LANES", lanes as f64), ("ROWS", rows as f64)]);
                let entry = if is_aligned { "aligned" } else { "unaligned" };
                let kernel = gpu.kernel(&MATMUL_CPU, entry, &constants);
                // Tiles of the same columns follow each other, and find B in the cache.
                let workgroups = [groups(m, rows * lanes), groups(n, 4 * lanes), slices];
                (kernel, workgroups)
            }
            MatmulKernel::Tiled => (
                gpu.kernel(&MATMUL_GPU, "main", &constants),
                [groups(n, 64), groups(m, 64), slices],
            ),
        }
    }

    /// Whether the dimension along which each matrix is contiguous is a multiple of 4.
    fn is_aligned(&self) -> bool {
        let Self { m, n, k, .. } = *self;
        let contiguous = |layout, row_major, transposed| match layout {
            MatrixLayout::RowMajor => row_major,
            MatrixLayout::Transposed => transposed,
        };
        let lengths: [usize; 3] = [contiguous(self.a.1, k, m), contiguous(self.b.1, n, k), n];
        lengths.iter().all(|length| length.is_multiple_of(4))
    }
}

/// Checks that a dispatch has at most as many workgroups as the adapter allows.
pub(super) fn expect_workgroups(gpu: &Gpu, context: String, workgroups: [u32; 3]) -> Result<()> {
    let max = gpu.limits().max_compute_workgroups_per_dimension;
    if workgroups.iter().any(|&count| count > max) {
        return Err(Error::gpu(
            context,
            format!(
                "{workgroups:?} workgroups are needed, the adapter allows {max} in one dimension"
            ),
            "make the layer or the batch smaller",
        ));
    }
    Ok(())
}

/// The reference implementation in float64: `A B (+ bias)` of row-major slices, `a` `[m, k]` (or `[k, m]`), `b` `[k, n]` (or `[n, k]`).
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
