//! What panes show, drawn again at two pixels a point.

use super::super::dashboard::Dashboard;
use super::super::jobs::Timed;
use super::super::panes::Pane;
use super::super::tile::Tile;
use crate::Result;
use crate::view::{Painter, Picture, TextLine, TextSheet, Theme};

/// Width and height of exported charts in points, and pixels a point.
const SIZE: [f32; 2] = [900.0, 480.0];
const SCALE_FACTOR: f32 = 2.0;
/// Width of exported text, in points.
const TEXT_WIDTH: f32 = 640.0;

/// The views of a pane with their names; none where it shows nothing yet.
pub(super) fn of(
    dashboard: &Dashboard,
    painter: &Painter,
    pane: Pane,
) -> Result<Vec<(String, Picture)>> {
    let theme = dashboard.theme().scaled(SCALE_FACTOR);
    let named = |name: &str, picture: Option<Picture>| {
        picture
            .map(|picture| (name.to_owned(), picture))
            .into_iter()
            .collect()
    };
    let sheet = |name: &str, lines: Vec<TextLine>| -> Result<Vec<(String, Picture)>> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let picture = TextSheet { lines }.picture(painter, TEXT_WIDTH, &theme)?;
        Ok(named(name, Some(picture)))
    };
    Ok(match pane {
        Pane::Snapshots => named("snapshots", snapshots(dashboard, painter, &theme)?),
        Pane::Layers => named("layers", dashboard.layers.drawn_by(painter, &theme)?),
        Pane::Units => {
            let picture = units(dashboard, painter, &theme)?;
            named(&super::tables::units_name(dashboard), picture)
        }
        Pane::Images => images(dashboard, painter, &theme)?,
        Pane::Credit => {
            let picture = dashboard.walk.drawn_by(painter, &theme)?;
            named(&super::tables::credit_name(dashboard), picture)
        }
        Pane::Unit => {
            let picture = dashboard.unit_pane.drawn_by(painter, &theme)?;
            named(&dashboard.unit_pane.name(), picture)
        }
        Pane::Run => sheet("run", run(dashboard))?,
        Pane::Explain => sheet("explanation", dashboard.explain.lines())?,
    })
}

fn snapshots(dashboard: &Dashboard, painter: &Painter, theme: &Theme) -> Result<Option<Picture>> {
    let Some(Timed { chart, timeline }) = &dashboard.scalars else {
        return Ok(None);
    };
    let picture = Picture::new(painter.gpu(), SIZE[0], SIZE[1], theme)?;
    let chart = chart.chart();
    let layout = chart.layout(picture.extent(), theme.scale_factor)?;
    let layout = layout.with_time(&timeline.axis, &timeline.moments);
    chart.draw(painter, &layout, &picture)?;
    Ok(Some(picture))
}

fn units(dashboard: &Dashboard, painter: &Painter, theme: &Theme) -> Result<Option<Picture>> {
    let Some(Timed { chart, timeline }) = dashboard.units.chart() else {
        return Ok(None);
    };
    let picture = Picture::new(painter.gpu(), SIZE[0], SIZE[1], theme)?;
    let chart = chart.chart();
    let layout = chart.layout(picture.extent(), theme.scale_factor)?;
    let layout = layout.with_time(&timeline.axis, &timeline.moments);
    let selection = dashboard.selection.as_ref();
    let pinned = selection.map_or(Vec::new(), |selection| dashboard.units.pinned(selection));
    chart.draw(painter, &layout, &pinned, &picture)?;
    Ok(Some(picture))
}

fn images(
    dashboard: &Dashboard,
    painter: &Painter,
    theme: &Theme,
) -> Result<Vec<(String, Picture)>> {
    let mut views = Vec::new();
    let mut tile = Tile::default();
    let past = dashboard.past.as_ref();
    if let Some(tensor) = past.and_then(|past| past.tensor.as_ref()) {
        tensor.draw(painter, theme, &mut tile)?;
        views.extend(tile.take().map(|picture| (tensor.name(), picture)));
    }
    if let Some(images) = dashboard.shown_images() {
        images.draw(painter, theme, &mut tile)?;
        views.extend(tile.take().map(|picture| ("images".to_owned(), picture)));
    }
    Ok(views)
}

/// What the pane says of the run.
fn run(dashboard: &Dashboard) -> Vec<TextLine> {
    let status = dashboard.status();
    let state = match status.steps {
        0 => status.state.clone(),
        steps => format!("{}, step {} of {steps}", status.state, status.step),
    };
    let mut lines = vec![
        TextLine::Title(status.name.clone()),
        TextLine::Said(state),
        TextLine::Aside(status.dir.display().to_string()),
        TextLine::Title(format!("Events: {}", status.events)),
    ];
    lines.extend(status.first_events.into_iter().map(TextLine::Said));
    if !status.problems.is_empty() {
        lines.push(TextLine::Title("Left out".to_owned()));
        lines.extend(status.problems.into_iter().map(TextLine::Said));
    }
    lines
}
