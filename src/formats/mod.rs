//! File formats that are not trainscope's own: series from NumPy arrays and CSV tables, and numbers as NumPy arrays.

mod csv_table;
mod layout;
pub(crate) mod npy;
mod parquet;
mod series;
mod series_file;

pub use layout::{Header, LinesAre, ReadOptions, TableLayout};
pub use npy::{write_ids, write_values};
pub use series::read_series;
pub use series_file::SeriesFile;
