//! Trains a small VAE and shows which pixels raise and lower one of its latent units.

use std::path::Path;

use trainscope::Result;
use trainscope::attribute::{AttributeOptions, Method, attribute};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Replay, Run, Scenario};
use trainscope::view::{Painter, SignedImages, Theme};

fn main() -> Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let dir = Path::new("runs/attribute-example");
    let settings = [
        "train.steps=200".into(),
        "record.checkpoint_every=100".into(),
    ];
    let scenario = Scenario::load("vae-mnist", &settings)?;
    let mut run = Run::create(&gpu, &scenario, dir, None)?;
    while run.advance(&mut |_| {})? {}
    run.finish(false, &mut |_| {})?;

    // Any step can be asked for: those without a checkpoint are run again.
    for step in [0, 150] {
        let trainer = Replay::open(&gpu, dir)?.state_after(step)?;
        let options = AttributeOptions::new("mu", 3).method(Method::DeepLift);
        let found = attribute(&trainer, &options)?;
        let (output, error) = (found.output, found.completeness_error());
        println!(
            "after {step} steps: mu 3 is {output:.4}, the contributions are off by {error:.1e}"
        );
        let signed = SignedImages {
            title: "Latent unit 3: the mean contribution of each pixel",
            note: "Red raises it, blue lowers it.",
            shape: [1, 28, 28],
            images: &found.inputs[..784],
            numbers: &found.values,
            columns: 1,
        };
        let picture = signed.picture(&Painter::new(&gpu), &Theme::light())?;
        picture.write_png(&gpu, format!("attribution-{step}.png").as_ref())?;
    }
    Ok(())
}
