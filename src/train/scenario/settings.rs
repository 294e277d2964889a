//! `KEY=VALUE` settings on top of a scenario, as `--set` takes them.

use serde::Deserialize as _;

use super::Scenario;
use crate::{Error, Result};

/// Keys of `[train]` whose value is a table with one of several keys, such as `optimizer = { adam = { lr = 1e-3 } }`.
const VARIANT_KEYS: [&str; 4] = ["optimizer", "discriminator_optimizer", "schedule", "clip"];
/// Parts of a key at most: more than the format has, and few enough for code that walks through nested sections.
const MAX_KEY_PARTS: usize = 16;

/// The scenario that `table` holds once `settings` are applied in order. Each is `KEY=VALUE` with a TOML value; what is
/// not TOML, such as a bare word, is taken as a string.
///
/// Only keys and types are checked here, not ranges.
pub(super) fn apply(mut table: toml::Table, settings: &[String]) -> Result<Scenario> {
    for setting in settings {
        let context = format!("--set {}", setting.replace('\n', " "));
        apply_one(&mut table, setting)
            .and_then(|()| {
                Scenario::deserialize(table.clone())
                    .map_err(|error| error.message().replace('\n', " "))
            })
            .map_err(|problem| {
                let hint = "write KEY=VALUE with a key and a value of the scenario format, \
                            such as train.batch=64";
                Error::usage(context, problem, hint)
            })?;
    }
    Ok(Scenario::deserialize(table).expect("checked after the last setting"))
}

/// Applies one setting, or says what is wrong with it.
fn apply_one(table: &mut toml::Table, setting: &str) -> std::result::Result<(), String> {
    let (key, value) = setting.split_once('=').ok_or("there is no '='")?;
    let value = parse_value(value.trim());
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    if parts.len() > MAX_KEY_PARTS {
        return Err(format!("the key has {} parts", parts.len()));
    }
    clear_other_variant(table, &parts);
    let last = parts.pop().unwrap_or_default();
    let mut section = table;
    for part in parts {
        section = section
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("'{part}' is a value, not a section"))?;
    }
    section.insert(last.to_owned(), value);
    Ok(())
}

fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// Empties a table that holds one of several keys when `parts` chooses another one: `train.optimizer.sgd.lr=0.1`
/// replaces the whole of `optimizer = { adam = ... }`.
fn clear_other_variant(table: &mut toml::Table, parts: &[&str]) {
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
