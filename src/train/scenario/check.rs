//! Everything that is wrong with the keys and types of a scenario, in words of its own.
//!
//! The text is compared with the schema of its types before serde reads it, so that all faults are found at once and
//! each says what would be right.

use serde_json::Value as Schema;
use toml::{Table, Value};

use super::schema::{Expected, LONG_FORMS};
use super::suggestions::Suggestions;
use crate::{ByteSize, InvalidSetting};

/// Characters of a value that a message shows at most.
const SHOWN: usize = 40;

/// Compares a scenario, its short forms written out, with the schema. Whole numbers that are written as floats, such as
/// `1e3`, become integers where integers are needed.
pub(super) fn check(scenario: &mut Table) -> Vec<InvalidSetting> {
    let suggestions = Suggestions::new(&LONG_FORMS, scenario);
    let mut checker = Checker {
        root: &LONG_FORMS,
        suggestions,
        faults: Vec::new(),
    };
    let mut whole = Value::Table(std::mem::take(scenario));
    checker.check(&LONG_FORMS, &mut whole, "");
    if let Value::Table(table) = whole {
        *scenario = table;
    }
    checker.faults
}

struct Checker<'s> {
    root: &'s Schema,
    suggestions: Suggestions<'s>,
    faults: Vec<InvalidSetting>,
}

impl<'s> Checker<'s> {
    fn fault(&mut self, path: &str, problem: impl Into<String>, hint: impl Into<String>) {
        self.faults
            .push(InvalidSetting::new(path, problem.into(), hint.into()));
    }

    /// Compares `value` at `path` with `part` of the schema.
    fn check(&mut self, part: &'s Schema, value: &mut Value, path: &str) {
        let expected = Expected::of(self.root, part);
        match (&expected, &mut *value) {
            (Expected::Section { keys, required }, Value::Table(table)) => {
                self.section(keys, required, table, path);
            }
            (Expected::Variants { words, tables }, Value::String(word)) => {
                self.word(words, tables, word, path);
            }
            (Expected::Variants { words, tables }, Value::Table(table)) => {
                self.variant(words, tables, table, path);
            }
            (Expected::List { items, length }, Value::Array(list)) => {
                let count = list.len() as u64;
                if let Some(length) = length.filter(|length| *length != count) {
                    let problem = format!("has {count} entries, not {length}");
                    self.fault(path, problem, format!("write {length} values"));
                }
                for (index, item) in list.iter_mut().enumerate() {
                    self.check(items, item, &join(path, &index.to_string()));
                }
            }
            (Expected::Integer(max), Value::Float(number)) if is_whole(*number) => {
                let whole = *number as i64;
                *value = Value::Integer(whole);
                self.integer(*max, whole, path);
            }
            (Expected::Integer(max), Value::Integer(whole)) => self.integer(*max, *whole, path),
            (Expected::Size, Value::String(text)) => {
                if text.parse::<ByteSize>().is_err() {
                    let problem = format!("= {} is no size", shown(&Value::String(text.clone())));
                    self.fault(path, problem, "write a size such as \"64 MiB\"");
                }
            }
            (Expected::Size, Value::Integer(whole)) => self.integer(i64::MAX, *whole, path),
            (Expected::Number, Value::Integer(_) | Value::Float(_))
            | (Expected::Boolean, Value::Boolean(_))
            | (Expected::Text, Value::String(_))
            | (Expected::Anything, _) => {}
            (Expected::Either(choices), value) => self.either(choices, value, path),
            (_, value) => self.wrong_type(&expected, value, path),
        }
    }

    fn section(
        &mut self,
        keys: &'s serde_json::Map<String, Schema>,
        required: &[&str],
        table: &mut Table,
        path: &str,
    ) {
        for (key, value) in table.iter_mut() {
            let inner = join(path, key);
            match keys.get(key) {
                Some(part) => self.check(part, value, &inner),
                None => {
                    let known: Vec<&str> = keys.keys().map(String::as_str).collect();
                    let hint = self.suggestions.for_key(path, key, &known);
                    self.fault(&inner, "is no key of a scenario", hint);
                }
            }
        }
        for &key in required.iter().filter(|key| !table.contains_key(**key)) {
            let example = self.example(key, &keys[key]);
            if path.is_empty() {
                self.fault(key, "is missing", format!("add {example}"));
            } else {
                let problem = format!("needs the key '{key}', which is missing");
                self.fault(path, problem, format!("add {example}"));
            }
        }
    }

    /// A line that gives a missing key a value.
    fn example(&self, key: &str, part: &Schema) -> String {
        let value = match (key, Expected::of(self.root, part)) {
            ("data", _) => return "a section [data] with a source, such as \"mnist\"".to_owned(),
            ("model", _) => return "a section [model] with a kind, such as \"vae\"".to_owned(),
            ("name", _) => "\"my-run\"".to_owned(),
            ("units", _) => "400".to_owned(),
            ("kernel", _) => "3".to_owned(),
            ("channels", _) => "16".to_owned(),
            ("lr", _) => "1e-3".to_owned(),
            (_, Expected::Variants { words, .. }) if !words.is_empty() => {
                format!("{:?}", words[0])
            }
            (_, Expected::Number) => "0.5".to_owned(),
            (_, Expected::Integer(_) | Expected::Either(_)) => "2".to_owned(),
            _ => "...".to_owned(),
        };
        format!("{key} = {value}")
    }

