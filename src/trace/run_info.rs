//! `run.json`: what a run is and how far it got.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Warning;
use super::data_tally::DataTally;
use crate::files;
use crate::{Error, Result};

/// The name of its file in a run directory.
pub(super) const RUN: &str = "run.json";

/// The version of the run directory's format that this crate writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Status {
    /// It is training, or was killed.
    Running,
    /// All its steps are done.
    Done,
    /// It was stopped before its last step, and saved.
    Stopped,
    /// It could not continue, for this reason.
    Failed(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Done => f.write_str("done"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.to_string()
    }
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        match text.as_str() {
            "running" => Self::Running,
            "done" => Self::Done,
            "stopped" => Self::Stopped,
            other => Self::Failed(other.strip_prefix("failed: ").unwrap_or(other).to_owned()),
        }
    }
}

/// The contents of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the run directory's format.
    pub format: u32,
    /// The scenario's name.
    pub name: String,
    /// Name of the adapter.
    pub adapter: String,
    /// Its driver with version.
    pub driver: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// The variant of each kernel that was chosen, by the kernel's name. A run that was recorded elsewhere has none.
    #[serde(default)]
    pub kernels: BTreeMap<String, String>,
    /// Version of this crate.
    pub version: String,
    /// Whether it is running or how it ended.
    pub status: Status,
    /// How many steps are done and recorded.
    pub steps_done: u64,
    /// How many steps were asked for.
    pub steps: u64,
    /// Seed of all its random numbers.
    pub seed: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// When the run was made, in UTC, such as `2026-11-28T15:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Trainable parameters of all networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// What was found wrong with the scenario before the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What was read of the data set. Runs of the first version have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataTally>,
    /// What a branch came from; a run from the first step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How a run was trained that was recorded elsewhere; a run with a scenario says it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<RecordedTraining>,
    /// Steps of a GAN that updated one of its networks alone because somebody asked for it, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub half_steps: Vec<HalfStep>,
}

/// One of the two networks of a GAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// The network that makes images.
    Generator,
    /// The network that judges them.
    Discriminator,
}

impl Half {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Generator, Self::Discriminator];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }
}

/// A step that updated one network alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfStep {
    /// The step, counted from 0.
    pub step: u64,
    /// The network that was updated.
    pub updated: Half,
}

/// What a recorder has seen of how a run is trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedTraining {
    /// Samples in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Every group of parameters whose optimizer is one that a scenario has.
    pub optimizers: Vec<RecordedOptimizer>,
}

/// The optimizer of some parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedOptimizer {
    /// The names of the parameters.
    pub parameters: Vec<String>,
    /// The optimizer as `[train]` of a scenario has it; left as JSON, since a later recorder may know others.
    pub optimizer: serde_json::Value,
}

/// The run and the step that a branch came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The directory of the run, as it was named.
    pub run: String,
    /// How many steps of it were done.
    pub step: u64,
    /// What was changed, as `--set` takes it.
    #[serde(default)]
    pub set: Vec<String>,
}

impl RunInfo {
    /// A run that is about to begin on the adapter `info`.
    pub fn new(name: impl Into<String>, info: &wgpu::AdapterInfo, steps: u64, seed: u64) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            adapter: info.name.clone(),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .to_owned(),
            backend: info.backend.to_string(),
            kernels: BTreeMap::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            status: Status::Running,
            steps_done: 0,
            steps,
            seed,
            seconds: 0.0,
            started: Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string()),
            parameters: None,
            warnings: Vec::new(),
            data: None,
            origin: None,
            training: None,
            half_steps: Vec::new(),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("plain data");
        text.push('\n');
        files::write_whole(path, text.as_bytes())
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::read_known(path)?
    }

    /// As [`RunInfo::read`], with a damaged file apart from one that this version must not read.
    pub(super) fn read_known(path: &Path) -> Result<Result<Self>> {
        let value = match read_json(path) {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        };
        let context = path.display().to_string();
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format > u64::from(FORMAT) => Err(Error::file(
                context,
                format!("the run has format {format}, this version reads formats up to {FORMAT}"),
                "install a newer trainscope",
            )),
            Some(_) => Ok(serde_json::from_value(value).map_err(|error| {
                Error::file(
                    context,
                    format!("not a valid {RUN}: {}", files::json_problem(&error)),
                    "restore the file from a copy",
                )
            })),
            None => Ok(Err(Error::file(
                context,
                "no number under the key 'format'",
                "name the directory of a run of trainscope",
            ))),
        }
    }
}

pub(super) fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text = files::read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Error::file(
            format!("{}, line {}", path.display(), error.line()),
            format!("not valid JSON: {}", files::json_problem(&error)),
            "restore the file from a copy",
        )
        .with_source(error)
    })
}
