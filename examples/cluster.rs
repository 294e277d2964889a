//! Puts the units of a layer into clusters at every checkpoint of a run, with numbers that stay from one to the next:
//! `cargo run --example cluster -- runs/vae-mnist encoder.1`.

use std::path::PathBuf;

use trainscope::Error;
use trainscope::cluster::{ClusterOptions, Clustering, UnitFeatures, cluster};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::trace::RunView;
use trainscope::train::Replay;

fn main() -> trainscope::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(layer)) = (arguments.next(), arguments.next()) else {
        return Err(Error::usage(
            "cluster",
            "a run directory and a layer are needed",
            "name both",
        ));
    };
    let dir = PathBuf::from(dir);
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let mut before: Option<Clustering> = None;
    for &step in RunView::open(&dir)?.checkpoints() {
        let trainer = Replay::open(&gpu, &dir)?.state_after(step)?;
        let features = UnitFeatures::of_probe_batch(&trainer, &layer)?;
        let mut now = cluster(&gpu, &features, &ClusterOptions::default())?;
        if let Some(before) = &before {
            now.match_to(before);
        }
        println!("after step {step}: {}", now.summary());
        for cluster in &now.clusters {
            println!("  cluster {}: {:?}", cluster.id, cluster.units);
        }
        before = Some(now);
    }
    Ok(())
}