    /// A word where a variant is expected.
    fn word(&mut self, words: &[&str], tables: &[(&str, &'s Schema)], word: &str, path: &str) {
        if words.contains(&word) {
            return;
        }
        if let Some((_, part)) = tables.iter().find(|(name, _)| *name == word) {
            let form = self.form(word, part);
            self.fault(
                path,
                format!("= {word:?} needs settings"),
                format!("write {form}"),
            );
            return;
        }
        self.unknown_variant(words, tables, word, path);
    }

    /// `{ dense = { units = 400 } }`: how a variant with settings is written.
    fn form(&self, name: &str, part: &'s Schema) -> String {
        let inner = match Expected::of(self.root, part) {
            Expected::Section { keys, required } => {
                let settings: Vec<String> = required
                    .iter()
                    .map(|key| self.example(key, &keys[*key]))
                    .collect();
                format!("{{ {} }}", settings.join(", "))
            }
            Expected::List { .. } if name == "reshape" => "[1, 28, 28]".to_owned(),
            Expected::List { .. } => "[\"relu\", { dense = { units = 400 } }]".to_owned(),
            _ => "0.5".to_owned(),
        };
        format!("{{ {name} = {inner} }}")
    }

    fn unknown_variant(
        &mut self,
        words: &[&str],
        tables: &[(&str, &'s Schema)],
        name: &str,
        path: &str,
    ) {
        let names: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
        let hint = self.suggestions.for_word(path, name, words, &names);
        let name = shown(&Value::String(name.to_owned()));
        self.fault(path, format!("= {name} is unknown"), hint);
    }

    /// A table where a variant is expected.
    fn variant(
        &mut self,
        words: &[&str],
        tables: &[(&'s str, &'s Schema)],
        table: &mut Table,
        path: &str,
    ) {
        if table.len() != 1 {
            let found: Vec<&str> = table.keys().map(String::as_str).take(4).collect();
            let names: Vec<&str> = tables.iter().map(|(name, _)| *name).take(3).collect();
            let problem = match found[..] {
                [] => "is an empty table".to_owned(),
                _ => format!(
                    "is a table with {} keys ({})",
                    table.len(),
                    found.join(", ")
                ),
            };
            let hint = match names.first() {
                Some(name) => {
                    let form = self.form(name, tables[0].1);
                    format!("write a table with one key, such as {form}")
                }
                None => one_of(words),
            };
            return self.fault(path, problem, hint);
        }
        let (name, value) = table.iter_mut().next().expect("one entry");
        if let Some((_, part)) = tables.iter().find(|(known, _)| known == name) {
            return self.check(part, value, &join(path, name));
        }
        if words.contains(&name.as_str()) {
            let inner = join(path, name);
            return self.fault(&inner, "has no settings", format!("write {name:?}"));
        }
        let name = name.clone();
        self.unknown_variant(words, tables, &name, path);
    }

    fn integer(&mut self, max: i64, whole: i64, path: &str) {
        if whole < 0 {
            self.fault(path, format!("= {whole}"), "use a number of at least 0");
        } else if whole > max {
            self.fault(
                path,
                format!("= {whole}"),
                format!("use a number up to {max}"),
            );
        }
    }

    /// A value that may be one of several things: the first that fits, or else the closest one's faults.
    fn either(&mut self, choices: &[&'s Schema], value: &mut Value, path: &str) {
        let before = self.faults.len();
        let mut fewest: Option<Vec<InvalidSetting>> = None;
        for choice in choices {
            let mut tried = value.clone();
            self.check(choice, &mut tried, path);
            let found = self.faults.split_off(before);
            if found.is_empty() {
                *value = tried;
                return;
            }
            // A list is compared with a list, not with a number.
            let is_close = value.is_array() == (choice["type"] == "array");
            if is_close || fewest.is_none() {
                fewest = Some(found);
            }
        }
        self.faults.extend(fewest.unwrap_or_default());
    }

    fn wrong_type(&mut self, expected: &Expected<'s>, value: &Value, path: &str) {
        let (what, hint) = match expected {
            Expected::Section { .. } => ("a section", "write a table of keys".to_owned()),
            Expected::Variants { words, tables } => match tables.first() {
                Some((name, part)) => (
                    "a name or a table",
                    format!("write a table such as {}", self.form(name, part)),
                ),
                None => ("one of its words", one_of(words)),
            },
            Expected::List { items, .. } => match Expected::of(self.root, items) {
                Expected::Variants { .. } => (
                    "a list of layers",
                    "write a list such as [{ dense = { units = 400 } }, \"relu\"]".to_owned(),
                ),
                _ => ("a list", "write a list such as [1, 2]".to_owned()),
            },
            Expected::Integer(_) => ("a whole number", "write a whole number".to_owned()),
            Expected::Number => ("a number", "write a number".to_owned()),
            Expected::Boolean => ("true or false", "write true or false".to_owned()),
            Expected::Text => ("text", "write it in quotation marks".to_owned()),
            Expected::Size => ("a size", "write a size such as \"64 MiB\"".to_owned()),
            Expected::Either(_) | Expected::Anything => ("a value", "see the format".to_owned()),
        };
        let hint = match (path, value) {
            ("train.clip", Value::Integer(_) | Value::Float(_)) => {
                format!("write {{ norm = {value} }} or {{ value = {value} }}")
            }
            _ => hint,
        };
        let kind = kind(value);
        self.fault(
            path,
            format!("= {} is {kind}, not {what}", shown(value)),
            hint,
        );
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("use one of {}", words.join(", "))
}

fn is_whole(number: f64) -> bool {
    // 2^53: every whole number up to there is a float of its own.
    number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// A value as a message shows it: on one line, of bounded length.
fn shown(value: &Value) -> String {
    let text = value.to_string().replace(['\n', '\r'], " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The path of a key within `path`; a key that is no plain word is quoted and cut short.
fn join(path: &str, key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.len() <= SHOWN && key.chars().all(is_plain) {
        key.to_owned()
    } else {
        format!("{:?}", key.chars().take(SHOWN).collect::<String>())
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
