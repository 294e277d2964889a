//! What learns in a step: networks, the dispatches that train them, and where their results lie.

use super::probes::Probes;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::metrics::GradientNorms;
use crate::nn::{Graph, OptimizerState, Parameters, UpdateRule};
use crate::tensor::{NamedTensor, TensorKind};
use crate::{Error, Result};

/// A network: its parameters, what its optimizer remembers, and the norms of its gradients.
pub(super) struct Network {
    pub parameters: Parameters,
    pub state: OptimizerState,
    pub norms: GradientNorms,
}

/// The dispatches of a step in order, with and without the probes'.
#[derive(Clone, Default)]
pub(super) struct Procedure {
    plain: Vec<Dispatch>,
    watched: Vec<Dispatch>,
}

/// Networks in training.
pub(super) struct Learner {
    pub networks: Vec<Network>,
    /// Taken in turn: step `n` takes procedure `n` modulo their number.
    pub procedures: Vec<Procedure>,
    /// Where a batch goes: images, and labels where there are some.
    pub x: Buffer<f32>,
    pub label: Option<Buffer<u32>>,
    /// Buffers that hold the scalars, one behind the other in what returns.
    pub results: Vec<Buffer<f32>>,
    /// What every step has.
    pub scalars: Vec<Scalar>,
}

/// A number that every step leaves behind: a sum of places in [`Learner::results`], times a factor.
pub(super) struct Scalar {
    pub name: String,
    pub places: Vec<usize>,
    pub factor: f32,
}

impl Scalar {
    pub fn sum(name: &str, places: Vec<usize>) -> Self {
        Self {
            name: name.to_owned(),
            places,
            factor: 1.0,
        }
    }

    fn of(&self, results: &[f32]) -> f32 {
        let values = self.places.iter().map(|&place| results[place]);
        self.factor * values.sum::<f32>()
    }
}

impl Network {
    pub fn new(gpu: &Gpu, graph: &Graph, seed: u64, update: &UpdateRule) -> Result<Self> {
        let parameters = Parameters::new(gpu, graph, seed)?;
        let state = update.state(gpu, &parameters)?;
        let norms = GradientNorms::new(gpu, &parameters)?;
        Ok(Self {
            parameters,
            state,
            norms,
        })
    }

    /// Probes of the weights and of the gradients, the update, and probes of what it added.
    pub fn update(
        &self,
        graph: &Graph,
        update: &UpdateRule,
        step_counter: &Buffer<u32>,
        probes: &mut Probes<'_>,
        procedure: &mut Procedure,
    ) -> Result<()> {
        procedure.probe(probes.parameters(graph, &self.parameters, TensorKind::Weight));
        procedure.probe(self.norms.dispatches.iter().cloned());
        let updates = |keep| {
            update.dispatches(
                probes.gpu,
                &self.parameters,
                &self.state,
                step_counter,
                keep,
            )
        };
        procedure.plain.extend(updates(false)?);
        procedure.watched.extend(updates(true)?);
        procedure.probe(probes.parameters(graph, &self.parameters, TensorKind::Update));
        Ok(())
    }
}

impl Procedure {
    /// Adds what is always done.
    pub fn work(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        for dispatch in dispatches {
            self.plain.push(dispatch.clone());
            self.watched.push(dispatch);
        }
    }

    /// Adds what is done where the step is recorded.
    pub fn probe(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        self.watched.extend(dispatches);
    }

    /// Adds a part of a plan, with its probes where the step is recorded.
    pub fn plan<'p, P: Iterator<Item = &'p Dispatch>>(&mut self, part: impl Fn(bool) -> P) {
        self.plain.extend(part(false).cloned());
        self.watched.extend(part(true).cloned());
    }

    /// Both, one after the other.
    pub fn then(mut self, next: Self) -> Self {
        self.plain.extend(next.plain);
        self.watched.extend(next.watched);
        self
    }

    pub fn dispatches(&self, watched: bool) -> &[Dispatch] {
        if watched { &self.watched } else { &self.plain }
    }
}

/// Values that a copy of the whole buffer holds.
fn padded_len(buffer: &Buffer<f32>) -> usize {
    buffer.raw().size() as usize / 4
}

