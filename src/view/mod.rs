//! Draws into textures: polylines, density, charts and image grids.
//!
//! A [`Picture`] is the target, a [`Painter`] holds pipelines and glyphs, a [`Canvas`] collects the layers of one
//! picture. Charts ([`SeriesChart`], [`LineChart`]) and the [`ImageGrid`] draw a whole picture with one call; the
//! pieces below them ([`Canvas::polylines`], [`Density`]) can be used alone. The same textures become PNG files
//! ([`Picture::write_png`]), the report and the window.

mod axes;
mod density;
mod image_grid;
mod line_chart;
mod picture;
mod png;
mod polylines;
mod quads;
mod scalar_groups;
mod series_chart;
mod text;
pub mod theme;
pub mod ticks;

pub use density::Density;
pub use image_grid::{ImageGrid, ImageRow};
pub use line_chart::{LineChart, Series};
pub use picture::{Canvas, FORMAT, Painter, Picture, Rect};
pub use polylines::{LineStyle, Lines, Plot};
pub use scalar_groups::{ScalarGroup, scalar_groups};
pub use series_chart::{Kept, SeriesChart};
pub use text::Align;
pub use theme::Theme;
