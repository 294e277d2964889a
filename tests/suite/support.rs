//! What every test needs: one device for all of them.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use trainscope::Result;
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Finished, Replay, Run, Verification};

/// The device that the tests share, on the adapter that a user would get. The first call prints its name.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| {
        let gpu = Gpu::new(&AdapterChoice::default()).expect("the tests need an adapter");
        println!("adapter: {}", gpu.describe());
        gpu
    })
}

/// Replays steps of a run and compares them with what it has kept.
pub fn verify_replay(dir: &Path, steps: Range<u64>) -> Result<Verification> {
    let mut replay = Replay::open(gpu(), dir)?
        .range(steps)
        .verify(true)
        .start()?;
    while replay.step()?.is_some() {}
    Ok(replay.verification())
}

/// A scenario of small layers and few steps: a run of it takes about a second on a software adapter.
pub const SMALL: &str = r#"name = "small"
seed = 3

[data]
source = "mnist"

[model]
kind = "vae"
latent = 4
encoder = [ { dense = { units = 16 } }, "relu" ]
decoder = [ { dense = { units = 16 } }, "relu", { dense = { units = 784 } } ]

[train]
batch = 32
steps = 40
optimizer = { adam = { lr = 1e-2 } }

[record]
every = 4
checkpoint_every = 10
probe_batch = 8
"#;

/// Trains a run to its end, without a report.
pub fn end(mut run: Run) -> Finished {
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap()
}
