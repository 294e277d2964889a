//! `[model]`: what is trained.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InvalidSetting;
use crate::invalid_setting::check_setting;
use crate::models::{
    ClassifierConfig, ClassifierLoss, Fusion, GanConfig, Layer, Pooling, ReconstructionLoss,
    SecondLatent, Streams, Targets, TwoStreamConfig, VaeConfig, Variance,
};
use crate::nn::losses::GanObjective;

/// Units of a class vector at most.
const MAX_CONDITION: usize = 4096;
/// Updates of a discriminator for each one of its generator at most.
const MAX_CRITIC_STEPS: u64 = 1000;

/// `[model]`: the keys of all kinds of models together. [`Scenario::model`](super::Scenario::model) gives those of one
/// kind, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section [model]")]
pub struct ModelSection {
    /// The kind of model.
    pub kind: ModelKind,
    /// VAE and GAN: the number of latent units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<usize>,
    /// VAE: how the standard deviation is computed from the output of its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<Variance>,
    /// VAE: the scale of the reparameterization noise; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f32>,
    /// VAE: a NumPy file of the noise of every step, `[steps, batch, latent]`, instead of noise of the seed's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_file: Option<PathBuf>,
    /// VAE: the weight of the KL divergence; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f32>,
    /// VAE: the step from which on the divergence has its whole weight, which grows from 0 until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_warmup: Option<u32>,
    /// VAE: the loss between the decoder's output and the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<ReconstructionLoss>,
    /// VAE: the least log-variance of a pixel, of a Gaussian reconstruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_variance_floor: Option<f32>,
    /// VAE: the width of a trainable vector for each class, on which the VAE is then conditioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<usize>,
    /// VAE: the layers before the latent heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Vec<Layer>>,
    /// VAE: the layers from the latent vector to logits of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Vec<Layer>>,
    /// VAE: a second layer of latent units above the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_latent: Option<SecondLatent>,
    /// Classifier: the layers, ending in one logit for each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// Classifier: what is minimized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<ClassifierLoss>,
    /// Classifier: the share of each target that is spread over all answers. GAN: what the discriminator's target of real
    /// images is less than 1. 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f32>,
    /// GAN: the layers from the latent vector to the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Vec<Layer>>,
    /// GAN: the layers from the image to its score, a logit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator: Option<Vec<Layer>>,
    /// GAN: the objective of both networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<GanObjective>,
    /// GAN: after each update the discriminator's weights are clamped to this magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f32>,
    /// GAN: the weight of the penalty on slopes of the discriminator that are not 1 between real and generated images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_penalty: Option<f32>,
    /// GAN: updates of the discriminator for each one of the generator; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic_steps: Option<u64>,
    /// Two-stream network: the channels of each stream's blocks; 16, 32, 64 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<usize>>,
    /// Two-stream network: the channels of the fusing convolution; 64 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion_width: Option<usize>,
    /// Two-stream network: which streams it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<Streams>,
    /// Two-stream network: where the streams are fused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Fusion>,
    /// Two-stream network: how the last feature maps are pooled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Two-stream network: what it is trained to predict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
    /// Model of one's own: its name, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Model of one's own: settings that only the program that builds it understands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub settings: Option<toml::Table>,
}

/// A kind of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// [`VaeConfig`].
    Vae,
    /// [`ClassifierConfig`].
    Classifier,
    /// [`GanConfig`].
    Gan,
    /// [`TwoStreamConfig`].
    #[serde(rename = "two_stream")]
    TwoStream,
    /// A model that a program of one's own builds: [`super::Scenario::with_model`].
    Custom,
}

/// The configuration of a model of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// A variational autoencoder.
    Vae(VaeConfig),
    /// A classifier.
    Classifier(ClassifierConfig),
    /// A generative adversarial network.
    Gan(GanConfig),
    /// A two-stream network.
    TwoStream(TwoStreamConfig),
    /// A model of one's own, by name.
    Custom(String),
}

impl ModelConfig {
    /// Whether the model is trained with labels.
    pub fn needs_labels(&self) -> bool {
        match self {
            Self::Vae(vae) => vae.condition.is_some(),
            Self::Classifier(_) | Self::TwoStream(_) => true,
            Self::Gan(_) | Self::Custom(_) => false,
        }
    }
}

