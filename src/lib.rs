//! See why a generative model's training goes wrong, while it trains.
//!
//! trainscope trains variational autoencoders, GANs, classifiers and models of your own in WGSL compute shaders on any
//! [wgpu] adapter, a software one included. It records statistics of every unit, and it can run any step of a run again,
//! bit for bit, with more recorded: a run is a pure function of its scenario.
//!
//! # Example
//! Train a small variational autoencoder for ten steps, look at one unit, and select the lines that represent all units:
//!
//! ```
//! use trainscope::gpu::{AdapterChoice, Gpu};
//! use trainscope::sample::{Budget, SampleOptions, sample};
//! use trainscope::series::{Scale, SeriesBuffer};
//! use trainscope::train::{Scenario, Trainer};
//!
//! # fn main() -> trainscope::Result<()> {
//! let gpu = Gpu::new(&AdapterChoice::default())?; // or `Gpu::from_wgpu` with a device of your own
//! let scenario = Scenario::load("vae-mnist", &["train.steps=10".into(), "train.batch=32".into()])?;
//! let mut trainer = Trainer::new(&gpu, &scenario)?;
//! let (mut losses, mut means) = (Vec::new(), Vec::new());
//! while trainer.steps_done() < scenario.train.steps {
//!     trainer.step(true)?; // `true` records every unit of this step
//!     // Results come back from the GPU some steps later; the last ones are waited for.
//!     let is_last = trainer.steps_done() == scenario.train.steps;
//!     while let Some(record) = trainer.take(is_last || trainer.is_full())? {
//!         losses.push(record.scalars[0]);
//!         means.push(record.statistics.expect("every step is recorded")[0].mean);
//!     }
//! }
//! println!("loss: {losses:?}, mean of the first recorded unit: {means:?}");
//!
//! // Ten lines that represent a thousand, of any time series: here of 64 steps each.
//! let lines: Vec<f32> = (0..64_000).map(|i| (i as f32 * 0.37).sin()).collect();
//! let series = SeriesBuffer::upload(&gpu, &lines, 64, Scale::Linear)?;
//! let options = SampleOptions { budget: Budget::Keep(10), ..Default::default() };
//! assert_eq!(sample(&gpu, &series, &options)?.kept.len(), 10);
//! # Ok(())
//! # }
//! ```
//!
//! [`train::Run`] does the same and writes a run directory with checkpoints, events and tables; [`report`] makes an HTML
//! file of one.
//!
//! # The modules, in the order in which data passes through them
//! | module | what it holds |
//! | --- | --- |
//! | [`train`] | scenarios (all that a run depends on), the trainer, runs, replays |
//! | [`data`] | data sets, on the GPU or streamed to it, and their batches |
//! | [`nn`], [`models`] | operations, graphs, memory plans, optimizers; the models built from them |
//! | [`trace`] | what is recorded and how it is kept: statistics, events, checkpoints |
//! | [`series`], [`sample`] | series of units on the GPU; selection of the lines that represent all others |
//! | [`credit`] | what moved a unit during training |
//! | [`diagnose`] | what a run's records say about it |
//! | [`attribute`] | what each element of the input contributes to a unit |
//! | [`dream`] | the inputs that a unit answers most |
//! | [`patterns`] | what comes again in recorded series, what is like nothing else, words that are searched |
//! | [`budget`] | what smaller recordings of a run would still show |
//! | [`compare`] | runs side by side: where they part |
//! | [`view`], [`report`] | charts and pictures, drawn by shaders; the HTML report |
//! | [`gpu`] | adapters, buffers, kernels: below all of them |
//!
//! The guides are in the repository: [the scenario format], [the run directory], [the map of the source].
//!
//! # Features
//! - `cli` (default): the program `trainscope` and its dependencies. The library does not need it.
//! - `window` (default): the interactive window, module `app`.
//!
//! Libraries depend on `trainscope = { version = "...", default-features = false }`.
//!
//! [the scenario format]: https://github.com/trainscope/trainscope/blob/main/docs/scenarios.md
//! [the run directory]: https://github.com/trainscope/trainscope/blob/main/docs/run-directory.md
//! [the map of the source]: https://github.com/trainscope/trainscope/blob/main/ARCHITECTURE.md
// The program prints, the library does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod attribute;
#[doc(hidden)]
pub mod bench;
pub mod budget;
pub mod cluster;
pub mod compare;
pub mod credit;
pub mod data;
pub mod diagnose;
pub mod dream;
mod error;
mod files;
pub mod formats;
pub mod gpu;
mod invalid_setting;
pub mod models;
pub mod nn;
mod number;
pub mod panics;
mod parquet_pages;
pub mod patterns;
pub mod random;
pub mod report;
pub mod sample;
pub mod series;
mod signature;
mod size;
pub mod tensor;
pub mod text;
pub mod trace;
pub mod train;
pub mod view;

#[cfg(feature = "window")]
pub mod app;

pub use error::{Error, ErrorKind, Result};
pub(crate) use gpu::shader;
pub use invalid_setting::InvalidSetting;
pub use size::ByteSize;
pub use wgpu;

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
