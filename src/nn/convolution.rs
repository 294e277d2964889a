//! What a convolution and a transposed one share. Both are matrix products between patches laid out as columns:
//!
//! - small = weight x unfold(large): the forward pass of a convolution, the input's gradient of a transposed one;
//! - large = fold(weight^T x small): the other way round;
//! - weight gradient = small x unfold(large)^T, for both.
//!
//! The large side is the input of a convolution and the output of a transposed one. Columns of all samples stand side
//! by side, so that the products are wide whatever the sizes of images; a batch is taken in parts, so that the
//! unfolded patches stay small: 16 MiB on a CPU adapter, 32 MiB on a GPU. All layers share that memory.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::matmul::{Matmul, Orientation, Variant};
use super::operation::{Context, Misfit, ParameterSlice};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid, groups};
use crate::shader;
use crate::{Error, Result};

static CONVOLUTION: Shader = shader!("nn/convolution.wgsl");
static PAD: Shader = shader!("nn/pad.wgsl");
static CHANNEL_SUM: Shader = shader!("nn/channel_sum.wgsl");
static COLUMN_SUM: Shader = shader!("nn/column_sum.wgsl");

/// A number for height and width alike, or one for each: `3` or `[3, 5]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "NumberOrPair", into = "NumberOrPair")]
pub struct Pair {
    /// Along the height.
    pub y: usize,
    /// Along the width.
    pub x: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or a pair of numbers")]
enum NumberOrPair {
    Number(usize),
    Pair([usize; 2]),
}

impl From<NumberOrPair> for Pair {
    fn from(given: NumberOrPair) -> Self {
        match given {
            NumberOrPair::Number(both) => both.into(),
            NumberOrPair::Pair(pair) => pair.into(),
        }
    }
}

impl From<Pair> for NumberOrPair {
    fn from(pair: Pair) -> Self {
        if pair.y == pair.x {
            Self::Number(pair.y)
        } else {
            Self::Pair([pair.y, pair.x])
        }
    }
}

impl From<usize> for Pair {
    fn from(both: usize) -> Self {
        Self { y: both, x: both }
    }
}

impl From<[usize; 2]> for Pair {
    fn from([y, x]: [usize; 2]) -> Self {
        Self { y, x }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.y, self.x)
    }
}

/// How a kernel moves over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its size.
    pub kernel: Pair,
    /// From place to place.
    pub stride: Pair,
    /// Zeros around the image, on each side.
    pub padding: Pair,
    /// Between neighbouring elements of the kernel.
    pub dilation: Pair,
}

/// Largest number in a window; beyond it products of sizes could leave the range of the kernels' integers.
const MOST: usize = 1 << 15;

impl Window {
    /// A window of this size with stride 1, no padding and no dilation.
    pub fn new(kernel: impl Into<Pair>) -> Self {
        Self {
            kernel: kernel.into(),
            stride: 1.into(),
            padding: 0.into(),
            dilation: 1.into(),
        }
    }

