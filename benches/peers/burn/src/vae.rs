//! The variational autoencoders.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{log_sigmoid, relu};
use burn::tensor::{Device, Distribution, Tensor};
use peer_protocol::ConvVae;

/// What both have in common.
pub trait Vae: Module {
    /// From `[batch, pixels]`.
    fn encode(&self, x: Tensor<2>) -> Tensor<2>;

    /// Mean and log-variance.
    fn heads(&self) -> [&Linear; 2];

    /// Logits `[batch, pixels]`.
    fn decode(&self, z: Tensor<2>) -> Tensor<2>;

    /// Summed over the batch.
    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let features = self.encode(x.clone());
        let [mu, log_variance] = self.heads();
        let mu = mu.forward(features.clone());
        let log_variance = log_variance.forward(features);
        let noise = Tensor::random(mu.dims(), Distribution::Normal(0.0, 1.0), &mu.device());
        let z = mu.clone() + noise * (log_variance.clone() * 0.5).exp();
        let logits = self.decode(z);
        // The formula of burn's own loss, which takes integer targets only.
        let reconstruction = ((x.neg() + 1.0) * logits.clone() - log_sigmoid(logits)).sum();
        let divergence =
            (log_variance.clone() + 1.0 - mu.square() - log_variance.exp()).sum() * -0.5;
        reconstruction + divergence
    }
}

/// 784-400-20-400-784.
#[derive(Module, Debug)]
pub struct Dense {
    encoder: Linear,
    mu: Linear,
    log_variance: Linear,
    hidden: Linear,
    output: Linear,
}

impl Dense {
    pub fn new(device: &Device) -> Self {
        let dense = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            encoder: dense(784, 400),
            mu: dense(400, 20),
            log_variance: dense(400, 20),
            hidden: dense(20, 400),
            output: dense(400, 784),
        }
    }
}

impl Vae for Dense {
    fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        relu(self.encoder.forward(x))
    }

    fn heads(&self) -> [&Linear; 2] {
        [&self.mu, &self.log_variance]
    }

    fn decode(&self, z: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(z)))
    }
}

/// See [`ConvVae`].
#[derive(Module, Debug)]
pub struct Convolutional {
    encoder: Vec<Conv2d>,
    mu: Linear,
    log_variance: Linear,
    hidden: Linear,
    decoder: Vec<ConvTranspose2d>,
    channels: usize,
    side: usize,
    inner_side: usize,
}

impl Convolutional {
    pub fn new(sizes: &ConvVae, device: &Device) -> Self {
        let channels: Vec<usize> = [sizes.channels]
            .iter()
            .chain(sizes.widths)
            .copied()
            .collect();
        let dense = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            encoder: channels
                .windows(2)
                .map(|pair| conv([pair[0], pair[1]], [2, 1], device))
                .collect(),
            mu: dense(sizes.features(), sizes.latent),
            log_variance: dense(sizes.features(), sizes.latent),
            hidden: dense(sizes.latent, sizes.features()),
            decoder: channels
                .windows(2)
                .rev()
                .map(|pair| conv_transpose([pair[1], pair[0]], [2, 1], device))
                .collect(),
            channels: sizes.channels,
            side: sizes.side,
            inner_side: sizes.inner_side(),
        }
    }
}

impl Vae for Convolutional {
    fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, _] = x.dims();
        let mut x = x.reshape([batch, self.channels, self.side, self.side]);
        for layer in &self.encoder {
            x = relu(layer.forward(x));
        }
        x.flatten(1, 3)
    }

    fn heads(&self) -> [&Linear; 2] {
        [&self.mu, &self.log_variance]
    }

    fn decode(&self, z: Tensor<2>) -> Tensor<2> {
        let hidden = self.hidden.forward(z);
        let [batch, features] = hidden.dims();
        let side = self.inner_side;
        let mut x = hidden.reshape([batch, features / (side * side), side, side]);
        for layer in &self.decoder {
            x = layer.forward(relu(x));
        }
        x.flatten(1, 3)
    }
}

/// 4x4.
pub fn conv(channels: [usize; 2], [stride, padding]: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [4, 4])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init(device)
}

/// 4x4.
pub fn conv_transpose(
    channels: [usize; 2],
    [stride, padding]: [usize; 2],
    device: &Device,
) -> ConvTranspose2d {
    ConvTranspose2dConfig::new(channels, [4, 4])
        .with_stride([stride, stride])
        .with_padding([padding, padding])
        .init(device)
}
