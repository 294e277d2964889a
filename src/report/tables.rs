//! The tables of a report: how the scalars went, and what the run noticed.

use std::collections::HashMap;

use serde_json::json;

use super::chart::{Chart, value};
use super::figures::Figure;
use super::html::{anchor, escape, script_data};
use super::scalar_groups::NORMS;
use crate::number::{grouped, short};
use crate::trace::{Event, EventKind, RunView, Severity, Subject};

/// The most marks on a chart; the gravest come first.
const MAX_MARKS: usize = 60;
/// The most rows of the table of events.
const MAX_ROWS: usize = 200;
/// The most units that a row names.
const MAX_UNITS: usize = 12;

/// First, last and extreme values of every scalar.
pub(super) fn push_scalars(html: &mut String, run: &RunView) {
    let rows = run.scalars().iter();
    let rows: Vec<_> = rows
        .filter(|(name, values)| !name.starts_with(NORMS) && !values.is_empty())
        .collect();
    if rows.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Values of scalars\"><table>\n\
         <caption>Where each scalar began and ended</caption>\n<tr><th scope=\"col\">scalar</th>\
         <th scope=\"col\">first</th><th scope=\"col\">last</th><th scope=\"col\">lowest, at step</th>\
         <th scope=\"col\">highest, at step</th><th scope=\"col\">not finite</th></tr>\n",
    );
    for (name, values) in rows {
        let finite = values.iter().filter(|(_, value)| value.is_finite());
        let lowest = finite.clone().min_by(|a, b| a.1.total_cmp(&b.1));
        let highest = finite.max_by(|a, b| a.1.total_cmp(&b.1));
        let extreme = |found: Option<&(u64, f64)>| {
            found.map_or_else(
                || "none".to_owned(),
                |(step, value)| format!("{}, {step}", short(*value)),
            )
        };
        let broken = values
            .iter()
            .filter(|(_, value)| !value.is_finite())
            .count();
        let broken = match broken {
            0 => "never".to_owned(),
            count => format!("{count} of {} steps", values.len()),
        };
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{broken}</td></tr>\n",
            escape(name),
            value(values[0].1),
            value(values[values.len() - 1].1),
            extreme(lowest),
            extreme(highest),
        ));
    }
    html.push_str("</table></div>\n");
}

/// What the run noticed, linked to the charts: a step to that step in the first of the scalars, a subject to its units.
pub(super) fn push_events(html: &mut String, run: &RunView, charts: &[Chart], figures: &[Figure]) {
    html.push_str("<h2 id=\"events\">Events</h2>\n");
    if run.events().is_empty() {
        html.push_str("<p>The run noticed none while it trained.</p>\n");
        return;
    }
    html.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Events\"><table>\n<tr><th scope=\"col\">event</th>\
         <th scope=\"col\">severity</th><th scope=\"col\">subject</th><th scope=\"col\">count</th><th scope=\"col\">steps</th>\
         <th scope=\"col\">unit numbers</th><th scope=\"col\">details of the first</th></tr>\n",
    );
    let groups = rows(run);
    let left_out = groups.len().saturating_sub(MAX_ROWS);
    let chart = charts.first().map(|chart| chart.id.as_str());
    for (row, ((kind, subject), events)) in groups.into_iter().take(MAX_ROWS).enumerate() {
        let (first, last) = (events[0], events[events.len() - 1]);
        let steps = if first.step == last.step {
            step_link(chart, first.step)
        } else {
            let (first, last) = (step_link(chart, first.step), step_link(chart, last.step));
            format!("{first} to {last}")
        };
        html.push_str(&format!(
            "<tr id=\"{}\"><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{steps}</td><td>{}</td><td>{}</td></tr>\n",
            row_id(row),
            escape(&kind.name().replace('_', " ")),
            first.severity.name(),
            linked(&subject, figures),
            events.len(),
            unit_numbers(&events),
            escape(&details(first)),
        ));
    }
    html.push_str("</table></div>\n<p>");
    if left_out > 0 {
        html.push_str(&format!("{left_out} more rows are left out. "));
    }
    html.push_str("Every event is in events.jsonl.</p>\n");
    html.push_str(&script_data(" id=\"event-marks\"", &marks(run)));
}

fn row_id(row: usize) -> String {
    format!("event-{row}")
}

/// The number of a step, as a link to it in a chart.
fn step_link(chart: Option<&str>, step: u64) -> String {
    let text = grouped(step as f64, 0);
    match chart {
        Some(id) => format!("<a href=\"#{id}\" data-step=\"{step}\">{text}</a>"),
        None => text,
    }
}

/// What the charts mark of the events: those above a note, by step, each with the row that it leads to.
fn marks(run: &RunView) -> serde_json::Value {
    let mut marks: Vec<(&Event, usize)> = Vec::new();
    for (row, (_, events)) in rows(run).into_iter().take(MAX_ROWS).enumerate() {
        let shown = events
            .into_iter()
            .filter(|event| event.severity > Severity::Note);
        marks.extend(shown.map(|event| (event, row)));
    }
    marks.sort_by_key(|(event, _)| (std::cmp::Reverse(event.severity), event.step));
    marks.truncate(MAX_MARKS);
    marks.sort_by_key(|(event, _)| (event.step, std::cmp::Reverse(event.severity)));
    let mark = |(event, row): &(&Event, usize)| {
        json!({
            "step": event.step,
            "severity": event.severity.name(),
            "text": event.sentence(),
            "id": row_id(*row),
        })
    };
    marks.iter().map(mark).collect()
}

/// Rows of the table: what weighs most first; among equals what came first.
fn rows(run: &RunView) -> Vec<((&EventKind, Subject), Vec<&Event>)> {
    let mut groups = grouped_by_subject(run.events());
    groups.sort_by_key(|(_, events)| std::cmp::Reverse(events[0].severity));
    groups
}

/// The subject, as a link where a chart shows it.
fn linked(subject: &Subject, figures: &[Figure]) -> String {
    let text = escape(&subject.to_string());
    let Subject::Tensor { tensor, kind } = subject else {
        return text;
    };
    let shown = figures
        .iter()
        .filter_map(|figure| figure.units.as_ref())
        .find(|units| units.tensor == *tensor && units.kind == *kind);
    match shown {
        Some(units) => format!("<a href=\"#{}\">{text}</a>", anchor(units)),
        None => text,
    }
}

fn unit_numbers(events: &[&Event]) -> String {
    let units = events.iter().flat_map(|event| event.subject.units());
    let mut units: Vec<usize> = units.copied().collect();
    units.sort_unstable();
    units.dedup();
    let more = units.len().saturating_sub(MAX_UNITS);
    let mut names: Vec<String> = units.iter().take(MAX_UNITS).map(usize::to_string).collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

fn details(event: &Event) -> String {
    let statistics = event.statistics.iter();
    let measured =
        statistics.map(|(name, value)| format!("{} {}", name.replace('_', " "), short(*value)));
    let since = (event.since < event.step).then(|| format!("since step {}", event.since));
    let details: Vec<String> = measured.chain(since).collect();
    details.join(", ")
}

/// Events of one kind about the same tensor or scalar, in the order of the first of each.
fn grouped_by_subject(events: &[Event]) -> Vec<((&EventKind, Subject), Vec<&Event>)> {
    let mut groups: Vec<((&EventKind, Subject), Vec<&Event>)> = Vec::new();
    let mut index_of = HashMap::new();
    for event in events {
        let key = (&event.kind, event.subject.group());
        let index = *index_of.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[index].1.push(event);
    }
    groups
}
