//! The scale of an axis in float64, where neither extreme values nor small differences of large ones vanish.

use super::scale::{Scale, ValueScale, median};

/// How a value becomes a height in float64: the counterpart of [`ValueScale`] for axis labels, and for values that
/// float32 cannot tell apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueAxis {
    /// Lowest transformed value.
    low: f64,
    /// Half the extent of transformed values: the extent of all finite numbers overflows, its half does not.
    half_extent: f64,
    /// As that of [`ValueScale`]: 0 means linear.
    linear_threshold: f64,
}

impl ValueAxis {
    /// Fits the axis to the finite values among `values`. The linear threshold of a symlog axis is the median magnitude
    /// of the non-zero values: half of the values would have to explode before the others are flattened.
    pub fn fit(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let bounds = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = finite
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), bounds);
        if low > high {
            return Self::over(0.0, 0.0, 0.0);
        }
        let linear_threshold = match scale {
            Scale::Linear => 0.0,
            Scale::Symlog => {
                let magnitudes = finite.filter(|value| *value != 0.0).map(f64::abs);
                let mut magnitudes: Vec<f64> = magnitudes.collect();
                median(&mut magnitudes, f64::total_cmp).unwrap_or(1.0)
            }
        };
        Self::over(low, high, linear_threshold)
    }

    /// The axis over the values `low..=high`; `linear_threshold` is 0 for a linear one.
    pub fn over(low: f64, high: f64, linear_threshold: f64) -> Self {
        let mut axis = Self {
            low: 0.0,
            half_extent: 0.5,
            linear_threshold,
        };
        let (low, high) = (axis.transform(low), axis.transform(high));
        let half_extent = high * 0.5 - low * 0.5;
        axis.low = low;
        if half_extent > 0.0 {
            axis.half_extent = half_extent;
        }
        axis
    }

    /// The axis whose values are larger by `origin`, for the labels of a linear one.
    #[must_use]
    pub(super) fn shifted(self, origin: f64) -> Self {
        Self {
            low: self.low + origin,
            ..self
        }
    }

    /// Whether the other axis is as long as this one, but for rounding to float32.
    pub(super) fn has_extent_of(&self, other: &Self) -> bool {
        (self.half_extent - other.half_extent).abs() <= 1e-5 * self.half_extent
    }

    /// `c` of [`Scale::Symlog`] in units of the values; 0 means [`Scale::Linear`].
    pub fn linear_threshold(&self) -> f64 {
        self.linear_threshold
    }

    /// The transformed value before scaling.
    fn transform(&self, value: f64) -> f64 {
        if self.linear_threshold > 0.0 {
            ((value.abs() / self.linear_threshold).ln_1p() / std::f64::consts::LN_10)
                .copysign(value)
        } else {
            value
        }
    }

    /// The height of `value`: within `[0, 1]` for values of the fitted range. What is not finite stays what it is.
    pub fn height(&self, value: f64) -> f64 {
        (self.transform(value) * 0.5 - self.low * 0.5) / self.half_extent
    }

    /// The height of `value` above that of a transformed 0: differences between such numbers are those between heights,
    /// without what the lowest value rounds away where it is huge.
    pub(crate) fn scaled(&self, value: f64) -> f64 {
        self.transform(value) * 0.5 / self.half_extent
    }

    /// What [`ValueAxis::scaled`] gives for the height 0.
    pub(crate) fn bottom(&self) -> f64 {
        self.low * 0.5 / self.half_extent
    }

    /// The value at `height`: the inverse of [`ValueAxis::height`].
    pub fn value(&self, height: f64) -> f64 {
        let transformed = (height * self.half_extent + self.low * 0.5) * 2.0;
        if self.linear_threshold > 0.0 {
            ((transformed.abs() * std::f64::consts::LN_10).exp_m1() * self.linear_threshold)
                .copysign(transformed)
        } else {
            transformed
        }
    }
}

impl From<ValueScale> for ValueAxis {
    fn from(scale: ValueScale) -> Self {
        Self {
            low: scale.low.into(),
            half_extent: 8.0 / f64::from(scale.inverse_extent),
            linear_threshold: scale.linear_threshold.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_and_values_are_inverse_wherever_values_lie() {
        for (low, high, threshold) in [
            (0.0, 1.0, 0.0),
            (1e8, 1e8 + 2.0, 0.0),
            (-1e300, 1e300, 0.0),
            (f64::MIN, f64::MAX, 0.0),
            (1e-42, 9e-42, 0.0),
            (-3.0, 1e30, 0.5),
            (1e-44, 1e-40, 1e-42),
        ] {
            let axis = ValueAxis::over(low, high, threshold);
            assert!(axis.height(low).abs() < 1e-12 && (axis.height(high) - 1.0).abs() < 1e-12);
            for height in [0.1, 0.5, 0.9] {
                let back = axis.height(axis.value(height));
                assert!(
                    (back - height).abs() < 1e-6,
                    "{low} {high}: {height} {back}"
                );
            }
        }
    }

    #[test]
    fn one_exploding_value_does_not_move_the_threshold() {
        let values = [1.0, -2.0, 3.0, 0.0, f64::NAN, 1e300, f64::INFINITY];
        let axis = ValueAxis::fit(Scale::Symlog, values.into_iter());
        assert!((1.0..=3.0).contains(&axis.linear_threshold()));
        assert!(axis.height(3.0) - axis.height(1.0) > 5e-4);
        let nothing = ValueAxis::fit(Scale::Symlog, [f64::NAN].into_iter());
        assert_eq!(nothing.height(0.0), 0.0);
    }
}
