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

/// Writes `bytes` under a temporary name in the same folder and renames it to `path`.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temp_path(path);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::io(path, "write it", &error)
        })
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
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|error| Error::io(path, "remove it", &error))
}

/// Creates a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(path, "create this folder", &error))
}
