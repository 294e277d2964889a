//! Vector-Jacobian products of every operation in every mode, with and without gradients of parameters, and whole models
//! with respect to their inputs.

use trainscope::gpu::Gpu;
use trainscope::models::{
    ClassifierConfig, ClassifierLoss, DataShape, Fusion, GanConfig, Layer, Pooling,
    ReconstructionLoss, SecondLatent, Streams, Targets, TwoStreamConfig, Vae, VaeConfig, Variance,
};
use trainscope::nn::losses::{
    ElementwiseLoss, GanObjective, GaussianKl, GaussianPairKl, SoftmaxCrossEntropy,
};
use trainscope::nn::ops::{
    Add, Anneal, BatchNorm, Concat, Conv2d, ConvTranspose2d, Dense, Dropout, Embedding, LayerNorm,
    Pool, Reparameterize, Reshape, Slice, Softmax, Upsample,
};
use trainscope::nn::reference::Reference;
use trainscope::nn::{
    BackwardRule, Conv2dGeometry, Graph, Initialization, Loss, Mode, NodeId, Operation, Parameters,
    Plan,
};

use super::harness::{Numbers, distance, split, variants, wide};
use super::references::{ACTIVATIONS, adversarial};

pub const MODES: [Mode; 3] = [Mode::Train, Mode::TrainFrozenState, Mode::Eval];
const SEED: u64 = 4;
const TOLERANCE: f64 = 2e-5;

/// What is differentiated: the sum of a node's elements times a cotangent.
pub struct Case<'a> {
    pub what: String,
    pub graph: &'a Graph,
    pub node: NodeId,
    pub batch: usize,
    /// Values of the input nodes in order; labels as their bits.
    pub inputs: Vec<Vec<f32>>,
    /// Inputs that are labels have no gradient.
    pub wrt: Vec<NodeId>,
    pub cotangent: Vec<f32>,
}

