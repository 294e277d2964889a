//! Says why a run went as it did, and tries the fixes: `cargo run --example explain -- runs/vae-logvar-explodes`.

use trainscope::diagnose::{explain, verify};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::trace::RunView;

fn main() -> trainscope::Result<()> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "runs/vae-mnist".to_owned());
    let run = RunView::open(folder.as_ref())?;
    let mut explanation = explain(&run);
    println!("{}", explanation.headline);
    let gpu = Gpu::new(&AdapterChoice::default())?;
    verify(&gpu, &run, &mut explanation, 60.0, &mut |_| true)?;
    for finding in &explanation.findings {
        println!("{} ({:?})", finding.title, finding.cause);
        for evidence in &finding.evidence {
            println!("  {}", evidence.text);
        }
        for fix in &finding.fixes {
            println!(
                "  {}: {}",
                fix.text,
                fix.result.as_deref().unwrap_or("not tried")
            );
        }
    }
    Ok(())
}
