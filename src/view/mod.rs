//! Draws into textures: polylines, density, charts and image grids.
//!
//! A chart is in three parts. Its [`ChartLayout`] says where everything is; it is made without a GPU. Its data
//! ([`SeriesData`], [`ScalarData`]) stays on the GPU from one drawing to the next, with what is computed once. Drawing
//! ([`SeriesChart::draw`], [`LineChart::draw`]) puts both into a [`Picture`], in the theme of the picture and with some
//! lines highlighted. A [`Picker`] finds the line at a pixel.
//!
//! A [`Painter`] holds the pipelines and glyphs of a device; a [`Canvas`] collects the layers of one picture. The pieces
//! that charts are made of ([`Canvas::polylines`], [`Density`]) can be used alone. The same textures become PNG files
//! ([`Picture::write_png`]), the report and the window.

mod animation;
mod canvas;
mod caption;
mod chart_drawing;
mod chart_layout;
mod cluster_chart;
mod cluster_sheet;
mod credit_chart;
mod credit_maps;
mod density;
mod dream_sheet;
mod flow;
mod geometry;
mod glyph_atlas;
mod graph_layout;
mod image_grid;
mod label;
mod layer_graph;
mod layer_picture;
mod legend;
mod line_chart;
mod painter;
mod palette;
mod pattern_chart;
mod pick;
mod picture;
mod png;
mod polylines;
mod quads;
mod sampled_chart;
mod scalar_chart;
mod series_chart;
mod series_data;
mod signed_images;
mod sketch;
mod splines;
mod svg;
mod text_sheet;
pub mod theme;
pub mod ticks;
mod time_axis;
mod time_marks;
mod typeface;
mod unit_squares;

pub use animation::Animation;
pub use canvas::Canvas;
pub use caption::Caption;
pub use chart_layout::{ChartFrame, ChartLayout, TickMark};
pub use cluster_chart::ClusterChart;
pub use cluster_sheet::ClusterSheet;
pub use credit_chart::CreditChart;
pub use density::Density;
pub use dream_sheet::DreamSheet;
pub use flow::{FlowField, moved_texture};
pub use geometry::{Plot, Rect};
pub use glam::Vec2;
pub use graph_layout::{GraphLayout, GraphNode};
pub use image_grid::{ImageGrid, ImageRow};
pub use label::{Label, LabelRole};
pub use layer_graph::{LayerGraph, LayerGroup, LayerNode, NODE_SIZE};
pub use layer_picture::{LayerPicture, NodeEnvelope, REACH};
pub use legend::{LegendEntry, LegendKey, LineColor};
pub use line_chart::{LineChart, ScalarData, ScalarLine};
pub use painter::Painter;
pub use pattern_chart::{PatternChart, PatternPanel};
pub use pick::{PickAnswer, Picked, Picker};
pub use picture::{FORMAT, Picture};
pub(crate) use png::rgb_png;
pub use polylines::LineStyle;
pub use sampled_chart::{SampledChart, UnitsOf};
pub use scalar_chart::ScalarChart;
pub(crate) use scalar_chart::merged;
pub use series_chart::SeriesChart;
pub use series_data::{LineClasses, Representatives, SeriesData, ShownLines};
pub use signed_images::SignedImages;
pub use splines::Spline;
pub use text_sheet::{TextLine, TextSheet};
pub use theme::Theme;
pub use time_axis::{MAX_FOLDED, StepSpan, TimeAxis, TimeScale};
pub use time_marks::{EventMark, Moment, TimeMarks};
pub use typeface::{Align, TextMetrics};
pub use unit_squares::{NodeSquares, SQUARE, SquareEdge, SquareEnd, UnitSquare};
