//! CIFAR-10 in its binary form (Krizhevsky 2009): records of a label and 3 x 32 x 32 bytes, red, green, blue.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Images;
use crate::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
const RECORD: usize = 1 + 3 * 32 * 32;
/// Records of one file at most; the original ones have 10,000.
const MAX_RECORDS: usize = 1 << 19;

/// Reads `data_batch_1.bin` to `data_batch_5.bin` for the split `train`, `test_batch.bin` for `test`, from a directory or
/// its `cifar-10-batches-bin`. Training files that are not there are left out.
///
/// # Errors
/// A split of another name, no file, a file that is no whole number of records, or a label beyond 9.
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
    let mut images = Images {
        count: 0,
        shape: SHAPE,
        pixels: Vec::new(),
        labels: Vec::new(),
        classes: CLASSES,
        name: "cifar10".to_owned(),
        skipped: Vec::new(),
    };
    for file in files {
        append(&file, &mut images)?;
    }
    Ok(images)
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
