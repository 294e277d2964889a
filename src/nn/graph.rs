//! What is computed: nodes in the order of computation, with shapes inferred as they are added.

use serde::{Deserialize, Serialize};

use super::Initialization;
use super::operation::{Operation, ShapeError, elements};
use crate::{Error, Result};

/// A node of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) usize);

impl NodeId {
    /// Its index in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a node means to its model. Analyses and views look for roles, never for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The samples of the batch.
    Input,
    /// Their classes, one `u32` per sample.
    Label,
    /// The means of a VAE's approximate posterior; one node for each latent layer, that of the layer next to the samples
    /// first.
    LatentMean,
    /// The logarithms of its variances, before any bound.
    LatentLogVariance,
    /// The means of a prior that is learned: that of a VAE's first latent layer, given the second.
    PriorMean,
    /// The logarithms of its variances, before any bound.
    PriorLogVariance,
    /// The latent vector: a draw from the posterior or from the prior.
    Latent,
    /// What a loss on logits reads.
    Logits,
    /// What a loss on probabilities reads.
    Probabilities,
    /// Images that a generative model makes.
    Image,
    /// The logarithms of the variances that a decoder gives to its pixels.
    ImageLogVariance,
    /// A discriminator's score, one number per sample.
    Score,
    /// A loss, one number per sample.
    Loss,
    /// A number per sample that is recorded and not trained on.
    Metric,
}

/// A tensor and the operation that makes it.
#[derive(Debug)]
pub struct Node {
    /// Its name; parameters and recorded tensors are named after it.
    pub name: String,
    /// The operation; `None` for an input.
    pub operation: Option<Box<dyn Operation>>,
    /// What it is made from.
    pub inputs: Vec<NodeId>,
    /// Per-sample shape.
    pub shape: Vec<usize>,
    /// Its parameters and its state, as indices of [`Graph::parameters`].
    pub parameters: Vec<usize>,
    /// What it means to its model, where that is known.
    pub role: Option<Role>,
}

impl Node {
    /// Elements per sample.
    pub fn size(&self) -> usize {
        elements(&self.shape)
    }
}

/// A tensor that is kept from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `node.weight`, as PyTorch names it.
    pub name: String,
    /// Shape in PyTorch's layout.
    pub shape: Vec<usize>,
    /// How it starts.
    pub initialization: Initialization,
    /// Whether it is learned; else it is state that its operation's forward pass keeps, such as running statistics.
    pub trainable: bool,
    /// Whether it keeps its first values although it is learned otherwise ([`Graph::freeze`]).
    pub frozen: bool,
}

impl Parameter {
    /// Elements.
    pub fn size(&self) -> usize {
        elements(&self.shape)
    }

    /// Whether an optimizer updates it.
    pub fn is_updated(&self) -> bool {
        self.trainable && !self.frozen
    }
}