impl Case<'_> {
    /// Values, gradients and state of a plan against float64; returns the gradients with respect to `wrt`.
    pub fn check(
        &self,
        (variant, gpu): &(&'static str, Gpu),
        mode: Mode,
        rule: BackwardRule,
        parameter_gradients: bool,
    ) -> Vec<Vec<f32>> {
        let what = format!("{}, {variant}, {mode:?}, {rule:?}", self.what);
        let parameters = self.parameters(gpu);
        let cotangent = gpu.upload("cotangent", &self.cotangent).expect("small");
        let mut request = Plan::request(self.graph, self.batch)
            .mode(mode)
            .rule(rule)
            .seed(SEED)
            .cotangent(self.node, &cotangent)
            .keep_value(self.node)
            .parameter_gradients(parameter_gradients);
        for &node in &self.wrt {
            request = request.wrt(node);
        }
        let plan = request.build(gpu, &parameters);
        let plan = plan.unwrap_or_else(|error| panic!("{what}: {error}"));
        let nodes = self.graph.nodes().iter();
        let input_nodes = nodes.filter(|node| node.operation.is_none());
        for (node, values) in input_nodes.zip(&self.inputs) {
            let id = self.graph.find(&node.name).expect("its own name");
            gpu.write(plan.value(id).expect("inputs are kept"), 0, values);
        }
        let before = split(&parameters, &gpu.read(&parameters.values).expect("values"));
        // The optimizer leaves its updates where the gradients were; they are not to be lost.
        let untouched = vec![7.0; parameters.gradients.len()];
        gpu.write(&parameters.gradients, 0, &untouched);
        // Twice: nothing may be left over from the first time. State moves once, so it is set back.
        let state = gpu.read(&parameters.values).expect("values");
        gpu.run("pass", plan.dispatches(false));
        gpu.write(&parameters.values, 0, &state);
        gpu.run("pass", plan.dispatches(false));

        let exact: Vec<Vec<f64>> = before.iter().map(|values| wide(values)).collect();
        let reference = Reference {
            graph: self.graph,
            batch: self.batch,
            mode,
            parameters: &exact,
            noise: (SEED, 0),
            rule,
        };
        let forward = reference.forward(&self.exact_inputs());
        let mut cotangents = vec![None; self.graph.nodes().len()];
        cotangents[self.node.index()] = Some(wide(&self.cotangent));
        let want = reference.backward(&forward.values, cotangents);
        let compare = |name: &str, got: &[f32], want: &[f64]| {
            let off = distance(got, want);
            assert!(off < TOLERANCE, "{what}: {name} off by {off}");
        };
        let value = gpu.read(plan.value(self.node).expect("kept"));
        compare(
            "value",
            &value.expect("values"),
            &forward.values[self.node.index()],
        );
        let gradients: Vec<Vec<f32>> = self
            .wrt
            .iter()
            .map(|&node| {
                let got = gpu
                    .read(plan.gradient(node).expect("asked for"))
                    .expect("values");
                let want = want.nodes[node.index()].as_ref().expect("a gradient");
                compare(
                    &format!("gradient of {}", self.graph.node(node).name),
                    &got,
                    want,
                );
                got
            })
            .collect();
        let all = gpu.read(&parameters.gradients).expect("gradients");
        if parameter_gradients {
            for (index, got) in split(&parameters, &all).iter().enumerate() {
                let parameter = &self.graph.parameters()[index];
                if parameter.trainable {
                    compare(&parameter.name, got, &want.parameters[index]);
                }
            }
        } else {
            assert!(
                all == untouched,
                "{what}: gradients of parameters are written"
            );
        }
        let after = split(&parameters, &gpu.read(&parameters.values).expect("values"));
        for (index, got) in after.iter().enumerate() {
            let parameter = &self.graph.parameters()[index];
            compare(
                &format!("{} afterwards", parameter.name),
                got,
                &forward.parameters[index],
            );
            if !mode.updates_state() {
                assert_eq!(*got, before[index], "{what}: {} moved", parameter.name);
            }
        }
        gpu.check().expect("no device error");
        gradients
    }

    /// Parameters as they are drawn, but running statistics that say something.
    pub fn parameters(&self, gpu: &Gpu) -> Parameters {
        let parameters = Parameters::new(gpu, self.graph, SEED).expect("parameters");
        let mut tensors = parameters.unpack(&gpu.read(&parameters.values).expect("values"));
        let mut numbers = Numbers::new(77);
        for tensor in &mut tensors {
            let count = tensor.values.len();
            if tensor.name.ends_with("running_mean") {
                tensor.values = numbers.many(count, -1.0, 1.0);
            } else if tensor.name.ends_with("running_var") {
                tensor.values = numbers.many(count, 0.5, 2.0);
            }
        }
        let all = parameters.pack(&tensors, "test").expect("its own tensors");
        gpu.write(&parameters.values, 0, &all);
        parameters
    }

    /// Labels are numbers in float64.
    pub fn exact_inputs(&self) -> Vec<Vec<f64>> {
        let nodes = self.graph.nodes().iter();
        let input_nodes = nodes.filter(|node| node.operation.is_none());
        input_nodes
            .zip(&self.inputs)
            .map(|(node, values)| match node.name.as_str() {
                "label" => values
                    .iter()
                    .map(|value| f64::from(value.to_bits()))
                    .collect(),
                _ => wide(values),
            })
            .collect()
    }
}

/// A case with random inputs, away from kinks, and a random cotangent.
pub fn case<'a>(what: &str, graph: &'a Graph, node: NodeId, batch: usize) -> Case<'a> {
    let mut numbers = Numbers::new(19);
    let mut inputs = Vec::new();
    let mut wrt = Vec::new();
    for input in graph.nodes().iter().filter(|node| node.operation.is_none()) {
        let count = batch * input.size();
        if input.name == "label" {
            let labels = (0..count).map(|_| f32::from_bits(numbers.below(3) as u32));
            inputs.push(labels.collect());
            continue;
        }
        inputs.push(numbers.many(count, -2.0, 2.0));
        if input.name != "target" {
            wrt.push(graph.find(&input.name).expect("its own name"));
        }
    }
    let cotangent = numbers.many(batch * graph.node(node).size(), -1.0, 1.0);
    Case {
        what: what.to_owned(),
        graph,
        node,
        batch,
        inputs,
        wrt,
        cotangent,
    }
}

/// Adds the operation of a case to a graph.
type AddNode = Box<dyn Fn(&mut Graph, &[NodeId]) -> NodeId>;

/// A graph of one operation on inputs of these shapes.
fn alone(operation: AddNode, shapes: &[(&str, &[usize])]) -> (Graph, NodeId) {
    let mut graph = Graph::new();
    let inputs: Vec<NodeId> = shapes
        .iter()
        .map(|(name, shape)| graph.input(name, shape))
        .collect();
    let node = operation(&mut graph, &inputs);
    (graph, node)
}

