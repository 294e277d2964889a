//! An operation and a model of one's own: an autoencoder with sine activations (Sitzmann et al. 2020), trained on MNIST.
//!
//! The operation is one WGSL shader and one `impl Operation`, with its float64 twin beside it; the model is a graph. The
//! first loss is compared with the twin's.

use trainscope::data::{BatchCursor, Batching, Dataset, mnist};
use trainscope::gpu::{AdapterChoice, Dispatch, Gpu, Shader, Uniform, grid};
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::Dense;
use trainscope::nn::reference::Reference;
use trainscope::nn::{
    Adam, Backward, Context, Forward, Graph, Loss, Mode, NodeId, Operation, Optimizer, Parameters,
    Plan, ReferenceBackward, ReferenceForward, ReferenceGradients, ReferenceOperation, Saved,
    ShapeError, UpdateRule,
};

const BATCH: usize = 64;
const STEPS: u64 = 200;
const SEED: u64 = 7;

static SINE: Shader = Shader::new(
    "example/sine.wgsl",
    "
// uses shared/grid.wgsl
struct Parameters { elements: u32, accumulate: u32, frequency: f32, padding: u32 }

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.elements) {
        y[i] = sin(parameters.frequency * x[i]);
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.elements) {
        let before = select(0.0, x_gradient[i], parameters.accumulate == 1u);
        let slope = parameters.frequency * cos(parameters.frequency * x[i]);
        x_gradient[i] = before + slope * y_gradient[i];
    }
}
",
);

/// `sin(frequency x)` of every element.
#[derive(Debug)]
struct Sine {
    frequency: f32,
}

impl Sine {
    fn uniform(&self, gpu: &Gpu, elements: usize, accumulate: bool) -> Uniform {
        let frequency = self.frequency.to_bits();
        gpu.uniform("sine", &[elements as u32, accumulate.into(), frequency, 0])
    }
}

impl Operation for Sine {
    fn kind(&self) -> &'static str {
        "sine"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        match inputs {
            [shape] => Ok(shape.to_vec()),
            _ => Err(ShapeError::new(format!("{} inputs", inputs.len()), "one")),
        }
    }

    fn saved(&self) -> Saved {
        Saved {
            inputs: true,
            output: false,
        }
    }

    fn forward(
        &self,
        context: &Context<'_>,
        io: &Forward<'_>,
    ) -> trainscope::Result<Vec<Dispatch>> {
        let elements = io.output.len();
        let uniform = self.uniform(context.gpu, elements, false);
        let bindings = [
            (0, uniform.binding()),
            (1, io.inputs[0].binding()),
            (2, io.output.binding()),
        ];
        let kernel = context.gpu.kernel(&SINE, "forward", &[]);
        Ok(vec![kernel.bind(
            context.gpu,
            &bindings,
            grid(elements, 64),
        )])
    }

    fn backward(
        &self,
        context: &Context<'_>,
        io: &Backward<'_>,
    ) -> trainscope::Result<Vec<Dispatch>> {
        let Some(target) = io.input_gradients[0] else {
            return Ok(Vec::new());
        };
        let elements = io.output.len();
        let uniform = self.uniform(context.gpu, elements, target.accumulate);
        let bindings = [
            (0, uniform.binding()),
            (1, io.inputs[0].binding()),
            (3, io.output_gradient.binding()),
            (4, target.buffer.binding()),
        ];
        let kernel = context.gpu.kernel(&SINE, "backward", &[]);
        Ok(vec![kernel.bind(
            context.gpu,
            &bindings,
            grid(elements, 64),
        )])
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

impl ReferenceOperation for Sine {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let frequency = f64::from(self.frequency);
        io.inputs[0].iter().map(|x| (frequency * x).sin()).collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let frequency = f64::from(self.frequency);
        let pairs = io.forward.inputs[0].iter().zip(io.output_gradient);
        let gradient = pairs.map(|(x, above)| frequency * (frequency * x).cos() * above);
        ReferenceGradients {
            inputs: vec![gradient.collect()],
            parameters: Vec::new(),
        }
    }
}

/// 784 pixels, 128 sines, 16 units, 128 sines, 784 logits; returns the input and the loss.
fn autoencoder(graph: &mut Graph) -> trainscope::Result<(NodeId, Loss)> {
    let sine =
        |graph: &mut Graph, name: &str, node| graph.add(name, Sine { frequency: 3.0 }, &[node]);
    let x = graph.input("x", &[1, 28, 28]);
    let hidden = graph.add("encoder.0", Dense::new(128), &[x])?;
    let hidden = sine(graph, "encoder.1", hidden)?;
    let code = graph.add("code", Dense::new(16), &[hidden])?;
    let hidden = graph.add("decoder.0", Dense::new(128), &[code])?;
    let hidden = sine(graph, "decoder.1", hidden)?;
    let logits = graph.add("decoder.2", Dense::new(784), &[hidden])?;
    let error = ElementwiseLoss::BceWithLogits;
    let error = graph.add("reconstruction", error, &[logits, x])?;
    let mut loss = Loss::new();
    loss.add(graph, "reconstruction", error, 1.0)?;
    Ok((x, loss))
}

fn main() -> trainscope::Result<()> {
    let gpu = Gpu::new(&AdapterChoice::default())?;
    let images = mnist()?;
    let dataset = Dataset::upload(&gpu, &images)?;
    let cursor = BatchCursor::new(&gpu, dataset.count(), BATCH)?;

    let mut graph = Graph::new();
    let (x, loss) = autoencoder(&mut graph)?;
    let parameters = Parameters::new(&gpu, &graph, SEED)?;
    let plan = Plan::request(&graph, BATCH)
        .seed(SEED)
        .step_counter(cursor.buffer())
        .loss(&loss)
        .build(&gpu, &parameters)?;
    let update = UpdateRule::from(Optimizer::Adam(Adam::new(1e-3)));
    let state = update.state(&gpu, &parameters)?;
    let updates = update.dispatches(&gpu, &parameters, &state, cursor.buffer(), false)?;
    let batching = Batching {
        shuffle: true,
        seed: SEED,
        ..Batching::default()
    };
    let pixels = plan.value(x).expect("inputs are kept");
    let mut gather = dataset.gather(&gpu, &cursor, &batching, pixels, None)?;

    // The first loss in float64, from the same samples and parameters.
    let batch = gather.order.samples(0).into_iter();
    let batch = batch.flat_map(|sample| &images.pixels[784 * sample as usize..][..784]);
    let batch: Vec<f64> = batch
        .map(|&byte| f64::from(f32::from(byte) / 255.0))
        .collect();
    let values = parameters
        .unpack(&gpu.read(&parameters.values)?)
        .into_iter();
    let values: Vec<Vec<f64>> = values
        .map(|tensor| tensor.values.into_iter().map(f64::from).collect())
        .collect();
    let reference = Reference {
        graph: &graph,
        batch: BATCH,
        mode: Mode::Train,
        parameters: &values,
        noise: (SEED, 0),
    };
    let exact = reference.step(&loss, &[batch]);
    println!("step 0 in float64: {:.3}", exact.scalars[0]);

    let advance = cursor.advance();
    for step in 0..STEPS {
        gather.prepare(&gpu, step)?;
        let learn = plan.dispatches(false).chain(&updates);
        gpu.run(
            "step",
            gather.dispatches.iter().chain(learn).chain([&advance]),
        );
        if step.is_multiple_of(20) || step + 1 == STEPS {
            println!("step {step}: {:.3}", gpu.read(plan.scalars())?[0]);
        }
    }
    gpu.check()
}
