//! A scenario: everything that a run depends on, as TOML.
//!
//! The text becomes a table, whose short forms are written out and whose keys and types are compared with the schema
//! of [`Scenario`] ([`check`]) before serde reads it: so every fault is found, and says in words of its own what would be
//! right. `docs/scenarios.md` is the reference of the format; a test compares it with this code.

mod batching;
mod built_in;
mod check;
mod data;
mod data_places;
mod freeze;
mod model;
mod model_builder;
mod noise_file;
mod schema;
mod settings;
mod short_forms;
mod source_map;
mod suggestions;
mod train;
mod validate;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::data_places::DataPlaces;
use self::freeze::freeze;
use self::model_builder::ModelBuilder;
use self::noise_file::read_noise;
use self::source_map::SourceMap;
use self::suggestions::nearest;
use super::thresholds::DetectSection;
use crate::data::{Batching, Images};
use crate::invalid_setting::check_setting;
use crate::models::{DataShape, Model, TrainConfig, VaeConfig};
use crate::signature::{Expected, START, other_kind};
use crate::trace::{DataTally, RunReader, RunView};
use crate::{Error, ErrorKind, InvalidSetting, Result};

pub use batching::{AugmentSection, CorruptSection};
pub use built_in::{BUILT_IN, BuiltIn};
pub use data::{BackgroundKind, ClipTask, DataSection, Source, Split};
pub use model::{ModelConfig, ModelKind, ModelSection};
pub use train::{RecordSection, TrainSection};
pub use validate::{ValidateSection, ValidationSplit};

/// Bytes of a scenario file at most.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Where the format is described.
const FORMAT_HINT: &str = "see docs/scenarios.md for the scenario format";

/// Everything that a run depends on. `docs/scenarios.md` describes every key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a scenario")]
pub struct Scenario {
    /// The name of the scenario; run directories are named after it.
    pub name: String,
    /// The seed of all random numbers, below 2^63.
    #[serde(default)]
    pub seed: u64,
    /// Where samples come from.
    pub data: DataSection,
    /// Which model is trained.
    pub model: ModelSection,
    /// How long it is trained, and with which updates.
    #[serde(default)]
    pub train: TrainSection,
    /// What is recorded.
    #[serde(default)]
    pub record: RecordSection,
    /// Which samples training does not see, and how often they are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidateSection>,
    /// From where on something is an event.
    #[serde(default, skip_serializing_if = "DetectSection::is_default")]
    pub detect: DetectSection,
    /// The text it was read from, for error messages.
    #[serde(skip)]
    source_map: SourceMap,
    /// What builds a model of kind "custom".
    #[serde(skip)]
    model_builder: ModelBuilder,
    /// Where its data are looked for.
    #[serde(skip)]
    data_places: DataPlaces,
}

