//! Grids of what the model makes: reconstructions and samples.

use super::figures::{Figure, in_both_themes};
use crate::Result;
use crate::train::{ModelPreview, Trainer};
use crate::view::{ImageGrid, ImageRow, Painter};

/// Images of each sort.
const COUNT: usize = 32;
const COLUMNS: usize = 16;
/// Points that an image takes on a side, where its pixels divide them.
const SIDE: usize = 48;

/// Grids of the images that a trainer's model makes as it is, samples last; none for models that make no images.
///
/// # Errors
/// The adapter's limits, or the device was lost.
pub fn image_figures(painter: &Painter, trainer: &Trainer) -> Result<Vec<Figure>> {
    let Some(preview) = ModelPreview::new(trainer, COUNT)? else {
        return Ok(Vec::new());
    };
    preview.refresh(painter.gpu());
    let row = |label, images| ImageRow {
        label,
        images,
        logits: false,
    };
    let columns = match preview.classes {
        1 => COLUMNS,
        classes => classes,
    };
    let [channels, height, width] = preview.shape;
    let note = format!("After {} steps.", trainer.steps_done());
    let mut grids = Vec::new();
    if let Some([inputs, outputs]) = &preview.reconstructions {
        let rows = vec![row("input", inputs), row("reconstruction", outputs)];
        grids.push(("Inputs above their reconstructions", rows));
    }
    let samples = vec![row("", &preview.samples)];
    let title = match preview.classes {
        1 => "Images decoded from random latent vectors",
        _ => "Images decoded from random latent vectors, a column a class",
    };
    grids.push((title, samples));
    grids
        .into_iter()
        .map(|(title, rows)| {
            let grid = ImageGrid {
                title,
                note: &note,
                rows: &rows,
                count: preview.count,
                channels,
                height,
                width,
                columns: columns.min(preview.count).max(1),
                zoom: (SIDE / width.max(1)).clamp(1, 4),
            };
            in_both_themes(painter, title, |theme| grid.picture(painter, theme))
        })
        .collect()
}
