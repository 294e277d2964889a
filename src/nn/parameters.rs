//! What is learnt: all parameters of a graph in one buffer, so that an optimiser is one dispatch. State that is kept but
//! not learnt (running statistics) stands behind them in the same buffer, where the optimiser's dispatch has ended.

use std::collections::HashMap;
use std::ops::Range;

use super::graph::Graph;
use super::operation::ParameterSlice;
use super::plan::layer;
use crate::gpu::{Buffer, Gpu, Need};
use crate::{Error, Result};

/// Elements that a parameter's place is rounded up to: 256 bytes, the storage offset alignment that every adapter
/// can do.
const ALIGNMENT: usize = 64;

/// Name, shape and values of a tensor on the CPU.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// Values and gradients of all parameters. Plans of several graphs may share one by the parameters' names.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// All values, each parameter on a boundary of 256 bytes, zeros between.
    pub values: Buffer<f32>,
    /// Gradients in the same places; after the optimiser's pass, the updates that it applied.
    pub gradients: Buffer<f32>,
    places: Vec<Place>,
    /// Elements that the learnt ones take; state follows.
    learnt: usize,
    by_name: HashMap<String, usize>,
    /// Another network's, for plans that run through both.
    beside: Option<Box<Parameters>>,
}

#[derive(Debug, Clone)]
struct Place {
    name: String,
    shape: Vec<usize>,
    learnt: bool,
    start: usize,
    len: usize,
}

impl Parameters {
    /// Places, elements of what is learnt, and of all.
    fn places(graph: &Graph) -> (Vec<Place>, usize, usize) {
        let mut places: Vec<Place> = graph
            .parameters()
            .iter()
            .map(|parameter| Place {
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
                learnt: parameter.learnt,
                start: 0,
                len: parameter.size(),
            })
            .collect();
        let mut start = 0;
        let mut learnt = 0;
        for kind in [true, false] {
            for place in places.iter_mut().filter(|place| place.learnt == kind) {
                place.start = start;
                start += place.len.next_multiple_of(ALIGNMENT);
            }
            if kind {
                learnt = start;
            }
        }
        (places, learnt, start)
    }

    /// Adds to `need` what the parameters of `graph` will take, with so many buffers of gradients and so many of an
    /// optimiser's memories.
    pub fn need(graph: &Graph, gradients: usize, memories: usize, need: &mut Need) {
        let (places, learnt, all) = Self::places(graph);
        let largest = places.iter().max_by_key(|place| place.len);
        let name = largest.map_or("", |place| &place.name);
        let place = layer(name.rsplit_once('.').map_or(name, |(layer, _)| layer));
        need.buffer("parameters", &place, all);
        for _ in 0..gradients {
            need.buffer("gradients of parameters", &place, all);
        }
        for _ in 0..memories {
            need.buffer("optimiser", &place, learnt);
        }
    }

    /// Places all parameters of `graph` and draws their first values from `seed`.
    ///
    /// # Errors
    /// They need more memory than the adapter gives one binding.
    pub fn new(gpu: &Gpu, graph: &Graph, seed: u64) -> Result<Self> {
        let (places, learnt, start) = Self::places(graph);
        let by_name = places
            .iter()
            .enumerate()
            .map(|(index, place)| (place.name.clone(), index))
            .collect();
        let parameters = Self {
            values: gpu.buffer("parameters", start)?,
            gradients: gpu.buffer("parameter gradients", start)?,
            places,
            learnt,
            by_name,
            beside: None,
        };
        let mut values = vec![0.0; start];
        for node in graph.nodes() {
            // Fans follow from the layer's weight: [out, in, ...receptive field].
            let weight = node
                .parameters
                .iter()
                .map(|&p| &graph.parameters()[p])
                .find(|p| p.shape.len() >= 2);
            let (fan_in, fan_out) = weight.map_or((1, 1), |weight| {
                let field: usize = weight.shape[2..].iter().product();
                (weight.shape[1] * field, weight.shape[0] * field)
            });
            for &index in &node.parameters {
                let parameter = &graph.parameters()[index];
                let place = &parameters.places[index];
                values[place.start..place.start + place.len].copy_from_slice(
                    &parameter.initialisation.values(
                        &parameter.shape,
                        fan_in,
                        fan_out,
                        seed,
                        index,
                    ),
                );
            }
        }
        gpu.write(&parameters.values, 0, &values);
        Ok(parameters)
    }

