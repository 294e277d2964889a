//! Replay: any steps of a run once more, bit for bit, with whatever probes a question needs.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use super::tolerance::Tolerance;
use super::verification::{Verification, Verifier};
use super::{Scenario, StepRecord, Trainer};
use crate::gpu::Gpu;
use crate::models::{DataShape, Model};
use crate::nn::Probe;
use crate::trace::RunReader;
use crate::{Error, Result};

/// A run that is about to be replayed: says which steps, with which probes, and whether to verify.
pub struct ReplayBuilder<'a> {
    gpu: &'a Gpu,
    reader: RunReader,
    scenario: Scenario,
    range: Range<u64>,
    probes: Vec<Box<dyn Probe>>,
    verify: bool,
    /// How far the steps may come out from the run's on another adapter.
    most: Option<f64>,
    tolerance: Option<Tolerance>,
}

impl std::fmt::Debug for ReplayBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayBuilder")
            .field("run", &self.reader.folder())
            .field("range", &self.range)
            .field("probes", &self.probes.len())
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

/// Steps of a run once more. The trainer starts at the checkpoint at or before the range and is stepped to its end; every
/// step of the range is probed.
///
/// ```no_run
/// use trainscope::gpu::{AdapterChoice, Gpu};
/// use trainscope::train::{Replay, TensorCapture, TensorRequest};
///
/// # fn main() -> trainscope::Result<()> {
/// let gpu = Gpu::new(&AdapterChoice::default())?;
/// let mut replay = Replay::open(&gpu, "runs/vae-mnist".as_ref())?
///     .range(100..110)
///     .probe(TensorCapture::new([TensorRequest::parse("mu:gradient")?]))
///     .start()?;
/// while let Some(record) = replay.step()? {
///     let samples = replay.trainer().batch_samples(record.step);
///     let gradient = &record.outputs[0]; // [batch, latent]
///     println!("step {}: {:?} of samples {samples:?}", record.step, gradient.shape);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Replay {
    reader: RunReader,
    trainer: Trainer,
    checkpoints: Vec<u64>,
    range: Range<u64>,
    verifier: Option<Verifier>,
    /// Records of the range that have arrived and were not handed out yet.
    arrived: VecDeque<StepRecord>,
}

impl<'a> ReplayBuilder<'a> {
    /// The steps to replay; all of the run's unless given.
    pub fn range(self, range: Range<u64>) -> Self {
        Self { range, ..self }
    }

    /// Adds a probe; its outputs come with each record of the range.
    pub fn probe(mut self, probe: impl Probe + 'static) -> Self {
        self.probes.push(Box::new(probe));
        self
    }

    /// Whether to compare every step from the checkpoint before the range on with what the run has kept: scalars,
    /// statistics and the digests of checkpoints.
    pub fn verify(self, verify: bool) -> Self {
        Self { verify, ..self }
    }

    /// What builds the model of a run whose model is the user's own: see [`Scenario::with_model`].
    pub fn model(
        mut self,
        build: impl Fn(&Scenario, DataShape) -> Result<Box<dyn Model>> + Send + Sync + 'static,
    ) -> Self {
        self.scenario = self.scenario.with_model(build);
        self
    }

    /// Accepts a run of another adapter for what needs the run's own steps, as long as the scalars of the steps that are
    /// run again differ from the run's by at most this share of their size: [`Trainer::deviation`] says by how much they do.
    pub fn tolerance(self, most: Option<f64>) -> Self {
        Self { most, ..self }
    }

    /// The trainer in the state that the run had after `step` steps: that of the checkpoint there, or the steps since the
    /// one before run again. Probes and the range have no part in it.
    ///
    /// # Errors
    /// The run has fewer steps, no checkpoint at or before `step`, or its data are gone; or there is no checkpoint just
    /// there, and the run was made on another adapter, on which the steps since would not give the same bits.
    pub fn state_after(mut self, step: u64) -> Result<Trainer> {
        let start = start_of_state(&self.reader, step)?;
        if start < step {
            self.expect_adapter(&replayed_state(step))?;
        }
        let mut trainer = Trainer::restored(self.gpu, &self.scenario, &self.reader, start)?;
        trainer.tolerance = self.tolerance;
        trainer.run_until(step)?;
        Ok(trainer)
    }

