//! Files that are whole or not there at all, and reads that stay bounded.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// What a name ends in until its file is whole.
const UNFINISHED: &str = "tmp";

/// The most bytes of a text file (scenario, graph, events).
const MOST_TEXT: u64 = 256 << 20;

/// The name under which `path` is written before it is renamed.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// Writes `bytes` under a temporary name in the same folder and renames it to `path`.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = unfinished(path);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::io(path, "write it", &error)
        })
}

/// Opens a file to read and tells its size.
pub(crate) fn open(path: &Path) -> Result<(fs::File, u64)> {
    let failed = |error| Error::io(path, "read it", &error);
    let file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::input(
            path.display().to_string(),
            "it is a folder",
            "name a file in it",
        ));
    }
    Ok((file, metadata.len()))
}

/// Reads a file of at most `most` bytes.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = |error| Error::io(path, "read it", &error);
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::input(
            path.display().to_string(),
            format!("it is larger than {} MiB", most >> 20),
            "check that it is the right file",
        ));
    }
    Ok(bytes)
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_bounded(path, MOST_TEXT)?).map_err(|error| {
        Error::input(
            path.display().to_string(),
            format!("byte {} is no UTF-8 text", error.utf8_error().valid_up_to()),
            "restore the file from a copy",
        )
    })
}

/// The names in a folder, sorted; none where there is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, "list it", &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, "list it", &error))?;
        // Names that are no UTF-8 are none of ours.
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// Removes what a killed run left unfinished in `folder`.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        if Path::new(&name)
            .extension()
            .is_some_and(|end| end == UNFINISHED)
        {
            remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Removes a file or a folder with all that is in it.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|error| Error::io(path, "remove it", &error))
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(path, "make this folder", &error))
}
