//! Training steps.

use candle_core::{Device, Result, Tensor};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, ConvTranspose2d, Linear, Module, Optimizer, ParamsAdamW,
    ops::leaky_relu,
};
use peer_protocol::{Arguments, ConvVae, DCGAN_WIDTHS, Failure, Images, measure};

use crate::contender;
use crate::layers::Builder;

/// Adam: without decay of the weights AdamW is that.
fn adam(builder: &Builder, lr: f64, beta1: f64) -> Result<AdamW> {
    let parameters = ParamsAdamW {
        lr,
        beta1,
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    AdamW::new(builder.learnt.all_vars(), parameters)
}

/// The data set and whose turn it is.
struct Batches {
    images: Tensor,
    order: Tensor,
    batch: usize,
    count: usize,
    step: usize,
}

impl Batches {
    fn new(images: &Images, batch: usize) -> Result<Self> {
        let Images { count, pixels, .. } = *images;
        Ok(Self {
            images: Tensor::from_vec(images.values(), (count, pixels), &Device::Cpu)?,
            order: Tensor::from_vec(images.order(), count, &Device::Cpu)?,
            batch,
            count,
            step: 0,
        })
    }

    /// `[batch, pixels]`
    fn next(&mut self) -> Result<Tensor> {
        let start = self.step % (self.count / self.batch) * self.batch;
        self.step += 1;
        self.images
            .index_select(&self.order.narrow(0, start, self.batch)?, 0)
    }
}

/// The encoder up to its features and the decoder behind `z`.
enum Body {
    Dense(Linear, [Linear; 2]),
    Convolutions(ConvVae, Vec<Conv2d>, Linear, Vec<ConvTranspose2d>),
}

struct Vae {
    body: Body,
    mu: Linear,
    log_variance: Linear,
}

impl Vae {
    fn new(builder: &mut Builder, sizes: Option<ConvVae>) -> Result<Self> {
        let (body, features, latent) = match sizes {
            None => {
                let encoder = builder.dense(784, 400)?;
                let decoder = [builder.dense(20, 400)?, builder.dense(400, 784)?];
                (Body::Dense(encoder, decoder), 400, 20)
            }
            Some(sizes) => {
                let channels: Vec<usize> = [sizes.channels]
                    .iter()
                    .chain(sizes.widths)
                    .copied()
                    .collect();
                let there = channels
                    .windows(2)
                    .map(|pair| builder.conv([pair[0], pair[1]], [2, 1]));
                let there = there.collect::<Result<_>>()?;
                let hidden = builder.dense(sizes.latent, sizes.features())?;
                let back = channels.windows(2).rev();
                let back = back.map(|pair| builder.conv_transpose([pair[1], pair[0]], [2, 1]));
                let back = back.collect::<Result<_>>()?;
                (
                    Body::Convolutions(sizes, there, hidden, back),
                    sizes.features(),
                    sizes.latent,
                )
            }
        };
        Ok(Self {
            body,
            mu: builder.dense(features, latent)?,
            log_variance: builder.dense(features, latent)?,
        })
    }

    fn encode(&self, x: &Tensor) -> Result<Tensor> {
        match &self.body {
            Body::Dense(layer, _) => layer.forward(x)?.relu(),
            Body::Convolutions(sizes, layers, ..) => {
                let mut x = x.reshape(((), sizes.channels, sizes.side, sizes.side))?;
                for layer in layers {
                    x = layer.forward(&x)?.relu()?;
                }
                x.flatten_from(1)
            }
        }
    }

    fn decode(&self, z: &Tensor) -> Result<Tensor> {
        match &self.body {
            Body::Dense(_, [hidden, output]) => output.forward(&hidden.forward(z)?.relu()?),
            Body::Convolutions(sizes, _, hidden, layers) => {
                let side = sizes.inner_side();
                let mut x = hidden.forward(z)?.reshape((
                    (),
                    sizes.features() / (side * side),
                    side,
                    side,
                ))?;
                for layer in layers {
                    x = layer.forward(&x.relu()?)?;
                }
                x.flatten_from(1)
            }
        }
    }

    /// Summed over the batch.
    fn loss(&self, x: &Tensor) -> Result<Tensor> {
        let features = self.encode(x)?;
        let mu = self.mu.forward(&features)?;
        let log_variance = self.log_variance.forward(&features)?;
        let noise = mu.randn_like(0.0, 1.0)?;
        let z = (&mu + noise.mul(&(&log_variance * 0.5)?.exp()?)?)?;
        let logits = self.decode(&z)?;
        let reconstruction = (softplus(&logits)? - (&logits * x)?)?.sum_all()?;
        let divergence =
            ((((&log_variance + 1.0)? - mu.sqr()?)? - log_variance.exp()?)?.sum_all()? * -0.5)?;
        reconstruction + divergence
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + ((x.abs()?.neg()?.exp()? + 1.0)?).log()?
}

pub fn vae(arguments: &Arguments, sizes: Option<ConvVae>) -> std::result::Result<(), Failure> {
    let mut batches = Batches::new(&arguments.images()?, arguments.batch)?;
    let mut builder = Builder::new();
    let model = Vae::new(&mut builder, sizes)?;
    let mut optimizer = adam(&builder, 1e-3, 0.9)?;
    measure(arguments, contender(builder.parameters()), |steps| {
        let mut last = None;
        for _ in 0..steps {
            let loss = model.loss(&batches.next()?)?;
            optimizer.backward_step(&loss)?;
            last = Some(loss);
        }
        let loss = last.ok_or("no step")?.to_scalar::<f32>()?;
        Ok(f64::from(loss) / arguments.batch as f64)
    })
}

struct Generator {
    layers: Vec<ConvTranspose2d>,
    norms: Vec<BatchNorm>,
}

impl Generator {
    fn new(builder: &mut Builder) -> Result<Self> {
        let mut channels = vec![100];
        channels.extend(DCGAN_WIDTHS.iter().rev());
        channels.push(3);
        let pairs = channels.windows(2).enumerate();
        let layer = |(i, pair): (usize, &[usize])| {
            let [stride, padding] = if i == 0 { [1, 0] } else { [2, 1] };
            builder.conv_transpose([pair[0], pair[1]], [stride, padding])
        };
        let layers = pairs.map(layer).collect::<Result<_>>()?;
        let norms = DCGAN_WIDTHS
            .iter()
            .rev()
            .map(|&width| builder.batch_norm(width));
        Ok(Self {
            layers,
            norms: norms.collect::<Result<_>>()?,
        })
    }

    fn sample(&self, count: usize) -> Result<Tensor> {
        let mut x = Tensor::randn(0f32, 1.0, (count, 100, 1, 1), &Device::Cpu)?;
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            x = norm.forward_train(&layer.forward(&x)?)?.relu()?;
        }
        self.layers[self.norms.len()].forward(&x)?.tanh()
    }
}

struct Discriminator {
    layers: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Discriminator {
    fn new(builder: &mut Builder) -> Result<Self> {
        let mut channels = vec![3];
        channels.extend(DCGAN_WIDTHS);
        let layers = channels
            .windows(2)
            .map(|pair| builder.conv([pair[0], pair[1]], [2, 1]));
        let mut layers: Vec<_> = layers.collect::<Result<_>>()?;
        layers.push(builder.conv([DCGAN_WIDTHS[3], 1], [1, 0])?);
        let norms = DCGAN_WIDTHS[1..]
            .iter()
            .map(|&width| builder.batch_norm(width));
        Ok(Self {
            layers,
            norms: norms.collect::<Result<_>>()?,
        })
    }

    /// Logits.
    fn score(&self, x: &Tensor) -> Result<Tensor> {
        let (last, hidden) = self.layers.split_last().expect("it has layers");
        let mut x = leaky_relu(&hidden[0].forward(x)?, 0.2)?;
        for (layer, norm) in hidden[1..].iter().zip(&self.norms) {
            x = leaky_relu(&norm.forward_train(&layer.forward(&x)?)?, 0.2)?;
        }
        last.forward(&x)?.flatten_all()
    }
}

pub fn dcgan(arguments: &Arguments) -> std::result::Result<(), Failure> {
    let mut batches = Batches::new(&arguments.images()?, arguments.batch)?;
    let mut builders = [Builder::new(), Builder::new()];
    let generator = Generator::new(&mut builders[0])?;
    let discriminator = Discriminator::new(&mut builders[1])?;
    let [mut of_generator, mut of_discriminator] = [
        adam(&builders[0], 2e-4, 0.5)?,
        adam(&builders[1], 2e-4, 0.5)?,
    ];
    let parameters = builders.iter().map(Builder::parameters).sum();
    measure(arguments, contender(parameters), |steps| {
        let mut last = None;
        for _ in 0..steps {
            let real = batches.next()?.reshape((arguments.batch, 3, 64, 64))?;
            let fake = generator.sample(arguments.batch)?;
            let loss_of_real = softplus(&discriminator.score(&real)?.neg()?)?.mean_all()?;
            let loss_of_fake = softplus(&discriminator.score(&fake.detach())?)?.mean_all()?;
            let loss = (loss_of_real + loss_of_fake)?;
            of_discriminator.backward_step(&loss)?;
            let play = softplus(&discriminator.score(&fake)?.neg()?)?.mean_all()?;
            of_generator.backward_step(&play)?;
            last = Some(loss);
        }
        Ok(last.ok_or("no step")?.to_scalar::<f32>()?.into())
    })
}
