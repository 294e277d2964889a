//! The second sweep: what the successors of each unit did, by the changes that arrive at them.

use super::Contribution;
use super::blocks::Blocks;
use super::cut::units_of;
use super::maps::add_over_samples;
use super::measure::wide;
use super::probe_pass::with_others;
use super::sweep::{Sweep, last_record};
use super::tangent::{Arrived, PassSettings, Tangents};
use super::tape::Tape;
use super::unit_layer::Forward;
use super::update::Influence;
use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::tensor::NamedTensor;
use crate::train::Trainer;

/// What the second sweep finds of a unit.
pub(super) struct Carried {
    pub successors: Vec<Contribution>,
    pub maps: Vec<NamedTensor>,
}

impl Sweep<'_> {
    /// The second sweep: for each unit, what its successors did.
    pub fn carry(
        &self,
        trainer: &mut Trainer,
        tape: &Tape,
        influences: &[Influence],
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<Carried>> {
        let gpu = trainer.gpu().clone();
        let step_counter = gpu.upload("step counter", &[0u32; 4])?;
        let ways = self.ways(trainer, &step_counter)?;
        let of_unit = || -> Vec<Vec<f64>> {
            let products = ways.iter().map(|way| &way.tangents.products);
            products.map(|products| vec![0.0; products.len()]).collect()
        };
        let mut sums: Vec<Vec<Vec<f64>>> = influences.iter().map(|_| of_unit()).collect();
        for index in 0..influences[0].of_gradients.len() {
            if tape.is_complete() {
                tape.play(&gpu, index);
            } else {
                trainer.step(true)?;
                last_record(trainer)?;
            }
            let step = self.request.range.start + index as u64;
            gpu.write(&step_counter, 0, &[step as u32]);
            for way in &ways {
                gpu.run("credit values", &way.tangents.values);
            }
            for ((place, influence), sums) in influences.iter().enumerate().zip(&mut sums) {
                let row: Vec<f32> = influence.of_gradients[index]
                    .iter()
                    .map(|&v| v as f32)
                    .collect();
                if row.is_empty() {
                    continue;
                }
                gpu.write(&self.network.unit_layer.parameters.values, 0, &row);
                for (way, sums) in ways.iter().zip(sums) {
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
            tick();
        }
        let carried = sums.into_iter().enumerate().map(|(place, sums)| {
            let mut carried = Carried {
                successors: Vec::new(),
                maps: Vec::new(),
            };
            for (way, sums) in ways.iter().zip(sums) {
                way.add_contributions(&sums, &mut carried.successors);
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
        for (index, captured) in self.captured.iter().enumerate() {
            let pass = self.pass(trainer, index)?;
            let cut = &captured.cut;
            // The first pass started from the state of the step's start; the last one left the state before the update.
            let own = if index == 0 {
                &network.start
            } else {
                &network.late
            };
            let parameters = with_others(own.clone(), self.others);
            let settings = PassSettings {
                parameters: &parameters,
                state_is_final: index > 0,
                step_counter,
                seed: trainer.scenario().seed ^ pass.seed_bits,
            };
            let tangents = Tangents::new(gpu, &pass, captured, settings)?;
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
            ways.push(Way {
                maps: maps.collect::<Result<_>>()?,
                spread: spread.collect(),
                forward,
                tangents,
            });
        }
        Ok(ways)
    }
}

/// The way of a change of the row through one pass.
struct Way {
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

impl Way {
    /// Appends what the receivers did. What reaches the loss through several of its terms is one contribution.
    fn add_contributions(&self, sums: &[f64], all: &mut Vec<Contribution>) {
        for receiver in &self.tangents.receivers {
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
