use std::time::Instant;
use trainscope::gpu::{AdapterChoice, Dispatch, Gpu};
use trainscope::train::{Scenario, Trainer};
fn main() -> trainscope::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let watched = args[1] == "watched";
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load(&args[0], &args[2..])?;
    let mut trainer = Trainer::new(&gpu, &scenario)?;
    for _ in 0..4 {
        trainer.step(watched)?;
        while trainer.take(true)?.is_some() {}
    }
    let all: Vec<Dispatch> = trainer.dispatches(watched).cloned().collect();
    let mut total = 0.0;
    for (i, d) in all.iter().enumerate() {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let n = 20;
            let t = Instant::now();
            gpu.run("x", (0..n).map(|_| d));
            gpu.wait()?;
            best = best.min(t.elapsed().as_secs_f64() / n as f64);
        }
        total += best;
        println!(
            "{i:3} {:50} {:.3} ms {:.1} MB",
            d.label(),
            best * 1e3,
            d.bytes() as f64 * 1e-6
        );
    }
    println!("total {:.2}", total * 1e3);
    Ok(())
}
