//! Kernel size, stride, padding and dilation of convolutions and pooling.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operation::ShapeError;

/// A number for height and width alike, or one for each: `3` or `[3, 5]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "NumberOrPair", into = "NumberOrPair")]
pub struct Size2 {
    /// Along the height.
    pub y: usize,
    /// Along the width.
    pub x: usize,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or a pair of numbers")]
enum NumberOrPair {
    Number(usize),
    Size2([usize; 2]),
}

impl From<NumberOrPair> for Size2 {
    fn from(given: NumberOrPair) -> Self {
        match given {
            NumberOrPair::Number(both) => both.into(),
            NumberOrPair::Size2(pair) => pair.into(),
        }
    }
}

impl From<Size2> for NumberOrPair {
    fn from(pair: Size2) -> Self {
        if pair.y == pair.x {
            Self::Number(pair.y)
        } else {
            Self::Size2([pair.y, pair.x])
        }
    }
}

impl From<usize> for Size2 {
    fn from(both: usize) -> Self {
        Self { y: both, x: both }
    }
}

impl From<[usize; 2]> for Size2 {
    fn from([y, x]: [usize; 2]) -> Self {
        Self { y, x }
    }
}

impl std::fmt::Display for Size2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.y, self.x)
    }
}

/// Kernel size, stride, padding and dilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dGeometry {
    /// The size of the kernel.
    pub kernel: Size2,
    /// The distance between neighboring positions of the kernel.
    pub stride: Size2,
    /// Zeros around the image, on each side.
    pub padding: Size2,
    /// The distance between neighboring elements of the kernel.
    pub dilation: Size2,
}

/// Largest number in a geometry; beyond it products of sizes could leave the range of the kernels' integers.
const MAX_SIZE: usize = 1 << 15;

impl Conv2dGeometry {
    /// A geometry of this size with stride 1, no padding and no dilation.
    pub fn new(kernel: impl Into<Size2>) -> Self {
        Self {
            kernel: kernel.into(),
            stride: 1.into(),
            padding: 0.into(),
            dilation: 1.into(),
        }
    }

    /// With another stride.
    pub fn stride(self, stride: impl Into<Size2>) -> Self {
        Self {
            stride: stride.into(),
            ..self
        }
    }

    /// With another padding.
    pub fn padding(self, padding: impl Into<Size2>) -> Self {
        Self {
            padding: padding.into(),
            ..self
        }
    }

    /// With another dilation.
    pub fn dilation(self, dilation: impl Into<Size2>) -> Self {
        Self {
            dilation: dilation.into(),
            ..self
        }
    }

    /// The number of elements of the kernel.
    pub fn area(&self) -> usize {
        self.kernel.y * self.kernel.x
    }

    /// Checks the numbers.
    pub(crate) fn validate(&self) -> std::result::Result<(), ShapeError> {
        for (name, pair, least) in [
            ("kernel", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ] {
            if pair.y.min(pair.x) < least || pair.y.max(pair.x) > MAX_SIZE {
                return Err(ShapeError::new(
                    format!("a {name} of {pair}"),
                    format!("a {name} from {least} to {MAX_SIZE}"),
                ));
            }
        }
        Ok(())
    }

    /// The size of the area that the kernel covers, with the gaps that dilation leaves.
    pub fn effective_size(&self) -> Size2 {
        Size2 {
            y: (self.kernel.y - 1) * self.dilation.y + 1,
            x: (self.kernel.x - 1) * self.dilation.x + 1,
        }
    }

    /// The number of positions of the kernel on an image.
    pub(crate) fn output_size(
        &self,
        height: usize,
        width: usize,
    ) -> std::result::Result<Size2, ShapeError> {
        let extent = self.effective_size();
        let padded = Size2 {
            y: height + 2 * self.padding.y,
            x: width + 2 * self.padding.x,
        };
        if extent.y > padded.y || extent.x > padded.x {
            return Err(ShapeError::new(
                format!("images of {height} x {width}, {padded} with the padding"),
                format!("images of at least {extent}, the area of the kernel"),
            ));
        }
        Ok(Size2 {
            y: (padded.y - extent.y) / self.stride.y + 1,
            x: (padded.x - extent.x) / self.stride.x + 1,
        })
    }

    /// The rows and columns of an image of this size under the kernel at some positions.
    pub(crate) fn reach(&self, region: &[Range<usize>; 2], size: [usize; 2]) -> [Range<usize>; 2] {
        self.along_axes(|axis, [stride, padding, extent]| {
            let Range { start, end } = region[axis];
            let first = (start * stride).saturating_sub(padding);
            let last = ((end - 1) * stride + extent).saturating_sub(padding);
            first.min(size[axis] - 1)..last.clamp(1, size[axis])
        })
    }

    /// The positions of the kernel, of so many, under which some rows and columns of the image lie.
    pub(crate) fn reach_back(
        &self,
        region: &[Range<usize>; 2],
        positions: [usize; 2],
    ) -> [Range<usize>; 2] {
        self.along_axes(|axis, [stride, padding, extent]| {
            let Range { start, end } = region[axis];
            let first = (start + padding + 1)
                .saturating_sub(extent)
                .div_ceil(stride);
            let last = (end - 1 + padding) / stride + 1;
            first.min(positions[axis] - 1)..last.clamp(1, positions[axis])
        })
    }

    /// A range for each axis, from stride, padding and the size of the area that the kernel covers.
    fn along_axes(&self, range: impl Fn(usize, [usize; 3]) -> Range<usize>) -> [Range<usize>; 2] {
        let extent = self.effective_size();
        [
            range(0, [self.stride.y, self.padding.y, extent.y]),
            range(1, [self.stride.x, self.padding.x, extent.x]),
        ]
    }

    /// The constants of kernels that are compiled for one geometry.
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

    /// The pixel under element (`ky`, `kx`) of the kernel at position (`y`, `x`), if it lies on the image.
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

/// Channels, height and width of images, or the error that the shape is another.
pub(crate) fn images(shape: &[usize]) -> std::result::Result<[usize; 3], ShapeError> {
    shape.try_into().map_err(|_| {
        ShapeError::new(
            format!("{shape:?}"),
            "images: [channels, height, width] (put a reshape before it)",
        )
    })
}
