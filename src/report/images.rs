//! Grids of what the model makes: reconstructions and samples.

use super::figures::{Figure, Pixels, in_both_themes};
use crate::Result;
use crate::gpu::Buffer;
use crate::trace::{Checkpoint, RunReader};
use crate::train::{ModelPreview, Trainer};
use crate::view::{ImageGrid, ImageRow, Painter};

/// Images of each sort.
const COUNT: usize = 32;
const COLUMNS: usize = 16;
/// Points that an image takes on a side, where its pixels divide them.
const SIDE: usize = 48;
/// Checkpoints of which samples are shown.
const STATES: usize = 5;
/// Said of every grid, since the color means nothing to who sees it for the first time.
const MAGENTA: &str = "A pixel in magenta is not a number: NaN or infinite.";

/// Grids of the images that a trainer's model makes as it is, samples last; none for models that make no images.
///
/// # Errors
/// The adapter's limits, or the device was lost.
pub fn image_figures(painter: &Painter, trainer: &Trainer) -> Result<Vec<Figure>> {
    let Some(preview) = ModelPreview::new(trainer, COUNT)? else {
        return Ok(Vec::new());
    };
    preview.refresh(painter.gpu());
    let columns = match preview.classes {
        1 => COLUMNS,
        classes => classes,
    };
    let note = format!("After {} steps.", trainer.steps_done());
    let mut grids = Vec::new();
    if let Some([inputs, outputs]) = &preview.reconstructions {
        let rows = vec![row("input", inputs), row("reconstruction", outputs)];
        let caption = "Each reconstruction is under the input that it is made from.";
        grids.push(("Inputs above their reconstructions", caption, rows));
    }
    let samples = vec![row("", &preview.samples)];
    let (title, caption) = match preview.classes {
        1 => (
            "Images decoded from random latent vectors",
            "Images that are all alike, or all gray, have not learned from the data.",
        ),
        _ => (
            "Images decoded from random latent vectors, one column per class",
            "The images of one row come from the same latent vector.",
        ),
    };
    grids.push((title, caption, samples));
    grids
        .into_iter()
        .map(|(title, caption, rows)| {
            let columns = columns.min(preview.count).max(1);
            let grid = grid(&preview, title, &note, &rows, columns);
            let caption = format!("{caption} {MAGENTA}");
            let alt = format!("{title} after {} steps", trainer.steps_done());
            in_both_themes(painter, (&alt, &caption), Pixels::Exact, |theme| {
                grid.picture(painter, theme)
            })
        })
        .collect()
}

/// What the model of a run made of the same latent vectors after some of its checkpoints, one row for each; `None` for
/// models that make no images and for runs with fewer than three checkpoints. The trainer's state is as before afterwards.
///
/// # Errors
/// A damaged checkpoint, the adapter's limits, or the device was lost.
pub fn progress_figure(
    painter: &Painter,
    trainer: &mut Trainer,
    reader: &RunReader,
) -> Result<Option<Figure>> {
    let steps = spread(&reader.checkpoints()?);
    let Some(preview) = ModelPreview::new(trainer, COLUMNS)?.filter(|_| steps.len() > 2) else {
        return Ok(None);
    };
    let gpu = painter.gpu();
    let last = trainer.checkpoint()?;
    let mut states = Vec::new();
    for step in steps {
        // One that is damaged is missing here; the report names it where it matters.
        let Ok(state) = Checkpoint::read(reader.folder(), step) else {
            continue;
        };
        trainer.load_parameters(&state.parameters, "the run's checkpoint")?;
        preview.refresh(gpu);
        let images = gpu.read(&preview.samples)?;
        states.push((format!("step {step}"), gpu.upload("samples", &images)?));
    }
    trainer.load_parameters(&last.parameters, "the run's last state")?;
    let rows: Vec<ImageRow<'_>> = states
        .iter()
        .map(|(label, images)| row(label, images))
        .collect();
    let title = "Images decoded from the same latent vectors over the run";
    let grid = grid(&preview, title, "", &rows, preview.count.max(1));
    let named: Vec<&str> = states.iter().map(|(label, _)| label.as_str()).collect();
    let alt = format!("{title}: {}", named.join(", "));
    let caption = format!("Columns that become alike show a collapse. {MAGENTA}");
    in_both_themes(painter, (&alt, &caption), Pixels::Exact, |theme| {
        grid.picture(painter, theme)
    })
    .map(Some)
}

/// Some of these steps, from the first to the last.
fn spread(steps: &[u64]) -> Vec<u64> {
    if steps.len() <= STATES {
        return steps.to_vec();
    }
    let last = steps.len() - 1;
    (0..STATES)
        .map(|i| steps[i * last / (STATES - 1)])
        .collect()
}

fn row<'a>(label: &'a str, images: &'a Buffer<f32>) -> ImageRow<'a> {
    ImageRow {
        label,
        images,
        logits: false,
    }
}

fn grid<'a>(
    preview: &ModelPreview,
    title: &'a str,
    note: &'a str,
    rows: &'a [ImageRow<'a>],
    columns: usize,
) -> ImageGrid<'a> {
    let [channels, height, width] = preview.shape;
    ImageGrid {
        title,
        note,
        rows,
        count: preview.count,
        channels,
        height,
        width,
        columns,
        zoom: (SIDE / width.max(1)).clamp(1, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_spread_from_the_first_to_the_last() {
        assert_eq!(spread(&[0, 5, 9]), [0, 5, 9]);
        let steps: Vec<u64> = (0..=20).map(|i| i * 100).collect();
        assert_eq!(spread(&steps), [0, 500, 1000, 1500, 2000]);
    }
}
