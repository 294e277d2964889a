//! The find box: tensors, units, events and steps by their words.

use std::ops::Range;

use super::export::Wish;
use super::jobs::Contents;
use super::panes::Pane;
use super::selection::Selection;
use crate::series::UnitLine;
use crate::tensor::TensorKind;
use crate::trace::{Event, Subject};

/// Results that are listed.
const MOST: usize = 12;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is, in words.
    pub text: String,
    tensor: Option<(String, TensorKind)>,
    units: Vec<u32>,
    step: Option<u64>,
    /// The steps that all levels are to show.
    range: Option<Range<u64>>,
}

impl Found {
    /// Some steps of a unit.
    pub fn stretch(text: String, unit: UnitLine<'_>, steps: Range<u64>) -> Self {
        Self {
            text,
            tensor: Some((unit.tensor.to_owned(), unit.kind)),
            units: vec![unit.unit as u32],
            step: Some(steps.start),
            range: Some(around(&steps)),
        }
    }

    /// Takes all levels there.
    pub fn select(&self, selection: &mut Selection) {
        if let Some((tensor, kind)) = &self.tensor {
            selection.look_at(tensor, *kind);
            if !self.units.is_empty() {
                selection.units.clone_from(&self.units);
            }
        }
        if self.step.is_some() {
            selection.cursor = self.step;
            selection.step = self.step.filter(|_| !selection.units.is_empty());
            let is_outside =
                |range: &std::ops::Range<u64>| self.step.is_some_and(|step| !range.contains(&step));
            if selection.range.as_ref().is_some_and(is_outside) {
                selection.range = None;
            }
        }
        if self.range.is_some() {
            selection.range.clone_from(&self.range);
        }
    }
}

/// Some steps with as many before and after them.
fn around(steps: &Range<u64>) -> Range<u64> {
    let length = steps.end - steps.start;
    steps.start.saturating_sub(length)..steps.end + length
}

/// Whether Enter was pressed in the find box, and not over a link.
pub(super) fn is_entered(ui: &egui::Ui) -> bool {
    let in_box = |memory: &egui::Memory| memory.focused().is_none_or(|id| id == find_box());
    ui.input(|input| input.key_pressed(egui::Key::Enter)) && ui.memory(in_box)
}

/// The find box.
pub(super) fn find_box() -> egui::Id {
    egui::Id::unique("find")
}

/// Lists what was found, or says that there is none; `true` where one of it was chosen, which is selected then. Enter chooses
/// the first.
pub(super) fn list(
    ui: &mut egui::Ui,
    found: &[Found],
    none: &str,
    selection: &mut Selection,
) -> bool {
    if found.is_empty() {
        ui.weak(none);
    }
    let mut chosen = found.first().filter(|_| is_entered(ui));
    for found in found {
        if ui.link(&found.text).clicked() {
            chosen = Some(found);
        }
    }
    if let Some(chosen) = chosen {
        chosen.select(selection);
    }
    chosen.is_some()
}

/// Lists what can be done with panes whose words the query has, such as `export units svg` or `copy credit`; returns what
/// was chosen.
pub(super) fn wishes(ui: &mut egui::Ui, query: &str) -> Option<(Pane, Wish)> {
    let wished = wished(query);
    let mut chosen = wished.first().copied().filter(|_| is_entered(ui));
    for (pane, wish) in wished {
        if ui.link(wish.text(pane)).clicked() {
            chosen = Some((pane, wish));
        }
    }
    chosen
}

/// What can be done with panes, where the query begins with one of the verbs.
fn wished(query: &str) -> Vec<(Pane, Wish)> {
    let lower = query.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let is_verb = |word: &&str| {
        word.len() > 1 && ["export", "copy"].iter().any(|verb| verb.starts_with(word))
    };
    if !words.first().is_some_and(is_verb) {
        return Vec::new();
    }
    let all = Pane::ALL
        .into_iter()
        .flat_map(|pane| Wish::all().map(move |wish| (pane, wish)));
    let fits = |(pane, wish): &(Pane, Wish)| {
        let text = wish.text(*pane).to_lowercase();
        words
            .iter()
            .all(|word| text.split(' ').any(|other| other.starts_with(word)))
    };
    all.filter(fits).take(MOST).collect()
}

/// The regular expression in the find box: what follows a slash.
pub(super) fn expression_of(query: &str) -> Option<&str> {
    query.trim().strip_prefix('/').map(str::trim)
}

