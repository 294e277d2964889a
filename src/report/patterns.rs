//! Answers of `patterns` that a run keeps: what was found, over the series that it is in.

use serde::Deserialize;

use super::html::escape;
use crate::number::{grouped, short};
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic, UnitSeries};

/// Stretches of each sort that are shown.
const MOST: usize = 6;
/// Width and height of a series, in points, and the columns that it has at most.
const SIZE: [f64; 2] = [640.0, 56.0];
const COLUMNS: usize = 320;

/// What `patterns` has answered.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Patterns {
    matches: Vec<Stretch>,
    motifs: Vec<Stretch>,
    discords: Vec<Stretch>,
    #[serde(default)]
    quantity: String,
    #[serde(default)]
    find: Option<String>,
    #[serde(default)]
    like: Option<String>,
    #[serde(default)]
    matches_left_out: usize,
}

/// A stretch of a unit's series.
#[derive(Debug, Clone, Deserialize)]
struct Stretch {
    tensor: String,
    kind: String,
    unit: usize,
    from: u64,
    to: u64,
    #[serde(default)]
    distance: Option<f64>,
    #[serde(default)]
    usual: Option<f64>,
    #[serde(default)]
    units: Option<usize>,
    #[serde(default)]
    other_from: Option<u64>,
    #[serde(default)]
    other_to: Option<u64>,
}

impl Patterns {
    /// Its section.
    pub fn html(&self, run: &RunView) -> String {
        let asked = match (&self.find, &self.like) {
            (Some(find), _) => format!("Matches of the words “{find}”"),
            (_, Some(like)) => format!("Most like {like}"),
            _ => "Matches".to_owned(),
        };
        let parts = [
            (asked.as_str(), &self.matches),
            (
                "Motifs: pairs of windows of a unit that are alike",
                &self.motifs,
            ),
            (
                "Discords: windows that nothing else in their unit is like",
                &self.discords,
            ),
        ];
        let parts = parts.iter().filter(|(_, found)| !found.is_empty());
        let parts: String = parts
            .map(|(title, found)| self.part(run, title, found))
            .collect();
        let nothing = match parts.is_empty() {
            true => format!("<p>{}: nothing was found.</p>\n", escape(&asked)),
            false => String::new(),
        };
        let quantity = match self.quantity.is_empty() {
            true => Statistic::Mean.name(),
            false => &self.quantity,
        };
        format!(
            "<section><h3>Patterns in what units do</h3>\n<p>Each line is the {} of a unit over all recorded steps, from its lowest to \
             its highest finite value; what was found is marked.</p>\n{parts}{nothing}</section>\n",
            escape(&quantity.replace('_', " "))
        )
    }

    fn part(&self, run: &RunView, title: &str, found: &[Stretch]) -> String {
        let shown = found.iter().take(MOST);
        let shown: String = shown.map(|stretch| self.stretch(run, stretch)).collect();
        let rest = found.len().saturating_sub(MOST) + self.left_out(found);
        let rest = match rest {
            0 => String::new(),
            rest => format!("<p>and {} more</p>\n", grouped(rest as f64, 0)),
        };
        format!("<h4>{}</h4>\n{shown}{rest}", escape(title))
    }

    fn left_out(&self, found: &[Stretch]) -> usize {
        match std::ptr::eq(found, self.matches.as_slice()) {
            true => self.matches_left_out,
            false => 0,
        }
    }

    fn stretch(&self, run: &RunView, stretch: &Stretch) -> String {
        let mut text = format!(
            "{} unit {}, steps {} to {}",
            stretch.tensor,
            stretch.unit,
            grouped(stretch.from as f64, 0),
            grouped(stretch.to.saturating_sub(1) as f64, 0)
        );
        if let (Some(from), Some(to)) = (stretch.other_from, stretch.other_to) {
            let to = to.saturating_sub(1);
            text += &format!(
                " and {} to {}",
                grouped(from as f64, 0),
                grouped(to as f64, 0)
            );
        }
        if let Some(distance) = stretch.distance {
            text += &format!("; distance {}", short(distance));
        }
        if let Some(usual) = stretch.usual {
            text += &format!(" where {} is usual", short(usual));
        }
        if let Some(units @ 2..) = stretch.units {
            text += &format!("; in {units} units of the tensor");
        }
        let text = escape(&text);
        let picture = self
            .series(run, stretch)
            .and_then(|series| picture(&series, stretch, &text));
        format!(
            "<figure>{}<figcaption>{text}</figcaption></figure>\n",
            picture.unwrap_or_default()
        )
    }

