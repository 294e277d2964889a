//! The charts of a report.

use super::grid::Grid;
use crate::Result;
use crate::sample::{Budget, SampleOptions, Scale, ValueScale, sample};
use crate::tensor::TensorKind;
use crate::trace::{RunView, Statistic};
use crate::view::{
    Kept, LineChart, Lines, Painter, Picture, ScalarGroup, Series, SeriesChart, Theme,
    scalar_groups,
};

/// Size of a chart in points.
const SIZE: [f32; 2] = [900.0, 380.0];
/// Pixels a point: sharp on dense screens, and a file that still can be sent.
const SCALE_FACTOR: f32 = 1.25;
/// Lines kept in a chart of units.
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

/// A picture of [`SIZE`] that `draw` draws into.
fn chart(
    painter: &Painter,
    theme: &Theme,
    draw: impl Fn(&Picture) -> Result<()>,
) -> Result<Picture> {
    let picture = Picture::new(painter.gpu(), SIZE[0], SIZE[1], theme)?;
    draw(&picture)?;
    Ok(picture)
}

/// Charts of all scalars of a run, those of one unit in one, the loss first.
///
/// # Errors
/// A damaged run, or the device was lost.
pub fn scalar_figures(painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let scalars = run.scalars();
    let names: Vec<&String> = scalars.keys().collect();
    let groups = scalar_groups(&names);
    let figures = groups.iter().map(|group| {
        let members = group.members.iter();
        let series = members.map(|&place| &scalars[names[place]][..]);
        scalar_chart(painter, group, &series.collect::<Vec<_>>())
    });
    figures.filter_map(Result::transpose).collect()
}

fn scalar_chart(
    painter: &Painter,
    group: &ScalarGroup,
    recorded: &[&[(u64, f64)]],
) -> Result<Option<Figure>> {
    let steps = |series: &&[(u64, f64)]| series.iter().map(|(step, _)| *step).collect();
    let steps: Vec<Vec<u64>> = recorded.iter().map(steps).collect();
    let longest = steps.iter().max_by_key(|steps| steps.len());
    let Some(grid) = longest.and_then(|steps| Grid::over(steps)) else {
        return Ok(None);
    };
    let columns = |(series, steps): (&&[(u64, f64)], &Vec<u64>)| {
        let values: Vec<f32> = series.iter().map(|(_, value)| *value as f32).collect();
        grid.columns_of(steps, &values)
    };
    let values: Vec<Vec<f32>> = recorded.iter().zip(&steps).map(columns).collect();
    let labels = group.labels.iter().zip(&values);
    let series: Vec<Series<'_>> = labels
        .map(|(name, values)| Series { name, values })
        .collect();
    let smooth = (grid.columns / 50).clamp(1, 50);
    let mut notes = Vec::new();
    if smooth >= 2 {
        let over = smooth as u64 * grid.stride;
        notes.push(format!("Strong lines: running mean over {over} steps."));
    }
    if group.left_out > 0 {
        let all = group.left_out + series.len();
        notes.push(format!(
            "{} of {all}; the others stand in scalars/.",
            series.len()
        ));
    }
    let chart = LineChart {
        title: group.title,
        note: &notes.join(" "),
        x_title: "training step",
        y_title: group.y_title,
        first_step: grid.first,
        stride: grid.stride,
        series: &series,
        scale: scale_for(&values.concat()),
        smooth,
    };
    let alt = format!("{} over the training steps", group.title);
    in_both_themes(painter, &alt, |theme| {
        self::chart(painter, theme, |picture| chart.draw(painter, picture))
    })
    .map(Some)
}

/// Charts of the units of the first tensors of each kind that have anything to show.
pub(super) fn units(painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (kind, tensors, quantity) in SHOWN {
        let mut shown = 0;
        for entry in run
            .entries()
            .iter()
            .filter(|entry| entry.kind == kind && entry.units > 1)
        {
            if shown == tensors {
                break;
            }
            if let Some(figure) = unit_figure(painter, run, &entry.tensor, kind, quantity)? {
                figures.push(figure);
                shown += 1;
            }
        }
    }
    Ok(figures)
}

