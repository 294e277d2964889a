//! The pictures of a report that are drawn on the GPU.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::focus::{failure_steps, focus_note, scalars_within, series_within};
use super::html::{anchor, escape};
use super::scalar_groups::{ScalarGroup, scalar_groups};
use super::telling::telling_units;
use crate::Result;
use crate::number::short;
use crate::sample::{Budget, SampleOptions};
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic};
use crate::view::{Painter, Picture, SampledChart, ScalarChart, Theme, UnitsOf};

/// Size of a chart in points.
const SIZE: [f32; 2] = [900.0, 380.0];
/// Pixels a point: sharp on dense screens, and a file that still can be sent.
const SCALE_FACTOR: f32 = 1.25;
/// Lines shown in a chart of units.
const KEEP: usize = 40;
/// Charts of units in a report.
const UNIT_CHARTS: usize = 4;

/// A picture of a report, in both themes.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows, for people who do not see it.
    pub alt: String,
    /// What to look at, in a sentence or two.
    pub caption: String,
    /// The units that it shows, if it is a chart of units.
    pub units: Option<UnitsOf>,
    /// Width in points.
    pub width: f32,
    /// A PNG file for a light page.
    pub light: Vec<u8>,
    /// A PNG file for a dark page.
    pub dark: Vec<u8>,
}

/// How the pixels of a picture are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pixels {
    /// As they are.
    Exact,
    /// With fewer colors than a screen has, which does not show in a chart.
    Compact,
}

/// Draws a picture in both themes.
pub(super) fn in_both_themes(
    painter: &Painter,
    (alt, caption): (&str, &str),
    pixels: Pixels,
    draw: impl Fn(&Theme) -> Result<Picture>,
) -> Result<Figure> {
    let gpu = painter.gpu();
    let bytes = |picture: &Picture| match pixels {
        Pixels::Exact => picture.png_bytes(gpu),
        Pixels::Compact => picture.compact_png_bytes(gpu),
    };
    let picture = draw(&Theme::light().scaled(SCALE_FACTOR))?;
    let dark = draw(&Theme::dark().scaled(SCALE_FACTOR))?;
    Ok(Figure {
        alt: alt.to_owned(),
        caption: caption.to_owned(),
        units: None,
        width: picture.size()[0] as f32 / SCALE_FACTOR,
        light: bytes(&picture)?,
        dark: bytes(&dark)?,
    })
}

/// Charts of all scalars of a run, those of one unit in one, the loss first. Of a run that failed early, the steps around
/// the failure are shown.
///
/// # Errors
/// A damaged run, or the device was lost.
pub fn scalar_figures(painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let names: Vec<&String> = run.scalars().keys().collect();
    let mut figures = Vec::new();
    for group in &scalar_groups(&names, run.model()) {
        // It would be the chart of the loss upside down.
        if group.labels == ["elbo"] && is_mirrored(run, "elbo", "loss") {
            continue;
        }
        figures.extend(scalar_figure(painter, run, &names, group)?);
    }
    Ok(figures)
}

fn scalar_figure(
    painter: &Painter,
    run: &RunView,
    names: &[&String],
    group: &ScalarGroup,
) -> Result<Option<Figure>> {
    let focus = failure_steps(run);
    let values = group.members.iter().map(|&index| {
        let all = &run.scalars()[names[index]];
        match &focus {
            Some(steps) => scalars_within(all, steps),
            None => all.clone(),
        }
    });
    let values: Vec<Vec<(u64, f64)>> = values.collect();
    let labels = group.labels.iter().map(String::as_str);
    let recorded: Vec<_> = labels.zip(values.iter().map(Vec::as_slice)).collect();
    let (title, y_title) = (group.title, group.y_title);
    let chart = ScalarChart::of_recorded(painter.gpu(), title, y_title, &recorded, None)?;
    let Some(mut chart) = chart else {
        return Ok(None);
    };
    if let Some(steps) = &focus {
        chart = chart.with_note(&focus_note(steps));
    }
    if group.left_out > 0 {
        let shown = group.members.len();
        let all = shown + group.left_out;
        chart = chart.with_note(&format!("{shown} of {all}; the others are in scalars/."));
    }
    let mut caption = String::new();
    if group.labels.iter().any(|label| label == "loss") && is_mirrored(run, "elbo", "loss") {
        caption.push_str("The evidence lower bound (ELBO) is the loss with the other sign. ");
    }
    caption.push_str(chart.note());
    let ends: Vec<String> = recorded.iter().filter_map(ends).collect();
    let alt = format!("{title} over the training steps: {}.", ends.join("; "));
    let draw = |theme: &Theme| chart.chart().picture(painter, SIZE, theme);
    in_both_themes(painter, (&alt, caption.trim()), Pixels::Compact, draw).map(Some)
}

