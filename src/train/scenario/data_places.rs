//! Where the files of a data set are looked for, and whether they are still those that a run was trained on.

use std::path::{Path, PathBuf};

use crate::trace::{DataOrigin, DataTally};
use crate::{Error, ErrorKind, Result};

/// What is known of where a scenario's data are. It is no part of what the scenario says: scenarios with different places are
/// equal.
#[derive(Debug, Clone, Default)]
pub(super) struct DataPlaces {
    /// The folder of the scenario's file.
    pub folder: Option<PathBuf>,
    /// What the run read that this scenario belongs to.
    pub recorded: Option<DataTally>,
    /// Whether the data have to be those.
    pub is_recorded_data: bool,
}

impl PartialEq for DataPlaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A path that was found.
pub(super) struct Found {
    pub path: PathBuf,
    /// Where, if it is not where the path as it is written leads.
    pub note: Option<String>,
}

impl DataPlaces {
    /// Those beside the scenario's file.
    pub fn beside(file: &Path) -> Self {
        let folder = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self {
            folder: folder.map(Path::to_owned),
            ..Self::default()
        }
    }

    /// Those of the run in `folder`, which may have recorded what it read.
    pub fn of_run(folder: &Path, recorded: Option<DataTally>) -> Self {
        Self {
            is_recorded_data: recorded.is_some(),
            recorded,
            folder: Some(folder.to_owned()),
        }
    }

    /// The file or folder that `written` names: where the run read it, from the current folder, or beside the scenario.
    pub fn find(&self, written: &Path) -> Result<Found> {
        let text = written.to_string_lossy();
        let recorded = self.recorded_path(written);
        let home = text.strip_prefix("~/").zip(std::env::var_os("HOME"));
        let plain = match home {
            Some((rest, home)) => PathBuf::from(home).join(rest),
            None => written.to_owned(),
        };
        let beside = self.folder.as_ref().filter(|_| plain.is_relative());
        let beside = beside.map(|folder| folder.join(&plain));
        let here = absolute(&plain);
        if let Some(path) = &recorded
            && path.exists()
        {
            let note = (*path != here).then(|| format!("read from {}", path.display()));
            return Ok(Found {
                path: path.clone(),
                note,
            });
        }
        if plain.exists() {
            return Ok(Found {
                path: plain,
                note: None,
            });
        }
        if let Some(path) = &beside
            && path.exists()
        {
            let note = Some(format!(
                "read from {}, beside the scenario",
                absolute(path).display()
            ));
            return Ok(Found {
                path: path.clone(),
                note,
            });
        }
        let mut looked = vec![here];
        looked.extend(beside.map(|path| absolute(&path)));
        looked.extend(recorded);
        looked.dedup();
        let looked: Vec<String> = looked
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Err(Error::new(
            ErrorKind::NotFound,
            text,
            format!("it does not exist: looked for {}", looked.join(" and ")),
            "check data.path; it is relative to the current folder or to the scenario's file",
        ))
    }

    /// Where the run that this scenario belongs to has read `written`: its data, or what is relative to the same folder.
    fn recorded_path(&self, written: &Path) -> Option<PathBuf> {
        let origin = &self.recorded.as_ref()?.origin;
        let absolute = Path::new(origin.absolute_path.as_ref()?);
        let known = Path::new(origin.path.as_ref()?);
        if known == written {
            return Some(absolute.to_owned());
        }
        let is_relative = known.is_relative() && written.is_relative() && absolute.ends_with(known);
        let mut folders = absolute.ancestors();
        let folder = folders.nth(known.components().count())?;
        is_relative.then(|| folder.join(written))
    }

    /// That `tally` is what the run read.
    pub fn check(&self, tally: &DataTally) -> Result<()> {
        let recorded = self.recorded.as_ref().filter(|_| self.is_recorded_data);
        // What is generated or built in follows from the scenario and this version.
        let recorded = recorded.filter(|recorded| recorded.origin.path.is_some());
        let Some(difference) = recorded.and_then(|recorded| tally.difference(recorded)) else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::InvalidFile,
            tally.path_text(),
            format!("the data have changed since the run was started: {difference}"),
            "restore the data of the run, or start a new run with these",
        ))
    }
}

/// The origin of data that are read from `found`, `written` so in the scenario.
pub(super) fn origin(source: &str, written: Option<&Path>, found: Option<&Found>) -> DataOrigin {
    DataOrigin {
        source: source.to_owned(),
        path: written.map(|path| path.to_string_lossy().into_owned()),
        absolute_path: found.map(|found| absolute(&found.path).to_string_lossy().into_owned()),
    }
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_found_where_the_run_read_them_or_beside_the_scenario() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.npy");
        std::fs::write(&file, b"x").unwrap();
        let beside = DataPlaces::beside(&folder.path().join("scenario.toml"));
        let found = beside.find(Path::new("x.npy")).unwrap();
        assert_eq!(found.path, file);
        assert!(found.note.unwrap().ends_with("beside the scenario"));
        let missing = beside.find(Path::new("none.npy")).err().unwrap();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.problem().contains("none.npy and /"), "{missing}");

        let tally = DataTally {
            origin: origin(
                "npy",
                Some(Path::new("x.npy")),
                Some(&Found {
                    path: file.clone(),
                    note: None,
                }),
            ),
            count: 3,
            digest: "abc".into(),
            ..DataTally::default()
        };
        let run = DataPlaces::of_run(Path::new("run"), Some(tally.clone()));
        assert_eq!(
            run.find(Path::new("x.npy")).unwrap().path,
            file.canonicalize().unwrap()
        );
        assert!(run.find(Path::new("y.npy")).is_err());
        // Other data of the run are looked for from the same folder.
        std::fs::write(folder.path().join("y.npy"), b"y").unwrap();
        assert!(
            run.find(Path::new("y.npy"))
                .unwrap()
                .path
                .ends_with("y.npy")
        );
        run.check(&tally).unwrap();
        let more = DataTally {
            count: 4,
            digest: "abd".into(),
            ..tally
        };
        let error = run.check(&more).unwrap_err().to_string();
        assert!(error.contains("it has 4 images, the run read 3"), "{error}");
    }
}
