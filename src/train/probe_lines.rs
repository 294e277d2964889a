//! Probe lines: every single value of a tensor on the probe batch, step after step.
//!
//! Beside what a run records of a unit, its mean over the batch and the like, a question may need the unit on one sample at
//! one position. The steps are run again, and before each of them the probe batch goes through the network in evaluation.

use std::fmt;
use std::ops::Range;

use super::probe_batch::ProbedGraph;
use super::{Deviation, ReplayBuilder, Trainer};
use crate::gpu::Buffer;
use crate::nn::{Mode, NodeId, Plan, Segment};
use crate::tensor::TensorKind;
use crate::trace::UnitSeries;
use crate::{ByteSize, Error, Result};

/// Bytes of lines that are held in memory.
const MAX_BYTES: u64 = 2 << 30;
/// Bytes of lines that wait on the GPU before they are read back.
const MAX_WAITING: u64 = 64 << 20;

/// A tensor and the steps at which its values on the probe batch are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeLinesRequest {
    /// The name of the layer.
    pub tensor: String,
    /// [`TensorKind::Activation`], or [`TensorKind::Gradient`] of the loss on the probe batch.
    pub kind: TensorKind,
    /// The states before these steps.
    pub steps: Range<u64>,
}

/// The values of a tensor on the probe batch over some steps: one line for each sample, unit and position.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeLines {
    /// What was asked for.
    pub request: ProbeLinesRequest,
    /// The shape of a sample of the tensor.
    pub shape: Vec<usize>,
    /// Samples of the probe batch.
    pub samples: usize,
    /// `[lines, steps]`; lines are in the order of samples, then of elements. Empty once they were taken out.
    pub values: Vec<f32>,
    /// How far the steps are from the run's, where that was made on another adapter.
    pub deviation: Option<Deviation>,
}

/// Which value a line follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLine {
    /// The number of the sample in the data set.
    pub sample: usize,
    /// The unit: a channel of images, else an element.
    pub unit: usize,
    /// Row and column of an image's element.
    pub position: Option<[usize; 2]>,
}

impl fmt::Display for ProbeLine {
    /// `sample 10, channel 61, position 3,4`, or `sample 10, unit 61`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sample, unit, .. } = self;
        match self.position {
            Some([row, column]) => {
                write!(
                    f,
                    "sample {sample}, channel {unit}, position {row},{column}"
                )
            }
            None => write!(f, "sample {sample}, unit {unit}"),
        }
    }
}

