//! Trains a scenario twice with one setting changed and shows where the two runs part.

use std::path::Path;

use trainscope::Result;
use trainscope::compare::compare;
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::trace::RunView;
use trainscope::train::{Run, Scenario};

fn main() -> Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let mut runs = Vec::new();
    for noise in [1.0, 0.5] {
        let settings = ["train.steps=60".into(), format!("model.noise={noise}")];
        let scenario = Scenario::load("vae-mnist", &settings)?;
        let dir = format!("runs/compare-example-{noise}");
        let mut run = Run::create(&gpu, &scenario, Path::new(&dir), None)?;
        while run.advance(&mut |_| {})? {}
        run.finish(false, &mut |_| {})?;
        runs.push(RunView::open(dir.as_ref())?);
    }
    let comparison = compare(&runs)?;
    for setting in &comparison.settings {
        println!("{}: {:?}", setting.key, setting.values);
    }
    match comparison.first_difference() {
        Some((_, first)) => println!(
            "they part at step {} in {}: {:?}",
            first.step, first.tensor, first.values
        ),
        None => println!("nothing that both have recorded differs"),
    }
    for row in comparison
        .scalars
        .iter()
        .filter(|row| !row.name.contains('/'))
    {
        let last: Vec<_> = row.runs.iter().flatten().map(|run| run.last).collect();
        println!("{}: {last:?}", row.name);
    }
    Ok(())
}
