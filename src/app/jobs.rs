//! What the worker prepares for the window: charts, images, and a run at an earlier step.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::past::{self, PastStep};
use super::preview::Images;
use super::selection::Selection;
use super::session::Session;
use super::stage::Stage;
use super::timeline::Timeline;
use super::view_options::ViewOptions;
use super::worker::Progress;
use crate::Result;
use crate::report::{self, ScalarGroup, scalar_groups, scalars_within};
use crate::trace::{ModelDescription, TraceEntry};
use crate::train::TensorRequest;
use crate::view::{ScalarChart, TimeScale};

/// What the window has to know of a run before it can choose anything.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// The tensors that are recorded.
    pub entries: Vec<TraceEntry>,
    /// The charts that its scalars make.
    pub groups: Vec<ScalarGroup>,
    pub model: ModelDescription,
    /// What is looked at first.
    pub selection: Selection,
    /// The steps that show how the run failed, where they are few.
    pub failure: Option<Range<u64>>,
}

/// A chart in the columns of a time axis.
#[derive(Debug)]
pub(super) struct Timed<C> {
    pub chart: C,
    pub timeline: Arc<Timeline>,
}

impl Session {
    /// What can be chosen.
    pub fn contents(&self) -> Contents {
        let (entries, model) = (self.stage.entries(), self.stage.model());
        Contents {
            selection: Selection::first(entries, model, self.stage.events()),
            failure: match &self.stage {
                Stage::View(run) => report::failure_steps(run),
                Stage::Live(_) => None,
            },
            entries: entries.to_vec(),
            groups: scalar_groups(&self.stage.names(), model),
            model: model.clone(),
        }
    }

    /// The time axis of a selection; `None` before the first step.
    pub fn timeline(&self, selection: &Selection) -> Option<Arc<Timeline>> {
        let (steps, events) = (self.stage.steps(), self.stage.events());
        Timeline::new(selection.time, &steps, selection.range.as_ref(), events).map(Arc::new)
    }

    /// The chart of some scalars, in a scale that suits them unless one is given, with those of other runs over them;
    /// `None` before the first step.
    ///
    /// # Errors
    /// The device was lost.
    pub fn scalars(
        &self,
        group: &ScalarGroup,
        selection: &Selection,
        options: &ViewOptions,
        others: &[(String, Vec<(u64, f64)>)],
    ) -> Result<Option<Timed<ScalarChart>>> {
        let Some(timeline) = self.timeline(selection) else {
            return Ok(None);
        };
        // Members are indices in the list of names that `contents` has grouped.
        let labels = group.labels.iter().map(String::as_str);
        let own = group.members.iter().map(|index| self.stage.scalar(*index));
        let named = labels.zip(own).chain(
            others
                .iter()
                .map(|(name, values)| (name.as_str(), values.as_slice())),
        );
        let within = |values| match &selection.range {
            Some(range) => Cow::Owned(scalars_within(values, range)),
            None => Cow::Borrowed(values),
        };
        let (names, shown): (Vec<_>, Vec<_>) =
            named.map(|(name, values)| (name, within(values))).unzip();
        let shown = shown.iter().map(|values| &**values);
        let recorded: Vec<(&str, &[(u64, f64)])> = names.into_iter().zip(shown).collect();
        let (gpu, scale) = (&self.gpu, options.scalar_scale);
        let chart = match selection.time {
            // Columns are alike, so that a running mean means something; it needs steps of its own.
            TimeScale::Linear if others.is_empty() => {
                ScalarChart::of_recorded(gpu, group.title, group.y_title, &recorded, scale)?
            }
            _ => ScalarChart::along(
                gpu,
                &timeline.axis,
                group.title,
                group.y_title,
                &recorded,
                scale,
            )?,
        };
        Ok(chart.map(|chart| Timed { chart, timeline }))
    }

    /// The images that the model makes as it is.
    ///
    /// # Errors
    /// What is missing for them, such as the data, in a sentence.
    pub fn images(&mut self, progress: &Progress) -> Result<Option<Images>> {
        if let Stage::View(run) = &self.stage
            && !report::makes_images(run.model())
        {
            return Ok(None);
        }
        self.preview.images(&self.gpu, progress)
    }

    /// The run as an earlier step found it, by replaying it; `None` where that was cancelled.
    ///
    /// # Errors
    /// What keeps the run from being replayed, in a sentence.
    pub fn past(
        &mut self,
        step: u64,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<Option<PastStep>> {
        let request = TensorRequest {
            tensor: selection.tensor.clone(),
            kind: selection.kind,
        };
        let dir = self.saved_dir()?;
        past::replay(&self.gpu, &dir, step, request, progress)
    }
}
