//! Checkpoints: parameters and the optimizer's state in safetensors, verified by a digest.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::safetensors::{little_endian, read_safetensors, write_safetensors};
use super::segment::step_of;
use crate::files;
use crate::tensor::NamedTensor;
use crate::{Error, Result};

/// The folder of checkpoints in a run directory.
pub(super) const CHECKPOINTS: &str = "checkpoints";
const PARAMETERS: &str = "parameters.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const DIGEST: &str = "digest";
/// An empty file that marks a checkpoint as interim.
const INTERIM: &str = "interim";

/// The state of a run after `step` steps, enough to continue bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How many steps are done.
    pub step: u64,
    /// Parameters by PyTorch's names, shapes and layouts.
    pub parameters: Vec<NamedTensor>,
    /// The optimizer's state; may be empty.
    pub optimizer: Vec<NamedTensor>,
}

impl Checkpoint {
    /// SHA-256, in hexadecimal, over the step and over names, shapes and bytes of all tensors: first the parameters,
    /// then the optimizer's, each sorted by name.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let number = |hash: &mut Sha256, value: usize| hash.update((value as u64).to_le_bytes());
        hash.update(self.step.to_le_bytes());
        for part in [&self.parameters, &self.optimizer] {
            let mut sorted: Vec<&NamedTensor> = part.iter().collect();
            sorted.sort_by(|a, b| a.name.cmp(&b.name));
            number(&mut hash, sorted.len());
            for NamedTensor {
                name,
                shape,
                values,
            } in sorted
            {
                number(&mut hash, name.len());
                hash.update(name);
                number(&mut hash, shape.len());
                for &side in shape {
                    number(&mut hash, side);
                }
                hash.update(little_endian(values));
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Writes it below the run directory `run` and returns its digest. A checkpoint of the same step is replaced.
    ///
    /// # Errors
    /// Shapes that do not fit their values, or a disk that cannot be written; nothing incomplete is left then.
    pub fn write(&self, run: &Path) -> Result<String> {
        let digest = self.write_marked(run, false)?;
        remove_interim(run, None)?;
        Ok(digest)
    }

    /// The same for a checkpoint of an earlier step than the run has come to: an interim one of a later step stays.
    ///
    /// # Errors
    /// As [`Checkpoint::write`].
    pub fn write_earlier(&self, run: &Path) -> Result<String> {
        self.write_marked(run, false)
    }

    /// The same for a checkpoint that the next one replaces: a run that is killed resumes from it, and a run that goes on
    /// has no trace of it.
    ///
    /// # Errors
    /// As [`Checkpoint::write`].
    pub fn write_interim(&self, run: &Path) -> Result<String> {
        let digest = self.write_marked(run, true)?;
        remove_interim(run, Some(self.step))?;
        Ok(digest)
    }

    fn write_marked(&self, run: &Path, is_interim: bool) -> Result<String> {
        let folder = folder_of(run, self.step);
        let temporary = files::temp_path_in(run, &folder);
        if temporary.exists() {
            files::remove(&temporary)?;
        }
        let digest = self.digest();
        let written = self
            .fill(&temporary, &digest, is_interim)
            .and_then(|()| files::make_folder(&run.join(CHECKPOINTS)))
            .and_then(|()| remove(run, self.step))
            .and_then(|()| files::rename(&temporary, &folder));
        if written.is_err() && temporary.exists() {
            files::remove(&temporary)?;
        }
        written.map(|()| digest)
    }

    fn fill(&self, folder: &Path, digest: &str, is_interim: bool) -> Result<()> {
        files::make_folder(folder)?;
        if is_interim {
            files::write_whole(&folder.join(INTERIM), b"")?;
        }
        write_safetensors(&folder.join(PARAMETERS), &self.parameters)?;
        if !self.optimizer.is_empty() {
            write_safetensors(&folder.join(OPTIMIZER), &self.optimizer)?;
        }
        files::write_whole(&folder.join(DIGEST), format!("{digest}\n").as_bytes())
    }

    /// Reads the checkpoint after `step` steps of the run directory `run` and verifies its digest.
    ///
    /// # Errors
    /// There is none of that step, or it is damaged.
    pub fn read(run: &Path, step: u64) -> Result<Self> {
        let folder = folder_of(run, step);
        let digest = files::read_text(&folder.join(DIGEST))?;
        let optimizer = folder.join(OPTIMIZER);
        let checkpoint = Self {
            step,
            parameters: read_safetensors(&folder.join(PARAMETERS))?,
            optimizer: if optimizer.exists() {
                read_safetensors(&optimizer)?
            } else {
                Vec::new()
            },
        };
        if digest.trim_end() != checkpoint.digest() {
            return Err(Error::file(
                folder.display().to_string(),
                "the checkpoint is damaged: its tensors do not match the digest that was written with them",
                "use another checkpoint, or replay the run up to this step",
            ));
        }
        Ok(checkpoint)
    }
}

fn folder_of(run: &Path, step: u64) -> PathBuf {
    run.join(CHECKPOINTS).join(format!("{step:06}"))
}

/// Removes the checkpoint after `step` steps, if there is one. It is whole until it is gone.
pub(super) fn remove(run: &Path, step: u64) -> Result<()> {
    let folder = folder_of(run, step);
    if !folder.exists() {
        return Ok(());
    }
    let removed = files::temp_path_in(run, &folder.with_extension("removed"));
    if removed.exists() {
        files::remove(&removed)?;
    }
    files::rename(&folder, &removed)?;
    files::remove(&removed)
}

/// Removes the interim checkpoints of a run, save that after `kept` steps.
fn remove_interim(run: &Path, kept: Option<u64>) -> Result<()> {
    for (step, is_interim) in list(run)? {
        if is_interim && Some(step) != kept {
            remove(run, step)?;
        }
    }
    Ok(())
}

/// The checkpoints of a run, ascending, each with whether it is interim.
pub(super) fn list(run: &Path) -> Result<Vec<(u64, bool)>> {
    let folder = run.join(CHECKPOINTS);
    let mut found = Vec::new();
    for name in files::names(&folder)? {
        let checkpoint = folder.join(&name);
        if let Some(step) = step_of(&name).filter(|_| checkpoint.join(DIGEST).is_file()) {
            found.push((step, checkpoint.join(INTERIM).is_file()));
        }
    }
    found.sort_unstable();
    Ok(found)
}