/// What fits all words of `text`: tensors by name and kind, a unit where the last word is a number (`mu 3`), a step
/// (`step 120`, or a number alone), and events by their sentences.
pub(super) fn find(text: &str, contents: &Contents, events: &[Event]) -> Vec<Found> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let Some(last) = words.last() else {
        return Vec::new();
    };
    let number: Option<u64> = last.parse().ok();
    let mut found = Vec::new();
    if let (Some(step), [_] | ["step", _]) = (number, &words[..]) {
        found.push(Found {
            text: format!("Step {step}"),
            tensor: None,
            units: Vec::new(),
            step: Some(step),
            range: None,
        });
    }
    let (names, unit) = match number {
        Some(number) if words.len() > 1 => (&words[..words.len() - 1], u32::try_from(number).ok()),
        _ => (&words[..], None),
    };
    for entry in &contents.entries {
        let name = format!("{} {}", entry.tensor, entry.kind.name());
        let fits = |words: &[&str]| {
            let name = name.to_lowercase();
            words
                .iter()
                .all(|word| *word == "unit" || name.contains(word))
        };
        let tensor = Some((entry.tensor.clone(), entry.kind));
        if let Some(unit) = unit.filter(|unit| (*unit as usize) < entry.units && fits(names)) {
            found.push(Found {
                text: format!("{name}, unit {unit}"),
                tensor,
                units: vec![unit],
                step: None,
                range: None,
            });
        } else if fits(&words) {
            found.push(Found {
                text: name,
                tensor,
                units: Vec::new(),
                step: None,
                range: None,
            });
        }
    }
    for event in events {
        let sentence = event.sentence();
        let all = format!("{} {}", event.kind, sentence).to_lowercase();
        if words.iter().all(|word| all.contains(word)) {
            found.push(Found {
                text: sentence,
                tensor: tensor_of(&event.subject),
                units: event
                    .subject
                    .units()
                    .iter()
                    .map(|unit| *unit as u32)
                    .collect(),
                step: Some(event.step),
                range: None,
            });
        }
    }
    found.truncate(MOST);
    found
}

fn tensor_of(subject: &Subject) -> Option<(String, TensorKind)> {
    match subject {
        Subject::Unit { tensor, kind, .. }
        | Subject::Units { tensor, kind, .. }
        | Subject::Tensor { tensor, kind } => Some((tensor.clone(), *kind)),
        Subject::Scalar(_) | Subject::Run => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{EventKind, ModelDescription, TraceEntry};

    #[test]
    fn panes_are_exported_by_words() {
        use super::super::export::Format;
        assert_eq!(
            wished("export units svg"),
            [(Pane::Units, Wish::Write(Format::Svg))]
        );
        assert_eq!(wished("Copy credit"), [(Pane::Credit, Wish::Copy)]);
        assert_eq!(wished("ex layers").len(), 4);
        assert!(wished("units").is_empty() && wished("encoder").is_empty());
    }

    #[test]
    fn tensors_units_steps_and_events_are_found_by_their_words() {
        let entry = |tensor: &str, kind| TraceEntry {
            tensor: tensor.to_owned(),
            kind,
            units: 20,
            first_row: 0,
        };
        let entries = vec![
            entry("mu", TensorKind::Activation),
            entry("mu", TensorKind::Gradient),
            entry("logvar", TensorKind::Activation),
        ];
        let contents = Contents {
            groups: Vec::new(),
            selection: Selection::first(&entries, &ModelDescription::default(), &[]),
            model: ModelDescription::default(),
            failure: None,
            entries,
        };
        let subject = Subject::unit("logvar", TensorKind::Activation, 4);
        let events = [Event::new(70, EventKind::Nonfinite, subject)];
        let texts = |text: &str| -> Vec<String> {
            let found = find(text, &contents, &events).into_iter();
            found.map(|found| found.text).collect()
        };
        assert_eq!(texts("MU grad"), ["mu gradient"]);
        assert_eq!(texts("mu activation 3"), ["mu activation, unit 3"]);
        assert_eq!(texts("step 12"), ["Step 12"]);
        assert!(texts("mu unit 20").is_empty());
        assert!(texts("  ").is_empty());
        let event = find("first non-finite", &contents, &events);
        let mut selection = contents.selection.clone();
        selection.range = Some(0..50);
        event[0].select(&mut selection);
        assert_eq!(
            (selection.tensor.as_str(), selection.cursor),
            ("logvar", Some(70))
        );
        assert_eq!((&selection.units[..], selection.range), (&[4][..], None));
    }
}
