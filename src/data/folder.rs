//! Image folders: PNG and JPEG files, resized to one size.

use std::path::{Path, PathBuf};

use super::Images;
use super::image_file::read_square;
use crate::{Error, Result};

/// Files of one data set at most.
const MAX_FILES: usize = 1 << 20;
/// Broken files that a message names.
const NAMED: usize = 5;

/// Reads the PNG and JPEG files in `path` as red, green and blue of `size` x `size` pixels: the largest square in the
/// middle, resized. Subfolders are classes, in the order of their names; if there are files outside of them, no image
/// has a label. Files that cannot be decoded are skipped and named in [`Images::skipped`].
///
/// # Errors
/// No folder, no such file in it, or none that can be decoded.
pub fn image_folder(path: &Path, size: usize) -> Result<Images> {
    let (files, folders) = list(path)?;
    let has_classes = files.is_empty() && !folders.is_empty();
    let mut found: Vec<(PathBuf, u8)> = files.into_iter().map(|file| (file, 0)).collect();
    let mut classes = 0;
    if has_classes {
        for folder in folders {
            let (files, _) = list(&folder)?;
            if files.is_empty() {
                continue;
            }
            let Ok(label) = u8::try_from(classes) else {
                return Err(Error::input(
                    path.display().to_string(),
                    "it has more than 256 folders of images",
                    "use at most 256 classes",
                ));
            };
            found.extend(files.into_iter().map(|file| (file, label)));
            classes += 1;
        }
    }
    if found.is_empty() || found.len() > MAX_FILES {
        return Err(Error::input(
            path.display().to_string(),
            format!("it holds {} PNG or JPEG files", found.len()),
            format!("name a folder with 1 to {MAX_FILES} of them, or with one subfolder a class"),
        ));
    }
    let mut images = Images {
        count: 0,
        shape: [3, size, size],
        pixels: Vec::new(),
        labels: Vec::new(),
        classes,
        name: path.file_name().map_or_else(
            || "images".into(),
            |name| name.to_string_lossy().into_owned(),
        ),
        skipped: Vec::new(),
    };
    for (file, label) in &found {
        match read_square(file, size) {
            Ok(pixels) => {
                images.pixels.extend(pixels);
                images.count += 1;
                if has_classes {
                    images.labels.push(*label);
                }
            }
            Err(reason) => images.skipped.push(format!("{}: {reason}", file.display())),
        }
    }
    if images.count == 0 {
        let named: Vec<&str> = images
            .skipped
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        return Err(Error::input(
            path.display().to_string(),
            format!(
                "none of its {} images can be decoded ({})",
                found.len(),
                named.join(", ")
            ),
            "put PNG or JPEG files there",
        ));
    }
    Ok(images)
}

/// Image files and subfolders, each by name.
fn list(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let failed = |error| Error::io(path, "list it", &error);
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        let extension = extension.map(str::to_ascii_lowercase);
        if path.is_dir() {
            folders.push(path);
        } else if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}
