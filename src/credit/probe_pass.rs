//! The probe batch in evaluation, up to a layer: with the parameters after a step, and for running statistics with those
//! of the steps crossed.

use super::capture::{CapturedNetwork, CapturedPass};
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Mode, Parameters, Pass, Plan, Role, Segment, vectors};
use crate::train::Trainer;

/// Turns the seed of a run into that of the latent vectors of the probe batch.
const PROBE_SEED_BIT: u64 = 1 << 62;

/// The probe batch on its way to a layer.
#[derive(Debug)]
pub(super) struct ProbePass {
    /// Samples in it.
    pub samples: usize,
    /// What enters the layer, as of the last pass.
    pub input: Buffer<f32>,
    /// The same after the step before.
    pub input_before: Buffer<f32>,
    /// What comes out of the layer.
    pub output: Buffer<f32>,
    pass: Vec<Dispatch>,
    crossed: Option<Crossed>,
    take_live: Dispatch,
    keep_input: Dispatch,
}

/// The layer's input with learned parameters of one end of the step and state of the other.
#[derive(Debug)]
pub(super) struct Crossed {
    /// Learned parameters of the start, state of the end.
    pub later_state: Buffer<f32>,
    /// Learned parameters of the end, state of the start.
    pub earlier_state: Buffer<f32>,
    mix: [[Dispatch; 2]; 2],
    keep: [Dispatch; 2],
}

impl ProbePass {
    /// The pass of the network that `trainer` trains, in the first pass that trains the layer.
    pub fn new(
        trainer: &Trainer,
        pass: &Pass<'_>,
        captured: &CapturedPass,
        network: &CapturedNetwork,
        others: &[Parameters],
    ) -> Result<Self> {
        let gpu = trainer.gpu();
        let dataset = trainer.dataset();
        let samples = trainer.scenario().record.probe_batch.min(dataset.count());
        let (graph, cut) = (pass.graph, &captured.cut);
        let own = network
            .live
            .with_own_values(gpu, "parameters of the probe")?;
        let both = with_others(own.clone(), others);
        let plan = Plan::request(graph, samples)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed ^ PROBE_SEED_BIT)
            .parameter_gradients(false)
            .split_after(cut.layer)
            .keep_value(cut.layer)
            .keep_value(cut.input)
            .build(gpu, &both)?;
        let inputs = graph.ids().filter(|&id| graph.node(id).operation.is_none());
        let (labels, images): (Vec<_>, Vec<_>) =
            inputs.partition(|&id| graph.node(id).role == Some(Role::Label));
        if let Some(&image) = images.first() {
            let indices: Vec<u32> = (0..samples as u32).collect();
            let value = |id| plan.value(id).expect("inputs are kept");
            let labels = labels.first().map(|&label| value(label).cast());
            let gather = dataset.gather_indices(gpu, &indices, value(image), labels.as_ref())?;
            gpu.run("probe batch", &gather);
        }
        let input = plan.value(cut.input).expect("kept").clone();
        let whole = 0..input.len();
        let input_before = gpu.buffer("input of the layer before", input.len())?;
        let has_state = graph.nodes()[..=cut.input.index()].iter().any(|node| {
            let mut parameters = node.parameters.iter();
            parameters.any(|&index| !graph.parameters()[index].trainable)
        });
        let crossed = has_state.then(|| Crossed::new(gpu, &own, network, &input));
        let copy = |to: &Buffer<f32>, from: &Buffer<f32>, range| {
            vectors::copy(gpu, to.binding(), from.binding(), range)
        };
        Ok(Self {
            samples,
            keep_input: copy(&input_before, &input, whole),
            take_live: copy(&own.values, &network.live.values, 0..own.values.len()),
            pass: plan
                .segment(Segment::ForwardTo(cut.layer), false)
                .cloned()
                .collect(),
            output: plan.value(cut.layer).expect("kept").clone(),
            crossed: crossed.transpose()?,
            input,
            input_before,
        })
    }

    /// Runs it with the parameters as they are.
    pub fn refresh(&self, gpu: &Gpu) {
        gpu.run("probe", std::iter::once(&self.take_live).chain(&self.pass));
    }

    /// Runs it after another step; the last pass was of the parameters at the start of that step.
    pub fn advance(&self, gpu: &Gpu) {
        gpu.run("probe before", [&self.keep_input]);
        for (mix, keep) in self.crossed.iter().flat_map(Crossed::passes) {
            gpu.run("crossed probe", mix.iter().chain(&self.pass).chain([keep]));
        }
        self.refresh(gpu);
    }

    /// The crossed inputs, where the network before the layer has a state.
    pub fn crossed(&self) -> Option<&Crossed> {
        self.crossed.as_ref()
    }
}

impl Crossed {
    fn new(
        gpu: &Gpu,
        own: &Parameters,
        network: &CapturedNetwork,
        input: &Buffer<f32>,
    ) -> Result<Self> {
        let learned = 0..own.trainable_len();
        let state = own.trainable_len()..own.values.len();
        let [start, live] = [&network.start.values, &network.live.values];
        let take = |from: &Buffer<f32>, range: &std::ops::Range<usize>| {
            vectors::copy(gpu, own.values.binding(), from.binding(), range.clone())
        };
        let [later_state, earlier_state] = [
            gpu.buffer("later state", input.len())?,
            gpu.buffer("earlier state", input.len())?,
        ];
        let keep =
            |to: &Buffer<f32>| vectors::copy(gpu, to.binding(), input.binding(), 0..input.len());
        Ok(Self {
            mix: [
                [take(start, &learned), take(live, &state)],
                [take(live, &learned), take(start, &state)],
            ],
            keep: [keep(&later_state), keep(&earlier_state)],
            later_state,
            earlier_state,
        })
    }

    fn passes(&self) -> impl Iterator<Item = (&[Dispatch; 2], &Dispatch)> {
        self.mix.iter().zip(&self.keep)
    }
}

/// Parameters, and behind them those of the other networks.
pub(super) fn with_others(parameters: Parameters, others: &[Parameters]) -> Parameters {
    let mut chain: Option<Parameters> = None;
    for other in others.iter().rev().cloned() {
        chain = Some(match chain {
            None => other,
            Some(rest) => other.with_fallback(rest),
        });
    }
    match chain {
        None => parameters,
        Some(rest) => parameters.with_fallback(rest),
    }
}
