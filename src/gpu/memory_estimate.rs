//! The memory that a computation needs, before any of it is allocated.

use std::collections::BTreeMap;

use super::buffer::bytes_of;
use super::device::Gpu;
use super::memory::{SMALLER, too_large};
use super::scratch::Scratch;
use crate::{ByteSize, Error, ErrorKind, Result};

/// The buffers that are going to be made.
#[derive(Debug, Clone, Default)]
pub struct MemoryEstimate {
    buffers: Vec<Planned>,
    /// The largest of the requests that share their memory, by label.
    shared: BTreeMap<&'static str, (Scratch, Planned)>,
}

#[derive(Debug, Clone)]
struct Planned {
    category: &'static str,
    context: String,
    bytes: u64,
}

impl MemoryEstimate {
    /// Adds a buffer of so many 32-bit elements; `context` is the layer or section that it is for.
    pub fn buffer(&mut self, category: &'static str, context: &str, elements: usize) {
        self.buffers.push(Planned {
            category,
            context: context.to_owned(),
            bytes: bytes_of::<u32>(elements),
        });
    }

    /// Adds shared memory: of one label, only the largest request counts.
    pub fn scratch(&mut self, scratch: Scratch, context: &str) {
        let planned = Planned {
            category: "workspace",
            context: context.to_owned(),
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

    /// Makes the shared memory in its full size. Without this, each larger request would replace what was made before.
    ///
    /// # Errors
    /// As [`Gpu::scratch`].
    pub fn allocate_scratch(&self, gpu: &Gpu) -> Result<()> {
        for (Scratch { label, elements }, _) in self.shared.values() {
            gpu.scratch(label, *elements)?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Planned> {
        let shared = self.shared.values().map(|(_, planned)| planned);
        self.buffers.iter().chain(shared)
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.all()
            .fold(0, |sum, planned| sum.saturating_add(planned.bytes))
    }

    /// Whether each buffer fits into one binding of the adapter, and all together into [`Gpu::memory`].
    ///
    /// # Errors
    /// They do not fit. The message gives the bytes by category, and the limit.
    pub fn validate(&self, gpu: &Gpu) -> Result<()> {
        let max = gpu.max_binding_size();
        if let Some(first) = self.all().find(|planned| planned.bytes > max) {
            let what = format!("its {} require", first.category);
            return Err(too_large(gpu, first.context.clone(), &what, first.bytes));
        }
        let needed = self.bytes();
        match gpu.memory() {
            Some(limit) if needed > limit => Err(Error::new(
                ErrorKind::OutOfMemory,
                "model",
                format!(
                    "training requires {} ({}), the memory limit is {}",
                    ByteSize(needed),
                    self.by_category(),
                    ByteSize(limit)
                ),
                SMALLER,
            )),
            _ => Ok(()),
        }
    }

    /// The bytes of each category.
    fn by_category(&self) -> String {
        let mut sums: Vec<(&str, u64)> = Vec::new();
        for Planned {
            category, bytes, ..
        } in self.all()
        {
            match sums.iter_mut().find(|(name, _)| name == category) {
                Some((_, sum)) => *sum += bytes,
                None => sums.push((category, *bytes)),
            }
        }
        sums.iter()
            .map(|(category, bytes)| format!("{category} {}", ByteSize(*bytes)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
