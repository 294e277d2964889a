//! Image folders: PNG and JPEG files, resized to one size.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Images;
use super::image_file::read_square;
use crate::text::{listed, quoted};
use crate::trace::LeftOut;
use crate::trace::data_tally::{leave_out, left_out_text, merged};
use crate::{Error, Result};

/// Files of one data set at most.
const MAX_FILES: usize = 1 << 20;
/// Folders within folders at most.
const MAX_DEPTH: usize = 32;
/// Characters of a list of names in a message.
const LISTED: usize = 80;
/// Files of these endings are images that are read.
const READ: [&str; 6] = ["png", "jpg", "jpeg", "jfif", "jpe", "pjpeg"];
/// Folders of these names are parts of a data set, and no classes.
const SPLITS: [&str; 9] = [
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "eval",
    "dev",
];
/// What systems leave in folders, beside names that begin with a dot.
const LITTER: [&str; 9] = [
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "__pycache__",
    "@eadir",
    "lost+found",
    "$recycle.bin",
    "system volume information",
    "icon\r",
];
/// Why a file that is named as an image is none.
const BROKEN: &str = "that cannot be decoded";

/// Reads the PNG and JPEG files in `path` as red, green and blue of `size` x `size` pixels: the largest square in the
/// middle, resized. Images are shown as their EXIF orientation asks, and transparent ones are laid on white.
///
/// Subfolders are classes, in the order of their names, with the images at any depth in them. Names that begin with a dot,
/// and what systems leave in folders, do not count. What else is not read is told in [`Images::left_out`].
///
/// # Errors
/// No folder, no such file in it, or none that can be decoded; images beside folders of images; a class without an image
/// that can be read; folders that are the parts of a data set.
pub fn image_folder(path: &Path, size: usize) -> Result<Images> {
    let wrong =
        |problem: String, hint: &str| Error::input(path.display().to_string(), problem, hint);
    let mut left_out = Vec::new();
    let mut top = Listing::of(path)?;
    top.tell(&mut left_out);
    let mut classes: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for folder in std::mem::take(&mut top.folders) {
        let mut walk = Walk::default();
        walk.enter(&folder, 0)?;
        walk.images.sort();
        if top.images.is_empty() {
            if walk.images.is_empty() {
                return Err(empty_class(path, &folder, &walk.left_out));
            }
            left_out = merged(left_out, walk.left_out);
        } else if walk.images.is_empty() {
            left_out = merged(left_out, walk.left_out);
            continue;
        }
        classes.push((folder, walk.images));
    }
    let names: Vec<String> = classes.iter().map(|(folder, _)| name_of(folder)).collect();
    if !top.images.is_empty() && !classes.is_empty() {
        let images: Vec<String> = top.images.iter().map(|image| name_of(image)).collect();
        let problem = format!(
            "images ({}) and folders of images ({}) are side by side",
            listed(images.iter().map(String::as_str), LISTED),
            listed(names.iter().map(String::as_str), LISTED)
        );
        return Err(wrong(
            problem,
            "move one of them away: folders are classes, and images beside them would have none",
        ));
    }
    let is_split = |name: &String| SPLITS.contains(&name.to_ascii_lowercase().as_str());
    if !names.is_empty() && names.iter().all(is_split) {
        let problem = format!(
            "its folders are parts of a data set and no classes: {}",
            names.join(", ")
        );
        let hint = format!(
            "name one of them: path = \"{}\"",
            path.join(&names[0]).display()
        );
        return Err(wrong(problem, &hint));
    }
    if names.len() > 256 {
        return Err(wrong(
            format!("it has {} folders of images", names.len()),
            "use at most 256 classes",
        ));
    }
    let has_classes = !classes.is_empty();
    if !has_classes {
        classes.push((path.to_owned(), top.images));
    }
    let found: usize = classes.iter().map(|(_, images)| images.len()).sum();
    if found == 0 || found > MAX_FILES {
        let others = match left_out_text(&left_out) {
            text if text.is_empty() => text,
            text => format!(" (but {text})"),
        };
        let hint =
            format!("name a folder with 1 to {MAX_FILES} of them, or with one subfolder a class");
        return Err(wrong(
            format!("it holds {found} PNG or JPEG files{others}"),
            &hint,
        ));
    }
    let mut images = Images {
        shape: [3, size, size],
        classes: names.len(),
        class_names: names,
        name: path.file_name().map_or_else(
            || "images".into(),
            |name| name.to_string_lossy().into_owned(),
        ),
        left_out,
        ..Images::default()
    };
    let mut decoded = Decoded::default();
    for (label, (folder, files)) in classes.iter().enumerate() {
        let broken = decoded.append(path, files, size, &mut images);
        let count = images.count - images.labels.len();
        if count == 0 && has_classes {
            return Err(empty_class(path, folder, &broken));
        }
        if has_classes {
            images.labels.resize(images.count, label as u8);
        }
        images.left_out = merged(std::mem::take(&mut images.left_out), broken);
    }
    if images.count == 0 {
        let problem = format!(
            "none of its {found} images can be read: {}",
            left_out_text(&images.left_out)
        );
        return Err(wrong(problem, "put PNG or JPEG files there"));
    }
    images.check_range(path)?;
    images.notes = decoded.notes();
    Ok(images)
}

