//! The page itself: the verdict and what supports it, then all else that is known of the run.

use std::collections::BTreeMap;

use super::analyses::Analysis;
use super::chart::Chart;
use super::dreams::dreams_html;
use super::figures::{Figure, push_figure};
use super::findings::{Shown, push_findings, push_verdict};
use super::graph::push_graphs;
use super::html::escape;
use super::style;
use super::tables;
use super::validation::{push_validation, validation_result};
use crate::diagnose::Explanation;
use crate::number::grouped;
use crate::text::printable;
use crate::trace::RunView;

/// What a page shows of a run, besides what the run holds itself.
pub(super) struct Page<'a> {
    pub run: &'a RunView,
    pub explanation: &'a Explanation,
    /// Sentences about the run, the verdict first.
    pub summary: &'a [String],
    /// For each finding, what shows it.
    pub shown: &'a [Shown<'a>],
    /// Charts of scalars, the most telling first.
    pub charts: &'a [Chart],
    /// What the model makes.
    pub images: &'a [Figure],
    /// Charts of units, those of findings first.
    pub units: &'a [Figure],
    /// What was asked about the run later.
    pub analyses: &'a [Analysis],
    /// Why some figures are not among them.
    pub missing: &'a [String],
}

impl Page<'_> {
    /// The whole page as one HTML file.
    pub fn html(&self) -> String {
        let mut body = String::new();
        push_verdict(&mut body, self.explanation, self.summary);
        let Self { run, units, .. } = *self;
        push_findings(&mut body, run, self.explanation, self.shown, units);
        self.push_problems(&mut body);
        self.push_scalars(&mut body);
        self.push_pictures(&mut body);
        if let Some(result) = validation_result(run) {
            push_validation(&mut body, run, &result);
        }
        self.push_analyses(&mut body);
        tables::push_events(&mut body, run, self.charts, units);
        push_graphs(&mut body, run.model(), self.explanation, units);
        self.push_scenario(&mut body);
        document(&run.name(), &self.facts(), &body)
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

    fn push_scalars(&self, html: &mut String) {
        if self.charts.is_empty() {
            return;
        }
        html.push_str("<h2 id=\"scalars\">Loss and metrics</h2>\n");
        for chart in self.charts {
            html.push_str(&chart.html(3));
        }
        tables::push_scalars(html, self.run);
    }

    /// What the model makes, and the units that no finding has shown already.
    fn push_pictures(&self, html: &mut String) {
        if !self.images.is_empty() {
            html.push_str("<h2 id=\"images\">What the model makes</h2>\n");
        }
        for figure in self.images {
            push_figure(html, figure);
        }
        let is_in_finding = |figure: &&Figure| {
            let shown = self.shown.iter().filter_map(|shown| shown.units.as_ref());
            shown
                .into_iter()
                .any(|units| figure.units.as_ref() == Some(units))
        };
        let mut rest = self.units.iter().filter(|f| !is_in_finding(f)).peekable();
        if rest.peek().is_some() {
            html.push_str("<h2 id=\"units\">Units</h2>\n");
        }
        for figure in rest {
            push_figure(html, figure);
        }
        for missing in self.missing {
            html.push_str(&format!("<p>{}</p>\n", escape(missing)));
        }
    }

    fn push_analyses(&self, html: &mut String) {
        if !self.analyses.is_empty() {
            html.push_str("<h2 id=\"analyses\">Analyses</h2>\n");
        }
        for analysis in self.analyses {
            html.push_str(&analysis.html(self.run));
        }
        let dreams = dreams_html(self.run);
        if !dreams.is_empty() {
            html.push_str("<h2 id=\"dreams\">Dreams</h2>\n");
            html.push_str(&dreams);
        }
    }

    fn push_scenario(&self, html: &mut String) {
        html.push_str("<h2 id=\"scenario\">Run it again</h2>\n");
        let Some(scenario) = self.run.scenario() else {
            html.push_str("<p>The run directory has no readable scenario.toml.</p>\n");
            return;
        };
        let info = self.run.info();
        let steps = info.map_or(0, |info| info.steps);
        let done = info.map_or(0, |info| info.steps_done);
        let folder = escape(&self.run.folder().display().to_string());
        html.push_str(&format!(
            "<p>The first command trains the same run again; the second repeats it bit for bit on the same adapter; the third \
             explains it, and tries what it advises.</p>\n<pre>trainscope train {folder}/scenario.toml --steps {steps}\n\
             trainscope replay {folder} --from 0 --to {done} --verify\ntrainscope explain {folder} --verify</pre>\n\
             <h3>Its scenario</h3>\n<pre>{}</pre>\n",
            escape(scenario)
        ));
    }
}

/// An HTML file with this title, a line below it, and a list of its sections, which are found by their headings.
pub(super) fn document(title: &str, facts: &str, body: &str) -> String {
    let name = escape(title);
    let sections = sections(body).into_iter();
    let links = sections.map(|(id, text)| format!("<li><a href=\"#{id}\">{text}</a></li>\n"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: trainscope report</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <header>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<h1>{name}</h1>\n<p class=\"facts\">{facts}</p>\n\
         <nav aria-label=\"Contents\"><ul>\n{}</ul></nav>\n</header>\n<main id=\"main\">\n{body}</main>\n\
         <script>\n{}</script>\n</body>\n</html>\n",
        style::style(),
        links.collect::<String>(),
        style::script()
    )
}

/// The ids and titles of the headings of the second level.
fn sections(body: &str) -> Vec<(&str, &str)> {
    let headings = body.split("<h2 id=\"").skip(1);
    let section = |heading: &'_ str| -> Option<(usize, usize, usize)> {
        let id = heading.find("\">")?;
        let end = heading.find("</h2>")?;
        Some((id, id + 2, end))
    };
    headings
        .filter_map(|heading| {
            let (id, from, to) = section(heading)?;
            Some((&heading[..id], &heading[from..to]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_the_headings() {
        let body = "<h2 id=\"a\">First</h2><p>x</p><h3 id=\"b\">no</h3><h2 id=\"c\">Last</h2>";
        assert_eq!(sections(body), [("a", "First"), ("c", "Last")]);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<script>alert(\"a\" & 'b')</script>\0"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;\u{fffd}"
        );
    }
}
