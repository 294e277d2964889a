//! The step_counter: first step, warm-up, timed blocks, and the line of JSON.

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::{Failure, Images, Workload};

/// Blocks that are timed at least.
const FEWEST: usize = 2;
/// Of the time for measuring, what the warm-up takes besides.
const WARM_UP: f64 = 0.25;

/// What every contender is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// matmul-SIDE, vae, conv-vae-28, conv-vae-32 or dcgan
    pub workload: String,
    /// The images to learn, an array of bytes [count, channels, height, width]; training needs them
    #[arg(long, value_name = "FILE.npy")]
    pub data: Option<PathBuf>,
    /// Samples in a batch
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Steps after which the last result is waited for
    #[arg(long, default_value_t = 8)]
    pub block: usize,
    /// Time blocks for about so many seconds
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// When the process was started, in seconds since 1970; now unless given
    #[arg(long)]
    pub started: Option<f64>,
}

/// Who measures itself.
#[derive(Debug, Serialize)]
pub struct Contender {
    /// Its name.
    pub contender: String,
    /// Its version.
    pub version: String,
    /// What it runs on.
    pub device: String,
    /// Learnt parameters; 0 for a matrix product.
    pub parameters: usize,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    contender: Contender,
    workload: &'a str,
    batch: usize,
    block: usize,
    /// From the start of the process to the end of the first step.
    first_step_seconds: f64,
    /// Steps in timed blocks.
    steps: usize,
    /// Median over the blocks.
    step_seconds: f64,
    /// Of the fastest block.
    best_step_seconds: f64,
    gflops: Option<f64>,
    /// After the first step and one block: the loss (per sample where it is a VAE's), or the first element of a product.
    result: f64,
    peak_memory_bytes: Option<u64>,
}

impl Arguments {
    /// The workload.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn workload(&self) -> Result<Workload, Failure> {
        Ok(self.workload.parse()?)
    }

    /// The images.
    ///
    /// # Errors
    /// None were named, or they cannot be read or are fewer than a batch.
    pub fn images(&self) -> Result<Images, Failure> {
        let path = self.data.as_ref().ok_or("training needs --data FILE.npy")?;
        let images = Images::read(path)?;
        if !(1..=images.count).contains(&self.batch) {
            return Err(format!("a batch of {} from {} images", self.batch, images.count).into());
        }
        Ok(images)
    }
}

/// Times `run`, which makes so many steps one after the other, waits for the last and returns its result; prints the report.
///
/// # Errors
/// Those of `run`, and arguments that make no sense.
pub fn measure(
    arguments: &Arguments,
    contender: Contender,
    mut run: impl FnMut(usize) -> Result<f64, Failure>,
) -> Result<(), Failure> {
    if arguments.block == 0 || !(arguments.seconds > 0.0) {
        return Err("--block and --seconds have to be positive".into());
    }
    run(1)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let first_step_seconds = now - arguments.started.unwrap_or(now);

    let warm = Instant::now();
    let result = run(arguments.block)?;
    while warm.elapsed().as_secs_f64() < WARM_UP * arguments.seconds {
        run(arguments.block)?;
    }
    let mut blocks = Vec::new();
    let start = Instant::now();
    while blocks.len() < FEWEST || start.elapsed().as_secs_f64() < arguments.seconds {
        let block = Instant::now();
        run(arguments.block)?;
        blocks.push(block.elapsed().as_secs_f64() / arguments.block as f64);
    }
    blocks.sort_by(f64::total_cmp);
    let middle = blocks.len() / 2;
    let median = (blocks[middle] + blocks[(blocks.len() - 1) / 2]) / 2.0;
    let gflops = match arguments.workload()? {
        Workload::Matmul(side) => Some(2e-9 * (side as f64).powi(3) / median),
        _ => None,
    };
    let report = Report {
        contender,
        workload: &arguments.workload,
        batch: arguments.batch,
        block: arguments.block,
        first_step_seconds,
        steps: blocks.len() * arguments.block,
        step_seconds: median,
        best_step_seconds: blocks[0],
        gflops,
        result,
        peak_memory_bytes: peak_memory(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// The most main memory that this process has held, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kibibytes)
}

/// The version of a package that the contenders are locked to.
pub fn version_of(package: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    let version = after.and_then(|(_, rest)| rest.split_once('"'));
    version.map_or("unknown", |(version, _)| version).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(version_of("peer-protocol"), "0.1.0");
        assert_eq!(version_of("no-such-package"), "unknown");
    }
}
