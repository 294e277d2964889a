//! Names what stands out in a run: the windows that nothing else in their unit is like, and where units spike before they are
//! not finite: `cargo run --example patterns -- runs/vae-mnist`.

use std::path::PathBuf;

use trainscope::Error;
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::patterns::{
    Expression, LineOptions, RunLines, RunWords, Windows, discords, profiles, spelled, usual_window,
};
use trainscope::trace::RunView;

fn main() -> trainscope::Result<()> {
    let Some(dir) = std::env::args().nth(1).map(PathBuf::from) else {
        return Err(Error::usage(
            "patterns",
            "a run directory is needed",
            "name one",
        ));
    };
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let run = RunView::open(&dir)?;
    let lines = RunLines::read(&run, &LineOptions::default())?;
    let length = usual_window(lines.steps.len());
    let windows: Vec<Windows> = (0..lines.count())
        .map(|line| Windows::new(lines.line(line), length))
        .collect();
    let found = profiles(&gpu, &windows)?;
    let words = RunWords::read(&run, &lines)?;
    for discord in discords(&lines, &windows, &found, 5) {
        let unit = lines.unit(discord.line);
        let columns = discord.start..discord.start + length;
        println!(
            "{} unit {}, steps {:?}: {:.1} times the usual distance; {}",
            unit.tensor,
            unit.unit,
            lines.range(columns.clone()),
            discord.contrast(),
            spelled(&words.line(discord.line)[columns])
        );
    }
    for found in Expression::parse("spike . {0,5} nonfinite")?.find_all(&words) {
        let unit = lines.unit(found.line);
        let steps = lines.range(found.columns);
        println!(
            "{} unit {} spikes at step {} and is not finite at {}",
            unit.tensor,
            unit.unit,
            steps.start,
            steps.end - 1
        );
    }
    Ok(())
}