    /// The same values with gradients of their own, for a plan that runs beside another in one step.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn with_own_gradients(&self, gpu: &Gpu) -> Result<Self> {
        let gradients = gpu.buffer("parameter gradients", self.gradients.len())?;
        Ok(Self {
            gradients,
            ..self.clone()
        })
    }

    /// These and those of another network, for a plan that runs through both. Everything but [`Parameters::slice`] is
    /// about these alone.
    pub fn beside(mut self, other: Self) -> Self {
        self.beside = Some(Box::new(other));
        self
    }

    /// Whether there is one of that name, [`Parameters::beside`] not counted.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The place of a parameter, if there is one of that name.
    pub fn slice(&self, name: &str) -> Option<ParameterSlice<'_>> {
        let Some(&index) = self.by_name.get(name) else {
            return self.beside.as_ref()?.slice(name);
        };
        let place = &self.places[index];
        Some(ParameterSlice {
            values: &self.values,
            gradients: &self.gradients,
            start: place.start,
            len: place.len,
        })
    }

    /// Number of learnt values.
    pub fn count(&self) -> usize {
        let learnt = self.places.iter().filter(|place| place.learnt);
        learnt.map(|place| place.len).sum()
    }

    /// Elements at the front of [`Parameters::values`] that are learnt, gaps included: where an optimiser ends.
    pub fn learnt_len(&self) -> usize {
        self.learnt
    }

    /// Names and places of what is learnt.
    pub(super) fn learnt(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let learnt = self.places.iter().filter(|place| place.learnt);
        learnt.map(|place| (place.name.as_str(), place.start..place.start + place.len))
    }

    /// Splits a buffer laid out like the parameters (their values or gradients, read back with [`Gpu::read`]) into named
    /// tensors.
    pub fn split(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.places.iter(), all)
    }

    /// Splits a buffer laid out like the learnt parameters (an optimiser's moments) into named tensors.
    pub fn split_learnt(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.places.iter().filter(|place| place.learnt), all)
    }

    fn tensors<'a>(places: impl Iterator<Item = &'a Place>, all: &[f32]) -> Vec<NamedTensor> {
        places
            .map(|place| {
                let values = all[place.start..place.start + place.len].to_vec();
                (place.name.clone(), place.shape.clone(), values)
            })
            .collect()
    }

    /// The inverse of [`Parameters::split`]: one array in the buffers' layout, from tensors in any order.
    ///
    /// # Errors
    /// A tensor is missing, unknown, or of another shape; `source` names the file in the message.
    pub fn join(&self, tensors: &[NamedTensor], source: &str) -> Result<Vec<f32>> {
        self.joined(tensors, source, self.values.len(), &|_| true)
    }

    /// The inverse of [`Parameters::split_learnt`].
    ///
    /// # Errors
    /// As [`Parameters::join`].
    pub fn join_learnt(&self, tensors: &[NamedTensor], source: &str) -> Result<Vec<f32>> {
        self.joined(tensors, source, self.learnt, &|place| place.learnt)
    }

    fn joined(
        &self,
        tensors: &[NamedTensor],
        source: &str,
        len: usize,
        wanted: &dyn Fn(&Place) -> bool,
    ) -> Result<Vec<f32>> {
        let mut all = vec![0.0; len];
        let names = || {
            let names = self.places.iter().filter(|place| wanted(place));
            let names: Vec<_> = names.map(|place| place.name.as_str()).collect();
            names.join(", ")
        };
        let mut missing: HashMap<&str, &Place> = self
            .places
            .iter()
            .filter(|place| wanted(place))
            .map(|place| (place.name.as_str(), place))
            .collect();
        for (name, shape, values) in tensors {
            let Some(place) = missing.remove(name.as_str()) else {
                let twice = self
                    .by_name
                    .get(name)
                    .is_some_and(|&i| wanted(&self.places[i]));
                let problem = if twice {
                    format!("the parameter '{name}' comes twice")
                } else {
                    format!("the model has no parameter '{name}'")
                };
                let mend = format!("it needs exactly these: {}", names());
                return Err(Error::input(source, problem, mend));
            };
            if *shape != place.shape {
                return Err(Error::input(
                    source,
                    format!("'{name}' has shape {shape:?}"),
                    format!("the model needs {:?}", place.shape),
                ));
            }
            if values.len() != place.len {
                return Err(Error::input(
                    source,
                    format!(
                        "'{name}' has {} values for its shape {shape:?}",
                        values.len()
                    ),
                    format!("it needs {}", place.len),
                ));
            }
            all[place.start..place.start + place.len].copy_from_slice(values);
        }
        let left = self
            .places
            .iter()
            .find(|place| missing.contains_key(place.name.as_str()));
        if let Some(place) = left {
            return Err(Error::input(
                source,
                format!("the parameter '{}' is missing", place.name),
                format!("the model needs exactly these: {}", names()),
            ));
        }
        Ok(all)
    }
}
