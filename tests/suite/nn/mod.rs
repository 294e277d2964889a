//! Networks: every kernel against its float64 twin, whole models against PyTorch.

pub mod fixture;
pub mod harness;

mod extremes;
mod graph;
mod matmul;
mod metrics;
mod normalisation;
mod operations;
mod optimiser;
mod parameters;
mod parity;
mod plan;
mod spatial;
mod spatial_fixture;
mod twins;
mod update;
mod vectors;
