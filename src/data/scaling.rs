//! How values of `[0, 1]` become what a model sees.

/// `scale * value + shift`: bytes as they are (255, 0), images in `[-1, 1]` (2, -1), standardized ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// The factor.
    pub scale: f32,
    /// What is added.
    pub shift: f32,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            scale: 1.0,
            shift: 0.0,
        }
    }
}

impl Scaling {
    /// What it makes of a value.
    pub fn value(self, value: f64) -> f64 {
        f64::from(self.scale) * value + f64::from(self.shift)
    }

    /// The least and the greatest value that `[0, 1]` becomes.
    pub fn range(self) -> (f64, f64) {
        let (at_zero, at_one) = (self.value(0.0), self.value(1.0));
        (at_zero.min(at_one), at_zero.max(at_one))
    }

    /// What brings its values back to `[0, 1]`, for pictures of them; `None` where they are there, or where a factor of 0
    /// has left nothing of them.
    pub fn back(self) -> Option<Self> {
        let changes = self != Self::default() && self.scale != 0.0;
        changes.then(|| Self {
            scale: 1.0 / self.scale,
            shift: -self.shift / self.scale,
        })
    }
}
