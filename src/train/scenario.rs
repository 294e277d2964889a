//! A scenario: all that a run depends on, as TOML.
//!
//! The text is read twice: by serde into [`Scenario`], and by the TOML parser's own tree of spans, so that a complaint
//! about a value names the line it stands on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{self, Images};
use crate::models::{ClassifierConfig, Layer, ReconstructionLoss, VaeConfig, Variance};
use crate::nn::Optimiser;
use crate::trace::RunReader;
use crate::{Error, Result};

/// Built-in scenarios: name, one line about it, text.
pub const BUILT_IN: [(&str, &str, &str); 1] = [(
    "vae-mnist",
    "a healthy variational autoencoder on MNIST (784-400-20-400-784, Adam)",
    include_str!("../../scenarios/vae-mnist.toml"),
)];

/// Parts of a key of `--set`: more than the format has, and few enough for those who walk through its sections.
const DEEPEST_KEY: usize = 16;

/// Everything that a run depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a scenario")]
pub struct Scenario {
    /// Its name; run directories are called after it.
    pub name: String,
    /// Seed of all random numbers. TOML integers end at 2^63 - 1.
    #[serde(default)]
    pub seed: u64,
    /// Where samples come from.
    pub data: DataSection,
    /// What is trained.
    pub model: ModelSection,
    /// How.
    #[serde(default)]
    pub train: TrainSection,
    /// What is recorded.
    #[serde(default)]
    pub record: RecordSection,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a section [data]")]
pub struct DataSection {
    /// The source.
    pub source: Source,
    /// The folder, for sources that read one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Which part of a source that has parts.
    #[serde(default)]
    pub split: Split,
    /// Whether each epoch has an order of its own; false: batches in file order, wrapping round.
    #[serde(default = "yes")]
    pub shuffle: bool,
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The embedded MNIST (the original test set).
    Mnist,
    /// A folder of IDX files, gzipped or not.
    Idx,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training set.
    #[default]
    Train,
    /// The test set.
    Test,
}

/// `[model]`: the union of the keys of all kinds; [`Scenario::model`] sorts out which belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a section [model]")]
pub struct ModelSection {
    /// Which model.
    pub kind: ModelKind,
    /// VAE: latent units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<usize>,
    /// VAE: how the standard deviation comes out of its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<Variance>,
    /// VAE: scale of the reparameterisation noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f32>,
    /// VAE: weight of the KL divergence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f32>,
    /// VAE: what is compared with the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<ReconstructionLoss>,
    /// VAE: layers before the latent heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Vec<Layer>>,
    /// VAE: layers after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Vec<Layer>>,
    /// Classifier: layers, ending in logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
}

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// [`VaeConfig`].
    Vae,
    /// [`ClassifierConfig`].
    Classifier,
}

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section [train]")]
pub struct TrainSection {
    /// Samples in a batch.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// How gradients become updates.
    pub optimizer: Optimiser,
    /// Steps to go on after the first non-finite value, so that an analysis has both sides of it; 0 never stops.
    pub stop_after_nonfinite: u64,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            batch: 128,
            steps: 2000,
            optimizer: Optimiser::default(),
            stop_after_nonfinite: 50,
        }
    }
}

/// `[record]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section [record]")]
pub struct RecordSection {
    /// Statistics of every unit at every n-th step.
    pub every: u64,
    /// A checkpoint at every n-th step, besides the first and the last.
    pub checkpoint_every: u64,
    /// Samples of the fixed batch that pictures and analyses use.
    pub probe_batch: usize,
}

impl Default for RecordSection {
    fn default() -> Self {
        Self {
            every: 1,
            checkpoint_every: 200,
            probe_batch: 64,
        }
    }
}

/// A model, its section's keys sorted out.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// A variational autoencoder.
    Vae(VaeConfig),
    /// A classifier.
    Classifier(ClassifierConfig),
}

fn yes() -> bool {
    true
}

