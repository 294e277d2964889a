//! What the window asks about a unit: what it wants to see, which units behave like it, and where else it is so.

use super::find::Found;
use super::session::Session;
use super::unit_pane::Sheet;
use super::worker::Progress;
use crate::Result;
use crate::cluster::{ClusterOptions, UnitFeatures, cluster};
use crate::credit::Credit;
use crate::dream::{DreamOptions, DreamTarget, dream};
use crate::patterns::{Expression, LineOptions, Query, RunLines, RunWords, spelled};
use crate::tensor::TensorKind;
use crate::trace::{RunReader, RunView, Statistic};
use crate::train::{Replay, Trainer};

/// Steps of gradient ascent.
const DREAM_STEPS: usize = 160;
/// Windows that are most like another, and matches of an expression, which are listed.
const MOST_FOUND: usize = 20;

impl Session {
    /// A unit's dream in the state before a step, or in the last one that is kept; `None` where that was cancelled. The
    /// ascent ends after a share of its steps.
    ///
    /// # Errors
    /// The run cannot be replayed, or as [`dream`].
    pub fn dream(
        &mut self,
        layer: &str,
        unit: usize,
        step: Option<u64>,
        share: f64,
        progress: &Progress,
    ) -> Result<Option<Sheet>> {
        let trainer = self.state(step, progress)?;
        let options = DreamOptions {
            steps: (DREAM_STEPS as f64 * share) as usize,
            real: 256,
            ..DreamOptions::default()
        };
        let target = DreamTarget::unit(layer, unit);
        let found = dream(&trainer, &target, &options, &mut |done, all| {
            progress.say(format!(
                "dreaming of unit {unit} of {layer}: {done} of {all} steps"
            ));
            !progress.is_cancelled()
        });
        if progress.is_cancelled() {
            return Ok(None);
        }
        let dreams = found?;
        let view = RunView::open(self.stage.dir())?;
        if let Some(error) = dreams.silence(&view) {
            return Err(error);
        }
        Ok(Some(Sheet::Dreams {
            run: trainer.scenario().name.clone(),
            dreams: Box::new(dreams),
        }))
    }

    /// The clusters of a layer's units in the state before a step, or in the last one that is kept; those that moved a
    /// credited unit most come first.
    ///
    /// # Errors
    /// The run cannot be replayed, or the layer has no units to compare.
    pub fn clusters(
        &mut self,
        layer: &str,
        step: Option<u64>,
        credit: Option<&Credit>,
        progress: &Progress,
    ) -> Result<Sheet> {
        let trainer = self.state(step, progress)?;
        progress.say(format!("clustering the units of {layer}"));
        let features = UnitFeatures::of_probe_batch(&trainer, layer)?;
        let mut clustering = cluster(&self.gpu, &features, &ClusterOptions::default())?;
        let is_part = |credit: &&Credit| {
            let mut parts = credit.predecessors.iter().chain(&credit.successors);
            parts.any(|part| part.layer == layer)
        };
        if let Some(credit) = credit.filter(is_part) {
            clustering.explain(layer, credit)?;
        }
        Ok(Sheet::Clusters {
            layer: layer.to_owned(),
            step: trainer.steps_done(),
            clustering: Box::new(clustering),
        })
    }

    /// The trainer before a step, or at the last checkpoint.
    ///
    /// # Errors
    /// The run cannot be replayed.
    pub(super) fn state(&mut self, step: Option<u64>, progress: &Progress) -> Result<Trainer> {
        let dir = self.saved_dir()?;
        let step = match step {
            Some(step) => step,
            None => RunReader::open(&dir)?.last_checkpoint()?,
        };
        progress.say(format!("restoring the state after {step} steps"));
        Replay::open(&self.gpu, &dir)?.state_after(step)
    }

    /// The windows of all units of a kind that are most like a stretch of one.
    ///
    /// # Errors
    /// As [`Query::nearest`].
    pub fn like(
        &mut self,
        query: &Query,
        kind: TensorKind,
        statistic: Statistic,
        progress: &Progress,
    ) -> Result<Vec<Found>> {
        progress.say("comparing windows");
        let lines = lines(&self.recorded()?, kind, statistic)?;
        let nearest = query.nearest(&self.gpu, &lines, MOST_FOUND)?;
        let found = nearest.matches.iter().map(|found| {
            let unit = lines.unit(found.line);
            let steps = lines.range(found.start..found.start + nearest.length);
            let [first, last] = [steps.start, steps.end - 1];
            let text = format!(
                "{} unit {}, steps {first} to {last}, distance {:.2}",
                unit.tensor, unit.unit, found.distance
            );
            Found::stretch(text, unit, steps)
        });
        Ok(found.collect())
    }

    /// Where the words of units match a regular expression.
    ///
    /// # Errors
    /// The expression is none, or a run that trains cannot be saved.
    pub fn words(
        &mut self,
        expression: &str,
        kind: TensorKind,
        progress: &Progress,
    ) -> Result<Vec<Found>> {
        progress.say("reading what units do");
        let expression = Expression::parse(expression)?;
        let run = self.recorded()?;
        let lines = lines(&run, kind, Statistic::Mean)?;
        let words = RunWords::read(&run, &lines)?;
        let found = expression.find_all(&words).into_iter().take(MOST_FOUND);
        let found = found.map(|found| {
            let unit = lines.unit(found.line);
            let steps = lines.range(found.columns.clone());
            let said = spelled(&words.line(found.line)[found.columns]);
            let [first, last] = [steps.start, steps.end - 1];
            let text = format!(
                "{} unit {}, steps {first} to {last}: {said}",
                unit.tensor, unit.unit
            );
            Found::stretch(text, unit, steps)
        });
        Ok(found.collect())
    }

    /// What is recorded of the run so far.
    fn recorded(&mut self) -> Result<RunView> {
        RunView::open(&self.saved_dir()?)
    }
}

fn lines(run: &RunView, kind: TensorKind, statistic: Statistic) -> Result<RunLines> {
    let options = LineOptions {
        kind,
        statistic,
        ..LineOptions::default()
    };
    RunLines::read(run, &options)
}
