//! `trainscope bench`

use std::path::PathBuf;

use serde_json::json;
use trainscope::bench::{self, GpuTimer, Measured, Roofline, StepBench};
use trainscope::train::Scenario;
use trainscope::{ByteSize, Error, Result};

use super::{Common, check_writable};

/// A model of each family that learns images.
const SCENARIOS: [&str; 4] = ["vae-mnist", "conv-vae-mnist", "cnn-mnist", "gan-mnist"];
/// Kernels of a step that have a row of their own.
const ROWS: usize = 12;

#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// TOML files or built-in scenarios whose training steps are measured
    #[arg(value_name = "SCENARIO", default_values_t = SCENARIOS.map(str::to_owned))]
    scenarios: Vec<String>,
    /// Measure the steps of each scenario for about this many seconds
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Sides of the square matrix products
    #[arg(long, value_delimiter = ',', default_values_t = [256, 512, 1024])]
    matmul: Vec<usize>,
    /// Write the tables to this Markdown file too
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
}

pub fn run(common: &Common, args: &BenchArgs) -> Result<()> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        return Err(Error::usage(
            "--seconds",
            format!("cannot measure for {} seconds", args.seconds),
            "use a number above 0, up to 3600",
        ));
    }
    if let Some(side) = args.matmul.iter().find(|side| !(1..=16384).contains(*side)) {
        return Err(Error::usage(
            "--matmul",
            format!("a matrix cannot have {side} rows"),
            "use numbers from 1 to 16384",
        ));
    }
    if let Some(path) = &args.out {
        check_writable(path)?;
    }
    let load = |name: &String| Scenario::load(name, &[]);
    let scenarios: Vec<Scenario> = args.scenarios.iter().map(load).collect::<Result<_>>()?;
    let gpu = common.gpu()?;
    let timer = GpuTimer::new(&gpu);
    let bar = common.bar((1 + args.matmul.len() + scenarios.len()) as u64);
    bar.set_message("roofline");
    let roofline = Roofline::measure(&gpu, &timer)?;
    bar.inc(1);
    let mut products = Vec::new();
    for &side in &args.matmul {
        bar.set_message(format!("matmul {side}"));
        products.push(bench::matmul(&gpu, &timer, side)?);
        bar.inc(1);
    }
    let mut steps = Vec::new();
    for scenario in &scenarios {
        bar.set_message(scenario.name.clone());
        steps.push(bench::step(&gpu, &timer, scenario, args.seconds)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let text = markdown(&gpu.describe(), &roofline, &products, &steps);
    common.note(&text);
    if let Some(path) = &args.out {
        std::fs::write(path, &text).map_err(|error| Error::io(path, "write it", &error))?;
    }
    let with_fraction = |measured: &Measured| {
        let mut row = json!(measured);
        row["share_of_ceiling"] = json!(measured.fraction_of_peak(&roofline));
        row
    };
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            let mut row = json!(step);
            row["total"] = with_fraction(&step.total);
            row["kernels"] = step.kernels.iter().map(with_fraction).collect();
            row
        })
        .collect();
    common.print_json(&json!({
        "adapter": gpu.describe(),
        "flops_per_second": roofline.flops,
        "bytes_per_second": roofline.bandwidth,
        "matmul": products.iter().map(with_fraction).collect::<Vec<_>>(),
        "steps": steps,
    }));
    Ok(())
}

fn markdown(
    adapter: &str,
    roofline: &Roofline,
    products: &[Measured],
    steps: &[StepBench],
) -> String {
    let mut lines = vec![
        format!("Adapter: {adapter}"),
        format!(
            "Ceilings: {} in registers, {} copied (read and written)",
            operations(roofline.flops),
            bytes(roofline.bandwidth)
        ),
        String::new(),
        "| training step | batch | ms | steps/s | recorded | dispatches | kernels alone, ms | GFLOP/s | share of ceiling | memory | first step, s |".to_owned(),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for step in steps {
        lines.push(format!(
            "| {} | {} | {:.2} | {:.1} | {:+.0} % | {} | {:.2} | {:.1} | {:.0} % | {} | {:.2} |",
            step.scenario,
            step.batch,
            1e3 * step.seconds,
            1.0 / step.seconds,
            100.0 * step.recording,
            step.total.dispatches,
            1e3 * step.total.seconds,
            1e-9 * step.total.flops / step.seconds,
            100.0 * step.total.fraction_of_peak(roofline) * step.total.seconds / step.seconds,
            ByteSize(step.memory),
            step.first_step_seconds,
        ));
    }
    lines.push(String::new());
    lines.push("| matrix product | ms | GFLOP/s | share of ceiling |".to_owned());
    lines.push("| --- | --- | --- | --- |".to_owned());
    for product in products {
        lines.push(format!(
            "| {} | {:.2} | {:.1} | {:.0} % |",
            product.name,
            1e3 * product.seconds,
            1e-9 * product.flops / product.seconds,
            100.0 * product.fraction_of_peak(roofline)
        ));
    }
    for step in steps {
        lines.push(String::new());
        lines.push(format!(
            "| {}: kernel | dispatches | ms | of the step | rate | share of ceiling |",
            step.scenario
        ));
        lines.push("| --- | --- | --- | --- | --- | --- |".to_owned());
        let all: f64 = step.kernels.iter().map(|kernel| kernel.seconds).sum();
        let rest = step.kernels.len().saturating_sub(ROWS);
        for kernel in step.kernels.iter().take(ROWS) {
            let rate = if kernel.flops > 0.0 {
                operations(kernel.flops / kernel.seconds)
            } else {
                bytes(kernel.bytes / kernel.seconds)
            };
            lines.push(format!(
                "| {} | {} | {:.3} | {:.0} % | {rate} | {:.0} % |",
                kernel.name,
                kernel.dispatches,
                1e3 * kernel.seconds,
                100.0 * kernel.seconds / all,
                100.0 * kernel.fraction_of_peak(roofline)
            ));
        }
        if rest > 0 {
            let others = &step.kernels[ROWS..];
            let seconds: f64 = others.iter().map(|kernel| kernel.seconds).sum();
            let dispatches: usize = others.iter().map(|kernel| kernel.dispatches).sum();
            lines.push(format!(
                "| {rest} others | {dispatches} | {:.3} | {:.0} % | | |",
                1e3 * seconds,
                100.0 * seconds / all
            ));
        }
    }
    lines.join("\n")
}

fn operations(per_second: f64) -> String {
    match per_second {
        many if many >= 1e12 => format!("{:.1} TFLOP/s", 1e-12 * many),
        few => format!("{:.1} GFLOP/s", 1e-9 * few),
    }
}

fn bytes(per_second: f64) -> String {
    format!("{:.1} GB/s", 1e-9 * per_second)
}
