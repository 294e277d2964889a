//! A scenario: all that a run depends on, as TOML.
//!
//! The text is read twice: by serde into [`Scenario`], and by the TOML parser's own tree of spans, so that a complaint
//! about a value names the line it stands on.

mod data;
mod lines;
mod model;
mod train;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::lines::{Lines, Origin, sentence};
use crate::data::{Batching, Images};
use crate::trace::RunReader;
use crate::{Error, Result};

pub use data::{AugmentSection, CorruptSection, DataSection, Source, Split};
pub use model::{ModelConfig, ModelKind, ModelSection};
pub use train::{RecordSection, TrainSection};

/// Built-in scenarios: name, one line about it, text.
pub const BUILT_IN: &[(&str, &str, &str)] = &[
    (
        "vae-mnist",
        "a healthy variational autoencoder on MNIST (784-400-20-400-784, Adam)",
        include_str!("../../../scenarios/vae-mnist.toml"),
    ),
    (
        "conv-vae-mnist",
        "a healthy convolutional VAE on MNIST",
        include_str!("../../../scenarios/conv-vae-mnist.toml"),
    ),
    (
        "beta-vae-mnist",
        "a healthy beta-VAE on MNIST: the KL divergence weighs four times",
        include_str!("../../../scenarios/beta-vae-mnist.toml"),
    ),
    (
        "cvae-mnist",
        "a healthy conditional VAE on MNIST, which is told the digit",
        include_str!("../../../scenarios/cvae-mnist.toml"),
    ),
    (
        "gan-mnist",
        "a healthy generative adversarial network of dense layers on MNIST",
        include_str!("../../../scenarios/gan-mnist.toml"),
    ),
    (
        "dcgan-mnist",
        "a healthy convolutional GAN on MNIST (DCGAN)",
        include_str!("../../../scenarios/dcgan-mnist.toml"),
    ),
    (
        "wgan-mnist",
        "a healthy Wasserstein GAN on MNIST, its critic's weights clipped",
        include_str!("../../../scenarios/wgan-mnist.toml"),
    ),
    (
        "hinge-gan-mnist",
        "a healthy GAN with hinge objective on MNIST, its discriminator under spectral norm",
        include_str!("../../../scenarios/hinge-gan-mnist.toml"),
    ),
    (
        "cnn-mnist",
        "a healthy convolutional classifier on MNIST",
        include_str!("../../../scenarios/cnn-mnist.toml"),
    ),
    (
        "two-stream-clips",
        "a healthy two-stream network that tells texture and motion of generated clips",
        include_str!("../../../scenarios/two-stream-clips.toml"),
    ),
    (
        "two-stream-binding",
        "a healthy two-stream network that tells which texture goes which way",
        include_str!("../../../scenarios/two-stream-binding.toml"),
    ),
    (
        "vae-logvar-explodes",
        "fails: an unbounded log-variance overflows the KL divergence",
        include_str!("../../../scenarios/vae-logvar-explodes.toml"),
    ),
    (
        "vae-collapses",
        "fails: the KL divergence weighs too much, and the posterior collapses",
        include_str!("../../../scenarios/vae-collapses.toml"),
    ),
    (
        "mlp-dead-relu",
        "fails: a learning rate far too high leaves hidden layers of dead units",
        include_str!("../../../scenarios/mlp-dead-relu.toml"),
    ),
    (
        "vae-corrupt-batch",
        "fails: three samples that nobody scaled make the loss spike when they come up",
        include_str!("../../../scenarios/vae-corrupt-batch.toml"),
    ),
    (
        "gan-strong-discriminator",
        "fails: the discriminator is certain of all images, and the generator's gradient vanishes",
        include_str!("../../../scenarios/gan-strong-discriminator.toml"),
    ),
    (
        "gan-mode-collapse",
        "fails: the discriminator hardly learns, and the generator draws one image again and again",
        include_str!("../../../scenarios/gan-mode-collapse.toml"),
    ),
];

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
    /// The text that it was read from, for messages.
    #[serde(skip)]
    origin: Origin,
}

/// Sections of `[train]` that hold one of several keys.
const CHOICES: [&str; 4] = ["optimizer", "discriminator_optimizer", "schedule", "clip"];

/// Makes room in such a section for a setting that chooses another key than it holds.
fn replace_choice(table: &mut toml::Table, parts: &[&str]) {
    if let ["train", choice, chosen, ..] = parts
        && CHOICES.contains(choice)
        && let Some(section) = table
            .get_mut("train")
            .and_then(|train| train.get_mut(*choice))
        && let Some(section) = section.as_table_mut()
        && !section.contains_key(*chosen)
    {
        section.clear();
    }
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
        let mut scenario = if settings.is_empty() {
            scenario
        } else {
            Self::with(table, settings)?
        };
        lines.settings = settings;
        scenario.check(&lines)?;
        scenario.origin = Origin::of(&lines);
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
            replace_choice(&mut table, &parts);
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
            |key: &[&str], problem: String, hint: &str| Err(lines.error(key, &problem, hint));
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
                let hint = format!("use a number from 1 to {most}");
                return range(&key, format!("{} = {value}", key.join(".")), &hint);
            }
            let after = self.train.stop_after_nonfinite;
            if after > 1 << 31 {
                return range(
                    &["train", "stop_after_nonfinite"],
                    format!("train.stop_after_nonfinite = {after}"),
                    "use a number of steps up to 2^31, or 0 to go on for good",
                );
            }
        }
        if let Some((section, key, needs)) = self.train.misfit() {
            let problem = format!("train.{section}: {key} is out of range");
            return range(&["train", section], problem, &format!("it must be {needs}"));
        }
        self.data.misfit().map_or(Ok(()), |(key, problem, hint)| {
            range(&["data", key], problem, &hint)
        })?;
        self.model
            .config()
            .map(|_| ())
            .map_err(|(key, problem, hint)| lines.error(&["model", key], &problem, &hint))
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
        self.data.images(self.seed)
    }

    /// How batches are made of a data set of `count` samples.
    ///
    /// # Errors
    /// More samples are to be spoilt than there are.
    pub fn batching(&self, count: usize) -> Result<Batching> {
        self.data.batching(self.seed, count)
    }

    /// An error about a layer, with the line of the scenario that asks for it.
    pub(crate) fn locate(&self, error: Error) -> Error {
        self.origin.locate(error)
    }

    /// The complete text: every key, defaults included, enough to run again.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is a table")
    }
}
