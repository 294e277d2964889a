//! The integration tests, in one binary so that they link once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod adversarial;
#[cfg(feature = "cli")]
mod analysis_commands;
mod around_events;
mod attribute;
mod branch;
mod budget;
mod capture;
mod checkpoint;
mod cluster;
#[cfg(feature = "cli")]
mod commands;
mod compare;
mod credit;
mod custom_model;
mod data;
mod diagnose;
#[cfg(all(feature = "cli", feature = "window", target_os = "linux"))]
mod display;
mod dream;
#[cfg(feature = "cli")]
mod driver_faults;
mod earlier_runs;
mod errors;
mod events;
mod exact_graph;
mod exchange;
mod failures;
mod formats;
mod frozen;
mod gpu;
mod image_loads;
mod interchange;
mod losses;
mod memory;
mod nn;
mod patterns;
#[cfg(feature = "cli")]
mod printed_commands;
mod probe_lines;
mod report;
mod report_browser;
mod run_directory;
mod run_view;
mod sample;
mod scenario;
#[cfg(feature = "cli")]
mod scenario_commands;
mod second_latent;
mod shaders;
mod stateful;
mod static_checks;
mod symptoms;
mod tolerance;
mod trace;
mod train;
mod two_stream;
mod validation;
mod verify;
mod view;
mod whole_suite;
