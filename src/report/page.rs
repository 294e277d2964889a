//! The page itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::figures::Figure;
use super::html::{anchor, escape};
use super::tables;
use crate::number::grouped;
use crate::text::printable;
use crate::trace::RunView;

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #ffffff; --text: #18202c; --muted: #4d5866; --line: #e4e8ed; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --text: #eef1f5; --muted: #aab3bf; --line: #262d37; --link: #8ec2ff; } }
body { margin: 2rem auto; max-width: 900px; padding: 0 1rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; } a { color: var(--link); }
.facts { color: var(--muted); margin: 0 0 .75rem; } nav a { margin-right: 1rem; }
figure { margin: 0 0 1.75rem; } figcaption { color: var(--muted); font-size: .9rem; }
img { max-width: 100%; height: auto; display: block; margin: 0 0 .25rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; } th { text-align: left; font-weight: 600; }
th, td { padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th[scope=col] { white-space: nowrap; } th[scope=row] { font-weight: 400; }
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
        html.push_str(
            "<nav><a href=\"#findings\">Findings</a><a href=\"#events\">Events</a><a href=\"#scalars\">Loss and \
             metrics</a><a href=\"#pictures\">Pictures</a><a href=\"#scenario\">Scenario</a></nav>\n",
        );
        html.push_str("<h2 id=\"findings\">Findings</h2>\n<ul>\n");
        for finding in self.findings {
            html.push_str(&format!("<li>{}</li>\n", escape(finding)));
        }
        html.push_str("</ul>\n");
        self.push_problems(&mut html);
        tables::push_events(&mut html, self.run, self.figures);
        tables::push_scalars(&mut html, self.run);
        html.push_str("<h2 id=\"pictures\">Pictures</h2>\n");
        for figure in self.figures {
            push_figure(&mut html, figure);
        }
        for missing in self.missing {
            html.push_str(&format!("<p>{}</p>\n", escape(missing)));
        }
        self.push_scenario(&mut html);
        html.push_str("</body>\n</html>\n");
        html
    }

    /// Where, for how long and how well the run went, in one line.
    fn facts(&self) -> String {
        let Some(info) = self.run.info() else {
            return "run.json is damaged: status, steps and adapter are not known".to_owned();
        };
        let data = info.data.as_ref();
        let data = data.map_or_else(String::new, |data| {
            format!("<br>\nData: {}", escape(&printable(&data.to_string())))
        });
        let mut facts = format!(
            "{} of {} steps, {}; {:.1} s of training",
            grouped(info.steps_done as f64, 0),
            grouped(info.steps as f64, 0),
            escape(&info.status.to_string()),
            info.seconds,
        );
        if let Some(started) = &info.started {
            facts.push_str(&format!("; started {}", escape(started)));
        }
        let parameters = info.parameters.unwrap_or_else(|| self.parameters());
        if parameters > 0 {
            facts.push_str(&format!("; {} parameters", grouped(parameters as f64, 0)));
        }
        facts.push_str(&format!(
            "; seed {}; {} ({}, {}); trainscope {}{data}",
            info.seed,
            escape(&info.adapter),
            escape(&info.backend),
            escape(&info.driver),
            escape(&info.version),
        ));
        facts
    }

    /// How many numbers the model learns, of a run that does not say so itself; layers of one name share theirs.
    fn parameters(&self) -> u64 {
        let layers = self.run.model().layers();
        let parameters = layers.flat_map(|layer| &layer.parameters);
        let sizes: BTreeMap<&str, usize> = parameters
            .map(|parameter| (parameter.name.as_str(), parameter.shape.iter().product()))
            .collect();
        sizes.values().map(|size| *size as u64).sum()
    }

    /// What of the run directory could not be read.
    fn push_problems(&self, html: &mut String) {
        if self.run.problems().is_empty() {
            return;
        }
        html.push_str(
            "<h2 id=\"damaged\">Damaged parts</h2>\n<p>These are left out of everything on this page.</p>\n<ul>\n",
        );
        for problem in self.run.problems() {
            html.push_str(&format!("<li>{}</li>\n", escape(&problem.to_string())));
        }
        html.push_str("</ul>\n");
    }

    fn push_scenario(&self, html: &mut String) {
        html.push_str("<h2 id=\"scenario\">Scenario</h2>\n");
        let Some(scenario) = self.run.scenario() else {
            html.push_str("<p>The run directory has no readable scenario.toml.</p>\n");
            return;
        };
        let steps = self.run.info().map_or(0, |info| info.steps);
        html.push_str(&format!(
            "<p>In the run directory, <code>trainscope train scenario.toml --steps {steps}</code> trains the same run \
             again, and <code>trainscope replay . --from 0 --to {} --verify</code> repeats it bit for bit on the same \
             adapter.</p>\n<pre>{}</pre>\n",
            self.run.info().map_or(0, |info| info.steps_done),
            escape(scenario)
        ));
    }
}

/// A picture that follows the reader's color scheme, over its caption.
fn push_figure(html: &mut String, figure: &Figure) {
    let data = |png: &[u8]| format!("data:image/png;base64,{}", BASE64.encode(png));
    let id = figure
        .units
        .as_ref()
        .map_or_else(String::new, |units| format!(" id=\"{}\"", anchor(units)));
    html.push_str(&format!(
        "<figure{id}><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\">\
         <img width=\"{}\" alt=\"{}\" src=\"{}\"></picture>\n<figcaption>{}</figcaption></figure>\n",
        data(&figure.dark),
        figure.width.round(),
        escape(&figure.alt),
        data(&figure.light),
        escape(&figure.caption)
    ));
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