fn of(operation: impl Operation + Clone + 'static) -> AddNode {
    Box::new(move |graph, inputs| graph.add("op", operation.clone(), inputs).expect("it fits"))
}

type Alone = (String, Graph, NodeId);

/// Every operation on inputs of its own.
fn operations() -> Vec<Alone> {
    let image: &[usize] = &[3, 6, 5];
    let flat: &[usize] = &[7];
    let w = Conv2dGeometry::new;
    let spectral_dense = Dense {
        spectral_norm: true,
        ..Dense::new(5)
    };
    let spectral_conv = Conv2d {
        spectral_norm: true,
        ..Conv2d::new(4, w(3).padding(1))
    };
    let mut all = Vec::new();
    let mut one = |what: String, operation, shapes: &[(&str, &[usize])]| {
        let (graph, node) = alone(operation, shapes);
        all.push((what, graph, node));
    };
    for activation in ACTIVATIONS {
        one(format!("{activation:?}"), of(activation), &[("x", flat)]);
    }
    one("dense".into(), of(Dense::new(5)), &[("x", flat)]);
    one("spectral dense".into(), of(spectral_dense), &[("x", flat)]);
    one(
        "conv".into(),
        of(Conv2d::new(4, w(3).stride(2).padding(1))),
        &[("x", image)],
    );
    one("spectral conv".into(), of(spectral_conv), &[("x", image)]);
    one(
        "transposed".into(),
        of(ConvTranspose2d::new(2, w(4).stride(2).padding(1))),
        &[("x", image)],
    );
    one(
        "max".into(),
        of(Pool::Max(w(3).stride(2).padding(1))),
        &[("x", image)],
    );
    one(
        "average".into(),
        of(Pool::Average(w(2).stride(2))),
        &[("x", image)],
    );
    one(
        "global average".into(),
        of(Pool::GlobalAverage),
        &[("x", image)],
    );
    one(
        "upsample".into(),
        of(Upsample {
            factor: [2, 3].into(),
        }),
        &[("x", image)],
    );
    one("add".into(), of(Add), &[("x", image), ("y", image)]);
    one(
        "concat".into(),
        of(Concat),
        &[("x", image), ("y", &[2, 6, 5])],
    );
    one(
        "slice".into(),
        of(Slice { first: 1, count: 2 }),
        &[("x", image)],
    );
    one(
        "reshape".into(),
        of(Reshape { shape: vec![90] }),
        &[("x", image)],
    );
    for shape in [flat, &[2, 5], image] {
        one(
            format!("batch norm {shape:?}"),
            of(BatchNorm::default()),
            &[("x", shape)],
        );
        one(
            format!("layer norm {shape:?}"),
            of(LayerNorm::default()),
            &[("x", shape)],
        );
    }
    one(
        "dropout".into(),
        of(Dropout { probability: 0.4 }),
        &[("x", flat)],
    );
    one(
        "embedding".into(),
        of(Embedding {
            classes: 3,
            width: 4,
        }),
        &[("label", &[])],
    );
    for noise in [0.0, 0.7] {
        let operation = of(Reparameterize::new(noise));
        one(
            format!("noise {noise}"),
            operation,
            &[("x", flat), ("y", flat)],
        );
    }
    one(
        "cross-entropy".into(),
        of(SoftmaxCrossEntropy::default()),
        &[("x", flat), ("label", &[])],
    );
    for loss in [
        ElementwiseLoss::BceWithLogits,
        ElementwiseLoss::SquaredError,
    ] {
        one(
            format!("{loss:?}"),
            of(loss),
            &[("x", flat), ("target", flat)],
        );
    }
    one("softmax".into(), of(Softmax), &[("x", flat)]);
    one("anneal".into(), of(Anneal { steps: 5 }), &[("x", flat)]);
    one(
        "divergence".into(),
        of(GaussianKl),
        &[("x", flat), ("y", flat)],
    );
    one(
        "divergence of two".into(),
        of(GaussianPairKl),
        &[("x", flat), ("y", flat), ("mu", flat), ("logvar", flat)],
    );
    for loss in adversarial() {
        one(format!("{loss:?}"), of(loss), &[("x", &[1])]);
    }
    all
}

#[test]
fn every_operation_in_every_mode_agrees_with_float64() {
    for variant in &variants() {
        for (what, graph, node) in &operations() {
            for mode in MODES {
                for parameter_gradients in [true, false] {
                    let case = case(what, graph, *node, 6);
                    if case.wrt.is_empty() && !parameter_gradients {
                        continue;
                    }
                    case.check(variant, mode, BackwardRule::Gradient, parameter_gradients);
                }
            }
        }
    }
}