/// A chart of one figure of all units of a tensor: a blue-noise sample of their polylines over the density of all.
/// `None` where nothing is recorded, or nothing differs.
///
/// # Errors
/// The run has no such tensor, it is damaged, or the device was lost.
pub fn unit_figure(
    painter: &Painter,
    run: &RunView,
    tensor: &str,
    kind: TensorKind,
    quantity: Statistic,
) -> Result<Option<Figure>> {
    let recorded = run.series(tensor, kind, quantity)?;
    let y_title = words(kind, quantity);
    let title = format!("Units of {tensor}: {y_title}");
    let Some(grid) = Grid::over(&recorded.steps) else {
        return Ok(None);
    };
    let values: Vec<f32> = recorded
        .rows()
        .flat_map(|unit| grid.columns_of(&recorded.steps, unit))
        .collect();
    let units = values.len() / grid.columns;
    // Nothing is to be seen where nothing differs, such as in the spread of a bias, which is one value a unit.
    if values.iter().all(|value| *value == values[0]) {
        return Ok(None);
    }
    let gpu = painter.gpu();
    let buffer = gpu.upload("unit series", &values)?;
    let scale = ValueScale::fit(scale_for(&values), &values);
    let options = SampleOptions {
        budget: Budget::Keep(KEEP.min(units)),
        ..SampleOptions::default()
    };
    let mut kept = sample(gpu, &buffer, units, grid.columns, scale, &options)?;
    // Outliers come first in a sample; drawn last, they lie on top.
    kept.kept.reverse();
    kept.counts.reverse();
    let note = if kept.kept.len() == units {
        format!("All {units} units.")
    } else {
        format!(
            "{} of {units} units; every other unit stays within {:.1} % of the chart's height of one of them everywhere.",
            kept.kept.len(),
            kept.radius * 100.0
        )
    };
    let nonfinite = values
        .chunks_exact(grid.columns)
        .filter(|unit| unit.iter().any(|value| !value.is_finite()))
        .count();
    let chart = SeriesChart {
        title: &title,
        note: &note,
        x_title: "training step",
        y_title: &y_title,
        first_step: grid.first,
        stride: grid.stride,
        lines: Lines {
            values: &buffer,
            lines: units,
            steps: grid.columns,
            scale,
        },
        kept: Some(Kept {
            lines: &kept.kept,
            counts: &kept.counts,
        }),
        density: kept.kept.len() < units,
        nonfinite,
    };
    let alt = format!("{title} over the training steps. {note}");
    in_both_themes(painter, &alt, |theme| {
        self::chart(painter, theme, |picture| chart.draw(painter, picture))
    })
    .map(Some)
}

/// A figure of a unit in words.
fn words(kind: TensorKind, quantity: Statistic) -> String {
    let values = match kind {
        TensorKind::Activation => "the activation over the batch",
        TensorKind::Gradient => "the gradient over the batch",
        TensorKind::Weight => "a unit's weights",
        TensorKind::Update => "what a step adds to a unit",
    };
    let figure = match quantity {
        Statistic::Mean => "mean of",
        Statistic::Std => "standard deviation of",
        Statistic::Min => "least value of",
        Statistic::Max => "largest value of",
        Statistic::ZeroFraction => "share of zeros in",
        Statistic::Nonfinite => "non-finite values in",
    };
    format!("{figure} {values}")
}

/// Symlog where the largest magnitude is far beyond the median one, linear elsewhere.
fn scale_for(values: &[f32]) -> Scale {
    let mut magnitudes: Vec<f32> = values
        .iter()
        .filter(|value| value.is_finite() && **value != 0.0)
        .map(|value| value.abs())
        .collect();
    if magnitudes.is_empty() {
        return Scale::Linear;
    }
    let largest = magnitudes.iter().copied().fold(0.0, f32::max);
    let middle = magnitudes.len() / 2;
    let (_, median, _) = magnitudes.select_nth_unstable_by(middle, f32::total_cmp);
    if largest / *median > 50.0 {
        Scale::Symlog
    } else {
        Scale::Linear
    }
}
