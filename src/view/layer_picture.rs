//! The layer graph as a picture: a node with a small chart for each layer, and curves along which values flow.
//!
//! Each chart shows the envelope of a layer's units around the chosen step, which is in its middle: the lowest and the
//! highest value of all units at each column of the time axis. A node's frame says how bad the worst event is that it has
//! had up to the chosen step.

use std::collections::BTreeMap;

use glam::Vec2;

use super::canvas::Canvas;
use super::geometry::{Plot, Rect};
use super::layer_graph::{HEADER, LayerGraph, NODE_SIZE};
use super::painter::Painter;
use super::picture::Picture;
use super::polylines::LineStyle;
use super::splines::Spline;
use super::theme::{self, Color, LINE_WIDTH, STRONG_LINE_WIDTH, Theme, with_opacity};
use super::typeface::Align;
use super::unit_squares::{self, NodeSquares, SquareEdge};
use crate::Result;
use crate::number::short;
use crate::series::{Scale, SeriesBuffer, ValueScale};
use crate::trace::Severity;

/// Size of the title of a node and of the line below it, in points.
const TITLE: f32 = 12.5;
const DETAIL: f32 = 11.0;
/// Height of the line of values below a chart, in points.
const VALUE: f32 = 17.0;
/// Columns of the time axis on either side of the chosen one.
pub const REACH: usize = 24;
/// Width of an edge without credit, and of the strongest one, in points.
const EDGE: [f32; 2] = [1.25, 7.0];
/// What is left of the opacity of nodes that are not lit.
const DIMMED: f32 = 0.35;

/// The lowest and the highest value of all units of a node at each column of the time axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeEnvelope {
    /// The lowest.
    pub low: Vec<f32>,
    /// The highest.
    pub high: Vec<f32>,
}

/// What is shown of a graph.
#[derive(Debug, Clone)]
pub struct LayerPicture<'a> {
    /// The graph.
    pub graph: &'a LayerGraph,
    /// For each node its envelope, where its quantity is recorded.
    pub envelopes: &'a [Option<NodeEnvelope>],
    /// For each node the worst event so far.
    pub health: &'a [Option<Severity>],
    /// The column that is in the middle of each chart.
    pub column: usize,
    /// The node that is chosen.
    pub chosen: Option<usize>,
    /// Nodes that are lit while the rest dims; empty where none is pointed at.
    pub lit: &'a [usize],
    /// The credit that flows along each edge, by its number, in shares of the largest: positive pushes up.
    pub credit: &'a BTreeMap<usize, f64>,
    /// For each node its squares, where it is expanded; the list may end before the nodes do.
    pub squares: &'a [Option<NodeSquares>],
    /// Credit from square to square, drawn over the nodes.
    pub square_edges: &'a [SquareEdge],
}

