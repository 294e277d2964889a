//! Credit: what moved a unit between two steps of a run.
//!
//! ```sh
//! trainscope train vae-mnist --steps 100 --out runs/vae
//! cargo run --release --example credit -- runs/vae mu 3 40 60
//! ```

use trainscope::credit::{CreditRequest, credit};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::train::Replay;
use trainscope::{Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, layer, unit, from, to] = &arguments[..] else {
        return Err(Error::usage(
            "credit",
            "five arguments are needed",
            "give a run directory, a layer, a unit, the first step and the step after the last",
        ));
    };
    let number = |text: &String| {
        text.parse::<u64>()
            .map_err(|_| Error::usage(text.clone(), "not a whole number", "write digits only"))
    };
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let unit = number(unit)? as usize;
    let request = CreditRequest::new(layer, [unit], number(from)?..number(to)?);
    for unit in credit(Replay::open(&gpu, dir.as_ref())?, &request, &mut |_, _| ())? {
        println!(
            "change {:+.3e}, unexplained {:+.3e}",
            unit.change, unit.residual
        );
        let mut parts = [unit.predecessors, unit.successors].concat();
        parts.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
        for part in parts.iter().take(5) {
            println!("{:+.3e}  unit {} of {}", part.credit, part.unit, part.layer);
        }
    }
    Ok(())
}
