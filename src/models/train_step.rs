//! A training step, put together once: networks, the dispatches that train them, and where the results lie.

use std::collections::BTreeMap;

use super::command_list::CommandList;
use super::network::TrainableNetwork;
use crate::gpu::{Buffer, Gpu};
use crate::nn::{StepCounter, UpdateRule};
use crate::tensor::NamedTensor;
use crate::trace::Half;
use crate::{Error, Result};

/// What a step needs to know besides its model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainConfig {
    /// Samples in a batch.
    pub batch: usize,
    /// Seed of parameters, noise and dropout.
    pub seed: u64,
    /// How gradients become updates; in a GAN those of the generator.
    pub update_rule: UpdateRule,
    /// The same for a GAN's discriminator.
    pub discriminator_update_rule: UpdateRule,
}

/// A number that returns from every step: a sum of elements of [`TrainStep::results`], times a factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Its name in the run's scalars.
    pub name: String,
    /// What is summed: the index of a buffer in [`TrainStep::results`] and of an element in it.
    pub terms: Vec<(usize, usize)>,
    /// The factor.
    pub factor: f32,
}

impl Scalar {
    /// A sum of elements.
    pub fn sum(name: &str, terms: Vec<(usize, usize)>) -> Self {
        Self {
            name: name.to_owned(),
            terms,
            factor: 1.0,
        }
    }
}

/// Everything that trains in a step.
#[derive(Debug)]
pub struct TrainStep {
    /// The networks; a generative model's generator is the first.
    pub networks: Vec<TrainableNetwork>,
    /// Taken in turn: step `n` runs program `n` modulo their number.
    pub programs: Vec<CommandList>,
    /// Counts the steps that run the first program, where there are several.
    pub first_program_counter: Option<StepCounter>,
    /// Of a GAN: the steps that update one network alone.
    pub halves: Option<Halves>,
    /// Where the batch's samples go, `[batch, ...shape]`.
    pub input: Buffer<f32>,
    /// Where their labels go, one `u32` per sample.
    pub label: Option<Buffer<u32>>,
    /// Buffers that hold the scalars and return from every step.
    pub results: Vec<Buffer<f32>>,
    /// What every step has, the loss first.
    pub scalars: Vec<Scalar>,
}

/// Steps of a GAN that update one network alone, when somebody asks for them.
#[derive(Debug)]
pub struct Halves {
    /// Updates the generator alone.
    pub generator: CommandList,
    /// Updates the discriminator alone.
    pub discriminator: CommandList,
    /// Counts the updates of the discriminator.
    pub discriminator_counter: StepCounter,
}

impl TrainStep {
    /// The program of a step, or of one that updates `half` alone where the model has such steps.
    pub fn program(&self, step: u64, half: Option<Half>) -> &CommandList {
        match (&self.halves, half) {
            (Some(halves), Some(Half::Generator)) => &halves.generator,
            (Some(halves), Some(Half::Discriminator)) => &halves.discriminator,
            _ => &self.programs[(step % self.programs.len() as u64) as usize],
        }
    }

    /// Brings the counters to the beginning of a step, before which these steps have updated one network alone.
    pub fn set_step(&self, gpu: &Gpu, step: u64, half_steps: &BTreeMap<u64, Half>) {
        let programs = self.programs.len() as u64;
        let before = half_steps.range(..step);
        // A step beyond 2^32 was refused by the batch cursor.
        if let Some(counter) = &self.first_program_counter {
            let mut rounds = step.div_ceil(programs);
            for (at, half) in before.clone() {
                match (half, at.is_multiple_of(programs)) {
                    (Half::Generator, false) => rounds += 1,
                    (Half::Discriminator, true) => rounds -= 1,
                    _ => {}
                }
            }
            counter.set(gpu, rounds as u32);
        }
        if let Some(halves) = &self.halves {
            let without = before.filter(|(_, half)| **half == Half::Generator).count();
            let updates = step - without as u64;
            halves.discriminator_counter.set(gpu, updates as u32);
        }
    }

    /// The buffers that return from a step: those of the scalars, then the gradient norms of each network.
    pub fn returned(&self) -> impl Iterator<Item = &Buffer<f32>> {
        let norms = self.networks.iter().map(|n| &n.gradient_norms.norms);
        self.results.iter().chain(norms)
    }

