//! The page's style sheet and scripts. Its colors are those of every other picture, in both themes.

use crate::view::Theme;
use crate::view::theme::{Color, DIVERGING};

const RULES: &str = include_str!("page.css");
/// What the page runs: scales, data, a chart, its controls, and the page that has them.
const SCRIPTS: [&str; 5] = [
    include_str!("scale.js"),
    include_str!("lines.js"),
    include_str!("chart.js"),
    include_str!("controls.js"),
    include_str!("page.js"),
];

/// The style sheet.
pub(super) fn style() -> String {
    format!(
        ":root {{ color-scheme: light dark; {} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n{RULES}",
        variables(&Theme::light(), "#0b57a4"),
        variables(&Theme::dark(), "#8ec2ff")
    )
}

/// The scripts, as one.
pub(super) fn script() -> String {
    format!("\"use strict\";\n{}", SCRIPTS.join("\n"))
}

/// The colors of a theme as properties of the page, and that of its links.
fn variables(theme: &Theme, link: &str) -> String {
    let named = [
        ("background", theme.background),
        ("text", theme.text),
        ("muted", theme.muted),
        ("axis", theme.axis),
        ("grid", theme.grid),
        ("highlight", theme.highlight),
        ("nonfinite", theme.nonfinite),
        ("up", DIVERGING[5]),
        ("down", DIVERGING[1]),
    ];
    let named = named.map(|(name, color)| format!("--{name}: {};", hex(color)));
    let colors = theme.categorical.iter().enumerate();
    let colors = colors.map(|(index, color)| format!("--color-{index}: {};", hex(*color)));
    let all: Vec<String> = named.into_iter().chain(colors).collect();
    format!("{} --link: {link};", all.join(" "))
}

fn hex([red, green, blue, _]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
