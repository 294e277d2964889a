//! Decoders that learn the variance of each pixel: a likelihood without an upper bound.

use super::vae::{OVERSHOOT, farthest_units};
use crate::diagnose::facts::Facts;
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::symptoms::{STEPS_TO_LEARN, Symptoms};
use crate::nn::Role;
use crate::number::short;
use crate::trace::{Severity, Statistic};

/// Bytes have 255 steps, and what lies within one is spread evenly: a twelfth of the square of its width is the variance.
const STEPS_OF_BYTES: f64 = 255.0;

/// How far below the logarithm of the variance of all pixels a log-variance is that claims far more than most pixels allow:
/// a standard deviation of less than a quarter of theirs.
const FAR_BELOW: f64 = 3.0;
/// Steps that a drift takes at least; a value that leaps down and fails is no drift.
const LEAST_DRIFT: u64 = 20;

/// Why the learned variance of pixels let a run fail, or what it claims too much.
pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    drift(facts, symptoms).or_else(|| below_resolution(facts, symptoms))
}

/// A log-variance of pixels without a floor that sank for a long time, until the curvature of the likelihood, which grows
/// with its exponential, let a step overshoot.
fn drift(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let failed = symptoms.nonfinite.filter(|&step| step > STEPS_TO_LEARN)?;
    let layer = facts.role(Role::ImageLogVariance)?.name.as_str();
    if facts.run.model().is_bounded_below(layer) {
        return None;
    }
    let typical = facts.data.as_ref()?.variance.max(f64::MIN_POSITIVE).ln();
    let series = facts.output(layer)?;
    let quiet = || {
        let points = series.steps.iter().copied().zip(series.min.iter().copied());
        points.filter(|(step, min)| *step < failed.saturating_sub(OVERSHOOT) && min.is_finite())
    };
    let (at, least) = quiet().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let since = quiet().find(|(_, min)| *min < typical - FAR_BELOW)?.0;
    if failed < since + LEAST_DRIFT {
        return None;
    }
    let losses = |from: u64, to: u64| {
        let values = facts.scalar("reconstruction").iter();
        let values =
            values.filter(move |(step, value)| (from..to).contains(step) && value.is_finite());
        let mut values: Vec<f64> = values.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let start = failed.saturating_sub(OVERSHOOT);
    let (quiet_losses, last_losses) = (losses(since, start), losses(start, failed + 1));
    let before = *quiet_losses.get(quiet_losses.len() / 2)?;
    let overshoot = last_losses.last().copied().unwrap_or(f64::NAN);
    let floor = (0.5 * (typical + least)).round();
    let factor = (typical - least).exp();
    let mut finding = Finding::new(Cause::LogVarianceDrift, Severity::Fatal, 0.95)
        .title("the log-variance of pixels that can be predicted exactly has no lower bound: it drifted down quietly, then a step overshot")
        .layer(layer, "activation")
        .statistic(Statistic::Min)
        .since(since)
        .evidence(
            Evidence::new(format!(
                "{layer} sank from step {since} on and reached {} at step {at}; the variance of all pixels has the \
                 logarithm {}. Where pixels can be predicted exactly nothing stops it: each unit \
                 less lowers the loss by 0.5 a pixel.",
                short(least),
                short(typical)
            ))
            .with("least", least)
            .with("of_data", typical)
            .command(format!(
                "trainscope sample {} --tensor {layer} --quantity min --keep 8",
                facts.folder()
            )),
        )
        .evidence(
            Evidence::new(format!(
                "The curvature of the likelihood is exp(-log_variance), there {} times that of an average pixel: with it a \
                 step of the same size throws the mean farther than it came. The reconstruction loss was {} from step \
                 {since} to {start} (the median), and rose to {} before a value was not finite at step {failed}.",
                short(factor),
                short(before),
                short(overshoot)
            ))
            .with("curvature", factor)
            .with("before", before)
            .with("overshoot", overshoot),
        );
    finding.units = farthest_units(facts, layer).unwrap_or_default();
    finding.step = Some(at);
    Some(finding.fix(
        [format!("model.log_variance_floor={floor:?}")],
        format!("keep the log-variance of pixels above {floor} (model.log_variance_floor), or learn none"),
    ))
}

/// Log-variances below that of the steps in which the data are kept: a likelihood that grows by claiming a precision that
/// the data do not have.
fn below_resolution(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
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
        .statistic(Statistic::Min)
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
                "trainscope sample {} --tensor {layer} --quantity min --keep 8",
                facts.folder()
            )),
        );
    Some(finding.fix(
        [],
        "add noise of the size of a step to the data, or use a reconstruction with a fixed variance",
    ))
}
