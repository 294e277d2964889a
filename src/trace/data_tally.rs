//! What was read of a data set and what was left out: the line `data: ...`, and the object `data` of `run.json`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::quoted;

/// Classes that the line names.
const SHOWN_CLASSES: usize = 10;
/// Files of one reason that are named.
const NAMED_FILES: usize = 10;
/// Where a data set came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataOrigin {
    /// The kind of source, as a scenario calls it.
    pub source: String,
    /// The path as it was written; `None` for what is built in or generated.
    pub path: Option<String>,
    /// The same as an absolute path.
    pub absolute_path: Option<String>,
}

/// What was read of a data set and what was left out. Its text is for people: "8 images of 3 x 8 x 8, classes a (4), b (4);
/// left out: 1 .webp".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataTally {
    /// Where it came from.
    #[serde(flatten)]
    pub origin: DataOrigin,
    /// How many images.
    pub count: usize,
    /// Channels, height, width of each.
    pub shape: [usize; 3],
    /// The smallest and the largest byte of all pixels.
    pub range: [u8; 2],
    /// SHA-256, in hexadecimal, of count, shape, pixels and labels.
    pub digest: String,
    /// The classes that occur.
    pub classes: Vec<ClassTally>,
    /// Files that were not read, by reason.
    pub left_out: Vec<LeftOut>,
    /// What else is remarkable, each as a clause.
    pub notes: Vec<String>,
}

/// How many images have a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassTally {
    /// Its name: a folder's, or the label as a number.
    pub name: String,
    /// Its label.
    pub label: u8,
    /// Images of it.
    pub count: usize,
}

/// Files that a source did not read, for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The reason, as in "3 .webp" or "2 that cannot be decoded".
    pub reason: String,
    /// How many files.
    pub count: usize,
    /// The first of them, with what is wrong where that differs from file to file.
    pub files: Vec<String>,
}

/// Adds a file to those that are left out for `reason`.
pub(crate) fn leave_out(left_out: &mut Vec<LeftOut>, reason: &str, file: String) {
    let index = left_out.iter().position(|group| group.reason == reason);
    let index = index.unwrap_or_else(|| {
        left_out.push(LeftOut {
            reason: reason.to_owned(),
            ..LeftOut::default()
        });
        left_out.len() - 1
    });
    let group = &mut left_out[index];
    group.count += 1;
    if group.files.len() < NAMED_FILES {
        group.files.push(file);
    }
}

/// Both, those of one reason together.
pub(crate) fn merged(mut left_out: Vec<LeftOut>, more: Vec<LeftOut>) -> Vec<LeftOut> {
    for group in more {
        match left_out
            .iter_mut()
            .find(|known| known.reason == group.reason)
        {
            Some(known) => {
                known.count += group.count;
                known.files.extend(group.files);
                known.files.truncate(NAMED_FILES);
            }
            None => left_out.push(group),
        }
    }
    left_out
}

/// What was left out, as in "1 .webp, 2 hidden".
pub(crate) fn left_out_text(left_out: &[LeftOut]) -> String {
    let groups = left_out.iter().map(|group| {
        let count = group.count;
        match group.files.first() {
            // Only a file with a colon has a reason of its own.
            Some(file) if file.contains(": ") => format!("{count} {} ({file})", group.reason),
            _ => format!("{count} {}", group.reason),
        }
    });
    groups.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for DataTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, height, width] = self.shape;
        let images = if self.count == 1 { "image" } else { "images" };
        write!(
            f,
            "{} {images} of {channels} x {height} x {width}",
            self.count
        )?;
        let shown = self.classes.iter().take(SHOWN_CLASSES);
        let shown: Vec<String> = shown
            .map(|class| format!("{} ({})", class.name, class.count))
            .collect();
        match self.classes.len() {
            0 => f.write_str(", no labels")?,
            1 => write!(f, ", one class {}", shown[0])?,
            count => {
                write!(f, ", classes {}", shown.join(", "))?;
                if count > shown.len() {
                    write!(f, " and {} more", count - shown.len())?;
                }
            }
        }
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        if !self.left_out.is_empty() {
            write!(f, "; left out: {}", left_out_text(&self.left_out))?;
        }
        Ok(())
    }
}

impl DataTally {
    /// How this data set differs from `recorded`, as in "it has 15 images where the run read 8"; `None` where it is the same.
    pub(crate) fn difference(&self, recorded: &Self) -> Option<String> {
        if recorded.digest.is_empty() || self.digest == recorded.digest {
            return None;
        }
        let shape = |tally: &Self| tally.shape.map(|side| side.to_string()).join(" x ");
        Some(if self.count != recorded.count {
            format!(
                "it has {} images, the run read {}",
                self.count, recorded.count
            )
        } else if self.shape != recorded.shape {
            format!(
                "its images are {}, the run read {}",
                shape(self),
                shape(recorded)
            )
        } else if self.classes != recorded.classes {
            "it has other labels than the run read".to_owned()
        } else {
            let known: String = recorded.digest.chars().take(8).collect();
            let found: String = self.digest.chars().take(8).collect();
            format!(
                "its pixels or the order of its labels are not those that the run read (digest {found} instead of {known})"
            )
        })
    }

    /// What the path is called in messages: as it was written.
    pub(crate) fn path_text(&self) -> String {
        let origin = &self.origin;
        match (&origin.path, &origin.absolute_path) {
            (Some(path), _) | (None, Some(path)) => path.clone(),
            _ => quoted(&origin.source),
        }
    }
}
