//! Windows that move over images: kernels of convolutions and pools.

use serde::{Deserialize, Serialize};

use super::operation::Misfit;

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
