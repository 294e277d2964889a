//! Networks: a graph with shape inference, one file per operation, and the static plan that runs it.
//!
//! A [`Graph`] says what is computed. [`Parameters`] holds what is trainable, in one buffer. A [`Plan`] fixes a batch
//! size, places every tensor once by its lifetime and builds every dispatch once; running a step is then nothing
//! but recording them. Forward and backward are WGSL only; the float64 reference implementation of each operation is in the same
//! file and serves the tests ([`mod@reference`]).

mod clip;
mod conv2d_geometry;
mod convolution;
mod copy;
mod description;
mod graph;
pub mod initialization;
mod input_gradient;
mod loss;
pub mod losses;
pub mod matmul;
pub mod metrics;
mod mode;
mod operation;
pub mod ops;
mod optimized_tensor;
mod optimizer;
mod parameters;
mod per_sample;
mod plan;
mod probe;
pub mod reference;
mod rule;
mod schedule;
pub mod spectral_norm;
mod step_counter;
mod sums;
mod update_rule;
pub mod vectors;

pub use clip::Clip;
pub use conv2d_geometry::{Conv2dGeometry, Size2};
pub use description::{GraphDescription, LayerDescription, LossDescription, ParameterDescription};
pub use graph::{Graph, Module, Node, NodeId, Parameter, Role};
pub use initialization::Initialization;
pub use loss::{Loss, LossTerm};
pub use mode::Mode;
pub use operation::{
    Backward, Context, Differential, Forward, GradientTarget, InputGradient, Operation,
    ParameterSlice, ParameterSpec, Property, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ScratchRequest, ShapeError, ValueRange,
};
pub use optimized_tensor::OptimizedTensor;
pub use optimizer::{Adam, Optimizer, OptimizerState, RmsProp, Sgd};
pub use parameters::Parameters;
pub(crate) use plan::backward_by_rule;
pub use plan::{Plan, PlanRequest, ProbeEvent, Segment, TensorView};
pub use probe::{ParameterStage, ParameterView, Pass, Probe, ProbeOutput};
pub use rule::{BackwardRule, Propagation};
pub use schedule::Schedule;
pub use step_counter::StepCounter;
pub use update_rule::UpdateRule;
