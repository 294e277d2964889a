//! The integration tests, in one binary so that they link once.

mod support;

mod data;
mod gpu;
mod nn;
mod sample;
mod shaders;
mod trace;
mod view;
