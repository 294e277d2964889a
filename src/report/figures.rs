//! The charts of a report.

use super::scalar_groups::scalar_groups;
use crate::Result;
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
/// What is shown of each kind of tensor, and of how many tensors.
const SHOWN: [(TensorKind, usize, Statistic); 3] = [
    (TensorKind::Activation, 4, Statistic::Mean),
    (TensorKind::Gradient, 2, Statistic::Std),
    (TensorKind::Update, 2, Statistic::Std),
];

/// A picture of a report, in both themes.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows, for people who do not see it.
    pub alt: String,
    /// Width in points.
    pub width: f32,
    /// A PNG file for a light page.
    pub light: Vec<u8>,
    /// A PNG file for a dark page.
    pub dark: Vec<u8>,
}

/// Draws a picture in both themes.
pub(super) fn in_both_themes(
    painter: &Painter,
    alt: &str,
    draw: impl Fn(&Theme) -> Result<Picture>,
) -> Result<Figure> {
    let gpu = painter.gpu();
    let picture = draw(&Theme::light().scaled(SCALE_FACTOR))?;
    let dark = draw(&Theme::dark().scaled(SCALE_FACTOR))?;
    Ok(Figure {
        alt: alt.to_owned(),
        width: picture.size()[0] as f32 / SCALE_FACTOR,
        light: picture.png_bytes(gpu)?,
        dark: dark.png_bytes(gpu)?,
    })
}

/// Charts of all scalars of a run, those of one unit in one, the loss first.
///
/// # Errors
/// A damaged run, or the device was lost.
pub fn scalar_figures(painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let scalars = run.scalars();
    let names: Vec<&String> = scalars.keys().collect();
    let groups = scalar_groups(&names, run.model());
    let mut figures = Vec::new();
    for group in &groups {
        let values = group
            .members
            .iter()
            .map(|&index| &scalars[names[index]][..]);
        let recorded: Vec<_> = group
            .labels
            .iter()
            .map(String::as_str)
            .zip(values)
            .collect();
        let (title, y_title) = (group.title, group.y_title);
        let chart = ScalarChart::of_recorded(painter.gpu(), title, y_title, &recorded, None)?;
        let Some(mut chart) = chart else {
            continue;
        };
        if group.left_out > 0 {
            let shown = group.members.len();
            let all = shown + group.left_out;
            chart = chart.with_note(&format!("{shown} of {all}; the others are in scalars/."));
        }
        let alt = format!("{title} over the training steps");
        let draw = |theme: &Theme| chart.chart().picture(painter, SIZE, theme);
        figures.push(in_both_themes(painter, &alt, draw)?);
    }
    Ok(figures)
}

/// Charts of the units of the first tensors of each kind that have anything to show.
pub(super) fn units(painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (kind, tensors, statistic) in SHOWN {
        let mut shown = 0;
        for entry in run
            .entries()
            .iter()
            .filter(|entry| entry.kind == kind && entry.units > 1)
        {
            if shown == tensors {
                break;
            }
            if let Some(figure) = unit_figure(painter, run, &entry.tensor, kind, statistic)? {
                figures.push(figure);
                shown += 1;
            }
        }
    }
    Ok(figures)
}

/// A chart of one statistic of all units of a tensor: a blue-noise sample of their polylines over the density of all.
/// `None` where nothing is recorded, or where all values are the same.
///
/// # Errors
/// The run has no such tensor, it is damaged, or the device was lost.
pub fn unit_figure(
    painter: &Painter,
    run: &RunView,
    tensor: &str,
    kind: TensorKind,
    statistic: Statistic,
) -> Result<Option<Figure>> {
    let recorded = run.series(tensor, kind, statistic)?;
    // Such as the spread of a bias, which has one value a unit.
    if recorded.values.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(None);
    }
    let units = UnitsOf {
        tensor: tensor.to_owned(),
        kind,
        statistic,
    };
    let options = SampleOptions {
        budget: Budget::Keep(KEEP),
        ..SampleOptions::default()
    };
    let chart = SampledChart::of_units(painter.gpu(), &units, &recorded, None, &options)?;
    let Some(chart) = chart else {
        return Ok(None);
    };
    let title = &chart.caption().title;
    let alt = format!("{title} over the training steps. {}", chart.note());
    in_both_themes(painter, &alt, |theme| {
        chart.chart().picture(painter, SIZE, theme)
    })
    .map(Some)
}
