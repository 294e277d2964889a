//! The dispatches of a training step in order, with and without those of its probes.

use crate::gpu::Dispatch;

/// What a step records into its one submission. It is put together once; a step then only chooses which of the two lists
/// to record.
#[derive(Debug, Clone, Default)]
pub struct CommandList {
    plain: Vec<Dispatch>,
    probed: Vec<Dispatch>,
}

impl CommandList {
    /// Appends what runs in every step.
    pub fn work(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        for dispatch in dispatches {
            self.plain.push(dispatch.clone());
            self.probed.push(dispatch);
        }
    }

    /// Appends what runs in probed steps alone.
    pub fn probe(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        self.probed.extend(dispatches);
    }

    /// Appends work that comes in two versions; `dispatches` is asked for the one without probes and the one with them.
    pub fn either<'d, D: Iterator<Item = &'d Dispatch>>(&mut self, dispatches: impl Fn(bool) -> D) {
        self.plain.extend(dispatches(false).cloned());
        self.probed.extend(dispatches(true).cloned());
    }

    /// Appends all of another list.
    pub fn append(&mut self, next: Self) {
        self.plain.extend(next.plain);
        self.probed.extend(next.probed);
    }

    /// The dispatches of a step, in the order in which they run.
    pub fn dispatches(&self, probed: bool) -> &[Dispatch] {
        if probed { &self.probed } else { &self.plain }
    }
}
