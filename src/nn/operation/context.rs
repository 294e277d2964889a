//! What all dispatches of a plan share, and how their workgroups are laid out on the adapter.

use crate::gpu::{Buffer, Gpu, Reduction, grid};
use crate::nn::{BackwardRule, Mode};
use crate::{Error, Result};

/// Rows that a workgroup sums on a CPU adapter: its eight lanes take one each, and a batch gives all threads workgroups.
const SERIAL_ROWS: usize = 8;

/// What all dispatches of a plan share.
#[derive(Debug)]
pub struct Context<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    /// Samples in a batch.
    pub batch: usize,
    /// A buffer whose first word is the step.
    pub step_counter: &'a Buffer<u32>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Index of the node in its graph.
    pub node: usize,
    /// What the pass is for.
    pub mode: Mode,
    /// What the backward pass propagates.
    pub rule: BackwardRule,
}

impl Context<'_> {
    /// Rows that one workgroup of a row kernel sums.
    fn rows_per_group(&self) -> usize {
        match self.gpu.profile().reduction {
            Reduction::Serial => SERIAL_ROWS,
            Reduction::Parallel => 1,
        }
    }

    /// Constants of `shaders/shared/rows.wgsl` for this adapter.
    pub fn row_constants(&self) -> [(&'static str, f64); 2] {
        let lanes = match self.gpu.profile().reduction {
            Reduction::Serial => 1.0,
            Reduction::Parallel => 64.0,
        };
        [("LANES", lanes), ("ROWS", self.rows_per_group() as f64)]
    }

    /// Workgroups for [`Context::row_constants`] over any number of rows, for kernels that find their row with
    /// `linear_index` of `shared/grid.wgsl`.
    pub fn row_grid(&self, rows: usize) -> [u32; 3] {
        grid(rows, self.rows_per_group())
    }

    /// Constants of `shaders/shared/rows.wgsl` for long rows, one row a workgroup, with [`Context::long_row_grid`]: the
    /// eight lanes of a CPU adapter then read side by side.
    pub fn long_row_constants(&self) -> [(&'static str, f64); 2] {
        let lanes = match self.gpu.profile().reduction {
            Reduction::Serial => 8.0,
            Reduction::Parallel => 64.0,
        };
        [("LANES", lanes), ("ROWS", 1.0)]
    }

    /// Workgroups for [`Context::long_row_constants`], for kernels that find their row with `linear_index` of
    /// `shared/grid.wgsl`.
    pub fn long_row_grid(&self, rows: usize) -> [u32; 3] {
        grid(rows, 1)
    }

    /// Workgroups for [`Context::row_constants`] over one row for each sample.
    ///
    /// # Errors
    /// More samples than one dispatch holds.
    pub fn row_workgroups(&self) -> Result<[u32; 3]> {
        let groups = self.batch.div_ceil(self.rows_per_group());
        let most = self.gpu.limits().max_compute_workgroups_per_dimension;
        if groups > most as usize {
            return Err(Error::gpu(
                format!("batch of {}", self.batch),
                format!("it needs {groups} workgroups, the adapter allows {most}"),
                "make the batch smaller",
            ));
        }
        Ok([groups as u32, 1, 1])
    }
}

/// Elements of images that a kernel's 32-bit indices reach.
pub(crate) fn expect_indices(context: &Context<'_>, shape: &[usize]) -> Result<()> {
    let count = shape
        .iter()
        .try_fold(context.batch, |all, &size| all.checked_mul(size));
    if count.is_none_or(|count| count > 1 << 30) {
        return Err(Error::gpu(
            format!("{} images of {shape:?}", context.batch),
            "they have more elements than a kernel can number",
            "make the images or the batch smaller",
        ));
    }
    Ok(())
}
