//! The integration tests, in one binary so that they link once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod adversarial;
mod capture;
mod checkpoint;
#[cfg(feature = "cli")]
mod commands;
mod custom_model;
mod data;
mod earlier_runs;
mod errors;
mod events;
mod failures;
mod formats;
mod gpu;
mod image_loads;
mod interchange;
mod memory;
mod nn;
mod report;
mod run_directory;
mod run_view;
mod sample;
mod scenario;
mod shaders;
mod stateful;
mod trace;
mod train;
mod two_stream;
mod view;
mod whole_suite;
