//! Decoders that learn the variance of each pixel: a likelihood without an upper bound.

use crate::diagnose::facts::Facts;
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::symptoms::Symptoms;
use crate::nn::Role;
use crate::number::short;
use crate::trace::Severity;

/// Bytes have 255 steps, and what lies within one is spread evenly: a twelfth of the square of its width is the variance.
const STEPS_OF_BYTES: f64 = 255.0;

/// Log-variances below that of the steps in which the data are kept: a likelihood that grows by claiming a precision that
/// the data do not have.
pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let layer = facts.role(Role::ImageLogVariance)?.name.as_str();
    let series = facts.output(layer)?;
    let scale = facts.scenario.as_ref().map_or(1.0, |scenario| {
        f64::from(scenario.data.scaling().scale.abs())
    });
    let resolution = (scale / STEPS_OF_BYTES).powi(2) / 12.0;
    let limit = resolution.ln();
    let least = series.min.iter().copied().fold(f64::NAN, f64::min);
    let since = series
        .steps
        .iter()
        .zip(&series.min)
        .find(|(_, min)| **min < limit)?;
    let severity = if symptoms.nonfinite.is_some() {
        Severity::Fatal
    } else {
        Severity::Warning
    };
    let finding = Finding::new(Cause::UnboundedLikelihood, severity, 0.7)
        .layer(layer, "activation")
        .since(*since.0)
        .evidence(
            Evidence::new(format!(
                "{layer} reached {}; the steps in which pixels are kept have a variance whose logarithm is {}, so that no \
                 error is as small as that claims.",
                short(least),
                short(limit)
            ))
            .with("least", least)
            .with("resolution", limit)
            .command(format!(
                "trainscope sample {} --tensor {layer} --statistic min --keep 8",
                facts.folder()
            )),
        );
    Some(finding.fix(
        [],
        "add noise of the size of a step to the data, or use a reconstruction with a fixed variance",
    ))
}
