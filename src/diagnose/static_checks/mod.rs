//! What can be said of a scenario before its first step: a pure function of the scenario and of the shape of its data.
//!
//! A warning is about something that usually keeps a run from learning. It is no proof: only a run shows what happens.

mod data;
mod layers;
mod networks;
mod outputs;
mod training;

use self::networks::networks;
use crate::Result;
use crate::models::DataShape;
use crate::trace::{Severity, Warning};
use crate::train::{Run, Scenario};

/// Every warning about a scenario, the most serious first. `data` is the shape of its samples, where it is known.
///
/// ```
/// use trainscope::diagnose::static_checks;
/// use trainscope::train::Scenario;
///
/// # fn main() -> trainscope::Result<()> {
/// let scenario = Scenario::load("mlp-dead-relu", &[])?;
/// let warnings = static_checks(&scenario, None);
/// assert_eq!(warnings[0].cause, "learning_rate_too_high");
/// assert!(static_checks(&scenario.with(&warnings[0].set)?, None).is_empty());
/// # Ok(())
/// # }
/// ```
pub fn static_checks(scenario: &Scenario, data: Option<DataShape>) -> Vec<Warning> {
    let networks = networks(scenario);
    let mut warnings = outputs::check(scenario, &networks, data);
    warnings.extend(layers::check(scenario, &networks, data));
    warnings.extend(training::check(scenario));
    warnings.extend(data::check(scenario, &networks, data));
    // A stable sort: what belongs together stays together.
    warnings.sort_by_key(|warning| std::cmp::Reverse(warning.severity));
    warnings
}

/// The warnings about the scenario of a run that is about to begin, which `run.json` keeps from now on.
///
/// # Errors
/// The disk cannot be written.
pub fn check_scenario_of(run: &mut Run) -> Result<Vec<Warning>> {
    let dataset = run.trainer().dataset();
    let data = DataShape {
        sample: dataset.shape(),
        classes: dataset.classes(),
    };
    let warnings = static_checks(run.trainer().scenario(), Some(data));
    run.keep_warnings(&warnings)?;
    Ok(warnings)
}

/// A warning without settings; [`with_set`] adds them.
fn warning(
    cause: &str,
    severity: Severity,
    key: impl Into<String>,
    text: impl Into<String>,
    fix: impl Into<String>,
) -> Warning {
    Warning {
        cause: cause.to_owned(),
        severity,
        key: key.into(),
        text: text.into(),
        fix: fix.into(),
        set: Vec::new(),
    }
}

/// The warning with the settings that remove its reason.
fn with_set(warning: Warning, set: impl IntoIterator<Item = String>) -> Warning {
    Warning {
        set: set.into_iter().collect(),
        ..warning
    }
}
