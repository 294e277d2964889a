//! The arrangement of the panes, kept from one window to the next.

use std::path::PathBuf;

use super::panes::{Arrangement, Part};
use crate::files;

/// The file that keeps the arrangement; none where the system has no folder for such files.
#[derive(Debug, Clone, Default)]
pub(super) struct ArrangementFile(Option<PathBuf>);

impl ArrangementFile {
    /// The file of the person who runs the program.
    pub fn of_user() -> Self {
        Self(dirs::config_dir().map(|folder| folder.join("trainscope").join("window.json")))
    }

    /// A file of another name.
    #[cfg(test)]
    pub fn at(path: PathBuf) -> Self {
        Self(Some(path))
    }

    /// What is kept, or the arrangement to begin with where nothing is or it cannot be used.
    pub fn read(&self) -> Arrangement {
        let text = self.0.as_ref().and_then(|path| std::fs::read(path).ok());
        let kept = text.and_then(|text| serde_json::from_slice::<Part>(&text).ok());
        kept.and_then(|part| Arrangement::kept(&part))
            .unwrap_or_default()
    }

    /// Keeps an arrangement. One that cannot be kept is no reason to trouble anybody.
    pub fn write(&self, arrangement: &Arrangement) {
        if let Some(path) = &self.0
            && let Some(folder) = path.parent()
            && let Ok(text) = serde_json::to_vec(&arrangement.part())
            && files::make_folder(folder).is_ok()
        {
            let _ = files::write_whole(path, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made").join("window.json");
        let file = ArrangementFile::at(path.clone());
        assert_eq!(file.read(), Arrangement::default());
        file.write(&Arrangement::default());
        assert!(path.is_file());
        assert_eq!(file.read(), Arrangement::default());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(file.read(), Arrangement::default());
    }
}
