//! An event as a sentence.

use super::event::{Event, EventKind, Subject};
use crate::number::short;
use crate::text::printable;

impl Event {
    /// The event in one plain sentence, with its figures. Names from a file are shown, and not acted on by a terminal.
    pub fn sentence(&self) -> String {
        printable(&self.in_words()).into_owned()
    }

    fn in_words(&self) -> String {
        let Self { step, since, .. } = self;
        let subject = &self.subject;
        let figure = |name: &str| self.statistics.get(name).copied().unwrap_or(f64::NAN);
        match &self.kind {
            EventKind::Nonfinite => {
                format!("The first non-finite value came at step {step} in {subject}.")
            }
            EventKind::DeadUnit => {
                let verb = if subject.units().len() == 1 {
                    "gives"
                } else {
                    "give"
                };
                format!(
                    "{} {verb} nothing but zeros since step {since}.",
                    self.units_in_words()
                )
            }
            EventKind::Revived => format!("{} came back by step {step}.", self.units_in_words()),
            EventKind::Spike => format!(
                "The {subject} spiked to {} at step {step}, where {} was expected.",
                short(figure("loss")),
                short(figure("expected"))
            ),
            EventKind::Explosion => format!(
                "The {subject} rose to {} by step {step}, {} times what it was at the beginning.",
                short(figure("loss")),
                short(figure("times_first"))
            ),
            EventKind::LargeUpdates => format!(
                "At step {step} the update of {} was {} times the size of its weights.",
                tensor(subject),
                short(figure("ratio"))
            ),
            EventKind::TinyUpdates => format!(
                "No update was larger than {} of its weights in the steps {since} to {step}.",
                short(figure("ratio"))
            ),
            EventKind::SaturatedUnits => {
                let verb = if subject.units().len() > 1 {
                    "are"
                } else {
                    "is"
                };
                format!(
                    "{} {verb} at the bounds since step {since}.",
                    self.units_in_words()
                )
            }
            EventKind::VanishingGradient => format!(
                "The gradient of the first weights ({}) is {} times that of the last since step {since}.",
                tensor(subject),
                short(figure("ratio"))
            ),
            EventKind::NegativeLoss => format!(
                "The {subject} fell below zero at step {step}, where it cannot be while the data lie in their range."
            ),
            EventKind::PosteriorCollapse => {
                format!(
                    "No unit of {} varies with the input since step {since}.",
                    tensor(subject)
                )
            }
            EventKind::LogVarianceDrift if self.statistics.contains_key("mean") => {
                let (sinks, it) = if subject.units().len() > 1 {
                    ("sink", "them")
                } else {
                    ("sinks", "it")
                };
                format!(
                    "{} {sinks} and nothing stops {it}: the least value was {} at step {step}, with a mean of {}.",
                    self.units_in_words(),
                    short(figure("value")),
                    short(figure("mean"))
                )
            }
            EventKind::LogVarianceDrift => format!(
                "{} left the range that data ask for at step {step}: {}.",
                self.units_in_words(),
                short(figure("value"))
            ),
            EventKind::UnboundedScore => format!(
                "The scores of {} reached {} at step {step}.",
                tensor(subject),
                short(figure("value"))
            ),
            EventKind::DiscriminatorSaturated => format!(
                "The discriminator tells real and generated images apart with certainty since step {since} (its loss was {} at step {step}).",
                short(figure("loss"))
            ),
            EventKind::DiversityCollapse => format!(
                "The generated images are nearly all alike since step {since}: they vary by {} of what the real ones do ({}).",
                short(figure("share_of_real_variance")),
                tensor(subject)
            ),
            EventKind::Other(name) => match subject {
                Subject::Run => format!("At step {step} there was an event of kind '{name}'."),
                subject => {
                    format!("At step {step} there was an event of kind '{name}' in {subject}.")
                }
            },
        }
    }

    /// Units at the beginning of a sentence: `Unit 3 of encoder.1`, `147 of 400 units of encoder.1`, `147 units of ...`.
    fn units_in_words(&self) -> String {
        match &self.subject {
            Subject::Unit { tensor, unit, .. } => format!("Unit {unit} of {tensor}"),
            Subject::Units { tensor, units, .. } => match self.statistics.get("units") {
                Some(all) => format!("{} of {all} units of {tensor}", units.len()),
                None => format!("{} units of {tensor}", units.len()),
            },
            other => format!("All units of {}", tensor(other)),
        }
    }
}

fn tensor(subject: &Subject) -> String {
    match subject.tensor_name() {
        Some(name) => name.to_owned(),
        None => subject.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorKind;

    #[test]
    fn names_of_strangers_are_shown() {
        let subject = Subject::Tensor {
            tensor: "e\u{7f}ncoder.5".to_owned(),
            kind: TensorKind::Activation,
        };
        let event = Event::new(21, EventKind::DeadUnit, subject);
        assert_eq!(
            event.sentence(),
            r"All units of e\u{7f}ncoder.5 give nothing but zeros since step 21."
        );
    }
}