impl ProbeLines {
    /// Runs the steps of a run again and keeps the values; `progress` hears of each step.
    ///
    /// # Errors
    /// The run does not have these steps or no checkpoint before them, its data are gone, it was made on another adapter,
    /// there is no such tensor, or the lines take too much memory.
    pub fn record(
        replay: ReplayBuilder<'_>,
        request: ProbeLinesRequest,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let mut trainer = replay.state_before_steps(&request.steps)?;
        let probe = ProbePlan::new(&trainer, &request)?;
        let lines = probe.tensor.len();
        let steps = (request.steps.end - request.steps.start) as usize;
        let bytes = (4 * lines as u64).saturating_mul(steps as u64);
        if bytes > MAX_BYTES {
            return Err(Error::usage(
                format!("{lines} lines of {steps} steps"),
                format!(
                    "they take {} of memory, the limit is {}",
                    ByteSize(bytes),
                    ByteSize(MAX_BYTES)
                ),
                "ask for fewer steps with --from and --to, or for a smaller tensor",
            ));
        }
        let gpu = trainer.gpu().clone();
        let at_once = ((MAX_WAITING / (4 * lines as u64)) as usize).clamp(1, steps);
        let waiting: Buffer<f32> = gpu.buffer("probe lines", at_once * lines)?;
        let mut values = vec![0.0; lines * steps];
        for index in 0..steps {
            let slot = index % at_once;
            gpu.run("probe lines", probe.plan.segment(probe.forward, false));
            if request.kind == TensorKind::Gradient {
                gpu.run("probe lines", probe.plan.segment(Segment::Backward, false));
            }
            let mut encoder = gpu.encoder("probe lines");
            let size = 4 * lines as u64;
            encoder.copy_buffer_to_buffer(
                probe.tensor.raw(),
                0,
                waiting.raw(),
                slot as u64 * size,
                size,
            );
            gpu.queue.submit([encoder.finish()]);
            if slot + 1 == at_once || index + 1 == steps {
                let read = gpu.read(&waiting)?;
                for (part, step) in read.chunks_exact(lines).zip(index - slot..=index) {
                    for (line, &value) in part.iter().enumerate() {
                        values[line * steps + step] = value;
                    }
                }
            }
            if index + 1 < steps {
                trainer.step(false)?;
                while trainer.take(trainer.is_full())?.is_some() {}
            }
            progress(request.steps.start + index as u64);
        }
        // Steps that are in flight are compared with the run's, too.
        while trainer.take(true)?.is_some() {}
        Ok(Self {
            request,
            shape: probe.shape,
            samples: probe.samples,
            values,
            deviation: trainer.deviation().cloned(),
        })
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.samples * self.shape.iter().product::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which value a line follows.
    pub fn line(&self, line: usize) -> ProbeLine {
        let size = self.shape.iter().product::<usize>().max(1);
        let (sample, element) = (line / size, line % size);
        match *self.shape {
            [_, height, width] => {
                let (unit, place) = (element / (height * width), element % (height * width));
                ProbeLine {
                    sample,
                    unit,
                    position: Some([place / width, place % width]),
                }
            }
            _ => ProbeLine {
                sample,
                unit: element,
                position: None,
            },
        }
    }

    /// Takes the lines out as series that can be sampled; what is left says which value each of them follows.
    pub fn take_series(&mut self) -> UnitSeries {
        UnitSeries {
            units: self.len(),
            steps: self.request.steps.clone().collect(),
            values: std::mem::take(&mut self.values),
        }
    }
}

/// A pass over the probe batch with the parameters of a trainer, as they are when it runs.
struct ProbePlan {
    plan: Plan,
    forward: Segment,
    /// The wanted values.
    tensor: Buffer<f32>,
    shape: Vec<usize>,
    samples: usize,
}

impl ProbePlan {
    fn new(trainer: &Trainer, request: &ProbeLinesRequest) -> Result<Self> {
        let kind = request.kind;
        if !matches!(kind, TensorKind::Activation | TensorKind::Gradient) {
            return Err(Error::usage(
                format!("--kind {}", kind.name()),
                "parameters have one value for all samples",
                "ask for an activation or a gradient, or leave --per out",
            ));
        }
        let graphs = ProbedGraph::all(trainer)?;
        let found = graphs
            .iter()
            .find_map(|graph| Some((graph, wanted(graph, &request.tensor)?)));
        let Some((graph, node)) = found else {
            return Err(unknown(&request.tensor, &graphs));
        };
        let batch = graph.batch(trainer)?;
        let mut plan = Plan::request(graph, batch.count)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed)
            .parameter_gradients(false)
            .split_after(node)
            .keep_value(node);
        if kind == TensorKind::Gradient {
            let loss = graph.loss.ok_or_else(|| {
                Error::usage(
                    format!("--kind gradient of {}", request.tensor),
                    "a generator alone has no loss, so there is no gradient of single samples",
                    "ask for its activation, or for a layer of the discriminator",
                )
            })?;
            plan = plan.loss(loss).wrt(node);
        }
        let plan = plan.build(trainer.gpu(), &trainer.parameters_of_all())?;
        let input = plan.value(graph.input).expect("inputs are kept");
        trainer.gpu().write(input, 0, &batch.samples);
        batch.write_labels(trainer, &plan, 1);
        let (forward, tensor) = match kind {
            TensorKind::Gradient => (Segment::Forward, plan.gradient(node)),
            _ => (Segment::ForwardTo(node), plan.value(node)),
        };
        Ok(Self {
            forward,
            tensor: tensor.expect("asked for").clone(),
            shape: graph.node(node).shape.clone(),
            samples: batch.count,
            plan,
        })
    }
}

/// The node of a name whose values are worth a line.
fn wanted(graph: &ProbedGraph<'_>, name: &str) -> Option<NodeId> {
    let node = graph.find(name)?;
    graph.node(node).operation.is_some().then_some(node)
}

fn unknown(tensor: &str, graphs: &[ProbedGraph<'_>]) -> Error {
    let mut names: Vec<&str> = Vec::new();
    for node in graphs.iter().flat_map(|graph| graph.nodes()) {
        if node.operation.is_some() && !names.contains(&node.name.as_str()) {
            names.push(&node.name);
        }
    }
    Error::usage(
        format!("--tensor {tensor}"),
        "the model has no such layer",
        format!("choose one of: {}", names.join(", ")),
    )
}
