//! Signed bars with one axis, zero in it, as SVG; their values stand beside them.

use super::html::escape;
use crate::number::short;

const ROW: f64 = 22.0;
const BAR: f64 = 13.0;
/// Width of the names, of the bars and of the values.
const COLUMNS: [f64; 3] = [190.0, 340.0, 90.0];

/// A bar from one value to another.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub name: String,
    pub from: f64,
    pub to: f64,
    /// Whether it is a part of a sum; others are measured.
    pub is_part: bool,
}

impl Bar {
    /// A part, from zero.
    pub fn part(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            from: 0.0,
            to: value,
            is_part: true,
        }
    }
}

/// A picture of the bars, a row each: red where a part goes up, blue where it goes down.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let ends = bars.iter().flat_map(|bar| [bar.from, bar.to]);
    let ends = ends.filter(|end| end.is_finite());
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    let extent = if high > low { high - low } else { 1.0 };
    let [names, width, values] = COLUMNS;
    let x = |value: f64| names + 10.0 + (value - low) / extent * width;
    let (all, height) = (names + width + values + 20.0, ROW * bars.len() as f64 + 4.0);
    let title = escape(title);
    let mut html = format!(
        "<h4>{title}</h4>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\
         <svg width=\"{all}\" height=\"{height}\" viewBox=\"0 0 {all} {height}\" role=\"group\" aria-label=\"{title}\">\n\
         <path class=\"axis\" d=\"M{zero:.1} 0V{height}\"/>\n",
        zero = x(0.0)
    );
    for (row, bar) in bars.iter().enumerate() {
        let top = ROW * row as f64 + 2.0;
        let change = bar.to - bar.from;
        let class = match (bar.is_part, change >= 0.0) {
            (false, _) => "measured",
            (true, true) => "up",
            (true, false) => "down",
        };
        let (left, right) = (x(bar.from.min(bar.to)), x(bar.from.max(bar.to)));
        html.push_str(&format!(
            "<text x=\"{names}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar {class}\" x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <text x=\"{}\" y=\"{baseline}\">{}{}</text>\n",
            escape(&bar.name),
            top + (ROW - BAR) / 2.0,
            (right - left).max(0.75),
            names + width + 18.0,
            if change > 0.0 { "+" } else { "" },
            short(change),
            baseline = top + 15.0,
        ));
    }
    html.push_str("</svg></div>\n");
    html
}

/// The parts of the greatest magnitude, and the sum of the others in a bar of its own.
pub(super) fn strongest(mut parts: Vec<Bar>, most: usize) -> Vec<Bar> {
    parts.retain(|bar| bar.to != 0.0);
    parts.sort_by(|a, b| b.to.abs().total_cmp(&a.to.abs()));
    let rest = parts.split_off(parts.len().min(most));
    if !rest.is_empty() {
        let sum = rest.iter().map(|bar| bar.to).sum();
        parts.push(Bar::part(format!("{} others", rest.len()), sum));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_in_the_sum_of_the_others() {
        let parts = vec![
            Bar::part("a", 1.0),
            Bar::part("b", -4.0),
            Bar::part("none", 0.0),
            Bar::part("c", 2.0),
            Bar::part("d", 0.5),
        ];
        let shown = strongest(parts, 2);
        let named: Vec<(&str, f64)> = shown
            .iter()
            .map(|bar| (bar.name.as_str(), bar.to))
            .collect();
        assert_eq!(named, [("b", -4.0), ("c", 2.0), ("2 others", 1.5)]);
        let html = bars("<parts>", &shown);
        assert!(html.contains("&lt;parts&gt;") && !html.contains("<parts>"));
        assert!(html.contains("class=\"bar down\"") && html.contains("+1.5"));
    }
}
