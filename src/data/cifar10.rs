//! CIFAR-10 in its binary form (Krizhevsky 2009): records of a label and 3 x 32 x 32 bytes, red, green, blue.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Images;
use crate::signature::{Expected, START, other_kind};
use crate::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
const RECORD: usize = 1 + 3 * 32 * 32;
/// Records of one file at most.
const MAX_RECORDS: usize = 1 << 19;
/// Records of each original file.
const ORIGINAL_RECORDS: usize = 10_000;
/// The names of the classes.
const NAMES: [&str; CLASSES] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Reads `data_batch_1.bin` to `data_batch_5.bin` for the split `train`, `test_batch.bin` for `test`, from a directory or
/// its `cifar-10-batches-bin`.
///
/// # Errors
/// A split of another name, a file that is missing, one that is no whole number of records or has fewer than the others, or
/// a label beyond 9.
pub fn cifar10(path: &Path, split: &str) -> Result<Images> {
    let names: Vec<String> = match split {
        "train" => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
        "test" => vec!["test_batch.bin".to_owned()],
        _ => {
            return Err(Error::input(
                format!("split '{split}'"),
                "CIFAR-10 comes in two splits",
                "write \"train\" or \"test\"",
            ));
        }
    };
    let folders = [path.to_owned(), path.join("cifar-10-batches-bin")];
    let files: Vec<PathBuf> = folders
        .iter()
        .map(|folder| names.iter().map(|name| folder.join(name)))
        .map(|files| files.filter(|file| file.is_file()).collect::<Vec<_>>())
        .find(|files| !files.is_empty())
        .ok_or_else(|| {
            Error::input(
                path.display().to_string(),
                format!("found no file {}", names[0]),
                "name the directory with CIFAR-10's binary version",
            )
        })?;
    let is_missing = |name: &&String| files.iter().all(|file| !file.ends_with(name));
    let missing: Vec<&str> = names
        .iter()
        .filter(is_missing)
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Error::input(
            path.display().to_string(),
            format!(
                "{} of {} training files are there; missing: {}",
                files.len(),
                names.len(),
                missing.join(", ")
            ),
            "fetch CIFAR-10's binary version again",
        ));
    }
    let mut images = Images {
        shape: SHAPE,
        classes: CLASSES,
        class_names: NAMES.map(str::to_owned).to_vec(),
        name: "cifar10".to_owned(),
        ..Images::default()
    };
    let mut counts = Vec::new();
    for file in &files {
        let before = images.count;
        append(file, &mut images)?;
        counts.push(images.count - before);
    }
    check_counts(&files, &counts, &mut images)?;
    images.check_range(path)?;
    Ok(images)
}

/// All files of the set have equally many records: one that has fewer was cut.
fn check_counts(files: &[PathBuf], counts: &[usize], images: &mut Images) -> Result<()> {
    let most = counts.iter().copied().max().unwrap_or(0);
    if let Some(index) = counts.iter().position(|&count| count < most) {
        return Err(Error::input(
            files[index].display().to_string(),
            format!(
                "it has {} images, another file of the set has {most}",
                counts[index]
            ),
            "it is cut short; fetch it again",
        ));
    }
    if most != ORIGINAL_RECORDS {
        images.notes.push(format!(
            "{most} in each file, where the original has {ORIGINAL_RECORDS}"
        ));
    }
    Ok(())
}

fn append(path: &Path, images: &mut Images) -> Result<()> {
    let failed = |error| Error::io(path, "read it", &error);
    let wrong =
        |problem: String, hint: &str| Err(Error::input(path.display().to_string(), problem, hint));
    let most = MAX_RECORDS * RECORD;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if let Some(error) = other_kind(
        &path.display().to_string(),
        &bytes[..bytes.len().min(START)],
        Expected::Cifar10,
    ) {
        return Err(error);
    }
    if bytes.is_empty() || bytes.len() > most || !bytes.len().is_multiple_of(RECORD) {
        return wrong(
            format!(
                "its {} bytes are no whole number of records of {RECORD}",
                bytes.len()
            ),
            "fetch CIFAR-10's binary version again",
        );
    }
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        if usize::from(record[0]) >= CLASSES {
            return wrong(
                format!(
                    "record {index} (byte {}) has the label {}",
                    index * RECORD,
                    record[0]
                ),
                "use CIFAR-10's binary version; its labels are 0 to 9",
            );
        }
        images.labels.push(record[0]);
        images.pixels.extend_from_slice(&record[1..]);
        images.count += 1;
    }
    Ok(())
}
