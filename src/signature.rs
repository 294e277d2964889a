//! What a file is by its first bytes, so that a message about a file of another kind names the true cause.

use crate::Error;
use crate::text::quoted;

/// Bytes at the start of a file that are looked at.
pub(crate) const START: usize = 4096;

/// What a file was expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A NumPy array.
    Npy,
    /// A table as text.
    Csv,
    /// An IDX file.
    Idx,
    /// A batch of CIFAR-10's binary version.
    Cifar10,
    /// A PNG or JPEG image.
    Image,
    /// A safetensors file.
    Safetensors,
    /// A scenario.
    Toml,
    /// A Parquet file.
    Parquet,
}

/// What a file is: a few words, and what to do where it was expected to be something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// As in "it is ...".
    pub what: String,
    hint: &'static str,
    pickle: bool,
}

/// Magic numbers at the first byte, what has them, and what to do.
const MAGIC: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs",
        GIT_LFS,
        "fetch the file itself with git lfs pull",
    ),
    (
        b"version https://hawser",
        GIT_LFS,
        "fetch the file itself with git lfs pull",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it with gunzip first"),
    (b"BZh", "a bzip2 archive", "unpack it with bunzip2 first"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it with unxz first"),
    (
        b"\x28\xb5\x2f\xfd",
        "a Zstandard archive",
        "unpack it with unzstd first",
    ),
    (
        b"\x04\x22\x4d\x18",
        "an LZ4 archive",
        "unpack it with unlz4 first",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (
        b"\x93NUMPY",
        "a NumPy array",
        "give it a name that ends in .npy, where a NumPy array is taken",
    ),
    (
        b"PAR1",
        "a Parquet file",
        "save its values in the format that is needed",
    ),
    (
        b"ARROW1",
        "an Arrow file",
        "save its values in the format that is needed",
    ),
    (
        b"FEA1",
        "a Feather file",
        "save its values in the format that is needed",
    ),
    (
        b"\x89HDF\r\n",
        "an HDF5 file",
        "read it with h5py and save its values in the format that is needed",
    ),
    (
        b"MATLAB 5.0",
        "a MATLAB file",
        "read it with scipy.io.loadmat and save its values in the format that is needed",
    ),
    (
        b"SQLite format 3",
        "an SQLite database",
        "save its values in the format that is needed",
    ),
    (
        b"GGUF",
        "a GGUF model",
        "save its weights in the format that is needed",
    ),
    (
        b"\x89PNG\r\n",
        "a PNG image",
        "put images into a folder and use source = \"images\"",
    ),
    (
        b"\xff\xd8\xff",
        "a JPEG image",
        "put images into a folder and use source = \"images\"",
    ),
    (b"GIF8", "a GIF image", SAVE_PNG),
    (b"BM", "a BMP image", SAVE_PNG),
    (b"II*\0", "a TIFF image", SAVE_PNG),
    (b"MM\0*", "a TIFF image", SAVE_PNG),
    (b"\0\0\x01\0", "an icon", SAVE_PNG),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", SAVE_PNG),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", SAVE_PNG),
    (b"%PDF", "a PDF document", "name another file"),
    (b"\x7fELF", "a program", "name another file"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
];

const GIT_LFS: &str = "a Git LFS pointer and not the file itself";
const SAVE_PNG: &str = "save it as PNG or JPEG";
const FETCH: &str = "fetch the file again";
const SAVE_FILE: &str = "write it in Python with safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")";

/// What the file is that begins with `start`, where that can be told; `None` for text and for what has no signature.
pub(crate) fn signature(start: &[u8]) -> Option<Signature> {
    let found = |what: &str, hint| {
        Some(Signature {
            what: what.to_owned(),
            hint,
            pickle: false,
        })
    };
    if start.is_empty() {
        return found("empty", FETCH);
    }
    if start.len() >= 16 && start.iter().all(|&byte| byte == 0) {
        return found(
            "nothing but zeros at its start, as an unfinished download is",
            FETCH,
        );
    }
    if start.starts_with(b"PK\x03\x04") {
        return Some(zip(start));
    }
    if is_pickle(start) {
        return Some(Signature {
            pickle: true,
            ..found(
                "a Python pickle",
                "save its values in the format that is needed",
            )?
        });
    }
    if let Some((_, what, hint)) = MAGIC.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return found(what, hint);
    }
    match start {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => {
            return found("a WebP image", SAVE_PNG);
        }
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'a',
            b'v',
            b'i',
            b'f' | b's',
            ..,
        ] => {
            return found("an AVIF image", SAVE_PNG);
        }
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', ..] => {
            return found("a HEIF image", SAVE_PNG);
        }
        _ => {}
    }
    if start.get(257..262) == Some(b"ustar") {
        return found("a tar archive", "unpack it with tar -xf first");
    }
    if let Some(idx) = idx(start) {
        return found(
            &idx,
            "name it as MNIST's files are named and use source = \"idx\"",
        );
    }
    if is_safetensors(start) {
        return found("a safetensors file", "start a model from it with --init");
    }
    markup(start)
}

