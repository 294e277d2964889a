//! What was dreamt, in a run directory: a JSON file and its pictures in `analysis/`, and how others find them again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Dream, Dreams};
use crate::trace::RunView;
use crate::{Error, Result, files};

/// The folder in a run directory.
const FOLDER: &str = "analysis/dreams";

/// Differences between neighbors, as JSON has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnergiesRecord {
    /// In space.
    pub spatial: f64,
    /// In time.
    pub temporal: f64,
}

/// A real input that drives a unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RealRecord {
    /// Its number in the data set.
    pub sample: usize,
    /// The unit on it.
    pub activation: f64,
}

/// A dream without its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DreamRecord {
    /// What was dreamt of.
    pub unit: String,
    /// The state after so many steps.
    pub step: u64,
    /// The weight of differences in time.
    pub chi: f64,
    /// The unit on the dream.
    pub activation: f64,
    /// The largest value of the unit on real inputs.
    pub real_maximum: f64,
    /// Its differences in space and time.
    pub energies: EnergiesRecord,
    /// Real inputs that drive the unit most.
    pub most: Vec<RealRecord>,
    /// Those that drive it least.
    pub least: Vec<RealRecord>,
}

impl DreamRecord {
    fn new(dream: &Dream, step: u64) -> Self {
        let real = |inputs: &[super::RealInput]| {
            let records = inputs.iter().map(|input| RealRecord {
                sample: input.sample,
                activation: input.activation,
            });
            records.collect()
        };
        Self {
            unit: dream.unit.clone(),
            step,
            chi: dream.chi,
            activation: dream.activation,
            real_maximum: dream.real_maximum,
            energies: EnergiesRecord {
                spatial: dream.energies.spatial,
                temporal: dream.energies.temporal,
            },
            most: real(&dream.most),
            least: real(&dream.least),
        }
    }
}

/// A snapshot, or units of it, of which there is no dream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The state after so many steps.
    pub step: u64,
    /// Why, as a sentence.
    pub why: String,
}

/// All that a command dreamt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DreamsRecord {
    /// The layer.
    pub layer: String,
    /// Why this unit, where its run's explanation named it.
    pub why: Option<String>,
    /// Every dream, snapshot after snapshot.
    pub dreams: Vec<DreamRecord>,
    /// What could not be dreamt.
    pub left_out: Vec<LeftOut>,
    /// The seed of start and shifts.
    pub seed: u64,
    /// Real inputs that were looked at.
    pub real_inputs: usize,
    /// Pictures, loops and arrays that were written; those in the folder of this record by their names alone.
    pub files: Vec<PathBuf>,
}

impl DreamsRecord {
    /// The record of dreams at some snapshots, without files.
    ///
    /// # Errors
    /// There is no dream at all: the message says why there is none of the first that was left out.
    pub fn new(
        run: &RunView,
        snapshots: &[Dreams],
        mut left_out: Vec<LeftOut>,
        why: Option<String>,
        seed: u64,
    ) -> Result<Self> {
        let silent = snapshots
            .iter()
            .filter_map(|dreams| Some((dreams, dreams.silence(run)?)));
        let silent: Vec<(&Dreams, Error)> = silent.collect();
        let dreams: Vec<DreamRecord> = snapshots
            .iter()
            .flat_map(|at| {
                at.dreams
                    .iter()
                    .map(|dream| DreamRecord::new(dream, at.step))
            })
            .collect();
        if let (true, Some((_, error))) = (dreams.is_empty(), silent.first()) {
            return Err(error.clone());
        }
        left_out.extend(silent.into_iter().map(|(dreams, error)| LeftOut {
            step: dreams.step,
            why: error.to_string(),
        }));
        left_out.sort_by_key(|left| left.step);
        Ok(Self {
            layer: snapshots
                .first()
                .map(|dreams| dreams.layer.clone())
                .unwrap_or_default(),
            why,
            dreams,
            left_out,
            seed,
            real_inputs: snapshots.first().map_or(0, |dreams| dreams.real),
            files: Vec::new(),
        })
    }

    /// Where in a run directory the files of these dreams are kept, without an ending: dreams of other units and snapshots
    /// have another name.
    pub fn stem(&self, run: &Path) -> PathBuf {
        let mut words: Vec<String> = vec![self.layer.clone()];
        let mut add = |word: String| {
            if !words.contains(&word) {
                words.push(word);
            }
        };
        let units: Vec<&str> = self
            .dreams
            .iter()
            .map(|dream| dream.unit.as_str())
            .collect();
        match units.iter().all(|unit| Some(unit) == units.first()) {
            true => add(units
                .first()
                .map_or("", |unit| unit.rsplit(':').next().unwrap_or(unit))
                .to_owned()),
            false => add(format!("{}-units", units.len())),
        }
        for dream in &self.dreams {
            add(format!("step-{}", dream.step));
        }
        let name: String = words
            .join("-")
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .take(120)
            .collect();
        run.join(FOLDER).join(name)
    }

    /// Writes the record beside its pictures.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, stem: &Path) -> Result<PathBuf> {
        let mut path = stem.as_os_str().to_owned();
        path.push(".json");
        let path = PathBuf::from(path);
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Error::input(
                path.display().to_string(),
                format!("the record cannot be written as JSON: {error}"),
                "report this as a bug",
            )
        })?;
        files::write_whole(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The records in a run directory, in the order of their names, each with the folder of its files. What cannot be read
    /// is left out: everything in `analysis/` may be deleted or written anew at any time.
    pub fn all(run: &Path) -> Vec<(PathBuf, Self)> {
        let folder = run.join(FOLDER);
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let is_json = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
        let read = |path: PathBuf| {
            let text = files::read_text(&path).ok()?;
            Some((folder.clone(), serde_json::from_str(&text).ok()?))
        };
        paths.into_iter().filter(is_json).filter_map(read).collect()
    }
}

/// Makes the folder in which dreams of a run are kept.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(run: &Path) -> Result<()> {
    files::make_folder(&run.join(FOLDER))
}
