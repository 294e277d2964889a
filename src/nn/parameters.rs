//! What is trainable: all parameters of a graph in one buffer, so that an optimizer is one dispatch. State that is kept but
//! not trainable (running statistics) stands behind them in the same buffer, where the optimizer's dispatch has ended.

use std::collections::HashMap;
use std::ops::Range;

use super::graph::Graph;
use super::operation::{ParameterSlice, layer};
use crate::gpu::{Buffer, Gpu, MemoryEstimate};
use crate::tensor::NamedTensor;
use crate::{Error, Result};

/// Elements that a parameter's place is rounded up to: 256 bytes, the storage offset alignment that every adapter
/// can do.
const ALIGNMENT: usize = 64;

/// Values and gradients of all parameters. Plans of several graphs may share one by the parameters' names.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// All values, each parameter on a boundary of 256 bytes, zeros between.
    pub values: Buffer<f32>,
    /// Gradients in the same places; after the optimizer's pass, the updates that it applied.
    pub gradients: Buffer<f32>,
    places: Vec<Place>,
    /// Elements that the trainable ones take; state follows.
    trainable: usize,
    by_name: HashMap<String, usize>,
    /// Another network's, for plans that run through both.
    fallback: Option<Box<Parameters>>,
}

#[derive(Debug, Clone)]
struct Place {
    name: String,
    shape: Vec<usize>,
    trainable: bool,
    start: usize,
    len: usize,
}

impl Parameters {
    /// Places, elements of what is trainable, and of all.
    fn places(graph: &Graph) -> (Vec<Place>, usize, usize) {
        let mut places: Vec<Place> = graph
            .parameters()
            .iter()
            .map(|parameter| Place {
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
                trainable: parameter.trainable,
                start: 0,
                len: parameter.size(),
            })
            .collect();
        let mut start = 0;
        let mut trainable = 0;
        for kind in [true, false] {
            for place in places.iter_mut().filter(|place| place.trainable == kind) {
                place.start = start;
                start += place.len.next_multiple_of(ALIGNMENT);
            }
            if kind {
                trainable = start;
            }
        }
        (places, trainable, start)
    }

    /// Adds to `need` what the parameters of `graph` will take, with so many buffers of gradients and so many of an
    /// optimizer's memories.
    pub fn estimate_memory(
        graph: &Graph,
        gradients: usize,
        memories: usize,
        estimate: &mut MemoryEstimate,
    ) {
        let (places, trainable, all) = Self::places(graph);
        let largest = places.iter().max_by_key(|place| place.len);
        let name = largest.map_or("", |place| &place.name);
        let place = layer(name.rsplit_once('.').map_or(name, |(layer, _)| layer));
        estimate.buffer("parameters", &place, all);
        for _ in 0..gradients {
            estimate.buffer("gradients of parameters", &place, all);
        }
        for _ in 0..memories {
            estimate.buffer("optimizer", &place, trainable);
        }
    }

    /// Places all parameters of `graph` and draws their first values from `seed`.
    ///
    /// # Errors
    /// They need more memory than the adapter gives one binding.
    pub fn new(gpu: &Gpu, graph: &Graph, seed: u64) -> Result<Self> {
        let (places, trainable, start) = Self::places(graph);
        let by_name = places
            .iter()
            .enumerate()
            .map(|(index, place)| (place.name.clone(), index))
            .collect();
        let parameters = Self {
            values: gpu.buffer("parameters", start)?,
            gradients: gpu.buffer("parameter gradients", start)?,
            places,
            trainable,
            by_name,
            fallback: None,
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
                    &parameter.initialization.values(
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

    /// The same values with gradients of their own, for a plan that runs fallback another in one step.
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
    pub fn with_fallback(mut self, other: Self) -> Self {
        self.fallback = Some(Box::new(other));
        self
    }

    /// Whether these parameters have one of that name; those of [`Parameters::with_fallback`] do not count.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The place of a parameter, if there is one of that name.
    pub fn slice(&self, name: &str) -> Option<ParameterSlice<'_>> {
        let Some(&index) = self.by_name.get(name) else {
            return self.fallback.as_ref()?.slice(name);
        };
        let place = &self.places[index];
        Some(ParameterSlice {
            values: &self.values,
            gradients: &self.gradients,
            start: place.start,
            len: place.len,
        })
    }

    /// Number of trainable values.
    pub fn count(&self) -> usize {
        let trainable = self.places.iter().filter(|place| place.trainable);
        trainable.map(|place| place.len).sum()
    }

    /// Elements at the front of [`Parameters::values`] that are trainable, gaps included: where an optimizer ends.
    pub fn trainable_len(&self) -> usize {
        self.trainable
    }

    /// Names and places of what is trainable.
    pub(super) fn trainable(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let trainable = self.places.iter().filter(|place| place.trainable);
        trainable.map(|place| (place.name.as_str(), place.start..place.start + place.len))
    }

    /// Splits a buffer laid out like the parameters (their values or gradients, read back with [`Gpu::read`]) into named
    /// tensors.
    pub fn unpack(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.places.iter(), all)
    }

    /// Splits a buffer laid out like the trainable parameters (an optimizer's moments) into named tensors.
    pub fn unpack_trainable(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.places.iter().filter(|place| place.trainable), all)
    }

    fn tensors<'a>(places: impl Iterator<Item = &'a Place>, all: &[f32]) -> Vec<NamedTensor> {
        places
            .map(|place| {
                let values = all[place.start..place.start + place.len].to_vec();
                NamedTensor::new(&place.name, place.shape.clone(), values)
            })
            .collect()
    }

    /// The inverse of [`Parameters::unpack`]: one array in the buffers' layout, from tensors in any order.
    ///
    /// # Errors
    /// A tensor is missing, unknown, or of another shape; `source` names the file in the message.
    pub fn pack(&self, tensors: &[NamedTensor], source: &str) -> Result<Vec<f32>> {
        self.packed(tensors, source, self.values.len(), &|_| true)
    }

    /// The inverse of [`Parameters::unpack_trainable`].
    ///
    /// # Errors
    /// As [`Parameters::pack`].
    pub fn pack_trainable(&self, tensors: &[NamedTensor], source: &str) -> Result<Vec<f32>> {
        self.packed(tensors, source, self.trainable, &|place| place.trainable)
    }

    fn packed(
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
        for NamedTensor {
            name,
            shape,
            values,
        } in tensors
        {
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
                let hint = format!("it needs exactly these: {}", names());
                return Err(Error::input(source, problem, hint));
            };
            if *shape != place.shape {
                return Err(Error::shape(
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
