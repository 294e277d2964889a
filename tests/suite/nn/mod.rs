//! Networks: every kernel against its float64 reference, whole models against PyTorch.

pub mod fixture;
pub mod harness;

mod extremes;
mod graph;
mod input_gradient;
mod matmul;
mod metrics;
mod normalization;
mod operations;
mod optimizer;
mod parameters;
mod parity;
mod passes;
mod plan;
mod references;
mod rules;
mod spatial;
mod spatial_fixture;
mod update_rule;
mod vectors;