impl Scenario {
    /// A built-in scenario by name, or one from a TOML file, with `settings` (`KEY=VALUE`, keys with dots) on top.
    ///
    /// # Errors
    /// No such name or file, an unknown key, a wrong type or a value out of range: names the line, the key and what
    /// would be right.
    pub fn load(name_or_path: &str, settings: &[String]) -> Result<Self> {
        if let Some((name, _, text)) = BUILT_IN.iter().find(|(name, ..)| *name == name_or_path) {
            return Self::parse(text, &format!("scenario {name}"), settings);
        }
        let path = Path::new(name_or_path);
        let looks_like_a_name = path.extension().is_none() && path.components().count() == 1;
        if looks_like_a_name && !path.exists() {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, ..)| *name).collect();
            return Err(Error::input(
                format!("scenario '{name_or_path}'"),
                "no built-in scenario and no file has that name",
                format!("name a TOML file or one of: {}", names.join(", ")),
            ));
        }
        let size = std::fs::metadata(path)
            .map_err(|error| Error::io(path, "read the scenario", &error))?;
        if size.len() > 1 << 20 {
            return Err(Error::input(
                name_or_path,
                "it is larger than 1 MiB, which no scenario is",
                "name a scenario file",
            ));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(path, "read the scenario", &error))?;
        Self::parse(&text, name_or_path, settings)
    }

    /// The scenario of a recorded run.
    ///
    /// # Errors
    /// It is missing or was damaged.
    pub fn of_run(reader: &RunReader) -> Result<Self> {
        let source = reader.folder().join("scenario.toml");
        Self::parse(&reader.scenario()?, &source.display().to_string(), &[])
    }

    /// Reads a scenario from text; `source` names it in messages.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(text: &str, source: &str, settings: &[String]) -> Result<Self> {
        let scenario: Self =
            toml::from_str(text).map_err(|error| sentence(&error, text, source))?;
        let mut lines = Lines {
            text,
            source,
            settings: &[],
        };
        let Ok(table) = toml::Table::try_from(&scenario) else {
            // A number beyond TOML's own; the check knows them all.
            scenario.check(&lines)?;
            return Err(lines.error(
                &[],
                "it holds a number of 2^63 or more",
                "use a smaller one",
            ));
        };
        let scenario = if settings.is_empty() {
            scenario
        } else {
            Self::with(table, settings)?
        };
        lines.settings = settings;
        scenario.check(&lines)?;
        Ok(scenario)
    }

    /// The scenario of `table` with `KEY=VALUE` settings, each a TOML value (a bare word is taken as a string).
    fn with(mut table: toml::Table, settings: &[String]) -> Result<Self> {
        for setting in settings {
            let place = format!("--set {}", setting.replace('\n', " "));
            let Some((key, value)) = setting.split_once('=') else {
                return Err(Error::usage(
                    place,
                    "it has no '='",
                    "write --set KEY=VALUE",
                ));
            };
            let (key, value) = (key.trim(), value.trim());
            let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
                .ok()
                .filter(|parsed| parsed.len() == 1)
                .and_then(|mut parsed| parsed.remove("value"))
                .unwrap_or_else(|| toml::Value::String(value.to_owned()));
            let mut parts: Vec<&str> = key.split('.').collect();
            if parts.len() > DEEPEST_KEY {
                return Err(Error::usage(
                    place,
                    format!("the key has {} parts", parts.len()),
                    "name a key of the scenario, such as train.batch",
                ));
            }
            let last = parts.pop().unwrap_or_default();
            let mut inner = &mut table;
            for part in parts {
                inner = inner
                    .entry(part)
                    .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                    .as_table_mut()
                    .ok_or_else(|| {
                        Error::usage(
                            place.clone(),
                            format!("'{part}' is a value, not a section"),
                            "name a key of the scenario, such as train.batch",
                        )
                    })?;
            }
            inner.insert(last.to_owned(), value);
            Self::deserialize(table.clone()).map_err(|error| {
                Error::usage(
                    place.clone(),
                    error.message().replace('\n', " "),
                    "use a key and a value of the scenario format",
                )
            })?;
        }
        Ok(Self::deserialize(table).expect("checked above"))
    }

    /// Ranges that types do not express.
    fn check(&self, lines: &Lines<'_>) -> Result<()> {
        let range =
            |key: &[&str], problem: String, mend: &str| Err(lines.error(key, &problem, mend));
        if self.name.is_empty()
            || self.name.starts_with('.')
            || self.name.contains(['/', '\\', '\0'])
        {
            return range(
                &["name"],
                format!("name = {:?}", self.name),
                "use a name that can be a folder's",
            );
        }
        if i64::try_from(self.seed).is_err() {
            return range(
                &["seed"],
                format!("seed = {}", self.seed),
                "use a number below 2^63",
            );
        }
        let at_least_one = [
            (["train", "batch"], self.train.batch as u64, 65_536),
            (["train", "steps"], self.train.steps, 1 << 31),
            (["record", "every"], self.record.every, 1 << 31),
            (
                ["record", "checkpoint_every"],
                self.record.checkpoint_every,
                1 << 31,
            ),
            (
                ["record", "probe_batch"],
                self.record.probe_batch as u64,
                65_536,
            ),
        ];
        for (key, value, most) in at_least_one {
            if value == 0 || value > most {
                let mend = format!("use a number from 1 to {most}");
                return range(&key, format!("{} = {value}", key.join(".")), &mend);
            }
        }
        let after = self.train.stop_after_nonfinite;
        if after > 1 << 31 {
            return range(
                &["train", "stop_after_nonfinite"],
                format!("train.stop_after_nonfinite = {after}"),
                "use a number of steps up to 2^31, or 0 to go on for good",
            );
        }
        if let Some((key, needs)) = self.train.optimizer.misfit() {
            let problem = format!("train.optimizer: {key} is out of range");
            return range(
                &["train", "optimizer"],
                problem,
                &format!("it must be {needs}"),
            );
        }
        match (self.data.source, &self.data.path) {
            (Source::Mnist, Some(_)) => range(
                &["data", "path"],
                "the embedded MNIST has no path".into(),
                "leave it out, or use source = \"idx\"",
            ),
            (Source::Idx, None) => range(
                &["data", "source"],
                "source = \"idx\" needs a folder".into(),
                "add path = \"FOLDER\"",
            ),
            (Source::Mnist, None) if self.data.split == Split::Test => range(
                &["data", "split"],
                "the embedded MNIST has one split".into(),
                "use split = \"train\", or source = \"idx\" with the full files",
            ),
            _ => self
                .model
                .config()
                .map(|_| ())
                .map_err(|(key, problem, mend)| lines.error(&["model", key], &problem, &mend)),
        }
    }

    /// The model, its section's keys sorted out.
    pub fn model(&self) -> ModelConfig {
        self.model.config().expect("checked when it was read")
    }

    /// Reads the samples.
    ///
    /// # Errors
    /// A missing or broken file.
    pub fn images(&self) -> Result<Images> {
        match (self.data.source, &self.data.path) {
            (Source::Idx, Some(path)) => {
                let split = match self.data.split {
                    Split::Train => "train",
                    Split::Test => "test",
                };
                data::idx_directory(path, split)
            }
            _ => data::mnist(),
        }
    }

    /// The complete text: every key, defaults included, enough to run again.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is a table")
    }
}

