//! Series of many units over training steps: made even, scaled to the height of a chart, and put on the GPU.
//!
//! Sampling, density, drawing and picking read the same [`SeriesBuffer`], so that a distance between two lines means the
//! same to all of them. [`EvenSteps`] turns recorded steps, which may have gaps, into evenly spaced columns;
//! [`ValueScale`] turns values into heights, on the CPU and in `shaders/shared/scale.wgsl`; what float32 cannot tell apart is
//! turned into heights by a [`ValueAxis`] in float64 before it is uploaded.

mod axis;
mod buffer;
mod even_steps;
mod scale;
mod table;
mod thinned;

pub use axis::ValueAxis;
pub use buffer::{LineGroup, SeriesBuffer, UnitLine};
pub use even_steps::EvenSteps;
pub(crate) use even_steps::farthest;
pub use scale::{Scale, ValueScale};
pub(crate) use table::Stored;
pub use table::{Numbers, SeriesTable};
