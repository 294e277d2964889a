//! Samples that training does not see.

use super::{Images, Permutation};
use crate::{Error, Result};

/// The epoch whose permutation chooses the samples: no run reaches it.
const EPOCH: u32 = u32::MAX - 1;

impl Images {
    /// Parts the images in those to train on and a `share` of them that `seed` chooses, both in the order of the file.
    ///
    /// # Errors
    /// One of the two parts would be empty.
    pub fn hold_out(self, share: f64, seed: u64) -> Result<(Self, Self)> {
        let held = (share * self.count as f64).round() as usize;
        if held == 0 || held >= self.count {
            return Err(Error::input(
                format!("validate.split = {share}"),
                format!("that is {held} of {} samples", self.count),
                "choose a share that leaves at least one sample for each part",
            ));
        }
        let order = Permutation::new(self.count as u32, seed, EPOCH);
        let mut is_held = vec![false; self.count];
        for index in 0..held as u32 {
            is_held[order.at(index) as usize] = true;
        }
        let part = |of_held: bool| {
            let chosen = (0..self.count).filter(|&sample| is_held[sample] == of_held);
            let size = self.sample_size();
            let mut pixels = Vec::new();
            let mut labels = Vec::new();
            for sample in chosen {
                pixels.extend_from_slice(&self.pixels[sample * size..][..size]);
                labels.extend(self.labels.get(sample));
            }
            (pixels, labels)
        };
        let [(train, train_labels), (held_pixels, held_labels)] = [part(false), part(true)];
        let validation = Self {
            count: held,
            pixels: held_pixels,
            labels: held_labels,
            name: format!("{}, held out", self.name),
            ..self.clone_without_pixels()
        };
        let mut training = Self {
            count: self.count - held,
            pixels: train,
            labels: train_labels,
            ..self
        };
        training
            .notes
            .push(format!("{held} more held out for validation"));
        Ok((training, validation))
    }

    /// Everything but the samples.
    fn clone_without_pixels(&self) -> Self {
        Self {
            count: self.count,
            shape: self.shape,
            pixels: Vec::new(),
            scaling: self.scaling,
            labels: Vec::new(),
            classes: self.classes,
            class_names: self.class_names.clone(),
            name: self.name.clone(),
            origin: self.origin.clone(),
            left_out: self.left_out.clone(),
            notes: self.notes.clone(),
        }
    }
}
