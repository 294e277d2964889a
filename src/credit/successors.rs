//! The second sweep: what the successors of each unit did, by the changes that arrive at them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Contribution;
use super::blocks::Blocks;
use super::cut::{Cut, units_of};
use super::hops::FoundHop;
use super::maps::add_over_samples;
use super::measure::wide;
use super::probe_pass::with_others;
use super::spectral::{SpectralLayer, SpectralPass, SpectralStep};
use super::sweep::{Sweep, last_record};
use super::tangent::{Arrived, PassSettings, Tangents};
use super::tape::Tape;
use super::unit_layer::Forward;
use super::update::Influence;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{Parameters, Pass};
use crate::tensor::NamedTensor;
use crate::train::Trainer;

/// What the second sweep finds of a unit.
pub(super) struct Carried {
    pub successors: Vec<Contribution>,
    /// What the gradients did by changing the singular value that the layer's weights are divided by.
    pub projection: f64,
    pub maps: Vec<NamedTensor>,
    pub of_hops: Vec<CarriedHop>,
}

/// What it finds of a further hop of a unit.
#[derive(Default)]
pub(super) struct CarriedHop {
    /// What the successors of its layers did.
    pub successors: Vec<Contribution>,
    /// What the gradients did by changing the singular values of its layers.
    pub projection: f64,
}

