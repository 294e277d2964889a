//! Keys in which the scenarios of runs differ.

use serde::Serialize;
use serde_json::Value;

use crate::trace::RunView;

/// A key that is not the same in all scenarios.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingDifference {
    /// The whole key, such as `train.optimizer.adam.lr` or `model.encoder.0.dense.units`.
    pub key: String,
    /// Its value in each run; null where a run does not have the key.
    pub values: Vec<Value>,
}

/// The keys in which the scenarios differ, in the order of the first scenario that has them. A run without a readable
/// scenario is a problem and has no values.
pub(super) fn differences(
    runs: &[RunView],
    problems: &mut Vec<(usize, String)>,
) -> Vec<SettingDifference> {
    let mut tables = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let folder = run.folder().display();
        let missing =
            || format!("{folder}: the run has no scenario; its settings are not compared");
        let parsed = run.scenario().ok_or_else(missing).and_then(|text| {
            let parsed: Result<Value, _> = toml::from_str(text);
            parsed.map_err(|error| {
                let message = error.message();
                format!("{folder}: its scenario cannot be read: {message}; its settings are not compared")
            })
        });
        match parsed {
            Ok(value) => tables.push(Some(flat(&value))),
            Err(problem) => {
                problems.push((number, problem));
                tables.push(None);
            }
        }
    }
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in tables.iter().flatten().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let differs = |values: &[Option<Value>]| {
        let mut known = values.iter().flatten();
        let first = known.next();
        known.any(|value| Some(value) != first)
    };
    let row = |key: &String| {
        let value = |table: &Option<Vec<(String, Value)>>| {
            let of_key = |table: &Vec<(String, Value)>| {
                let found = table.iter().find(|(own, _)| own == key);
                found.map_or(Value::Null, |(_, value)| value.clone())
            };
            table.as_ref().map(of_key)
        };
        (key.clone(), tables.iter().map(value).collect::<Vec<_>>())
    };
    let rows = keys.into_iter().map(row);
    rows.filter(|(_, values)| differs(values))
        .map(|(key, values)| SettingDifference {
            key,
            values: values.into_iter().map(Option::unwrap_or_default).collect(),
        })
        .collect()
}

/// The leaves of a document with their whole keys.
fn flat(value: &Value) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    collect(String::new(), value, &mut leaves);
    leaves
}

fn collect(key: String, value: &Value, leaves: &mut Vec<(String, Value)>) {
    let below = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        }
    };
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (name, value) in table {
                collect(below(name), value, leaves);
            }
        }
        // A list of plain values is one value: [2, 2].
        Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_string()) => {
            for (index, value) in list.iter().enumerate() {
                collect(below(&index.to_string()), value, leaves);
            }
        }
        _ => leaves.push((key, value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_keys_of_their_own() {
        let value: Value =
            toml::from_str("a = 1\n[m]\nl = [{ dense = { units = 3 } }, \"relu\"]\ns = [2, 2]")
                .expect("valid");
        let keys: Vec<String> = flat(&value).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "m.l.0.dense.units", "m.l.1", "m.s"]);
    }
}
