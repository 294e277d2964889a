//! What is trainable: all parameters of a graph in one buffer, so that an optimizer is one dispatch. Frozen ones, and behind
//! them state that is kept but not trainable (running statistics), follow in the same buffer, outside the range that the
//! optimizer touches.

use std::collections::HashMap;
use std::ops::Range;

use super::graph::Graph;
use super::input_gradient::SUFFIX;
use super::operation::{ParameterSlice, layer};
use crate::gpu::{Buffer, Gpu, MemoryEstimate};
use crate::tensor::NamedTensor;
use crate::text::listed;
use crate::{Error, Result};

/// Elements that a parameter's slot is rounded up to: 256 bytes, the storage offset alignment that every adapter
/// can do.
const ALIGNMENT: usize = 64;
/// Characters of a list of names in a message.
const LISTED: usize = 200;

/// Values and gradients of all parameters. Plans of several graphs may share one by the parameters' names.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// All values, each parameter on a boundary of 256 bytes, zeros between.
    pub values: Buffer<f32>,
    /// Gradients in the same slots; after the optimizer's pass, the updates that it applied.
    pub gradients: Buffer<f32>,
    slots: Vec<Slot>,
    /// Elements that the updated ones take; frozen ones follow.
    updated: usize,
    /// Elements that the trainable ones take, frozen ones included; state follows.
    trainable: usize,
    by_name: HashMap<String, usize>,
    /// Another network's, for plans that run through both.
    fallback: Option<Box<Parameters>>,
}

#[derive(Debug, Clone)]
struct Slot {
    name: String,
    shape: Vec<usize>,
    trainable: bool,
    frozen: bool,
    start: usize,
    len: usize,
}

/// The slots of a graph's parameters.
struct Slots {
    slots: Vec<Slot>,
    /// Elements of what is updated, of what is trainable, and of all.
    ends: [usize; 3],
}

