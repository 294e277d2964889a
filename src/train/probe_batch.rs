//! The probe batch: the samples on which a model is looked at, and the graphs that it goes through.
//!
//! The probe batch is the first `record.probe_batch` samples of the data set in file order, unaltered. A GAN's generator
//! begins with noise instead of samples; it is looked at on latent vectors of a stream of their own, those of its preview.

use std::ops::{Deref, Range};

use super::Trainer;
use crate::Result;
use crate::gpu::Buffer;
use crate::nn::{Graph, Loss, NodeId, Plan, Role};
use crate::random::{self, Stream};

/// A graph of the model that the probe batch goes through.
#[derive(Debug)]
pub struct ProbedGraph<'a> {
    graph: Owned<'a>,
    /// Where samples, or latent vectors, go in.
    pub input: NodeId,
    /// What training minimizes at its end; a generator alone has nothing.
    pub loss: Option<&'a Loss>,
}

#[derive(Debug)]
enum Owned<'a> {
    No(&'a Graph),
    Yes(Graph),
}

impl Deref for ProbedGraph<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        match &self.graph {
            Owned::No(graph) => graph,
            Owned::Yes(graph) => graph,
        }
    }
}

/// What goes into a [`ProbedGraph`].
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeBatch {
    /// Samples in it.
    pub count: usize,
    /// `[count, ...shape of the input]`
    pub samples: Vec<f32>,
    /// Where their labels go, and the labels, where the graph takes some.
    pub labels: Option<(NodeId, Vec<u32>)>,
}

impl<'a> ProbedGraph<'a> {
    /// The graphs of a trainer's model, the most telling one first: those that samples go into, and of a GAN its generator.
    ///
    /// # Errors
    /// Layers do not fit each other.
    pub fn all(trainer: &'a Trainer) -> Result<Vec<Self>> {
        let mut graphs = Vec::new();
        for pass in trainer.model().passes() {
            if let Some(input) = pass.graph.with_role(Role::Input) {
                graphs.push(Self {
                    graph: Owned::No(pass.graph),
                    input,
                    loss: Some(pass.loss),
                });
            }
        }
        // A VAE's decoder follows its encoder in one graph; a GAN's generator begins with noise.
        let begins_with_data = trainer.graph().with_role(Role::Input).is_some();
        if let Some(decoder) = trainer.model().decoder()?.filter(|_| !begins_with_data) {
            graphs.push(Self {
                input: decoder.z,
                graph: Owned::Yes(decoder.graph),
                loss: None,
            });
        }
        Ok(graphs)
    }

    /// The probe batch.
    ///
    /// # Errors
    /// The adapter's limits, or the device was lost.
    pub fn batch(&self, trainer: &Trainer) -> Result<ProbeBatch> {
        let count = trainer.scenario().record.probe_batch;
        self.samples(trainer, 0..count.min(trainer.dataset().count()))
    }

    /// Some samples of the data set in file order, unaltered, or as many latent vectors; the probe batch is the first of
    /// them.
    ///
    /// # Errors
    /// No samples, samples that the data set does not have, the adapter's limits, or the device was lost.
    pub fn samples(&self, trainer: &Trainer, range: Range<usize>) -> Result<ProbeBatch> {
        let size = self.node(self.input).size();
        let (gpu, dataset) = (trainer.gpu(), trainer.dataset());
        let count = range.len();
        if matches!(self.graph, Owned::Yes(_)) {
            let seed = trainer.scenario().seed;
            let all = random::standard_normals(seed, Stream::Latent, 0, range.end * size);
            return Ok(ProbeBatch {
                count,
                samples: all[range.start * size..].to_vec(),
                labels: None,
            });
        }
        let pixels = gpu.buffer("probe batch", count * size)?;
        let label = self.with_role(Role::Label);
        let labels = label
            .map(|_| gpu.buffer::<u32>("labels", count))
            .transpose()?;
        let indices: Vec<u32> = (range.start as u32..range.end as u32).collect();
        let gather = dataset.gather_indices(gpu, &indices, &pixels, labels.as_ref())?;
        gpu.run("probe batch", &gather);
        let labels = labels.map(|labels| gpu.read(&labels)).transpose()?;
        Ok(ProbeBatch {
            count,
            samples: gpu.read(&pixels)?,
            labels: label.zip(labels),
        })
    }
}

impl ProbeBatch {
    /// Writes the labels into the input of a plan whose batch holds the probe batch `times` times, one after the other.
    pub fn write_labels(&self, trainer: &Trainer, plan: &Plan, times: usize) {
        if let Some((label, labels)) = &self.labels {
            let buffer: Buffer<u32> = plan.value(*label).expect("inputs are kept").cast();
            trainer.gpu().write(&buffer, 0, &labels.repeat(times));
        }
    }
}
