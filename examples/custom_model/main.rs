//! An operation with a WGSL file, a model and a training run of one's own: an autoencoder with sine activations (Sitzmann
//! et al. 2020) on MNIST, recorded and reported like any built-in model.

use std::path::Path;

use trainscope::gpu::{AdapterChoice, Buffer, Dispatch, Gpu, Shader, grid};
use trainscope::models::{DataShape, Model, Supervised};
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::Dense;
use trainscope::nn::{Backward, Context, Forward, Graph, Loss, Operation, Saved, ShapeError};
use trainscope::train::{Run, Scenario, StepRecord};
use trainscope::{Result, report};

static SINE: Shader = trainscope::include_shader!("sine.wgsl");

/// `sin(frequency x)` of every element.
#[derive(Debug)]
struct Sine {
    frequency: f32,
}

impl Sine {
    fn dispatch(
        &self,
        gpu: &Gpu,
        (entry, len, accumulate): (&'static str, usize, bool),
        tensors: &[(u32, &Buffer<f32>)],
    ) -> Vec<Dispatch> {
        let numbers = [len as u32, accumulate.into(), self.frequency.to_bits(), 0];
        let uniforms = gpu.uniform("sine", &numbers);
        let mut bindings = vec![(0, uniforms.binding())];
        bindings.extend(tensors.iter().map(|(slot, t)| (*slot, t.binding())));
        let kernel = gpu.kernel(&SINE, entry, &[]);
        vec![kernel.bind(gpu, &bindings, grid(len, 64))]
    }
}

impl Operation for Sine {
    fn kind(&self) -> &'static str {
        "sine"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        match inputs {
            [shape] => Ok(shape.to_vec()),
            _ => Err(ShapeError::new("several inputs", "one input")),
        }
    }

    fn saved(&self) -> Saved {
        Saved::INPUTS
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let tensors = [(1, io.inputs[0]), (2, io.output)];
        Ok(self.dispatch(context.gpu, ("forward", io.output.len(), false), &tensors))
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let (x, y_gradient) = (io.inputs[0], io.output_gradient);
        let tensors = [(1, x), (3, y_gradient), (4, target.buffer)];
        let pass = ("backward", x.len(), target.accumulate);
        Ok(self.dispatch(context.gpu, pass, &tensors))
    }
}

/// Dense layers to 16 units and back, with sines between; the last layer gives logits of the pixels.
fn autoencoder(_: &Scenario, data: DataShape) -> Result<Box<dyn Model>> {
    let mut graph = Graph::new();
    let x = graph.input("x", &data.sample);
    let mut layer = x;
    for (index, units) in [128, 16, 128].into_iter().enumerate() {
        layer = graph.add(&format!("dense.{index}"), Dense::new(units), &[layer])?;
        layer = graph.add(&format!("sine.{index}"), Sine { frequency: 3.0 }, &[layer])?;
    }
    let logits = graph.add("logits", Dense::new(data.sample.iter().product()), &[layer])?;
    let bce = ElementwiseLoss::BceWithLogits;
    let error = graph.add("reconstruction", bce, &[logits, x])?;
    let mut loss = Loss::new();
    loss.add(&graph, "reconstruction", error, 1.0)?;
    Ok(Box::new(Supervised::new("autoencoder", graph, loss, x)))
}

fn main() -> Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario = Scenario::load("examples/custom_model/scenario.toml", &[])?;
    let scenario = scenario.with_model(autoencoder);
    let mut run = Run::create(&gpu, &scenario, Path::new("runs/sine-autoencoder"), None)?;
    let mut print = |record: &StepRecord| println!("{}: {:.1}", record.step, record.scalars[0]);
    while run.advance(&mut print)? {}
    let mut finished = run.finish(false, &mut print)?;
    let path = report::write_report_of(&mut finished.trainer, &finished.dir)?;
    println!("report: {}", path.display());
    Ok(())
}
