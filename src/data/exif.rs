//! The orientation that a camera writes into an image: how its pixels are to be turned before they are shown.

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 1024;

/// Bytes of EXIF in the byte order that their TIFF header names.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
}

impl Tiff<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.is_big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        } as usize)
    }

    /// The orientation in the first directory.
    fn orientation(&self) -> Option<u16> {
        let directory = self.long(4)?;
        let entries = usize::from(self.short(directory)?).min(MAX_ENTRIES);
        let mut tags = (0..entries).map(|entry| directory.checked_add(2 + 12 * entry));
        let entry = tags.find_map(|at| at.filter(|&at| self.short(at) == Some(ORIENTATION)))?;
        self.short(entry + 8)
    }
}

/// The orientation, 1 to 8, that the EXIF block `exif` asks for; 1, upright, where it says nothing or nonsense.
pub(super) fn orientation(exif: &[u8]) -> u8 {
    let bytes = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let is_big_endian = match bytes.get(..4) {
        Some(b"II*\0") => false,
        Some(b"MM\0*") => true,
        _ => return 1,
    };
    let tiff = Tiff {
        bytes,
        is_big_endian,
    };
    match tiff.orientation() {
        Some(orientation @ 1..=8) => orientation as u8,
        _ => 1,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block of EXIF with nothing but an orientation, and an entry before it.
    pub fn block(orientation: u8, is_big_endian: bool) -> Vec<u8> {
        let short = |value: u16| {
            if is_big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let long = |value: u32| {
            if is_big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut bytes = if is_big_endian {
            b"MM\0*".to_vec()
        } else {
            b"II*\0".to_vec()
        };
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, value) in [(0x0100, 7), (ORIENTATION, u16::from(orientation))] {
            bytes.extend(short(tag));
            bytes.extend(short(3));
            bytes.extend(long(1));
            bytes.extend(short(value));
            bytes.extend(short(0));
        }
        bytes.extend(long(0));
        bytes
    }

    #[test]
    fn orientations_are_read_in_both_byte_orders() {
        for is_big_endian in [false, true] {
            for wanted in 1..=8 {
                let block = block(wanted, is_big_endian);
                assert_eq!(orientation(&block), wanted);
                let image = image::metadata::Orientation::from_exif_chunk(&block);
                assert_eq!(image.expect("it has one").to_exif(), wanted);
                assert_eq!(orientation(&[b"Exif\0\0", &block[..]].concat()), wanted);
            }
            assert_eq!(orientation(&block(9, is_big_endian)), 1);
        }
    }

    proptest! {
        #[test]
        fn any_block_has_an_orientation(bytes in prop::collection::vec(any::<u8>(), 0..80), big: bool) {
            let head: &[u8] = if big { b"MM\0*" } else { b"II*\0" };
            prop_assert!((1..=8).contains(&orientation(&[head, &bytes].concat())));
        }
    }
}
