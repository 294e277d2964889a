//! What `train` and `watch` take alike: which scenario, changed how, and where its run goes.

use std::path::{Path, PathBuf};

use trainscope::train::Scenario;
use trainscope::{Error, Result};

use super::scenarios::names;

/// Steps of a run at most.
const MAX_STEPS: u64 = 1 << 31;

#[derive(Debug, clap::Args)]
pub struct RunOptions {
    /// Write the run here [default: runs/NAME, numbered]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Train this many steps in all
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// The seed of all random numbers, instead of the scenario's
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Change a key of the scenario, such as train.batch=64
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl RunOptions {
    /// The scenario of a name or file, with what the options change.
    pub fn scenario(&self, name: &str) -> Result<Scenario> {
        check("--steps", self.steps, 1, MAX_STEPS)?;
        check("--seed", self.seed, 0, i64::MAX as u64)?;
        let mut settings = self.set.clone();
        settings.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        settings.extend(self.seed.map(|seed| format!("seed={seed}")));
        Scenario::load(name, &settings)
    }

    /// Where the run of a scenario goes.
    pub fn directory(&self, scenario: &Scenario) -> PathBuf {
        match &self.out {
            Some(dir) => dir.clone(),
            None => free_directory(&scenario.name),
        }
    }
}

/// Refuses a number outside of its range, in the words of the option and not of the key that it changes.
fn check(option: &str, value: Option<u64>, least: u64, greatest: u64) -> Result<()> {
    match value {
        Some(value) if !(least..=greatest).contains(&value) => Err(Error::usage(
            format!("{option} {value}"),
            "the number is out of range",
            format!("use a number from {least} to {greatest}"),
        )),
        _ => Ok(()),
    }
}

/// The error of a command that was not told what to train.
pub fn no_scenario() -> Error {
    Error::usage(
        "train",
        "no scenario given",
        format!("name a TOML file or one of: {}", names().join(", ")),
    )
}

/// `runs/NAME`, or `runs/NAME-2` and so on where that is taken.
pub fn free_directory(name: &str) -> PathBuf {
    let base = Path::new("runs");
    (1u32..)
        .map(|number| match number {
            1 => base.join(name),
            _ => base.join(format!("{name}-{number}")),
        })
        .find(|dir| !dir.exists())
        .expect("some number is free")
}
