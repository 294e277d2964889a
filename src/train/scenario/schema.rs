//! The JSON Schema of scenarios, made from the types that hold them: what editors complete and what
//! [`super::check`] compares a file with.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::Scenario;
use super::short_forms::{LAYERS, OPTIMIZERS, SCHEDULES, ShortForm};

/// The schema of a scenario whose short forms are written out.
pub(super) static LONG_FORMS: LazyLock<Value> =
    LazyLock::new(|| schemars::schema_for!(Scenario).to_value());

/// The schema of a scenario as people write it.
pub(super) fn with_short_forms() -> Value {
    let mut schema = LONG_FORMS.clone();
    for (definition, forms) in [
        ("Layer", LAYERS),
        ("Optimizer", OPTIMIZERS),
        ("Schedule", SCHEDULES),
    ] {
        let Some(variants) = schema["$defs"][definition]["oneOf"].as_array_mut() else {
            continue;
        };
        for form in forms {
            variants.extend(shortened(form, variants));
        }
    }
    without_links(&mut schema);
    schema
}

/// Replaces the links in descriptions, which only rustdoc understands, by their words.
fn without_links(schema: &mut Value) {
    match schema {
        Value::Object(entries) => entries.values_mut().for_each(without_links),
        Value::Array(entries) => entries.iter_mut().for_each(without_links),
        Value::String(text) if text.contains("[`") => {
            let plain = text.replace("[`", "`").replace("`]", "`");
            let mut parts = plain.split("`(");
            let mut joined = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                joined.push('`');
                joined.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
            }
            *text = joined;
        }
        _ => {}
    }
}

/// The schemas of a variant's short forms.
fn shortened(form: &ShortForm, variants: &[Value]) -> Vec<Value> {
    let properties = |variant: &Value| variant["properties"][form.name]["properties"].clone();
    let Some(settings) = variants
        .iter()
        .map(properties)
        .find(|settings| !settings.is_null())
    else {
        return Vec::new();
    };
    let mut short = Vec::new();
    if form.is_word {
        let about = format!("{} with its defaults", form.name);
        short.push(json!({ "description": about, "const": form.name }));
    }
    if let Some(key) = form.key {
        let about = format!("{} with this {key}", form.name);
        let inner: Map<String, Value> = [(form.name.to_owned(), settings[key].clone())]
            .into_iter()
            .collect();
        short.push(json!({
            "description": about,
            "type": "object",
            "properties": inner,
            "required": [form.name],
            "additionalProperties": false,
        }));
    }
    short
}

/// What a value has to be, according to a part of the schema.
#[derive(Debug)]
pub(super) enum Expected<'s> {
    /// A table with these keys.
    Section {
        keys: &'s Map<String, Value>,
        required: Vec<&'s str>,
    },
    /// One of these words, or a table whose only key is one of these names.
    Variants {
        words: Vec<&'s str>,
        tables: Vec<(&'s str, &'s Value)>,
    },
    /// A list of such values; of this length, where it is fixed.
    List {
        items: &'s Value,
        length: Option<u64>,
    },
    /// A whole number from 0 to this.
    Integer(i64),
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
    /// A number of bytes, or text such as `"64 MiB"`.
    Size,
    /// Any of these.
    Either(Vec<&'s Value>),
    /// Whatever there is.
    Anything,
}

impl<'s> Expected<'s> {
    /// What `part` of the schema `root` asks for.
    pub fn of(root: &'s Value, part: &'s Value) -> Self {
        if let Some(reference) = part["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return match name {
                "ByteSize" => Self::Size,
                _ => Self::of(root, &root["$defs"][name]),
            };
        }
        if let Some(choices) = part["oneOf"].as_array() {
            return Self::variants(choices);
        }
        if let Some(choices) = part["anyOf"].as_array() {
            let is_value = |choice: &&Value| choice["type"] != "null";
            let choices: Vec<&Value> = choices.iter().filter(is_value).collect();
            return match choices[..] {
                [only] => Self::of(root, only),
                _ => Self::Either(choices),
            };
        }
        if part.get("enum").is_some() || part.get("const").is_some() {
            return Self::variants(std::slice::from_ref(part));
        }
        match type_of(part) {
            "object" => match part["properties"].as_object() {
                Some(keys) => Self::Section {
                    keys,
                    required: texts(&part["required"]),
                },
                None => Self::Anything,
            },
            "array" => Self::List {
                items: &part["items"],
                length: part["maxItems"].as_u64(),
            },
            "integer" => Self::Integer(match part["format"].as_str() {
                Some("uint32") => i64::from(u32::MAX),
                _ => i64::MAX,
            }),
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            _ => Self::Anything,
        }
    }

    fn variants(choices: &'s [Value]) -> Self {
        let (mut words, mut tables) = (Vec::new(), Vec::new());
        for choice in choices {
            words.extend(choice["const"].as_str());
            words.extend(texts(&choice["enum"]));
            if let Some(properties) = choice["properties"].as_object() {
                tables.extend(
                    properties
                        .iter()
                        .map(|(name, inner)| (name.as_str(), inner)),
                );
            }
        }
        Self::Variants { words, tables }
    }
}

/// The type of an optional or required value.
fn type_of(part: &Value) -> &str {
    match &part["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        name => name.as_str().unwrap_or_default(),
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
