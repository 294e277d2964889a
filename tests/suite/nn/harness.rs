//! Runs a graph on the GPU and in float64, and compares every value and every gradient.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use trainscope::gpu::{AdapterProfile, Buffer, Gpu, Shader, grid};
use trainscope::nn::reference::{Reference, ReferenceStep};
use trainscope::nn::{Graph, Loss, Mode, NodeId, Parameters, Plan, ProbeEvent};
use trainscope::random::{self, Stream};
use trainscope::tensor::TensorKind;

use crate::support;

/// The shared device with the kernels of its own profile, and with those that GPUs run.
pub fn variants() -> Vec<(&'static str, Gpu)> {
    let own = support::gpu().clone();
    let with_gpu_kernels = own.clone().with_profile(AdapterProfile::GPU);
    let with_gpu_kernels = with_gpu_kernels.expect("every device runs the kernels of GPUs");
    vec![("own kernels", own), ("kernels of GPUs", with_gpu_kernels)]
}

/// A graph and the loss that a test differentiates.
#[derive(Debug, Default)]
pub struct Network {
    pub graph: Graph,
    pub loss: Loss,
}

impl Network {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a term to the loss.
    pub fn loss(&mut self, name: &str, node: NodeId, weight: f32) -> trainscope::Result<()> {
        self.loss.add(&self.graph, name, node, weight)
    }
}

impl Deref for Network {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.graph
    }
}

impl DerefMut for Network {
    fn deref_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }
}

/// Random numbers of a test.
pub struct Numbers {
    seed: u64,
    drawn: u32,
}

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Uniform in `[low, high)`.
    pub fn one(&mut self, low: f64, high: f64) -> f64 {
        self.drawn += 1;
        let word = random::words(self.seed, Stream::Synthetic, 0, self.drawn)[0];
        low + (high - low) * random::uniform(word)
    }

    /// As [`Numbers::one`], rounded to float32.
    pub fn many(&mut self, count: usize, low: f64, high: f64) -> Vec<f32> {
        (0..count).map(|_| self.one(low, high) as f32).collect()
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.one(0.0, end as f64) as usize).min(end - 1)
    }
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Values of an input node.
pub enum Input {
    Numbers(Vec<f32>),
    Labels(Vec<u32>),
}

impl Input {
    fn bits(&self) -> Vec<f32> {
        match self {
            Self::Numbers(numbers) => numbers.clone(),
            Self::Labels(labels) => labels.iter().map(|&label| f32::from_bits(label)).collect(),
        }
    }

    fn exact(&self) -> Vec<f64> {
        match self {
            Self::Numbers(numbers) => wide(numbers),
            Self::Labels(labels) => labels.iter().map(|&label| f64::from(label)).collect(),
        }
    }
}

/// What a step on the GPU computed, as [`ReferenceStep`].
#[derive(Debug, PartialEq)]
pub struct GpuStep {
    pub values: Vec<Vec<f32>>,
    pub gradients: Vec<Option<Vec<f32>>>,
    pub parameter_gradients: Vec<Vec<f32>>,
    pub scalars: Vec<f32>,
}

impl GpuStep {
    /// All its bits, so that NaN equals itself.
    pub fn bits(&self) -> Vec<u32> {
        let gradients = self.gradients.iter().flatten();
        let all = self.values.iter().chain(gradients);
        all.chain(&self.parameter_gradients)
            .chain([&self.scalars])
            .flatten()
            .map(|value| value.to_bits())
            .collect()
    }
}

static COPY: Shader = Shader::new(
    "test/copy.wgsl",
    "// uses shared/grid.wgsl
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> copy: array<f32>;
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < arrayLength(&copy) && i < arrayLength(&source)) {
        copy[i] = source[i];
    }
}
",
);

/// A graph on the GPU, with probes that copy every tensor when it is complete.
pub struct Probed<'a> {
    pub gpu: &'a Gpu,
    pub graph: &'a Network,
    pub batch: usize,
    pub parameters: Parameters,
    pub plan: Plan,
    step_counter: Buffer<u32>,
    copies: Vec<(usize, TensorKind, Buffer<f32>)>,
}

impl<'a> Probed<'a> {
    pub fn new(gpu: &'a Gpu, graph: &'a Network, batch: usize, seed: u64) -> Self {
        let parameters = Parameters::new(gpu, graph, seed).expect("parameters");
        let step_counter = gpu.upload("step_counter", &[0u32]).expect("step_counter");
        let copies = RefCell::new(Vec::new());
        let request = Plan::request(graph, batch)
            .seed(seed)
            .step_counter(&step_counter)
            .loss(&graph.loss);
        let plan = request.build_probed(gpu, &parameters, &mut |event| {
            let ProbeEvent::TensorReady(watched) = event else {
                return Ok(Vec::new());
            };
            let len = watched.buffer.len();
            assert_eq!(len, batch * watched.shape.iter().product::<usize>());
            let copy = gpu.buffer("copy", len)?;
            let dispatch = gpu.kernel(&COPY, "main", &[]).bind(
                gpu,
                &[(0, watched.buffer.binding()), (1, copy.binding())],
                grid(len, 64),
            );
            let node = graph.find(watched.name).expect("its own name");
            assert_eq!(node, watched.node);
            let index = graph.nodes().iter().position(|n| n.name == watched.name);
            copies
                .borrow_mut()
                .push((index.expect("found above"), watched.kind, copy));
            Ok(vec![dispatch])
        });
        Self {
            gpu,
            graph,
            batch,
            parameters,
            plan: plan.expect("a plan"),
            step_counter,
            copies: copies.into_inner(),
        }
    }

