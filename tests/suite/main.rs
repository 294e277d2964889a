//! The integration tests, in one binary so that they link once.

mod support;

mod data;
mod shaders;
mod view;
