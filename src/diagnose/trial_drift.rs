//! Whether what the leading finding is about goes on in a trial: a change that only slows a drift cures a run for as long as it
//! takes to fail later.

use super::finding::{Explanation, Finding};
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic};

/// Records of a trial that are needed to say anything.
const LEAST_RECORDS: usize = 24;
/// The share of the way of the unchanged run that a quarter of a trial must go for the drift to go on.
const GOES_ON: f64 = 0.1;

/// Looks at the quantity of the leading finding in the trial of every fix that cured the run, and says in the fix whether it still
/// drifts. Returns the settings of those fixes with which it does.
pub(super) fn delayed(run: &RunView, explanation: &mut Explanation) -> Vec<Vec<String>> {
    let Some(drift) = explanation
        .findings
        .first()
        .and_then(|leading| Drift::new(run, leading))
    else {
        return Vec::new();
    };
    let mut delayed = Vec::new();
    let fixes = explanation
        .findings
        .iter_mut()
        .flat_map(|finding| &mut finding.fixes);
    for fix in fixes.filter(|fix| fix.verified == Some(true)) {
        let trial = fix.trial.as_ref().map(|trial| run.folder().join(trial));
        let Some(trial) = trial.and_then(|trial| RunView::open(&trial).ok()) else {
            continue;
        };
        let Some((goes_on, sentence)) = drift.in_trial(&trial) else {
            continue;
        };
        if let Some(result) = &mut fix.result {
            result.push_str(&sentence);
        }
        if goes_on {
            delayed.push(fix.set.clone());
        }
    }
    delayed
}

/// What drifted in the unchanged run.
struct Drift<'a> {
    run: &'a RunView,
    layer: &'a str,
    statistic: Statistic,
    /// From the step since which it drifted to the one that shows it best.
    way: f64,
}

impl<'a> Drift<'a> {
    /// The drift of a finding about an extreme of what a layer gives.
    fn new(run: &'a RunView, finding: &Finding) -> Option<Drift<'a>> {
        let statistic = finding.statistic?;
        let extreme = matches!(statistic, Statistic::Min | Statistic::Max);
        let entry = run
            .layout()
            .find(finding.layer.as_deref()?, TensorKind::Activation)?;
        let layer = run.model().layer(&entry.tensor)?.name.as_str();
        let series = extremes(run, layer, statistic)?;
        let at = |step: u64| {
            let known = series.iter().find(|(known, _)| *known >= step);
            known.map(|(_, value)| *value)
        };
        let way = at(finding.step?)? - at(finding.since?)?;
        (extreme && finding.step > finding.since && way.abs() > 0.0).then_some(Drift {
            run,
            layer,
            statistic,
            way,
        })
    }

    /// Whether it goes on over the second half of a trial, and a sentence about it.
    fn in_trial(&self, trial: &RunView) -> Option<(bool, String)> {
        // A change may put another layer into its role, such as one with a bound.
        let role = self.run.model().layer(self.layer)?.role;
        let in_role = role.and_then(|role| trial.model().with_role(role));
        let layer = in_role.map_or(self.layer, |layer| &layer.name);
        let series = extremes(trial, layer, self.statistic)?;
        let [before, last] = second_half(&series)?;
        let goes_on = goes_on([before, last], self.way);
        let what = match self.statistic {
            Statistic::Min => "least",
            _ => "greatest",
        };
        let ending = if goes_on {
            "so the drift goes on, and the change may only delay the failure."
        } else {
            "so the drift does not go on."
        };
        Some((
            goes_on,
            format!(
                " The {what} value of {layer} went from {} to {} over the last half of it, {ending}",
                short(before),
                short(last)
            ),
        ))
    }
}

/// The least or the greatest value of a layer's output at each recorded step, where it is finite.
fn extremes(run: &RunView, layer: &str, statistic: Statistic) -> Option<Vec<(u64, f64)>> {
    let rows = run.layout().find(layer, TensorKind::Activation)?.rows();
    let is_least = statistic == Statistic::Min;
    let mut series = Vec::new();
    let read = run.each_record(|step, statistics| {
        let values = statistics[rows.clone()]
            .iter()
            .map(|unit| f64::from(unit.get(statistic)))
            .filter(|value| value.is_finite());
        let extreme = if is_least {
            values.reduce(f64::min)
        } else {
            values.reduce(f64::max)
        };
        series.extend(extreme.map(|extreme| (step, extreme)));
    });
    read.ok().map(|()| series)
}

/// The medians of the third and the last quarter; nothing where that is too short to say anything.
fn second_half(series: &[(u64, f64)]) -> Option<[f64; 2]> {
    let (quarter, end) = (series.len() / 4, series.len());
    let is_enough = end >= LEAST_RECORDS;
    is_enough.then(|| {
        [
            median(&series[end - 2 * quarter..end - quarter]),
            median(&series[end - quarter..]),
        ]
    })
}

/// Whether that is a part of the way of the unchanged run, in its direction.
fn goes_on([before, last]: [f64; 2], way: f64) -> bool {
    (last - before) * way.signum() > GOES_ON * way.abs()
}

fn median(series: &[(u64, f64)]) -> f64 {
    let mut values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::{goes_on, second_half};

    fn is_drifting(value: impl Fn(u64) -> f64, way: f64) -> bool {
        let series: Vec<(u64, f64)> = (0..80).map(|step| (step, value(step))).collect();
        goes_on(second_half(&series).expect("long enough"), way)
    }

    #[test]
    fn a_slower_drift_goes_on_and_a_bounded_one_does_not() {
        // The unchanged run sank by 4.
        let slow = |step: u64| -5.0 - 0.03 * step as f64;
        assert!(is_drifting(slow, -4.0));
        // Thrown back, it begins again.
        let again = |step: u64| {
            if step < 20 {
                -6.0
            } else {
                -1.0 - 0.03 * (step - 20) as f64
            }
        };
        assert!(is_drifting(again, -4.0));
        let bounded = |step: u64| -4.0 + 3.0 * (-0.2 * step as f64).exp();
        assert!(!is_drifting(bounded, -4.0));
        // What comes back is no drift, and neither is another direction.
        assert!(!is_drifting(|step| -slow(step), -4.0));
        assert!(is_drifting(|step| -slow(step), 4.0));
    }

    #[test]
    fn few_records_say_nothing() {
        let series: Vec<(u64, f64)> = (0..10).map(|step| (step, -(step as f64))).collect();
        assert!(second_half(&series).is_none());
    }
}
