//! `events.jsonl`: what happened, one JSON object a line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::{Error, Result};

/// Something worth telling: the first non-finite value, a dead unit, a spike, a GAN out of balance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The training step, counted from 0.
    pub step: u64,
    /// What it is, in one word: `nonfinite`, `dead`, `spike`, `discriminator_saturated`, `diversity_collapse`.
    pub kind: String,
    /// The layer or parameter, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The unit in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<u64>,
    /// Numbers by their names. Non-finite ones stand in the file as "NaN", "inf" and "-inf".
    #[serde(default, with = "figures")]
    pub figures: BTreeMap<String, f64>,
    /// The samples of the step's batch, by their numbers in the data set, where the event may be theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<u32>,
}

/// JSON has no non-finite numbers: they go as text.
mod figures {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Figure {
        Number(f64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(
        figures: &BTreeMap<String, f64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(figures.iter().map(|(name, &value)| {
            let figure = if value.is_finite() {
                Figure::Number(value)
            } else {
                Figure::Text(value.to_string())
            };
            (name, figure)
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        BTreeMap::<String, Figure>::deserialize(from)?
            .into_iter()
            .map(|(name, figure)| match figure {
                Figure::Number(value) => Ok((name, value)),
                Figure::Text(text) => match text.parse() {
                    Ok(value) => Ok((name, value)),
                    Err(_) => Err(D::Error::custom(format!("'{text}' is no number"))),
                },
            })
            .collect()
    }
}

impl Event {
    pub(super) fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("plain data");
        line.push('\n');
        line
    }
}

/// All events of a file. A last line without its end was being written when the run was killed, and is left out.
pub(super) fn read_events(path: &Path) -> Result<Vec<Event>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = files::read_bounded(path, 256 << 20)?;
    let mut events = Vec::new();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        let event = serde_json::from_slice(line).map_err(|error| {
            Error::input(
                format!("{}, line {}", path.display(), index + 1),
                error.to_string(),
                "restore the file from a copy, or remove the line",
            )
        })?;
        events.push(event);
    }
    Ok(events)
}