    pub fn run(&self, inputs: &[Input], step: u32) -> GpuStep {
        let gpu = self.gpu;
        gpu.write(&self.step_counter, 0, &[step]);
        let mut given = inputs.iter();
        for node in self.graph.nodes().iter().filter(|n| n.operation.is_none()) {
            let id = self.graph.find(&node.name).expect("an input");
            let buffer = self.plan.value(id).expect("inputs are kept");
            let values = given.next().expect("a value for each input").bits();
            assert_eq!(values.len(), buffer.len());
            gpu.write(buffer, 0, &values);
        }
        gpu.run("test", self.plan.dispatches(true));
        let nodes = self.graph.nodes().len();
        let mut values = vec![Vec::new(); nodes];
        let mut gradients = vec![None; nodes];
        for (node, kind, buffer) in &self.copies {
            let copy = gpu.read(buffer).expect("a readable copy");
            match kind {
                TensorKind::Activation => values[*node] = copy,
                _ => gradients[*node] = Some(copy),
            }
        }
        let all = gpu.read(&self.parameters.gradients).expect("gradients");
        GpuStep {
            values,
            gradients,
            parameter_gradients: split(&self.parameters, &all),
            scalars: gpu.read(self.plan.scalars()).expect("scalars"),
        }
    }

    pub fn reference(&self, inputs: &[Input], seed: u64, step: u32) -> ReferenceStep {
        let all = self.gpu.read(&self.parameters.values).expect("values");
        let parameters: Vec<Vec<f64>> = split(&self.parameters, &all)
            .iter()
            .map(|values| wide(values))
            .collect();
        let inputs: Vec<Vec<f64>> = inputs.iter().map(Input::exact).collect();
        let reference = Reference {
            graph: self.graph,
            batch: self.batch,
            mode: Mode::Train,
            parameters: &parameters,
            noise: (seed, step),
            rule: trainscope::nn::BackwardRule::Gradient,
        };
        reference.step(&self.graph.loss, &inputs)
    }
}

/// Values of each parameter, without their names.
pub fn split(parameters: &Parameters, all: &[f32]) -> Vec<Vec<f32>> {
    let named = parameters.unpack(all);
    named.into_iter().map(|tensor| tensor.values).collect()
}

/// The largest difference in units of the largest magnitude; infinite where one side alone is not finite.
pub fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-30f64, |most, w| most.max(w.abs()));
    let mut worst = 0.0f64;
    for (&g, &w) in got.iter().zip(want) {
        let difference = (f64::from(g) - w).abs() / largest;
        worst = if difference.is_nan() {
            f64::INFINITY
        } else {
            worst.max(difference)
        };
        if worst.is_infinite() {
            break;
        }
    }
    worst
}

/// Float32 sums of a few hundred terms stay well within this share of a tensor's largest value.
const TOLERANCE: f64 = 2e-5;

/// Holds a graph against its reference on these inputs, in both variants of the kernels.
pub fn check(what: &str, graph: &Network, batch: usize, inputs: &[Input], seed: u64) {
    let step = 3;
    for (variant, gpu) in &variants() {
        let probed = Probed::new(gpu, graph, batch, seed);
        // First the reference: a step changes the state of what keeps some.
        let want = probed.reference(inputs, seed, step);
        let got = probed.run(inputs, step);
        let context = format!("{what}, batch {batch}, {variant}");
        for (index, node) in graph.nodes().iter().enumerate() {
            let Some(operation) = &node.operation else {
                continue;
            };
            let off = distance(&got.values[index], &want.values[index]);
            assert!(
                off < TOLERANCE,
                "{context}: value of {} off by {off}",
                node.name
            );
            // A view has one gradient with what it views, and shows a part of it: see `TensorKind::Gradient`.
            if let (Some(gradient), false) = (&got.gradients[index], operation.is_view()) {
                let exact = want.gradients[index].as_ref().expect("a gradient");
                let off = distance(gradient, exact);
                assert!(
                    off < TOLERANCE,
                    "{context}: gradient of {} off by {off}",
                    node.name
                );
            }
        }
        for (index, parameter) in graph.parameters().iter().enumerate() {
            let name = &parameter.name;
            let got = &got.parameter_gradients[index];
            let off = distance(got, &want.parameter_gradients[index]);
            assert!(
                off < TOLERANCE,
                "{context}: gradient of {name} off by {off}"
            );
        }
        let after = gpu.read(&probed.parameters.values).expect("values");
        let after = split(&probed.parameters, &after);
        for (index, parameter) in graph.parameters().iter().enumerate() {
            let off = distance(&after[index], &want.parameters[index]);
            let name = &parameter.name;
            assert!(off < TOLERANCE, "{context}: {name} afterwards off by {off}");
        }
        let off = distance(&got.scalars, &want.scalars);
        assert!(off < TOLERANCE, "{context}: scalars off by {off}");
        gpu.check().expect("no device error");
    }
}
