//! The steps that show how a run failed: a run that breaks at step 2 of 50 would show it in a twentieth of a chart.

use std::ops::Range;

use crate::trace::{EventKind, RunView, Severity, UnitSeries};

/// Steps that are shown before the first sign of the failure at least.
const MIN_BEFORE: u64 = 8;

/// The steps around the first non-finite value of a run, from well before the first grave event that led to it; `None`
/// where the run stayed finite, or where these are half of its steps or more.
pub fn failure_steps(run: &RunView) -> Option<Range<u64>> {
    let is_nonfinite = |value: &&(u64, f64)| !value.1.is_finite();
    let of_loss = run.scalars().get("loss").into_iter().flatten();
    let in_loss = of_loss.filter(is_nonfinite).map(|(step, _)| *step).next();
    let events = run.events();
    let in_events = events
        .iter()
        .filter(|event| event.kind == EventKind::Nonfinite)
        .map(|event| event.step);
    let broken = in_events.chain(in_loss).min()?;
    let signs = events
        .iter()
        .filter(|event| event.severity >= Severity::Serious && event.step <= broken)
        .map(|event| event.since);
    let since = signs.min().unwrap_or(broken).min(broken);
    let span = (broken - since).max(MIN_BEFORE);
    let steps = since.saturating_sub(span)..broken + span / 2 + 2;
    let last = run.scalars().values().filter_map(|values| values.last());
    let recorded = last.map(|(step, _)| step + 1).max()?;
    let is_small = (steps.end - steps.start) * 2 < recorded && steps.end <= recorded;
    is_small.then_some(steps)
}

/// A sentence that says that only these steps of a run are shown.
pub fn focus_note(steps: &Range<u64>) -> String {
    format!(
        "Steps {} to {} only, around the first non-finite value.",
        steps.start,
        steps.end - 1
    )
}

/// The values of these steps, of ascending (step, value).
pub fn scalars_within(values: &[(u64, f64)], steps: &Range<u64>) -> Vec<(u64, f64)> {
    let within = values.iter().filter(|(step, _)| steps.contains(step));
    within.copied().collect()
}

/// The values of these steps; all where fewer than two were recorded among them.
pub fn series_within(series: UnitSeries, steps: &Range<u64>) -> UnitSeries {
    let from = series.steps.partition_point(|step| *step < steps.start);
    let to = series.steps.partition_point(|step| *step < steps.end);
    if to < from + 2 {
        return series;
    }
    let values = series.rows().flat_map(|row| &row[from..to]).copied();
    UnitSeries {
        values: values.collect(),
        steps: series.steps[from..to].to_vec(),
        units: series.units,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_cut_unit_by_unit() {
        let series = UnitSeries {
            steps: vec![0, 10, 20, 30],
            units: 2,
            values: vec![0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0],
        };
        let cut = series_within(series.clone(), &(5..25));
        assert_eq!(cut.steps, [10, 20]);
        assert_eq!(cut.values, [1.0, 2.0, 11.0, 12.0]);
        assert_eq!(series_within(series, &(5..15)).steps.len(), 4);
        assert_eq!(scalars_within(&[(1, 0.5), (4, 0.25)], &(2..9)), [(4, 0.25)]);
    }
}
