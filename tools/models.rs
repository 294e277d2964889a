//! Writes `docs/models.md`, the preview of the built-in scenarios, from run directories:
//!
//! ```sh
//! for name in $(trainscope train --list --json | jq -r '.scenarios[].name'); do trainscope train "$name"; done
//! cargo run --release --example models -- runs docs
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use trainscope::Result;
use trainscope::diagnose::summary;
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::report::{Figure, image_figures, scalar_figures, telling_units, unit_figure};
use trainscope::trace::{RunReader, RunView};
use trainscope::train::{BUILT_IN, BuiltIn, Scenario, Trainer};
use trainscope::view::Painter;

const HEAD: &str = "# The built-in scenarios

One section each: the command, what the run saw, and pictures of it: scalars over the steps, what the model makes, and
the most informative units, as a blue-noise sample of their polylines over the density of all. Everything below was made
by the program: `tools/models.rs` says how to make it again. [scenarios.md](scenarios.md#built-in-scenarios) says what
fixes each failing scenario.
";

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(runs), Some(docs)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: models RUNS DOCS");
        std::process::exit(2);
    };
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let painter = Painter::new(&gpu);
    let pictures = docs.join("models");
    make(std::fs::create_dir_all(&pictures), &pictures)?;
    let mut text = HEAD.to_owned();
    for BuiltIn { name, about, .. } in BUILT_IN {
        let run = RunView::open(&runs.join(name))?;
        let info = RunReader::open(run.folder())?.info().clone();
        let _ = writeln!(
            text,
            "\n## {name}\n\n{}{}.\n\n```sh\ntrainscope train {name}\n```\n\n{} of {} steps on {}: {}.\n",
            about[..1].to_uppercase(),
            &about[1..],
            info.steps_done,
            info.steps,
            info.adapter,
            info.status
        );
        for line in summary(&run) {
            let _ = writeln!(text, "- {line}");
        }
        for (place, figure) in figures(&gpu, &painter, &run)?.iter().enumerate() {
            let file = format!("{name}-{place}.png");
            let path = pictures.join(&file);
            make(std::fs::write(&path, &figure.light), &path)?;
            let alt = &figure.alt;
            let caption = &figure.caption;
            let _ = writeln!(text, "\n![{alt}](models/{file})\n{caption}");
        }
        println!("{name}");
    }
    let path = docs.join("models.md");
    make(std::fs::write(&path, text), &path)
}

/// The chart of the loss, and of a GAN's diversity, the samples, and the most informative units.
fn figures(gpu: &Gpu, painter: &Painter, run: &RunView) -> Result<Vec<Figure>> {
    let scalars = scalar_figures(painter, run)?.into_iter().enumerate();
    let shown =
        scalars.filter(|(place, figure)| *place == 0 || figure.alt.contains("generated images"));
    let mut figures: Vec<Figure> = shown.map(|(_, figure)| figure).collect();
    let reader = RunReader::open(run.folder())?;
    let scenario = Scenario::of_run(&reader)?;
    let trainer = Trainer::restored(gpu, &scenario, &reader, reader.last_checkpoint()?)?;
    figures.extend(image_figures(painter, &trainer)?.pop());
    // What the report shows first, too.
    for units in telling_units(run.model(), run.entries(), run.events()) {
        if let Some(figure) = unit_figure(painter, run, &units)? {
            figures.push(figure);
            break;
        }
    }
    Ok(figures)
}

fn make(result: std::io::Result<()>, path: &Path) -> Result<()> {
    result.map_err(|error| {
        let place = path.display().to_string();
        trainscope::Error::input(
            place,
            error.to_string(),
            "name a folder that can be written",
        )
    })
}
