//! A chart of scalars that a person can explore: the page draws it from the data that it holds.

use std::ops::Range;

use serde_json::json;

use super::html::{escape, script_data};
use super::scalar_lines::ScalarLine;
use crate::number::{grouped, short};
use crate::series::Scale;

/// Rows of the table of a chart's values.
const TABLE_ROWS: usize = 21;

/// Named scalars over training steps, ready for the page.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// Its id on the page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Names the values with their unit.
    pub y_title: String,
    /// What to look at, in a sentence or two.
    pub caption: String,
    /// The steps that are shown first; all where there is nothing to look at above the rest.
    pub focus: Option<Range<u64>>,
    /// Whether the events of the run are marked.
    pub has_events: bool,
    /// The names of the scalars that it shows.
    pub scalars: Vec<String>,
    /// Names and values with ascending steps; scalars that are the same share a line.
    pub lines: Vec<(String, Vec<(u64, f64)>)>,
}

impl Chart {
    /// The chart, its caption and the same values as a table. Headings are of this level.
    pub fn html(&self, level: usize) -> String {
        let title = escape(&self.title);
        let focus = self.focus.clone();
        let whole: Vec<Range<u64>> = focus.clone().into_iter().collect();
        let lines = self.lines.iter();
        let lines = lines.map(|(name, values)| ScalarLine::new(name, values, &whole).to_json());
        let data = json!({
            "title": self.title,
            "y": self.y_title,
            "scale": self.scale(),
            "focus": focus.map(|steps| [steps.start, steps.end - 1]),
            "events": self.has_events,
            "lines": lines.collect::<Vec<_>>(),
        });
        format!(
            "<figure class=\"chart\" id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h{level} id=\"{id}-title\">{title}</h{level}>\n\
             {data}<div class=\"plot\"><noscript>Without JavaScript the chart is not drawn; the table below has its \
             values.</noscript></div>\n<figcaption>{}</figcaption>\n{}</figure>\n",
            escape(&self.caption),
            self.table(),
            id = escape(&self.id),
            data = script_data("", &data),
        )
    }

    /// Whether it shows a scalar whose name begins like this.
    pub fn holds(&self, name: &str) -> bool {
        self.scalars.iter().any(|scalar| scalar.starts_with(name))
    }

    /// The scale that suits what is shown first.
    fn scale(&self) -> &'static str {
        let values = self.lines.iter().flat_map(|(_, values)| values);
        let shown = values.filter(|(step, _)| {
            let focus = self.focus.as_ref();
            focus.is_none_or(|steps| steps.contains(step))
        });
        let shown: Vec<f32> = shown.map(|(_, value)| *value as f32).collect();
        match Scale::for_values(&shown) {
            Scale::Linear => "linear",
            Scale::Symlog => "symlog",
        }
    }

    /// Values at some steps from the first to the last, for who reads and does not look.
    fn table(&self) -> String {
        let mut steps: Vec<u64> = self
            .lines
            .iter()
            .flat_map(|(_, values)| values.iter().map(|(step, _)| *step))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let count = steps.len().min(TABLE_ROWS);
        let last = steps.len().saturating_sub(1);
        let chosen: Vec<u64> = (0..count)
            .map(|i| steps[i * last / (count - 1).max(1)])
            .collect();
        let heads = self.lines.iter();
        let heads = heads.map(|(name, _)| format!("<th scope=\"col\">{}</th>", escape(name)));
        let row = |step: &u64| {
            let cells = self.lines.iter().map(|(_, values)| {
                let found = values.binary_search_by_key(step, |(step, _)| *step);
                let text = found.map_or_else(|_| "\u{2013}".to_owned(), |i| value(values[i].1));
                format!("<td>{text}</td>")
            });
            let step = grouped(*step as f64, 0);
            format!(
                "<tr><th scope=\"row\">{step}</th>{}</tr>\n",
                cells.collect::<String>()
            )
        };
        format!(
            "<details><summary>Values as a table</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" \
             aria-label=\"{title}: values\"><table>\n<caption>{title}, at {count} of {} recorded steps</caption>\n\
             <tr><th scope=\"col\">step</th>{}</tr>\n{}</table></div></details>\n",
            steps.len(),
            heads.collect::<String>(),
            chosen.iter().map(row).collect::<String>(),
            title = escape(&self.title),
        )
    }
}

/// A value of which it matters whether it is a number.
pub(super) fn value(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        "infinity".to_owned()
    } else {
        short(value)
    }
}