    /// The trainer in the state before the first of some steps, which are to be run again one by one.
    ///
    /// # Errors
    /// As [`ReplayBuilder::state_after`], there are no such steps, or the run was made on another adapter.
    pub(super) fn state_before_steps(mut self, steps: &Range<u64>) -> Result<Trainer> {
        check_range(&self.reader, steps)?;
        if steps.end - steps.start > 1 {
            self.expect_adapter("running steps again takes the adapter of the run")?;
        }
        self.state_after(steps.start)
    }

    /// The run.
    pub(crate) fn reader(&self) -> &RunReader {
        &self.reader
    }

    /// The steps of a run have the same bits on its own adapter only; another one needs a tolerance.
    pub(crate) fn expect_adapter(&mut self, what: &str) -> Result<()> {
        let own = &self.gpu.info().name;
        if self.reader.info().adapter == *own {
            return Ok(());
        }
        if let Some(most) = self.most {
            self.tolerance = Some(Tolerance::new(&self.reader, own, most)?);
            return Ok(());
        }
        Err(other_adapter(self.gpu, &self.reader, what)?)
    }

    /// Builds the trainer and restores the checkpoint at or before the range.
    ///
    /// # Errors
    /// The run does not have these steps or no checkpoint before them, its data are gone, a probe finds nothing, or it
    /// was made on another adapter and is to be verified.
    pub fn start(mut self) -> Result<Replay> {
        check_range(&self.reader, &self.range)?;
        if self.most.is_some() {
            self.expect_adapter("running steps again takes the adapter of the run")?;
        }
        let made_on = &self.reader.info().adapter;
        if self.verify && *made_on != self.gpu.info().name {
            return Err(Error::input(
                context(&self.reader),
                format!(
                    "the run was made on '{made_on}', this is '{}'",
                    self.gpu.info().name
                ),
                "choose the same adapter with --adapter, or leave out --verify",
            ));
        }
        // The checkpoint is looked for first: a trainer takes seconds to build.
        checkpoint_before(&self.reader, self.range.start)?;
        let mut builder = Trainer::builder(self.gpu, &self.scenario);
        for probe in self.probes {
            builder = builder.boxed_probe(probe);
        }
        let mut trainer = builder.build()?;
        trainer.tolerance = self.tolerance;
        Replay::with_trainer(trainer, self.reader, self.range, self.verify)
    }
}