impl Scenario {
    /// A built-in scenario by name, or one from a TOML file, with `settings` (`KEY=VALUE`, keys with dots) on top.
    ///
    /// # Errors
    /// No such name or file, an unknown key, a wrong type or a value out of range. The error names the line, the key
    /// and what would be right.
    pub fn load(name_or_path: &str, settings: &[String]) -> Result<Self> {
        let built_in = BUILT_IN.iter().find(|entry| entry.name == name_or_path);
        if let Some(BuiltIn { name, text, .. }) = built_in {
            return Self::parse(text, &format!("scenario {name}"), settings);
        }
        let path = Path::new(name_or_path);
        let looks_like_a_name = path.extension().is_none() && path.components().count() == 1;
        if looks_like_a_name && !path.exists() {
            let names = || BUILT_IN.iter().map(|entry| entry.name);
            let hint = match nearest(name_or_path, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let names: Vec<_> = names().collect();
                    format!("name a TOML file or one of: {}", names.join(", "))
                }
            };
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("scenario '{name_or_path}'"),
                "no built-in scenario and no file has that name",
                hint,
            ));
        }
        let size = std::fs::metadata(path)
            .map_err(|error| Error::io(path, "read the scenario", &error))?;
        if size.len() > MAX_FILE_BYTES {
            return Err(Error::input(
                name_or_path,
                "the file is larger than 1 MiB, too large for a scenario",
                "name a scenario file",
            ));
        }
        let bytes =
            std::fs::read(path).map_err(|error| Error::io(path, "read the scenario", &error))?;
        let start = &bytes[..bytes.len().min(START)];
        if let Some(error) = other_kind(name_or_path, start, Expected::Toml) {
            return Err(error);
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at]
                .iter()
                .filter(|&&b| b == b'\n')
                .count();
            Error::file(
                format!("{name_or_path}, line {line}"),
                "it is not UTF-8 text, but of another encoding such as Latin-1",
                "save it as UTF-8",
            )
        })?;
        Ok(Self {
            data_places: DataPlaces::beside(path),
            ..Self::parse(&text, name_or_path, settings)?
        })
    }

    /// The scenario of a recorded run.
    ///
    /// # Errors
    /// The run directory has no scenario, or a damaged one.
    pub fn of_run(reader: &RunReader) -> Result<Self> {
        let source = reader.folder().join("scenario.toml");
        Ok(Self {
            data_places: DataPlaces::of_run(reader.folder(), reader.info().data.clone()),
            ..Self::parse(&reader.scenario()?, &source.display().to_string(), &[])?
        })
    }

    /// The scenario of a run that is looked at; `None` where it has none. Its data need not be those of the run.
    pub(crate) fn of_view(run: &RunView) -> Option<Result<Self>> {
        let read = Self::parse(run.scenario()?, "scenario.toml", &[]);
        let recorded = run.info().and_then(|info| info.data.clone());
        Some(read.map(|scenario| Self {
            data_places: DataPlaces {
                is_recorded_data: false,
                ..DataPlaces::of_run(run.folder(), recorded)
            },
            ..scenario
        }))
    }

    /// Reads a scenario from text; `source` is what messages call it.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(text: &str, source: &str, settings: &[String]) -> Result<Self> {
        let source_map = SourceMap::new(text, source);
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| source_map.syntax_error(&error))?;
        short_forms::write_out(&mut table);
        let faults = check::check(&mut table);
        if !faults.is_empty() {
            return Err(source_map.errors(all_faults(&table, faults)));
        }
        Self::with_settings(table, settings, source_map)
    }

    /// The scenario of a table whose keys and types are right, with `settings` on top.
    fn with_settings(
        mut table: toml::Table,
        settings: &[String],
        source_map: SourceMap,
    ) -> Result<Self> {
        settings::apply(&mut table, settings)?;
        let source_map = source_map.with_settings(settings);
        let scenario = match Self::deserialize(table) {
            Ok(scenario) => scenario,
            // The schema allows what a type does not: nothing that is known.
            Err(error) => {
                let problem = format!("cannot be read: {}", error.message().replace('\n', " "));
                let invalid = InvalidSetting::new("scenario", problem, FORMAT_HINT);
                return Err(source_map.errors(vec![invalid]));
            }
        };
        match scenario.validate() {
            faults if faults.is_empty() => Ok(Self {
                source_map,
                ..scenario
            }),
            faults => Err(source_map.errors(faults)),
        }
    }

    /// The JSON Schema of the format, short forms included: what an editor needs to complete and check a scenario.
    pub fn json_schema() -> serde_json::Value {
        schema::with_short_forms()
    }

    /// This scenario with `settings` on top: `KEY=VALUE`, keys with dots, as `--set` takes them.
    ///
    /// ```
    /// # fn main() -> trainscope::Result<()> {
    /// use trainscope::train::Scenario;
    ///
    /// let scenario = Scenario::load("vae-logvar-explodes", &[])?;
    /// let fixed = scenario.with(&["model.variance=bounded".into()])?;
    /// assert_ne!(fixed.model(), scenario.model());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A setting without `=`, with an unknown key, a wrong type or a value out of range.
    pub fn with(&self, settings: &[String]) -> Result<Self> {
        let table = toml::Table::try_from(self).map_err(|error| {
            Error::input(
                format!("scenario '{}'", self.name),
                format!("cannot be written as TOML: {error}"),
                "use numbers below 2^63",
            )
        })?;
        let changed = Self::with_settings(table, settings, self.source_map.clone())?;
        let mut data_places = self.data_places.clone();
        // Other data than those of the run are asked for.
        data_places.is_recorded_data &= changed.data == self.data
            && changed.validate == self.validate
            && changed.seed == self.seed;
        Ok(Self {
            model_builder: self.model_builder.clone(),
            data_places,
            ..changed
        })
    }

    /// What is wrong with the ranges, which types do not express.
    fn validate(&self) -> Vec<InvalidSetting> {
        let fits_toml = i64::try_from(self.seed).is_ok();
        let own = [
            check_name(&self.name),
            check_setting(fits_toml, "seed", self.seed, "use a number below 2^63"),
        ];
        let mut faults: Vec<_> = own
            .into_iter()
            .filter_map(std::result::Result::err)
            .collect();
        for (section, found) in [
            ("train", self.train.validate()),
            ("record", self.record.validate()),
            ("detect", self.detect.validate()),
            ("data", self.data.validate()),
            ("model", self.model.config().map(|_| ())),
            (
                "validate",
                self.validate
                    .as_ref()
                    .map_or(Ok(()), |validate| validate.validate(&self.data)),
            ),
        ] {
            faults.extend(found.err().map(|invalid| invalid.within(section)));
        }
        faults
    }

    /// The model's configuration: the keys of `[model]` that belong to its kind, defaults filled in.
    pub fn model(&self) -> ModelConfig {
        self.model.config().expect("checked when it was read")
    }

    /// The same scenario, whose model of kind "custom" is what `build` makes of the scenario and the shape of its data.
    ///
    /// A program that resumes or replays the run has to give the same function: the run directory holds the scenario, not the
    /// code.
    pub fn with_model(
        mut self,
        build: impl Fn(&Scenario, DataShape) -> Result<Box<dyn Model>> + Send + Sync + 'static,
    ) -> Self {
        self.model_builder = ModelBuilder::new(build);
        self
    }

    /// Builds the model for data of a shape.
    ///
    /// # Errors
    /// Layers do not fit each other or the data, layers to freeze are not there, or a model of one's own comes without its
    /// builder.
    pub fn build_model(&self, data: DataShape) -> Result<Box<dyn Model>> {
        let mut model: Box<dyn Model> = match self.model() {
            ModelConfig::Vae(vae) => Box::new(self.with_noise(vae)?.build(data)?),
            ModelConfig::Classifier(classifier) => Box::new(classifier.build(data)?),
            ModelConfig::TwoStream(network) => Box::new(network.build(data)?),
            ModelConfig::Gan(gan) => Box::new(gan.build(&data.sample)?),
            ModelConfig::Custom(name) => self.model_builder.build(self, &name, data)?,
        };
        freeze(model.as_mut(), &self.train.frozen)?;
        Ok(model)
    }

    /// The same VAE with the noise of its file, where it has one.
    fn with_noise(&self, vae: VaeConfig) -> Result<VaeConfig> {
        let Some(written) = &self.model.noise_file else {
            return Ok(vae);
        };
        let path = self.data_places.find(written)?.path;
        let shape = [self.train.batch, vae.latent];
        Ok(VaeConfig {
            given_noise: Some(read_noise(&path, self.train.steps, shape)?),
            ..vae
        })
    }

    /// Whether the model is known to train on labels.
    pub fn needs_labels(&self) -> bool {
        self.model().needs_labels()
    }

    /// What a training step needs to know besides its model.
    pub fn train_config(&self) -> TrainConfig {
        TrainConfig {
            batch: self.train.batch,
            seed: self.seed,
            update_rule: self.train.update(),
            discriminator_update_rule: self.train.discriminator_update(),
        }
    }

    /// Reads the samples to train on.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn images(&self) -> Result<Images> {
        let images = self.data.images(self.seed, &self.data_places)?;
        match self.validate.as_ref().and_then(ValidateSection::share) {
            Some(share) => Ok(images.hold_out(share, self.seed)?.0),
            None => Ok(images),
        }
    }

    /// Reads the samples of `[validate]`; nothing without that section.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn validation_images(&self) -> Result<Option<Images>> {
        let Some(validate) = &self.validate else {
            return Ok(None);
        };
        if let Some(data) = validate.data(&self.data) {
            return data.images(self.seed, &self.data_places).map(Some);
        }
        let images = self.data.images(self.seed, &self.data_places)?;
        let share = validate.share().unwrap_or_default();
        Ok(Some(images.hold_out(share, self.seed)?.1))
    }

    /// Checks that the data are those which the run of this scenario has read, where that is recorded.
    ///
    /// # Errors
    /// They have changed; the message says how.
    pub(crate) fn check_data(&self, tally: &DataTally) -> Result<()> {
        self.data_places.check(tally)
    }

    /// How batches are made of a data set of `count` samples.
    ///
    /// # Errors
    /// `data.corrupt` names more samples than there are.
    pub fn batching(&self, count: usize) -> Result<Batching> {
        self.data.batching(self.seed, count)
    }

    /// An error about a layer, preceded by the line of the scenario that asks for the layer.
    pub(crate) fn with_span(&self, error: Error) -> Error {
        self.source_map.with_span(error)
    }

    /// The complete TOML text, defaults included: enough to run the scenario again.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is a table")
    }
}

