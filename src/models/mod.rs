//! Models built from `nn`.