/// Where a scalar begins and where it ends, in words.
fn ends((name, values): &(&str, &[(u64, f64)])) -> Option<String> {
    let (first, last) = (values.first()?, values.last()?);
    let word = |value: f64| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => "infinity".to_owned(),
        value => short(value),
    };
    let (from, to) = (word(first.1), word(last.1));
    Some(format!(
        "{name} from {from} at step {} to {to} at step {}",
        first.0, last.0
    ))
}

/// Whether one scalar is the other with the other sign, at every step.
pub(super) fn is_mirrored(run: &RunView, a: &str, b: &str) -> bool {
    let (Some(a), Some(b)) = (run.scalars().get(a), run.scalars().get(b)) else {
        return false;
    };
    let is_mirror = |(a, b): (&(u64, f64), &(u64, f64))| {
        let is_broken = a.1.is_nan() && b.1.is_nan();
        a.0 == b.0 && (is_broken || (-a.1).to_bits() == b.1.to_bits())
    };
    a.len() == b.len() && a.iter().zip(b).all(is_mirror)
}

/// Charts of the units that findings are about, then of those that tell most about the run, as far as they have anything
/// to show.
pub(super) fn units(painter: &Painter, run: &RunView, found: &[UnitsOf]) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    let telling = telling_units(run.model(), run.entries(), run.events());
    for units in found.iter().chain(&telling) {
        if figures.len() == UNIT_CHARTS {
            break;
        }
        let is_new = figures
            .iter()
            .all(|figure| figure.units.as_ref() != Some(units));
        if is_new {
            figures.extend(unit_figure(painter, run, units)?);
        }
    }
    Ok(figures)
}

/// A picture that follows the reader's color scheme, over its caption.
pub(super) fn push_figure(html: &mut String, figure: &Figure) {
    let data = |png: &[u8]| format!("data:image/png;base64,{}", BASE64.encode(png));
    let units = figure.units.as_ref();
    let id = units.map_or_else(String::new, |units| format!(" id=\"{}\"", anchor(units)));
    html.push_str(&format!(
        "<figure{id}><div class=\"picture\"><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\">\
         <img width=\"{}\" alt=\"{}\" src=\"{}\"></picture></div>\n<figcaption>{}</figcaption></figure>\n",
        data(&figure.dark),
        figure.width.round(),
        escape(&figure.alt),
        data(&figure.light),
        escape(&figure.caption)
    ));
}

/// A chart of one statistic of all units of a tensor: a blue-noise sample of their polylines over the density of all. Of a
/// run that failed early, the steps around the failure are shown. `None` where nothing is recorded, or where all values
/// are the same.
///
/// # Errors
/// The run has no such tensor, it is damaged, or the device was lost.
pub fn unit_figure(painter: &Painter, run: &RunView, units: &UnitsOf) -> Result<Option<Figure>> {
    let mut recorded = run.series(&units.tensor, units.kind, units.statistic)?;
    let focus = failure_steps(run);
    if let Some(steps) = &focus {
        recorded = series_within(recorded, steps);
    }
    // Such as the spread of a bias, which has one value a unit.
    if recorded.values.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(None);
    }
    let options = SampleOptions {
        budget: Budget::Keep(KEEP),
        ..SampleOptions::default()
    };
    let chart = SampledChart::of_units(painter.gpu(), units, &recorded, None, &options)?;
    let Some(mut chart) = chart else {
        return Ok(None);
    };
    if let Some(steps) = &focus {
        chart = chart.with_note(&focus_note(steps));
    }
    let title = &chart.caption().title;
    let alt = format!("{title} over the training steps. {}", chart.note());
    // What the sample guarantees is written in the picture.
    let caption = what_to_look_at(units);
    let figure = in_both_themes(painter, (&alt, caption), Pixels::Compact, |theme| {
        chart.chart().picture(painter, SIZE, theme)
    })?;
    Ok(Some(Figure {
        units: Some(units.clone()),
        ..figure
    }))
}

/// What a person looks for in a chart of these units.
fn what_to_look_at(units: &UnitsOf) -> &'static str {
    match (units.kind, units.statistic) {
        (_, Statistic::Nonfinite) => {
            "A line that leaves zero is a unit with NaN or infinite values."
        }
        (TensorKind::Activation, Statistic::ZeroFraction) => {
            "A line at 1 is a unit that is zero for every sample of the batch."
        }
        (_, Statistic::ZeroFraction) => "A line at 1 is a unit whose values are all zero.",
        (TensorKind::Activation, Statistic::Std) => {
            "A line at zero is a unit that gives the same for every sample."
        }
        (TensorKind::Activation, Statistic::Min | Statistic::Max) => {
            "A line that keeps growing is a unit on its way to overflow."
        }
        (TensorKind::Activation, Statistic::Mean) => {
            "A line that leaves the others, or bends suddenly, is a unit to look at."
        }
        (TensorKind::Gradient, _) => {
            "Lines that sink toward zero have nothing left to learn from; lines that rise by orders of magnitude explode."
        }
        (TensorKind::Weight, _) => {
            "A line that runs away from the others is a unit whose weights grow."
        }
        (TensorKind::Update, _) => "A line far above the others is a unit that changes too fast.",
    }
}
