//! What the detectors of events cost where every step is recorded: recorded steps with them and without, in turn, and the
//! time that they take by themselves.

use std::time::{Duration, Instant};

use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{EventDetector, Scenario, Trainer};

/// Steps that are not measured: kernels are built in the first ones, and the loss settles.
const WARM_UP: usize = 20;
/// Pairs of steps that are measured.
const PAIRS: usize = 150;

/// The middle one of some times.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn measure(gpu: &Gpu, name: &str) {
    let scenario = Scenario::load(name, &["record.every=1".to_owned()]).expect("built in");
    let mut trainer = Trainer::new(gpu, &scenario).expect("valid");
    let mut detector = EventDetector::new(
        trainer.layout(),
        &trainer.scalar_names(),
        &trainer.describe(),
        &scenario.detect,
    );
    let (mut with, mut without, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut events = 0;
    for at in 0..WARM_UP + 2 * PAIRS {
        let start = Instant::now();
        trainer.step(true).expect("it runs");
        let record = trainer.take(true).expect("it runs").expect("a record");
        let recorded = start.elapsed();
        let is_measured = at >= WARM_UP;
        // Alternated, because the machine's speed changes from second to second.
        if at.is_multiple_of(2) {
            let start = Instant::now();
            events += detector.observe(&record).len();
            let own = start.elapsed();
            if is_measured {
                alone.push(own);
                with.push(recorded + own);
            }
        } else if is_measured {
            without.push(recorded);
        }
    }
    let rows = trainer.layout().rows();
    let (with, without, alone) = (median(with), median(without), median(alone));
    println!(
        "{name}: {rows} units a record; a recorded step takes {:.2} ms without detectors and {:.2} ms with them (ratio {:.4}); \
         the detectors alone {:.3} ms, {:.2} % of a step; {events} events",
        1e3 * without,
        1e3 * with,
        with / without,
        1e3 * alone,
        100.0 * alone / without
    );
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    for name in ["vae-mnist", "conv-vae-mnist", "vae-flat-background"] {
        measure(&gpu, name);
    }
}
