//! Files that are complete or absent, and reads of bounded size.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The extension that a name has until its file is complete.
const TEMP_EXTENSION: &str = "tmp";

/// The most bytes of a text file.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// The name under which `path` is written before it is renamed.
pub(crate) fn temp_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TEMP_EXTENSION);
    name.into()
}

/// The name that `path` has in `folder` until it is complete, where others list the folder of `path` itself.
pub(crate) fn temp_path_in(folder: &Path, path: &Path) -> PathBuf {
    let mut name = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_owned();
    name.push("-");
    name.push(path.file_name().unwrap_or_default());
    temp_path(&folder.join(name))
}

/// Writes `bytes` under a temporary name in the same folder and renames it to `path`.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(&temp_path(path), path, bytes)
}

/// Writes `bytes` under a temporary name in `folder`, which is on the same disk, and renames it to `path`. Whoever reads
/// all files in the folder of `path` never meets one that is incomplete.
pub(crate) fn write_whole_from(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(&temp_path_in(folder, path), path, bytes)
}

fn write_through(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = moment_of_death()
        .and_then(|()| fs::write(temporary, bytes))
        .and_then(|()| moment_of_death())
        .and_then(|()| fs::rename(temporary, path));
    written.map_err(|error| {
        if !is_dead() {
            let _ = fs::remove_file(temporary);
        }
        Error::io(path, "write it", &error)
    })
}

/// Renames a file or folder.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    moment_of_death()
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| Error::io(to, "write it", &error))
}

/// Opens a file to read, and returns its size too.
pub(crate) fn open(path: &Path) -> Result<(fs::File, u64)> {
    let failed = |error| Error::io(path, "read it", &error);
    let file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::file(
            path.display().to_string(),
            "is a folder",
            "name a file in it",
        ));
    }
    Ok((file, metadata.len()))
}

/// Reads a file of at most `max_bytes` bytes.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let failed = |error| Error::io(path, "read it", &error);
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::file(
            path.display().to_string(),
            format!("larger than {} MiB", max_bytes >> 20),
            "check that it is the right file",
        ));
    }
    Ok(bytes)
}

/// What is wrong with a JSON document, in a few words that need no knowledge of the types behind it.
pub(crate) fn json_problem(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Eof => "it is cut short".to_owned(),
        Category::Data => "a key is missing or has a value of another kind".to_owned(),
        Category::Syntax | Category::Io => format!("it breaks off at column {}", error.column()),
    }
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_bounded(path, MAX_TEXT_BYTES)?).map_err(|error| {
        Error::file(
            path.display().to_string(),
            format!(
                "not UTF-8 text at byte {}",
                error.utf8_error().valid_up_to()
            ),
            "restore the file from a copy",
        )
    })
}

/// The names in a folder, sorted; none where the folder does not exist.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, "list it", &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, "list it", &error))?;
        // Names that are not UTF-8 were not written by trainscope.
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// Removes the incomplete files that a killed run left in `folder`.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        if Path::new(&name)
            .extension()
            .is_some_and(|end| end == TEMP_EXTENSION)
        {
            remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Removes a file, or a folder with its contents.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = moment_of_death().and_then(|()| {
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    });
    removed.map_err(|error| Error::io(path, "remove it", &error))
}

/// Creates a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    moment_of_death()
        .and_then(|()| fs::create_dir_all(path))
        .map_err(|error| Error::io(path, "create this folder", &error))
}

/// Called before every change of the disk: tests let the process die there.
#[cfg(not(test))]
fn moment_of_death() -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(test))]
fn is_dead() -> bool {
    false
}

#[cfg(test)]
use deaths::{is_dead, moment_of_death};

/// Deaths at any change of the disk, for tests: after it, nothing of this thread changes the disk any more.
#[cfg(test)]
pub(crate) mod deaths {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        /// Changes that are still done; without a number, all are.
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Runs `work` and lets it die after `changes` changes. Returns what it gave, and whether it died.
    pub(crate) fn after<T>(changes: usize, work: impl FnOnce() -> T) -> (T, bool) {
        LEFT.set(Some(changes));
        let result = work();
        let died = is_dead();
        LEFT.set(None);
        (result, died)
    }

    /// Whether the process is dead: a change was refused.
    pub(super) fn is_dead() -> bool {
        LEFT.get() == Some(usize::MAX)
    }

    pub(super) fn moment_of_death() -> io::Result<()> {
        let left = match LEFT.get() {
            None => return Ok(()),
            Some(usize::MAX | 0) => None,
            Some(left) => Some(left - 1),
        };
        LEFT.set(Some(left.unwrap_or(usize::MAX)));
        left.map(|_| ())
            .ok_or_else(|| io::Error::other("the process is dead"))
    }
}
