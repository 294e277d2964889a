//! What a VAE shows for itself: reconstructions of the first samples, and decoded draws from the prior.

use super::{ModelConfig, Trainer};
use crate::data::Dataset;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::models::VaeConfig;
use crate::nn::{Parameters, Plan, PlanOptions, Watched};
use crate::random::{self, Stream};
use crate::{Error, Result};

/// Images that follow a model's parameters; [`Gallery::refresh`] draws them anew from the parameters' present values.
pub struct Gallery {
    /// Images in each of the buffers.
    pub count: usize,
    /// Channels, height, width of an image.
    pub shape: [usize; 3],
    /// The first samples in file order, `[count, channels, height, width]` in `[0, 1]`.
    pub inputs: Buffer<f32>,
    /// Their reconstructions through the latent mean.
    pub reconstructions: Buffer<f32>,
    /// Decoded draws from the prior, the same draws each time.
    pub samples: Buffer<f32>,
    dispatches: Vec<Dispatch>,
}

impl Gallery {
    /// The gallery of `count` images of a trainer's model; `None` for models that make no images.
    ///
    /// # Errors
    /// The adapter's limits.
    pub fn new(trainer: &Trainer, count: usize) -> Result<Option<Self>> {
        let scenario = trainer.scenario();
        let ModelConfig::Vae(config) = scenario.model() else {
            return Ok(None);
        };
        let (gpu, dataset) = (trainer.gpu(), trainer.dataset());
        Self::build(
            gpu,
            &config,
            dataset,
            trainer.parameters(),
            scenario.seed,
            count,
        )
        .map(Some)
    }

    fn build(
        gpu: &Gpu,
        config: &VaeConfig,
        dataset: &Dataset,
        parameters: &Parameters,
        seed: u64,
        count: usize,
    ) -> Result<Self> {
        let count = count.min(dataset.count());
        // No noise is drawn here; the plans only need something that looks like a clock.
        let clock = gpu.buffer("gallery clock", 4)?;
        let reconstructor = config.reconstructor(&dataset.shape())?;
        let decoder = config.decoder()?;
        let options = |keep| PlanOptions {
            batch: count,
            seed,
            clock: &clock,
            training: false,
            keep,
            inputs: &[],
        };
        let mut no_probe = |_: &Watched<'_>| Ok(Vec::new());
        let keep = [reconstructor.image];
        let reconstruct = Plan::new(
            gpu,
            &reconstructor.graph,
            parameters,
            &options(&keep),
            &mut no_probe,
        )?;
        let keep = [decoder.image];
        let decode = Plan::new(
            gpu,
            &decoder.graph,
            parameters,
            &options(&keep),
            &mut no_probe,
        )?;
        let kept = |plan: &Plan, node| {
            plan.value(node).cloned().ok_or_else(|| {
                Error::input(
                    "gallery",
                    "an image node was not kept",
                    "report this as a bug",
                )
            })
        };
        let inputs = kept(&reconstruct, reconstructor.x)?;
        let indices: Vec<u32> = (0..count as u32).collect();
        gpu.run(
            "gallery inputs",
            [&dataset.gather_indices(gpu, &indices, &inputs)?],
        );
        let normals: Vec<f32> = (0..(count * config.latent).div_ceil(4))
            .flat_map(|i| random::standard_normal(random::words(seed, Stream::Latent, 0, i as u32)))
            .map(|value| value as f32)
            .take(count * config.latent)
            .collect();
        gpu.write(&kept(&decode, decoder.z)?, 0, &normals);
        let dispatches = reconstruct
            .dispatches(false)
            .chain(decode.dispatches(false));
        Ok(Self {
            count,
            shape: dataset.shape(),
            dispatches: dispatches.cloned().collect(),
            reconstructions: kept(&reconstruct, reconstructor.image)?,
            samples: kept(&decode, decoder.image)?,
            inputs,
        })
    }

    /// Computes the images from the parameters as they are now, without waiting.
    pub fn refresh(&self, gpu: &Gpu) {
        gpu.run("gallery", &self.dispatches);
    }
}
