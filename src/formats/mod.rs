//! File formats that are not trainscope's own: series from NumPy arrays and CSV tables, and numbers as NumPy arrays.

pub(crate) mod npy;
mod series;

pub use npy::write_ids;
pub use series::read_series;