    /// The series that the stretch is in, where the run still has it.
    fn series(&self, run: &RunView, stretch: &Stretch) -> Option<UnitSeries> {
        let kind = TensorKind::ALL.into_iter();
        let kind = kind.into_iter().find(|kind| kind.name() == stretch.kind)?;
        let mut statistics = Statistic::ALL.into_iter();
        let statistic = statistics.find(|statistic| statistic.name() == self.quantity);
        let statistic = statistic.unwrap_or(Statistic::Mean);
        run.series(&stretch.tensor, kind, statistic).ok()
    }
}

/// The series from its lowest to its highest finite value; a column holds the lowest and the highest of its records. What was
/// found is marked.
fn picture(series: &UnitSeries, stretch: &Stretch, alt: &str) -> Option<String> {
    let values = series.rows().nth(stretch.unit)?;
    let [width, height] = SIZE;
    let (first, last) = (*series.steps.first()?, *series.steps.last()?);
    let extent = last.saturating_sub(first).max(1) as f64;
    let x = |step: u64| (step.saturating_sub(first) as f64 / extent * width).min(width);
    let finite = values.iter().filter(|value| value.is_finite());
    let [low, high] = finite.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &value| {
        [low.min(value), high.max(value)]
    });
    let range = if high > low {
        f64::from(high - low)
    } else {
        1.0
    };
    let y = |value: f32| height - 3.0 - f64::from(value - low) / range * (height - 6.0);
    let (mut path, mut is_open) = (String::new(), false);
    let size = values.len().div_ceil(COLUMNS).max(1);
    for (steps, part) in series.steps.chunks(size).zip(values.chunks(size)) {
        let finite = part.iter().copied().filter(|value| value.is_finite());
        let Some(least) = finite.clone().reduce(f32::min) else {
            is_open = false;
            continue;
        };
        let most = finite.fold(least, f32::max);
        let at = x(steps[0]);
        path += &format!("{}{at:.1} {:.1}", if is_open { "L" } else { "M" }, y(least));
        if most > least {
            path += &format!("V{:.1}", y(most));
        }
        is_open = true;
    }
    let other = stretch.other_from.zip(stretch.other_to);
    let marked = [Some((stretch.from, stretch.to)), other]
        .into_iter()
        .flatten();
    let marked: String = marked
        .map(|(from, to)| {
            let (left, right) = (x(from), x(to));
            let wide = (right - left).max(2.0);
            format!("<rect class=\"mark\" x=\"{left:.1}\" y=\"0\" width=\"{wide:.1}\" height=\"{height}\"/>")
        })
        .collect();
    Some(format!(
        "<div class=\"wide\"><svg class=\"pattern\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{alt}\">{marked}<path d=\"{path}\"/></svg></div>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_drawn_with_its_marks_and_gaps() {
        let series = UnitSeries {
            steps: (0..10).map(|at| 10 * at).collect(),
            units: 2,
            values: (0..20)
                .map(|at| if at == 14 { f32::NAN } else { at as f32 })
                .collect(),
        };
        let stretch = serde_json::json!({
            "tensor": "a<b", "kind": "activation", "unit": 1, "from": 20, "to": 40, "distance": 0.5,
            "other_from": 50, "other_to": 70, "usual": 2.0, "units": 3,
        });
        let stretch: Stretch = serde_json::from_value(stretch).expect("as the command prints it");
        let svg = picture(&series, &stretch, "x").expect("it has the unit");
        assert_eq!(svg.matches("class=\"mark\"").count(), 2);
        assert_eq!(
            svg.matches('M').count(),
            2,
            "a gap where a value is not finite: {svg}"
        );
        let missing = Stretch { unit: 2, ..stretch };
        assert!(picture(&series, &missing, "x").is_none());
    }
}
