//! Sizes of memory as people write them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A number of bytes: `"64 MiB"`, `"2GiB"`, `"1.5 KiB"` or a plain number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "Written", into = "String")]
pub struct ByteSize(pub u64);

#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a size such as \"64 MiB\" or a number of bytes"
)]
enum Written {
    Bytes(u64),
    Text(String),
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text[digits.len()..].to_ascii_lowercase();
        let factor = match &unit[..] {
            "" => Some(1),
            _ => UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&unit))
                .map(|(_, factor)| *factor),
        };
        let number = digits.trim().parse::<f64>().ok();
        let bytes = factor.zip(number).map(|(f, n)| f as f64 * n);
        // 2^53: every whole number up to there is a float of its own.
        match bytes.filter(|bytes| (0.0..=9_007_199_254_740_992.0).contains(bytes)) {
            Some(bytes) => Ok(Self(bytes.round() as u64)),
            None => Err(Error::usage(
                format!("size {text:?}"),
                "not a number of bytes, KiB, MiB or GiB",
                "write it like \"64 MiB\"",
            )),
        }
    }
}

impl TryFrom<Written> for ByteSize {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        match written {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<ByteSize> for String {
    /// Exact: in the largest unit of which it is a whole number.
    fn from(ByteSize(bytes): ByteSize) -> Self {
        let whole = |(_, unit): &&(&str, u64)| bytes.is_multiple_of(*unit);
        let (name, unit) = UNITS.iter().find(whole).expect("bytes are whole");
        format!("{} {name}", bytes / unit)
    }
}

impl fmt::Display for ByteSize {
    /// Rounded to a tenth of the largest unit that it reaches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = |(_, unit): &&(&str, u64)| self.0 >= *unit;
        match UNITS.iter().find(reached) {
            Some((name, unit)) if *unit > 1 => {
                write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64)
            }
            _ => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("64 MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1.5 kib", 1536),
            ("100", 100),
            ("7 B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(String::from(ByteSize(bytes)).parse(), Ok(ByteSize(bytes)));
        }
        for text in ["", "MiB", "-1", "1 MB", "nan", "1e30 GiB", "é", "1 Mié"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        assert_eq!(String::from(ByteSize(3 << 19)), "1536 KiB");
        assert_eq!(ByteSize(3 << 29).to_string(), "1.5 GiB");
        assert_eq!(ByteSize(100).to_string(), "100 B");
    }
}
