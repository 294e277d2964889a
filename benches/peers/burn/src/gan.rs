//! The DCGAN.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::{leaky_relu, relu, tanh};
use burn::tensor::{Device, Distribution, Tensor};
use peer_protocol::DCGAN_WIDTHS;

use crate::vae::{conv, conv_transpose};

/// Images from noise.
#[derive(Module, Debug)]
pub struct Generator {
    layers: Vec<ConvTranspose2d>,
    norms: Vec<BatchNorm>,
}

impl Generator {
    pub fn new(device: &Device) -> Self {
        let mut channels = vec![100];
        channels.extend(DCGAN_WIDTHS.iter().rev());
        channels.push(3);
        let layer = |(i, pair): (usize, &[usize])| {
            let place = if i == 0 { [1, 0] } else { [2, 1] };
            conv_transpose([pair[0], pair[1]], place, device)
        };
        Self {
            layers: channels.windows(2).enumerate().map(layer).collect(),
            norms: norms(DCGAN_WIDTHS.iter().rev(), device),
        }
    }

    pub fn sample(&self, count: usize, device: &Device) -> Tensor<4> {
        let mut x = Tensor::random([count, 100, 1, 1], Distribution::Normal(0.0, 1.0), device);
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            x = relu(norm.forward(layer.forward(x)));
        }
        tanh(self.layers[self.norms.len()].forward(x))
    }
}

/// Tells real images from generated ones.
#[derive(Module, Debug)]
pub struct Discriminator {
    first: Conv2d,
    layers: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    last: Conv2d,
}

impl Discriminator {
    pub fn new(device: &Device) -> Self {
        let [first, .., last] = DCGAN_WIDTHS;
        let pairs = DCGAN_WIDTHS.windows(2);
        Self {
            first: conv([3, first], [2, 1], device),
            layers: pairs
                .map(|pair| conv([pair[0], pair[1]], [2, 1], device))
                .collect(),
            norms: norms(DCGAN_WIDTHS[1..].iter(), device),
            last: conv([last, 1], [1, 0], device),
        }
    }

    /// Logits.
    pub fn score(&self, x: Tensor<4>) -> Tensor<1> {
        let mut x = leaky_relu(self.first.forward(x), 0.2);
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            x = leaky_relu(norm.forward(layer.forward(x)), 0.2);
        }
        self.last.forward(x).flatten(0, 3)
    }
}

/// What the generator and the discriminator learn: burn counts running means and variances of batch norms too.
pub fn learnt(generator: &Generator, discriminator: &Discriminator) -> usize {
    let normed = DCGAN_WIDTHS.iter().chain(&DCGAN_WIDTHS[1..]);
    let running = 2 * normed.sum::<usize>();
    generator.num_params() + discriminator.num_params() - running
}

fn norms<'a>(widths: impl Iterator<Item = &'a usize>, device: &Device) -> Vec<BatchNorm> {
    widths
        .map(|&width| BatchNormConfig::new(width).init(device))
        .collect()
}