impl Learner {
    /// The procedure of `step`.
    pub fn procedure(&self, step: u64) -> &Procedure {
        &self.procedures[(step % self.procedures.len() as u64) as usize]
    }

    /// The buffers that return from a step: the scalars', then those with the norms of gradients.
    pub fn results(&self) -> impl Iterator<Item = &Buffer<f32>> {
        let norms = self.networks.iter().map(|network| &network.norms.norms);
        self.results.iter().chain(norms)
    }

    /// Values that a step leaves there, padding included.
    pub fn result_len(&self) -> usize {
        self.results().map(padded_len).sum()
    }

    /// Names of [`Learner::scalars_of`]: first what every step has, then the norms of gradients.
    pub fn scalar_names(&self) -> Vec<String> {
        let names = self.scalars.iter().map(|scalar| scalar.name.clone());
        let parameters = self.networks.iter().flat_map(|n| &n.norms.names);
        let norms = parameters.map(|parameter| format!("gradient_norm/{parameter}"));
        names.chain(norms).collect()
    }

    /// The scalars in what has returned from a step; norms of gradients only where it was `watched`.
    pub fn scalars_of(&self, results: &[f32], watched: bool) -> Vec<f32> {
        let scalars = self.scalars.iter();
        let mut scalars: Vec<f32> = scalars.map(|scalar| scalar.of(results)).collect();
        let mut start: usize = self.results.iter().map(padded_len).sum();
        for Network { norms, .. } in self.networks.iter().filter(|_| watched) {
            scalars.extend_from_slice(&results[start..start + norms.names.len()]);
            start += padded_len(&norms.norms);
        }
        scalars
    }

    /// All parameters, read back.
    pub fn parameters(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        let mut tensors = Vec::new();
        for Network { parameters, .. } in &self.networks {
            tensors.extend(parameters.unpack(&gpu.read(&parameters.values)?));
        }
        Ok(tensors)
    }

    /// All that the optimizers remember, read back.
    pub fn memories(&self, gpu: &Gpu) -> Result<Vec<NamedTensor>> {
        let mut tensors = Vec::new();
        for network in &self.networks {
            tensors.extend(network.state.read(gpu, &network.parameters)?);
        }
        Ok(tensors)
    }

    /// Replaces all parameters; what does not fit changes nothing.
    pub fn write_parameters(&self, gpu: &Gpu, tensors: &[NamedTensor], source: &str) -> Result<()> {
        let parts = self.by_network(tensors, source, |name| name)?;
        let mut joined = Vec::new();
        for (network, part) in self.networks.iter().zip(&parts) {
            joined.push(network.parameters.pack(part, source)?);
        }
        for (network, values) in self.networks.iter().zip(joined) {
            gpu.write(&network.parameters.values, 0, &values);
        }
        Ok(())
    }

    /// Replaces what the optimizers remember; no tensors at all stand for zeros.
    pub fn write_memories(&self, gpu: &Gpu, tensors: &[NamedTensor], source: &str) -> Result<()> {
        let parameter = |name| str::rsplit_once(name, '.').map_or(name, |(parameter, _)| parameter);
        let parts = self.by_network(tensors, source, parameter)?;
        for (network, part) in self.networks.iter().zip(&parts) {
            network
                .state
                .write(gpu, &network.parameters, part, source)?;
        }
        Ok(())
    }

    /// Sorts tensors by the network that has the parameter which they are named after.
    fn by_network<'t>(
        &self,
        tensors: &'t [NamedTensor],
        source: &str,
        parameter: impl Fn(&'t str) -> &'t str,
    ) -> Result<Vec<Vec<NamedTensor>>> {
        let mut parts = vec![Vec::new(); self.networks.len()];
        for tensor in tensors {
            let owns = |network: &Network| network.parameters.contains(parameter(&tensor.name));
            // With a single network its own message is the better one.
            let place = match self.networks.iter().position(owns) {
                Some(place) => place,
                None if self.networks.len() == 1 => 0,
                None => {
                    return Err(Error::input(
                        source,
                        format!("the model has no parameter '{}'", tensor.name),
                        "use a checkpoint of this model",
                    ));
                }
            };
            parts[place].push(tensor.clone());
        }
        Ok(parts)
    }
}
