//! The IDX format of the MNIST database, gzipped or not.
//!
//! Files are untrusted: sizes of the header are checked before anything is read, and memory grows only with what
//! the file really holds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::Images;
use crate::signature::{self, Expected, other_kind};
use crate::text::listed;
use crate::{Error, Result, files};

const IMAGES: u32 = 0x0000_0803;
const LABELS: u32 = 0x0000_0801;
/// Characters of a list of names in a message.
const LISTED: usize = 100;
/// The most bytes of unpacked data in one file.
const MAX_BYTES: u64 = 2 << 30;

/// The embedded data set: the original MNIST test set, 10,000 gray images of 28 x 28 and their labels (LeCun,
/// Cortes, Burges; CC BY-SA 3.0, see `assets/mnist/README.md`).
///
/// # Errors
/// None in a sound build.
pub fn mnist() -> Result<Images> {
    let images = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/mnist/t10k-images-idx3-ubyte.gz"
    ));
    let labels = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/mnist/t10k-labels-idx1-ubyte.gz"
    ));
    let file = "embedded MNIST";
    let (sizes, pixels) = read(file, &images[..], IMAGES)?;
    let (_, labels) = read(file, &labels[..], LABELS)?;
    assemble("mnist", file, &sizes, pixels, labels)
}

/// Reads a directory of IDX files with MNIST's names: `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` for
/// the split `train`, the same with `t10k` for `test`; also as `train-images.idx3-ubyte`, each with or without
/// `.gz`. A missing file of labels leaves the images without labels.
///
/// # Errors
/// A split of another name, no file of images, and files that are not IDX, cut short, too long or at odds with
/// each other; the message names the file and the byte.
pub fn idx_directory(path: &Path, split: &str) -> Result<Images> {
    let prefix = match split {
        "train" => "train",
        "test" => "t10k",
        _ => {
            return Err(Error::input(
                format!("split '{split}'"),
                "IDX files come in two splits",
                "write \"train\" or \"test\"",
            ));
        }
    };
    let file = path.display().to_string();
    if !path.is_dir() {
        return Err(Error::file(
            file,
            "it is not a directory",
            "name the directory that holds the IDX files",
        ));
    }
    let Some(images) = find(path, prefix, "images", 3) else {
        return Err(missing(path, prefix)?);
    };
    let (sizes, pixels) = read_file(&images, IMAGES)?;
    let (labels_file, labels) = match find(path, prefix, "labels", 1) {
        Some(labels) => (labels.display().to_string(), read_file(&labels, LABELS)?.1),
        None => (file, Vec::new()),
    };
    let name = path.file_name().map_or_else(
        || "idx".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let set = assemble(&name, &labels_file, &sizes, pixels, labels)?;
    set.check_range(&images)?;
    Ok(set)
}

/// The error about a directory without its file of images: it says what is there.
fn missing(path: &Path, prefix: &str) -> Result<Error> {
    let names = files::names(path)?;
    let there = match names.len() {
        0 => "it is empty".to_owned(),
        _ => format!(
            "it holds {}",
            listed(names.iter().map(String::as_str), LISTED)
        ),
    };
    let below = names
        .iter()
        .flat_map(|name| ["", "raw"].map(|inner| path.join(name).join(inner)))
        .find(|folder| find(folder, prefix, "images", 3).is_some());
    let hint = match below {
        Some(folder) => {
            let folder = folder.components().collect::<PathBuf>();
            format!(
                "name the folder that holds it: path = \"{}\"",
                folder.display()
            )
        }
        None => "name the folder with files of these names, and check the split".to_owned(),
    };
    Ok(Error::file(
        path.display().to_string(),
        format!("found no file {prefix}-images-idx3-ubyte, plain or .gz; {there}"),
        hint,
    ))
}

/// The file of that kind under any of its usual names.
fn find(path: &Path, prefix: &str, kind: &str, dimensions: usize) -> Option<PathBuf> {
    ["-", "."]
        .iter()
        .flat_map(|dot| ["", ".gz"].map(|end| (dot, end)))
        .map(|(dot, end)| path.join(format!("{prefix}-{kind}{dot}idx{dimensions}-ubyte{end}")))
        .find(|file| file.is_file())
}

fn assemble(
    name: &str,
    labels_file: &str,
    sizes: &[usize],
    pixels: Vec<u8>,
    labels: Vec<u8>,
) -> Result<Images> {
    let count = sizes[0];
    if !labels.is_empty() && labels.len() != count {
        return Err(Error::file(
            labels_file,
            format!("{} labels for {count} images", labels.len()),
            "put the labels that belong to the images next to them",
        ));
    }
    Ok(Images {
        count,
        shape: [1, sizes[1], sizes[2]],
        pixels,
        classes: labels
            .iter()
            .max()
            .map_or(0, |&label| usize::from(label) + 1),
        labels,
        name: name.to_owned(),
        ..Images::default()
    })
}

fn read_file(path: &Path, magic: u32) -> Result<(Vec<usize>, Vec<u8>)> {
    let file = File::open(path).map_err(|error| Error::io(path, "open it", &error))?;
    read(&path.display().to_string(), BufReader::new(file), magic)
}

/// The sizes and the bytes of an IDX file with this magic number.
fn read(file: &str, mut source: impl BufRead, magic: u32) -> Result<(Vec<usize>, Vec<u8>)> {
    let start = source
        .fill_buf()
        .map_err(|error| Error::io(Path::new(file), "read it", &error))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let file = format!("{file} (unpacked)");
        parse(&file, MultiGzDecoder::new(source), magic)
    } else {
        parse(file, source, magic)
    }
}