impl ModelSection {
    fn config(&self) -> std::result::Result<ModelConfig, (&'static str, String, String)> {
        let given = [
            ("latent", self.latent.is_some()),
            ("variance", self.variance.is_some()),
            ("noise", self.noise.is_some()),
            ("beta", self.beta.is_some()),
            ("reconstruction", self.reconstruction.is_some()),
            ("encoder", self.encoder.is_some()),
            ("decoder", self.decoder.is_some()),
            ("layers", self.layers.is_some()),
        ];
        let (kind, keys, needed): (_, &[&str], &[&str]) = match self.kind {
            ModelKind::Vae => (
                "vae",
                &[
                    "latent",
                    "variance",
                    "noise",
                    "beta",
                    "reconstruction",
                    "encoder",
                    "decoder",
                ],
                &["latent", "encoder", "decoder"],
            ),
            ModelKind::Classifier => ("classifier", &["layers"], &["layers"]),
        };
        for (key, present) in given {
            if present && !keys.contains(&key) {
                let mend = format!("leave it out; its keys are {}", keys.join(", "));
                return Err((
                    key,
                    format!("a model of kind \"{kind}\" has no key '{key}'"),
                    mend,
                ));
            }
            if !present && needed.contains(&key) {
                let problem = format!("a model of kind \"{kind}\" needs '{key}'");
                return Err(("kind", problem, format!("add {key} = ...")));
            }
        }
        if self.kind == ModelKind::Classifier {
            let layers = self.layers.clone().unwrap_or_default();
            if layers.is_empty() {
                return Err((
                    "layers",
                    "it is empty".into(),
                    "end it in one logit a class".into(),
                ));
            }
            return Ok(ModelConfig::Classifier(ClassifierConfig { layers }));
        }
        let config = VaeConfig {
            latent: self.latent.unwrap_or_default(),
            variance: self.variance.unwrap_or_default(),
            noise: self.noise.unwrap_or(1.0),
            beta: self.beta.unwrap_or(1.0),
            reconstruction: self.reconstruction.unwrap_or_default(),
            encoder: self.encoder.clone().unwrap_or_default(),
            decoder: self.decoder.clone().unwrap_or_default(),
        };
        if config.latent == 0 {
            return Err((
                "latent",
                "latent = 0".into(),
                "use at least one unit".into(),
            ));
        }
        for (key, value) in [("noise", config.noise), ("beta", config.beta)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err((
                    key,
                    format!("{key} = {value}"),
                    "use a number of at least 0".into(),
                ));
            }
        }
        Ok(ModelConfig::Vae(config))
    }
}

