//! trainscope trains deep generative models in WGSL compute shaders and shows why a training run goes wrong.
//!
//! The way the data goes is the order of the modules:
//! scenario ([`train`]) → [`data`] → graph and plan ([`nn`], [`models`]) → training step ([`train`]) → probes and
//! the run directory ([`trace`]) → [`sample`] → [`view`] → the window (`app`) or the [`report`].
#![deny(missing_docs, unsafe_code)]

#[doc(hidden)]
pub mod bench;
pub mod data;
pub mod diagnose;
mod error;
mod files;
pub mod formats;
pub mod gpu;
mod invalid_setting;
pub mod models;
pub mod nn;
mod number;
pub mod random;
pub mod report;
pub mod sample;
pub mod series;
mod size;
pub mod tensor;
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
