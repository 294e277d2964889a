//! What is recorded of a run and how it is kept: probes on the GPU and the run directory.