/// Where keys stand in a scenario's text.
struct Lines<'a> {
    pub text: &'a str,
    pub source: &'a str,
    /// What was set on top, `KEY=VALUE`.
    pub settings: &'a [String],
}

impl Lines<'_> {
    /// The line of a key, or of the closest section around it that is there.
    fn line(&self, path: &[&str]) -> Option<usize> {
        let table = toml::de::DeTable::parse(self.text).ok()?;
        let mut table = table.get_ref();
        let mut offset = None;
        for part in path {
            let (key, value) = table.get_key_value(*part)?;
            offset = Some(key.span().start);
            match value.get_ref() {
                toml::de::DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        offset.map(|offset| self.text[..offset].matches('\n').count() + 1)
    }

    /// The last setting on top of the text that has changed a key, or something in it or around it.
    fn setting(&self, path: &[&str]) -> Option<&str> {
        let changes = |setting: &&String| {
            let key = setting.split('=').next().unwrap_or_default();
            key.trim().split('.').zip(path).all(|(a, b)| a == *b)
        };
        self.settings.iter().rev().find(changes).map(String::as_str)
    }

    fn error(&self, key: &[&str], problem: &str, mend: &str) -> Error {
        if let Some(setting) = self.setting(key) {
            return Error::usage(format!("--set {setting}"), problem, mend);
        }
        let found = (1..=key.len())
            .rev()
            .find_map(|depth| self.line(&key[..depth]));
        let place = match found {
            Some(line) => format!("{}, line {line}", self.source),
            None => self.source.to_owned(),
        };
        Error::input(place, problem, mend)
    }
}

/// A TOML error as one sentence with its line.
fn sentence(error: &toml::de::Error, text: &str, source: &str) -> Error {
    let message = error.message().replace('\n', ", ");
    let place = match error.span() {
        Some(span) => {
            let start = span.start.min(text.len());
            let line = text.as_bytes()[..start]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            let shown = text
                .get(span)
                .filter(|shown| shown.len() <= 40 && !shown.contains('\n'));
            match shown {
                Some(shown) if !shown.is_empty() => format!("{source}, line {line} at `{shown}`"),
                _ => format!("{source}, line {line}"),
            }
        }
        None => source.to_owned(),
    };
    Error::input(
        place,
        message,
        "write what the scenario format in README.md says",
    )
}
