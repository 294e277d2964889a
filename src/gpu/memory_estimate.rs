//! How much memory something will take, before any of it is allocated.

use std::collections::BTreeMap;

use super::Gpu;
use super::buffer::{SMALLER, bytes_of, too_large};
use crate::{ByteSize, Error, Result};

/// A list of buffers that are to be made.
#[derive(Debug, Clone, Default)]
pub struct MemoryEstimate {
    buffers: Vec<Planned>,
    /// The largest of those that share one memory, by label.
    shared: BTreeMap<&'static str, (Scratch, Planned)>,
}

/// Memory that everybody who asks under its label shares, for what one group of dispatches writes and reads:
/// [`Gpu::scratch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scratch {
    /// What it is asked for by.
    pub label: &'static str,
    /// Values.
    pub elements: usize,
}

impl Scratch {
    /// `elements` values under `label`.
    pub fn new(label: &'static str, elements: usize) -> Self {
        Self { label, elements }
    }
}

#[derive(Debug, Clone)]
struct Planned {
    what: &'static str,
    place: String,
    bytes: u64,
}

impl MemoryEstimate {
    /// A buffer of so many 32-bit elements; `place` is the layer or section that asks for it.
    pub fn buffer(&mut self, what: &'static str, place: &str, elements: usize) {
        self.buffers.push(Planned {
            what,
            place: place.to_owned(),
            bytes: bytes_of::<u32>(elements),
        });
    }

    /// Shared memory: of one label, only the largest counts.
    pub fn scratch(&mut self, scratch: Scratch, place: &str) {
        let planned = Planned {
            what: "workspace",
            place: place.to_owned(),
            bytes: bytes_of::<f32>(scratch.elements),
        };
        let largest = self
            .shared
            .entry(scratch.label)
            .or_insert_with(|| (scratch, planned.clone()));
        if planned.bytes > largest.1.bytes {
            *largest = (scratch, planned);
        }
    }

    /// Makes the shared memory in its full size, which else would be made anew wherever somebody asks for more.
    ///
    /// # Errors
    /// As [`Gpu::scratch`].
    pub fn reserve(&self, gpu: &Gpu) -> Result<()> {
        for (Scratch { label, elements }, _) in self.shared.values() {
            gpu.scratch(label, *elements)?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Planned> {
        let shared = self.shared.values().map(|(_, planned)| planned);
        self.buffers.iter().chain(shared)
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
