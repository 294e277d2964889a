//! An operation with a WGSL file, a model and a training run of one's own: an autoencoder with sine activations (Sitzmann
//! et al. 2020) on MNIST, recorded and reported like any built-in model.

use std::path::Path;

use trainscope::gpu::{AdapterChoice, Dispatch, Gpu, Shader, grid};
use trainscope::models::{DataShape, Model, Supervised};
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::Dense;
use trainscope::nn::{Backward, Context, Forward, Graph, Loss, Operation, Saved, ShapeError};
use trainscope::train::{Run, Scenario};
use trainscope::{Result, report};

static SINE: Shader = trainscope::include_shader!("sine.wgsl");

/// `sin(frequency x)` of every element.
#[derive(Debug)]
struct Sine {
    frequency: f32,
}

impl Operation for Sine {
    fn kind(&self) -> &'static str {
        "sine"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        match inputs {
            [shape] => Ok(shape.to_vec()),
            _ => Err(ShapeError::new(
                format!("{} inputs", inputs.len()),
                "one input",
            )),
        }
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let (gpu, len) = (context.gpu, io.output.len());
        let uniforms = gpu.uniform("sine", &[len as u32, 0, self.frequency.to_bits(), 0]);
        let bindings = [
            (0, uniforms.binding()),
            (1, io.inputs[0].binding()),
            (2, io.output.binding()),
        ];
        let kernel = gpu.kernel(&SINE, "forward", &[]);
        Ok(vec![kernel.bind(gpu, &bindings, grid(len, 64))])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let (gpu, len) = (context.gpu, io.output.len());
        let numbers = [
            len as u32,
            target.accumulate.into(),
            self.frequency.to_bits(),
            0,
        ];
        let uniforms = gpu.uniform("sine", &numbers);
        let bindings = [
            (0, uniforms.binding()),
            (1, io.inputs[0].binding()),
            (3, io.output_gradient.binding()),
            (4, target.buffer.binding()),
        ];
        let kernel = gpu.kernel(&SINE, "backward", &[]);
        Ok(vec![kernel.bind(gpu, &bindings, grid(len, 64))])
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
    let error = graph.add(
        "reconstruction",
        ElementwiseLoss::BceWithLogits,
        &[logits, x],
    )?;
    let mut loss = Loss::new();
    loss.add(&graph, "reconstruction", error, 1.0)?;
    Ok(Box::new(Supervised::new("autoencoder", graph, loss, x)))
}

fn main() -> Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let scenario =
        Scenario::load("examples/custom_model/scenario.toml", &[])?.with_model(autoencoder);
    let mut run = Run::create(&gpu, &scenario, Path::new("runs/sine-autoencoder"), None)?;
    while run
        .advance(&mut |record| println!("step {}: loss {:.1}", record.step, record.scalars[0]))?
    {
    }
    let finished = run.finish(false, &mut |_| ())?;
    println!(
        "{}",
        report::write_report_of(&finished.trainer, &finished.dir)?.display()
    );
    Ok(())
}
