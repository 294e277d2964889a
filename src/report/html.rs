//! Text, data and ids in HTML.

use crate::view::UnitsOf;

/// Text as HTML shows it, in element content and in quoted attributes alike.
pub(super) fn escape(text: &str) -> String {
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

/// Data that a script of the page reads. No text of it can end the element.
pub(super) fn script_data(attributes: &str, data: &serde_json::Value) -> String {
    let text = data.to_string().replace('<', "\\u003c");
    format!("<script type=\"application/json\"{attributes}>{text}</script>\n")
}

/// The id of a chart of units on the page, which links go to.
pub(super) fn anchor(units: &UnitsOf) -> String {
    slug(&format!(
        "{}-{}-{}",
        units.tensor,
        units.kind.name(),
        units.statistic.name()
    ))
}

/// Text as a part of an id: letters and digits, and a hyphen for anything else.
pub(super) fn slug(text: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    };
    text.chars().map(letter).collect()
}
