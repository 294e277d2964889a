//! An expanded node of the layer graph: a column of squares, one a cluster of units that behave alike, and curves along which
//! the units of a square have moved a unit.
//!
//! A square shows what its units do on the probe batch, on average: a feature map, or a cell for each sample.

use glam::vec2;

use super::canvas::Canvas;
use super::geometry::Rect;
use super::splines::Spline;
use super::theme::{self, Color, Theme, with_opacity};
use super::typeface::Align;

/// Side of a square in points.
pub const SQUARE: f32 = 46.0;
/// Between squares, and between a square and its text, in points.
const GAP: f32 = 6.0;
/// Size of the text beside a square, in points.
const TEXT: f32 = 10.5;
/// Width of the thinnest and of the widest curve, in points.
const CURVE: [f32; 2] = [0.75, 4.0];
/// From a node to where its curves are bundled, in points: half of the gap between nodes.
const BUNDLE: f32 = 12.0;
/// Shares of the largest credit below this are not drawn: they would be a haze.
const LEAST: f64 = 0.02;

/// The mean of some units on the probe batch, and what is written beside it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitSquare {
    /// Rows of `width` values: a map, or a value for each sample; the last row may be shorter.
    pub values: Vec<f32>,
    /// Values of a row.
    pub width: usize,
    /// Two short lines beside the square.
    pub text: [String; 2],
    /// Whether the square is pointed at.
    pub is_lit: bool,
}

/// What an expanded node shows instead of its chart.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeSquares {
    /// What is being done so that there are squares, in a word or two.
    Waiting(String),
    /// The squares, from the top.
    Squares(Vec<UnitSquare>),
}

/// Where a curve begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SquareEnd {
    /// The node.
    pub node: usize,
    /// Its square; the node itself where it is not expanded.
    pub square: Option<usize>,
    /// Which value of the square, such as a pixel of a map; its rim where there is none.
    pub value: Option<usize>,
}

/// Credit that flows from a square to a square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquareEdge {
    /// The left end.
    pub from: SquareEnd,
    /// The right end.
    pub to: SquareEnd,
    /// In shares of the largest, positive where it pushes up.
    pub credit: f64,
}

/// The height of a node with so many squares below its header, in points.
pub(super) fn height(header: f32, squares: usize) -> f32 {
    header + squares.max(1) as f32 * (SQUARE + GAP) + GAP
}

/// Where a square is below the header of a node, in the units of `node`, of which a point takes `scale`.
pub(super) fn square(node: Rect, header: f32, index: usize, scale: f32) -> Rect {
    let top = header + GAP / 2.0 + index as f32 * (SQUARE + GAP);
    let side = SQUARE * scale;
    // At the right, where its curves leave the node without crossing its text.
    Rect::new(
        node.right() - GAP * scale - side,
        node.top() + top * scale,
        side,
        side,
    )
}

/// The side of a value's cell in a square of so many rows and columns.
fn cell(side: f32, square: &UnitSquare) -> f32 {
    let width = square.width.max(1);
    let rows = square.values.len().div_ceil(width);
    side / rows.max(width) as f32
}

/// The colors of values: diverging around zero where some are negative, else from nothing to the largest.
fn colors<'a>(squares: &[UnitSquare], theme: &'a Theme) -> impl Fn(f32) -> Color + use<'a> {
    let finite = squares.iter().flat_map(|square| &square.values);
    let finite = finite.copied().filter(|value| value.is_finite());
    let (low, high) = finite.fold((0.0f32, 0.0f32), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let limit = high.max(-low).max(f32::MIN_POSITIVE);
    move |value: f32| match value.is_finite() {
        false => theme.nonfinite,
        true if low < 0.0 => theme::diverging_at(value / limit),
        true => theme.sequential_at(value / limit),
    }
}

impl Canvas<'_> {
    /// Draws the squares of a node; all of them share one scale of colors.
    pub(super) fn unit_squares(
        &mut self,
        node: Rect,
        header: f32,
        squares: &[UnitSquare],
        opacity: f32,
    ) {
        let theme = self.theme();
        let color = colors(squares, theme);
        for (index, shown) in squares.iter().enumerate() {
            let rect = square(node, header, index, theme.scale_factor);
            let line = theme.px(1.0).round().max(1.0);
            let (frame, width) = match shown.is_lit {
                true => (theme.highlight, 2.0 * line),
                false => (theme.axis, line),
            };
            let outer = Rect::new(
                rect.left() - width,
                rect.top() - width,
                rect.size.x + 2.0 * width,
                rect.size.y + 2.0 * width,
            );
            self.rect(outer, with_opacity(frame, opacity));
            self.rect(rect, theme.background);
            let side = cell(rect.size.x, shown);
            for (at, value) in shown.values.iter().enumerate() {
                let corner = vec2((at % shown.width) as f32, (at / shown.width) as f32);
                // Cells of whole pixels leave no seams between them.
                let low = (rect.min + corner * side).round();
                let high = (rect.min + (corner + 1.0) * side).round();
                let place = Rect {
                    min: low,
                    size: high - low,
                };
                self.rect(place, with_opacity(color(*value), opacity));
            }
            let left = node.left() + theme.px(GAP);
            let room = rect.left() - left - theme.px(GAP);
            let metrics = self.metrics();
            for (line, text) in shown.text.iter().enumerate() {
                let text = metrics.fitted(text, TEXT, room);
                let y = rect.top() + theme.px(14.0 + 14.0 * line as f32);
                let ink = if line == 0 { theme.text } else { theme.muted };
                self.text(
                    &text,
                    TEXT,
                    left,
                    y,
                    Align::Left,
                    with_opacity(ink, opacity),
                );
            }
        }
    }
}

