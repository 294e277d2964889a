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
use crate::view::Painter;
use crate::{Result, files};

pub use findings::findings;
pub use images::{Images, write_images};

/// The folder of the report in a run directory.
const FOLDER: &str = "report";

/// Writes `report/index.html` into a run directory and returns its path. Pictures that [`write_images`] left there
/// are part of it.
///
/// # Errors
/// The directory holds no run or a damaged one, the folder cannot be written, or the device was lost.
pub fn write_report(gpu: &Gpu, run_dir: &Path) -> Result<PathBuf> {
    let reader = RunReader::open(run_dir)?;
    let painter = Painter::new(gpu);
    let mut figures = Vec::new();
    figures.extend(figures::loss(&painter, &reader)?);
    figures.extend(images::figures(run_dir)?);
    figures.extend(figures::units(&painter, &reader)?);
    let page = page::Page {
        info: reader.info(),
        findings: &findings(run_dir)?,
        figures: &figures,
        events: &reader.events()?,
        scenario: &reader.scenario()?,
    };
    let path = folder(run_dir)?.join("index.html");
    files::write_whole(&path, page.html().as_bytes())?;
    Ok(path)
}

/// The report's folder, made where it is missing.
fn folder(run_dir: &Path) -> Result<PathBuf> {
    let folder = run_dir.join(FOLDER);
    files::make_folder(&folder)?;
    Ok(folder)
}
