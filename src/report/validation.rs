//! What a model reached on the data that training does not see.

use super::chart::value;
use super::html::escape;
use crate::files;
use crate::number::grouped;
use crate::trace::RunView;
use crate::train::{Confusion, ValidationResult};

/// Where a run keeps it.
const FILE: &str = "analysis/validation.json";
/// The largest such file that is read.
const MAX_BYTES: u64 = 16 << 20;
/// Classes that a confusion matrix shows; of more, the accuracies alone are listed.
const MOST_CLASSES: usize = 40;

/// The result that a run keeps, if it has one that can be read.
pub(super) fn validation_result(run: &RunView) -> Option<ValidationResult> {
    let bytes = files::read_bounded(&run.folder().join(FILE), MAX_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Means over the held-out samples and, of a classifier, what it takes for what.
pub(super) fn push_validation(html: &mut String, run: &RunView, result: &ValidationResult) {
    let steps = grouped(result.step as f64, 0);
    let samples = grouped(result.samples as f64, 0);
    html.push_str(&format!(
        "<h2 id=\"validation\">Validation</h2>\n<p>After {steps} steps, on {samples} samples that training does not see.</p>\n\
         <table>\n<caption>Means over the held-out samples</caption>\n<tr><th scope=\"col\">measure</th><th scope=\"col\">value</th></tr>\n"
    ));
    for (name, mean) in &result.scalars {
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
            escape(name),
            value(*mean)
        ));
    }
    html.push_str("</table>\n");
    let confusion = result.confusion.as_ref();
    if let Some(confusion) = confusion.filter(|confusion| is_square(confusion)) {
        push_confusion(html, &class_names(run, confusion.counts.len()), confusion);
    }
}

/// A file of strangers may hold rows of any length.
fn is_square(confusion: &Confusion) -> bool {
    let count = confusion.counts.len();
    confusion.counts.iter().all(|row| row.len() == count)
}

/// The name of each output: that of its class, where the data have one.
fn class_names(run: &RunView, count: usize) -> Vec<String> {
    let data = run.info().and_then(|info| info.data.as_ref());
    let classes = data.map_or(&[][..], |data| &data.classes);
    let name = |output: usize| {
        let class = classes
            .iter()
            .find(|class| usize::from(class.label) == output);
        class.map_or_else(|| output.to_string(), |class| class.name.clone())
    };
    (0..count).map(name).collect()
}

fn push_confusion(html: &mut String, names: &[String], confusion: &Confusion) {
    let accuracies = confusion.accuracies();
    let percent = |class: usize| {
        let share = accuracies[class];
        share.map_or_else(
            || "\u{2013}".to_owned(),
            |share| format!("{:.1} %", 100.0 * share),
        )
    };
    let is_shown = names.len() <= MOST_CLASSES;
    html.push_str(
        "<h3>What is taken for what</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\">\
         <table class=\"confusion\">\n<caption>Rows: the true class; columns: the class that the model chooses; \
         last: the share of the row that is right</caption>\n<tr><th scope=\"col\">class</th>",
    );
    if is_shown {
        for name in names {
            html.push_str(&format!("<th scope=\"col\">{}</th>", escape(name)));
        }
    }
    html.push_str("<th scope=\"col\">right</th></tr>\n");
    for (class, (name, row)) in names.iter().zip(&confusion.counts).enumerate() {
        html.push_str(&format!("<tr><th scope=\"row\">{}</th>", escape(name)));
        let all: u32 = row.iter().sum();
        for (chosen, count) in row.iter().enumerate().filter(|_| is_shown) {
            let kind = if chosen == class { "right" } else { "wrong" };
            // Half of the color at most, so that the number stays readable.
            let share = 50.0 * f64::from(*count) / f64::from(all.max(1));
            html.push_str(&format!(
                "<td class=\"{kind}\" style=\"--share: {share:.1}\">{count}</td>"
            ));
        }
        html.push_str(&format!("<td>{}</td></tr>\n", percent(class)));
    }
    html.push_str("</table></div>\n");
}
