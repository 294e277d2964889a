//! Short ways to write a scenario, and what they mean: `"leaky_relu"`, `{ max_pool2d = 2 }`, `optimizer = "adam"`.

use toml::{Table, Value};

/// A variant with settings that can be written without naming them.
#[derive(Debug)]
pub(super) struct ShortForm {
    /// The variant's name.
    pub name: &'static str,
    /// The setting that `{ name = value }` gives.
    pub key: Option<&'static str>,
    /// Whether every setting has a default, so that `"name"` says all.
    pub is_word: bool,
}

const fn form(name: &'static str, key: &'static str) -> ShortForm {
    ShortForm {
        name,
        key: Some(key),
        is_word: false,
    }
}

const fn word(name: &'static str, key: Option<&'static str>) -> ShortForm {
    ShortForm {
        name,
        key,
        is_word: true,
    }
}

/// Short forms of layers.
pub(super) const LAYERS: &[ShortForm] = &[
    form("dense", "units"),
    word("leaky_relu", Some("slope")),
    word("elu", Some("alpha")),
    word("batch_norm", Some("momentum")),
    form("max_pool2d", "kernel"),
    form("avg_pool2d", "kernel"),
    form("upsample", "factor"),
];
/// Short forms of optimizers.
pub(super) const OPTIMIZERS: &[ShortForm] = &[
    word("sgd", Some("lr")),
    word("adam", Some("lr")),
    word("adamw", Some("lr")),
    word("rmsprop", Some("lr")),
];
/// Short forms of schedules.
pub(super) const SCHEDULES: &[ShortForm] = &[word("constant", None), form("cosine", "steps")];

/// The keys of `[model]`, and of the sections in it, that hold lists of layers.
pub(super) const LAYER_LISTS: [&str; 5] =
    ["encoder", "decoder", "layers", "generator", "discriminator"];

/// Layers with one value, and the names under which people write it within a table.
const ONE_VALUE: [(&str, &[&str]); 3] = [
    ("dropout", &["p", "rate", "probability"]),
    ("reshape", &["shape"]),
    ("residual", &["layers"]),
];

/// Replaces every short form in a scenario by what it means. What cannot be understood stays as it is.
pub(super) fn write_out(scenario: &mut Table) {
    if let Some(train) = scenario.get_mut("train").and_then(Value::as_table_mut) {
        for (key, forms) in [
            ("optimizer", OPTIMIZERS),
            ("discriminator_optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
        ] {
            if let Some(value) = train.get_mut(key) {
                lengthen(value, forms);
            }
        }
    }
    if let Some(model) = scenario.get_mut("model").and_then(Value::as_table_mut) {
        write_out_lists(model);
        let second = model.get_mut("second_latent");
        if let Some(second) = second.and_then(Value::as_table_mut) {
            write_out_lists(second);
        }
    }
}

fn write_out_lists(section: &mut Table) {
    for key in LAYER_LISTS {
        if let Some(layers) = section.get_mut(key).and_then(Value::as_array_mut) {
            write_out_layers(layers);
        }
    }
}

fn write_out_layers(layers: &mut [Value]) {
    for layer in layers {
        lengthen(layer, LAYERS);
        let Some((name, value)) = only_entry(layer) else {
            continue;
        };
        let names = ONE_VALUE.iter().find(|(layer, _)| *layer == name);
        if let Some((_, names)) = names
            && let Some((key, inner)) = only_entry(value)
            && names.contains(&key)
        {
            *value = inner.clone();
        }
        if let (true, Some(inner)) = (names.is_some(), value.as_array_mut()) {
            write_out_layers(inner);
        }
        // `{ relu = {} }`: a layer without settings.
        let is_known = names.is_some() || LAYERS.iter().any(|form| form.name == name);
        if !is_known && value.as_table().is_some_and(Table::is_empty) {
            *layer = Value::String(name.to_owned());
        }
    }
}

/// Writes out `"name"` and `{ name = value }`.
fn lengthen(value: &mut Value, forms: &[ShortForm]) {
    let named = |name: &str| forms.iter().find(|form| form.name == name);
    if let Some(name) = value.as_str() {
        if named(name).is_some_and(|form| form.is_word) {
            let name = name.to_owned();
            *value = Table::from_iter([(name, Value::Table(Table::new()))]).into();
        }
    } else if let Some((name, inner)) = only_entry(value)
        && !inner.is_table()
        && let Some(key) = named(name).and_then(|form| form.key)
    {
        *inner = Table::from_iter([(key.to_owned(), inner.clone())]).into();
    }
}

/// The entry of a table that has only one.
fn only_entry(value: &mut Value) -> Option<(&str, &mut Value)> {
    let table = value.as_table_mut().filter(|table| table.len() == 1)?;
    table
        .iter_mut()
        .next()
        .map(|(name, value)| (name.as_str(), value))
}