impl Sweep<'_> {
    /// The second sweep: for each unit, what its successors did.
    pub fn carry(
        &self,
        trainer: &mut Trainer,
        tape: &Tape,
        (influences, hops): (&[Influence], &[Vec<FoundHop>]),
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<Carried>> {
        let gpu = trainer.gpu().clone();
        let step_counter = gpu.upload("step counter", &[0u32; 4])?;
        let ways = self.ways(trainer, &step_counter)?;
        let hop_ways = self.hop_ways(trainer, &step_counter)?;
        let mut hop_sums: Vec<HopSums> = hops.iter().map(|_| HopSums::new()).collect();
        let of_unit = || -> Vec<Vec<f64>> {
            let products = ways.iter().map(|way| &way.tangents.products);
            products.map(|products| vec![0.0; products.len()]).collect()
        };
        let mut sums: Vec<Vec<Vec<f64>>> = influences.iter().map(|_| of_unit()).collect();
        let mut projections = vec![0.0; influences.len()];
        for index in 0..influences[0].of_gradients.len() {
            if tape.is_complete() {
                tape.play(&gpu, index);
            } else {
                trainer.step(true)?;
                last_record(trainer)?;
            }
            let step = self.request.range.start + index as u64;
            gpu.write(&step_counter, 0, &[step as u32]);
            let hop_tangents = hop_ways.iter().map(|way| &way.tangents);
            for tangents in ways.iter().map(|way| &way.tangents).chain(hop_tangents) {
                gpu.run("credit values", &tangents.values);
            }
            let norms = ways.iter().map(|way| {
                let norm = way.spectral.as_ref();
                norm.map(|norm| norm.step(&gpu)).transpose()
            });
            let norms = norms.collect::<Result<Vec<_>>>()?;
            let hop_norms = hop_ways.iter().map(|way| {
                let norm = way.spectral.as_ref();
                norm.map(|norm| norm.step(&gpu)).transpose()
            });
            let hop_norms = hop_norms.collect::<Result<Vec<_>>>()?;
            for ((place, influence), sums) in influences.iter().enumerate().zip(&mut sums) {
                let row = &influence.of_gradients[index];
                if row.is_empty() {
                    continue;
                }
                let weights = &self.network.unit_layer.parameters.values;
                gpu.write(weights, 0, row);
                for ((way, sums), norm) in ways.iter().zip(sums).zip(&norms) {
                    if let Some(norm) = norm {
                        gpu.write(weights, 0, &norm.used(row));
                        projections[place] += norm.projection(self.request.units[place], row);
                    }
                    let dispatches = way.forward.dispatches.iter().chain([&way.spread[place]]);
                    let dispatches = dispatches.chain(&way.tangents.carry);
                    let maps = way.maps[place].iter().map(|map| &map.add);
                    gpu.run("credit", dispatches.chain(maps));
                    let products = wide(&gpu, &way.tangents.products)?;
                    sums.iter_mut()
                        .zip(products)
                        .for_each(|(sum, product)| *sum += product);
                }
            }
            for (hops, sums) in hops.iter().zip(&mut hop_sums) {
                self.carry_hops(&gpu, (&hop_ways, &hop_norms), (hops, index), sums)?;
            }
            tick();
        }
        let carried = sums.into_iter().enumerate().map(|(place, sums)| {
            let mut carried = Carried {
                successors: Vec::new(),
                projection: projections[place],
                maps: Vec::new(),
                of_hops: of_hops(&hop_ways, &hops[place], &hop_sums[place]),
            };
            for (way, sums) in ways.iter().zip(sums) {
                way.tangents
                    .add_contributions(&sums, &mut carried.successors);
                for map in &way.maps[place] {
                    let values = gpu.read(&map.values)?;
                    let (layer, shape) = (&map.layer, map.shape.clone());
                    carried.maps.push(NamedTensor::new(layer, shape, values));
                }
            }
            Ok(carried)
        });
        carried.collect()
    }

    /// The ways of a change through the passes that train the layer.
    fn ways(&self, trainer: &Trainer, step_counter: &Buffer<u32>) -> Result<Vec<Way>> {
        let gpu = trainer.gpu();
        let network = self.network;
        let mut ways = Vec::new();
        // No gradient moves a frozen layer, and none may be computed behind it.
        if network.is_frozen {
            return Ok(ways);
        }
        for (index, captured) in self.captured.iter().enumerate() {
            let pass = self.pass(trainer, index)?;
            let cut = &captured.cut;
            let parameters = self.parameters_of_pass(index);
            let settings = self.settings((trainer, &pass, index), &parameters, step_counter);
            let tangents = Tangents::new(gpu, &pass, (captured, cut), settings)?;
            let input = &captured.values[&cut.input];
            let forward = network.unit_layer.forward(gpu, captured.batch, input)?;
            let size = units_of(pass.graph.node(cut.layer));
            let spread = self.request.units.iter().map(|&unit| {
                let of_unit = Blocks::of_unit(unit, captured.batch, size);
                of_unit.spread(gpu, &forward.output, &tangents.change)
            });
            let maps = self.request.units.iter().map(|_| {
                let arrived = tangents.arrived.iter().filter(|_| self.request.maps);
                let map = arrived.map(|arrived| SuccessorMap::new(gpu, arrived, captured.batch));
                map.collect::<Result<Vec<_>>>()
            });
            let spectral = self.network.spectral.as_ref();
            ways.push(Way {
                spectral: self.spectral_pass((gpu, &pass, index), spectral, cut)?,
                maps: maps.collect::<Result<_>>()?,
                spread: spread.collect(),
                forward,
                tangents,
            });
        }
        Ok(ways)
    }

    /// The ways of changes of all weights of the layers that further hops come to.
    fn hop_ways(&self, trainer: &Trainer, step_counter: &Buffer<u32>) -> Result<Vec<HopWay>> {
        let gpu = trainer.gpu();
        let mut ways = Vec::new();
        for (index, captured) in self.captured.iter().enumerate() {
            let pass = self.pass(trainer, index)?;
            let parameters = self.parameters_of_pass(index);
            let settings = self.settings((trainer, &pass, index), &parameters, step_counter);
            let cuts = captured.cuts_of_hops.iter();
            for cut in cuts.filter(|cut| !pass.graph.is_frozen(cut.layer)) {
                let rows = self.network.live.with_own_values(gpu, "changed weights")?;
                let tangents = Tangents::new(gpu, &pass, (captured, cut), settings)?;
                let node = pass.graph.node(cut.layer);
                let spectral = SpectralLayer::new(pass.graph, node, &self.network.live);
                ways.push(HopWay {
                    spectral: self.spectral_pass((gpu, &pass, index), spectral.as_ref(), cut)?,
                    layer: pass.graph.node(cut.layer).name.clone(),
                    forward: tangents.change_of_weights(gpu, &pass, (captured, cut), &rows)?,
                    rows: rows.values,
                    tangents,
                });
            }
        }
        Ok(ways)
    }

    /// The spectral norm of the layer of a cut in the pass of an index, where it has one.
    fn spectral_pass(
        &self,
        (gpu, pass, index): (&Gpu, &Pass<'_>, usize),
        layer: Option<&SpectralLayer>,
        cut: &Cut,
    ) -> Result<Option<SpectralPass>> {
        let node = pass.graph.node(cut.layer);
        let own = match index {
            0 => &self.network.start,
            _ => &self.network.late,
        };
        let captured = &self.captured[index];
        let pass = layer
            .map(|layer| SpectralPass::new(gpu, (layer, node), (captured, cut), (own, index > 0)));
        pass.transpose()
    }

    /// Parameters as a pass has used them. The first one started from the state of the step's start; the last one left the
    /// state before the update.
    fn parameters_of_pass(&self, index: usize) -> Parameters {
        let own = match index {
            0 => &self.network.start,
            _ => &self.network.late,
        };
        with_others(own.clone(), self.others)
    }

    fn settings<'s>(
        &self,
        (trainer, pass, index): (&Trainer, &Pass<'_>, usize),
        parameters: &'s Parameters,
        step_counter: &'s Buffer<u32>,
    ) -> PassSettings<'s> {
        PassSettings {
            parameters,
            state_is_final: index > 0,
            step_counter,
            seed: trainer.scenario().seed ^ pass.seed_bits,
        }
    }

    /// Carries the changes of the hops of a unit in a step.
    fn carry_hops(
        &self,
        gpu: &Gpu,
        (ways, norms): (&[HopWay], &[Option<SpectralStep>]),
        (hops, step): (&[FoundHop], usize),
        sums: &mut HopSums,
    ) -> Result<()> {
        for (hop, found) in hops.iter().enumerate() {
            for (place, layer) in found.layers.iter().enumerate() {
                let row = &layer.influence.of_gradients[step];
                if row.is_empty() {
                    continue;
                }
                let of_layer = ways.iter().enumerate();
                for (index, way) in of_layer.filter(|(_, way)| way.layer == layer.name) {
                    let sum = sums.entry([hop, place, index]).or_default();
                    let mut used = Cow::Borrowed(&row[..]);
                    if let Some(norm) = &norms[index] {
                        sum.projection += norm.projection(0, row);
                        used = Cow::Owned(norm.used(row));
                    }
                    let (weight, bias) = used.split_at(layer.row[0].len());
                    gpu.write(&way.rows, layer.row[0].start, weight);
                    gpu.write(&way.rows, layer.row[1].start, bias);
                    gpu.run("credit", way.forward.iter().chain(&way.tangents.carry));
                    let products = wide(gpu, &way.tangents.products)?;
                    sum.products.resize(products.len(), 0.0);
                    let pairs = sum.products.iter_mut().zip(products);
                    pairs.for_each(|(sum, product)| *sum += product);
                }
            }
        }
        Ok(())
    }
}