/// The curve of an edge between nodes that are at `nodes`, in pixels; `squares` are those of each node.
pub(super) fn curve(
    edge: &SquareEdge,
    nodes: &[Rect],
    squares: &[Option<NodeSquares>],
    header: f32,
    theme: &Theme,
) -> Option<Spline> {
    let strength = edge.credit.abs().min(1.0) as f32;
    if edge.credit.abs() < LEAST || !edge.credit.is_finite() {
        return None;
    }
    let end = |end: &SquareEnd, is_left: bool| {
        let node = *nodes.get(end.node)?;
        let rim = |rect: Rect| {
            let x = if is_left { rect.right() } else { rect.left() };
            vec2(x, rect.top() + rect.size.y / 2.0)
        };
        let Some(index) = end.square else {
            return Some(rim(node));
        };
        let rect = square(node, header, index, theme.scale_factor);
        let shown = match squares.get(end.node)? {
            Some(NodeSquares::Squares(squares)) => squares.get(index),
            _ => None,
        };
        let (Some(value), Some(shown)) = (end.value, shown) else {
            return Some(rim(rect));
        };
        let side = cell(rect.size.x, shown);
        let width = shown.width.max(1);
        let at = vec2((value % width) as f32 + 0.5, (value / width) as f32 + 0.5);
        Some(rect.min + at * side)
    };
    let (from, to) = (nodes.get(edge.from.node)?, nodes.get(edge.to.node)?);
    let gap = theme.px(BUNDLE);
    let out = vec2(from.right() + gap, from.top() + from.size.y / 2.0);
    let into = vec2(to.left() - gap, to.top() + to.size.y / 2.0);
    let color = theme::diverging_at(if edge.credit > 0.0 { 0.8 } else { -0.8 });
    Some(Spline {
        points: vec![end(&edge.from, true)?, out, into, end(&edge.to, false)?],
        color: with_opacity(color, 0.2 + 0.5 * strength),
        width: theme.px(CURVE[0] + (CURVE[1] - CURVE[0]) * strength),
    })
}

#[cfg(test)]
mod tests {
    use glam::Vec2;

    use super::*;

    #[test]
    fn squares_are_within_their_node_and_apart() {
        let header = 34.0;
        let node = Rect::new(10.0, 20.0, 124.0, height(header, 6));
        let squares: Vec<Rect> = (0..6)
            .map(|index| square(node, header, index, 1.0))
            .collect();
        for (index, rect) in squares.iter().enumerate() {
            assert!(rect.left() >= node.left() && rect.right() <= node.right());
            assert!(rect.top() >= node.top() + header && rect.bottom() <= node.bottom());
            assert!(squares[..index].iter().all(|other| !other.overlaps(*rect)));
        }
    }

    #[test]
    fn colors_diverge_only_where_values_are_negative() {
        let square = |values: &[f32]| UnitSquare {
            values: values.to_vec(),
            width: 2,
            ..UnitSquare::default()
        };
        let theme = Theme::light();
        let color = colors(&[square(&[0.0, 2.0]), square(&[f32::NAN])], &theme);
        assert_eq!(color(0.0), theme.sequential_at(0.0));
        assert_eq!(color(2.0), theme.sequential_at(1.0));
        assert_eq!(color(f32::NAN), theme.nonfinite);
        let color = colors(&[square(&[-4.0, 2.0])], &theme);
        assert_eq!(color(0.0), theme::diverging_at(0.0));
        assert_eq!(color(2.0), theme::diverging_at(0.5));
    }

    #[test]
    fn curves_go_from_pixel_to_square_through_the_gap() {
        let theme = Theme::light();
        let nodes = [
            Rect::new(0.0, 0.0, 124.0, 300.0),
            Rect::new(150.0, 50.0, 124.0, 96.0),
        ];
        let shown = UnitSquare {
            values: vec![0.0; 4],
            width: 2,
            ..UnitSquare::default()
        };
        let squares = [Some(NodeSquares::Squares(vec![shown])), None];
        let edge = SquareEdge {
            from: SquareEnd {
                node: 0,
                square: Some(0),
                value: Some(3),
            },
            to: SquareEnd {
                node: 1,
                square: None,
                value: None,
            },
            credit: -0.5,
        };
        let spline = curve(&edge, &nodes, &squares, 34.0, &theme).unwrap();
        let first = square(nodes[0], 34.0, 0, 1.0);
        assert_eq!(spline.points[0], first.min + Vec2::splat(0.75 * SQUARE));
        assert!(spline.points[1].x > nodes[0].right() && spline.points[2].x < nodes[1].left());
        assert_eq!(spline.points[3], vec2(150.0, 98.0));
        let nothing = SquareEdge {
            credit: 0.0,
            ..edge
        };
        assert_eq!(curve(&nothing, &nodes, &squares, 34.0, &theme), None);
    }
}
