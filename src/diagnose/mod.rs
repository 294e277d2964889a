//! What the records of a run say about how it went.

mod static_checks;
mod summary;

pub use static_checks::static_checks;
pub use summary::summary;
