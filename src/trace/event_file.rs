//! `events.jsonl`: one JSON object a line.
//!
//! A line carries the keys of two versions: `severity`, `subject`, `since` and `statistics` of this one, and `layer`,
//! `unit` and `figures` of the first one with the values that they always had. Lines of the first version are read too.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::event::{Event, EventKind, Severity, Subject};
use crate::files;
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// The most bytes of the file.
const MAX_BYTES: u64 = 256 << 20;
/// Where the first version keeps [`Event::since`] of kinds that last: among the figures.
const SINCE: &str = "since_step";

/// A line as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EventRecord {
    step: u64,
    kind: String,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<SubjectRecord>,
    #[serde(default)]
    since: Option<u64>,
    #[serde(default, with = "optional_numbers")]
    statistics: Option<BTreeMap<String, f64>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    samples: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<u64>,
    #[serde(default, with = "numbers")]
    figures: BTreeMap<String, f64>,
}

/// A subject as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum SubjectRecord {
    Tensor {
        tensor: String,
        quantity: TensorKind,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        units: Vec<usize>,
    },
    Scalar {
        scalar: String,
    },
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        EventRecord::from(self.clone()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        EventRecord::deserialize(from).map(Self::from)
    }
}

impl From<Event> for EventRecord {
    fn from(event: Event) -> Self {
        let (layer, unit) = first_version_subject(&event.kind, &event.subject);
        let mut figures = event.statistics.clone();
        if matches!(
            event.kind,
            EventKind::DiscriminatorSaturated | EventKind::DiversityCollapse
        ) {
            figures.insert(SINCE.to_owned(), event.since as f64);
        }
        Self {
            step: event.step,
            kind: event.kind.name().to_owned(),
            severity: Some(event.severity),
            subject: match event.subject {
                Subject::Unit { tensor, kind, unit } => Some(SubjectRecord::Tensor {
                    tensor,
                    quantity: kind,
                    units: vec![unit],
                }),
                Subject::Units {
                    tensor,
                    kind,
                    units,
                } => Some(SubjectRecord::Tensor {
                    tensor,
                    quantity: kind,
                    units,
                }),
                Subject::Tensor { tensor, kind } => Some(SubjectRecord::Tensor {
                    tensor,
                    quantity: kind,
                    units: Vec::new(),
                }),
                Subject::Scalar(scalar) => Some(SubjectRecord::Scalar { scalar }),
                Subject::Run => None,
            },
            since: Some(event.since),
            statistics: Some(event.statistics),
            samples: event.samples,
            layer,
            unit,
            figures,
        }
    }
}

impl From<EventRecord> for Event {
    fn from(record: EventRecord) -> Self {
        let kind = EventKind::from(record.kind.as_str());
        let mut figures = record.figures;
        let since_figure = figures.remove(SINCE).map(|since| since as u64);
        Self {
            step: record.step,
            severity: record.severity.unwrap_or_else(|| kind.severity()),
            subject: match record.subject {
                Some(SubjectRecord::Tensor {
                    tensor,
                    quantity,
                    units,
                }) => Subject::of_units(tensor, quantity, units),
                Some(SubjectRecord::Scalar { scalar }) => Subject::Scalar(scalar),
                None => subject_of_first_version(&kind, record.layer, record.unit),
            },
            kind,
            since: record.since.or(since_figure).unwrap_or(record.step),
            statistics: record.statistics.unwrap_or(figures),
            samples: record.samples,
        }
    }
}

/// The keys `layer` and `unit` of the first version. Only its first non-finite value said which of a tensor's values
/// are meant, behind the tensor's name.
fn first_version_subject(kind: &EventKind, subject: &Subject) -> (Option<String>, Option<u64>) {
    let layer = |tensor: &str, values: TensorKind| match kind {
        EventKind::Nonfinite => format!("{tensor} {}", values.name()),
        _ => tensor.to_owned(),
    };
    match subject {
        Subject::Unit { tensor, kind, unit } => (Some(layer(tensor, *kind)), Some(*unit as u64)),
        Subject::Units { tensor, kind, .. } | Subject::Tensor { tensor, kind } => {
            (Some(layer(tensor, *kind)), None)
        }
        Subject::Scalar(name) => (Some(name.clone()), None),
        Subject::Run => (None, None),
    }
}

fn subject_of_first_version(kind: &EventKind, layer: Option<String>, unit: Option<u64>) -> Subject {
    let Some(layer) = layer else {
        return Subject::Run;
    };
    let named = TensorKind::ALL.into_iter().find_map(|values| {
        let tensor = layer.strip_suffix(values.name())?.strip_suffix(' ')?;
        Some((tensor.to_owned(), values))
    });
    match (named, unit) {
        (Some((tensor, values)), Some(unit)) => Subject::unit(tensor, values, unit as usize),
        (Some((tensor, values)), None) => Subject::tensor(tensor, values),
        (None, Some(unit)) => Subject::unit(layer, TensorKind::Activation, unit as usize),
        (None, None) if *kind == EventKind::DiversityCollapse => {
            Subject::tensor(layer, TensorKind::Activation)
        }
        (None, None) => Subject::Scalar(layer),
    }
}

/// JSON has no non-finite numbers: they are written as "NaN", "inf" and "-inf".
mod numbers {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(
        numbers: &BTreeMap<String, f64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(numbers.iter().map(|(name, &value)| {
            let number = if value.is_finite() {
                Number::Finite(value)
            } else {
                Number::Text(value.to_string())
            };
            (name, number)
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        BTreeMap::<String, Number>::deserialize(from)?
            .into_iter()
            .map(|(name, number)| match number {
                Number::Finite(value) => Ok((name, value)),
                Number::Text(text) => match text.parse() {
                    Ok(value) => Ok((name, value)),
                    Err(_) => Err(D::Error::custom(format!("'{text}' is not a number"))),
                },
            })
            .collect()
    }
}

/// As [`numbers`], where the key may be missing.
mod optional_numbers {
    use std::collections::BTreeMap;

    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        numbers: &Option<BTreeMap<String, f64>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match numbers {
            Some(numbers) => super::numbers::serialize(numbers, to),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<BTreeMap<String, f64>>, D::Error> {
        super::numbers::deserialize(from).map(Some)
    }
}

/// The event as a line of the file, with its end.
pub(super) fn line(event: &Event) -> String {
    let mut line = serde_json::to_string(event).expect("plain data");
    line.push('\n');
    line
}

/// All lines of the file, each with its event or what is wrong with it. A last line without its end was being written
/// when the run was killed, and is left out.
pub(super) fn read_lines(path: &Path) -> Result<Vec<(Vec<u8>, Result<Event>)>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = files::read_bounded(path, MAX_BYTES)?;
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let whole = lines.filter(|line| line.ends_with(b"\n"));
    let read = whole.zip(1..).map(|(line, number): (&[u8], usize)| {
        let event = serde_json::from_slice(line).map_err(|error| {
            Error::file(
                format!("{}, line {number}", path.display()),
                format!("not a valid event: {}", files::json_problem(&error)),
                "restore the file from a copy, or remove the line",
            )
            .with_source(error)
        });
        (line.to_owned(), event)
    });
    Ok(read.collect())
}

/// All events of the file.
pub(super) fn read_events(path: &Path) -> Result<Vec<Event>> {
    let lines = read_lines(path)?;
    lines.into_iter().map(|(_, event)| event).collect()
}