/// Whether a state is batch norm's counter of batches, on which no result depends: PyTorch's earlier files lack it, and 0
/// replaces it there.
fn is_counter(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

impl Parameters {
    fn slots(graph: &Graph) -> Slots {
        let mut slots: Vec<Slot> = graph
            .parameters()
            .iter()
            .map(|parameter| Slot {
                name: parameter.name.clone(),
                shape: parameter.shape.clone(),
                trainable: parameter.trainable,
                frozen: parameter.frozen,
                start: 0,
                len: parameter.size(),
            })
            .collect();
        let mut start = 0;
        let kinds = [(true, false), (true, true), (false, false)];
        let ends = kinds.map(|kind| {
            for slot in &mut slots {
                if (slot.trainable, slot.frozen) == kind {
                    slot.start = start;
                    start += slot.len.next_multiple_of(ALIGNMENT);
                }
            }
            start
        });
        Slots { slots, ends }
    }

    /// Adds to `need` what the parameters of `graph` will take, with so many buffers of gradients and so many of an
    /// optimizer's memories.
    pub fn estimate_memory(
        graph: &Graph,
        gradients: usize,
        memories: usize,
        estimate: &mut MemoryEstimate,
    ) {
        let Slots {
            slots,
            ends: [_, trainable, all],
        } = Self::slots(graph);
        let largest = slots.iter().max_by_key(|slot| slot.len);
        let name = largest.map_or("", |slot| &slot.name);
        let context = layer(name.rsplit_once('.').map_or(name, |(layer, _)| layer));
        estimate.buffer("parameters", &context, all);
        for _ in 0..gradients {
            estimate.buffer("gradients of parameters", &context, all);
        }
        for _ in 0..memories {
            estimate.buffer("optimizer", &context, trainable);
        }
    }

    /// Makes room for all parameters of `graph` and draws their first values from `seed`.
    ///
    /// # Errors
    /// They need more memory than the adapter gives one binding.
    pub fn new(gpu: &Gpu, graph: &Graph, seed: u64) -> Result<Self> {
        let Slots {
            slots,
            ends: [updated, trainable, all],
        } = Self::slots(graph);
        let by_name = slots
            .iter()
            .enumerate()
            .map(|(index, slot)| (slot.name.clone(), index))
            .collect();
        let parameters = Self {
            values: gpu.buffer("parameters", all)?,
            gradients: gpu.buffer("parameter gradients", all)?,
            slots,
            updated,
            trainable,
            by_name,
            fallback: None,
        };
        let mut values = vec![0.0; all];
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
                let slot = &parameters.slots[index];
                values[slot.start..slot.start + slot.len].copy_from_slice(
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

    /// The same layout with values of their own, zeros at first, for what looks at the parameters of another moment.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn with_own_values(&self, gpu: &Gpu, label: &str) -> Result<Self> {
        let values = gpu.buffer(label, self.values.len())?;
        Ok(Self {
            values,
            ..self.clone()
        })
    }

    /// The same values for plans of a graph with an input gradient ([`Graph::input_gradient`]), each with gradients of its
    /// own: first those of the layers, then, under names of their own, those of the nodes by which the gradient passes the
    /// layers. The gradient of a parameter is the sum of both.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn for_input_gradients(&self, gpu: &Gpu) -> Result<[Self; 2]> {
        let mut passed = self.with_own_gradients(gpu)?;
        for slot in &mut passed.slots {
            let (layer, parameter) = slot
                .name
                .rsplit_once('.')
                .unwrap_or((slot.name.as_str(), ""));
            slot.name = format!("{layer}{SUFFIX}.{parameter}");
        }
        let names = passed.slots.iter().enumerate();
        passed.by_name = names
            .map(|(index, slot)| (slot.name.clone(), index))
            .collect();
        Ok([self.with_own_gradients(gpu)?, passed])
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

    /// The names of all parameters and of the state, in the order of their layers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name.as_str())
    }

    /// The values and gradients of a parameter, if there is one of that name.
    pub fn slice(&self, name: &str) -> Option<ParameterSlice<'_>> {
        let Some(&index) = self.by_name.get(name) else {
            return self.fallback.as_ref()?.slice(name);
        };
        let slot = &self.slots[index];
        Some(ParameterSlice {
            values: &self.values,
            gradients: &self.gradients,
            start: slot.start,
            len: slot.len,
        })
    }

    /// Number of trainable values, frozen ones included.
    pub fn count(&self) -> usize {
        let trainable = self.slots.iter().filter(|slot| slot.trainable);
        trainable.map(|slot| slot.len).sum()
    }

    /// Elements at the front of [`Parameters::values`] that are updated, gaps included: where an optimizer ends.
    pub fn updated_len(&self) -> usize {
        self.updated
    }

    /// Elements at the front of [`Parameters::values`] that are trainable, frozen ones and gaps included: where the state
    /// begins.
    pub fn trainable_len(&self) -> usize {
        self.trainable
    }

    /// Names and ranges of what is updated.
    pub(super) fn updated(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let is_updated = |slot: &&Slot| slot.trainable && !slot.frozen;
        let updated = self.slots.iter().filter(is_updated);
        updated.map(|slot| (slot.name.as_str(), slot.start..slot.start + slot.len))
    }

    /// Splits a buffer laid out like the parameters (their values or gradients, read back with [`Gpu::read`]) into named
    /// tensors.
    pub fn unpack(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.slots.iter(), all)
    }

    /// Splits a buffer laid out like the trainable parameters (an optimizer's moments) into named tensors.
    pub fn unpack_trainable(&self, all: &[f32]) -> Vec<NamedTensor> {
        Self::tensors(self.slots.iter().filter(|slot| slot.trainable), all)
    }

    fn tensors<'a>(slots: impl Iterator<Item = &'a Slot>, all: &[f32]) -> Vec<NamedTensor> {
        slots
            .map(|slot| {
                let values = all[slot.start..slot.start + slot.len].to_vec();
                NamedTensor::new(&slot.name, slot.shape.clone(), values)
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
        self.packed(tensors, source, self.trainable, &|slot| slot.trainable)
    }

    fn packed(
        &self,
        tensors: &[NamedTensor],
        source: &str,
        len: usize,
        wanted: &dyn Fn(&Slot) -> bool,
    ) -> Result<Vec<f32>> {
        let mut all = vec![0.0; len];
        let names = || {
            let names = self.slots.iter().filter(|slot| wanted(slot));
            let names: Vec<_> = names.map(|slot| slot.name.as_str()).collect();
            listed(names.iter().copied(), LISTED)
        };
        let mut missing: HashMap<&str, &Slot> = self
            .slots
            .iter()
            .filter(|slot| wanted(slot))
            .map(|slot| (slot.name.as_str(), slot))
            .collect();
        for NamedTensor {
            name,
            shape,
            values,
        } in tensors
        {
            let Some(slot) = missing.remove(name.as_str()) else {
                let twice = self
                    .by_name
                    .get(name)
                    .is_some_and(|&i| wanted(&self.slots[i]));
                let problem = if twice {
                    format!("the parameter '{name}' comes twice")
                } else {
                    format!("the model has no parameter '{name}'")
                };
                let hint = format!("it needs exactly these: {}", names());
                return Err(Error::input(source, problem, hint));
            };
            if *shape != slot.shape {
                return Err(Error::shape(
                    source,
                    format!("'{name}' has shape {shape:?}"),
                    format!("the model needs {:?}", slot.shape),
                ));
            }
            if values.len() != slot.len {
                return Err(Error::input(
                    source,
                    format!(
                        "'{name}' has {} values for its shape {shape:?}",
                        values.len()
                    ),
                    format!("it needs {}", slot.len),
                ));
            }
            all[slot.start..slot.start + slot.len].copy_from_slice(values);
        }
        let left = self
            .slots
            .iter()
            .find(|slot| missing.contains_key(slot.name.as_str()) && !is_counter(&slot.name));
        if let Some(slot) = left {
            return Err(Error::input(
                source,
                format!("the parameter '{}' is missing", slot.name),
                format!("the model needs exactly these: {}", names()),
            ));
        }
        Ok(all)
    }
}
