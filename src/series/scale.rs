//! How a value becomes a height in a chart: linear or symmetric-logarithmic, then scaled to `[0, 1]`.
//!
//! Sampling and drawing share it, so that a distance between lines means the same on the screen.

use std::cmp::Ordering;

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
    /// A scale fitted to data, which maps finite values of the fitted range to `[0, 1]`.
    #[derive(PartialEq)]
    pub struct ValueScale in SCALE::ValueScale {
        /// Lowest transformed value.
        pub low: f32,
        /// Sixteen over the extent of transformed values (16 where all are equal): one over the extent of all finite
        /// numbers lies below the smallest normal one, and GPUs may take that for zero.
        pub inverse_extent: f32,
        /// `c` of [`Scale::Symlog`] in units of the values; 0 means [`Scale::Linear`].
        pub linear_threshold: f32,
    }
}

impl Scale {
    /// Symmetric-logarithmic where the largest magnitude is far beyond the median one, linear elsewhere.
    pub fn for_values(values: &[f32]) -> Self {
        let mut magnitudes = nonzero_magnitudes(values);
        let largest = magnitudes.iter().copied().fold(0.0, f32::max);
        match median(&mut magnitudes, f32::total_cmp) {
            Some(median) if largest / median > SYMLOG_FROM => Self::Symlog,
            _ => Self::Linear,
        }
    }
}

/// Heights are worked out from transformed values of up to so many times their extent: rounding then stays below a
/// hundred-thousandth of the chart's height.
const MAX_BASE: f32 = 32.0;
/// Below this, extents and thresholds come near to numbers that GPUs may take for zero.
const MIN_NORMAL: f32 = 1e-30;

/// Ratio of the largest magnitude to the median one from which a linear axis would flatten most lines.
const SYMLOG_FROM: f32 = 50.0;

/// The magnitudes of the finite values that are not zero.
fn nonzero_magnitudes(values: &[f32]) -> Vec<f32> {
    let finite = values
        .iter()
        .filter(|value| value.is_finite() && **value != 0.0);
    finite.map(|value| value.abs()).collect()
}

/// The median, which reorders `values`; `None` where there are none.
pub(super) fn median<T: Copy>(values: &mut [T], order: fn(&T, &T) -> Ordering) -> Option<T> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, order);
    Some(*median)
}

impl ValueScale {
    /// Fits the scale to the finite values among `values`. The linear threshold of a symlog scale is the median
    /// magnitude of the non-zero values: half of the values would have to explode before the others are flattened.
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
            Scale::Symlog => median(&mut nonzero_magnitudes(values), f32::total_cmp).unwrap_or(1.0),
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
        if half_extent > 0.0 {
            scale.inverse_extent = (8.0 / half_extent).min(f32::MAX);
        }
        scale
    }

    /// The scale of values that are heights already.
    pub fn of_heights() -> Self {
        Self {
            low: 0.0,
            inverse_extent: 16.0,
            linear_threshold: 0.0,
        }
    }

    /// Whether float32 works out the heights of the fitted range well: it is no small range on a large base, and neither
    /// it nor the threshold is near to numbers that GPUs take for zero.
    pub fn is_precise(&self) -> bool {
        let extent = 16.0 / self.inverse_extent;
        let has_normal_threshold =
            self.linear_threshold == 0.0 || self.linear_threshold >= MIN_NORMAL;
        has_normal_threshold && extent >= MIN_NORMAL && self.low.abs() <= MAX_BASE * extent
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
