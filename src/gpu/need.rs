//! How much memory something will take, before any of it is allocated.

use std::collections::BTreeMap;

use super::Gpu;
use super::buffer::{SMALLER, bytes_of, too_large};
use crate::{ByteSize, Error, Result};

/// A list of buffers that are to be made.
#[derive(Debug, Clone, Default)]
pub struct Need {
    buffers: Vec<Planned>,
    /// The largest of those that share one memory ([`Gpu::scratch`]), by label.
    shared: BTreeMap<&'static str, Planned>,
}

#[derive(Debug, Clone)]
struct Planned {
    what: &'static str,
    place: String,
    bytes: u64,
}

impl Need {
    /// A buffer of so many 32-bit elements; `place` is the layer or section that asks for it.
    pub fn buffer(&mut self, what: &'static str, place: &str, elements: usize) {
        self.buffers.push(Planned {
            what,
            place: place.to_owned(),
            bytes: bytes_of::<u32>(elements),
        });
    }

    /// The same of [`Gpu::scratch`]: of one label, only the largest counts.
    pub fn scratch(&mut self, label: &'static str, place: &str, elements: usize) {
        let bytes = bytes_of::<u32>(elements);
        let largest = self.shared.entry(label).or_insert_with(|| Planned {
            what: "workspace",
            place: place.to_owned(),
            bytes: 0,
        });
        if bytes > largest.bytes {
            largest.bytes = bytes;
            largest.place = place.to_owned();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Planned> {
        self.buffers.iter().chain(self.shared.values())
    }

    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.all()
            .fold(0, |sum, planned| sum.saturating_add(planned.bytes))
    }

    /// Whether each buffer fits into one binding of the adapter, and all together into [`Gpu::memory`].
    ///
    /// # Errors
    /// They do not: says how much is needed, of what, and what there is.
    pub fn check(&self, gpu: &Gpu) -> Result<()> {
        let most = gpu.most_in_one();
        if let Some(first) = self.all().find(|planned| planned.bytes > most) {
            let what = format!("for its {} it needs", first.what);
            return Err(too_large(gpu, first.place.clone(), &what, first.bytes));
        }
        let needed = self.bytes();
        match gpu.memory() {
            Some(limit) if needed > limit => Err(Error::gpu(
                "model",
                format!(
                    "training it needs {} ({}), the limit on memory is {}",
                    ByteSize(needed),
                    self.sums(),
                    ByteSize(limit)
                ),
                SMALLER,
            )),
            _ => Ok(()),
        }
    }

    /// What takes how much.
    fn sums(&self) -> String {
        let mut sums: Vec<(&str, u64)> = Vec::new();
        for Planned { what, bytes, .. } in self.all() {
            match sums.iter_mut().find(|(name, _)| name == what) {
                Some((_, sum)) => *sum += bytes,
                None => sums.push((what, *bytes)),
            }
        }
        let parts = sums.iter();
        let parts: Vec<_> = parts
            .map(|(what, bytes)| format!("{what} {}", ByteSize(*bytes)))
            .collect();
        parts.join(", ")
    }
}
