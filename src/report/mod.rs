//! One self-contained HTML file about a run, and what it saw in three sentences.
//!
//! Pictures are drawn by [`crate::view`], light and dark, and stand in the page as data; there are no scripts and
//! nothing is fetched. All text from the run directory is escaped.

mod figures;
mod findings;
mod grid;
mod images;
mod page;

use std::path::{Path, PathBuf};

use crate::gpu::Gpu;
use crate::trace::RunReader;
use crate::train::{Scenario, Trainer};
use crate::view::Painter;
use crate::{Result, files};

pub use figures::{Figure, scalar_figures, unit_figure};
pub use findings::findings;
pub use images::image_figures;

/// The folder of the report in a run directory.
const FOLDER: &str = "report";

/// Writes `report/index.html` into a run directory and returns its path. What the model makes is drawn anew from the
/// last checkpoint; where that or the data is gone, the report says so and shows the rest.
///
/// # Errors
/// The directory holds no run or a damaged one, the folder cannot be written, or the device was lost.
pub fn write_report(gpu: &Gpu, run_dir: &Path) -> Result<PathBuf> {
    let reader = RunReader::open(run_dir)?;
    let restored = || {
        let scenario = Scenario::of_run(&reader)?;
        Trainer::restored(gpu, &scenario, &reader, reader.last_checkpoint()?)
    };
    match restored() {
        Ok(trainer) => write(gpu, &reader, run_dir, Ok(&trainer)),
        Err(error) => write(gpu, &reader, run_dir, Err(error)),
    }
}

/// The same of a run whose trainer is still at hand: nothing is read or trained anew.
///
/// # Errors
/// As [`write_report`].
pub fn write_report_of(trainer: &Trainer, run_dir: &Path) -> Result<PathBuf> {
    let reader = RunReader::open(run_dir)?;
    write(trainer.gpu(), &reader, run_dir, Ok(trainer))
}

fn write(
    gpu: &Gpu,
    reader: &RunReader,
    run_dir: &Path,
    trainer: Result<&Trainer>,
) -> Result<PathBuf> {
    let painter = Painter::new(gpu);
    let mut figures = figures::scalar_figures(&painter, reader)?;
    let missing = match trainer.and_then(|trainer| images::image_figures(&painter, trainer)) {
        Ok(images) => {
            figures.extend(images);
            None
        }
        Err(error) => Some(format!("No images: {error}.")),
    };
    figures.extend(figures::units(&painter, reader)?);
    let page = page::Page {
        info: reader.info(),
        findings: &findings(run_dir)?,
        figures: &figures,
        missing: missing.as_deref(),
        events: &reader.events()?,
        scenario: &reader.scenario()?,
    };
    let folder = run_dir.join(FOLDER);
    files::make_folder(&folder)?;
    let path = folder.join("index.html");
    files::write_whole(&path, page.html().as_bytes())?;
    Ok(path)
}
