//! What was asked about a run later: answers of `credit`, `cluster`, `attribute` and `patterns` that are kept in its folder `analysis`, as
//! the commands print them with `--json`.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::bars::{Bar, bars, strongest};
use super::html::escape;
use super::patterns::Patterns;
use crate::credit::Chosen;
use crate::number::{grouped, short};
use crate::trace::RunView;
use crate::view::rgb_png;
use crate::view::theme::diverging_at;
use crate::{Result, files};

/// The folder in a run's directory.
const FOLDER: &str = "analysis";
/// The largest answer that is read, and the most that are shown.
const MAX_BYTES: u64 = 8 << 20;
const MOST: usize = 12;
/// Rows of a picture of contributions.
const MOST_BARS: usize = 12;
/// Units that a cluster names.
const MOST_UNITS: usize = 24;
/// Sides of the smallest and of the largest square of a cluster, in points.
const SIDES: [f64; 2] = [110.0, 220.0];

/// An answer that a run keeps.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Analysis {
    Credits { units: Vec<CreditOfUnit> },
    Credit(CreditOfUnit),
    Clusters(Clusters),
    Attribution(Attribution),
    Patterns(Patterns),
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    layer: String,
    unit: usize,
    #[serde(alias = "value")]
    credit: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CreditOfUnit {
    layer: String,
    unit: usize,
    #[serde(default)]
    samples: Vec<usize>,
    #[serde(default)]
    positions: Vec<[usize; 2]>,
    from: u64,
    to: u64,
    change: f64,
    residual: f64,
    cancellation: f64,
    predecessors: Vec<Part>,
    successors: Vec<Part>,
    other: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Clusters {
    layer: String,
    step: Option<u64>,
    criterion: String,
    clusters: Vec<Cluster>,
    singled_out: Vec<SingledOut>,
}

#[derive(Debug, Clone, Deserialize)]
struct Cluster {
    id: usize,
    size: usize,
    units: Vec<usize>,
    mean: Vec<Option<f64>>,
    spread: Option<f64>,
    credit: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct SingledOut {
    unit: usize,
    why: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attribution {
    layer: String,
    unit: usize,
    step: u64,
    method: String,
    output: f64,
    completeness_error: f64,
    #[serde(default)]
    input_shape: Vec<usize>,
    contributions: Vec<Part>,
}

/// The answers that a run keeps and that can be read, by the names of their files.
pub(super) fn analyses(run: &RunView) -> Vec<Analysis> {
    let folder = run.folder().join(FOLDER);
    let mut names = files::names(&folder).unwrap_or_default();
    names.sort();
    let read = |name: &String| {
        let bytes = files::read_bounded(&folder.join(name), MAX_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let answers = names.iter().filter(|name| name.ends_with(".json"));
    answers.filter_map(read).take(MOST).collect()
}

/// Keeps the answer of an analysis with its run, where the report finds it; `name` says what was asked. An earlier answer to
/// the same is replaced.
///
/// # Errors
/// The run's folder cannot be written.
pub fn keep_answer(run: &Path, name: &str, answer: &serde_json::Value) -> Result<PathBuf> {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') => c,
        _ => '-',
    };
    let name: String = name.chars().map(letter).collect();
    let folder = run.join(FOLDER);
    files::make_folder(&folder)?;
    let path = folder.join(format!("{name}.json"));
    files::write_whole(&path, format!("{answer:#}\n").as_bytes())?;
    Ok(path)
}

impl Analysis {
    /// Its section.
    pub fn html(&self, run: &RunView) -> String {
        match self {
            Self::Credits { units } => units.iter().map(CreditOfUnit::html).collect(),
            Self::Credit(credit) => credit.html(),
            Self::Clusters(clusters) => clusters.html(),
            Self::Attribution(attribution) => attribution.html(),
            Self::Patterns(patterns) => patterns.html(run),
        }
    }
}

impl CreditOfUnit {
    fn html(&self) -> String {
        let Self { unit, from, to, .. } = self;
        let chosen = Chosen {
            samples: self.samples.clone(),
            positions: self.positions.clone(),
        };
        let of = |parts: &[Part]| -> Vec<Bar> {
            let name = |part: &Part| match part.layer.split('@').next() {
                Some("loss") => part.layer.clone(),
                _ => format!("{} {}", part.layer, part.unit),
            };
            parts
                .iter()
                .map(|part| Bar::part(name(part), part.credit))
                .collect()
        };
        format!(
            "<section><h3>Credit: unit {unit} of {}{chosen}, steps {} to {}</h3>\n\
             <p>Its mean changed by {}; the residual is {}, the cancellation {}.</p>\n{}{}{}</section>\n",
            escape(&self.layer),
            grouped(*from as f64, 0),
            grouped(*to as f64, 0),
            short(self.change),
            short(self.residual),
            short(self.cancellation),
            bars("What the change is made of", &self.waterfall()),
            bars(
                "Predecessors",
                &strongest(of(&self.predecessors), MOST_BARS)
            ),
            bars("Successors", &strongest(of(&self.successors), MOST_BARS)),
        )
    }

    /// The parts one after the other, from nothing to the measured change.
    fn waterfall(&self) -> Vec<Bar> {
        let sum = |parts: &[Part]| parts.iter().map(|part| part.credit).sum::<f64>();
        let mut parts = vec![
            ("predecessors".to_owned(), sum(&self.predecessors)),
            ("successors".to_owned(), sum(&self.successors)),
        ];
        let other = self.other.iter();
        let other =
            other.filter_map(|(name, value)| Some((name.replace('_', " "), value.as_f64()?)));
        parts.extend(other.filter(|(_, value)| *value != 0.0));
        parts.push(("residual".to_owned(), self.residual));
        let mut at = 0.0;
        let mut bars: Vec<Bar> = Vec::new();
        for (name, value) in parts {
            bars.push(Bar {
                name,
                from: at,
                to: at + value,
                is_part: true,
            });
            at += value;
        }
        bars.push(Bar {
            is_part: false,
            ..Bar::part("measured change", self.change)
        });
        bars
    }
}

impl Clusters {
    fn html(&self) -> String {
        let when = match self.step {
            Some(step) => format!("after {} steps", grouped(step as f64, 0)),
            None => "over the whole run".to_owned(),
        };
        let largest = self.clusters.iter().map(|cluster| cluster.size).max();
        let largest = largest.unwrap_or(1).max(1) as f64;
        let means = self.clusters.iter().flat_map(|cluster| &cluster.mean);
        let finite = means.copied().flatten().filter(|mean| mean.is_finite());
        let range = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], mean| {
            [low.min(mean), high.max(mean)]
        });
        let squares = self.clusters.iter();
        let squares =
            squares.map(|cluster| cluster.square((cluster.size as f64 / largest).sqrt(), range));
        let mut html = format!(
            "<section><h3>Clusters of the units of {}, {when}</h3>\n<p>{} clusters by {}. A square is the larger the more \
             units it has; the line is the mean of its units, on the same axes in every square.</p>\n<div class=\"squares\">\n{}</div>\n",
            escape(&self.layer),
            self.clusters.len(),
            escape(&self.criterion.replace('_', " ")),
            squares.collect::<String>(),
        );
        if !self.singled_out.is_empty() {
            html.push_str("<p>Singled out:</p>\n<ul>\n");
            for single in &self.singled_out {
                let why = escape(&single.why);
                html.push_str(&format!("<li>unit {}: {why}</li>\n", single.unit));
            }
            html.push_str("</ul>\n");
        }
        html + "</section>\n"
    }
}

impl Cluster {
    /// A square of this part of the largest side, with the mean line between the limits of all.
    fn square(&self, part: f64, [low, high]: [f64; 2]) -> String {
        let side = SIDES[0] + part * (SIDES[1] - SIDES[0]);
        let inner = side - 16.0;
        let extent = if high > low { high - low } else { 1.0 };
        let last = self.mean.len().saturating_sub(1).max(1) as f64;
        let mut path = String::new();
        let mut is_open = false;
        for (column, mean) in self.mean.iter().enumerate() {
            let Some(mean) = mean.filter(|mean| mean.is_finite()) else {
                is_open = false;
                continue;
            };
            let x = 8.0 + column as f64 / last * inner;
            let y = side - 8.0 - (mean - low) / extent * inner;
            path += &format!("{}{x:.1} {y:.1}", if is_open { "L" } else { "M" });
            is_open = true;
        }
        let units: Vec<String> = self
            .units
            .iter()
            .take(MOST_UNITS)
            .map(usize::to_string)
            .collect();
        let more = match self.units.len().saturating_sub(MOST_UNITS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let credit = self.credit.map_or(String::new(), |credit| {
            format!("; credit {}", short(credit))
        });
        let spread = self.spread.map_or(String::new(), |spread| {
            format!("; spread {}", short(spread))
        });
        let alt = format!(
            "Mean line of cluster {}, from {} to {}",
            self.id,
            short(low),
            short(high)
        );
        format!(
            "<figure class=\"cluster\"><svg width=\"{side:.0}\" height=\"{side:.0}\" viewBox=\"0 0 {side:.0} {side:.0}\" \
             role=\"img\" aria-label=\"{alt}\"><rect x=\"1\" y=\"1\" width=\"{frame:.0}\" height=\"{frame:.0}\" rx=\"4\"/>\
             <path d=\"{path}\"/></svg>\n<figcaption>Cluster {}: {} units{spread}{credit}<br>{}{more}</figcaption></figure>\n",
            self.id,
            self.size,
            units.join(", "),
            alt = escape(&alt),
            frame = side - 2.0,
        )
    }
}

impl Attribution {
    fn html(&self) -> String {
        let named = |part: &Part| Bar::part(self.name(part), part.credit);
        let parts = strongest(self.contributions.iter().map(named).collect(), MOST_BARS);
        format!(
            "<section><h3>Attribution: unit {} of {}, after {} steps</h3>\n<p>By {}: its output is {} on the mean of the probe \
             batch; the completeness error of the contributions is {}.</p>\n{}{}</section>\n",
            self.unit,
            escape(&self.layer),
            grouped(self.step as f64, 0),
            escape(&self.method.replace('_', " ")),
            short(self.output),
            short(self.completeness_error),
            self.map().unwrap_or_default(),
            bars("Elements of the input that contribute most", &parts),
        )
    }

    /// Where an element of the input is: of an image its channel, where there are several, its row and its column.
    fn name(&self, part: &Part) -> String {
        let element = part.unit;
        let own = format!("{} {element}", part.layer);
        let &[channels, height, width] = self.input_shape.as_slice() else {
            return own;
        };
        let Some(pixels) = height.checked_mul(width).filter(|pixels| *pixels > 1) else {
            return own;
        };
        let (channel, place) = (element / pixels, element % pixels);
        let (row, column) = (place / width, place % width);
        match channels {
            1 => format!("row {row}, column {column}"),
            _ => format!("channel {channel}, row {row}, column {column}"),
        }
    }

    /// The contributions where they are in the image: red up, blue down, white none; all channels of a pixel added up.
    fn map(&self) -> Option<String> {
        let &[channels, height, width] = self.input_shape.as_slice() else {
            return None;
        };
        let pixels = height.checked_mul(width).filter(|pixels| *pixels > 0)?;
        if channels.checked_mul(pixels) != Some(self.contributions.len()) {
            return None;
        }
        let mut sums = vec![0.0; pixels];
        for (element, part) in self.contributions.iter().enumerate() {
            sums[element % pixels] += part.credit;
        }
        let limit = sums.iter().fold(0.0f64, |most, sum| most.max(sum.abs()));
        let color = |sum: &f64| {
            let [red, green, blue, _] = diverging_at((sum / limit.max(f64::MIN_POSITIVE)) as f32);
            [red, green, blue]
        };
        let colors: Vec<u8> = sums.iter().flat_map(color).collect();
        let size = [u32::try_from(width).ok()?, u32::try_from(height).ok()?];
        let png = rgb_png(size, &colors).ok()?;
        let side = 280 * width / height.max(width);
        Some(format!(
            "<figure><img class=\"pixels\" width=\"{side}\" alt=\"Contributions of the pixels of the input, between {} and {}\" \
             src=\"data:image/png;base64,{}\">\n<figcaption>Red pixels raise the unit, blue ones lower it; the full colors stand \
             for {} up and down.</figcaption></figure>\n",
            short(-limit),
            short(limit),
            BASE64.encode(png),
            short(limit)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_waterfall_ends_at_what_is_explained_and_the_residual() {
        let answer = json!({
            "layer": "mu<", "unit": 3, "from": 0, "to": 40, "change": 2.0, "explained": 1.75, "residual": 0.25,
            "cancellation": 0.5,
            "predecessors": [{ "layer": "encoder.1", "unit": 0, "credit": 1.0 }, { "layer": "encoder.1", "unit": 1, "credit": -0.5 }],
            "successors": [{ "layer": "loss", "unit": 0, "credit": 1.25 }],
            "other": { "memory": 0.0, "weight_decay": 0.0, "clipping": 0.0, "normalization": 0.0 }, "hops": [],
        });
        let Ok(Analysis::Credit(credit)) = serde_json::from_value(answer.clone()) else {
            panic!("not read as credit");
        };
        let bars = credit.waterfall();
        let ends: Vec<f64> = bars.iter().map(|bar| bar.to).collect();
        assert_eq!(ends, [0.5, 1.75, 2.0, 2.0]);
        let html = credit.html();
        assert!(
            html.contains("mu&lt;") && html.contains(">loss</text>"),
            "{html}"
        );
        let several = serde_json::from_value(json!({ "units": [answer], "adapter": "x" }));
        assert!(matches!(several, Ok(Analysis::Credits { units }) if units.len() == 1));
    }

    #[test]
    fn clusters_and_attributions_are_told_apart() {
        let clusters = json!({
            "layer": "encoder.1", "step": 10, "count": 1, "criterion": "silhouette",
            "clusters": [{ "id": 0, "size": 2, "units": [4, 7], "mean": [0.0, null, 1.0], "spread": 0.1, "credit": null }],
            "singled_out": [{ "unit": 5, "why": "dead" }],
        });
        let Ok(Analysis::Clusters(found)) = serde_json::from_value(clusters) else {
            panic!("not read as clusters");
        };
        assert!(found.html().contains("Cluster 0: 2 units"));
        let attribution = json!({
            "layer": "logits", "unit": 1, "step": 5, "method": "lrp", "output": 1.0, "completeness_error": 0.0,
            "input_shape": [1, 1, 2],
            "contributions": [{ "layer": "x", "unit": 0, "value": 0.5 }, { "layer": "x", "unit": 1, "value": -1.0 }],
        });
        let Ok(Analysis::Attribution(found)) = serde_json::from_value(attribution) else {
            panic!("not read as an attribution");
        };
        assert!(found.html().contains("<img class=\"pixels\""));
        let other = serde_json::from_value::<Analysis>(json!({ "step": 3, "scalars": [] }));
        assert!(other.is_err());
    }
}