/// Batch norm takes one sample in evaluation, and any chunk of a workgroup.
#[test]
fn batch_norm_is_differentiated_with_its_running_statistics() {
    for variant in &variants() {
        for (batch, shape) in [
            (1usize, &[5usize] as &[usize]),
            (1, &[3, 1, 1]),
            (130, &[67]),
            (9, &[2, 33, 31]),
        ] {
            let (graph, node) = alone(of(BatchNorm::default()), &[("x", shape)]);
            for parameter_gradients in [true, false] {
                let case = case("batch norm", &graph, node, batch);
                case.check(
                    variant,
                    Mode::Eval,
                    BackwardRule::Gradient,
                    parameter_gradients,
                );
            }
        }
    }
}

/// A whole model: what is minimized, and the input with respect to which it is differentiated.
struct Whole {
    what: &'static str,
    graph: Graph,
    loss: Loss,
    x: NodeId,
}

/// The mean of 192 values of a sample as a loss.
fn mean_of(graph: &mut Graph, node: NodeId) -> Loss {
    let shape = vec![1, 1, 192];
    let row = graph
        .add("row", Reshape { shape }, &[node])
        .expect("it fits");
    let mean = graph
        .add("mean", Pool::GlobalAverage, &[row])
        .expect("it fits");
    let mut loss = Loss::new();
    loss.add(graph, "mean", mean, 3.0).expect("one number");
    loss
}

fn models() -> Vec<Whole> {
    let dense = |units, spectral_norm| Layer::Dense {
        units,
        initialization: Initialization::PyTorch,
        spectral_norm,
    };
    let conv = |spectral_norm| Layer::Conv2d {
        channels: 4,
        kernel: 3.into(),
        stride: 2.into(),
        padding: 1.into(),
        dilation: 1.into(),
        initialization: Initialization::PyTorch,
        spectral_norm,
    };
    let data = DataShape {
        sample: [3, 8, 8],
        classes: 3,
    };
    let features = |spectral_norm| {
        let leaky = Layer::LeakyRelu { slope: 0.2 };
        vec![
            conv(spectral_norm),
            Layer::batch_norm(),
            leaky,
            Layer::Flatten,
        ]
    };
    let with = |mut layers: Vec<Layer>, last: &[Layer]| {
        layers.extend_from_slice(last);
        layers
    };
    let classifier = ClassifierConfig {
        loss: ClassifierLoss::default(),
        label_smoothing: 0.1,
        layers: with(
            features(false),
            &[Layer::Dropout(0.3), Layer::LayerNorm, dense(3, false)],
        ),
    };
    let classifier = classifier.build(data).expect("it fits");
    let vae = VaeConfig {
        latent: 3,
        variance: Variance::Bounded,
        noise: 0.5,
        given_noise: None,
        beta: 0.7,
        beta_warmup: 0,
        reconstruction: ReconstructionLoss::SquaredError,
        log_variance_floor: None,
        condition: None,
        encoder: features(false),
        decoder: vec![dense(11, false), Layer::Tanh, dense(192, false)],
        second_latent: None,
    };
    let hierarchy = VaeConfig {
        second_latent: Some(SecondLatent {
            units: 2,
            encoder: vec![dense(5, false), Layer::Tanh],
            decoder: vec![dense(4, false), Layer::Tanh],
        }),
        ..vae.clone()
    };
    let vae = vae.build(data).expect("it fits");
    let hierarchy = hierarchy.build(data).expect("it fits");
    let gan = GanConfig {
        latent: 5,
        objective: GanObjective::CrossEntropy,
        generator: vec![
            dense(11, false),
            Layer::batch_norm(),
            Layer::Tanh,
            dense(192, false),
            Layer::Sigmoid,
            Layer::Reshape(vec![3, 8, 8]),
        ],
        discriminator: with(features(true), &[dense(1, true)]),
        weight_clip: None,
        gradient_penalty: None,
        critic_steps: 1,
        label_smoothing: 0.1,
    };
    let generator = gan.generator(&data.sample).expect("it fits");
    let gan = gan.build(&data.sample).expect("it fits");
    let clips = DataShape {
        sample: [5, 8, 8],
        classes: 3,
    };
    let two_stream = TwoStreamConfig {
        widths: vec![3, 4],
        fusion_width: 5,
        streams: Streams::Both,
        fusion: Fusion::Convolution,
        pooling: Pooling::Mean,
        targets: Targets::Class,
    };
    let two_stream = two_stream.build(clips).expect("it fits");
    // A reconstruction has the input for its target, which gets no gradient: the divergence and the mean of what is decoded
    // depend on the input through the encoder alone.
    let without_target = |vae: Vae, divergences: &[&str]| {
        let mut graph = vae.graph;
        let mut loss = mean_of(&mut graph, vae.output);
        for name in divergences {
            let kl = graph.find(name).expect("a VAE has it");
            loss.add(&graph, name, kl, 0.7).expect("one number");
        }
        (graph, loss, vae.x)
    };
    let vae = without_target(vae, &["kl_divergence"]);
    let hierarchy = without_target(hierarchy, &["first_kl_divergence", "second_kl_divergence"]);
    let mut graph = generator.graph;
    let brightness = mean_of(&mut graph, generator.image);
    let whole = |what, graph, loss, x| Whole {
        what,
        graph,
        loss,
        x,
    };
    let discriminator = gan.real_pass;
    vec![
        whole(
            "classifier",
            classifier.graph,
            classifier.loss,
            classifier.x,
        ),
        whole("VAE", vae.0, vae.1, vae.2),
        whole(
            "VAE of two latent layers",
            hierarchy.0,
            hierarchy.1,
            hierarchy.2,
        ),
        whole("generator", graph, brightness, generator.z),
        whole(
            "discriminator",
            discriminator.graph,
            discriminator.loss,
            discriminator.x,
        ),
        whole(
            "generator through discriminator",
            gan.generator_pass,
            gan.generator_loss,
            gan.fake,
        ),
        whole(
            "two-stream",
            two_stream.graph,
            two_stream.loss,
            two_stream.x,
        ),
    ]
}

