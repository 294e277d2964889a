//! What a generative model shows for itself: decoded draws from the prior, and what a VAE makes of the first samples.

use super::Trainer;
use crate::data::{Dataset, Scaling};
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::models::{Decoder, Reconstructor};
use crate::nn::ops::Activation;
use crate::nn::{Graph, Mode, NodeId, Parameters, Plan};
use crate::random::{self, Stream};
use crate::{Error, Result};

/// Images that follow a model's parameters; [`ModelPreview::refresh`] draws them anew from the parameters' present values.
#[derive(Debug)]
pub struct ModelPreview {
    /// Images in each of the buffers.
    pub count: usize,
    /// Channels, height, width of an image.
    pub shape: [usize; 3],
    /// Of a VAE: the first samples in file order, and their reconstructions through the latent mean, both
    /// `[count, channels, height, width]` in `[0, 1]`.
    pub reconstructions: Option<[Buffer<f32>; 2]>,
    /// Decoded draws from the prior, the same draws each time, in that shape. Of a conditional VAE image `i` is of class
    /// `i` modulo [`ModelPreview::classes`], and images of one row of classes come from the same draw.
    pub samples: Buffer<f32>,
    /// Classes that the samples go through in turn: 1 where the model knows none.
    pub classes: usize,
    dispatches: Vec<Dispatch>,
}

impl ModelPreview {
    /// The preview of `count` images of a trainer's model, at most those of the probe batch; `None` for models that make no
    /// images.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn new(trainer: &Trainer, count: usize) -> Result<Option<Self>> {
        let dataset = trainer.dataset();
        let Some(mut decoder) = trainer.model().decoder()? else {
            return Ok(None);
        };
        let mut reconstructor = trainer.model().reconstructor()?;
        if let Some(back) = dataset.scaling().back() {
            decoder.image = shown(&mut decoder.graph, "image", decoder.image, back)?;
            if let Some(reconstructor) = &mut reconstructor {
                let graph = &mut reconstructor.graph;
                reconstructor.image = shown(graph, "image", reconstructor.image, back)?;
            }
        }
        let classes = decoder.label.map_or(1, |_| dataset.classes());
        // The reconstructed samples are the first of the probe batch.
        let probe_batch = trainer.scenario().record.probe_batch;
        let count = count.min(dataset.count()).min(probe_batch);
        let builder = Builder {
            gpu: trainer.gpu(),
            parameters: trainer.parameters(),
            seed: trainer.scenario().seed,
            // Whole rows of classes.
            count: (count - count % classes).max(1),
            classes,
        };
        builder
            .build(dataset, &decoder, reconstructor.as_ref())
            .map(Some)
    }

    /// Computes the images from the parameters as they are now, without waiting.
    pub fn refresh(&self, gpu: &Gpu) {
        gpu.run("preview", &self.dispatches);
    }
}

struct Builder<'a> {
    gpu: &'a Gpu,
    parameters: &'a Parameters,
    seed: u64,
    count: usize,
    classes: usize,
}

impl Builder<'_> {
    fn build(
        &self,
        dataset: &Dataset,
        decoder: &Decoder,
        reconstructor: Option<&Reconstructor>,
    ) -> Result<ModelPreview> {
        let mut dispatches = Vec::new();
        let reconstructions = match reconstructor {
            None => None,
            Some(Reconstructor {
                graph,
                x,
                label,
                image,
            }) => {
                let plan = self.plan(graph, *image)?;
                dispatches.extend(plan.dispatches(false).cloned());
                let inputs = kept(&plan, *x)?;
                let labels = label.map(|label| kept(&plan, label)).transpose()?;
                let labels = labels.map(|labels| labels.cast());
                let indices: Vec<u32> = (0..self.count as u32).collect();
                let gather =
                    dataset.gather_indices(self.gpu, &indices, &inputs, labels.as_ref())?;
                self.gpu.run("preview inputs", &gather);
                Some([self.originals(dataset)?, kept(&plan, *image)?])
            }
        };
        let plan = self.plan(&decoder.graph, decoder.image)?;
        dispatches.extend(plan.dispatches(false).cloned());
        let z = kept(&plan, decoder.z)?;
        let normals = random::standard_normals(self.seed, Stream::Latent, 0, z.len());
        let latent = z.len() / self.count;
        let draws: Vec<f32> = (0..self.count)
            .flat_map(|image| &normals[image / self.classes * latent..][..latent])
            .copied()
            .collect();
        self.gpu.write(&z, 0, &draws);
        if let Some(label) = decoder.label {
            let classes = (0..self.count).map(|image| (image % self.classes) as u32);
            let labels = kept(&plan, label)?.cast();
            self.gpu.write(&labels, 0, &classes.collect::<Vec<_>>());
        }
        Ok(ModelPreview {
            count: self.count,
            shape: dataset.shape(),
            reconstructions,
            samples: kept(&plan, decoder.image)?,
            classes: self.classes,
            dispatches,
        })
    }

    /// The first samples, in `[0, 1]`.
    fn originals(&self, dataset: &Dataset) -> Result<Buffer<f32>> {
        let indices: Vec<u32> = (0..self.count as u32).collect();
        let images = self
            .gpu
            .buffer("preview originals", self.count * dataset.sample_size())?;
        let unscaled = dataset.clone().with_scaling(Scaling::default());
        let gather = unscaled.gather_indices(self.gpu, &indices, &images, None)?;
        self.gpu.run("preview originals", &gather);
        Ok(images)
    }

    fn plan(&self, graph: &Graph, image: NodeId) -> Result<Plan> {
        Plan::request(graph, self.count)
            .mode(Mode::Eval)
            .seed(self.seed)
            .keep_value(image)
            .build(self.gpu, self.parameters)
    }
}

/// `image` with its values brought back to `[0, 1]`.
fn shown(graph: &mut Graph, name: &str, image: NodeId, back: Scaling) -> Result<NodeId> {
    let Scaling { scale, shift } = back;
    graph.add(
        &format!("{name}.shown"),
        Activation::Affine { scale, shift },
        &[image],
    )
}

fn kept(plan: &Plan, node: NodeId) -> Result<Buffer<f32>> {
    plan.value(node).cloned().ok_or_else(|| {
        Error::input(
            "preview",
            "an image node was not kept",
            "report this as a bug",
        )
    })
}
