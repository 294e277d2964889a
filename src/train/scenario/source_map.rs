//! Where keys stand in a scenario's text, and errors that say so.

use super::FORMAT_HINT;
use crate::{Error, ErrorKind, InvalidSetting};

/// A scenario's text, its file and the settings made on top of it, kept so that later errors can name a line.
///
/// It is not part of what a scenario says: two scenarios that say the same are equal, wherever they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceMap {
    text: String,
    /// The file or the built-in scenario, as messages name it.
    name: String,
    /// What was set on top of the text, as `KEY=VALUE`.
    settings: Vec<String>,
}

/// Characters of a faulty line that a message shows.
const SHOWN: usize = 60;

impl PartialEq for SourceMap {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl SourceMap {
    /// The map of `text`, which messages call `name`.
    pub fn new(text: &str, name: &str) -> Self {
        Self {
            text: text.to_owned(),
            name: name.to_owned(),
            settings: Vec::new(),
        }
    }

    /// The same text with more settings on top.
    pub fn with_settings(mut self, settings: &[String]) -> Self {
        self.settings.extend_from_slice(settings);
        self
    }

    /// The error for one or more settings that cannot work: the first one, which carries the others.
    pub fn errors(&self, faults: Vec<InvalidSetting>) -> Error {
        let mut errors: Vec<(Option<usize>, Error)> = faults
            .iter()
            .map(|invalid| (self.line_of(&invalid.key), self.error(invalid)))
            .collect();
        errors.sort_by_key(|(line, _)| line.unwrap_or(usize::MAX));
        let mut errors = errors.into_iter().map(|(_, error)| error);
        let first = errors.next().expect("there is a fault");
        first.with_further(errors)
    }

    /// The line of a key, or of the closest section around it.
    fn line_of(&self, key: &str) -> Option<usize> {
        let path: Vec<&str> = key.split('.').collect();
        (1..=path.len())
            .rev()
            .find_map(|depth| self.line_of_key(&path[..depth]))
    }

    /// The error for a setting that cannot work, with the line or the `--set` option that asks for it.
    fn error(&self, invalid: &InvalidSetting) -> Error {
        let path: Vec<&str> = invalid.key.split('.').collect();
        if let Some(setting) = self.setting(&path) {
            let context = format!("--set {setting}");
            return Error::usage(context, invalid.to_string(), invalid.hint.clone());
        }
        Error::new(
            ErrorKind::InvalidSetting,
            self.context(self.line_of(&invalid.key)),
            invalid.to_string(),
            invalid.hint.clone(),
        )
    }

    /// The error for text that is not TOML, as one sentence with its line.
    pub fn syntax_error(&self, error: &toml::de::Error) -> Error {
        let message = error.message().replace('\n', ", ");
        let (problem, hint) = match ["escape", "unicode value"]
            .iter()
            .any(|word| message.contains(word))
        {
            true => (
                "a backslash in double quotes begins an escape such as \\n".to_owned(),
                "write a path with backslashes in single quotes: path = 'C:\\data'",
            ),
            false => (format!("not valid TOML: {message}"), FORMAT_HINT),
        };
        let line = error.span().map(|span| self.line_at(span.start));
        let mut context = self.context(line);
        let written = line.and_then(|line| self.text.lines().nth(line - 1));
        if let Some(written) = written.map(str::trim).filter(|text| !text.is_empty()) {
            let shown: String = written.chars().take(SHOWN).collect();
            context.push_str(&format!(" at `{shown}`"));
        }
        Error::file(context, problem, hint).with_source(error.clone())
    }

    /// An error about `layer NAME ...` or `model.KEY`, preceded by the line that asks for it; any other error as it is.
    pub fn with_span(&self, error: Error) -> Error {
        let context = error.context();
        let name = match context.strip_prefix("layer ") {
            Some(layer) => layer.split(' ').next().unwrap_or_default(),
            None => context.strip_prefix("model.").unwrap_or_default(),
        };
        let mut parts = name.split('.');
        // The heads of a VAE have no lines of their own.
        let path = match parts.next().unwrap_or_default() {
            "mu" | "logvar" | "log_variance" | "z" => vec!["model", "latent"],
            "second_latent" => match parts.next() {
                Some(list @ ("encoder" | "decoder")) => vec!["model", "second_latent", list],
                _ => vec!["model", "second_latent", "units"],
            },
            key => vec!["model", key],
        };
        if let Some(setting) = self.setting(&path) {
            return error.within(&format!("--set {setting}"));
        }
        let indices: Vec<usize> = parts.map_while(|part| part.parse().ok()).collect();
        match self.line_of_layer(&path, &indices) {
            Some(line) => error.within(&self.context(Some(line))),
            None => error,
        }
    }

    fn context(&self, line: Option<usize>) -> String {
        match line {
            Some(line) => format!("{}, line {line}", self.name),
            None => self.name.clone(),
        }
    }

    /// The line of a key, of an entry of a list, or of the closest one around it that is written out.
    fn line_of_key(&self, path: &[&str]) -> Option<usize> {
        let root = toml::de::DeTable::parse(&self.text).ok()?;
        let (first, rest) = path.split_first()?;
        let (key, value) = root.get_ref().get_key_value(*first)?;
        let mut offset = key.span().start;
        let mut value = value.get_ref();
        for part in rest {
            match value {
                toml::de::DeValue::Table(table) => {
                    let (key, inner) = table.get_key_value(*part)?;
                    offset = key.span().start;
                    value = inner.get_ref();
                }
                toml::de::DeValue::Array(list) => {
                    let entry = list.get(part.parse::<usize>().ok()?)?;
                    offset = entry.span().start;
                    value = entry.get_ref();
                }
                _ => break,
            }
        }
        Some(self.line_at(offset))
    }

    /// The line of a layer of the list at `path`. `indices` are those in the layer's name: the first counts layers, the
    /// next those within a residual connection.
    fn line_of_layer(&self, path: &[&str], indices: &[usize]) -> Option<usize> {
        let root = toml::de::DeTable::parse(&self.text).ok()?;
        let (first, rest) = path.split_first()?;
        let (mut key, mut found) = root.get_ref().get_key_value(*first)?;
        for part in rest {
            (key, found) = found.get_ref().as_table()?.get_key_value(*part)?;
        }
        let mut offset = key.span().start;
        let mut value = found.get_ref();
        for &index in indices {
            let Some(layer) = value.as_array().and_then(|layers| layers.get(index)) else {
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
        Some(self.line_at(offset))
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The last setting on top of the text that has changed a key, or something in it or around it.
    fn setting(&self, path: &[&str]) -> Option<&str> {
        let changes = |setting: &&String| {
            let key = setting.split('=').next().unwrap_or_default();
            key.trim().split('.').zip(path).all(|(a, b)| a == *b)
        };
        self.settings.iter().rev().find(changes).map(String::as_str)
    }
}
