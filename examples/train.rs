//! Trains a variational autoencoder, records the run, writes its report and draws a grid of samples.

use std::path::Path;

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{ModelPreview, Run, Scenario};
use trainscope::view::{ImageGrid, ImageRow, Painter, Theme};
use trainscope::{Result, report};

fn main() -> Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load("vae-mnist", &["train.steps=300".into()])?;
    let mut run = Run::create(&gpu, &scenario, Path::new("runs/example"), None)?;
    let mut print = |record: &trainscope::train::StepRecord| {
        if record.step.is_multiple_of(50) {
            println!("step {}: loss {:.1}", record.step, record.scalars[0]);
        }
    };
    while run.advance(&mut print)? {}
    let mut finished = run.finish(false, &mut print)?;
    let report = report::write_report_of(&mut finished.trainer, &finished.dir)?;
    println!("{}: {}", finished.status, report.display());

    let preview = ModelPreview::new(&finished.trainer, 64)?.expect("a VAE makes images");
    preview.refresh(&gpu);
    let [channels, height, width] = preview.shape;
    let grid = ImageGrid {
        title: "Samples after 300 steps",
        note: "",
        rows: &[ImageRow {
            label: "",
            images: &preview.samples,
            logits: false,
        }],
        count: preview.count,
        channels,
        height,
        width,
        columns: 16,
        zoom: 1,
    };
    grid.picture(&Painter::new(&gpu), &Theme::light())?
        .write_png(&gpu, Path::new("samples.png"))
}
