//! A branch: a run of its own that begins in the state of another one, with something changed.

use std::path::Path;

use super::{Run, Scenario, Trainer};
use crate::gpu::Gpu;
use crate::trace::{Origin, RunInfo, RunReader, RunWriter};
use crate::{Error, Result};

impl Run {
    /// Starts a run in `dir` from the state that the run in `parent` had after `step` steps, with these settings changed
    /// (`KEY=VALUE`, as `--set` takes them). The optimizer's memory comes along, so that without a change the branch goes
    /// the way of its parent, bit for bit. Its `run.json` says what it came from.
    ///
    /// # Errors
    /// There is no checkpoint at that step, no step is left, a setting is wrong or changes the shape of a parameter, or
    /// the directory cannot be made.
    pub fn branch(
        gpu: &Gpu,
        parent: &Path,
        step: u64,
        settings: &[String],
        dir: &Path,
    ) -> Result<Self> {
        let reader = RunReader::open(parent)?;
        let scenario = Scenario::of_run(&reader)?.with(settings)?;
        if scenario.train.steps <= step {
            return Err(Error::usage(
                format!("a branch after {step} steps"),
                format!(
                    "train.steps is {}, so that none is left",
                    scenario.train.steps
                ),
                format!("add train.steps={} or more", step + 100),
            ));
        }
        let mut trainer = Trainer::new(gpu, &scenario)?;
        trainer.restore_from(&reader, step)?;
        let mut info = RunInfo::new(
            &scenario.name,
            gpu.info(),
            scenario.train.steps,
            scenario.seed,
        );
        info.steps_done = step;
        info.kernels = trainer.kernel_choices();
        info.parameters = Some(trainer.parameter_count() as u64);
        // Also those after the step: without a change the branch goes the way of its parent.
        info.half_steps.clone_from(&reader.info().half_steps);
        info.data = Some(trainer.data().clone());
        info.origin = Some(Origin {
            run: parent.display().to_string(),
            step,
            set: settings.to_vec(),
        });
        let (model, layout) = (trainer.describe(), trainer.layout().clone());
        let start = trainer.checkpoint()?;
        let writer = RunWriter::create(dir, &scenario.to_toml(), info, &model, layout)?;
        start.write(dir)?;
        let mut run = Self::new(trainer, writer);
        run.taken = step;
        run.saved.1 = step;
        Ok(run)
    }
}
