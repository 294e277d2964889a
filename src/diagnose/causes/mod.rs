//! The causes, one file a family. Each looks for its own evidence and says how much of what was seen it explains; none
//! looks at names of scenarios or files.

pub(super) mod data;
pub(super) mod gan;
pub(super) mod likelihood;
pub(super) mod network;
pub(super) mod output;
pub(super) mod second_latent;
pub(super) mod step_size;
pub(super) mod vae;
