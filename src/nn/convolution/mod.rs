//! Convolutions and transposed convolutions, as three matrix products between an input side, an output side and a
//! weight.
//!
//! - `forward`: output = weight x im2col(input). The forward pass of a convolution, and the input's gradient of a
//!   transposed one.
//! - `backward_input`: input = col2im(weight^T x output). The input's gradient of a convolution, and the forward pass of a
//!   transposed one.
//! - `backward_weight`: gradient = output x im2col(input)^T, summed over samples and positions, for both.
//!
//! The sides are named after the convolution; the input of a transposed convolution is its output side. The products are
//! implicit: no columns of im2col are laid out in memory, the kernels compute where their elements lie in the images
//! (implicit GEMM, Chetlur et al. 2014, "cuDNN"). With strides, `backward_input` is one product for each residue of the
//! position modulo the stride, because each meets other elements of the kernel (the phases of a sub-pixel convolution, Shi
//! et al. 2016). Images are interleaved first, so that four samples are one vector.
//!
//! Where the input side has few channels, most rows of a tile of `backward_input` would be empty. There the columns are
//! made after all, by a product that has a row for each channel and element of the kernel, and col2im adds them up.

mod col2im;
mod gradient;
mod images;
mod implicit_gemm;
mod interleave;
pub(crate) mod reference;

use self::implicit_gemm::ImplicitGemm;
use self::interleave::{Interleaved, interleave};
use super::conv2d_geometry::{Conv2dGeometry, Size2};
use super::initialization::Initialization;
use super::operation::{
    Context, GradientTarget, ParameterSlice, ParameterSpec, ScratchRequest, ShapeError,
    expect_indices,
};
use crate::Result;
use crate::gpu::{Binding, Buffer, Dispatch, MatmulKernel, Scratch};

/// Checks that the weights of so many output channels, input channels and elements of the kernel fit one binding of common
/// adapters.
pub(crate) fn expect_weights(counts: [usize; 3]) -> std::result::Result<(), ShapeError> {
    let weights = counts
        .iter()
        .try_fold(1usize, |all, &count| all.checked_mul(count));
    if weights.is_none_or(|count| count > 1 << 25) {
        let [output, input, area] = counts;
        return Err(ShapeError::new(
            format!("{output} by {input} channels and {area} elements of the kernel"),
            "at most 33,554,432 weights",
        ));
    }
    Ok(())
}

/// The parameters of a convolution or a transposed one with so many `channels` that come out: the weight, under its `name`
/// and with so many `rows` and `columns` of kernels, and the bias.
pub(crate) fn parameters(
    name: &'static str,
    [rows, columns]: [usize; 2],
    geometry: &Conv2dGeometry,
    channels: usize,
    initialization: Initialization,
) -> Vec<ParameterSpec> {
    let Size2 { y, x } = geometry.kernel;
    let shapes = [(name, vec![rows, columns, y, x]), ("bias", vec![channels])];
    let spec = |(name, shape)| ParameterSpec {
        name,
        shape,
        initialization,
    };
    shapes.map(spec).into()
}

/// A geometry between an input side and an output side, both `[channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub geometry: Conv2dGeometry,
    pub input: [usize; 3],
    pub output: [usize; 3],
}

/// The images that a product writes.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub images: &'a Buffer<f32>,
    pub bias: Option<ParameterSlice<'a>>,
    pub accumulate: bool,
}

impl<'a> From<GradientTarget<'a>> for Target<'a> {
    fn from(target: GradientTarget<'a>) -> Self {
        Self {
            images: target.buffer,
            bias: None,
            accumulate: target.accumulate,
        }
    }
}

/// Which products an operation uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassSet {
    pub forward: bool,
    pub backward_input: bool,
    pub backward_weight: bool,
}

/// The number of elements of a batch of images.
fn elements(batch: usize, shape: [usize; 3]) -> usize {
    shape.iter().fold(batch, |all, &n| all.saturating_mul(n))
}

impl Convolution {
    /// The number of weights of one output channel.
    fn weights(&self) -> usize {
        self.input[0] * self.geometry.area()
    }

    /// The convolution with a kernel of 1 whose input side are the columns of im2col, where `backward_input` is faster
    /// through columns in memory.
    fn im2col(&self, batch: usize) -> Option<Self> {
        let [_, height, width] = self.output;
        let im2col = Self {
            geometry: Conv2dGeometry::new(1),
            input: [self.weights(), height, width],
            output: self.output,
        };
        let few_channels = self.input[0] <= 8 && elements(batch, im2col.input) <= 1 << 23;
        // Each residue of the position modulo the stride takes a product of its own.
        let long_strides = self.geometry.stride.y * self.geometry.stride.x > 64;
        (self.geometry.area() > 1 && (few_channels || long_strides)).then_some(im2col)
    }