impl Replay {
    /// Opens the run in a directory.
    ///
    /// # Errors
    /// There is no run, or its files are damaged.
    pub fn open<'a>(gpu: &'a Gpu, dir: &Path) -> Result<ReplayBuilder<'a>> {
        let reader = RunReader::open(dir)?;
        Ok(ReplayBuilder {
            gpu,
            scenario: Scenario::of_run(&reader)?,
            range: 0..reader.info().steps_done,
            reader,
            probes: Vec::new(),
            verify: false,
            most: None,
            tolerance: None,
        })
    }

    /// A replay by a trainer of the run's scenario that is already there; its state is replaced.
    ///
    /// # Errors
    /// As [`ReplayBuilder::start`].
    pub(super) fn with_trainer(
        mut trainer: Trainer,
        reader: RunReader,
        range: Range<u64>,
        verify: bool,
    ) -> Result<Self> {
        let start = checkpoint_before(&reader, range.start)?;
        trainer.restore_from(&reader, start)?;
        let verifier = verify
            .then(|| Verifier::new(&reader, &trainer, start, range.end))
            .transpose()?;
        Ok(Self {
            checkpoints: reader.checkpoints()?,
            reader,
            trainer,
            range,
            verifier,
            arrived: VecDeque::new(),
        })
    }

    /// The next step of the range; `None` after its last.
    ///
    /// # Errors
    /// The device was lost, or a checkpoint that is compared is damaged.
    pub fn step(&mut self) -> Result<Option<StepRecord>> {
        loop {
            if let Some(record) = self.arrived.pop_front() {
                return Ok(Some(record));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Runs the next step, also one before the range, and says whether there was one. What the range's steps leave behind
    /// waits for [`Replay::step`].
    ///
    /// # Errors
    /// As [`Replay::step`].
    pub fn advance(&mut self) -> Result<bool> {
        if self.trainer.steps_done() >= self.range.end {
            return Ok(false);
        }
        self.run_step().map(|()| true)
    }

    /// Runs one step of the trainer and takes what has arrived.
    fn run_step(&mut self) -> Result<()> {
        let step = self.trainer.steps_done();
        let is_compared = |verifier: &Verifier| verifier.is_recorded(step);
        let is_probed = step >= self.range.start || self.verifier.as_ref().is_some_and(is_compared);
        self.trainer.step(is_probed)?;
        let done = step + 1;
        let at_checkpoint = self.verifier.is_some() && self.checkpoints.contains(&done);
        let wait_for_all = at_checkpoint || done == self.range.end;
        while let Some(record) = self.trainer.take(wait_for_all || self.trainer.is_full())? {
            if let Some(verifier) = &mut self.verifier {
                verifier.compare(&record);
            }
            if record.step >= self.range.start {
                self.arrived.push_back(record);
            }
        }
        match &mut self.verifier {
            Some(verifier) if at_checkpoint => {
                verifier.compare_checkpoint(&self.trainer, &self.reader, done)
            }
            _ => Ok(()),
        }
    }

    /// The steps of this replay.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The trainer. Once [`Replay::step`] has returned the last record of the range, its state is that after the range.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The run.
    pub fn reader(&self) -> &RunReader {
        &self.reader
    }

    /// What was compared so far, and what differed; nothing where the replay does not verify.
    pub fn verification(&self) -> Verification {
        self.verifier
            .as_ref()
            .map_or_else(Verification::default, Verifier::verification)
    }

    /// Ends the replay and returns its trainer.
    pub fn into_trainer(self) -> Trainer {
        self.trainer
    }
}

impl Trainer {
    /// Brings a trainer of the run's scenario into the state that the run had after `step` steps, as
    /// [`ReplayBuilder::state_after`] does, without reading the data anew.
    ///
    /// # Errors
    /// As there.
    pub fn go_to(&mut self, reader: &RunReader, step: u64) -> Result<()> {
        let start = start_of_state(reader, step)?;
        if start < step && reader.info().adapter != self.gpu().info().name {
            return Err(other_adapter(self.gpu(), reader, &replayed_state(step))?);
        }
        self.restore_from(reader, start)?;
        self.run_until(step)
    }

    fn run_until(&mut self, step: u64) -> Result<()> {
        while self.steps_done() < step {
            self.step(false)?;
            while self.take(self.is_full())?.is_some() {}
        }
        while self.take(true)?.is_some() {}
        Ok(())
    }
}

/// The checkpoint from which the state after `step` steps is reached.
fn start_of_state(reader: &RunReader, step: u64) -> Result<u64> {
    let done = reader.info().steps_done;
    if step > done {
        return Err(Error::usage(
            context(reader),
            format!("the run has {done} steps, so there is no state after {step}"),
            format!("use --step with a number up to {done}"),
        ));
    }
    checkpoint_before(reader, step)
}

fn replayed_state(step: u64) -> String {
    format!("the state after {step} steps takes a replay")
}

/// The error of a replay on another adapter than the run's.
fn other_adapter(gpu: &Gpu, reader: &RunReader, what: &str) -> Result<Error> {
    let (made_on, own) = (&reader.info().adapter, &gpu.info().name);
    let known = reader.checkpoints()?;
    let known: Vec<String> = known.iter().map(u64::to_string).collect();
    Ok(Error::input(
        context(reader),
        format!("{what}, and the run was made on '{made_on}', not on '{own}'"),
        format!(
            "choose the same adapter with --adapter, say with --tolerance by what share of their size the run's scalars may come out otherwise, or use the state at a checkpoint: {}",
            known.join(", ")
        ),
    ))
}

fn context(reader: &RunReader) -> String {
    format!("replay of {}", reader.folder().display())
}

fn check_range(reader: &RunReader, range: &Range<u64>) -> Result<()> {
    let done = reader.info().steps_done;
    let Range { start, end } = *range;
    if start < end && end <= done {
        return Ok(());
    }
    Err(Error::usage(
        context(reader),
        format!("steps {start} to {end} are not in the run, which has {done} steps"),
        format!("use --from below --to, and --to at most {done}"),
    ))
}

/// The step of the last checkpoint at or before `step`.
fn checkpoint_before(reader: &RunReader, step: u64) -> Result<u64> {
    let mut checkpoints = reader.checkpoints()?.into_iter();
    checkpoints.rfind(|&found| found <= step).ok_or_else(|| {
        Error::input(
            context(reader),
            format!("there is no checkpoint at or before step {step}"),
            "restore the run's checkpoints folder",
        )
    })
}
