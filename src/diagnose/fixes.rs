//! Changes of a scenario as arguments of `--set`.

use crate::models::Layer;
use crate::nn::Optimizer;
use crate::train::Scenario;

/// Sets the learning rate of an optimizer; `section` is its key in `[train]`.
pub(super) fn learning_rate(section: &str, optimizer: Optimizer, rate: f64) -> String {
    format!("train.{section}.{}.lr={rate:e}", optimizer_name(optimizer))
}

/// The name of an optimizer in a scenario.
pub(super) fn optimizer_name(optimizer: Optimizer) -> &'static str {
    match optimizer {
        Optimizer::Sgd(_) => "sgd",
        Optimizer::Adam(_) => "adam",
        Optimizer::AdamW(_) => "adamw",
        Optimizer::RmsProp(_) => "rmsprop",
    }
}

/// The layers of a section such as `encoder` or `second_latent.encoder`, as the scenario writes them.
fn layers(scenario: &Scenario, section: &str) -> Option<Vec<toml::Value>> {
    let table = toml::Table::try_from(scenario).ok()?;
    let mut keys = section.split('.');
    let found = keys.try_fold(table.get("model")?, |value, key| value.get(key))?;
    found.as_array().cloned()
}

/// Where a layer stands in a scenario: its section and number. Layers within a residual block have no such place.
fn place(layer: &str) -> Option<(&str, usize)> {
    let (section, number) = layer.rsplit_once('.')?;
    Some((section, number.parse().ok()?))
}

/// The layer of a name, as the scenario describes it.
pub(super) fn layer(scenario: &Scenario, name: &str) -> Option<Layer> {
    let (section, number) = place(name)?;
    let layer = layers(scenario, section)?.into_iter().nth(number)?;
    layer.try_into().ok()
}

fn set_layers(section: &str, layers: Vec<toml::Value>) -> String {
    format!("model.{section}={}", toml::Value::Array(layers))
}

/// Replaces the named layers: `change` gets each as the scenario writes it and returns those that take its place.
pub(super) fn replace_layers(
    scenario: &Scenario,
    named: &[String],
    change: impl Fn(&toml::Value) -> Vec<toml::Value>,
) -> Option<Vec<String>> {
    let places: Vec<(&str, usize)> = named
        .iter()
        .map(|name| place(name))
        .collect::<Option<_>>()?;
    let mut sections: Vec<&str> = places.iter().map(|(section, _)| *section).collect();
    sections.dedup();
    let changed = sections.into_iter().map(|section| {
        let old = layers(scenario, section)?;
        let is_named = |number: usize| places.contains(&(section, number));
        let new = old.iter().enumerate().flat_map(|(number, layer)| {
            if is_named(number) {
                change(layer)
            } else {
                vec![layer.clone()]
            }
        });
        Some(set_layers(section, new.collect()))
    });
    changed.collect()
}

/// A layer that a scenario writes as one word.
pub(super) fn word(name: &str) -> toml::Value {
    toml::Value::String(name.to_owned())
}

/// The layer with as many units, or channels, as `width`.
pub(super) fn with_width(layer: &toml::Value, width: i64) -> toml::Value {
    let settings = layer.as_table().and_then(|table| table.values().next());
    let has_channels = settings.is_some_and(|settings| settings.get("channels").is_some());
    let key = if has_channels { "channels" } else { "units" };
    with_key(layer, key, width)
}

/// The layer with one of its keys changed.
pub(super) fn with_key(
    layer: &toml::Value,
    key: &str,
    value: impl Into<toml::Value>,
) -> toml::Value {
    let mut changed = layer.clone();
    let inner = changed
        .as_table_mut()
        .and_then(|table| table.iter_mut().next());
    if let Some((_, toml::Value::Table(settings))) = inner {
        settings.insert(key.to_owned(), value.into());
    }
    changed
}
