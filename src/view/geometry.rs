//! Where things are in a picture: rectangles in pixels, and the plot that maps steps and heights to pixels.

use glam::{Affine2, Vec2, vec2};

/// A rectangle in pixels; y points down.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rect {
    /// The upper left corner.
    pub min: Vec2,
    /// Width and height.
    pub size: Vec2,
}

impl Rect {
    /// A rectangle from its left and top edges, its width and its height.
    pub const fn new(left: f32, top: f32, width: f32, height: f32) -> Self {
        Self {
            min: Vec2::new(left, top),
            size: Vec2::new(width, height),
        }
    }

    /// The left edge.
    pub fn left(self) -> f32 {
        self.min.x
    }

    /// The top edge.
    pub fn top(self) -> f32 {
        self.min.y
    }

    /// The right edge.
    pub fn right(self) -> f32 {
        self.min.x + self.size.x
    }

    /// The bottom edge.
    pub fn bottom(self) -> f32 {
        self.min.y + self.size.y
    }

    /// Whether a point lies inside or on an edge.
    pub fn contains(self, point: Vec2) -> bool {
        point.cmpge(self.min).all() && point.cmple(self.min + self.size).all()
    }

    /// Whether two rectangles share more than an edge.
    pub fn overlaps(self, other: Self) -> bool {
        self.min.cmplt(other.min + other.size).all() && other.min.cmplt(self.min + self.size).all()
    }

    pub(super) fn to_array(self) -> [f32; 4] {
        [self.min.x, self.min.y, self.size.x, self.size.y]
    }
}

/// The part of a picture that data is drawn into, and the steps and heights at its edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    /// The rectangle, in pixels.
    pub rect: Rect,
    /// The step index at the left edge.
    pub first: f32,
    /// The step index at the right edge.
    pub last: f32,
    /// The scaled height ([`ValueScale::height`](crate::series::ValueScale::height)) at the bottom edge.
    pub bottom: f32,
    /// The scaled height at the top edge.
    pub top: f32,
}

impl Plot {
    /// All of `steps` steps from edge to edge and the heights `[0, 1]`; a single step lies in the middle.
    pub fn over(rect: Rect, steps: usize) -> Self {
        let (first, last) = if steps > 1 {
            (0.0, (steps - 1) as f32)
        } else {
            (-0.5, 0.5)
        };
        Self {
            rect,
            first,
            last,
            bottom: 0.0,
            top: 1.0,
        }
    }

    /// The pixel of a step index and a height.
    pub fn to_pixel(&self, step: f32, height: f32) -> Vec2 {
        self.transform().transform_point2(vec2(step, height))
    }

    /// The step index and the height at a pixel.
    pub fn to_data(&self, pixel: Vec2) -> Vec2 {
        self.transform().inverse().transform_point2(pixel)
    }

    /// From (step index, height) to pixels; heights grow upward, pixels downward.
    pub fn transform(&self) -> Affine2 {
        let extent = vec2(self.last - self.first, self.bottom - self.top);
        Affine2::from_translation(self.rect.min)
            * Affine2::from_scale(self.rect.size / extent)
            * Affine2::from_translation(-vec2(self.first, self.top))
    }

    /// Steps and heights at the edges, as shaders take them.
    pub(super) fn window(&self) -> [f32; 4] {
        [self.first, self.last, self.bottom, self.top]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plot_maps_corners_to_corners() {
        let plot = Plot::over(Rect::new(10.0, 20.0, 300.0, 100.0), 11);
        assert_eq!(plot.to_pixel(0.0, 0.0), vec2(10.0, 120.0));
        assert_eq!(plot.to_pixel(10.0, 1.0), vec2(310.0, 20.0));
        assert_eq!(
            Plot::over(plot.rect, 1).to_pixel(0.0, 0.5),
            vec2(160.0, 70.0)
        );
    }

    proptest! {
        #[test]
        fn plot_transform_is_invertible(left in -500f32..500.0, width in 10f32..4000.0, steps in 1usize..5000, step in 0f32..1.0, height in 0f32..1.0) {
            let plot = Plot::over(Rect::new(left, 30.0, width, 200.0), steps);
            let step = plot.first + step * (plot.last - plot.first);
            let back = plot.to_data(plot.to_pixel(step, height));
            prop_assert!((back.x - step).abs() <= 1e-3 * (plot.last - plot.first));
            prop_assert!((back.y - height).abs() <= 1e-3);
        }
    }
}
