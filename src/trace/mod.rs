//! What is recorded of a run and how it is kept: statistics of units, events, and the run directory.
//!
//! [`statistics`] turns a tensor on the GPU into [`UnitStatistics`], one for each unit; all tensors of a [`TraceLayout`]
//! share one buffer of them. A [`RunWriter`] keeps them, scalars and [`Event`]s in the run directory, in Parquet, JSON
//! and TOML that other tools read as they are; [`Checkpoint`]s are safetensors next to them. A [`RunReader`] reads the
//! directory exactly, to resume and to replay; a [`RunView`] shows what can be read of it, to report and to watch.
//!
//! Everything in a run directory is written under a temporary name and renamed, and read as untrusted input: a damaged
//! file is an error that names it.

mod checkpoint;
pub(crate) mod data_tally;
mod earlier_graph;
mod event;
mod event_file;
mod event_sentence;
mod late_records;
mod layout;
mod model_description;
mod run_info;
mod run_reader;
mod run_view;
mod run_writer;
mod safetensors;
mod segment;
mod statistics;
mod table;
mod thinning;
mod unit_series;
mod unit_statistics;
mod warning;

pub use crate::nn::{GraphDescription, LayerDescription, LossDescription, ParameterDescription};
pub use checkpoint::Checkpoint;
pub use data_tally::{ClassTally, DataOrigin, DataTally, LeftOut};
pub use event::{Event, EventKind, Severity, Subject};
pub use late_records::LateRecord;
pub use layout::{TraceEntry, TraceLayout};
pub use model_description::ModelDescription;
pub use run_info::{
    FORMAT, Half, HalfStep, Origin, RecordedOptimizer, RecordedTraining, RunInfo, Status,
};
pub use run_reader::RunReader;
pub use run_view::RunView;
pub use run_writer::RunWriter;
pub use safetensors::{read_safetensors, write_safetensors, write_safetensors_with_integers};
#[cfg(feature = "window")]
pub(crate) use segment::StatisticsFile;
pub(crate) use segment::encoded_statistics_size;
pub use statistics::{UnitLayout, Units, can_batch, statistics};
#[cfg(feature = "window")]
pub(crate) use table::{Column, encode_columns};
pub use thinning::TraceBudget;
pub use unit_series::UnitSeries;
pub use unit_statistics::{Statistic, UnitStatistics};
pub use warning::Warning;