/// The error about a file that does not begin with the magic number of its kind.
fn other_magic(file: &str, header: &[u8], found: u32, magic: u32) -> Error {
    if let Some(what) = signature::idx(header) {
        let needed = match magic {
            LABELS => "labels are unsigned bytes in 1 dimension",
            _ => "images are unsigned bytes in 3 dimensions",
        };
        let hint = if [IMAGES, LABELS].contains(&found) {
            "check that the files of images and labels are not exchanged"
        } else {
            "save unsigned bytes, such as array.astype('uint8')"
        };
        return Error::file(file, format!("it is {what}, where {needed}"), hint);
    }
    other_kind(file, header, Expected::Idx).unwrap_or_else(|| {
        Error::file(
            file,
            format!("byte 0 starts with {found:#010x} where IDX has {magic:#010x}"),
            "not an IDX file of this kind; check its name",
        )
    })
}

fn parse(file: &str, mut source: impl Read, magic: u32) -> Result<(Vec<usize>, Vec<u8>)> {
    let fetch = "fetch it again";
    let mut take = |most: u64, at: usize| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        source
            .by_ref()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let at = at + bytes.len();
                let why = match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => "its archive is cut short",
                    std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                        "its archive is damaged"
                    }
                    _ => "the disk does not give it",
                };
                Error::file(file, format!("cannot read on at byte {at}: {why}"), fetch)
            })?;
        Ok(bytes)
    };
    let short = |at: usize, wanted: u64| {
        Error::file(
            file,
            format!("it ends at byte {at} of {wanted}"),
            "it is cut short; fetch it again",
        )
    };
    // The last byte of the magic number is the number of dimensions.
    let dimensions = (magic & 0xff) as usize;
    let header_size = 4 + 4 * dimensions;
    let header = take(header_size as u64, 0)?;
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?))
    };
    if let Some(found) = word(0)
        && found != magic
    {
        let mut start = header.clone();
        start.extend(take(signature::START as u64, 4).unwrap_or_default());
        return Err(other_magic(file, &start, found, magic));
    }
    if header.len() < header_size {
        return Err(short(header.len(), header_size as u64));
    }
    let sizes: Vec<u32> = (1..=dimensions).filter_map(|i| word(4 * i)).collect();
    let length = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)))
        .filter(|length| (1..=MAX_BYTES).contains(length))
        .ok_or_else(|| {
            Error::file(
                file,
                format!("bytes 4 to {header_size} give the sizes {sizes:?}"),
                "use a file that is not empty and unpacks to 2 GiB at most",
            )
        })?;
    // One byte more than there should be shows what trails.
    let body = take(length + 1, header_size)?;
    let whole = header_size as u64 + length;
    match (body.len() as u64).cmp(&length) {
        std::cmp::Ordering::Less => Err(short(header_size + body.len(), whole)),
        std::cmp::Ordering::Greater => Err(Error::file(
            file,
            format!("the file continues after byte {whole}, where its header says it ends"),
            fetch,
        )),
        std::cmp::Ordering::Equal => Ok((sizes.iter().map(|&size| size as usize).collect(), body)),
    }
}