    /// The buffers that a checkpoint is read from: parameters and what their optimizers keep, network by network.
    pub fn state(&self) -> impl Iterator<Item = &Buffer<f32>> {
        self.networks.iter().flat_map(|network| {
            let memories = network.state.moments.iter().map(|(_, memory)| memory);
            std::iter::once(&network.parameters.values).chain(memories)
        })
    }

    /// Names of [`TrainStep::scalar_values`]: first what every step has, then the gradient norms.
    pub fn scalar_names(&self) -> Vec<String> {
        let names = self.scalars.iter().map(|scalar| scalar.name.clone());
        let parameters = self.networks.iter().flat_map(|n| &n.gradient_norms.names);
        let norms = parameters.map(|parameter| format!("gradient_norm/{parameter}"));
        names.chain(norms).collect()
    }

    /// The scalars of a step from the contents of [`TrainStep::returned`], one slice a buffer; gradient norms only of a
    /// `probed` step.
    pub fn scalar_values(&self, returned: &[&[f32]], probed: bool) -> Vec<f32> {
        let scalars = self.scalars.iter().map(|scalar| {
            let terms = scalar
                .terms
                .iter()
                .map(|&(buffer, at)| returned[buffer][at]);
            scalar.factor * terms.sum::<f32>()
        });
        let norms = self.networks.iter().zip(&returned[self.results.len()..]);
        let norms = norms.filter(|_| probed);
        let norms = norms.flat_map(|(network, norms)| &norms[..network.gradient_norms.names.len()]);
        scalars.chain(norms.copied()).collect()
    }

    /// Reads all parameters back.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read_parameters(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        let tensors = self
            .networks
            .iter()
            .map(|network| network.read_parameters(gpu));
        Ok(tensors.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Reads the state of all optimizers back.
    ///
    /// # Errors
    /// The device was lost.
    pub fn read_optimizers(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        let tensors = self
            .networks
            .iter()
            .map(|network| network.read_optimizer(gpu));
        Ok(tensors.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Replaces all parameters; `source` names the file in messages.
    ///
    /// # Errors
    /// A tensor is missing, unknown or of another shape. Then nothing is changed.
    pub fn write_parameters(&self, gpu: &Gpu, tensors: &[NamedTensor], source: &str) -> Result<()> {
        let parts = self.by_network(tensors, source, |name| name)?;
        let packed = self.networks.iter().zip(&parts);
        let packed = packed
            .map(|(network, part)| network.parameters.pack(part, source))
            .collect::<Result<Vec<_>>>()?;
        for (network, values) in self.networks.iter().zip(packed) {
            gpu.write(&network.parameters.values, 0, &values);
        }
        Ok(())
    }

    /// Replaces the state of all optimizers; no tensors at all stand for zeros.
    ///
    /// # Errors
    /// A tensor is missing, unknown or of another shape.
    pub fn write_optimizers(&self, gpu: &Gpu, tensors: &[NamedTensor], source: &str) -> Result<()> {
        let parameter = |name| str::rsplit_once(name, '.').map_or(name, |(parameter, _)| parameter);
        let parts = self.by_network(tensors, source, parameter)?;
        for (network, part) in self.networks.iter().zip(&parts) {
            network
                .state
                .write(gpu, &network.parameters, part, source)?;
        }
        Ok(())
    }

    /// Sorts tensors by the network whose parameter they are named after.
    fn by_network<'t>(
        &self,
        tensors: &'t [NamedTensor],
        source: &str,
        parameter: impl Fn(&'t str) -> &'t str,
    ) -> Result<Vec<Vec<NamedTensor>>> {
        let mut parts = vec![Vec::new(); self.networks.len()];
        for tensor in tensors {
            let name = parameter(&tensor.name);
            let mut networks = self.networks.iter();
            let owner = networks.position(|network| network.parameters.contains(name));
            // A single network names all of its parameters in its own message.
            let owner = owner.or((self.networks.len() == 1).then_some(0));
            let owner = owner.ok_or_else(|| {
                Error::input(
                    source,
                    format!("the model has no parameter '{}'", tensor.name),
                    "use a checkpoint of this model",
                )
            })?;
            parts[owner].push(tensor.clone());
        }
        Ok(parts)
    }
}
