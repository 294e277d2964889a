//! Where keys stand in a scenario's text, and errors that say so.

use crate::Error;

/// A scenario's text and where it came from, kept to name lines in later messages. It is no part of what a scenario says:
/// two that say the same are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    text: String,
    source: String,
    settings: Vec<String>,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Origin {
    pub fn of(lines: &Lines<'_>) -> Self {
        Self {
            text: lines.text.to_owned(),
            source: lines.source.to_owned(),
            settings: lines.settings.to_vec(),
        }
    }

    /// An error about `layer NAME ...` or `model.KEY`, with where that is asked for in front; any other as it is.
    pub fn locate(&self, error: Error) -> Error {
        let lines = Lines {
            text: &self.text,
            source: &self.source,
            settings: &self.settings,
        };
        let place = error.context();
        let name = match place.strip_prefix("layer ") {
            Some(layer) => layer.split(' ').next().unwrap_or_default(),
            None => place.strip_prefix("model.").unwrap_or_default(),
        };
        let mut parts = name.split('.');
        let key = match parts.next().unwrap_or_default() {
            // The heads of a VAE have no lines of their own.
            "mu" | "logvar" | "log_variance" | "z" => "latent",
            key => key,
        };
        let path = ["model", key];
        if let Some(setting) = lines.setting(&path) {
            return error.within(&format!("--set {setting}"));
        }
        let places: Vec<usize> = parts.map_while(|part| part.parse().ok()).collect();
        match lines.layer_line(key, &places) {
            Some(line) => error.within(&format!("{}, line {line}", self.source)),
            None => error,
        }
    }
}

/// Where keys stand in a scenario's text.
pub(super) struct Lines<'a> {
    pub text: &'a str,
    pub source: &'a str,
    /// What was set on top, `KEY=VALUE`.
    pub settings: &'a [String],
}

impl Lines<'_> {
    /// The line of a key, or of the closest section around it that is there.
    fn line(&self, path: &[&str]) -> Option<usize> {
        let table = toml::de::DeTable::parse(self.text).ok()?;
        let mut table = table.get_ref();
        let mut offset = None;
        for part in path {
            let (key, value) = table.get_key_value(*part)?;
            offset = Some(key.span().start);
            match value.get_ref() {
                toml::de::DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        offset.map(|offset| self.line_of(offset))
    }

    /// The line of a layer of `[model]`: `places` counts layers, then those within a residual, as layers' names do.
    fn layer_line(&self, section: &str, places: &[usize]) -> Option<usize> {
        let table = toml::de::DeTable::parse(self.text).ok()?;
        let (_, model) = table.get_ref().get_key_value("model")?;
        let (key, layers) = model.get_ref().as_table()?.get_key_value(section)?;
        let mut offset = key.span().start;
        let mut value = layers.get_ref();
        for &place in places {
            let Some(layer) = value.as_array().and_then(|layers| layers.get(place)) else {
                break;
            };
            offset = layer.span().start;
            // Layers of layers are the only value of a table: { residual = [...] }.
            let inner = layer
                .get_ref()
                .as_table()
                .and_then(|table| table.values().next());
            let Some(inner) = inner else {
                break;
            };
            value = inner.get_ref();
        }
        Some(self.line_of(offset))
    }

    fn line_of(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// The last setting on top of the text that has changed a key, or something in it or around it.
    fn setting(&self, path: &[&str]) -> Option<&str> {
        let changes = |setting: &&String| {
            let key = setting.split('=').next().unwrap_or_default();
            key.trim().split('.').zip(path).all(|(a, b)| a == *b)
        };
        self.settings.iter().rev().find(changes).map(String::as_str)
    }

    pub fn error(&self, key: &[&str], problem: &str, hint: &str) -> Error {
        if let Some(setting) = self.setting(key) {
            return Error::usage(format!("--set {setting}"), problem, hint);
        }
        let found = (1..=key.len())
            .rev()
            .find_map(|depth| self.line(&key[..depth]));
        let place = match found {
            Some(line) => format!("{}, line {line}", self.source),
            None => self.source.to_owned(),
        };
        Error::input(place, problem, hint)
    }
}

/// A TOML error as one sentence with its line.
pub(super) fn sentence(error: &toml::de::Error, text: &str, source: &str) -> Error {
    let message = error.message().replace('\n', ", ");
    let place = match error.span() {
        Some(span) => {
            let start = span.start.min(text.len());
            let line = text.as_bytes()[..start]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            let shown = text
                .get(span)
                .filter(|shown| shown.len() <= 40 && !shown.contains('\n'));
            match shown {
                Some(shown) if !shown.is_empty() => format!("{source}, line {line} at `{shown}`"),
                _ => format!("{source}, line {line}"),
            }
        }
        None => source.to_owned(),
    };
    Error::input(
        place,
        message,
        "write what the scenario format in README.md says",
    )
}
