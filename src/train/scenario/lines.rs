//! Where keys stand in a scenario's text, and errors that say so.

use crate::Error;

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
        offset.map(|offset| self.text[..offset].matches('\n').count() + 1)
    }

    /// The last setting on top of the text that has changed a key, or something in it or around it.
    fn setting(&self, path: &[&str]) -> Option<&str> {
        let changes = |setting: &&String| {
            let key = setting.split('=').next().unwrap_or_default();
            key.trim().split('.').zip(path).all(|(a, b)| a == *b)
        };
        self.settings.iter().rev().find(changes).map(String::as_str)
    }

    pub fn error(&self, key: &[&str], problem: &str, mend: &str) -> Error {
        if let Some(setting) = self.setting(key) {
            return Error::usage(format!("--set {setting}"), problem, mend);
        }
        let found = (1..=key.len())
            .rev()
            .find_map(|depth| self.line(&key[..depth]));
        let place = match found {
            Some(line) => format!("{}, line {line}", self.source),
            None => self.source.to_owned(),
        };
        Error::input(place, problem, mend)
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
