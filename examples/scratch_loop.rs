use std::time::Instant;
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::{Scenario, Trainer};
fn main() -> trainscope::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let watched = args[1] == "watched";
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load(&args[0], &args[2..])?;
    let mut trainer = Trainer::new(&gpu, &scenario)?;
    let t = Instant::now();
    let mut n = 0;
    while t.elapsed().as_secs_f64() < 9.0 {
        trainer.step(watched)?;
        while trainer.take(trainer.is_full())?.is_some() {}
        n += 1;
    }
    println!("{:.2} ms", t.elapsed().as_secs_f64() / n as f64 * 1e3);
    Ok(())
}
