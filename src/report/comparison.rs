//! A page about several runs: where they part, what differs in their scenarios, and their scalars over each other.

use std::path::Path;

use super::chart::{Chart, value};
use super::html::{escape, slug};
use super::page::document;
use super::scalar_groups::NORMS;
use crate::Result;
use crate::compare::{Comparison, ScalarRow};
use crate::files;
use crate::trace::RunView;

/// Runs that a chart can tell apart: as many as there are colors.
const MOST_RUNS: usize = 6;

/// Writes a page that compares runs; `comparison` is of these runs.
///
/// # Errors
/// The file cannot be written.
pub fn write_comparison(runs: &[RunView], comparison: &Comparison, path: &Path) -> Result<()> {
    let mut body = String::new();
    push_runs(&mut body, runs);
    push_differences(&mut body, comparison);
    push_settings(&mut body, runs, comparison);
    push_scalars(&mut body, runs, comparison);
    let title = format!("{} runs compared", runs.len());
    let facts = "Run 0 is compared with each of the others.";
    files::write_whole(path, document(&title, facts, &body).as_bytes())
}

/// The number and the name of a run.
fn label(runs: &[RunView], index: usize) -> String {
    format!("{index}: {}", runs[index].name())
}

fn push_runs(html: &mut String, runs: &[RunView]) {
    html.push_str(
        "<h2 id=\"runs\">Runs</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Runs\"><table>\n<tr>\
         <th scope=\"col\">run</th><th scope=\"col\">folder</th><th scope=\"col\">steps</th><th scope=\"col\">status</th>\
         <th scope=\"col\">adapter</th></tr>\n",
    );
    for (index, run) in runs.iter().enumerate() {
        let info = run.info();
        let known = |text: Option<String>| escape(&text.unwrap_or_else(|| "not known".to_owned()));
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&label(runs, index)),
            escape(&run.folder().display().to_string()),
            known(info.map(|info| info.steps_done.to_string())),
            known(info.map(|info| info.status.to_string())),
            known(info.map(|info| info.adapter.clone())),
        ));
    }
    html.push_str("</table></div>\n");
}

fn push_differences(html: &mut String, comparison: &Comparison) {
    html.push_str("<h2 id=\"differences\">Where they part</h2>\n<ul>\n");
    for pair in &comparison.pairs {
        let sentence = format!("0 and {}: {}.", pair.other, pair.sentence());
        html.push_str(&format!("<li>{}</li>\n", escape(&sentence)));
    }
    for (run, problem) in &comparison.problems {
        let problem = format!("left out of {run}: {problem}");
        html.push_str(&format!("<li>{}</li>\n", escape(&problem)));
    }
    html.push_str("</ul>\n");
}

fn push_settings(html: &mut String, runs: &[RunView], comparison: &Comparison) {
    html.push_str("<h2 id=\"settings\">Settings that differ</h2>\n");
    if comparison.settings.is_empty() {
        html.push_str("<p>None.</p>\n");
        return;
    }
    let heads = (0..runs.len())
        .map(|index| format!("<th scope=\"col\">{}</th>", escape(&label(runs, index))));
    html.push_str(&format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Settings that differ\"><table>\n<tr>\
         <th scope=\"col\">key</th>{}</tr>\n",
        heads.collect::<String>()
    ));
    for setting in &comparison.settings {
        let cells = setting.values.iter().map(|value| {
            let text = match value {
                serde_json::Value::Null => "\u{2013}".to_owned(),
                other => other.to_string(),
            };
            format!("<td>{}</td>", escape(&text))
        });
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th>{}</tr>\n",
            escape(&setting.key),
            cells.collect::<String>()
        ));
    }
    html.push_str("</table></div>\n");
}

/// A chart of each scalar that is no norm of a gradient, and a table of where it ended.
fn push_scalars(html: &mut String, runs: &[RunView], comparison: &Comparison) {
    html.push_str("<h2 id=\"scalars\">Scalars</h2>\n");
    let rows = comparison.scalars.iter();
    for row in rows.filter(|row| !row.name.starts_with(NORMS)) {
        html.push_str(&scalar_chart(runs, comparison, row).html(3));
        push_ends(html, runs, row);
    }
}

fn scalar_chart(runs: &[RunView], comparison: &Comparison, row: &ScalarRow) -> Chart {
    let values = |run: &RunView| run.scalars().get(&row.name).cloned().unwrap_or_default();
    let lines = (0..runs.len()).map(|index| (label(runs, index), values(&runs[index])));
    let lines: Vec<_> = lines.filter(|(_, values)| !values.is_empty()).collect();
    let mut caption = match comparison.first_difference() {
        Some((_, first)) => format!("The first difference of any run is at step {}.", first.step),
        None => String::new(),
    };
    if lines.len() > MOST_RUNS {
        caption += &format!(" Of {} runs the first {MOST_RUNS} are drawn.", lines.len());
    }
    Chart {
        id: format!("chart-{}", slug(&row.name)),
        title: row.name.clone(),
        y_title: row.name.clone(),
        caption,
        focus: None,
        has_events: false,
        scalars: vec![row.name.clone()],
        lines: lines.into_iter().take(MOST_RUNS).collect(),
    }
}

fn push_ends(html: &mut String, runs: &[RunView], row: &ScalarRow) {
    html.push_str(&format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{name} of each run\"><table>\n\
         <caption>{name} of each run</caption>\n<tr><th scope=\"col\">run</th><th scope=\"col\">last</th>\
         <th scope=\"col\">at step</th><th scope=\"col\">lowest</th><th scope=\"col\">highest</th>\
         <th scope=\"col\">not finite</th></tr>\n",
        name = escape(&row.name)
    ));
    for (index, scalar) in row.runs.iter().enumerate() {
        let name = escape(&label(runs, index));
        let Some(scalar) = scalar else {
            html.push_str(&format!(
                "<tr><th scope=\"row\">{name}</th><td colspan=\"5\">not recorded</td></tr>\n"
            ));
            continue;
        };
        let extreme = |found: Option<f64>, step: Option<u64>| match (found, step) {
            (Some(found), Some(step)) => format!("{}, at step {step}", value(found)),
            _ => "none".to_owned(),
        };
        html.push_str(&format!(
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            value(scalar.last),
            scalar.final_step,
            extreme(scalar.min, scalar.min_step),
            extreme(scalar.max, scalar.max_step),
            match scalar.first_nonfinite {
                Some(step) => format!("{} values since step {step}", scalar.nonfinite),
                None => "never".to_owned(),
            }
        ));
    }
    html.push_str("</table></div>\n");
}
