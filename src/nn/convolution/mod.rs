//! What a convolution and a transposed one share. Both are matrix products between patches laid out as columns:
//!
//! - small = weight x unfold(large): the forward pass of a convolution, the input's gradient of a transposed one;
//! - large = fold(weight^T x small): the other way round;
//! - weight gradient = small x unfold(large)^T, for both.
//!
//! The large side is the input of a convolution and the output of a transposed one. Columns of all samples stand side
//! by side, so that the products are wide whatever the sizes of images; a batch is taken in parts, so that the
//! unfolded patches stay small: 16 MiB on a CPU adapter, 32 MiB on a GPU. All layers share that memory.

pub(crate) mod reference;

use bytemuck::{Pod, Zeroable};

use super::matmul::{Matmul, Orientation, Variant};
use super::operation::{Context, Misfit, ParameterSlice};
use super::sums::column_sum;
use super::window::Window;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::shader;

static CONVOLUTION: Shader = shader!("nn/convolution.wgsl");
static PAD: Shader = shader!("nn/pad.wgsl");

/// As many weights as one binding of common adapters holds, or a misfit.
pub(crate) fn expect_weights(counts: [usize; 3]) -> std::result::Result<(), Misfit> {
    let product = counts
        .iter()
        .try_fold(1usize, |all, &count| all.checked_mul(count));
    if product.is_none_or(|count| count > 1 << 25) {
        let [small, large, area] = counts;
        return Err(Misfit::new(
            format!("{small} by {large} channels and {area} elements of the kernel"),
            "at most 33,554,432 weights",
        ));
    }
    Ok(())
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    large_height: u32,
    large_width: u32,
    small_height: u32,
    small_width: u32,
    channels: u32,
    first_sample: u32,
    samples: u32,
    column_vectors: u32,
    rows: u32,
    slab: u32,
    accumulate: u32,
    has_bias: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PadParameters {
    rows: u32,
    from_columns: u32,
    to_columns: u32,
    padding: u32,
}

/// A window between two sides of these shapes: [channels, height, width].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub window: Window,
    pub large: [usize; 3],
    pub small: [usize; 3],
}

/// Where images go.
pub(crate) struct Target<'a> {
    pub images: &'a Buffer<f32>,
    pub bias: Option<ParameterSlice<'a>>,
    pub accumulate: bool,
}

/// A part of the batch, with the memory that its products need.
pub(crate) struct Part<'a> {
    context: &'a Context<'a>,
    convolution: Convolution,
    first: usize,
    samples: usize,
    /// Columns: its samples' places, rounded up to a multiple of four.
    columns: usize,
    /// `[rows, columns]`: unfolded patches of the large side.
    patches: Buffer<f32>,
    /// `[small channels, columns]`: the small side.
    channels: Buffer<f32>,
}

impl Convolution {
    /// Rows of the unfolded patches, rounded up to a multiple of four.
    fn rows(&self) -> usize {
        (self.large[0] * self.window.area()).next_multiple_of(4)
    }

    fn is_padded(&self) -> bool {
        self.rows() != self.large[0] * self.window.area()
    }

    /// Samples of a part of the batch, and its columns: so many that the patches take a bounded amount of memory.
    fn part_size(&self, software: bool, batch: usize) -> (usize, usize) {
        let most = if software { 1 << 22 } else { 1 << 23 };
        let places = self.small[1] * self.small[2];
        let samples = (most / (places * self.rows())).clamp(1, batch);
        (samples, (samples * places).next_multiple_of(4))
    }

    /// Slices in which weight gradients are added up.
    fn slices(&self, software: bool, batch: usize) -> usize {
        let [m, n] = [self.small[0], self.rows()];
        let (tiles, wanted) = if software {
            (m.div_ceil(32) * n.div_ceil(32), 8)
        } else {
            (m.div_ceil(64) * n.div_ceil(64), 256)
        };
        let columns = batch * self.small[1] * self.small[2];
        (wanted / tiles).min(columns / 256).max(1)
    }

