//! What a convolution and a transposed one share: three products between their large side, their small side and their
//! weight.
//!
//! - small = weight x patches of large: the forward pass of a convolution, the input's gradient of a transposed one;
//! - large = weight^T x small, added up where patches overlap: the other way round;
//! - weight gradient = small x patches of large, summed over samples and places, for both.
//!
//! The large side is the input of a convolution and the output of a transposed one. No patches are laid out: the
//! products find their elements in the images, which are interleaved before, so that four samples are one vector. Only
//! where the large side has few channels, which would leave most rows of a tile empty, all elements of the kernel
//! become channels first, and are folded.

mod fold;
mod gradient;
mod images;
mod interleave;
pub(crate) mod reference;

use self::images::Product;
use self::interleave::{Interleaved, interleave};
use super::conv2d_geometry::Conv2dGeometry;
use super::operation::{Context, ParameterSlice, ScratchRequest, ShapeError, expect_indices};
use crate::Result;
use crate::gpu::{Binding, Buffer, Dispatch, MatmulKernel, Scratch};

/// As many weights as one binding of common adapters holds, or a misfit.
pub(crate) fn expect_weights(counts: [usize; 3]) -> std::result::Result<(), ShapeError> {
    let product = counts
        .iter()
        .try_fold(1usize, |all, &count| all.checked_mul(count));
    if product.is_none_or(|count| count > 1 << 25) {
        let [small, large, area] = counts;
        return Err(ShapeError::new(
            format!("{small} by {large} channels and {area} elements of the kernel"),
            "at most 33,554,432 weights",
        ));
    }
    Ok(())
}

/// A geometry between two sides of these shapes: [channels, height, width].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub geometry: Conv2dGeometry,
    pub large: [usize; 3],
    pub small: [usize; 3],
}

/// Where images go.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub images: &'a Buffer<f32>,
    pub bias: Option<ParameterSlice<'a>>,
    pub accumulate: bool,
}

/// Which products the passes of an operation use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProductSet {
    pub to_small: bool,
    pub to_large: bool,
    pub gradient: bool,
}

/// Elements of a batch of images.
fn elements(batch: usize, shape: [usize; 3]) -> usize {
    shape.iter().fold(batch, |all, &n| all.saturating_mul(n))
}

impl Convolution {
    /// Weights for each channel of the small side.
    fn weights(&self) -> usize {
        self.large[0] * self.geometry.area()
    }

    /// The convolution by a kernel of 1 whose large side has a channel for each element of the kernel, where the
    /// product to the large side is better made of that one and a fold.
    fn unfolded(&self, batch: usize) -> Option<Self> {
        let [_, height, width] = self.small;
        let unfolded = Self {
            geometry: Conv2dGeometry::new(1),
            large: [self.weights(), height, width],
            small: self.small,
        };
        let few_channels = self.large[0] <= 8 && elements(batch, unfolded.large) <= 1 << 23;
        // Each place modulo the stride takes a product of its own.
        let long_strides = self.geometry.stride.y * self.geometry.stride.x > 64;
        (self.geometry.area() > 1 && (few_channels || long_strides)).then_some(unfolded)
    }

    /// What these products take of the memory that all operations share.
    pub fn scratch(&self, request: &ScratchRequest<'_>, products: ProductSet) -> Vec<Scratch> {
        let batch = request.batch;
        let groups = batch.next_multiple_of(4);
        let unfolded = self.unfolded(batch).filter(|_| products.to_large);
        let packed = |products: &[Product]| products.iter().map(Product::packed).sum::<usize>();
        let mut weights = 0;
        if products.to_small {
            weights = packed(&[Product::to_small(self, batch)]);
        }
        if products.to_large {
            let products = Product::to_large(&unfolded.unwrap_or(*self), batch);
            weights = weights.max(packed(&products));
        }
        let mut scratch = vec![Scratch::new("packed weight", 4 * weights)];
        if products.to_small || products.gradient {
            scratch.push(Scratch::new("large side", elements(groups, self.large)));
        }
        if products.to_large || products.gradient {
            scratch.push(Scratch::new("small side", elements(groups, self.small)));
        }
        if let Some(unfolded) = unfolded {
            scratch.push(Scratch::new("patches", elements(batch, unfolded.large)));
        }
        let slices = gradient::slices(self, request.profile, batch);
        if products.gradient && slices > 1 {
            scratch.push(Scratch::new(
                "gradient slices",
                slices * self.small[0] * self.weights(),
            ));
        }
        scratch
    }

    /// Its products for a plan.
    pub fn products<'a>(&self, context: &'a Context<'a>) -> Products<'a> {
        Products {
            context,
            convolution: *self,
            variant: context.gpu.profile().matmul,
            dispatches: Vec::new(),
        }
    }
}

/// The products of a convolution for one batch on one adapter.
pub(crate) struct Products<'a> {
    context: &'a Context<'a>,
    convolution: Convolution,
    variant: MatmulKernel,
    /// What has been asked for, in this order.
    pub dispatches: Vec<Dispatch>,
}

impl Products<'_> {
    /// The large side as the products read it.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn large(&mut self, images: &Buffer<f32>) -> Result<Interleaved> {
        self.interleaved("large side", images, self.convolution.large)
    }

    /// The small side as the products read it.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn small(&mut self, images: &Buffer<f32>) -> Result<Interleaved> {
        self.interleaved("small side", images, self.convolution.small)
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

    /// `small = weight x patches of large`, plus bias; the weight is `[small channels, large channels, kernel]`.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn make_small(
        &mut self,
        weight: Binding<'_>,
        large: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let product = Product::to_small(&self.convolution, self.context.batch);
        self.images(vec![product], weight, large, target)
    }

    /// `large = weight^T x small` with overlapping patches added up, plus bias.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn make_large(
        &mut self,
        weight: Binding<'_>,
        small: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let context = self.context;
        let Some(unfolded) = self.convolution.unfolded(context.batch) else {
            let products = Product::to_large(&self.convolution, context.batch);
            return self.images(products, weight, small, target);
        };
        expect_indices(context, &unfolded.large)?;
        let patches = context
            .gpu
            .scratch("patches", elements(context.batch, unfolded.large))?;
        let to_patches = Target {
            images: &patches,
            bias: None,
            accumulate: false,
        };
        let products = Product::to_large(&unfolded, context.batch);
        self.images(products, weight, small, &to_patches)?;
        let fold = fold::fold(context, &self.convolution, &patches, target);
        self.dispatches.push(fold);
        Ok(())
    }

    fn images(
        &mut self,
        products: Vec<Product>,
        weight: Binding<'_>,
        images: &Interleaved,
        target: &Target<'_>,
    ) -> Result<()> {
        let gpu = self.context.gpu;
        let dispatches = images::dispatches(gpu, self.variant, &products, weight, images, target)?;
        self.dispatches.extend(dispatches);
        Ok(())
    }

    /// `gradient = small x patches of large`, summed over samples and places.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn make_gradient(
        &mut self,
        small: &Interleaved,
        large: &Interleaved,
        gradient: Binding<'_>,
    ) -> Result<()> {
        let dispatches = gradient::dispatches(
            self.context,
            self.variant,
            &self.convolution,
            [small, large],
            gradient,
        )?;
        self.dispatches.extend(dispatches);
        Ok(())
    }
}
