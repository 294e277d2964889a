//! Training steps.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use peer_protocol::{Arguments, Contender, Failure, Images, measure};

use crate::gan::{Discriminator, Generator, learnt};
use crate::vae::Vae;

/// The data set on the device and whose turn it is.
struct Batches {
    images: Tensor<2>,
    order: Tensor<1, Int>,
    batch: usize,
    count: usize,
    step: usize,
}

impl Batches {
    fn new(images: &Images, batch: usize, device: &Device) -> Self {
        let Images { count, pixels, .. } = *images;
        let order: Vec<i32> = images
            .order()
            .into_iter()
            .map(|place| place as i32)
            .collect();
        Self {
            images: Tensor::from_data(TensorData::new(images.values(), [count, pixels]), device),
            order: Tensor::from_data(TensorData::new(order, [count]), device),
            batch,
            count,
            step: 0,
        }
    }

    /// `[batch, pixels]`
    fn next(&mut self) -> Tensor<2> {
        let start = self.step % (self.count / self.batch) * self.batch;
        self.step += 1;
        let rows = self.order.clone().slice([start..start + self.batch]);
        self.images.clone().select(0, rows)
    }
}

/// A module and what trains it.
struct Learner<M> {
    /// Always there between steps: a step takes it, so that the optimizer may reuse its memory.
    module: Option<M>,
    optimizer: ModuleOptimizer,
    rate: f64,
}

impl<M: Module> Learner<M> {
    fn new(module: M, rate: f64, beta: f32) -> Self {
        let adam = AdamConfig::new().with_beta_1(beta).with_epsilon(1e-8);
        Self {
            module: Some(module),
            optimizer: adam.init(),
            rate,
        }
    }

    fn module(&self) -> &M {
        self.module.as_ref().expect("it is there between steps")
    }

    /// Updates the module by the gradients of `loss`.
    fn descend(&mut self, loss: &Tensor<1>) {
        let module = self.module.take().expect("it is there between steps");
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        self.module = Some(self.optimizer.step(self.rate, module, gradients));
    }
}

pub fn vae<M: Vae>(
    arguments: &Arguments,
    contender: impl Fn(usize) -> Contender,
    device: &Device,
    model: M,
) -> Result<(), Failure> {
    let mut batches = Batches::new(&arguments.images()?, arguments.batch, device);
    let mut learner = Learner::new(model, 1e-3, 0.9);
    let contender = contender(learner.module().num_params());
    measure(arguments, contender, |steps| {
        let mut last = None;
        for _ in 0..steps {
            let loss = learner.module().loss(batches.next());
            learner.descend(&loss);
            last = Some(loss);
        }
        let loss: f32 = last.ok_or("no step")?.into_scalar();
        Ok(f64::from(loss) / arguments.batch as f64)
    })
}

pub fn dcgan(
    arguments: &Arguments,
    contender: impl Fn(usize) -> Contender,
    device: &Device,
) -> Result<(), Failure> {
    let batch = arguments.batch;
    let mut batches = Batches::new(&arguments.images()?, batch, device);
    let mut generator = Learner::new(Generator::new(device), 2e-4, 0.5);
    let mut discriminator = Learner::new(Discriminator::new(device), 2e-4, 0.5);
    let parameters = learnt(generator.module(), discriminator.module());
    measure(arguments, contender(parameters), |steps| {
        let mut last = None;
        for _ in 0..steps {
            let real = batches.next().reshape([batch, 3, 64, 64]);
            let fake = generator.module().sample(batch, device);
            let judge = discriminator.module();
            let loss_of_real = log_sigmoid(judge.score(real)).mean();
            let loss_of_fake = log_sigmoid(judge.score(fake.clone().detach()).neg()).mean();
            let loss = (loss_of_real + loss_of_fake).neg();
            discriminator.descend(&loss);
            let play = log_sigmoid(discriminator.module().score(fake)).mean().neg();
            generator.descend(&play);
            last = Some(loss);
        }
        Ok(last.ok_or("no step")?.into_scalar::<f32>().into())
    })
}
