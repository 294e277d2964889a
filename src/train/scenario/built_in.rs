//! The scenarios that are part of the program.

/// A scenario that is part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// The name under which [`Scenario::load`](super::Scenario::load) finds it.
    pub name: &'static str,
    /// One line about it; of a scenario that fails on purpose it begins with `fails:`.
    pub about: &'static str,
    /// The TOML text.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal: $about:literal,)*) => {
        &[$(BuiltIn {
            name: $name,
            about: $about,
            text: include_str!(concat!("../../../scenarios/", $name, ".toml")),
        },)*]
    };
}

/// Every built-in scenario, the healthy ones first.
pub const BUILT_IN: &[BuiltIn] = built_in! {
    "vae-mnist": "a healthy variational autoencoder on MNIST (784-400-20-400-784, Adam)",
    "conv-vae-mnist": "a healthy convolutional VAE on MNIST",
    "beta-vae-mnist": "a healthy beta-VAE on MNIST: the KL divergence has a weight of 4",
    "cvae-mnist": "a healthy conditional VAE on MNIST, conditioned on the digit",
    "gan-mnist": "a healthy generative adversarial network of dense layers on MNIST",
    "dcgan-mnist": "a healthy convolutional GAN on MNIST (DCGAN)",
    "wgan-mnist": "a healthy Wasserstein GAN on MNIST, its critic's weights clipped",
    "hinge-gan-mnist":
        "a healthy GAN with the hinge objective on MNIST, its discriminator under spectral norm",
    "cnn-mnist": "a healthy convolutional classifier on MNIST",
    "two-stream-clips":
        "a healthy two-stream network that recognizes texture and motion in generated clips",
    "two-stream-binding":
        "a healthy two-stream network that recognizes which texture moves which way",
    "vae-logvar-explodes": "fails: an unbounded log-variance overflows the KL divergence",
    "vae-collapses":
        "fails: the KL divergence has too large a weight, and the posterior collapses",
    "mlp-dead-relu": "fails: a learning rate far too high leaves hidden layers of dead units",
    "vae-corrupt-batch":
        "fails: three unscaled samples cause a spike of the loss whenever they are drawn",
    "vae-flat-background":
        "fails: the log-variance of pixels sinks without end where images are flat, then a step overshoots",
    "gan-strong-discriminator":
        "fails: the discriminator is certain about every image, and the generator's gradient vanishes",
    "gan-mode-collapse":
        "fails: the discriminator hardly learns, and the generator draws one image again and again",
};