/// The gradient of the loss of whole models with respect to their inputs: float64 against central differences, and the GPU
/// against float64.
#[test]
fn whole_models_are_differentiated_with_respect_to_their_inputs() {
    let (_, gpu) = &variants()[0];
    for Whole {
        what,
        graph,
        loss,
        x,
    } in &models()
    {
        let case = case(what, graph, *x, 6);
        let parameters = case.parameters(gpu);
        let values = split(&parameters, &gpu.read(&parameters.values).expect("values"));
        let values: Vec<Vec<f64>> = values.iter().map(|values| wide(values)).collect();
        for mode in MODES {
            let reference = Reference {
                graph,
                batch: 6,
                mode,
                parameters: &values,
                noise: (SEED, 0),
                rule: BackwardRule::Gradient,
            };
            let mut inputs = case.exact_inputs();
            let want = reference.step(loss, &inputs);
            let gradient = want.gradients[x.index()].as_ref().expect("a gradient");
            let largest = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
            // A node that an operation computes cannot be moved from outside.
            let is_input = graph.node(*x).operation.is_none();
            for i in (0..gradient.len()).step_by(7).filter(|_| is_input) {
                let at = inputs[0][i];
                let mut moved = |by: f64| {
                    inputs[0][i] = at + by;
                    let scalars = reference.scalars(loss, &reference.forward(&inputs).values);
                    inputs[0][i] = at;
                    scalars[0]
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let off = (difference - gradient[i]).abs() / largest;
                assert!(
                    off < 1e-6,
                    "{what}, {mode:?}: {difference}, not {}",
                    gradient[i]
                );
            }
            let plan = Plan::request(graph, 6)
                .mode(mode)
                .seed(SEED)
                .loss(loss)
                .wrt(*x)
                .parameter_gradients(false)
                .build(gpu, &parameters)
                .expect("a plan");
            let nodes = graph.nodes().iter();
            let input_nodes = nodes.filter(|node| node.operation.is_none());
            for (node, values) in input_nodes.zip(&case.inputs) {
                let id = graph.find(&node.name).expect("its own name");
                gpu.write(plan.value(id).expect("inputs are kept"), 0, values);
            }
            let before = gpu.read(&parameters.values).expect("values");
            gpu.run("model", plan.dispatches(false));
            gpu.write(&parameters.values, 0, &before);
            let got = gpu
                .read(plan.gradient(*x).expect("asked for"))
                .expect("values");
            let off = distance(&got, gradient);
            assert!(off < 1e-4, "{what}, {mode:?}: off by {off}");
        }
    }
}
