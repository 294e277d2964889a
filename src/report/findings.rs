//! The verdict and its findings, in the words of `trainscope explain`, each with what supports it and what removes it.

use serde_json::json;

use super::chart::Chart;
use super::figures::{Figure, push_figure};
use super::html::{anchor, escape};
use super::scalars::trial_chart;
use crate::diagnose::{Explanation, Finding, Fix};
use crate::number::grouped;
use crate::trace::RunView;
use crate::view::UnitsOf;

/// Samples that a finding names.
const SAMPLES: usize = 12;

/// What shows a finding.
pub(super) struct Shown<'a> {
    /// Its units, where a chart of them was drawn.
    pub units: Option<UnitsOf>,
    /// The chart of the scalar that tells most of it.
    pub chart: Option<&'a Chart>,
}

/// The verdict, with the sentences about the run below it.
pub(super) fn push_verdict(html: &mut String, explanation: &Explanation, summary: &[String]) {
    let word = explanation.verdict.name();
    let headline = escape(&explanation.headline);
    html.push_str(&format!(
        "<h2 id=\"verdict\">Verdict</h2>\n<p class=\"verdict {word}\">{headline}</p>\n<ul>\n"
    ));
    let rest = summary
        .iter()
        .filter(|sentence| **sentence != explanation.headline);
    for sentence in rest {
        html.push_str(&format!("<li>{}</li>\n", escape(sentence)));
    }
    html.push_str("</ul>\n");
}

/// All findings, and what could not be looked at. A figure is on the page once: in the first finding that it shows.
pub(super) fn push_findings(
    html: &mut String,
    run: &RunView,
    explanation: &Explanation,
    shown: &[Shown<'_>],
    figures: &[Figure],
) {
    if explanation.findings.is_empty() && explanation.unknown.is_empty() {
        return;
    }
    html.push_str("<h2 id=\"findings\">Findings</h2>\n");
    let mut used: Vec<&UnitsOf> = Vec::new();
    for ((finding, shown), number) in explanation.findings.iter().zip(shown).zip(1..) {
        push_finding(html, finding, number);
        push_shown(html, shown, figures, &mut used);
        for fix in &finding.fixes {
            push_fix(html, run, fix);
        }
        html.push_str("</section>\n");
    }
    if !explanation.unknown.is_empty() {
        html.push_str("<h3>Not known</h3>\n<ul>\n");
        for unknown in &explanation.unknown {
            html.push_str(&format!("<li>{}</li>\n", escape(unknown)));
        }
        html.push_str("</ul>\n");
    }
}

/// The finding's section as far as its evidence; it stays open.
fn push_finding(html: &mut String, finding: &Finding, number: usize) {
    let word = json!(finding.cause);
    html.push_str(&format!(
        "<section class=\"finding\" id=\"finding-{number}\" aria-labelledby=\"finding-{number}-title\">\n\
         <h3 id=\"finding-{number}-title\">{}</h3>\n<p>",
        escape(&finding.title)
    ));
    let severity = finding.severity.name();
    let mut badge = |class: &str, text: &str| {
        html.push_str(&format!(
            "<span class=\"badge {class}\">{}</span>",
            escape(text)
        ));
    };
    badge(severity, severity);
    badge("", word.as_str().unwrap_or_default());
    badge(
        "",
        &format!("confidence {:.0} %", 100.0 * finding.confidence),
    );
    if let Some(since) = finding.since {
        badge("", &format!("since step {}", grouped(since as f64, 0)));
    }
    if let Some(layer) = &finding.layer {
        let quantity = finding.quantity.as_deref().unwrap_or_default();
        badge("", format!("{layer} {quantity}").trim());
    }
    html.push_str("</p>\n<ul>\n");
    for evidence in &finding.evidence {
        let command = evidence.command.as_ref();
        let command = command.map(|command| format!("<pre>{}</pre>", escape(command)));
        html.push_str(&format!(
            "<li>{}{}</li>\n",
            escape(&evidence.text),
            command.unwrap_or_default()
        ));
    }
    html.push_str("</ul>\n");
    push_samples(html, &finding.samples);
}

fn push_samples(html: &mut String, samples: &[u32]) {
    if samples.is_empty() {
        return;
    }
    let named: Vec<String> = samples.iter().take(SAMPLES).map(u32::to_string).collect();
    let more = match samples.len().saturating_sub(SAMPLES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    html.push_str(&format!("<p>Samples {}{more}.</p>\n", named.join(", ")));
}

/// The picture of the units, or a link to where it is already, and a link to the chart of the scalar.
fn push_shown<'a>(
    html: &mut String,
    shown: &'a Shown<'_>,
    figures: &[Figure],
    used: &mut Vec<&'a UnitsOf>,
) {
    let mut links = Vec::new();
    if let Some(chart) = shown.chart {
        let (id, title) = (escape(&chart.id), escape(&chart.title));
        links.push(format!("<a href=\"#{id}\">{title}</a>"));
    }
    if let Some(units) = &shown.units {
        let figure = figures
            .iter()
            .find(|figure| figure.units.as_ref() == Some(units));
        match figure {
            Some(figure) if !used.contains(&units) => {
                used.push(units);
                push_figure(html, figure);
            }
            _ => links.push(format!(
                "<a href=\"#{}\">Units of {}</a>",
                anchor(units),
                escape(&units.tensor)
            )),
        }
    }
    if !links.is_empty() {
        html.push_str(&format!("<p>See also: {}.</p>\n", links.join(", ")));
    }
}

/// A change that removes the cause, what its trial showed, and the curves of both.
fn push_fix(html: &mut String, run: &RunView, fix: &Fix) {
    let badge = match fix.verified {
        Some(true) => " <span class=\"badge cured\">tried: no failure any more</span>",
        Some(false) => " <span class=\"badge refuted\">tried: it still fails</span>",
        None => "",
    };
    html.push_str(&format!(
        "<h4>To try{badge}</h4>\n<p>{}.</p>\n",
        escape(&capitalized(&fix.text))
    ));
    if !fix.set.is_empty() {
        let settings: Vec<String> = fix.set.iter().map(|set| format!("--set '{set}'")).collect();
        let scenario = run.folder().join("scenario.toml");
        html.push_str(&format!(
            "<pre>trainscope train {} {}</pre>\n",
            escape(&scenario.display().to_string()),
            escape(&settings.join(" "))
        ));
    }
    if let Some(result) = &fix.result {
        html.push_str(&format!("<p>{}</p>\n", escape(result)));
    }
    if let Some(chart) = trial_chart(run, fix) {
        html.push_str(&chart.html(4));
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
