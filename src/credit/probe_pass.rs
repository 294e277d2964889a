//! The probe batch in evaluation, up to a layer: with the parameters after a step, and for running statistics with those
//! of the steps crossed.

use std::collections::{BTreeSet, HashMap};

use super::capture::{CapturedNetwork, CapturedPass};
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Graph, Mode, NodeId, Parameters, Pass, Plan, Role, Segment, vectors};
use crate::train::Trainer;

/// Turns the seed of a run into that of the latent vectors of the probe batch.
pub(super) const PROBE_SEED_BIT: u64 = 1 << 62;

/// The probe batch on its way to a layer.
#[derive(Debug)]
pub(super) struct ProbePass {
    /// Samples in it.
    pub samples: usize,
    /// What comes out of the layer.
    pub output: Buffer<f32>,
    ends: HashMap<NodeId, Ends>,
    pass: Vec<Dispatch>,
    take_live: Dispatch,
    /// Keeps all values as those before.
    keep: Vec<Dispatch>,
    crossed: Vec<CrossedPass>,
}

/// The values of a node at both ends of a step.
#[derive(Debug)]
pub(super) struct Ends {
    /// As of the last pass.
    pub now: Buffer<f32>,
    /// After the step before.
    pub before: Buffer<f32>,
    /// Where the network before the node has a state.
    pub crossed: Option<Crossed>,
}

/// Values with learned parameters of one end of the step and state of the other.
#[derive(Debug)]
pub(super) struct Crossed {
    /// Learned parameters of the start, state of the end.
    pub later_state: Buffer<f32>,
    /// Learned parameters of the end, state of the start.
    pub earlier_state: Buffer<f32>,
}

/// A pass with crossed parameters.
#[derive(Debug)]
struct CrossedPass {
    mix: [Dispatch; 2],
    keep: Vec<Dispatch>,
}

impl ProbePass {
    /// The pass of the network that `trainer` trains, in the first pass that trains the layer. Beside the layer's input the
    /// values of the nodes `kept` can be asked for.
    pub fn new(
        trainer: &Trainer,
        pass: &Pass<'_>,
        captured: &CapturedPass,
        (network, others): (&CapturedNetwork, &[Parameters]),
        kept: &[NodeId],
    ) -> Result<Self> {
        let gpu = trainer.gpu();
        let dataset = trainer.dataset();
        let samples = trainer.scenario().record.probe_batch.min(dataset.count());
        let (graph, cut) = (pass.graph, &captured.cut);
        let own = network
            .live
            .with_own_values(gpu, "parameters of the probe")?;
        let both = with_others(own.clone(), others);
        let mut request = Plan::request(graph, samples)
            .mode(Mode::Eval)
            .seed(trainer.scenario().seed ^ PROBE_SEED_BIT)
            .parameter_gradients(false)
            .split_after(cut.layer)
            .keep_value(cut.layer);
        let kept: BTreeSet<NodeId> = kept.iter().copied().chain([cut.input]).collect();
        for &id in &kept {
            request = request.keep_value(id);
        }
        let plan = request.build(gpu, &both)?;
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
        let copy = |to: &Buffer<f32>, from: &Buffer<f32>| {
            vectors::copy(gpu, to.binding(), from.binding(), 0..from.len())
        };
        let mut ends = HashMap::new();
        let mut keep = Vec::new();
        let mut crossed = Vec::new();
        for &id in &kept {
            let now = plan.value(id).expect("kept").clone();
            if graph.node(id).operation.is_none() {
                let before = now.clone();
                let crossed = None;
                ends.insert(
                    id,
                    Ends {
                        now,
                        before,
                        crossed,
                    },
                );
                continue;
            }
            let before = gpu.buffer("values before", now.len())?;
            keep.push(copy(&before, &now));
            let mut of_node = None;
            if has_state_up_to(graph, id) {
                if crossed.is_empty() {
                    crossed = CrossedPass::both(gpu, &own, network);
                }
                let [later_state, earlier_state] = [
                    gpu.buffer("later state", now.len())?,
                    gpu.buffer("earlier state", now.len())?,
                ];
                crossed[0].keep.push(copy(&later_state, &now));
                crossed[1].keep.push(copy(&earlier_state, &now));
                of_node = Some(Crossed {
                    later_state,
                    earlier_state,
                });
            }
            let crossed = of_node;
            ends.insert(
                id,
                Ends {
                    now,
                    before,
                    crossed,
                },
            );
        }
        Ok(Self {
            samples,
            keep,
            take_live: copy(&own.values, &network.live.values),
            pass: plan
                .segment(Segment::ForwardTo(cut.layer), false)
                .cloned()
                .collect(),
            output: plan.value(cut.layer).expect("kept").clone(),
            ends,
            crossed,
        })
    }

    /// Runs it with the parameters as they are.
    pub fn refresh(&self, gpu: &Gpu) {
        gpu.run("probe", std::iter::once(&self.take_live).chain(&self.pass));
    }

    /// Runs it after another step; the last pass was of the parameters at the start of that step.
    pub fn advance(&self, gpu: &Gpu) {
        gpu.run("probe before", &self.keep);
        for CrossedPass { mix, keep } in &self.crossed {
            gpu.run("crossed probe", mix.iter().chain(&self.pass).chain(keep));
        }
        self.refresh(gpu);
    }

    /// The values of a node that is kept.
    pub fn ends(&self, node: NodeId) -> &Ends {
        &self.ends[&node]
    }
}

/// Whether an operation up to a node has a state.
fn has_state_up_to(graph: &Graph, node: NodeId) -> bool {
    graph.nodes()[..=node.index()].iter().any(|node| {
        let mut parameters = node.parameters.iter();
        parameters.any(|&index| !graph.parameters()[index].trainable)
    })
}

impl CrossedPass {
    /// With the later state, and with the earlier one.
    fn both(gpu: &Gpu, own: &Parameters, network: &CapturedNetwork) -> Vec<Self> {
        let learned = 0..own.trainable_len();
        let state = own.trainable_len()..own.values.len();
        let [start, live] = [&network.start.values, &network.live.values];
        let take = |from: &Buffer<f32>, range: &std::ops::Range<usize>| {
            vectors::copy(gpu, own.values.binding(), from.binding(), range.clone())
        };
        let mixes = [
            [take(start, &learned), take(live, &state)],
            [take(live, &learned), take(start, &state)],
        ];
        let passes = mixes.into_iter().map(|mix| Self {
            mix,
            keep: Vec::new(),
        });
        passes.collect()
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
