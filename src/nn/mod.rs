//! Networks: a graph with shape inference, operations, losses, optimisers and the static plan.

pub mod matmul;
