//! What the window shows, as files: pictures at two pixels a point, and the data of the charts as CSV.

use std::path::{Path, PathBuf};

use super::dashboard::Dashboard;
use super::jobs::Timed;
use crate::view::{Picture, ScalarChart, TimeAxis};
use crate::{Error, Result, files};

/// Width and height of exported charts in points, and pixels a point.
const SIZE: [f32; 2] = [900.0, 480.0];
const SCALE_FACTOR: f32 = 2.0;

/// Writes what the panes show into a folder, and returns the files.
pub(super) fn pictures(dashboard: &Dashboard, folder: &Path) -> Result<Vec<PathBuf>> {
    files::make_folder(folder)?;
    let theme = dashboard.theme().scaled(SCALE_FACTOR);
    let painter = &dashboard.painter;
    let gpu = painter.gpu();
    let mut written = Vec::new();
    let mut write = |name: &str, picture: &Picture| {
        let path = folder.join(name);
        picture.write_png(gpu, &path)?;
        written.push(path);
        Result::Ok(())
    };
    let picture = || Picture::new(gpu, SIZE[0], SIZE[1], &theme);
    if let Some(Timed { chart, timeline }) = &dashboard.scalars {
        let (picture, chart) = (picture()?, chart.chart());
        let layout = chart.layout(picture.extent(), theme.scale_factor)?;
        let layout = layout.with_time(&timeline.axis, &timeline.moments);
        chart.draw(painter, &layout, &picture)?;
        write("snapshots.png", &picture)?;
    }
    if let Some(picture) = dashboard.layers.picture() {
        write("layers.png", picture)?;
    }
    if let Some(picture) = dashboard.unit_pane.picture() {
        write("unit.png", picture)?;
    }
    if let Some(picture) = dashboard.walk.picture() {
        write("credit.png", picture)?;
    }
    if let Some(Timed { chart, timeline }) = dashboard.units.chart() {
        let (picture, chart) = (picture()?, chart.chart());
        let layout = chart.layout(picture.extent(), theme.scale_factor)?;
        let layout = layout.with_time(&timeline.axis, &timeline.moments);
        let units = dashboard.selection.as_ref();
        let units = units.map_or(&[][..], |selection| &selection.units);
        chart.draw(painter, &layout, units, &picture)?;
        write("units.png", &picture)?;
    }
    Ok(written)
}

/// Writes what the charts of snapshots and units are drawn from into a folder, and returns the files.
pub(super) fn data(dashboard: &Dashboard, folder: &Path) -> Result<Vec<PathBuf>> {
    files::make_folder(folder)?;
    let gpu = dashboard.painter.gpu();
    let mut written = Vec::new();
    let mut write = |name: &str, text: Vec<u8>| {
        let path = folder.join(name);
        files::write_whole(&path, &text)?;
        written.push(path);
        Result::Ok(())
    };
    if let Some(Timed { chart, timeline }) = &dashboard.scalars {
        let series = chart.data().series();
        let values = gpu.read(series.values())?;
        let names = lines_of(chart);
        write("snapshots.csv", table(&names, &values, &timeline.axis)?)?;
    }
    if let Some(Timed { chart, timeline }) = dashboard.units.chart() {
        let series = chart.data().series();
        let values = gpu.read(series.values())?;
        let names: Vec<String> = (0..series.lines())
            .map(|line| dashboard.units.name(line))
            .collect();
        write("units.csv", table(&names, &values, &timeline.axis)?)?;
    }
    Ok(written)
}

/// The lines of a chart of scalars: the scalars, then what accompanies each.
fn lines_of(chart: &ScalarChart) -> Vec<String> {
    let names = chart.data().names();
    let lines = chart.data().series().lines();
    let companion = chart.data().companion_name();
    (0..lines)
        .map(|line| match line / names.len().max(1) {
            0 => names[line].clone(),
            _ => format!("{} ({companion})", names[line % names.len()]),
        })
        .collect()
}

/// A row for each column of the axis: its first and last step, and a value of each line.
fn table(names: &[String], values: &[f32], axis: &TimeAxis) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::input("CSV", error.to_string(), "report this as a bug");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["first_step", "last_step"].into_iter();
    let names = names.iter().map(String::as_str);
    writer.write_record(head.chain(names)).map_err(failed)?;
    let columns = axis.columns();
    for (column, span) in columns.iter().enumerate() {
        let steps = [span.first.to_string(), span.last.to_string()].into_iter();
        let line = values
            .chunks_exact(columns.len())
            .map(|line| line[column].to_string());
        writer.write_record(steps.chain(line)).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::input("CSV", error.to_string(), "report this as a bug"))
}