    /// What forward and backward pass take of the memory that all share.
    pub fn scratch(&self, software: bool, batch: usize) -> Vec<(&'static str, usize)> {
        let (_, columns) = self.part_size(software, batch);
        let [m, n] = [self.small[0], self.rows()];
        let mut scratch = vec![("patches", n * columns), ("channels", m * columns)];
        let slices = self.slices(software, batch);
        if slices > 1 {
            scratch.push(("gradient slices", slices * m * n));
        }
        if self.is_padded() {
            scratch.extend([("padded weight", m * n), ("padded gradient", m * n)]);
        }
        scratch
    }

    /// The batch in parts whose patches take a bounded amount of memory.
    pub fn parts<'a>(&self, context: &'a Context<'a>) -> Result<Vec<Part<'a>>> {
        let (samples, columns) = self.part_size(context.gpu.is_software(), context.batch);
        let places = self.small[1] * self.small[2];
        let gpu = context.gpu;
        let patches = gpu.scratch("patches", self.rows() * columns)?;
        let channels = gpu.scratch("channels", self.small[0] * columns)?;
        let part = |first: usize| {
            let samples = samples.min(context.batch - first);
            Part {
                context,
                convolution: *self,
                first,
                samples,
                columns: (samples * places).next_multiple_of(4),
                patches: patches.clone(),
                channels: channels.clone(),
            }
        };
        Ok((0..context.batch).step_by(samples).map(part).collect())
    }

    /// The weight `[small channels, rows]`: as it is, or a copy whose rows are padded.
    pub fn weight(
        &self,
        gpu: &Gpu,
        weight: wgpu::BindingResource<'_>,
    ) -> Result<(Vec<Dispatch>, Option<Buffer<f32>>)> {
        if !self.is_padded() {
            return Ok((Vec::new(), None));
        }
        let padded = gpu.scratch("padded weight", self.small[0] * self.rows())?;
        let columns = self.large[0] * self.window.area();
        let sizes = [self.small[0], columns, self.rows()];
        let copy = pad(gpu, sizes, weight, padded.binding());
        Ok((vec![copy], Some(padded)))
    }

    /// Where the parts' weight gradients are added up: in slices, so that a small gradient of many columns keeps the
    /// adapter busy.
    pub fn weight_gradient<'w>(
        &self,
        context: &Context<'_>,
        weight: ParameterSlice<'w>,
    ) -> Result<WeightGradient<'w>> {
        let gpu = context.gpu;
        let [m, n] = [self.small[0], self.rows()];
        let slices = self.slices(gpu.is_software(), context.batch);
        let sums = match slices {
            1 => None,
            _ => Some(gpu.scratch("gradient slices", slices * m * n)?),
        };
        let padded = match self.is_padded() {
            false => None,
            true => Some(gpu.scratch("padded gradient", m * n)?),
        };
        Ok(WeightGradient {
            convolution: *self,
            weight,
            slices,
            sums,
            padded,
        })
    }
}

/// The gradient of a weight while the parts of a batch are added to it.
pub(crate) struct WeightGradient<'w> {
    convolution: Convolution,
    weight: ParameterSlice<'w>,
    slices: usize,
    /// `[slices, small channels, rows]`.
    sums: Option<Buffer<f32>>,
    /// `[small channels, rows]`.
    padded: Option<Buffer<f32>>,
}

impl WeightGradient<'_> {
    /// The matrix that all slices make.
    fn whole(&self) -> wgpu::BindingResource<'_> {
        match &self.padded {
            Some(padded) => padded.binding(),
            None => self.weight.gradient(),
        }
    }

    /// What brings the gradient into its place when all parts are added.
    pub fn finish(&self, gpu: &Gpu) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        let [m, n] = [self.convolution.small[0], self.convolution.rows()];
        if let Some(sums) = &self.sums {
            dispatches.push(column_sum(gpu, [self.slices, m * n], sums, self.whole()));
        }
        if let Some(padded) = &self.padded {
            let columns = self.convolution.large[0] * self.convolution.window.area();
            let gradient = self.weight.gradient();
            dispatches.push(pad(gpu, [m, n, columns], padded.binding(), gradient));
        }
        dispatches
    }
}