/// Refuses a name that no folder can have.
fn check_name(name: &str) -> std::result::Result<(), InvalidSetting> {
    let is_file_name =
        !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    let hint = "use a name that a folder can have";
    check_setting(is_file_name, "name", format!("{name:?}"), hint)
}

/// The faults of keys and types, and those of the ranges of each section that has none of them.
fn all_faults(table: &toml::Table, mut faults: Vec<InvalidSetting>) -> Vec<InvalidSetting> {
    fn ranges<'t, S: Deserialize<'t>>(
        value: &toml::Value,
        validate: impl Fn(&S) -> std::result::Result<(), InvalidSetting>,
    ) -> Option<InvalidSetting> {
        let section = S::deserialize(value.clone()).ok()?;
        validate(&section).err()
    }
    for (section, value) in table {
        let is_faulty = |fault: &InvalidSetting| fault.key.split('.').next() == Some(section);
        if faults.iter().any(is_faulty) {
            continue;
        }
        let found = match section.as_str() {
            "train" => ranges(value, TrainSection::validate),
            "record" => ranges(value, RecordSection::validate),
            "detect" => ranges(value, DetectSection::validate),
            "data" => ranges(value, DataSection::validate),
            "model" => ranges(value, |model: &ModelSection| model.config().map(|_| ())),
            _ => None,
        };
        faults.extend(found.map(|invalid| invalid.within(section)));
    }
    faults
}
