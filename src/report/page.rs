//! The page itself.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::figures::Figure;
use crate::number::short;
use crate::trace::{Event, EventKind, RunView, Subject};

/// The most rows of the table of events.
const MAX_ROWS: usize = 200;
/// The most units that a row names.
const MAX_UNITS: usize = 12;

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #ffffff; --text: #18202c; --muted: #4d5866; --line: #e4e8ed; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --text: #eef1f5; --muted: #aab3bf; --line: #262d37; } }
body { margin: 2rem auto; max-width: 900px; padding: 0 1rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
.facts { color: var(--muted); margin: 0 0 1.5rem; }
img { max-width: 100%; height: auto; display: block; margin: 0 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; } th { text-align: left; font-weight: 600; }
th, td { padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
pre { padding: 1rem; border: 1px solid var(--line); overflow-x: auto; font-size: .85rem; }
";

/// What a page shows of a run, besides what the run holds itself.
pub(super) struct Page<'a> {
    pub run: &'a RunView,
    pub findings: &'a [String],
    pub figures: &'a [Figure],
    /// Why some figures are not among them.
    pub missing: &'a [String],
}

impl Page<'_> {
    /// The whole page as one HTML file.
    pub fn html(&self) -> String {
        let name = escape(&self.run.name());
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name}: trainscope report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>{name}</h1>\n<p class=\"facts\">{}</p>\n",
            self.facts()
        );
        html.push_str("<h2>What was seen</h2>\n<ul>\n");
        for finding in self.findings {
            html.push_str(&format!("<li>{}</li>\n", escape(finding)));
        }
        html.push_str("</ul>\n<h2>Pictures</h2>\n");
        for figure in self.figures {
            push_figure(&mut html, figure);
        }
        for missing in self.missing {
            html.push_str(&format!("<p>{}</p>\n", escape(missing)));
        }
        self.push_events(&mut html);
        self.push_problems(&mut html);
        html.push_str("<h2>Scenario</h2>\n");
        html.push_str(&match self.run.scenario() {
            Some(scenario) => format!("<pre>{}</pre>\n", escape(scenario)),
            None => "<p>The run directory has no readable scenario.toml.</p>\n".to_owned(),
        });
        html.push_str("</body>\n</html>\n");
        html
    }

    /// Where, for how long and how well the run went, in one line.
    fn facts(&self) -> String {
        let Some(info) = self.run.info() else {
            return "run.json is damaged: status, steps and adapter are not known".to_owned();
        };
        format!(
            "{} of {} steps, {}; seed {}; {} ({}, {}); trainscope {}",
            info.steps_done,
            info.steps,
            escape(&info.status.to_string()),
            info.seed,
            escape(&info.adapter),
            escape(&info.backend),
            escape(&info.driver),
            escape(&info.version),
        )
    }

    /// What of the run directory could not be read.
    fn push_problems(&self, html: &mut String) {
        if self.run.problems().is_empty() {
            return;
        }
        html.push_str("<h2>Damaged parts</h2>\n<p>These are left out above.</p>\n<ul>\n");
        for problem in self.run.problems() {
            html.push_str(&format!("<li>{}</li>\n", escape(&problem.to_string())));
        }
        html.push_str("</ul>\n");
    }

    fn push_events(&self, html: &mut String) {
        html.push_str("<h2>Events</h2>\n");
        if self.run.events().is_empty() {
            html.push_str("<p>None: no non-finite value, no dead unit, no spike.</p>\n");
            return;
        }
        html.push_str(
            "<table>\n<tr><th>event</th><th>severity</th><th>subject</th><th>times</th><th>steps</th><th>units</th><th>the first</th></tr>\n",
        );
        for ((kind, subject), events) in grouped(self.run.events()).into_iter().take(MAX_ROWS) {
            let (first, last) = (events[0], events[events.len() - 1]);
            let steps = if first.step == last.step {
                first.step.to_string()
            } else {
                format!("{} to {}", first.step, last.step)
            };
            let units = events.iter().filter_map(|event| event.subject.unit_index());
            let mut units: Vec<usize> = units.collect();
            units.sort_unstable();
            units.dedup();
            let more = units.len().saturating_sub(MAX_UNITS);
            let mut names: Vec<String> =
                units.iter().take(MAX_UNITS).map(usize::to_string).collect();
            if more > 0 {
                names.push(format!("and {more} more"));
            }
            let statistics = first.statistics.iter();
            let measured = statistics.map(|(name, value)| format!("{name} {}", short(*value)));
            let since = (first.since < first.step).then(|| format!("since step {}", first.since));
            let details: Vec<String> = measured.chain(since).collect();
            html.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{steps}</td><td>{}</td><td>{}</td></tr>\n",
                escape(kind.name()),
                first.severity.name(),
                escape(&subject.to_string()),
                events.len(),
                names.join(", "),
                escape(&details.join(", ")),
            ));
        }
        html.push_str("</table>\n<p>Every event is in events.jsonl.</p>\n");
    }
}

/// Events of one kind about the same tensor or scalar, in the order of the first of each.
fn grouped(events: &[Event]) -> Vec<((&EventKind, Subject), Vec<&Event>)> {
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

/// A picture that follows the reader's color scheme.
fn push_figure(html: &mut String, figure: &Figure) {
    let data = |png: &[u8]| format!("data:image/png;base64,{}", BASE64.encode(png));
    html.push_str(&format!(
        "<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\">\
         <img width=\"{}\" alt=\"{}\" src=\"{}\"></picture>\n",
        data(&figure.dark),
        figure.width.round(),
        escape(&figure.alt),
        data(&figure.light)
    ));
}

/// Text as HTML shows it, in element content and in quoted attributes alike.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\0' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<script>alert(\"a\" & 'b')</script>\0"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;\u{fffd}"
        );
    }
}
