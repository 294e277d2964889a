//! Checks of the files that a command is to write, before it starts.

use std::path::{Path, PathBuf};

use trainscope::{Error, Result};

use super::check_writable;

/// Checks that the outputs, by their options, can be written, and that none of them overwrites the input or another one.
pub fn check(input: &Path, outputs: &[(&str, &Option<PathBuf>)]) -> Result<()> {
    let input = std::fs::canonicalize(input).unwrap_or_else(|_| input.to_owned());
    let mut taken: Vec<(&str, PathBuf)> = Vec::new();
    for (option, path) in outputs {
        let Some(path) = path else {
            continue;
        };
        check_writable(path)?;
        let target = resolved(path);
        let is_part = input.is_dir() && target.starts_with(&input) && target.exists();
        if target == input || is_part {
            return Err(Error::usage(
                *option,
                format!("{} would overwrite what is read", path.display()),
                "name another file",
            ));
        }
        if let Some((other, _)) = taken.iter().find(|(_, other)| *other == target) {
            return Err(Error::usage(
                *option,
                format!("{} is also what {other} writes", path.display()),
                "name a file for each",
            ));
        }
        taken.push((option, target));
    }
    Ok(())
}

/// Checks that a picture is to be a PNG file, the only format that is written.
pub fn check_picture(path: &Path) -> Result<()> {
    match path.extension() {
        Some(extension) if !extension.eq_ignore_ascii_case("png") => Err(Error::usage(
            path.display().to_string(),
            "pictures are written as PNG files",
            format!("name it {}", path.with_extension("png").display()),
        )),
        _ => Ok(()),
    }
}

/// The path without links; a file that does not exist yet has those of its folder taken out.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(path) = std::fs::canonicalize(path) {
        return path;
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    folder.join(path.file_name().unwrap_or_default())
}
