//! What a person has chosen, which all parts of the window share.

use std::ops::Range;

use crate::report::telling_units;
use crate::tensor::TensorKind;
use crate::trace::{Event, ModelDescription, Statistic, TraceEntry};
use crate::view::{TimeScale, UnitsOf};

/// The tensor, statistic, units and step that are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// The layer or parameter.
    pub tensor: String,
    /// Which of its values.
    pub kind: TensorKind,
    /// Which statistic of those values.
    pub statistic: Statistic,
    /// Units that were pinned.
    pub units: Vec<u32>,
    /// The sample of the probe batch that was pinned.
    pub sample: Option<u32>,
    /// The training step at which they were pinned.
    pub step: Option<u64>,
    /// The earlier step that is looked at; the run as it is now where there is none.
    pub cursor: Option<u64>,
    /// The steps that all levels show; all of them where there is none.
    pub range: Option<Range<u64>>,
    /// How steps become columns.
    pub time: TimeScale,
}

impl Selection {
    /// The units that tell most, as the report shows them first; else the first tensor.
    pub fn first(entries: &[TraceEntry], model: &ModelDescription, events: &[Event]) -> Self {
        let telling = telling_units(model, entries, events).into_iter().next();
        let units = telling.unwrap_or_else(|| {
            let entry = entries.first();
            UnitsOf {
                tensor: entry.map_or_else(String::new, |entry| entry.tensor.clone()),
                kind: entry.map_or(TensorKind::Activation, |entry| entry.kind),
                statistic: Statistic::Mean,
            }
        });
        Self {
            tensor: units.tensor,
            kind: units.kind,
            statistic: units.statistic,
            units: Vec::new(),
            sample: None,
            step: None,
            cursor: None,
            range: None,
            time: TimeScale::default(),
        }
    }

    /// Looks at another tensor. Units of the one before are others.
    pub fn look_at(&mut self, tensor: &str, kind: TensorKind) {
        if self.tensor != tensor || self.kind != kind {
            tensor.clone_into(&mut self.tensor);
            self.kind = kind;
            self.clear_units();
        }
    }

    /// The series that are looked at.
    pub fn series(&self) -> UnitsOf {
        UnitsOf {
            tensor: self.tensor.clone(),
            kind: self.kind,
            statistic: self.statistic,
        }
    }

    /// Whether each sample has values of its own, as parameters do not.
    pub fn has_samples(&self) -> bool {
        matches!(self.kind, TensorKind::Activation | TensorKind::Gradient)
    }

    /// Pins a unit at a step, or lets it go where it is pinned already.
    pub fn toggle(&mut self, unit: u32, step: u64) {
        if let Some(index) = self.units.iter().position(|pinned| *pinned == unit) {
            self.units.remove(index);
        } else {
            self.units.push(unit);
        }
        self.step = (!self.units.is_empty()).then_some(step);
    }

    /// Pins a value of the probe batch by its sample and unit, or lets both go where they are pinned already.
    pub fn toggle_value(&mut self, sample: u32, unit: u32, step: u64) {
        let is_pinned = self.units.contains(&unit);
        if is_pinned && self.sample.is_none_or(|pinned| pinned == sample) {
            self.toggle(unit, step);
            self.sample = None;
            return;
        }
        if !is_pinned {
            self.toggle(unit, step);
        }
        self.sample = Some(sample);
    }

    /// Pins a sample of the probe batch, or lets it go where it is pinned already.
    pub fn toggle_sample(&mut self, sample: u32) {
        self.sample = Some(sample).filter(|_| self.sample != Some(sample));
    }

    /// Lets all units go: those of another tensor are other units.
    pub fn clear_units(&mut self) {
        self.units.clear();
        self.step = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_selection_is_a_recorded_tensor_and_units_toggle() {
        let entry = TraceEntry {
            tensor: "encoder.0".to_owned(),
            kind: TensorKind::Gradient,
            units: 4,
            first_row: 0,
        };
        let mut selection = Selection::first(&[entry], &ModelDescription::default(), &[]);
        assert_eq!(selection.series().tensor, "encoder.0");
        assert_eq!(selection.kind, TensorKind::Gradient);
        selection.toggle(3, 120);
        selection.toggle(1, 140);
        assert_eq!(
            (&selection.units[..], selection.step),
            (&[3, 1][..], Some(140))
        );
        selection.toggle(3, 160);
        selection.toggle(1, 180);
        assert_eq!((&selection.units[..], selection.step), (&[][..], None));
        selection.toggle_value(7, 2, 200);
        assert_eq!(
            (&selection.units[..], selection.sample),
            (&[2][..], Some(7))
        );
        selection.toggle_value(9, 2, 200);
        assert_eq!(
            (&selection.units[..], selection.sample),
            (&[2][..], Some(9))
        );
        selection.toggle_sample(4);
        selection.toggle_value(4, 2, 200);
        assert_eq!((&selection.units[..], selection.sample), (&[][..], None));
        assert_eq!(
            Selection::first(&[], &ModelDescription::default(), &[]).tensor,
            ""
        );
    }
}