    /// With another stride.
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self {
            stride: stride.into(),
            ..self
        }
    }

    /// With another padding.
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self {
            padding: padding.into(),
            ..self
        }
    }

    /// With another dilation.
    pub fn dilation(self, dilation: impl Into<Pair>) -> Self {
        Self {
            dilation: dilation.into(),
            ..self
        }
    }

    /// Elements of the kernel.
    pub fn area(&self) -> usize {
        self.kernel.y * self.kernel.x
    }

    /// Its numbers are usable.
    pub(crate) fn validate(&self) -> std::result::Result<(), Misfit> {
        for (name, pair, least) in [
            ("kernel", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ] {
            if pair.y.min(pair.x) < least || pair.y.max(pair.x) > MOST {
                return Err(Misfit::new(
                    format!("a {name} of {pair}"),
                    format!("a {name} from {least} to {MOST}"),
                ));
            }
        }
        Ok(())
    }

    /// Pixels that the kernel covers, holes included.
    pub fn extent(&self) -> Pair {
        Pair {
            y: (self.kernel.y - 1) * self.dilation.y + 1,
            x: (self.kernel.x - 1) * self.dilation.x + 1,
        }
    }

    /// Places of the kernel on an image.
    pub(crate) fn places(&self, height: usize, width: usize) -> std::result::Result<Pair, Misfit> {
        let extent = self.extent();
        let padded = Pair {
            y: height + 2 * self.padding.y,
            x: width + 2 * self.padding.x,
        };
        if extent.y > padded.y || extent.x > padded.x {
            return Err(Misfit::new(
                format!("images of {height} x {width}, {padded} with the padding"),
                format!("images of at least {extent}, what its kernel covers"),
            ));
        }
        Ok(Pair {
            y: (padded.y - extent.y) / self.stride.y + 1,
            x: (padded.x - extent.x) / self.stride.x + 1,
        })
    }

    pub(crate) fn constants(&self) -> [(&'static str, f64); 8] {
        [
            ("KERNEL_Y", self.kernel.y as f64),
            ("KERNEL_X", self.kernel.x as f64),
            ("STRIDE_Y", self.stride.y as f64),
            ("STRIDE_X", self.stride.x as f64),
            ("PADDING_Y", self.padding.y as f64),
            ("PADDING_X", self.padding.x as f64),
            ("DILATION_Y", self.dilation.y as f64),
            ("DILATION_X", self.dilation.x as f64),
        ]
    }

    /// The pixel under element (`ky`, `kx`) of the kernel at place (`y`, `x`), if it lies on the image.
    pub(crate) fn pixel(
        &self,
        [y, x]: [usize; 2],
        [ky, kx]: [usize; 2],
        [height, width]: [usize; 2],
    ) -> Option<usize> {
        let row = (y * self.stride.y + ky * self.dilation.y).checked_sub(self.padding.y)?;
        let column = (x * self.stride.x + kx * self.dilation.x).checked_sub(self.padding.x)?;
        (row < height && column < width).then(|| row * width + column)
    }
}

/// Channels, height and width of images, or a misfit that says what came instead.
pub(crate) fn images(shape: &[usize]) -> std::result::Result<[usize; 3], Misfit> {
    shape.try_into().map_err(|_| {
        Misfit::new(
            format!("{shape:?}"),
            "images: [channels, height, width] (put a reshape before it)",
        )
    })
}

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

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct SumParameters {
    rows: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
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

    /// The batch in parts whose patches take a bounded amount of memory.
    pub fn parts<'a>(&self, context: &'a Context<'a>) -> Result<Vec<Part<'a>>> {
        let most = if context.gpu.is_software() {
            1 << 22
        } else {
            1 << 23
        };
        let places = self.small[1] * self.small[2];
        let samples = (most / (places * self.rows())).clamp(1, context.batch);
        let columns = (samples * places).next_multiple_of(4);
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
        weight: &ParameterSlice<'_>,
    ) -> Result<(Vec<Dispatch>, Option<Buffer<f32>>)> {
        if !self.is_padded() {
            return Ok((Vec::new(), None));
        }
        let padded = gpu.scratch("padded weight", self.small[0] * self.rows())?;
        let columns = self.large[0] * self.window.area();
        let sizes = [self.small[0], columns, self.rows()];
        let copy = pad(gpu, sizes, weight.value(), padded.binding());
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
        let (tiles, wanted) = if gpu.is_software() {
            (m.div_ceil(16) * n.div_ceil(64), 8)
        } else {
            (m.div_ceil(64) * n.div_ceil(64), 256)
        };
        let columns = context.batch * self.small[1] * self.small[2];
        let slices = (wanted / tiles).min(columns / 256).max(1);
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
        self.unfold_as(convolution.window, convolution.large, large, &self.patches)
    }

    /// Patches to large side.
    pub fn fold(&self, target: &Target<'_>) -> Dispatch {
        let convolution = &self.convolution;
        self.fold_as(convolution.window, convolution.large, &self.patches, target)
    }

    /// The small side, channels first.
    pub fn take_small(&self, small: &Buffer<f32>) -> Dispatch {
        let window = Window::new(1);
        self.unfold_as(window, self.convolution.small, small, &self.channels)
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
        images: &Buffer<f32>,
        columns: &Buffer<f32>,
    ) -> Dispatch {
        let vectors = self.columns / 4;
        let slab = self.slab(shape[0], vectors);
        let rows = if window == self.convolution.window {
            self.convolution.rows()
        } else {
            shape[0]
        };
        let gpu = self.context.gpu;
        let uniform = gpu.uniform(
            "unfold",
            &Parameters {
                slab: slab as u32,
                ..self.parameters(shape, rows)
            },
        );
        gpu.kernel(&CONVOLUTION, "unfold", &window.constants())
            .bind(
                gpu,
                &[
                    (0, uniform.as_entire_binding()),
                    (1, images.binding()),
                    (2, columns.binding()),
                ],
                grid(vectors * shape[0].div_ceil(slab), 64),
            )
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
        gpu.kernel(&CONVOLUTION, "fold", &window.constants()).bind(
            gpu,
            &[
                (0, uniform.as_entire_binding()),
                (1, columns.binding()),
                (2, bias),
                (3, target.images.binding()),
            ],
            grid(places * shape[0].div_ceil(slab), 64),
        )
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

fn sum_uniform(gpu: &Gpu, rows: usize, columns: usize) -> wgpu::Buffer {
    gpu.uniform(
        "sum",
        &SumParameters {
            rows: rows as u32,
            columns: columns as u32,
            padding0: 0,
            padding1: 0,
        },
    )
}

/// Sums over the rows of a matrix.
fn column_sum(
    gpu: &Gpu,
    [rows, columns]: [usize; 2],
    matrix: &Buffer<f32>,
    sums: wgpu::BindingResource<'_>,
) -> Dispatch {
    let uniform = sum_uniform(gpu, rows, columns);
    gpu.kernel(&COLUMN_SUM, "main", &[]).bind(
        gpu,
        &[
            (0, uniform.as_entire_binding()),
            (1, matrix.binding()),
            (2, sums),
        ],
        [groups(columns, 64), 1, 1],
    )
}

/// Sums of images' gradients over samples and places: the gradient of a bias for each channel.
pub(crate) fn bias_gradient(
    context: &Context<'_>,
    gradient: &Buffer<f32>,
    [channels, height, width]: [usize; 3],
    bias: &ParameterSlice<'_>,
) -> Result<Vec<Dispatch>> {
    let gpu = context.gpu;
    let rows = context.batch * channels;
    let places = height * width;
    let sums = gpu.scratch("channel sums", rows)?;
    let entry = if places.is_multiple_of(4) {
        "by_vectors"
    } else {
        "by_scalars"
    };
    let by_row = gpu
        .kernel(&CHANNEL_SUM, entry, &context.row_constants())
        .bind(
            gpu,
            &[
                (0, sum_uniform(gpu, rows, places).as_entire_binding()),
                (1, gradient.binding()),
                (2, sums.binding()),
            ],
            context.row_grid(rows),
        );
    let over_batch = column_sum(gpu, [context.batch, channels], &sums, bias.gradient());
    Ok(vec![by_row, over_batch])
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

/// The float64 twins, over the same window.
pub(crate) mod reference {
    use super::Convolution;

    impl Convolution {
        /// Calls `visit(index in small, index in large, index in weight)` for everything that is multiplied.
        fn visit(&self, batch: usize, mut visit: impl FnMut(usize, usize, usize)) {
            let [large_channels, height, width] = self.large;
            let [small_channels, small_height, small_width] = self.small;
            let kernel = self.window.kernel;
            for sample in 0..batch {
                for y in 0..small_height {
                    for x in 0..small_width {
                        for ky in 0..kernel.y {
                            for kx in 0..kernel.x {
                                let pixel = self.window.pixel([y, x], [ky, kx], [height, width]);
                                let Some(pixel) = pixel else {
                                    continue;
                                };
                                for small in 0..small_channels {
                                    let at = ((sample * small_channels + small) * small_height + y)
                                        * small_width
                                        + x;
                                    for large in 0..large_channels {
                                        visit(
                                            at,
                                            (sample * large_channels + large) * height * width
                                                + pixel,
                                            ((small * large_channels + large) * kernel.y + ky)
                                                * kernel.x
                                                + kx,
                                        );
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }

        pub fn reference_small(&self, batch: usize, large: &[f64], weight: &[f64]) -> Vec<f64> {
            let mut small = vec![0.0; batch * self.small.iter().product::<usize>()];
            self.visit(batch, |s, l, w| small[s] += large[l] * weight[w]);
            small
        }

        pub fn reference_large(&self, batch: usize, small: &[f64], weight: &[f64]) -> Vec<f64> {
            let mut large = vec![0.0; batch * self.large.iter().product::<usize>()];
            self.visit(batch, |s, l, w| large[l] += small[s] * weight[w]);
            large
        }

        pub fn reference_weight(&self, batch: usize, small: &[f64], large: &[f64]) -> Vec<f64> {
            let weights = self.small[0] * self.large[0] * self.window.area();
            let mut weight = vec![0.0; weights];
            self.visit(batch, |s, l, w| weight[w] += small[s] * large[l]);
            weight
        }
    }

    /// Adds a bias to every channel.
    pub fn add_bias(images: &mut [f64], places: usize, bias: &[f64]) {
        for (row, values) in images.chunks_mut(places).enumerate() {
            let bias = bias[row % bias.len()];
            values.iter_mut().for_each(|value| *value += bias);
        }
    }

    /// Sums over samples and places of every channel.
    pub fn bias_gradient(gradient: &[f64], places: usize, channels: usize) -> Vec<f64> {
        let mut sums = vec![0.0; channels];
        for (row, values) in gradient.chunks(places).enumerate() {
            sums[row % channels] += values.iter().sum::<f64>();
        }
        sums
    }
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
        sum_parameters,
        CHANNEL_SUM,
        "Parameters",
        SumParameters {
            rows,
            columns,
            padding0,
            padding1
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
