//! The integration tests, in one binary so that they link once.

mod support;

mod checkpoint;
mod data;
mod gpu;
mod nn;
mod report;
mod run_directory;
mod sample;
mod shaders;
mod stateful;
mod trace;
mod view;