impl ModelKind {
    fn name(self) -> &'static str {
        match self {
            Self::Vae => "vae",
            Self::Classifier => "classifier",
            Self::Gan => "gan",
            Self::TwoStream => "two_stream",
            Self::Custom => "custom",
        }
    }

    /// The keys of this kind, and those of them that are required.
    pub(super) fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Vae => (
                &[
                    "latent",
                    "variance",
                    "noise",
                    "noise_file",
                    "beta",
                    "beta_warmup",
                    "reconstruction",
                    "log_variance_floor",
                    "condition",
                    "encoder",
                    "decoder",
                    "second_latent",
                ],
                &["latent", "encoder", "decoder"],
            ),
            Self::Classifier => (&["layers", "loss", "label_smoothing"], &["layers"]),
            Self::Gan => (
                &[
                    "latent",
                    "objective",
                    "generator",
                    "discriminator",
                    "weight_clip",
                    "gradient_penalty",
                    "critic_steps",
                    "label_smoothing",
                ],
                &["latent", "generator", "discriminator"],
            ),
            Self::TwoStream => (
                &[
                    "widths",
                    "fusion_width",
                    "streams",
                    "fusion",
                    "pooling",
                    "targets",
                ],
                &[],
            ),
            Self::Custom => (&["name", "settings"], &["name"]),
        }
    }
}

impl ModelSection {
    /// The model's configuration, or the key that cannot work.
    pub(super) fn config(&self) -> std::result::Result<ModelConfig, InvalidSetting> {
        self.check_keys()?;
        if let Some(latent) = self.latent {
            check_setting(latent >= 1, "latent", latent, "use at least one unit")?;
        }
        match self.kind {
            ModelKind::Vae => self.vae().map(ModelConfig::Vae),
            ModelKind::Classifier => self.classifier().map(ModelConfig::Classifier),
            ModelKind::Gan => self.gan().map(ModelConfig::Gan),
            ModelKind::TwoStream => self.two_stream().map(ModelConfig::TwoStream),
            ModelKind::Custom => Ok(ModelConfig::Custom(self.name.clone().unwrap_or_default())),
        }
    }

