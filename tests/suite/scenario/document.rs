//! Reads the tables of `docs/scenarios.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Value;

const HEAD: &str = "| key | type | default | range | meaning |";

/// A key as the document describes it.
#[derive(Debug)]
pub struct Row {
    pub key: String,
    pub kind: Type,
    pub default: Default,
    bounds: Vec<Bound>,
}

/// What a key's value is.
#[derive(Debug)]
pub enum Type {
    /// A TOML type, and no other.
    Plain(&'static str),
    /// An integer or a float.
    Number,
    /// An integer, or a list of two.
    Pair,
    /// A number of bytes or a string such as `64 MiB`.
    Size,
    /// A number or a string.
    Share,
    /// A list of layers.
    Layers,
    /// One of these strings.
    OneOf(BTreeSet<String>),
}

/// What a missing key means.
#[derive(Debug)]
pub enum Default {
    /// It is an error.
    Required,
    /// There is no such thing.
    None,
    /// The same as this value.
    Value(Value),
    /// Something that the document says in words.
    Words,
}

/// One end of a range.
#[derive(Debug)]
struct Bound {
    value: f64,
    /// Whether values above it are the good ones.
    is_lower: bool,
    is_inclusive: bool,
}

impl Type {
    fn parse(text: &str) -> Self {
        match text {
            "integer" => Self::Plain("integer"),
            "boolean" => Self::Plain("boolean"),
            "string" => Self::Plain("string"),
            "table" => Self::Plain("table"),
            "list of integers" | "list of numbers" | "list of strings" => Self::Plain("array"),
            "list of layers" => Self::Layers,
            "number" => Self::Number,
            "pair" => Self::Pair,
            "size" => Self::Size,
            "share or path" => Self::Share,
            words => {
                let words = words.split(", ").map(|word| {
                    let word = word
                        .strip_prefix("`\"")
                        .and_then(|word| word.strip_suffix("\"`"));
                    word.unwrap_or_else(|| panic!("unknown type {words}"))
                        .to_owned()
                });
                Self::OneOf(words.collect())
            }
        }
    }

    /// Whether values of a TOML type are taken.
    pub fn accepts(&self, kind: &str) -> bool {
        match self {
            Self::Plain(own) => *own == kind,
            Self::Number => kind == "number" || kind == "integer",
            Self::Pair => kind == "integer",
            Self::Size => kind == "integer",
            Self::Share => kind != "boolean" && kind != "array" && kind != "table",
            Self::Layers | Self::OneOf(_) => false,
        }
    }
}

impl Default {
    fn parse(text: &str) -> Self {
        let quoted = text
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'));
        match (quoted, text) {
            (Some(value), _) => Self::Value(super::reference::value(value)),
            (None, "required") => Self::Required,
            (None, "none") => Self::None,
            (None, "") => panic!("a default is missing"),
            (None, _) => Self::Words,
        }
    }

    /// The value, if it is one.
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl Bound {
    /// `1 to 64`, `at least 0`, `above 0`, `below 1`, `up to 1`, and two of them with a comma.
    fn parse(text: &str) -> Vec<Self> {
        let number = |text: &str| -> f64 { text.trim().parse().expect(text) };
        let bound = |text, is_lower, is_inclusive| Self {
            value: number(text),
            is_lower,
            is_inclusive,
        };
        let mut bounds = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            if let Some(text) = part.strip_prefix("at least ") {
                bounds.push(bound(text, true, true));
            } else if let Some(text) = part.strip_prefix("above ") {
                bounds.push(bound(text, true, false));
            } else if let Some(text) = part.strip_prefix("up to ") {
                bounds.push(bound(text, false, true));
            } else if let Some(text) = part.strip_prefix("below ") {
                bounds.push(bound(text, false, false));
            } else if let Some((low, high)) = part.split_once(" to ") {
                bounds.push(bound(low, true, true));
                bounds.push(bound(high, false, true));
            } else {
                panic!("unknown range {part}");
            }
        }
        bounds
    }
}

impl Row {
    fn parse(line: &str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [key, kind, default, range, meaning] = cells[..] else {
            panic!("five cells in {line}");
        };
        assert!(!meaning.is_empty(), "{line}");
        Self {
            key: key.trim_matches('`').to_owned(),
            kind: Type::parse(kind),
            default: Default::parse(default),
            bounds: Bound::parse(range),
        }
    }

    /// Values at and just beyond the ends of the range, and whether each is good.
    pub fn probes(&self) -> Vec<(Value, bool)> {
        let is_integer = !matches!(self.kind, Type::Number | Type::Share);
        let mut probes = Vec::new();
        for bound in &self.bounds {
            let inwards = if bound.is_lower { 1.0 } else { -1.0 };
            let step = if is_integer { 1.0 } else { 1e-3 };
            let beyond = match bound.is_inclusive {
                true => bound.value - inwards * step,
                false => bound.value,
            };
            let within = match bound.is_inclusive {
                true => bound.value,
                false => bound.value + inwards * step,
            };
            for (number, accepted) in [(within, true), (beyond, false)] {
                if !is_integer {
                    probes.push((Value::Float(number), accepted));
                } else if number < 9e18 {
                    probes.push((Value::Integer(number as i64), accepted));
                } else if accepted {
                    probes.push((Value::Integer(i64::MAX), accepted));
                }
            }
        }
        probes
    }
}

/// The rows of every table of keys, by the heading above it.
pub fn tables(text: &str) -> BTreeMap<String, Vec<Row>> {
    let mut tables: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut heading = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        if line == HEAD {
            let rows = lines
                .by_ref()
                .skip(1)
                .take_while(|line| line.starts_with('|'));
            let rows: Vec<Row> = rows.map(Row::parse).collect();
            assert!(tables.insert(heading.clone(), rows).is_none(), "{heading}");
        }
    }
    tables
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
