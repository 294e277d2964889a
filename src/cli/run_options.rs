//! What `train` and `watch` take alike: which scenario, changed how, from which parameters, and where its run goes.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use trainscope::trace::Severity;
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
    /// Start from the parameters of this safetensors file
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Continue the run in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "set", "seed"])]
    pub resume: Option<PathBuf>,
    /// Write no report at the end
    #[arg(long)]
    pub no_report: bool,
    /// Stop the run at its first event of this severity or a worse one
    #[arg(long, value_name = "SEVERITY", value_parser = severities())]
    pub stop_on: Option<Severity>,
}

/// The severities that a run can be stopped on, as clap takes them.
fn severities() -> impl clap::builder::TypedValueParser<Value = Severity> {
    let all = [Severity::Warning, Severity::Serious, Severity::Fatal];
    let names = all.map(Severity::name);
    PossibleValuesParser::new(names).map(move |name| {
        let mut known = all.into_iter();
        known
            .find(|severity| severity.name() == name)
            .expect("clap takes no other")
    })
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

    #[cfg(feature = "window")]
    /// The first option that is given, if any is.
    pub fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--out", self.out.is_some()),
            ("--steps", self.steps.is_some()),
            ("--seed", self.seed.is_some()),
            ("--set", !self.set.is_empty()),
            ("--init", self.init.is_some()),
            ("--resume", self.resume.is_some()),
            ("--no-report", self.no_report),
            ("--stop-on", self.stop_on.is_some()),
        ];
        let mut first = given.into_iter().filter(|(_, is_given)| *is_given);
        first.next().map(|(option, _)| option)
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
