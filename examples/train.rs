//! Trains the built-in VAE for a few steps from Rust, reads one unit's statistics and draws a sample grid.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its results")]

use std::path::Path;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Gallery, Scenario, Trainer};
use trainscope::view::{ImageGrid, ImageRow, Painter, Theme};

fn main() -> trainscope::Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load("vae-mnist", &["train.steps=300".into()])?;
    let mut trainer = Trainer::new(&gpu, &scenario)?;
    while trainer.steps_done() < scenario.train.steps {
        // Every 50th step records six figures of every unit.
        trainer.step(trainer.steps_done().is_multiple_of(50))?;
        while let Some(record) = trainer.take(trainer.is_full())? {
            if let Some(statistics) = record.statistics {
                let mean_of_first_unit = statistics[0].mean;
                println!(
                    "step {}: loss {:.1}, first unit {mean_of_first_unit:.3}",
                    record.step, record.scalars[0]
                );
            }
        }
    }
    let gallery = Gallery::new(&trainer, 64)?.expect("a VAE makes images");
    gallery.refresh(&gpu);
    let row = ImageRow {
        label: "",
        images: &gallery.samples,
        logits: false,
    };
    let [channels, height, width] = gallery.shape;
    let grid = ImageGrid {
        title: "Samples after 300 steps",
        note: "",
        rows: &[row],
        count: gallery.count,
        channels,
        height,
        width,
        columns: 16,
        zoom: 1,
    };
    grid.picture(&Painter::new(&gpu), &Theme::light())?
        .write_png(&gpu, Path::new("samples.png"))?;
    Ok(())
}
