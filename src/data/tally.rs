//! What was read of a data set: counts, range and digest of its images.

use sha2::{Digest as _, Sha256};

use super::Images;
use crate::trace::{ClassTally, DataTally};

/// The largest pixel value of a data set that is remarked on: an eighth of the range.
const FAINT: u8 = 31;

impl Images {
    /// What was read and what was left out. It hashes all pixels.
    pub fn tally(&self) -> DataTally {
        let range = [
            self.pixels.iter().copied().min().unwrap_or(0),
            self.pixels.iter().copied().max().unwrap_or(0),
        ];
        let mut notes = self.notes.clone();
        if range[0] == range[1] {
            notes.push(format!("every value is {} of 255", range[0]));
        } else if range[1] <= FAINT {
            notes.push(format!("no value is above {} of 255", range[1]));
        }
        notes.extend(self.label_gaps());
        DataTally {
            origin: self.origin.clone(),
            count: self.count,
            shape: self.shape,
            range,
            digest: self.digest(),
            classes: self.class_counts(),
            left_out: self.left_out.clone(),
            notes,
        }
    }

    /// SHA-256, in hexadecimal, of count, shape, pixels and labels.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for size in [self.count].iter().chain(&self.shape) {
            hash.update((*size as u64).to_le_bytes());
        }
        hash.update(&self.pixels);
        hash.update((self.labels.len() as u64).to_le_bytes());
        hash.update(&self.labels);
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The classes that occur, in the order of their labels.
    pub(crate) fn class_counts(&self) -> Vec<ClassTally> {
        let mut counts = [0; 256];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        let present = (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0);
        present
            .map(|(label, count)| ClassTally {
                name: match self.class_names.get(usize::from(label)) {
                    Some(name) => name.clone(),
                    None => label.to_string(),
                },
                label,
                count,
            })
            .collect()
    }

    /// What is odd about the labels where some below the largest never occur: they count from 1, or one of them is a slip.
    pub(crate) fn label_gaps(&self) -> Option<String> {
        let present = self.class_counts();
        let (first, last) = (present.first()?, present.last()?);
        let missing = usize::from(last.label) + 1 - present.len();
        if missing == 0 {
            return None;
        }
        if missing == usize::from(first.label) {
            let below = match first.label {
                1 => "no label is 0".to_owned(),
                label => format!("no label is below {label}"),
            };
            return Some(format!("{below}, though labels count from 0"));
        }
        let before = present.iter().rev().nth(1).map_or(0, |class| class.label);
        if last.label - before > 1 && last.count * 100 <= self.count {
            let image = self.labels.iter().position(|&label| label == last.label)?;
            return Some(format!(
                "the label {} occurs {} ({}), the next below it is {before}",
                last.label,
                if last.count == 1 {
                    "once".to_owned()
                } else {
                    format!("{} times", last.count)
                },
                if last.count == 1 {
                    format!("image {image}")
                } else {
                    format!("first at image {image}")
                },
            ));
        }
        let absent =
            (0..last.label).find(|label| present.iter().all(|class| class.label != *label))?;
        Some(match missing {
            1 => format!("the label {absent} never occurs"),
            _ => format!(
                "{missing} labels below {} never occur, the first of them {absent}",
                last.label
            ),
        })
    }
}
