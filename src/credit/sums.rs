//! Products of two tensors, summed for each unit.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{Result, gpu_struct, shader};

static SUMS: Shader = shader!("credit/sums.wgsl");

gpu_struct! {
    struct SumsUniforms in SUMS::Uniforms {
        samples: u32,
        units: u32,
        places: u32,
        first: u32,
    }
}

/// What is summed: tensors `[samples, units, places]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnitSums {
    pub samples: usize,
    pub units: usize,
    pub places: usize,
}

impl UnitSums {
    /// Sums of `factors * values` over samples and places, or of `factors * (values - before)`, one a unit, written to
    /// `result` from element `first` on.
    pub fn dispatches(
        &self,
        gpu: &Gpu,
        factors: &Buffer<f32>,
        values: &Buffer<f32>,
        before: Option<&Buffer<f32>>,
        (result, first): (&Buffer<f32>, usize),
    ) -> Result<[Dispatch; 2]> {
        let uniform = gpu.uniform(
            "sums",
            &SumsUniforms {
                samples: self.samples as u32,
                units: self.units as u32,
                places: self.places as u32,
                first: first as u32,
            },
        );
        let of_samples = gpu.scratch("credit of samples", self.samples * self.units)?;
        let mut bindings = vec![
            (0, uniform.binding()),
            (1, factors.binding()),
            (2, values.binding()),
            (4, of_samples.binding()),
        ];
        bindings.extend(before.map(|before| (3, before.binding())));
        let entry = match before {
            None => "products",
            Some(_) => "products_of_differences",
        };
        let products =
            gpu.kernel(&SUMS, entry, &[])
                .bind(gpu, &bindings, grid(self.samples * self.units, 64));
        let sums = gpu.kernel(&SUMS, "over_samples", &[]).bind(
            gpu,
            &[
                (0, uniform.binding()),
                (2, of_samples.binding()),
                (4, result.binding()),
            ],
            grid(self.units, 64),
        );
        Ok([products, sums])
    }
}
