//! What it costs that a data set stays in main memory: steps a second of one model with the set on the GPU, streamed, and
//! with augmentation.

use std::time::{Duration, Instant};

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Scenario, Trainer};

const STEPS: u32 = 40;
const ROUNDS: u32 = 6;

/// Runs steps as a run does: the CPU goes ahead as far as the ring of results lets it.
fn steps(trainer: &mut Trainer) -> Duration {
    let start = Instant::now();
    for _ in 0..STEPS {
        if trainer.is_full() {
            trainer.take(true).expect("it runs");
        }
        trainer.step(false).expect("it runs");
    }
    while trainer.take(true).expect("it runs").is_some() {}
    start.elapsed()
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    for name in ["vae-mnist", "cnn-mnist"] {
        let kinds = [
            ("resident", ""),
            ("streamed, 1 MiB", "data.memory=\"1 MiB\""),
            ("resident, augmented", "data.augment={flip=true,shift=2}"),
        ];
        let mut trainers: Vec<_> = kinds
            .iter()
            .map(|(_, setting)| {
                let settings = Vec::from_iter((!setting.is_empty()).then(|| setting.to_string()));
                let scenario = Scenario::load(name, &settings).expect("built in");
                Trainer::new(&gpu, &scenario).expect("it fits")
            })
            .collect();
        let mut times = vec![Duration::ZERO; kinds.len()];
        for round in 0..=ROUNDS {
            // Alternated, because the machine's speed changes from second to second; the first round warms up.
            for (trainer, time) in trainers.iter_mut().zip(&mut times) {
                let spent = steps(trainer);
                *time += if round == 0 { Duration::ZERO } else { spent };
            }
        }
        let seconds = times.iter().map(|time| time.as_secs_f64());
        let resident = times[0].as_secs_f64();
        for ((kind, _), seconds) in kinds.iter().zip(seconds) {
            println!(
                "{name}, {kind}: {:.2} steps/s, {:+.1} % time",
                f64::from(STEPS * ROUNDS) / seconds,
                100.0 * (seconds / resident - 1.0)
            );
        }
    }
}
