//! Smooth curves through points, such as the edges of a graph.

use glam::Vec2;

use super::canvas::Canvas;
use super::geometry::Rect;
use super::sketch::Mark;
use super::theme::Color;
use crate::gpu::{Shader, to_bytes};
use crate::{Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/splines.wgsl");

/// Straight parts of a piece; `PARTS` of the shader.
const PARTS: u32 = 16;

gpu_struct! {
    #[derive(PartialEq)]
    struct Piece in SHADER::Piece {
        start: [f32; 4],
        end: [f32; 4],
        color: Color,
        width: f32,
    }
}

gpu_struct! {
    struct SplineUniforms in SHADER::Uniforms {
        target_size: [f32; 2],
        pieces: u32,
    }
}

/// A smooth curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Spline {
    /// The points that it goes by, in pixels: it begins and ends at the outer two and is drawn to the others.
    pub points: Vec<Vec2>,
    /// Its color; the alpha is its opacity.
    pub color: Color,
    /// Its width in pixels.
    pub width: f32,
}

/// The cubic Bézier pieces of a curve: a uniform B-spline that ends at its first and last point. Two points are a
/// straight line.
fn pieces_of(points: &[Vec2]) -> Vec<[Vec2; 4]> {
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    // Ends that count three times are reached.
    let mut control = vec![first; 2];
    control.extend(points);
    control.extend([last; 2]);
    let piece = |window: &[Vec2]| {
        let [a, b, c, d] = [window[0], window[1], window[2], window[3]];
        [
            (a + 4.0 * b + c) / 6.0,
            (2.0 * b + c) / 3.0,
            (b + 2.0 * c) / 3.0,
            (b + 4.0 * c + d) / 6.0,
        ]
    };
    control.windows(4).map(piece).collect()
}

impl Canvas<'_> {
    /// Draws curves in their order, cut off at `clip`.
    ///
    /// # Errors
    /// The adapter has no room for the list of their pieces.
    pub fn splines(&mut self, splines: &[Spline], clip: Rect) -> Result<()> {
        let mut pieces = Vec::new();
        for Spline {
            points,
            color,
            width,
        } in splines
        {
            let curve = pieces_of(points);
            self.keep(|| Mark::Curve {
                pieces: curve.clone(),
                color: *color,
                width: *width,
                clip,
            });
            for [a, b, c, d] in curve {
                pieces.push(Piece {
                    start: [a.x, a.y, b.x, b.y],
                    end: [c.x, c.y, d.x, d.y],
                    color: *color,
                    width: *width,
                });
            }
        }
        if pieces.is_empty() {
            return Ok(());
        }
        let list = self.gpu().upload("splines", &to_bytes(&pieces))?;
        let parameters = SplineUniforms {
            target_size: self.size().to_array(),
            pieces: pieces.len() as u32,
        };
        let uniform = self.gpu().uniform("splines", &parameters);
        self.outlined_layer(
            &SHADER,
            ["spline_vertex", "spline_fragment"],
            &[(0, uniform.binding()), (1, list.binding())],
            PARTS * pieces.len() as u32,
            clip,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use glam::vec2;

    use super::*;

    #[test]
    fn curves_begin_and_end_at_their_points_and_are_smooth() {
        let points = [
            vec2(0.0, 0.0),
            vec2(10.0, 30.0),
            vec2(40.0, -5.0),
            vec2(60.0, 8.0),
        ];
        let pieces = pieces_of(&points);
        assert!(pieces[0][0].distance(points[0]) < 1e-5);
        assert!(pieces[pieces.len() - 1][3].distance(points[3]) < 1e-5);
        for pair in pieces.windows(2) {
            assert!(pair[0][3].distance(pair[1][0]) < 1e-4);
            // The same direction and speed on both sides.
            let [before, after] = [pair[0][3] - pair[0][2], pair[1][1] - pair[1][0]];
            assert!(before.distance(after) < 1e-4, "{before} {after}");
        }
        assert!(pieces_of(&[]).is_empty());
        let straight = pieces_of(&[vec2(0.0, 5.0), vec2(9.0, 5.0)]);
        assert!(
            straight
                .iter()
                .flatten()
                .all(|point| (point.y - 5.0).abs() < 1e-5)
        );
    }
}
