//! What is recorded of a run and how it is kept: probes on the GPU and the run directory.
//!
//! [`statistics`] turns a tensor on the GPU into six figures for each unit; all tensors of a [`TraceLayout`] share
//! one buffer `[rows, 6]`. A [`RunWriter`] keeps those figures, scalars and [`Event`]s in the run directory, in
//! Parquet, JSON and TOML that other tools read as they are; [`Checkpoint`]s lie beside them as safetensors. A
//! [`RunReader`] opens the directory again, also while the run goes on or after it was killed.
//!
//! Everything in a run directory is written under a temporary name and renamed, and read as if a stranger had
//! made it: damaged files give a sentence.

mod checkpoint;
mod event;
mod layout;
mod run_info;
mod run_reader;
mod run_writer;
mod segment;
mod statistics;
mod table;
mod tensors;

pub use checkpoint::{Checkpoint, write_safetensors};
pub use event::Event;
pub use layout::{Statistic, TraceEntry, TraceLayout};
pub use run_info::{FORMAT, RunInfo, Status};
pub use run_reader::{RunReader, Series};
pub use run_writer::RunWriter;
pub use statistics::{FIGURES, Lanes, UnitLayout, Units, share_a_dispatch, statistics};
pub use tensors::read_safetensors;
