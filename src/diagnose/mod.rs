//! What the records of a run say about how it went.

mod summary;

pub use summary::summary;
