//! Scenario, training loop, checkpoints, resume and replay.
