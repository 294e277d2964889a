//! `[model]`: what is trained.

use serde::{Deserialize, Serialize};

use crate::models::{
    ClassifierConfig, Fusion, GanConfig, Layer, Pooling, ReconstructionLoss, Streams, Targets,
    TwoStreamConfig, VaeConfig, Variance,
};
use crate::nn::losses::Objective;

/// `[model]`: the union of the keys of all kinds; [`super::Scenario::model`] sorts out which belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a section [model]")]
pub struct ModelSection {
    /// Which model.
    pub kind: ModelKind,
    /// VAE: latent units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<usize>,
    /// VAE: how the standard deviation comes out of its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<Variance>,
    /// VAE: scale of the reparameterization noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f32>,
    /// VAE: weight of the KL divergence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f32>,
    /// VAE: what is compared with the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<ReconstructionLoss>,
    /// VAE: width of the trainable vector of each class; without it the VAE is not told the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<usize>,
    /// VAE: layers before the latent heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Vec<Layer>>,
    /// VAE: layers after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<Vec<Layer>>,
    /// Classifier: layers, ending in logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// GAN: layers from the latent vector to the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Vec<Layer>>,
    /// GAN: layers from the image to its score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator: Option<Vec<Layer>>,
    /// GAN: the game that both play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// GAN: bound of the discriminator's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f32>,
    /// GAN: updates of the discriminator for each one of the generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic_steps: Option<u64>,
    /// Two-stream network: channels of each stream's blocks; 16, 32, 64 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<usize>>,
    /// Two-stream network: channels of the fusing convolution; 64 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion_width: Option<usize>,
    /// Two-stream network: which streams there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<Streams>,
    /// Two-stream network: where they come together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Fusion>,
    /// Two-stream network: what becomes of the last feature maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Two-stream network: what is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
}

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A model, its section's keys sorted out.
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
}

impl ModelConfig {
    /// Whether it learns from labels.
    pub fn needs_labels(&self) -> bool {
        match self {
            Self::Vae(vae) => vae.condition.is_some(),
            Self::Classifier(_) | Self::TwoStream(_) => true,
            Self::Gan(_) => false,
        }
    }
}

/// A key, what is wrong with it, and what mends it.
type ShapeError = (&'static str, String, String);

impl ModelKind {
    fn name(self) -> &'static str {
        match self {
            Self::Vae => "vae",
            Self::Classifier => "classifier",
            Self::Gan => "gan",
            Self::TwoStream => "two_stream",
        }
    }

    /// Its keys, and those that it needs.
    fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Vae => (
                &[
                    "latent",
                    "variance",
                    "noise",
                    "beta",
                    "reconstruction",
                    "condition",
                    "encoder",
                    "decoder",
                ],
                &["latent", "encoder", "decoder"],
            ),
            Self::Classifier => (&["layers"], &["layers"]),
            Self::Gan => (
                &[
                    "latent",
                    "objective",
                    "generator",
                    "discriminator",
                    "weight_clip",
                    "critic_steps",
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
        }
    }
}

impl ModelSection {
    /// The model, or what does not fit.
    pub(super) fn config(&self) -> std::result::Result<ModelConfig, ShapeError> {
        self.check_keys()?;
        if self.latent == Some(0) {
            let hint = "use at least one unit";
            return Err(("latent", "latent = 0".into(), hint.into()));
        }
        match self.kind {
            ModelKind::Vae => self.vae().map(ModelConfig::Vae),
            ModelKind::Classifier => self.classifier().map(ModelConfig::Classifier),
            ModelKind::Gan => self.gan().map(ModelConfig::Gan),
            ModelKind::TwoStream => self.two_stream().map(ModelConfig::TwoStream),
        }
    }

