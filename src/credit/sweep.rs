//! The two sweeps over the steps of a range, and the first of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::capture::{Capture, Captured, CapturedNetwork, CapturedPass, lock};
use super::cut::{Source, Stretch, sources};
use super::hop_meter::HopMeter;
use super::hops::{FoundHop, add_hops, expect_room, read_rows};
use super::measure::{UnitMeter, wide};
use super::probe_pass::ProbePass;
use super::region::region_of_input;
use super::tape::Tape;
use super::update::{Influence, Update, carried_memory};
use super::{Contribution, Credit, CreditMaps, CreditRequest, FirstNonfinite, OtherCredit};
use crate::gpu::Gpu;
use crate::nn::{Graph, NodeId, Parameters, Pass, Role, UpdateRule};
use crate::tensor::NamedTensor;
use crate::trace::RunReader;
use crate::train::{ModelConfig, ProbedGraph, ReplayBuilder, StepRecord, Trainer, first_nonfinite};
use crate::{Error, Result};

/// Decomposes the change of some units of a run over a range of steps, which it replays twice. `progress` is told how many
/// of how many steps are done.
///
/// ```no_run
/// use trainscope::credit::{CreditRequest, credit};
/// use trainscope::gpu::{AdapterChoice, Gpu};
/// use trainscope::train::Replay;
///
/// # fn main() -> trainscope::Result<()> {
/// let gpu = Gpu::new(&AdapterChoice::default())?;
/// let replay = Replay::open(&gpu, "runs/vae-mnist".as_ref())?;
/// let request = CreditRequest::new("mu", [3], 0..50);
/// for unit in credit(replay, &request, &mut |_, _| ())? {
///     println!("unit {} moved by {}, {} of it unexplained", unit.unit, unit.change, unit.residual);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The run does not have these steps or was made on another adapter, there is no such layer or unit, or something lies behind
/// it that a small change cannot be carried through.
pub fn credit(
    mut replay: ReplayBuilder<'_>,
    request: &CreditRequest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Credit>> {
    if request.units.is_empty() {
        return Err(Error::usage(
            "--unit",
            "no unit is named",
            "name the numbers of some units, such as 0,3",
        ));
    }
    let run = replay.reader();
    let mut half_steps = run.info().half_steps.iter();
    if let Some(half) = half_steps.find(|half| half.step < request.range.end) {
        return Err(Error::input(
            run.folder().display().to_string(),
            format!(
                "step {} updated the {} alone, and credit counts the updates of whole steps",
                half.step,
                half.updated.name()
            ),
            format!("ask for steps up to {}", half.step),
        ));
    }
    let capture = Capture::new(request);
    let captured = capture.captured();
    replay.expect_adapter("credit runs the steps again")?;
    let replay = replay.range(request.range.clone()).probe(capture).start()?;
    let reader = RunReader::open(replay.reader().folder())?;
    let trainer = replay.into_trainer();
    let captured = std::mem::take(&mut *lock(&captured));
    let Captured {
        passes,
        network: Some(network),
        others,
        ..
    } = captured
    else {
        return Err(Error::input(
            format!("layer {}", request.layer),
            "no training step updates it",
            "choose a layer that is trained",
        ));
    };
    expect_no_penalty(&trainer, &passes[0].name)?;
    let sweep = Sweep {
        reader: &reader,
        request,
        captured: &passes,
        network: &network,
        others: &others,
    };
    sweep.run(trainer, progress)
}

/// Refuses a network under a gradient penalty: its weights also move by a gradient of which no unit's is recorded.
fn expect_no_penalty(trainer: &Trainer, pass: &str) -> Result<()> {
    // The generator has the first pass of the model.
    let is_generator = trainer.model().passes()[0].name == pass;
    match trainer.scenario().model() {
        ModelConfig::Gan(gan) if gan.gradient_penalty.is_some() && !is_generator => {
            Err(Error::input(
                "credit of the discriminator",
                "its gradient penalty moves the weights too, through second derivatives that credit does not follow",
                "choose a layer of the generator, or train without model.gradient_penalty",
            ))
        }
        _ => Ok(()),
    }
}

pub(super) struct Sweep<'a> {
    reader: &'a RunReader,
    pub(super) request: &'a CreditRequest,
    pub(super) captured: &'a [CapturedPass],
    pub(super) network: &'a CapturedNetwork,
    pub(super) others: &'a [Parameters],
}