/// A class that would vanish, so that the classes after it get other labels.
fn empty_class(path: &Path, folder: &Path, left_out: &[LeftOut]) -> Error {
    let found = match left_out_text(left_out) {
        text if text.is_empty() => String::new(),
        text => format!(" ({text})"),
    };
    Error::input(
        path.display().to_string(),
        format!(
            "the class folder {} holds no PNG or JPEG image that can be read{found}",
            quoted(&name_of(folder))
        ),
        "put such images there, or move the folder away, so that every folder is a class",
    )
}

/// How the images were shown.
#[derive(Default)]
struct Decoded {
    turned: usize,
    transparent: usize,
}

impl Decoded {
    /// Decodes `files`, which are below `root`, and tells which could not be.
    fn append(
        &mut self,
        root: &Path,
        files: &[PathBuf],
        size: usize,
        images: &mut Images,
    ) -> Vec<LeftOut> {
        let mut broken = Vec::new();
        for file in files {
            match read_square(file, size) {
                Ok(square) => {
                    images.pixels.extend(square.pixels);
                    images.count += 1;
                    self.turned += usize::from(square.is_turned);
                    self.transparent += usize::from(square.is_transparent);
                }
                Err(reason) => {
                    let name = file.strip_prefix(root).unwrap_or(file).display();
                    leave_out(&mut broken, BROKEN, format!("{name}: {reason}"));
                }
            }
        }
        broken
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.turned > 0 {
            notes.push(format!(
                "{} turned as their EXIF orientation asks",
                self.turned
            ));
        }
        if self.transparent > 0 {
            notes.push(format!(
                "{} with transparency, laid on white",
                self.transparent
            ));
        }
        notes
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What a folder holds, each sorted by name.
#[derive(Default)]
struct Listing {
    images: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Each with its reason.
    others: Vec<(String, PathBuf)>,
}

impl Listing {
    fn of(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path, "list it", &error);
        let mut listing = Self::default();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = name_of(&path).to_lowercase();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let ending = ending.map(str::to_ascii_lowercase);
            if name.starts_with('.') {
                listing.others.push(("hidden".to_owned(), path));
            } else if LITTER.contains(&name.as_str()) {
                listing.others.push(("left by the system".to_owned(), path));
            } else if path.is_dir() {
                listing.folders.push(path);
            } else {
                match ending {
                    Some(ending) if READ.contains(&ending.as_str()) => listing.images.push(path),
                    Some(ending) => listing.others.push((format!(".{ending}"), path)),
                    None => listing.others.push(("without an ending".to_owned(), path)),
                }
            }
        }
        listing.images.sort();
        listing.folders.sort();
        listing.others.sort();
        Ok(listing)
    }

    /// Adds what is not read.
    fn tell(&mut self, left_out: &mut Vec<LeftOut>) {
        for (reason, path) in self.others.drain(..) {
            leave_out(left_out, &reason, name_of(&path));
        }
    }
}

/// The images of a class at any depth.
#[derive(Default)]
struct Walk {
    images: Vec<PathBuf>,
    left_out: Vec<LeftOut>,
    /// Folders by their real paths: links may lead in circles.
    entered: HashSet<PathBuf>,
}

impl Walk {
    fn enter(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let real = folder
            .canonicalize()
            .map_err(|error| Error::io(folder, "list it", &error))?;
        if depth > MAX_DEPTH || !self.entered.insert(real) {
            return Ok(());
        }
        let mut listing = Listing::of(folder)?;
        listing.tell(&mut self.left_out);
        self.images.append(&mut listing.images);
        for folder in listing.folders {
            self.enter(&folder, depth + 1)?;
        }
        Ok(())
    }
}
