//! NumPy arrays. A file that is read is untrusted: no memory is allocated for what its header promises before the file is
//! known to hold it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, NpyHeader, Order, TypeChar, WriterBuilder as _};

use crate::{Error, Result, files};

/// The most bytes of a header; that of two plain dimensions takes 128.
const MAX_HEADER: usize = 4096;

/// An array whose header was read.
pub(crate) struct Array {
    path: PathBuf,
    header: NpyHeader,
    /// Stands at the data.
    reader: BufReader<File>,
    /// Bytes that the file has for it.
    data_size: u64,
}

impl Array {
    /// Reads and checks the header.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, size) = files::open(path)?;
        let mut reader = BufReader::new(file);
        let (header, data_size) = header(&mut reader, size)
            .map_err(|error| broken(path, format!("not a valid NumPy array: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            reader,
            data_size,
        })
    }

    pub fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    /// The shape in Python's words, without its parentheses.
    pub fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape().iter().map(u64::to_string).collect();
        sizes.join(", ")
    }

    /// Whether the first dimension varies fastest.
    pub fn is_fortran(&self) -> bool {
        self.header.order() == Order::Fortran
    }

    /// What its values are, and the bytes of one.
    pub fn kind(&self) -> Result<(TypeChar, u64)> {
        match self.header.dtype() {
            DType::Plain(kind) => Ok((kind.type_char(), kind.size_field())),
            _ => Err(Error::file(
                self.path.display().to_string(),
                "it holds records",
                "save an array of plain numbers",
            )),
        }
    }

    /// NumPy's name of that.
    pub fn kind_text(&self) -> String {
        match self.header.dtype() {
            DType::Plain(kind) => kind.to_string(),
            other => other.descr(),
        }
    }

    /// All values in the order of the file; `convert` may refuse one.
    pub fn collect<T: npyz::Deserialize, U>(
        self,
        convert: impl Fn(T) -> std::result::Result<U, String>,
    ) -> Result<Vec<U>> {
        let (_, bytes) = self.kind()?;
        let count = self
            .shape()
            .iter()
            .try_fold(bytes, |product, &size| product.checked_mul(size));
        if count.is_none_or(|needed| needed > self.data_size) {
            let sizes = self.shape_text().replace(", ", " x ");
            let problem = format!(
                "it is cut short: {} bytes cannot hold {sizes} values of {bytes} bytes",
                self.data_size
            );
            return Err(broken(&self.path, problem));
        }
        let path = self.path;
        let data = NpyFile::with_header(self.header, self.reader)
            .data::<T>()
            .map_err(|error| broken(&path, format!("its type is not what it says: {error}")))?;
        data.enumerate()
            .map(|(place, value)| {
                let value = value.map_err(|error| Error::io(&path, "read it", &error))?;
                convert(value).map_err(|problem| {
                    Error::file(
                        path.display().to_string(),
                        format!("value {place}: {problem}"),
                        "change it and save the array again",
                    )
                })
            })
            .collect()
    }
}

fn broken(path: &Path, problem: String) -> Error {
    Error::file(
        path.display().to_string(),
        problem,
        "save it again with numpy.save",
    )
}

/// The header, after which `reader` stands at the data, and the bytes of data that follow.
fn header(reader: &mut (impl Read + Seek), size: u64) -> io::Result<(NpyHeader, u64)> {
    let invalid = |problem: &str| io::Error::new(io::ErrorKind::InvalidData, problem);
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(MAX_HEADER as u64)
        .read_to_end(&mut start)?;
    let (length, text) = match start.as_slice() {
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            (u32::from(u16::from_le_bytes([*a, *b])), 10)
        }
        [
            b'\x93',
            b'N',
            b'U',
            b'M',
            b'P',
            b'Y',
            2 | 3,
            _,
            a,
            b,
            c,
            d,
            ..,
        ] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
        _ => return Err(invalid("it does not begin as one")),
    };
    let end = text + length as usize;
    let Some(text) = start.get(text..end) else {
        return Err(invalid("its header is cut short or too long"));
    };
    // The parser behind recurses into brackets and multiplies the dimensions as they come: a header of two plain
    // dimensions nests once, and a product of fewer than 20 digits in all stays within 64 bits.
    let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
    let brackets = count(|byte| b"([{".contains(byte));
    let digits = count(u8::is_ascii_digit);
    if brackets > 8 || digits > 19 {
        return Err(invalid(
            "its header is not that of an array of plain numbers",
        ));
    }
    let header = NpyHeader::from_reader(&start[..end])?;
    reader.seek(SeekFrom::Start(end as u64))?;
    Ok((header, size.saturating_sub(end as u64)))
}

/// Writes line numbers as a NumPy array of int64 `[ids]`; an array that is there is replaced as a whole.
///
/// # Errors
/// The file cannot be written.
pub fn write_ids(path: &Path, ids: &[u32]) -> Result<()> {
    let encode = || {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::<i64>::new()
            .default_dtype()
            .shape(&[ids.len() as u64])
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend(ids.iter().map(|&id| i64::from(id)))?;
        writer.finish()?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|error| Error::io(path, "write it", &error))?;
    files::write_whole(path, &bytes)
}