    /// Which optional keys are given.
    fn given(&self) -> [(&'static str, bool); 29] {
        [
            ("latent", self.latent.is_some()),
            ("variance", self.variance.is_some()),
            ("noise", self.noise.is_some()),
            ("noise_file", self.noise_file.is_some()),
            ("beta", self.beta.is_some()),
            ("beta_warmup", self.beta_warmup.is_some()),
            ("reconstruction", self.reconstruction.is_some()),
            ("log_variance_floor", self.log_variance_floor.is_some()),
            ("condition", self.condition.is_some()),
            ("encoder", self.encoder.is_some()),
            ("decoder", self.decoder.is_some()),
            ("second_latent", self.second_latent.is_some()),
            ("layers", self.layers.is_some()),
            ("loss", self.loss.is_some()),
            ("label_smoothing", self.label_smoothing.is_some()),
            ("generator", self.generator.is_some()),
            ("discriminator", self.discriminator.is_some()),
            ("objective", self.objective.is_some()),
            ("weight_clip", self.weight_clip.is_some()),
            ("gradient_penalty", self.gradient_penalty.is_some()),
            ("critic_steps", self.critic_steps.is_some()),
            ("widths", self.widths.is_some()),
            ("fusion_width", self.fusion_width.is_some()),
            ("streams", self.streams.is_some()),
            ("fusion", self.fusion.is_some()),
            ("pooling", self.pooling.is_some()),
            ("targets", self.targets.is_some()),
            ("name", self.name.is_some()),
            ("settings", self.settings.is_some()),
        ]
    }

    /// Checks that every key is one that the kind of model has, and that none is missing.
    fn check_keys(&self) -> std::result::Result<(), InvalidSetting> {
        let kind = self.kind.name();
        let (keys, required) = self.kind.keys();
        for (key, is_given) in self.given() {
            if is_given && !keys.contains(&key) {
                let problem = format!("does not belong to a model of kind \"{kind}\"");
                let hint = format!(
                    "leave it out; the keys of this kind are {}",
                    keys.join(", ")
                );
                return Err(InvalidSetting::new(key, problem, hint));
            }
            if !is_given && required.contains(&key) {
                let problem = format!("= \"{kind}\" needs the key '{key}'");
                return Err(InvalidSetting::new(
                    "kind",
                    problem,
                    format!("add {key} = ..."),
                ));
            }
        }
        Ok(())
    }

    fn vae(&self) -> std::result::Result<VaeConfig, InvalidSetting> {
        let config = VaeConfig {
            latent: self.latent.unwrap_or_default(),
            variance: self.variance.unwrap_or_default(),
            noise: self.noise.unwrap_or(1.0),
            given_noise: None,
            beta: self.beta.unwrap_or(1.0),
            beta_warmup: self.beta_warmup.unwrap_or(0),
            reconstruction: self.reconstruction.unwrap_or_default(),
            log_variance_floor: self.log_variance_floor,
            condition: self.condition,
            encoder: self.encoder.clone().unwrap_or_default(),
            decoder: self.decoder.clone().unwrap_or_default(),
            second_latent: self.second_latent.clone(),
        };
        if let Some(SecondLatent { units, .. }) = config.second_latent {
            let key = "second_latent.units";
            check_setting(units >= 1, key, units, "use at least one unit")?;
            if self.noise_file.is_some() {
                return Err(InvalidSetting::new(
                    "noise_file",
                    "gives noise of one latent layer, and this model has two",
                    "leave noise_file or second_latent out",
                ));
            }
        }
        for (key, value) in [("noise", config.noise), ("beta", config.beta)] {
            let valid = value.is_finite() && value >= 0.0;
            check_setting(valid, key, value, "use a number of at least 0")?;
        }
        if let Some(floor) = config.log_variance_floor {
            let key = "log_variance_floor";
            check_setting(floor.is_finite(), key, floor, "use a finite number")?;
        }
        if let Some(width) = config.condition {
            let hint = format!("use a number from 1 to {MAX_CONDITION}");
            check_setting(
                (1..=MAX_CONDITION).contains(&width),
                "condition",
                width,
                &hint,
            )?;
        }
        Ok(config)
    }

    fn classifier(&self) -> std::result::Result<ClassifierConfig, InvalidSetting> {
        let layers = self.layers.clone().unwrap_or_default();
        check_not_empty(
            "layers",
            &layers,
            "add layers that end in one logit for each class",
        )?;
        Ok(ClassifierConfig {
            layers,
            loss: self.loss.unwrap_or_default(),
            label_smoothing: self.label_smoothing()?,
        })
    }

    fn label_smoothing(&self) -> std::result::Result<f32, InvalidSetting> {
        let smoothing = self.label_smoothing.unwrap_or(0.0);
        let hint = "use a number of at least 0 and below 1, such as 0.1";
        let valid = (0.0..1.0).contains(&smoothing);
        check_setting(valid, "label_smoothing", smoothing, hint)?;
        Ok(smoothing)
    }

    fn two_stream(&self) -> std::result::Result<TwoStreamConfig, InvalidSetting> {
        let config = TwoStreamConfig {
            widths: self.widths.clone().unwrap_or_else(|| vec![16, 32, 64]),
            fusion_width: self.fusion_width.unwrap_or(64),
            streams: self.streams.unwrap_or_default(),
            fusion: self.fusion.unwrap_or_default(),
            pooling: self.pooling.unwrap_or_default(),
            targets: self.targets.unwrap_or_default(),
        };
        check_not_empty(
            "widths",
            &config.widths,
            "name the channels of at least one block",
        )?;
        Ok(config)
    }

    fn gan(&self) -> std::result::Result<GanConfig, InvalidSetting> {
        let config = GanConfig {
            latent: self.latent.unwrap_or_default(),
            objective: self.objective.unwrap_or_default(),
            generator: self.generator.clone().unwrap_or_default(),
            discriminator: self.discriminator.clone().unwrap_or_default(),
            weight_clip: self.weight_clip,
            gradient_penalty: self.gradient_penalty,
            critic_steps: self.critic_steps.unwrap_or(1),
            label_smoothing: self.label_smoothing()?,
        };
        if config.label_smoothing > 0.0 && !config.objective.has_targets() {
            return Err(InvalidSetting::new(
                "label_smoothing",
                "belongs to an objective with targets, and this one has none",
                "leave it out, or use the objective cross_entropy, minimax or least_squares",
            ));
        }
        check_not_empty("generator", &config.generator, "add layers")?;
        check_not_empty("discriminator", &config.discriminator, "add layers")?;
        if let Some(clip) = config.weight_clip {
            let valid = clip > 0.0 && clip.is_finite();
            check_setting(
                valid,
                "weight_clip",
                clip,
                "use a positive number, such as 0.01",
            )?;
        }
        if let Some(weight) = config.gradient_penalty {
            let valid = weight > 0.0 && weight.is_finite();
            let hint = "use a positive number, such as 10";
            check_setting(valid, "gradient_penalty", weight, hint)?;
        }
        let steps = config.critic_steps;
        let hint = format!("use a number from 1 to {MAX_CRITIC_STEPS}");
        check_setting(
            (1..=MAX_CRITIC_STEPS).contains(&steps),
            "critic_steps",
            steps,
            &hint,
        )?;
        Ok(config)
    }
}

fn check_not_empty<T>(
    key: &str,
    values: &[T],
    hint: &str,
) -> std::result::Result<(), InvalidSetting> {
    if values.is_empty() {
        return Err(InvalidSetting::new(key, "is empty", hint));
    }
    Ok(())
}