/// What the first sweep finds of a unit.
#[derive(Default)]
struct Found {
    weights: Vec<f64>,
    first_output: Vec<f64>,
    last_output: Vec<f64>,
    memory: Vec<f64>,
    updates: Vec<Update>,
    by_predecessor: BTreeMap<Source, f64>,
    normalization: f64,
    map: Option<NamedTensor>,
    values: Option<NamedTensor>,
    hops: Vec<FoundHop>,
}

/// How often the network of a layer is updated.
#[derive(Debug, Clone, Copy)]
struct Updates {
    rule: UpdateRule,
    /// Steps from one update to the next.
    every: u64,
}

impl Sweep<'_> {
    fn run(&self, mut trainer: Trainer, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<Credit>> {
        let begin = self.checkpoint()?;
        let from = self.request.range.start;
        let steps = 2 * (self.request.range.end - begin);
        let mut done = 0;
        let mut tick = || {
            done += 1;
            progress(done, steps);
        };
        trainer.restore_from(self.reader, begin)?;
        run_to(&mut trainer, from, &mut tick)?;
        let gpu = trainer.gpu().clone();
        let mut tape = Tape::new(&gpu, self.captured, self.network, self.others);
        let (mut found, stopped) = self.measure(&mut trainer, &mut tape, &mut tick)?;
        let to = from + found[0].updates.len() as u64;
        let rule = self.updates(&trainer).rule;
        let mut hops = Vec::new();
        for found in &mut found {
            found
                .hops
                .iter_mut()
                .for_each(|hop| hop.find_influences(&rule));
            hops.push(std::mem::take(&mut found.hops));
        }
        let influences: Vec<Influence> = found
            .iter()
            .map(|found| Influence::new(&rule, &found.updates, &found.memory))
            .collect();
        if !tape.is_complete() {
            trainer.restore_from(self.reader, begin)?;
            run_to(&mut trainer, from, &mut tick)?;
        }
        let images = self.images(&trainer)?;
        let carried = self.carry(&mut trainer, &tape, (&influences, &hops), &mut tick)?;
        progress(steps, steps);
        let graph = self.pass(&trainer, 0)?.graph;
        let region = self.region(graph);
        let units = self.request.units.iter().zip(&found).zip(&influences);
        let credits =
            units
                .zip(hops)
                .zip(carried)
                .map(|((((&unit, found), influence), hops), carried)| {
                    let hops = hops.into_iter().zip(carried.of_hops).enumerate();
                    let hops = hops.map(|(index, (hop, carried))| {
                        // The decomposition itself is hop 1.
                        hop.finish(graph, index + 2, carried)
                    });
                    let predecessors = found.by_predecessor.iter();
                    let predecessors = predecessors.map(|(source, &credit)| Contribution {
                        layer: graph.nodes()[source.node].name.clone(),
                        unit: source.unit,
                        credit,
                    });
                    Credit {
                        layer: self.request.layer.clone(),
                        unit,
                        samples: self.request.chosen.samples.clone(),
                        positions: self.request.chosen.positions.clone(),
                        region: region.clone(),
                        from,
                        to,
                        change: found.change(),
                        explained: 0.0,
                        residual: 0.0,
                        cancellation: 0.0,
                        predecessors: predecessors.collect(),
                        successors: carried.successors,
                        other: OtherCredit {
                            memory: influence.memory,
                            weight_decay: influence.weight_decay,
                            clipping: influence.clipping,
                            normalization: found.normalization + carried.projection,
                            other_parameters: 0.0,
                        },
                        hops: hops.collect(),
                        first_nonfinite: stopped.clone(),
                        deviation: trainer.deviation().cloned(),
                        maps: CreditMaps {
                            predecessors: found.map.clone(),
                            successors: carried.maps,
                            values: found.values.clone(),
                            images: images.clone(),
                        },
                    }
                    .summed()
                });
        Ok(credits.collect())
    }

    /// The step of the checkpoint from which the range is reached.
    fn checkpoint(&self) -> Result<u64> {
        let mut checkpoints = self.reader.checkpoints()?.into_iter();
        let start = self.request.range.start;
        Ok(checkpoints.rfind(|&step| step <= start).unwrap_or(0))
    }

    /// The pass of the model that the captured one of an index is of.
    pub(super) fn pass<'t>(&self, trainer: &'t Trainer, index: usize) -> Result<Pass<'t>> {
        let name = &self.captured[index].name;
        let mut passes = trainer.model().passes().into_iter();
        passes.find(|pass| pass.name == name).ok_or_else(|| {
            Error::input(
                format!("pass {name}"),
                "the model does not name it among its passes",
                "let the model's `passes` return all that its step is built of",
            )
        })
    }

    fn updates(&self, trainer: &Trainer) -> Updates {
        let config = trainer.scenario().train_config();
        let (rule, every) = match trainer.scenario().model() {
            // The generator has the first pass of the model.
            ModelConfig::Gan(gan) if trainer.model().passes()[0].name == self.captured[0].name => {
                (config.update_rule, gan.critic_steps)
            }
            ModelConfig::Gan(_) => (config.discriminator_update_rule, 1),
            _ => (config.update_rule, 1),
        };
        Updates { rule, every }
    }

    /// The first sweep: what each step did to the units on the probe batch. Ends before the first step that computes a value
    /// that is not finite.
    fn measure(
        &self,
        trainer: &mut Trainer,
        tape: &mut Tape,
        tick: &mut dyn FnMut(),
    ) -> Result<(Vec<Found>, Option<FirstNonfinite>)> {
        let gpu = trainer.gpu().clone();
        let updates = self.updates(trainer);
        let Meters {
            probe,
            meters,
            sources,
            hops,
            weights,
        } = self.meters(trainer, &updates.rule)?;
        probe.refresh(&gpu);
        let mut found = Vec::new();
        for (meter, &unit) in meters.iter().zip(&self.request.units) {
            found.push(Found {
                first_output: meter.output(&gpu)?,
                last_output: meter.output(&gpu)?,
                weights: weights.clone(),
                memory: self.memory(&gpu, unit, &updates.rule)?,
                hops: match &hops {
                    Some(hops) => FoundHop::all(&gpu, hops, self.network, &updates.rule)?,
                    None => Vec::new(),
                },
                ..Found::default()
            });
        }
        for step in self.request.range.clone() {
            trainer.step(true)?;
            let record = last_record(trainer)?;
            probe.advance(&gpu);
            let outputs = meters.iter().map(|meter| meter.output(&gpu));
            let outputs = outputs.collect::<Result<Vec<_>>>()?;
            let nonfinite = record
                .and_then(|record| {
                    first_nonfinite(&record, trainer.layout(), &trainer.scalar_names())
                })
                .map(|event| event.subject.to_string());
            let is_finite = outputs.iter().flatten().all(|value| value.is_finite());
            let nonfinite = nonfinite.or_else(|| {
                (!is_finite).then(|| format!("{} on the probe batch", self.request.layer))
            });
            if let Some(what) = nonfinite {
                self.read_maps(trainer, (&probe, &meters), &mut found)?;
                return self.stopped(found, FirstNonfinite { step, what });
            }
            tape.record(&gpu)?;
            let is_updated = step.is_multiple_of(updates.every);
            let mut rows = None;
            if let Some(hops) = &hops {
                hops.begin(&gpu);
            }
            let spectral = match &self.network.spectral {
                Some(layer) => Some((layer, layer.scales(&gpu, self.network)?)),
                None => None,
            };
            let of_step = (step.div_ceil(updates.every), is_updated);
            for ((found, meter), output) in found.iter_mut().zip(&meters).zip(outputs) {
                let measured = meter.measure(&gpu, of_step, spectral)?;
                found.last_output = output;
                let update = if self.network.is_frozen {
                    Update::default()
                } else {
                    Update::new(&updates.rule, &measured.row, &measured.sensitivity)
                };
                found.updates.push(update);
                if let Some(meter) = &hops {
                    if rows.is_none() {
                        let (network, rule) = (self.network, &updates.rule);
                        rows = Some(read_rows(&gpu, &meter.hops, network, rule, &measured.row)?);
                    }
                    let steps = (&meter.measure(&gpu)?[..], &measured);
                    let rule = (&updates.rule, rows.as_ref().expect("just read"));
                    add_hops(&mut found.hops, &meter.hops, steps, rule);
                }
                found.add(&sources, &measured.by_predecessor, &measured.by_state);
                found.normalization += measured.by_norm;
            }
            tick();
        }
        self.read_maps(trainer, (&probe, &meters), &mut found)?;
        Ok((found, None))
    }

    fn stopped(
        &self,
        found: Vec<Found>,
        first: FirstNonfinite,
    ) -> Result<(Vec<Found>, Option<FirstNonfinite>)> {
        if found[0].updates.is_empty() {
            return Err(Error::usage(
                format!("--from {}", self.request.range.start),
                format!(
                    "the step itself computes a value that is not finite: {}",
                    first.what
                ),
                "choose a range that begins earlier",
            ));
        }
        Ok((found, Some(first)))
    }

    fn meters(&self, trainer: &Trainer, rule: &UpdateRule) -> Result<Meters> {
        let gpu = trainer.gpu();
        let network = self.network;
        let pass = self.pass(trainer, 0)?;
        let captured = &self.captured[0];
        let (graph, cut) = (pass.graph, &captured.cut);
        let stretches = Stretch::of_hops(graph, cut.layer, self.request.further_hops());
        let kept: Vec<NodeId> = stretches.iter().flat_map(|s| s.reads(graph)).collect();
        let parameters = (network, self.others);
        let probe = ProbePass::new(trainer, &pass, captured, parameters, &kept)?;
        let ends = probe.ends(cut.input);
        let of_input = [&ends.before, &ends.now];
        let weights = self
            .request
            .chosen
            .weights(graph.node(cut.layer), probe.samples)?;
        let sensitivity = network
            .unit_layer
            .sensitivity(gpu, probe.samples, of_input, &weights)?;
        let hops = if stretches.is_empty() {
            None
        } else {
            let way = (&stretches[..], cut.input);
            let looked_at = (&probe, network);
            let meter = HopMeter::new(gpu, graph, way, &sensitivity.to_input, looked_at)?;
            let steps = self.request.range.end - self.request.range.start;
            expect_room(&meter.hops, self.request.units.len(), steps)?;
            Some(meter)
        };
        let nodes = [cut.layer, cut.input].map(|id| graph.node(id));
        let units = self.request.units.iter().zip(&network.rows);
        let meters = units.map(|(&unit, row)| {
            let rule = (rule, self.request.maps);
            let probe = (&probe, ends);
            UnitMeter::new(gpu, nodes, unit, probe, (network, row), &sensitivity, rule)
        });
        Ok(Meters {
            meters: meters.collect::<Result<_>>()?,
            sources: sources(graph, cut.input),
            hops,
            weights,
            probe,
        })
    }

    /// Reads what the meters have added up place by place.
    fn read_maps(
        &self,
        trainer: &Trainer,
        (probe, meters): (&ProbePass, &[UnitMeter]),
        found: &mut [Found],
    ) -> Result<()> {
        let pass = self.pass(trainer, 0)?;
        let id = self.captured[0].cut.input;
        let shape = &pass.graph.node(id).shape;
        for (meter, found) in meters.iter().zip(found) {
            let Some(map) = &meter.map else {
                continue;
            };
            let values = trainer.gpu().read(map)?;
            let samples = values.len() / shape.iter().product::<usize>();
            let shape = [&[samples], &shape[..]].concat();
            let name = pass.tensor_name(id);
            found.map = Some(NamedTensor::new(&name, shape.clone(), values));
            let values = trainer.gpu().read(&probe.ends(id).now)?;
            found.values = Some(NamedTensor::new(&name, shape, values));
        }
        Ok(())
    }

    /// The rows and columns of the input's images that the chosen positions look at.
    fn region(&self, graph: &Graph) -> Option<[Range<usize>; 2]> {
        let layer = self.captured[0].cut.layer;
        let size = match graph.node(layer).shape[..] {
            [_, height, width] => [height, width],
            _ => [1, 1],
        };
        region_of_input(graph, layer, self.request.chosen.rectangle(size))
    }

    /// The images of the probe batch, where maps are asked for and the network takes images.
    fn images(&self, trainer: &Trainer) -> Result<Option<NamedTensor>> {
        let graph = self.pass(trainer, 0)?.graph;
        let graphs = ProbedGraph::all(trainer)?;
        let probed = graphs
            .iter()
            .find(|probed| probed.find(&self.request.layer).is_some());
        let (Some(probed), true) = (probed, self.request.maps) else {
            return Ok(None);
        };
        let input = probed.node(probed.input);
        if input.shape.len() != 3 || graph.with_role(Role::Input).is_none() {
            return Ok(None);
        }
        let batch = probed.batch(trainer)?;
        let shape = [&[batch.count], &input.shape[..]].concat();
        Ok(Some(NamedTensor::new(&input.name, shape, batch.samples)))
    }

    /// What the optimizer remembers of earlier gradients of a unit's row.
    fn memory(&self, gpu: &Gpu, unit: usize, rule: &UpdateRule) -> Result<Vec<f64>> {
        let layout = &self.network.layout;
        let name = carried_memory(rule);
        let Some(memory) = name.and_then(|name| self.network.state.memory(name)) else {
            return Ok(vec![0.0; layout.len]);
        };
        let row = gpu.buffer("row", layout.len)?;
        gpu.run("memory", &layout.gather(gpu, unit, memory, &row));
        wide(gpu, &row)
    }
}