/// A zip archive, or one of the formats that are zip archives: which one shows in the name of its first file.
fn zip(start: &[u8]) -> Signature {
    let has = |name: &[u8]| start.windows(name.len()).any(|at| at == name);
    let (what, hint, pickle) =
        if has(b"/data.pkl") || has(b"/byteorder") || has(b"/.format_version") {
            ("a PyTorch file (.pt, a Python pickle)", SAVE_FILE, true)
        } else if has(b".npy") {
            (
                "an archive of NumPy arrays (.npz)",
                "save one of its arrays with numpy.save",
                false,
            )
        } else if has(b"[Content_Types].xml") || has(b"xl/") {
            ("a spreadsheet (.xlsx)", "export it as CSV in UTF-8", false)
        } else if has(b"keras") || has(b"metadata.json") {
            (
                "a Keras model",
                "save its weights in the format that is needed",
                false,
            )
        } else {
            ("a zip archive", "unpack it first", false)
        };
    Signature {
        what: what.to_owned(),
        hint,
        pickle,
    }
}

/// Protocols 2 to 5 begin with their number; PyTorch's older files hold such a pickle of a long integer first.
fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, next, ..] if matches!(next, b'}' | b']' | b')' | b'(' | b'c' | b'X' | b'J' | b'K' | b'M' | b'N' | b'G' | b'q' | 0x8a | 0x8c | 0x95))
}

/// The names of IDX's element types.
fn idx_type(code: u8) -> Option<&'static str> {
    Some(match code {
        0x08 => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => return None,
    })
}

/// What an IDX file holds by its magic number, in words.
pub(crate) fn idx(start: &[u8]) -> Option<String> {
    let &[0, 0, code, dimensions @ 1..=8, ..] = start else {
        return None;
    };
    let values = idx_type(code)?;
    let plural = if dimensions == 1 { "" } else { "s" };
    Some(format!(
        "an IDX file of {values} in {dimensions} dimension{plural}"
    ))
}

/// The length of a header, then the header as JSON.
fn is_safetensors(start: &[u8]) -> bool {
    let Some((length, rest)) = start.split_first_chunk::<8>() else {
        return false;
    };
    (2..=100_000_000).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// A page of a web site, which a failed download often leaves.
fn markup(start: &[u8]) -> Option<Signature> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let head: Vec<u8> = text.trim_ascii_start().iter().take(15).copied().collect();
    let head = head.to_ascii_lowercase();
    let is = |tag: &[u8]| head.starts_with(tag);
    let what =
        if is(b"<!doctype html") || is(b"<html") || is(b"<head") || is(b"<body") || is(b"<!--") {
            "an HTML page, such as a server answers instead of a file"
        } else if is(b"<svg") {
            return Some(Signature {
                what: "an SVG drawing".to_owned(),
                hint: SAVE_PNG,
                pickle: false,
            });
        } else if is(b"<?xml") || is(b"<error") {
            "an XML document, such as a server answers instead of a file"
        } else {
            return None;
        };
    Some(Signature {
        what: what.to_owned(),
        hint: FETCH,
        pickle: false,
    })
}

/// The first words of a text file; `None` where the bytes are no text.
fn first_words(start: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    (!text.trim().is_empty() && text.chars().all(is_text)).then(|| {
        quoted(
            text.lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default(),
        )
    })
}

