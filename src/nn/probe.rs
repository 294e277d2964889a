//! Probes: what looks at a training step while it runs, without changing a bit of it.
//!
//! A probe is asked while the dispatches of a step are put together, in the order in which they will run, and answers
//! with dispatches of its own: statistics of every unit, copies of single tensors, whatever an analysis needs. Steps that
//! are not probed run without them.

use super::description::GraphDescription;
use super::graph::{Graph, NodeId};
use super::loss::Loss;
use super::optimizer::OptimizerState;
use super::parameters::Parameters;
use super::plan::ProbeEvent;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::tensor::TensorKind;

/// One run of a graph within a training step. A GAN's discriminator runs three times in one step: on real images, on
/// generated ones, and within the generator's pass.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// What it is called among the passes of its model.
    pub name: &'a str,
    /// The graph that runs.
    pub graph: &'a Graph,
    /// What is minimized and measured in it.
    pub loss: &'a Loss,
    /// Follows the names of the graph's tensors, such as `@generated`, so that no two tensors of a step share a name.
    pub suffix: &'a str,
    /// The part of the graph that another pass already covers: the nodes after this one, and the suffix of their
    /// names.
    pub repeated: Option<(NodeId, &'a str)>,
    /// Turns bits of the run's seed, for noise of its own where a graph runs more than once in a step.
    pub seed_bits: u64,
}

impl<'a> Pass<'a> {
    /// The only pass of a graph.
    pub fn new(name: &'a str, graph: &'a Graph, loss: &'a Loss) -> Self {
        Self {
            name,
            graph,
            loss,
            suffix: "",
            repeated: None,
            seed_bits: 0,
        }
    }

    /// The name of a node's tensors among all tensors of the step.
    pub fn tensor_name(&self, node: NodeId) -> String {
        let suffix = match self.repeated {
            Some((last, suffix)) if node > last => suffix,
            _ => self.suffix,
        };
        format!("{}{suffix}", self.graph.node(node).name)
    }

    /// The pass in words.
    pub fn describe(&self) -> GraphDescription {
        GraphDescription {
            suffix: self.suffix.to_owned(),
            ..self.graph.describe(self.name, self.loss)
        }
    }

    /// Whether a node belongs to the part that another pass covers; the statistics of a run leave it out.
    pub fn is_repeated(&self, node: NodeId) -> bool {
        self.repeated.is_some_and(|(last, _)| node > last)
    }
}

/// When the parameters of a network are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterStage {
    /// Before anything of the step has run.
    StepStart,
    /// The gradients are complete and not clipped yet; the values are still those of the step's start.
    BeforeUpdate,
    /// The values are updated. What the optimizer added to each lies in the place of its gradient.
    AfterUpdate,
}

/// The parameters of a network at one stage of a step.
#[derive(Debug, Clone, Copy)]
pub struct ParameterView<'a> {
    /// A graph that uses them.
    pub graph: &'a Graph,
    /// Values and gradients.
    pub parameters: &'a Parameters,
    /// What the optimizer remembers.
    pub state: &'a OptimizerState,
    /// When.
    pub stage: ParameterStage,
}

/// A tensor that returns from the GPU with the record of each probed step.
#[derive(Debug, Clone)]
pub struct ProbeOutput {
    /// Its name in the record.
    pub name: String,
    /// Its shape; of a batch `[batch, ...shape]`.
    pub shape: Vec<usize>,
    /// Where the step leaves it.
    pub buffer: Buffer<f32>,
}

/// Looks at tensors and parameters of a training step.
///
/// The methods are called once, while the step is built; the dispatches they return run in every probed step. What a probe
/// wants to keep it copies or reduces into buffers of its own: a step's tensors share memory and are overwritten.
pub trait Probe: Send {
    /// A tensor of `pass` is complete, or a buffer is about to be overwritten: returns what is to run there.
    ///
    /// # Errors
    /// The adapter's limits.
    fn event(&mut self, gpu: &Gpu, pass: &Pass<'_>, event: ProbeEvent<'_>)
    -> Result<Vec<Dispatch>>;

    /// A network's parameters have reached a stage: returns what is to run there.
    ///
    /// # Errors
    /// The adapter's limits.
    fn parameters(&mut self, _gpu: &Gpu, _view: ParameterView<'_>) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    /// Some steps do not compute these tensors (a GAN's generator is not updated in each step), and show no weights before
    /// an update either: returns what sets to zero there what the probe keeps of them.
    ///
    /// # Errors
    /// The adapter's limits.
    fn skipped(&mut self, _gpu: &Gpu, _tensors: &[(String, TensorKind)]) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }

    /// What returns from the GPU with the record of each probed step. Everything else stays there.
    fn outputs(&self) -> Vec<ProbeOutput> {
        Vec::new()
    }

    /// Whether the step had all that the probe was asked for, once it is built.
    ///
    /// # Errors
    /// It had not: names what is missing.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}
