//! What the records of a run say about how it went, and why.

mod causes;
mod closer_look;
mod data_facts;
mod detected;
mod drift;
mod explain;
mod facts;
mod finding;
mod fixes;
mod label_facts;
mod push;
mod static_checks;
mod summary;
mod symptoms;
mod tensor_series;
mod ties;
mod trial;
mod trial_drift;
mod verify;

pub use closer_look::look_closer;
pub use explain::explain;
pub use finding::{Cause, Evidence, Explanation, Finding, Fix, Verdict};
pub use push::{Push, PushHop, who_pushed};
pub use static_checks::{check_scenario_of, static_checks};
pub use summary::{summary, summary_of};
pub use trial::TrialProgress;
pub use verify::{explain_with_trials, keep, verify};