impl LayerPicture<'_> {
    /// Width and height that the picture needs, in points.
    pub fn size(&self) -> [f32; 2] {
        self.graph
            .layout
            .size
            .ceil()
            .max(Vec2::splat(1.0))
            .to_array()
    }

    /// The plot of a node's chart, in points.
    fn plot(&self, node: usize) -> Plot {
        let rect = self.graph.layout.nodes[node];
        let middle = self.column as f32;
        Plot {
            rect: Rect::new(
                rect.left() + 4.0,
                rect.top() + HEADER,
                NODE_SIZE[0] - 8.0,
                NODE_SIZE[1] - HEADER - VALUE,
            ),
            first: middle - REACH as f32,
            last: middle + REACH as f32,
            bottom: -0.06,
            top: 1.06,
        }
    }

    /// Draws the picture, without waiting for it.
    ///
    /// # Errors
    /// The adapter has no room for the series of the charts.
    pub fn draw(&self, painter: &Painter, picture: &Picture) -> Result<()> {
        let mut canvas = Canvas::new(painter, picture);
        self.groups(&mut canvas);
        self.edges(&mut canvas)?;
        for node in 0..self.graph.nodes.len() {
            self.node(&mut canvas, node);
        }
        for node in 0..self.graph.nodes.len() {
            match self.squares.get(node).and_then(Option::as_ref) {
                Some(squares) => self.expanded(&mut canvas, node, squares),
                None => self.chart(&mut canvas, node)?,
            }
        }
        self.square_edges(&mut canvas)?;
        canvas.finish();
        Ok(())
    }

    fn is_dimmed(&self, node: usize) -> bool {
        !self.lit.is_empty() && !self.lit.contains(&node)
    }

    fn groups(&self, canvas: &mut Canvas<'_>) {
        let theme = canvas.theme();
        for (group, rect) in self.graph.groups.iter().zip(&self.graph.layout.groups) {
            if rect.size.min_element() <= 0.0 {
                continue;
            }
            frame(canvas, scaled(*rect, theme), theme.grid, theme.px(1.0));
            let at = (rect.min + Vec2::new(7.0, 14.0)) * theme.scale_factor;
            let text = format!("{} −", group.name);
            canvas.text(&text, TITLE, at.x, at.y, Align::Left, theme.muted);
        }
    }

    fn edges(&self, canvas: &mut Canvas<'_>) -> Result<()> {
        let theme = canvas.theme();
        let curve = |(number, points): (usize, &Vec<Vec2>)| {
            let (from, to) = self.graph.edges[number];
            let share = self.credit.get(&number).copied();
            let strength = share.map_or(0.0, |share| share.abs().min(1.0) as f32);
            let color = match share {
                Some(share) if share != 0.0 => {
                    let color = theme::diverging_at(if share > 0.0 { 0.8 } else { -0.8 });
                    with_opacity(color, 0.35 + 0.65 * strength)
                }
                _ => theme.axis,
            };
            let is_dimmed = self.is_dimmed(from) || self.is_dimmed(to);
            let opacity = if is_dimmed { DIMMED } else { 1.0 };
            Spline {
                points: points
                    .iter()
                    .map(|point| *point * theme.scale_factor)
                    .collect(),
                color: with_opacity(color, opacity),
                width: theme.px(EDGE[0] + (EDGE[1] - EDGE[0]) * strength),
            }
        };
        let edges = self.graph.layout.edges.iter().enumerate();
        let splines: Vec<Spline> = edges.map(curve).collect();
        let size = canvas.size();
        let all = Rect::new(0.0, 0.0, size.x, size.y);
        canvas.splines(&splines, all)
    }

    fn expanded(&self, canvas: &mut Canvas<'_>, index: usize, squares: &NodeSquares) {
        let theme = canvas.theme();
        let rect = scaled(self.graph.layout.nodes[index], theme);
        let opacity = if self.is_dimmed(index) { DIMMED } else { 1.0 };
        match squares {
            NodeSquares::Squares(squares) => {
                canvas.unit_squares(rect, HEADER, squares, opacity);
            }
            NodeSquares::Waiting(text) => {
                let room = rect.size.x - theme.px(12.0);
                let text = canvas.metrics().fitted(text, DETAIL, room);
                let (x, y) = (
                    rect.left() + theme.px(6.0),
                    rect.top() + theme.px(HEADER + 18.0),
                );
                let color = with_opacity(theme.muted, opacity);
                canvas.text(&text, DETAIL, x, y, Align::Left, color);
            }
        }
    }

    fn square_edges(&self, canvas: &mut Canvas<'_>) -> Result<()> {
        let theme = canvas.theme();
        let nodes = self.graph.layout.nodes.iter();
        let nodes: Vec<Rect> = nodes.map(|rect| scaled(*rect, theme)).collect();
        let edges = self.square_edges.iter();
        let splines: Vec<Spline> = edges
            .filter_map(|edge| unit_squares::curve(edge, &nodes, self.squares, HEADER, theme))
            .collect();
        let size = canvas.size();
        canvas.splines(&splines, Rect::new(0.0, 0.0, size.x, size.y))
    }

    fn node(&self, canvas: &mut Canvas<'_>, index: usize) {
        let theme = canvas.theme();
        let node = &self.graph.nodes[index];
        let rect = scaled(self.graph.layout.nodes[index], theme);
        let opacity = if self.is_dimmed(index) { DIMMED } else { 1.0 };
        canvas.rect(rect, theme.background);
        let health = self.health.get(index).copied().flatten();
        let color = health.map_or(theme.axis, |severity| severity.color(theme));
        let is_chosen = self.chosen == Some(index);
        let width = match (is_chosen, health) {
            (true, _) => 3.0,
            (false, Some(severity)) if severity > Severity::Note => 2.0,
            _ => 1.0,
        };
        let color = if is_chosen && health.is_none() {
            theme.text
        } else {
            color
        };
        frame(canvas, rect, with_opacity(color, opacity), theme.px(width));
        let room = rect.size.x - theme.px(12.0);
        let metrics = canvas.metrics();
        let sign = if node.is_collapsed { " +" } else { "" };
        let title = metrics.fitted(&format!("{}{sign}", node.name), TITLE, room);
        let detail = metrics.fitted(&node.detail, DETAIL, room);
        let left = rect.left() + theme.px(6.0);
        let text = with_opacity(theme.text, opacity);
        let muted = with_opacity(theme.muted, opacity);
        let (first, second) = (rect.top() + theme.px(15.0), rect.top() + theme.px(29.0));
        canvas.text(&title, TITLE, left, first, Align::Left, text);
        canvas.text(&detail, DETAIL, left, second, Align::Left, muted);
    }

    fn chart(&self, canvas: &mut Canvas<'_>, index: usize) -> Result<()> {
        let theme = canvas.theme();
        let points = self.plot(index);
        let plot = Plot {
            rect: scaled(points.rect, theme),
            ..points
        };
        let opacity = if self.is_dimmed(index) { DIMMED } else { 1.0 };
        let Some(envelope) = self.envelopes.get(index).and_then(Option::as_ref) else {
            let (x, y) = (
                plot.rect.left() + theme.px(2.0),
                plot.rect.top() + theme.px(18.0),
            );
            let color = with_opacity(theme.muted, opacity);
            canvas.text("not recorded", DETAIL, x, y, Align::Left, color);
            return Ok(());
        };
        let NodeEnvelope { low, high } = envelope;
        // What lies outside of the chart must not flatten what is in it.
        let from = self.column.saturating_sub(REACH).min(low.len());
        let to = (self.column + REACH + 1).min(low.len());
        let mut shown = low[from..to].to_vec();
        shown.extend(&high[from..to]);
        let scale = ValueScale::fit(Scale::for_values(&shown), &shown);
        let hair = theme.px(1.0).round().max(1.0);
        let zero = plot.to_pixel(0.0, scale.height(0.0)).y;
        if plot.rect.top() < zero && zero < plot.rect.bottom() {
            let mut left = plot.rect.left();
            while left < plot.rect.right() {
                let dash = Rect::new(left, zero.round(), theme.px(3.0), hair);
                canvas.rect(dash, with_opacity(theme.axis, opacity));
                left += theme.px(6.0);
            }
        }
        let middle = plot.to_pixel(self.column as f32, 0.0).x.round();
        let line = Rect::new(middle, plot.rect.top(), hair, plot.rect.size.y);
        canvas.rect(line, with_opacity(theme.muted, opacity));
        if !shown.is_empty() {
            let mut rows = high.clone();
            rows.extend(low);
            let series = SeriesBuffer::upload_with(canvas.gpu(), &rows, low.len(), scale)?;
            let [upper, lower] = [theme.categorical[1], theme.categorical[0]];
            let style = |line, color: Color| {
                let color = with_opacity(color, opacity);
                LineStyle::new(line, color, theme.px(LINE_WIDTH.max(STRONG_LINE_WIDTH)))
            };
            canvas.polylines(&series, &plot, &[style(1, lower), style(0, upper)])?;
        }
        self.value(canvas, envelope, plot.rect, opacity);
        Ok(())
    }

    /// The lowest and the highest value at the chosen column, below the chart.
    fn value(&self, canvas: &mut Canvas<'_>, envelope: &NodeEnvelope, rect: Rect, opacity: f32) {
        let theme = canvas.theme();
        let at = |side: &[f32]| side.get(self.column).copied();
        let (Some(low), Some(high)) = (at(&envelope.low), at(&envelope.high)) else {
            return;
        };
        let text = if low.is_finite() && high.is_finite() {
            format!("{} … {}", short(f64::from(low)), short(f64::from(high)))
        } else {
            "not finite".to_owned()
        };
        let color = if low.is_finite() && high.is_finite() {
            theme.muted
        } else {
            theme.nonfinite
        };
        let (x, y) = (rect.right() - theme.px(2.0), rect.bottom() + theme.px(12.0));
        let color = with_opacity(color, opacity);
        canvas.text(&text, DETAIL, x, y, Align::Right, color);
    }
}

fn scaled(rect: Rect, theme: &Theme) -> Rect {
    Rect {
        min: (rect.min * theme.scale_factor).round(),
        size: (rect.size * theme.scale_factor).round(),
    }
}

/// Draws the edges of a rectangle, inside of it.
fn frame(canvas: &mut Canvas<'_>, rect: Rect, color: Color, width: f32) {
    let width = width.round().max(1.0);
    let inner = rect.size.y - 2.0 * width;
    canvas.rect(
        Rect::new(rect.left(), rect.top(), rect.size.x, width),
        color,
    );
    canvas.rect(
        Rect::new(rect.left(), rect.bottom() - width, rect.size.x, width),
        color,
    );
    canvas.rect(
        Rect::new(rect.left(), rect.top() + width, width, inner),
        color,
    );
    canvas.rect(
        Rect::new(rect.right() - width, rect.top() + width, width, inner),
        color,
    );
}
