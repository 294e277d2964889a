//! The images that `run.py` has written: bytes `[count, channels, height, width]` in NumPy's format.

use std::path::Path;

use crate::Failure;

/// A data set.
pub struct Images {
    /// How many.
    pub count: usize,
    /// Bytes of each.
    pub pixels: usize,
    bytes: Vec<u8>,
}

impl Images {
    /// Reads a file.
    ///
    /// # Errors
    /// It is missing, or no such array.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let all = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&all).ok_or_else(|| format!("{}: no array of bytes", path.display()).into())
    }

    fn parse(all: &[u8]) -> Option<Self> {
        if !all.starts_with(b"\x93NUMPY\x01\x00") {
            return None;
        }
        let length = usize::from(u16::from_le_bytes([*all.get(8)?, *all.get(9)?]));
        let header = std::str::from_utf8(all.get(10..10 + length)?).ok()?;
        let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
        let shape: Vec<usize> = shape
            .split(',')
            .map(|size| size.trim().parse())
            .collect::<Result<_, _>>()
            .ok()?;
        let &[count, channels, height, width] = shape.as_slice() else {
            return None;
        };
        let pixels = channels * height * width;
        let bytes = all.get(10 + length..)?.to_vec();
        let is_whole = header.contains("'|u1'") && bytes.len() == count * pixels;
        is_whole.then_some(Self {
            count,
            pixels,
            bytes,
        })
    }

    /// All values in `[0, 1]`.
    pub fn values(&self) -> Vec<f32> {
        self.bytes.iter().map(|&b| f32::from(b) / 255.0).collect()
    }

    /// The order in which they are trainable; steps take batches of it, from the start again after the last whole one.
    pub fn order(&self) -> Vec<u32> {
        (0..self.count)
            .map(|i| (i * 1237 % self.count) as u32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_read_and_a_torn_one_is_not() {
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 1, 2), }\n";
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        file.extend([0, 255, 51, 0]);
        let images = Images::parse(&file).expect("it is whole");
        assert_eq!((images.count, images.pixels), (2, 2));
        assert_eq!(images.values(), [0.0, 1.0, 0.2, 0.0]);
        assert_eq!(images.order(), [0, 1]);
        assert!(Images::parse(&file[..file.len() - 1]).is_none());
    }
}
