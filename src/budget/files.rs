//! The bytes of a run directory by what they hold.

use std::path::Path;

use crate::trace::RunView;

/// Bytes of the parts of a run.
#[derive(Debug, Clone)]
pub(super) struct RunBytes {
    /// Statistics of units.
    pub trace: u64,
    /// Each checkpoint, in their order.
    pub checkpoints: Vec<u64>,
    all: u64,
}

impl RunBytes {
    pub fn of(run: &RunView) -> Self {
        let folder = run.folder();
        let checkpoints = folder.join("checkpoints");
        let of_step = |step: &u64| size(&checkpoints.join(format!("{step:06}")));
        let own = ["trace", "scalars", "checkpoints"].map(|name| size(&folder.join(name)));
        let files = ["scenario.toml", "run.json", "graph.json", "events.jsonl"];
        let files: u64 = files.iter().map(|name| size(&folder.join(name))).sum();
        Self {
            trace: own[0],
            checkpoints: run.checkpoints().iter().map(of_step).collect(),
            // Reports, replays and analyses can be made again.
            all: own.iter().sum::<u64>() + files,
        }
    }

    pub fn all_checkpoints(&self) -> u64 {
        self.checkpoints.iter().sum()
    }

    /// Everything but statistics and checkpoints.
    pub fn rest(&self) -> u64 {
        self.all - self.trace - self.all_checkpoints().min(self.all - self.trace)
    }
}

/// Bytes of a file, or of everything below a folder; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}
