//! Grids of samples and reconstructions: training leaves them in the run directory, the report shows them.

use std::io::Read as _;
use std::path::Path;

use super::FOLDER;
use super::figures::Figure;
use crate::gpu::{Buffer, Gpu};
use crate::view::{ImageGrid, ImageRow, Painter, Theme};
use crate::{Error, Result};

/// What a generative model makes; every buffer is `[count, channels, height, width]` in `[0, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// Images in each buffer.
    pub count: usize,
    /// Channels (1 or 3), height, width.
    pub shape: [usize; 3],
    /// What the model was given.
    pub inputs: &'a Buffer<f32>,
    /// What it made of them.
    pub reconstructions: &'a Buffer<f32>,
    /// What it makes of draws from the prior.
    pub samples: &'a Buffer<f32>,
}

/// Names of the pictures without their extension.
const NAMES: [(&str, &str); 2] = [
    ("reconstructions", "Inputs above their reconstructions"),
    ("samples", "Images decoded from random latent vectors"),
];
/// No picture is larger in a run directory of ours.
const LARGEST: u64 = 32 << 20;

/// Writes `report/reconstructions.png` and `report/samples.png`, and both once more for dark pages, into a run
/// directory.
///
/// # Errors
/// Shapes that do not fit the buffers, a folder that cannot be written, or a lost device.
pub fn write_images(gpu: &Gpu, run_dir: &Path, images: &Images<'_>) -> Result<()> {
    let folder = super::folder(run_dir)?;
    let painter = Painter::new(gpu);
    let [channels, height, width] = images.shape;
    let columns = images.count.clamp(1, 16);
    let zoom = (48 / width.max(1)).clamp(1, 4);
    let row = |label, images| ImageRow {
        label,
        images,
        logits: false,
    };
    let reconstructions = [
        row("input", images.inputs),
        row("reconstruction", images.reconstructions),
    ];
    let samples = [row("", images.samples)];
    let rows: [&[ImageRow<'_>]; 2] = [&reconstructions, &samples];
    for ((name, title), rows) in NAMES.into_iter().zip(rows) {
        let grid = ImageGrid {
            title,
            note: "",
            rows,
            count: images.count,
            channels,
            height,
            width,
            columns,
            zoom,
        };
        for (suffix, theme) in [("", Theme::light()), ("-dark", Theme::dark())] {
            let picture = grid.picture(&painter, &theme)?;
            picture.write_png(gpu, &folder.join(format!("{name}{suffix}.png")))?;
        }
    }
    Ok(())
}

/// The pictures that are there.
pub(super) fn figures(run_dir: &Path) -> Result<Vec<Figure>> {
    let folder = run_dir.join(FOLDER);
    let mut figures = Vec::new();
    for (name, alt) in NAMES {
        let Some(light) = read_png(&folder.join(format!("{name}.png")))? else {
            continue;
        };
        figures.push(Figure {
            alt: alt.to_owned(),
            width: width_of(&light),
            dark: read_png(&folder.join(format!("{name}-dark.png")))?,
            light,
        });
    }
    Ok(figures)
}

/// A PNG file's bytes; `None` where there is no such file.
fn read_png(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error: std::io::Error| Error::io(path, "read it", &error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST || !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.len() < 24
    {
        return Err(Error::input(
            path.display().to_string(),
            "it is no PNG file that training wrote",
            "remove it",
        ));
    }
    Ok(Some(bytes))
}

/// The width in the header of a PNG file.
fn width_of(png: &[u8]) -> f32 {
    u32::from_be_bytes([png[16], png[17], png[18], png[19]]) as f32
}
