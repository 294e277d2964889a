//! Data sets: read from files, kept on the GPU, shuffled and batched there.
