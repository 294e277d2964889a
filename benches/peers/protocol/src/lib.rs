//! What the contenders written in Rust share: arguments, images, the step_counter, and the line of JSON that each prints.
//!
//! The same rules hold for `pytorch.py`; README.md states them.

mod images;
mod measure;
mod workload;

pub use images::Images;
pub use measure::{Arguments, Contender, measure, version_of};
pub use workload::{ConvVae, DCGAN_WIDTHS, Workload, corner_matrix, reflection};

/// Whatever goes wrong ends the process with its message.
pub type Failure = Box<dyn std::error::Error>;
