//! A probe that copies whole tensors of a step, every sample of them.

use crate::gpu::{Dispatch, Gpu};
use crate::nn::{
    ParameterStage, ParameterView, Pass, Probe, ProbeEvent, ProbeOutput, Role, vectors,
};
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// A tensor that is asked for: its name and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorRequest {
    /// The name of the layer or parameter; in a GAN's step `discriminator.0@generated` is the discriminator on generated
    /// images and `discriminator.0@generator` the one within the generator's pass.
    pub tensor: String,
    /// Which of its tensors.
    pub kind: TensorKind,
}

impl TensorRequest {
    /// Reads `TENSOR`, which asks for the activation, or `TENSOR:KIND`.
    ///
    /// # Errors
    /// The kind is none of `activation`, `gradient`, `weight` and `update`, or the name is empty.
    pub fn parse(text: &str) -> Result<Self> {
        let (tensor, kind) = text.rsplit_once(':').unwrap_or((text, "activation"));
        let kinds = TensorKind::ALL;
        let found = kinds.into_iter().find(|known| known.name() == kind);
        match found {
            Some(kind) if !tensor.is_empty() => Ok(Self {
                tensor: tensor.to_owned(),
                kind,
            }),
            _ => Err(Error::usage(
                format!("--probe {text}"),
                "not the name of a tensor and its kind",
                "write TENSOR or TENSOR:KIND, where KIND is activation, gradient, weight or update",
            )),
        }
    }
}

impl std::fmt::Display for TensorRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tensor, self.kind.name())
    }
}

/// Copies the requested tensors of each probed step. They return with the step's record as `<tensor>/<kind>`, of shape
/// `[batch, ...shape]`; parameters in PyTorch's shape.
#[derive(Debug)]
pub struct TensorCapture {
    requests: Vec<TensorRequest>,
    outputs: Vec<(TensorRequest, ProbeOutput)>,
    /// Names and kinds of all that the step has, for messages.
    known: Vec<TensorRequest>,
}

impl TensorCapture {
    /// A probe of some tensors.
    pub fn new(requests: impl IntoIterator<Item = TensorRequest>) -> Self {
        Self {
            requests: requests.into_iter().collect(),
            outputs: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Whether the tensor is wanted; notes that there is one of that name.
    fn wants(&mut self, found: &TensorRequest) -> bool {
        self.known.push(found.clone());
        self.requests.contains(found)
    }

    fn output(&mut self, gpu: &Gpu, found: TensorRequest, shape: Vec<usize>) -> Result<usize> {
        let len = shape.iter().product();
        let output = ProbeOutput {
            name: found.to_string(),
            buffer: gpu.buffer("captured tensor", len)?,
            shape,
        };
        self.outputs.push((found, output));
        Ok(self.outputs.len() - 1)
    }
}

impl Probe for TensorCapture {
    fn event(
        &mut self,
        gpu: &Gpu,
        pass: &Pass<'_>,
        event: ProbeEvent<'_>,
    ) -> Result<Vec<Dispatch>> {
        let ProbeEvent::TensorReady(view) = event else {
            return Ok(Vec::new());
        };
        // Labels are whole numbers in the buffer's bits; the numbers of the batch's samples stand for them.
        if pass.graph.node(view.node).role == Some(Role::Label) {
            return Ok(Vec::new());
        }
        let found = TensorRequest {
            tensor: pass.tensor_name(view.node),
            kind: view.kind,
        };
        if !self.wants(&found) {
            return Ok(Vec::new());
        }
        let shape = [&[view.batch], view.shape].concat();
        let index = self.output(gpu, found, shape)?;
        let (target, source) = (&self.outputs[index].1.buffer, view.buffer);
        let range = 0..target.len();
        Ok(vec![vectors::copy(
            gpu,
            target.binding(),
            source.binding(),
            range,
        )])
    }

    fn parameters(&mut self, gpu: &Gpu, view: ParameterView<'_>) -> Result<Vec<Dispatch>> {
        let kind = match view.stage {
            ParameterStage::StepStart => TensorKind::Weight,
            ParameterStage::BeforeUpdate => return Ok(Vec::new()),
            ParameterStage::AfterUpdate => TensorKind::Update,
        };
        let mut dispatches = Vec::new();
        for parameter in view.graph.parameters() {
            let has_update = parameter.is_updated() || kind == TensorKind::Weight;
            let slice = view
                .parameters
                .slice(&parameter.name)
                .filter(|_| has_update);
            let found = TensorRequest {
                tensor: parameter.name.clone(),
                kind,
            };
            let Some(slice) = slice.filter(|_| self.wants(&found)) else {
                continue;
            };
            let index = self.output(gpu, found, parameter.shape.clone())?;
            let target = self.outputs[index].1.buffer.binding();
            let source = match kind {
                TensorKind::Weight => slice.value(),
                _ => slice.gradient(),
            };
            dispatches.push(vectors::copy(gpu, target, source, 0..slice.len));
        }
        Ok(dispatches)
    }

    fn skipped(&mut self, gpu: &Gpu, tensors: &[(String, TensorKind)]) -> Result<Vec<Dispatch>> {
        let outputs = self.outputs.iter();
        // Weights are captured at the start of every step, whether or not it updates them.
        let skipped = outputs.filter(|(found, _)| {
            let is_it =
                |(name, kind): &(String, TensorKind)| *name == found.tensor && *kind == found.kind;
            found.kind != TensorKind::Weight && tensors.iter().any(is_it)
        });
        let fill = |buffer: &crate::gpu::Buffer<f32>| {
            vectors::fill(gpu, buffer.binding(), 0..buffer.len(), 0.0)
        };
        Ok(skipped.map(|(_, output)| fill(&output.buffer)).collect())
    }

    fn outputs(&self) -> Vec<ProbeOutput> {
        self.outputs
            .iter()
            .map(|(_, output)| output.clone())
            .collect()
    }

    fn check(&self) -> Result<()> {
        let is_missing = |request: &&TensorRequest| !self.known.contains(request);
        let Some(missing) = self.requests.iter().find(is_missing) else {
            return Ok(());
        };
        let mut of_name = self
            .known
            .iter()
            .filter(|known| known.tensor == missing.tensor);
        let kind = missing.kind.name();
        let context = format!("tensor '{}'", missing.tensor);
        if let Some(other) = of_name.next() {
            let problem = format!("a training step computes no {kind} of it");
            return Err(Error::usage(
                context,
                problem,
                format!("probe its {}", other.kind.name()),
            ));
        }
        let of_kind = self.known.iter().filter(|known| known.kind == missing.kind);
        let names: Vec<_> = of_kind.map(|known| known.tensor.as_str()).collect();
        Err(Error::usage(
            context,
            format!("the model has no {kind} of that name"),
            format!("choose one of: {}", names.join(", ")),
        ))
    }
}
