//! What the fuzz targets share: files of made-up bytes, and what has to hold for every reader.
//!
//! Readers take paths, so the bytes go to a file in the folder for temporary files; `fuzz/run` chooses one in memory.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use trainscope::data::Images;
use trainscope::{Error, Result};

/// The most characters of a message: a few lines of a terminal.
const MAX_MESSAGE: usize = 1_500;

/// The folder that this process writes its files to.
pub static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("trainscope-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    folder
});

/// Lets panics unwind that the library catches, those of decoders; libfuzzer would end the process at the first of them.
/// What nobody catches still aborts, and a panic in the library itself is reported wherever it is caught.
pub fn let_decoders_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", |location| location.file());
        let is_of_a_library = file.contains("/registry/") || file.contains("/rustc/");
        if !is_of_a_library {
            report(info);
        }
    }));
}

/// Writes `bytes` to the file of that name in [`FOLDER`].
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.join(name);
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        fs::create_dir_all(folder).expect("a folder can be made");
    }
    fs::write(&path, bytes).expect("a file can be written");
    path
}

/// Both parts of an input, whose first two bytes say how long the first part is.
pub fn halves(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

/// What was read; an error has to be one bounded line without control characters.
pub fn checked<T>(result: Result<T>) -> Option<T> {
    result.inspect_err(check_message).ok()
}

/// Panics where a message is no sentence that a terminal can show.
pub fn check_message(error: &Error) {
    let text = error.to_string();
    assert!(text.chars().count() <= MAX_MESSAGE, "a long message: {text}");
    assert!(
        !text.chars().any(char::is_control),
        "control characters: {text:?}"
    );
}

/// What every source of images promises.
pub fn check_images(images: &Images) {
    assert!(images.count > 0);
    let expected = images.shape.iter().product::<usize>() * images.count;
    assert_eq!(images.pixels.len(), expected);
    assert!(images.labels.is_empty() || images.labels.len() == images.count);
    let most = images.labels.iter().copied().max();
    assert!(most.is_none_or(|label| usize::from(label) < images.classes));
}

/// Gives a segment the checksum that its bytes have, so that changed bytes reach the decoder.
pub fn with_checksum(data: &[u8]) -> Vec<u8> {
    const MARKER: &[u8] = b"crc32:";
    const DIGITS: usize = 8;
    let mut bytes = data.to_vec();
    let marker = bytes.windows(MARKER.len()).rposition(|at| at == MARKER);
    let Some(digits) = marker.map(|at| at + MARKER.len()..at + MARKER.len() + DIGITS) else {
        return bytes;
    };
    if let Some(checksum) = bytes.get_mut(digits.clone()) {
        checksum.fill(b'0');
        let sum = format!("{:08x}", crc32fast::hash(&bytes));
        bytes[digits].copy_from_slice(sum.as_bytes());
    }
    bytes
}

/// A run directory whose part `name` is `bytes`; its `run.json` is sound.
pub fn run_with(name: &str, bytes: &[u8]) -> PathBuf {
    const RUN: &str = "run.json";
    if name != RUN && !FOLDER.join(RUN).is_file() {
        file(RUN, include_bytes!("../../tests/fixtures/earlier/vae/run.json"));
    }
    file(name, bytes);
    FOLDER.to_path_buf()
}

/// Removes what a target has left in a folder.
pub fn emptied(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder can be made");
}

/// As [`check_message`], of an error about a scenario: each of its faults is a line.
pub fn check_scenario_message(error: &Error) {
    for line in error.to_string().lines() {
        assert!(line.chars().count() <= MAX_MESSAGE, "a long message: {line}");
        assert!(
            !line.chars().any(char::is_control),
            "control characters: {line:?}"
        );
    }
}