impl Part<'_> {
    /// Large side to patches.
    pub fn unfold(&self, large: &Buffer<f32>) -> Dispatch {
        let convolution = &self.convolution;
        let (window, rows) = (convolution.window, convolution.rows());
        self.unfold_as(window, convolution.large, rows, large, &self.patches)
    }

    /// Patches to large side.
    pub fn fold(&self, target: &Target<'_>) -> Dispatch {
        let convolution = &self.convolution;
        self.fold_as(convolution.window, convolution.large, &self.patches, target)
    }

    /// The small side, channels first.
    pub fn take_small(&self, small: &Buffer<f32>) -> Dispatch {
        let shape = self.convolution.small;
        self.unfold_as(Window::new(1), shape, shape[0], small, &self.channels)
    }

    /// The small side, samples first again.
    pub fn put_small(&self, target: &Target<'_>) -> Dispatch {
        let window = Window::new(1);
        self.fold_as(window, self.convolution.small, &self.channels, target)
    }

    /// `channels = weight x patches`.
    pub fn to_small(&self, weight: wgpu::BindingResource<'_>) -> Result<Dispatch> {
        Matmul {
            m: self.convolution.small[0],
            n: self.columns,
            k: self.convolution.rows(),
            a: (weight, Orientation::Plain),
            b: (self.patches.binding(), Orientation::Plain),
            bias: None,
            c: self.channels.binding(),
            accumulate: false,
        }
        .dispatch(self.context.gpu)
    }

    /// `patches = weight^T x channels`.
    pub fn to_patches(&self, weight: wgpu::BindingResource<'_>) -> Result<Dispatch> {
        Matmul {
            m: self.convolution.rows(),
            n: self.columns,
            k: self.convolution.small[0],
            a: (weight, Orientation::Transposed),
            b: (self.channels.binding(), Orientation::Plain),
            bias: None,
            c: self.patches.binding(),
            accumulate: false,
        }
        .dispatch(self.context.gpu)
    }

    /// `gradient = channels x patches^T`, added up over the parts.
    pub fn to_weight(&self, gradient: &WeightGradient<'_>) -> Result<Dispatch> {
        let gpu = self.context.gpu;
        let sum = match &gradient.sums {
            Some(sums) => sums.binding(),
            None => gradient.whole(),
        };
        Matmul {
            m: self.convolution.small[0],
            n: self.convolution.rows(),
            k: self.columns,
            a: (self.channels.binding(), Orientation::Plain),
            b: (self.patches.binding(), Orientation::Transposed),
            bias: None,
            c: sum,
            accumulate: self.first > 0,
        }
        .dispatch_sliced(gpu, Variant::of(gpu), gradient.slices)
    }

    fn parameters(&self, [channels, height, width]: [usize; 3], rows: usize) -> Parameters {
        let [_, small_height, small_width] = self.convolution.small;
        Parameters {
            large_height: height as u32,
            large_width: width as u32,
            small_height: small_height as u32,
            small_width: small_width as u32,
            channels: channels as u32,
            first_sample: self.first as u32,
            samples: self.samples as u32,
            column_vectors: (self.columns / 4) as u32,
            rows: rows as u32,
            slab: 1,
            accumulate: 0,
            has_bias: 0,
        }
    }

    /// Channels for one invocation: on a CPU adapter as many as leave work enough for all cores, because an invocation
    /// finds its place by divisions.
    fn slab(&self, channels: usize, invocations: usize) -> usize {
        if self.context.gpu.is_software() {
            (channels * invocations / 2048).clamp(1, channels)
        } else {
            1
        }
    }

    fn unfold_as(
        &self,
        window: Window,
        shape: [usize; 3],
        rows: usize,
        images: &Buffer<f32>,
        columns: &Buffer<f32>,
    ) -> Dispatch {
        let vectors = self.columns / 4;
        let slab = self.slab(shape[0], vectors);
        let gpu = self.context.gpu;
        let uniform = gpu.uniform(
            "unfold",
            &Parameters {
                slab: slab as u32,
                ..self.parameters(shape, rows)
            },
        );
        // Rows that are left over are filled with zeros, which takes the other kernel.
        let (kernel, invocations) = if Self::only_reorders(window, shape) && rows == shape[0] {
            let kernel = gpu.kernel(&CONVOLUTION, "to_channels", &[]);
            (kernel, vectors * shape[0])
        } else {
            let kernel = gpu.kernel(&CONVOLUTION, "unfold", &window.constants());
            (kernel, vectors * shape[0].div_ceil(slab))
        };
        let bindings = [
            (0, uniform.as_entire_binding()),
            (1, images.binding()),
            (2, columns.binding()),
        ];
        kernel.bind(gpu, &bindings, grid(invocations, 64))
    }

    /// Whether patches are the places themselves, in whole vectors.
    fn only_reorders(window: Window, [_, height, width]: [usize; 3]) -> bool {
        window == Window::new(1) && (height * width).is_multiple_of(4)
    }

    fn fold_as(
        &self,
        window: Window,
        shape: [usize; 3],
        columns: &Buffer<f32>,
        target: &Target<'_>,
    ) -> Dispatch {
        let places = self.samples * shape[1] * shape[2];
        let slab = self.slab(shape[0], places);
        let gpu = self.context.gpu;
        let uniform = gpu.uniform(
            "fold",
            &Parameters {
                slab: slab as u32,
                accumulate: target.accumulate.into(),
                has_bias: target.bias.is_some().into(),
                ..self.parameters(shape, 0)
            },
        );
        // Without a bias the binding still needs a buffer that is not written.
        let bias = match &target.bias {
            Some(bias) => bias.value(),
            None => columns.binding(),
        };
        let (kernel, invocations) = if Self::only_reorders(window, shape) {
            let kernel = gpu.kernel(&CONVOLUTION, "to_samples", &[]);
            (kernel, self.columns / 4 * shape[0])
        } else {
            let kernel = gpu.kernel(&CONVOLUTION, "fold", &window.constants());
            (kernel, places * shape[0].div_ceil(slab))
        };
        let bindings = [
            (0, uniform.as_entire_binding()),
            (1, columns.binding()),
            (2, bias),
            (3, target.images.binding()),
        ];
        kernel.bind(gpu, &bindings, grid(invocations, 64))
    }
}

fn pad(
    gpu: &Gpu,
    [rows, from, to]: [usize; 3],
    source: wgpu::BindingResource<'_>,
    copy: wgpu::BindingResource<'_>,
) -> Dispatch {
    let uniform = gpu.uniform(
        "pad",
        &PadParameters {
            rows: rows as u32,
            from_columns: from as u32,
            to_columns: to as u32,
            padding: 0,
        },
    );
    gpu.kernel(&PAD, "main", &[]).bind(
        gpu,
        &[(0, uniform.as_entire_binding()), (1, source), (2, copy)],
        grid(rows * to, 64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::layout::layout_test;

    layout_test!(
        parameters,
        CONVOLUTION,
        "Parameters",
        Parameters {
            large_height,
            large_width,
            small_height,
            small_width,
            channels,
            first_sample,
            samples,
            column_vectors,
            rows,
            slab,
            accumulate,
            has_bias
        }
    );
    layout_test!(
        pad_parameters,
        PAD,
        "Parameters",
        PadParameters {
            rows,
            from_columns,
            to_columns,
            padding
        }
    );
}
