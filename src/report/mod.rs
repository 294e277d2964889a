//! One self-contained HTML file about a run: the verdict and its findings, then all else that is known of it.
//!
//! Scalars are part of the page as data, which its own script draws and lets a person explore; pictures are drawn by
//! [`crate::view`], light and dark. Nothing is fetched. All text from the run directory is escaped.

mod analyses;
mod bars;
mod chart;
mod comparison;
mod dreams;
mod figures;
mod findings;
mod focus;
mod graph;
mod html;
mod images;
mod page;
mod patterns;
mod scalar_groups;
mod scalar_lines;
mod scalars;
mod style;
mod tables;
mod telling;
mod validation;

use std::path::{Path, PathBuf};

use crate::diagnose::Explanation;
use crate::gpu::Gpu;
use crate::nn::Role;
use crate::trace::{ModelDescription, RunReader, RunView};
use crate::train::{Scenario, Trainer};
use crate::view::{Painter, UnitsOf};
use crate::{Error, Result, diagnose, files};

use chart::Chart;
use findings::Shown;

pub use analyses::keep_answer;
pub use comparison::write_comparison;
pub use figures::{Figure, scalar_figures, unit_figure};
pub use focus::{failure_steps, scalars_within, series_within};
pub use images::{image_figures, progress_figure};
pub use scalar_groups::{ScalarGroup, scalar_groups};
pub use telling::telling_units;

/// The folder of the report in a run directory.
const FOLDER: &str = "report";

/// Writes `report/index.html` into a run directory and returns its path. The directory alone is enough: what the model
/// makes is drawn from the last checkpoint, and where that, the scenario or the data is missing, the report says so. What
/// is damaged is left out and named.
///
/// # Errors
/// The directory is not a run or of a newer format, the folder cannot be written, the device was lost, or the adapter
/// refused what a part needs: then the page is written without that part.
pub fn write_report(gpu: &Gpu, run_dir: &Path) -> Result<PathBuf> {
    let painter = Painter::new(gpu);
    let images = RunReader::open(run_dir).and_then(|reader| {
        let scenario = Scenario::of_run(&reader)?;
        let (mut trainer, damaged) = Trainer::restored_latest(gpu, &scenario, &reader)?;
        let figures = all_images(&painter, &mut trainer, &reader)?;
        Ok((figures, damaged))
    });
    write(&painter, run_dir, images)
}

/// The same for a run whose trainer is still at hand: no model is built. The trainer's state is as before afterwards.
///
/// # Errors
/// As [`write_report`].
pub fn write_report_of(trainer: &mut Trainer, run_dir: &Path) -> Result<PathBuf> {
    let painter = Painter::new(trainer.gpu());
    let images = RunReader::open(run_dir)
        .and_then(|reader| all_images(&painter, trainer, &reader))
        .map(|figures| (figures, Vec::new()));
    write(&painter, run_dir, images)
}

/// What the model makes now, and what it made on the way.
fn all_images(painter: &Painter, trainer: &mut Trainer, reader: &RunReader) -> Result<Vec<Figure>> {
    let mut figures = images::image_figures(painter, trainer)?;
    figures.extend(images::progress_figure(painter, trainer, reader)?);
    Ok(figures)
}

/// Whether a model makes images, as far as is known of it.
pub fn makes_images(model: &ModelDescription) -> bool {
    let roles = [Role::Image, Role::LatentMean];
    let makes = |role: &Role| model.with_role(*role).is_some();
    model.graphs.is_empty() || roles.iter().any(makes)
}

/// Writes the page with these images, which come with the checkpoints that were damaged.
fn write(
    painter: &Painter,
    run_dir: &Path,
    images: Result<(Vec<Figure>, Vec<Error>)>,
) -> Result<PathBuf> {
    let run = RunView::open(run_dir)?;
    let images = match images {
        // Nothing is missing that there never was.
        Err(error) if !error.is_gpu() && !makes_images(run.model()) => Ok(Default::default()),
        images => images,
    };
    let mut missing = Vec::new();
    let images = images.map(|(figures, damaged)| {
        missing.extend(damaged.iter().map(|error| format!("Left out: {error}.")));
        figures
    });
    let mut refused = None;
    let mut drawn = |what: &str, figures: Result<Vec<Figure>>| {
        figures.unwrap_or_else(|error| {
            missing.push(format!("No {what}: {error}."));
            if error.is_gpu() {
                refused.get_or_insert(error);
            }
            Vec::new()
        })
    };
    let explanation = diagnose::explain_with_trials(&run);
    let found: Vec<Option<UnitsOf>> = explanation
        .findings
        .iter()
        .map(|finding| telling::units_of_finding(finding, run.entries()))
        .collect();
    let of_findings: Vec<UnitsOf> = found.iter().flatten().cloned().collect();
    let images = drawn("images", images);
    let units = drawn(
        "charts of units",
        figures::units(painter, &run, &of_findings),
    );
    // A chart that failed because the device is lost is not a part of the run that is missing.
    painter.gpu().check()?;
    let charts = scalars::scalar_charts(&run, &explanation);
    let shown = shown(&run, &explanation, found, &charts, &units);
    let page = page::Page {
        run: &run,
        summary: &diagnose::summary_of(&run, &explanation),
        explanation: &explanation,
        shown: &shown,
        charts: &charts,
        images: &images,
        units: &units,
        analyses: &analyses::analyses(&run),
        missing: &missing,
    };
    let folder = run_dir.join(FOLDER);
    files::make_folder(&folder)?;
    let path = folder.join("index.html");
    files::write_whole(&path, page.html().as_bytes())?;
    // The page has what could be drawn; that the adapter refused the rest is a failure all the same.
    match refused {
        Some(error) => {
            Err(error.within(&format!("{}, parts of which are missing", path.display())))
        }
        None => Ok(path),
    }
}

/// What shows each finding: its units, where they were drawn, and the chart of the scalar that tells most of it.
fn shown<'a>(
    run: &RunView,
    explanation: &Explanation,
    found: Vec<Option<UnitsOf>>,
    charts: &'a [Chart],
    units: &[Figure],
) -> Vec<Shown<'a>> {
    let is_drawn = |found: &UnitsOf| {
        let drawn = units.iter().filter_map(|figure| figure.units.as_ref());
        drawn.into_iter().any(|units| units == found)
    };
    let pairs = explanation.findings.iter().zip(found);
    pairs
        .map(|(finding, units)| {
            let scalar = scalars::telling_scalar(run, finding);
            Shown {
                units: units.filter(is_drawn),
                chart: charts.iter().find(|chart| chart.holds(&scalar)),
            }
        })
        .collect()
}
