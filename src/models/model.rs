//! What a model is: graphs, the step that trains them, and what it can show of itself.

use std::fmt;

use super::preview::{Decoder, Reconstructor};
use super::step_builder::StepBuilder;
use super::train_step::{TrainConfig, TrainStep};
use super::validation::Validation;
use crate::Result;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::nn::{Graph, Pass};

/// What a model has to know of the data that it is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataShape {
    /// Channels, height and width of a sample.
    pub sample: [usize; 3],
    /// Classes of the labels; 0 without labels.
    pub classes: usize,
}

/// A model that trainscope trains, records, resumes, replays and analyzes. The built-in ones implement it, and so may a
/// user's own: [`super::Supervised`] is all it takes for one graph with one loss.
///
/// A model is built anew whenever its run is resumed or replayed, so it must be a function of its configuration alone.
pub trait Model: fmt::Debug + Send + Sync {
    /// What kind of model it is, in one word for messages.
    fn kind(&self) -> &str;

    /// Its graphs, each once for each time that a step runs it, the most telling one first.
    fn passes(&self) -> Vec<Pass<'_>>;

    /// The graphs whose parameters it trains and all that run through them, so that layers can be frozen; without them a
    /// scenario cannot freeze layers of this model.
    fn graphs_mut(&mut self) -> Vec<&mut Graph> {
        Vec::new()
    }

    /// Whether a batch needs labels.
    fn needs_labels(&self) -> bool;

    /// Adds what [`Model::train_step`] will allocate.
    fn estimate_memory(
        &self,
        profile: &AdapterProfile,
        config: &TrainConfig,
        estimate: &mut MemoryEstimate,
    );

    /// Builds its training step.
    ///
    /// # Errors
    /// The adapter's limits, or a probe fails.
    fn train_step(&self, builder: &mut StepBuilder<'_>) -> Result<TrainStep>;

    /// What is measured on samples that training does not see; nothing unless the model says so.
    fn validation(&self) -> Option<Validation<'_>> {
        None
    }

    /// Of a generative model, the graph that makes samples from latent vectors.
    ///
    /// # Errors
    /// Layers do not fit each other.
    fn decoder(&self) -> Result<Option<Decoder>> {
        Ok(None)
    }

    /// Of a model that reconstructs its input, the graph that does so without noise.
    ///
    /// # Errors
    /// Layers do not fit each other.
    fn reconstructor(&self) -> Result<Option<Reconstructor>> {
        Ok(None)
    }
}
