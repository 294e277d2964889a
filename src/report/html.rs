//! Text and ids in HTML.

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

/// The id of a chart of units on the page, which links go to.
pub(super) fn anchor(units: &UnitsOf) -> String {
    let text = format!(
        "{}-{}-{}",
        units.tensor,
        units.kind.name(),
        units.statistic.name()
    );
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    text.chars().map(letter).collect()
}