/// What the first sweep measures with.
struct Meters {
    probe: ProbePass,
    meters: Vec<UnitMeter>,
    sources: Vec<Source>,
    hops: Option<HopMeter>,
    /// Of samples and places in the units' means.
    weights: Vec<f64>,
}

impl Found {
    fn add(&mut self, sources: &[Source], by_predecessor: &[f64], by_state: &[f64]) {
        for (place, (source, credit)) in sources.iter().zip(by_predecessor).enumerate() {
            let of_state = by_state.get(place).copied().unwrap_or(0.0);
            *self.by_predecessor.entry(source.clone()).or_default() += credit - of_state;
            self.normalization += of_state;
        }
    }

    /// The change of the mean, as the mean of the changes.
    fn change(&self) -> f64 {
        let outputs = self.first_output.iter().zip(&self.last_output);
        let changes = outputs.map(|(first, last)| last - first).zip(&self.weights);
        changes.map(|(change, weight)| change * weight).sum()
    }
}

/// Runs a trainer up to a step without probes.
fn run_to(trainer: &mut Trainer, step: u64, tick: &mut dyn FnMut()) -> Result<()> {
    while trainer.steps_done() < step {
        trainer.step(false)?;
        while trainer.take(trainer.is_full())?.is_some() {}
        tick();
    }
    last_record(trainer).map(|_| ())
}

/// Waits for all steps in flight, and returns the record of the last.
pub(super) fn last_record(trainer: &mut Trainer) -> Result<Option<StepRecord>> {
    let mut last = None;
    while let Some(record) = trainer.take(true)? {
        last = Some(record);
    }
    Ok(last)
}