    fn check_keys(&self) -> std::result::Result<(), ShapeError> {
        let given = [
            ("latent", self.latent.is_some()),
            ("variance", self.variance.is_some()),
            ("noise", self.noise.is_some()),
            ("beta", self.beta.is_some()),
            ("reconstruction", self.reconstruction.is_some()),
            ("condition", self.condition.is_some()),
            ("encoder", self.encoder.is_some()),
            ("decoder", self.decoder.is_some()),
            ("layers", self.layers.is_some()),
            ("generator", self.generator.is_some()),
            ("discriminator", self.discriminator.is_some()),
            ("objective", self.objective.is_some()),
            ("weight_clip", self.weight_clip.is_some()),
            ("critic_steps", self.critic_steps.is_some()),
            ("widths", self.widths.is_some()),
            ("fusion_width", self.fusion_width.is_some()),
            ("streams", self.streams.is_some()),
            ("fusion", self.fusion.is_some()),
            ("pooling", self.pooling.is_some()),
            ("targets", self.targets.is_some()),
        ];
        let kind = self.kind.name();
        let (keys, needed) = self.kind.keys();
        for (key, present) in given {
            if present && !keys.contains(&key) {
                let hint = format!("leave it out; its keys are {}", keys.join(", "));
                return Err((
                    key,
                    format!("a model of kind \"{kind}\" has no key '{key}'"),
                    hint,
                ));
            }
            if !present && needed.contains(&key) {
                let problem = format!("a model of kind \"{kind}\" needs '{key}'");
                return Err(("kind", problem, format!("add {key} = ...")));
            }
        }
        Ok(())
    }

    fn vae(&self) -> std::result::Result<VaeConfig, ShapeError> {
        let config = VaeConfig {
            latent: self.latent.unwrap_or_default(),
            variance: self.variance.unwrap_or_default(),
            noise: self.noise.unwrap_or(1.0),
            beta: self.beta.unwrap_or(1.0),
            reconstruction: self.reconstruction.unwrap_or_default(),
            condition: self.condition,
            encoder: self.encoder.clone().unwrap_or_default(),
            decoder: self.decoder.clone().unwrap_or_default(),
        };
        for (key, value) in [("noise", config.noise), ("beta", config.beta)] {
            if !(value.is_finite() && value >= 0.0) {
                let hint = "use a number of at least 0";
                return Err((key, format!("{key} = {value}"), hint.into()));
            }
        }
        if let Some(width) = config.condition.filter(|width| !(1..=4096).contains(width)) {
            let hint = "use a number from 1 to 4096";
            return Err(("condition", format!("condition = {width}"), hint.into()));
        }
        Ok(config)
    }

    fn classifier(&self) -> std::result::Result<ClassifierConfig, ShapeError> {
        let layers = self.layers.clone().unwrap_or_default();
        if layers.is_empty() {
            let hint = "end it in one logit a class";
            return Err(("layers", "it is empty".into(), hint.into()));
        }
        Ok(ClassifierConfig { layers })
    }

    fn two_stream(&self) -> std::result::Result<TwoStreamConfig, ShapeError> {
        let config = TwoStreamConfig {
            widths: self.widths.clone().unwrap_or_else(|| vec![16, 32, 64]),
            fusion_width: self.fusion_width.unwrap_or(64),
            streams: self.streams.unwrap_or_default(),
            fusion: self.fusion.unwrap_or_default(),
            pooling: self.pooling.unwrap_or_default(),
            targets: self.targets.unwrap_or_default(),
        };
        if config.widths.is_empty() {
            let hint = "name the channels of at least one block";
            return Err(("widths", "it is empty".into(), hint.into()));
        }
        Ok(config)
    }

    fn gan(&self) -> std::result::Result<GanConfig, ShapeError> {
        let config = GanConfig {
            latent: self.latent.unwrap_or_default(),
            objective: self.objective.unwrap_or_default(),
            generator: self.generator.clone().unwrap_or_default(),
            discriminator: self.discriminator.clone().unwrap_or_default(),
            weight_clip: self.weight_clip,
            critic_steps: self.critic_steps.unwrap_or(1),
        };
        for (key, layers) in [
            ("generator", &config.generator),
            ("discriminator", &config.discriminator),
        ] {
            if layers.is_empty() {
                return Err((key, "it is empty".into(), "add layers".into()));
            }
        }
        if let Some(clip) = config
            .weight_clip
            .filter(|clip| !(*clip > 0.0 && clip.is_finite()))
        {
            let hint = "use a positive number, such as 0.01";
            return Err(("weight_clip", format!("weight_clip = {clip}"), hint.into()));
        }
        if !(1..=1000).contains(&config.critic_steps) {
            return Err((
                "critic_steps",
                format!("critic_steps = {}", config.critic_steps),
                "use a number from 1 to 1000".into(),
            ));
        }
        Ok(config)
    }
}