/// Nodes in the order of computation, and the parameters and state that they have. What is minimized is a
/// [`Loss`](super::Loss) beside it.
///
/// # Examples
/// ```
/// use trainscope::nn::losses::SoftmaxCrossEntropy;
/// use trainscope::nn::ops::{Activation, Dense};
/// use trainscope::nn::{Graph, Loss};
///
/// # fn main() -> trainscope::Result<()> {
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[784]);
/// let label = graph.input("label", &[]);
/// let hidden = graph.add("hidden", Dense::new(100), &[x])?;
/// let hidden = graph.add("relu", Activation::Relu, &[hidden])?;
/// let logits = graph.add("logits", Dense::new(10), &[hidden])?;
/// let cross_entropy = graph.add("cross_entropy", SoftmaxCrossEntropy::default(), &[logits, label])?;
///
/// let mut loss = Loss::new();
/// loss.add(&graph, "cross_entropy", cross_entropy, 1.0)?;
///
/// assert_eq!(graph.node(logits).shape, [10]);
/// assert_eq!(graph.parameters()[0].name, "hidden.weight");
/// assert_eq!(graph.parameters()[0].shape, [100, 784]);
/// // Shapes are checked when a node is added: a label is one number per sample.
/// assert!(graph.add("wrong", SoftmaxCrossEntropy::default(), &[logits, x]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Parameter>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input of a per-sample shape; `[]` is one number per sample.
    ///
    /// # Panics
    /// The name is taken.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> NodeId {
        assert!(self.find(name).is_none(), "input '{name}' is already there");
        self.nodes.push(Node {
            name: name.to_owned(),
            operation: None,
            inputs: Vec::new(),
            shape: shape.to_vec(),
            parameters: Vec::new(),
            role: None,
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// The inputs do not fit the operation, or the name is taken; the message names the layer, what came in and
    /// what it needs.
    pub fn add(
        &mut self,
        name: &str,
        operation: impl Operation + 'static,
        inputs: &[NodeId],
    ) -> Result<NodeId> {
        self.add_boxed(name, Box::new(operation), inputs)
    }

    /// Adds a chain of modules after `input`, named `name.0`, `name.1`, ... as PyTorch's `Sequential` counts them, and
    /// returns the last.
    ///
    /// # Errors
    /// As [`Graph::add`].
    pub fn sequential<M: Module>(
        &mut self,
        name: &str,
        modules: impl IntoIterator<Item = M>,
        input: NodeId,
    ) -> Result<NodeId> {
        let mut modules = modules.into_iter().enumerate();
        modules.try_fold(input, |node, (index, module)| {
            module.add_to(self, &format!("{name}.{index}"), node)
        })
    }

    /// [`Graph::add`] of an operation whose type is not known.
    ///
    /// # Errors
    /// As there.
    pub fn add_boxed(
        &mut self,
        name: &str,
        operation: Box<dyn Operation>,
        inputs: &[NodeId],
    ) -> Result<NodeId> {
        let context = format!("layer {name} ({})", operation.kind());
        if self.find(name).is_some() {
            return Err(Error::input(context, "the name is taken", "choose another"));
        }
        let shapes: Vec<&[usize]> = inputs
            .iter()
            .map(|input| self.nodes[input.0].shape.as_slice())
            .collect();
        let misfit = |misfit: ShapeError| {
            Error::shape(
                context.clone(),
                format!("got {}", misfit.got),
                format!("it needs {}", misfit.needs),
            )
        };
        let shape = operation.output_shape(&shapes).map_err(misfit)?;
        // Indices in shaders are 32 bits wide; this bound keeps every later product in range.
        let size = shape
            .iter()
            .try_fold(1usize, |product, &d| product.checked_mul(d));
        if size.is_none_or(|size| size == 0 || size > 1 << 28) {
            return Err(misfit(ShapeError::new(
                format!("an output shape of {shape:?}"),
                "between 1 and 268,435,456 elements",
            )));
        }
        let trainable = operation
            .parameters(&shapes)
            .into_iter()
            .map(|spec| (spec, true));
        let state = operation
            .buffers(&shapes)
            .into_iter()
            .map(|spec| (spec, false));
        let specs: Vec<_> = trainable.chain(state).collect();
        let first = self.parameters.len();
        for (spec, trainable) in specs {
            self.parameters.push(Parameter {
                name: format!("{name}.{}", spec.name),
                shape: spec.shape,
                initialization: spec.initialization,
                trainable,
                frozen: false,
            });
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            operation: Some(operation),
            inputs: inputs.to_vec(),
            shape,
            parameters: (first..self.parameters.len()).collect(),
            role: None,
        });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// All nodes, in the order of computation.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The identifiers of all nodes, in the order of computation.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Says what a node means to its model.
    pub fn set_role(&mut self, id: NodeId, role: Role) {
        self.nodes[id.0].role = Some(role);
    }

    /// Freezes what is learned of the node `name`, and of all nodes whose names begin with it and a dot: optimizers leave it
    /// as it is, and no gradients of it are computed. State, such as running statistics, goes on. Returns the number of
    /// parameters that are frozen by that.
    pub fn freeze(&mut self, name: &str) -> usize {
        let is_meant = |node: &&Node| {
            let rest = node.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let meant = self.nodes.iter().filter(is_meant);
        let mut count = 0;
        for &index in meant.flat_map(|node| &node.parameters) {
            let parameter = &mut self.parameters[index];
            count += usize::from(parameter.is_updated());
            parameter.frozen = parameter.trainable;
        }
        count
    }

    /// Whether something that an optimizer updates belongs to a node.
    pub fn is_updated(&self, id: NodeId) -> bool {
        let mut parameters = self.nodes[id.0].parameters.iter();
        parameters.any(|&index| self.parameters[index].is_updated())
    }

    /// Whether a node has learned parameters, and all of them are frozen.
    pub fn is_frozen(&self, id: NodeId) -> bool {
        let mut parameters = self.nodes[id.0].parameters.iter();
        parameters.any(|&index| self.parameters[index].frozen) && !self.is_updated(id)
    }

    /// The first node of a role.
    pub fn with_role(&self, role: Role) -> Option<NodeId> {
        let nodes = &self.nodes;
        nodes.iter().position(|n| n.role == Some(role)).map(NodeId)
    }

    /// The per-sample shapes of some nodes.
    pub(crate) fn shapes(&self, nodes: &[NodeId]) -> Vec<&[usize]> {
        nodes.iter().map(|id| &self.node(*id).shape[..]).collect()
    }

    /// All parameters, in the order of their nodes; of each node first what is trainable, then its state.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name).map(NodeId)
    }
}

/// A part of a graph with one input and one output: an operation, or several such as a residual block.
pub trait Module {
    /// Adds it after `input` and returns its output. Its last node is called `name`, others begin with that name and a dot.
    ///
    /// # Errors
    /// It does not fit what comes before it, or the name is taken.
    fn add_to(self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId>;
}

impl<O: Operation + 'static> Module for O {
    fn add_to(self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId> {
        graph.add(name, self, &[input])
    }
}

impl Module for Box<dyn Operation> {
    fn add_to(self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId> {
        graph.add_boxed(name, self, &[input])
    }
}