    /// The shared memory that these products use.
    pub fn scratch(&self, request: &ScratchRequest<'_>, passes: PassSet) -> Vec<Scratch> {
        let batch = request.batch;
        let groups = batch.next_multiple_of(4);
        let im2col = self.im2col(batch).filter(|_| passes.backward_input);
        let packed = |gemms: &[ImplicitGemm]| gemms.iter().map(ImplicitGemm::packed).sum::<usize>();
        let mut weights = 0;
        if passes.forward {
            weights = packed(&[ImplicitGemm::forward(self, batch)]);
        }
        if passes.backward_input {
            let gemms = ImplicitGemm::backward_input(&im2col.unwrap_or(*self), batch);
            weights = weights.max(packed(&gemms));
        }
        let mut scratch = vec![Scratch::new("packed weight", 4 * weights)];
        if passes.forward || passes.backward_weight {
            scratch.push(Scratch::new("input side", elements(groups, self.input)));
        }
        if passes.backward_input || passes.backward_weight {
            scratch.push(Scratch::new("output side", elements(groups, self.output)));
        }
        if let Some(im2col) = im2col {
            scratch.push(Scratch::new("columns", elements(batch, im2col.input)));
        }
        let slices = gradient::slices(self, request.profile, batch);
        if passes.backward_weight && slices > 1 {
            scratch.push(Scratch::new(
                "gradient slices",
                slices * self.output[0] * self.weights(),
            ));
        }
        scratch
    }

    /// A list of its products for a plan, empty so far.
    pub fn passes<'a>(&self, context: &'a Context<'a>) -> Passes<'a> {
        Passes {
            context,
            convolution: *self,
            variant: context.gpu.profile().matmul,
            dispatches: Vec::new(),
        }
    }
}

/// Products of a convolution for one batch on one adapter, in the order in which they are asked for.
pub(crate) struct Passes<'a> {
    context: &'a Context<'a>,
    convolution: Convolution,
    variant: MatmulKernel,
    /// The dispatches of these products.
    pub dispatches: Vec<Dispatch>,
}

impl Passes<'_> {
    /// Interleaves the images of the input side.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn input(&mut self, images: &Buffer<f32>) -> Result<Interleaved> {
        self.interleaved("input side", images, self.convolution.input)
    }

    /// Interleaves the images of the output side.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn output(&mut self, images: &Buffer<f32>) -> Result<Interleaved> {
        self.interleaved("output side", images, self.convolution.output)
    }

    fn interleaved(
        &mut self,
        label: &'static str,
        images: &Buffer<f32>,
        shape: [usize; 3],
    ) -> Result<Interleaved> {
        let (dispatch, interleaved) = interleave(self.context, label, images, shape)?;
        self.dispatches.push(dispatch);
        Ok(interleaved)
    }

    /// `output = weight x im2col(input)`, plus bias. The weight is `[output channels, input channels, kernel]`.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn forward(
        &mut self,
        weight: Binding<'_>,
        input: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let gemm = ImplicitGemm::forward(&self.convolution, self.context.batch);
        self.images(vec![gemm], weight, input, target)
    }

    /// `input = col2im(weight^T x output)`, plus bias.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn backward_input(
        &mut self,
        weight: Binding<'_>,
        output: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let context = self.context;
        let Some(im2col) = self.convolution.im2col(context.batch) else {
            let gemms = ImplicitGemm::backward_input(&self.convolution, context.batch);
            return self.images(gemms, weight, output, target);
        };
        expect_indices(context, &im2col.input)?;
        let columns = context
            .gpu
            .scratch("columns", elements(context.batch, im2col.input))?;
        let to_columns = Target {
            images: &columns,
            bias: None,
            accumulate: false,
        };
        let gemms = ImplicitGemm::backward_input(&im2col, context.batch);
        self.images(gemms, weight, output, &to_columns)?;
        let col2im = col2im::col2im(context, &self.convolution, &columns, target);
        self.dispatches.push(col2im);
        Ok(())
    }

    fn images(
        &mut self,
        gemms: Vec<ImplicitGemm>,
        weight: Binding<'_>,
        images: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let gpu = self.context.gpu;
        let dispatches = images::dispatches(gpu, self.variant, &gemms, weight, images, target)?;
        self.dispatches.extend(dispatches);
        Ok(())
    }

    /// `gradient = output x im2col(input)^T`, summed over samples and positions.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn backward_weight(
        &mut self,
        output: &Interleaved,
        input: &Interleaved,
        gradient: Binding<'_>,
    ) -> Result<()> {
        let dispatches = gradient::dispatches(
            self.context,
            self.variant,
            &self.convolution,
            [output, input],
            gradient,
        )?;
        self.dispatches.extend(dispatches);
        Ok(())
    }
}
