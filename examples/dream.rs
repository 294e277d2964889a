//! What do the classes of a network look like to it? Trains a classifier on MNIST for a moment and dreams of its digits.
//!
//! ```sh
//! cargo run --release --example dream -- digits.png
//! ```

use std::path::PathBuf;

use trainscope::dream::{DreamOptions, DreamTarget, dream};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Scenario, Trainer};
use trainscope::view::{DreamSheet, Painter, Theme};

fn main() -> trainscope::Result<()> {
    let path = std::env::args().nth(1).unwrap_or("digits.png".to_owned());
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load("cnn-mnist", &["train.steps=200".to_owned()])?;
    let mut trainer = Trainer::new(&gpu, &scenario)?;
    while trainer.steps_done() < scenario.train.steps {
        trainer.step(false)?;
        while trainer.take(trainer.is_full())?.is_some() {}
    }

    let target = DreamTarget::parse("class:all")?;
    let options = DreamOptions {
        steps: 200,
        ..DreamOptions::default()
    };
    let found = dream(&trainer, &target, &options, &mut |_, _| true)?;
    for dream in &found.dreams {
        let most = &dream.most[0];
        println!(
            "{}: {:.1} on the dream, at most {:.1} on real digits (sample {})",
            dream.unit, dream.activation, dream.real_maximum, most.sample
        );
    }
    let sheet = DreamSheet {
        run: &scenario.name,
        snapshots: &[found],
    };
    let picture = sheet.picture(&Painter::new(&gpu), &Theme::light().scaled(2.0))?;
    picture.write_png(&gpu, &PathBuf::from(path))
}
