//! `KEY=VALUE` settings on top of a scenario, as `--set` takes them.

use toml::{Table, Value};

use super::check::check;
use super::short_forms;
use crate::{Error, InvalidSetting, Result};

/// Keys of `[train]` whose value is a table with one of several keys, such as `optimizer = { adam = { lr = 1e-3 } }`.
const VARIANT_KEYS: [&str; 4] = ["optimizer", "discriminator_optimizer", "schedule", "clip"];
/// Parts of a key at most: more than the format has, and few enough for code that walks through nested sections.
const MAX_KEY_PARTS: usize = 16;
/// What a setting looks like.
const EXAMPLE: &str =
    "write KEY=VALUE with a key and a value of the scenario format, such as train.batch=64";

/// Applies `settings` to a scenario in order. Each is `KEY=VALUE` with a TOML value; what is not TOML, such as a bare word,
/// is taken as a string.
///
/// Only keys and types are checked here, not ranges.
pub(super) fn apply(table: &mut Table, settings: &[String]) -> Result<()> {
    for setting in settings {
        let context = format!("--set {}", setting.replace(['\n', '\r'], " "));
        let refused = |problem: String| Error::usage(&context, problem, EXAMPLE);
        apply_one(table, setting).map_err(refused)?;
        short_forms::write_out(table);
        if let Some(InvalidSetting { key, problem, hint }) = check(table).into_iter().next() {
            return Err(Error::usage(context, format!("{key} {problem}"), hint));
        }
    }
    Ok(())
}

/// Applies one setting, or says what is wrong with it.
fn apply_one(table: &mut Table, setting: &str) -> std::result::Result<(), String> {
    let (key, value) = setting.split_once('=').ok_or("there is no '='")?;
    let parts: Vec<&str> = key.trim().split('.').collect();
    if parts.len() > MAX_KEY_PARTS {
        return Err(format!("the key has {} parts", parts.len()));
    }
    if parts.contains(&"") {
        return Err("a part of the key is empty".to_owned());
    }
    clear_other_variant(table, &parts);
    let (first, rest) = parts.split_first().expect("a split has a part");
    let entry = table
        .entry(*first)
        .or_insert_with(|| Value::Table(Table::new()));
    *value_at(entry, first, rest)? = parse_value(value.trim());
    Ok(())
}

/// The value at `path` below `value`, which stands at `whole`; made where it does not exist.
fn value_at<'v>(
    value: &'v mut Value,
    whole: &str,
    path: &[&str],
) -> std::result::Result<&'v mut Value, String> {
    let Some((part, rest)) = path.split_first() else {
        return Ok(value);
    };
    let here = format!("{whole}.{part}");
    match value {
        Value::Table(table) => {
            let entry = table
                .entry(*part)
                .or_insert_with(|| Value::Table(Table::new()));
            value_at(entry, &here, rest)
        }
        Value::Array(list) => {
            let count = list.len();
            let found = part
                .parse()
                .ok()
                .and_then(|index: usize| list.get_mut(index));
            let entry = found.ok_or_else(|| match count {
                0 => format!("'{whole}' is an empty list"),
                _ => format!(
                    "'{whole}' is a list of {count}, numbered from 0 to {}",
                    count - 1
                ),
            })?;
            // Another layer takes the place of the one there is.
            if let Some(chosen) = rest.first()
                && !matches!(entry, Value::Array(_))
                && !entry
                    .as_table()
                    .is_some_and(|layer| layer.contains_key(*chosen))
            {
                *entry = Value::Table(Table::new());
            }
            value_at(entry, &here, rest)
        }
        _ => Err(format!("'{whole}' is a value, not a section")),
    }
}

fn parse_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Empties a table that holds one of several keys when `parts` chooses another one: `train.optimizer.sgd.lr=0.1`
/// replaces the whole of `optimizer = { adam = ... }`.
fn clear_other_variant(table: &mut Table, parts: &[&str]) {
    if let ["train", key, chosen, ..] = parts
        && VARIANT_KEYS.contains(key)
        && let Some(train) = table.get_mut("train")
        && let Some(value) = train.get_mut(*key)
        && let Some(variants) = value.as_table_mut()
        && !variants.contains_key(*chosen)
    {
        variants.clear();
    }
}
