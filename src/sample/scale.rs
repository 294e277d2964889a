//! How a value becomes a height in a chart: linear or symmetric-logarithmic, then scaled to `[0, 1]`.
//!
//! Sampling and drawing share it, so that a distance between lines means the same on the screen.

#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu_struct;

#[cfg(test)]
static SCALE: Shader = crate::shader!("shared/scale.wgsl");

/// The kind of y-axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scale {
    /// Heights in proportion to values.
    #[default]
    Linear,
    /// `sign(v) log10(1 + |v| / c)`: linear around zero, logarithmic beyond `c`, for values of any sign that
    /// span many orders of magnitude.
    Symlog,
}

gpu_struct! {
    /// A scale fitted to data. Maps finite values of the fitted range to `[0, 1]`.
    #[derive(PartialEq)]
    pub struct ValueScale in SCALE::ValueScale {
        /// Lowest transformed value.
        pub low: f32,
        /// Sixteen over the extent of transformed values (16 where all are equal): one over the extent of all finite
        /// numbers lies below the smallest normal one, and GPUs may take that for zero.
        pub inverse_extent: f32,
        /// `c` of [`Scale::Symlog`] in units of the values; 0 stands for [`Scale::Linear`].
        pub linear_threshold: f32,
    }
}

impl ValueScale {
    /// Fits the scale to the finite values among `values`. The linear threshold of a symlog scale is the median
    /// magnitude of the non-zero values, but not less than a millionth of the largest.
    pub fn fit(scale: Scale, values: &[f32]) -> Self {
        let mut low = f32::INFINITY;
        let mut high = f32::NEG_INFINITY;
        for &value in values.iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        let linear_threshold = match scale {
            Scale::Linear => 0.0,
            Scale::Symlog => {
                let mut magnitudes: Vec<f32> = values
                    .iter()
                    .filter(|value| value.is_finite() && **value != 0.0)
                    .map(|value| value.abs())
                    .collect();
                if magnitudes.is_empty() {
                    1.0
                } else {
                    let middle = magnitudes.len() / 2;
                    let (_, median, _) = magnitudes.select_nth_unstable_by(middle, f32::total_cmp);
                    median.max(low.abs().max(high.abs()) * 1e-6)
                }
            }
        };
        Self::over(low, high, linear_threshold)
    }

    /// The scale over the values `low..=high`; `linear_threshold` is 0 for a linear one.
    pub fn over(low: f32, high: f32, linear_threshold: f32) -> Self {
        let mut scale = Self {
            low: 0.0,
            inverse_extent: 16.0,
            linear_threshold,
        };
        let bottom = scale.transform(low);
        // Halves, because the extent of all finite values overflows.
        let half_extent = scale.transform(high) * 0.5 - bottom * 0.5;
        scale.low = bottom;
        let inverse_extent = 8.0 / half_extent;
        if inverse_extent.is_finite() && half_extent > 0.0 {
            scale.inverse_extent = inverse_extent;
        }
        scale
    }

    /// The transformed value before scaling.
    pub fn transform(&self, value: f32) -> f32 {
        if self.linear_threshold > 0.0 {
            (1.0 + value.abs() / self.linear_threshold)
                .log10()
                .copysign(value)
        } else {
            value
        }
    }

    /// The height of `value`: within `[0, 1]` for values of the fitted range.
    pub fn height(&self, value: f32) -> f32 {
        // Each product on its own: the difference of extreme values overflows, their scaled difference does not.
        self.transform(value) * 0.0625 * self.inverse_extent
            - self.low * 0.0625 * self.inverse_extent
    }

    /// The value at `height`: the inverse of [`ValueScale::height`], for axis ticks.
    pub fn value(&self, height: f32) -> f32 {
        let transformed = (height / self.inverse_extent) * 16.0 + self.low;
        if self.linear_threshold > 0.0 {
            ((10f32.powf(transformed.abs()) - 1.0) * self.linear_threshold).copysign(transformed)
        } else {
            transformed
        }
    }
}
