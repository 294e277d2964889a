//! Line numbers as NumPy arrays.

use std::path::Path;

use npyz::WriterBuilder as _;

use crate::{Error, Result, files};

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
