//! Networks: a graph with shape inference, one file per operation, and the static plan that runs it.
//!
//! A [`Graph`] says what is computed. [`Parameters`] holds what is learnt, in one buffer. A [`Plan`] fixes a batch
//! size, places every tensor once by its lifetime and builds every dispatch once; running a step is then nothing
//! but recording them. Forward and backward are WGSL only; the float64 twin of each operation stands beside it and
//! serves the tests ([`mod@reference`]).

mod clip;
mod convolution;
mod copy;
mod graph;
pub mod initialisation;
pub mod losses;
pub mod matmul;
pub mod metrics;
mod operation;
pub mod ops;
mod optimiser;
mod parameters;
mod plan;
pub mod reference;
mod schedule;
pub mod spectral_norm;
mod sums;
mod update;
pub mod vectors;
mod window;

pub use clip::Clip;
pub use graph::{Graph, Node, NodeId, Parameter};
pub use initialisation::Initialisation;
pub use operation::{
    Backward, Context, Forward, GradientTarget, Misfit, Operation, ParameterSlice, ParameterSpec,
    ReferenceBackward, ReferenceForward, ReferenceGradients, Saved,
};
pub use optimiser::{Adam, Optimiser, OptimiserState, RmsProp, Sgd};
pub use parameters::Parameters;
pub use plan::{Event, Plan, PlanOptions, PlanSize, Quantity, Watched};
pub use schedule::Schedule;
pub use update::Update;
pub use window::{Pair, Window};
