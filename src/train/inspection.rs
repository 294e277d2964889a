//! A scenario looked at without a device: its data, the shape of every layer, parameters and memory.

use std::collections::BTreeMap;

use super::Scenario;
use super::trainer_builder::planned_model;
use crate::Result;
use crate::gpu::{AdapterProfile, MemoryEstimate};
use crate::models::DataShape;
use crate::trace::ModelDescription;

/// What a scenario will train.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// How many samples the data set has.
    pub samples: usize,
    /// The shape of a sample, and the classes.
    pub data: DataShape,
    /// The graphs of a step, with the shape of every layer.
    pub model: ModelDescription,
    /// Trainable parameters of all networks.
    pub parameters: usize,
    /// Bytes of an adapter's memory that training takes, the data set included where all of it lies there. Software
    /// adapters differ by their workspace.
    pub memory: u64,
}

impl Scenario {
    /// Reads the data and builds the model without a device.
    ///
    /// # Errors
    /// Broken data, or layers that do not fit; the error names the line.
    pub fn inspect(&self) -> Result<Inspection> {
        let images = self.images()?;
        let mut estimate = MemoryEstimate::default();
        let model = planned_model(&AdapterProfile::GPU, self, &images, &mut estimate)?;
        let description = ModelDescription {
            graphs: model
                .passes()
                .into_iter()
                .map(|pass| pass.graph.describe(pass.name, pass.loss))
                .collect(),
        };
        // Graphs share the parameters of one name.
        let layers = description.graphs.iter().flat_map(|graph| &graph.layers);
        let parameters: BTreeMap<&str, usize> = layers
            .flat_map(|layer| &layer.parameters)
            .map(|parameter| (parameter.name.as_str(), parameter.shape.iter().product()))
            .collect();
        let pixels = 4 * images.sample_size().div_ceil(4) * images.count;
        let data_bytes = (pixels + 4 * images.labels.len()) as u64;
        Ok(Inspection {
            samples: images.count,
            data: DataShape {
                sample: images.shape,
                classes: images.classes,
            },
            parameters: parameters.values().sum(),
            model: description,
            memory: estimate.bytes() + data_bytes.min(self.data.memory_budget()),
        })
    }
}
