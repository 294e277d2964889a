//! The page itself.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::figures::Figure;
use crate::trace::{Event, RunInfo};
use crate::view::ticks::short;

/// Rows of events.
const MOST_ROWS: usize = 200;
/// Units that a row names.
const MOST_UNITS: usize = 12;

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

/// All that a page shows.
pub(super) struct Page<'a> {
    pub info: &'a RunInfo,
    pub findings: &'a [String],
    pub figures: &'a [Figure],
    /// Why the images are not among them.
    pub missing: Option<&'a str>,
    pub events: &'a [Event],
    pub scenario: &'a str,
}

impl Page<'_> {
    /// The whole page as one HTML file.
    pub fn html(&self) -> String {
        let info = self.info;
        let name = escape(&info.name);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name}: trainscope report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>{name}</h1>\n<p class=\"facts\">{} of {} steps, {}; seed {}; {} ({}, {}); trainscope {}</p>\n",
            info.steps_done,
            info.steps,
            escape(&info.status.to_string()),
            info.seed,
            escape(&info.adapter),
            escape(&info.backend),
            escape(&info.driver),
            escape(&info.version),
        );
        html.push_str("<h2>What was seen</h2>\n<ul>\n");
        for finding in self.findings {
            html.push_str(&format!("<li>{}</li>\n", escape(finding)));
        }
        html.push_str("</ul>\n<h2>Pictures</h2>\n");
        for figure in self.figures {
            push_figure(&mut html, figure);
        }
        if let Some(missing) = self.missing {
            html.push_str(&format!("<p>{}</p>\n", escape(missing)));
        }
        self.push_events(&mut html);
        html.push_str(&format!(
            "<h2>Scenario</h2>\n<pre>{}</pre>\n</body>\n</html>\n",
            escape(self.scenario)
        ));
        html
    }

    fn push_events(&self, html: &mut String) {
        html.push_str("<h2>Events</h2>\n");
        if self.events.is_empty() {
            html.push_str("<p>None: no value that is not finite, no dead unit, no spike.</p>\n");
            return;
        }
        html.push_str(
            "<table>\n<tr><th>event</th><th>layer</th><th>times</th><th>steps</th><th>units</th><th>the first</th></tr>\n",
        );
        for ((kind, layer), events) in grouped(self.events).into_iter().take(MOST_ROWS) {
            let (first, last) = (events[0], events[events.len() - 1]);
            let steps = if first.step == last.step {
                first.step.to_string()
            } else {
                format!("{} to {}", first.step, last.step)
            };
            let mut units: Vec<u64> = events.iter().filter_map(|event| event.unit).collect();
            units.sort_unstable();
            units.dedup();
            let more = units.len().saturating_sub(MOST_UNITS);
            let mut names: Vec<String> =
                units.iter().take(MOST_UNITS).map(u64::to_string).collect();
            if more > 0 {
                names.push(format!("and {more} more"));
            }
            let figures: Vec<String> = first
                .figures
                .iter()
                .map(|(name, value)| format!("{name} {}", short(*value)))
                .collect();
            html.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{steps}</td><td>{}</td><td>{}</td></tr>\n",
                escape(kind),
                escape(layer),
                events.len(),
                names.join(", "),
                escape(&figures.join(", ")),
            ));
        }
        html.push_str("</table>\n<p>One by one they stand in events.jsonl.</p>\n");
    }
}

/// Events of the same sort in the same layer, in the order of the first of each.
fn grouped(events: &[Event]) -> Vec<((&str, &str), Vec<&Event>)> {
    let mut groups: Vec<((&str, &str), Vec<&Event>)> = Vec::new();
    let mut place_of = HashMap::new();
    for event in events {
        let key = (event.kind.as_str(), event.layer.as_deref().unwrap_or(""));
        let place = *place_of.entry(key).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(event);
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