/// For each hop, its layers and their ways: what has come through it.
type HopSums = BTreeMap<[usize; 3], HopSum>;

/// What has come through one way of a layer of a hop.
#[derive(Default)]
struct HopSum {
    /// Of the receivers.
    products: Vec<f64>,
    /// Of the singular value.
    projection: f64,
}

/// What was carried through each hop.
fn of_hops(ways: &[HopWay], hops: &[FoundHop], sums: &HopSums) -> Vec<CarriedHop> {
    let mut of_hops: Vec<CarriedHop> = hops.iter().map(|_| CarriedHop::default()).collect();
    for ([hop, _, way], sum) in sums {
        let (carried, tangents) = (&mut of_hops[*hop], &ways[*way].tangents);
        tangents.add_contributions(&sum.products, &mut carried.successors);
        carried.projection += sum.projection;
    }
    of_hops
}

/// The way of a change of all weights of a layer through one pass.
struct HopWay {
    layer: String,
    /// The norm of the layer's weights, where it has one.
    spectral: Option<SpectralPass>,
    /// Laid out like the parameters, with the change of the layer's.
    rows: Buffer<f32>,
    /// From there to the output of the layer, for each sample.
    forward: Vec<Dispatch>,
    tangents: Tangents,
}

/// The way of a change of the row through one pass.
struct Way {
    /// The norm of the layer's weights, where it has one.
    spectral: Option<SpectralPass>,
    /// From the row to the unit, for each sample.
    forward: Forward,
    /// From the unit to the output of the layer, for each unit that is asked for.
    spread: Vec<Dispatch>,
    tangents: Tangents,
    /// For each unit that is asked for, the maps of the successors.
    maps: Vec<Vec<SuccessorMap>>,
}

/// Credit of a successor, place by place.
struct SuccessorMap {
    layer: String,
    shape: Vec<usize>,
    values: Buffer<f32>,
    /// Adds what has arrived in a step.
    add: Dispatch,
}

impl SuccessorMap {
    fn new(gpu: &Gpu, arrived: &Arrived, batch: usize) -> Result<Self> {
        let values = gpu.buffer("credit map", arrived.shape.iter().product())?;
        Ok(Self {
            layer: arrived.layer.clone(),
            shape: arrived.shape.clone(),
            add: add_over_samples(gpu, &arrived.gradient, &arrived.change, &values, batch),
            values,
        })
    }
}

impl Tangents {
    /// Appends what the receivers did. What reaches the loss through several of its terms is one contribution.
    fn add_contributions(&self, sums: &[f64], all: &mut Vec<Contribution>) {
        for receiver in &self.receivers {
            for unit in 0..receiver.units {
                let credit = sums[receiver.first + unit];
                let mut same = all.iter_mut();
                let same = same.find(|other| other.layer == receiver.layer && other.unit == unit);
                match same {
                    Some(known) => known.credit += credit,
                    None => all.push(Contribution {
                        layer: receiver.layer.clone(),
                        unit,
                        credit,
                    }),
                }
            }
        }
    }
}