/// The error about a file at `path` that begins with `start` and is something else than `expected`, where that can be
/// told from its first bytes.
pub(crate) fn other_kind(path: &str, start: &[u8], expected: Expected) -> Option<Error> {
    let needed = match expected {
        Expected::Npy => "a NumPy array",
        Expected::Csv => "a CSV table",
        Expected::Idx => "an IDX file",
        Expected::Cifar10 => "a batch of CIFAR-10's binary version",
        Expected::Image => "a PNG or JPEG image",
        Expected::Safetensors => "a safetensors file",
        Expected::Toml => "a scenario",
        Expected::Parquet => "a Parquet file",
    };
    let Some(found) = signature(start) else {
        if matches!(expected, Expected::Csv | Expected::Toml) {
            return None;
        }
        let words = first_words(start)?;
        let problem = format!("it is text that begins with {words}, not {needed}");
        return Some(Error::file(path, problem, FETCH));
    };
    let is_expected = match expected {
        Expected::Npy => found.what == "a NumPy array",
        Expected::Idx => idx(start).is_some(),
        Expected::Safetensors => found.what == "a safetensors file",
        Expected::Parquet => found.what == "a Parquet file",
        Expected::Image => start.starts_with(b"\x89PNG") || start.starts_with(b"\xff\xd8\xff"),
        Expected::Csv | Expected::Cifar10 | Expected::Toml => false,
    };
    // A record of CIFAR-10 begins with its label, which a short magic number may look like.
    let is_doubtful =
        expected == Expected::Cifar10 && start.first().is_some_and(|&label| label < 10);
    // So may the first cell of a table: "BM", "BZh".
    let is_doubtful = is_doubtful
        || expected == Expected::Csv
            && first_words(start).is_some()
            && found.hint != FETCH
            && !found.what.starts_with(GIT_LFS);
    if is_expected || is_doubtful {
        return None;
    }
    let hint = match expected {
        Expected::Safetensors if found.pickle => SAVE_FILE,
        Expected::Safetensors if found.what.ends_with("archive") => {
            "unpack it first, and name the .safetensors file in it"
        }
        Expected::Npy if found.pickle => "load it in Python and write its array with numpy.save",
        Expected::Csv if found.what == "a NumPy array" => "give it a name that ends in .npy",
        Expected::Image if found.what == "a NumPy array" => "use source = \"npy\"",
        _ => found.hint,
    };
    let problem = match found.what.as_str() {
        "empty" => "it is empty".to_owned(),
        what => format!("it is {what}, not {needed}"),
    };
    Some(Error::file(path, problem, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let zip_of = |name: &str| [b"PK\x03\x04", &[0; 26][..], name.as_bytes()].concat();
        let cases: [(&[u8], &str); 16] = [
            (
                b"version https://git-lfs.github.com/spec/v1\noid",
                "Git LFS",
            ),
            (b"\n <!DOCTYPE html><html>", "HTML"),
            (b"\xef\xbb\xbf<HTML>", "HTML"),
            (b"<?xml version=\"1.0\"?><Error>", "XML"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"),
            (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "pickle"),
            (b"\0\0\x0d\x03\0\0\0\x05", "32-bit floats in 3 dimensions"),
            (b"\x93NUMPY\x01\0", "NumPy"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
            (b"\0\0\0\x1cftypavif", "AVIF"),
            (b"\x10\0\0\0\0\0\0\0{\"__metadata__\"", "safetensors"),
            (b"\xff\xfe1\0,\0", "UTF-16"),
            (b"", "empty"),
            (&[0; 40], "zeros"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
        ];
        for (start, part) in cases {
            let found = signature(start).expect(part).what;
            assert!(found.contains(part), "{found}: {part}");
        }
        for (name, part) in [
            ("archive/data.pkl", "PyTorch"),
            ("x.npy", ".npz"),
            ("[Content_Types].xml", "spreadsheet"),
            ("readme.txt", "a zip archive"),
        ] {
            let found = signature(&zip_of(name)).expect(part).what;
            assert!(found.contains(part), "{found}: {part}");
        }
        for plain in [&b"1,2,3\n"[..], b"a,b\n", b"BMI is a word", b"\x07\x01\x02"] {
            assert!(other_kind("f", plain, Expected::Csv).is_none());
        }
        assert!(other_kind("f", b"\x04\x22\x4d\x18", Expected::Cifar10).is_none());
        let text = other_kind("f", b"404: Not Found", Expected::Npy).expect("told");
        assert!(text.problem().contains("'404: Not Found'"), "{text}");
    }
}
