//! Dreams: kernels against float64, gradients of every model kind against central differences, and what dreams promise.

#[cfg(feature = "cli")]
mod command;
mod kernels;

use trainscope::dream::{
    DreamOptions, DreamTarget, Dreams, InputKind, dream, input_gradient, real_inputs,
};
use trainscope::nn::{BackwardRule, Graph, NodeId, Role};
use trainscope::train::{Scenario, Trainer};

use crate::exact_graph::ExactGraph;
use crate::support::gpu;

const SHAPES: &str = "source = \"shapes\"\nsize = 16\ncount = 64";
const CLIPS: &str = "source = \"clips\"\ntask = \"motion\"\nsize = 24\ncount = 48";

const VAE: &str = r#"[model]
kind = "vae"
latent = 4
encoder = [ { dense = { units = 12 } }, "tanh", { dense = { units = 10 } }, "relu" ]
decoder = [ { dense = { units = 12 } }, "relu", { dense = { units = 768 } } ]
"#;
const CNN: &str = r#"[model]
kind = "classifier"
layers = [
    { conv2d = { channels = 4, kernel = 5, stride = 2, padding = 2 } }, "batch_norm", "relu",
    { max_pool2d = { kernel = 2 } }, "layer_norm",
    { conv2d = { channels = 5, kernel = 3 } }, "gelu",
    { dense = { units = 9 } }, "relu", { dense = { units = 3 } },
]
"#;
const GAN: &str = r#"[model]
kind = "gan"
latent = 6
generator = [ { dense = { units = 14 } }, "relu", { dense = { units = 768 } }, "sigmoid", { reshape = [3, 16, 16] } ]
discriminator = [ { dense = { units = 12 } }, { leaky_relu = { slope = 0.2 } }, { dense = { units = 1 } } ]
"#;
const TWO_STREAM: &str = r#"[model]
kind = "two_stream"
widths = [4, 6]
fusion_width = 8
"#;

fn scenario(data: &str, model: &str) -> Scenario {
    let text = format!(
        "name = \"dreamt\"\nseed = 5\n[data]\n{data}\n{model}\n\
         [train]\nbatch = 16\nsteps = 12\noptimizer = {{ adam = {{ lr = 1e-2 }} }}\n\
         [record]\nprobe_batch = 8\n"
    );
    Scenario::parse(&text, "a test", &[]).unwrap()
}

fn trained(scenario: &Scenario) -> Trainer {
    let mut trainer = Trainer::new(gpu(), scenario).unwrap();
    for _ in 0..scenario.train.steps {
        trainer.step(false).unwrap();
        while trainer.take(true).unwrap().is_some() {}
    }
    trainer
}

fn quick() -> DreamOptions {
    DreamOptions {
        steps: 40,
        leak_steps: 10,
        real: 48,
        ..DreamOptions::default()
    }
}

fn dreams(trainer: &Trainer, unit: &str, options: &DreamOptions) -> Dreams {
    let target = DreamTarget::parse(unit).unwrap();
    dream(trainer, &target, options, &mut |_, _| true).unwrap()
}

/// The mean of a channel, or an element, of a layer on one input.
fn exact_unit(exact: &ExactGraph<'_>, layer: &str, unit: usize, x: &[f64]) -> f64 {
    let (_, values) = exact.forward(x, BackwardRule::Gradient);
    let (id, elements) = exact.elements(layer, unit);
    let count = elements.len() as f64;
    values[id.index()][elements].iter().sum::<f64>() / count
}

/// Along random directions, the gradient is what central differences in float64 say.
fn check_gradient(trainer: &Trainer, graph: &Graph, input: NodeId, layers: &[&str]) {
    let exact = ExactGraph::new(trainer, graph, input);
    for &layer in layers {
        let target = DreamTarget::unit(layer, 1);
        let inputs = real_inputs(trainer, &target, 3).unwrap();
        let (values, gradient) = input_gradient(trainer, &target, &inputs).unwrap();
        let size = graph.node(input).size();
        for (sample, x) in inputs.chunks_exact(size).enumerate() {
            // Away from pixels that are exactly 0 or 1, whose ReLUs and maxima may stand on a kink.
            let x: Vec<f64> = (0..size)
                .map(|i| f64::from(x[i]) * 0.9 + 0.05 + 0.01 * ((i * 7 + sample) as f64).sin())
                .collect();
            let moved: Vec<f32> = x.iter().map(|&value| value as f32).collect();
            let (value, own) = input_gradient(trainer, &target, &moved).unwrap();
            let x: Vec<f64> = moved.iter().map(|&value| value.into()).collect();
            let want = exact_unit(&exact, layer, 1, &x);
            assert!(
                (value[0] - want).abs() < 1e-4 * (1.0 + want.abs()),
                "{layer}"
            );
            let norm: f64 = own
                .iter()
                .map(|&g| f64::from(g).powi(2))
                .sum::<f64>()
                .sqrt();
            for direction in 0..4 {
                let along: Vec<f64> = (0..size)
                    .map(|i| ((i * (3 + direction) + sample + direction) as f64 * 0.7).sin())
                    .collect();
                let epsilon = 1e-5;
                let shifted = |sign: f64| {
                    let x: Vec<f64> = x
                        .iter()
                        .zip(&along)
                        .map(|(x, d)| x + sign * epsilon * d)
                        .collect();
                    exact_unit(&exact, layer, 1, &x)
                };
                let want = (shifted(1.0) - shifted(-1.0)) / (2.0 * epsilon);
                let got: f64 = own.iter().zip(&along).map(|(&g, d)| f64::from(g) * d).sum();
                let length = (size as f64).sqrt();
                assert!(
                    (got - want).abs() < 1e-3 * norm * length + 1e-7,
                    "{layer}, sample {sample}: {got} where differences say {want}"
                );
            }
        }
        assert_eq!((values.len(), gradient.len()), (3, inputs.len()));
    }
}

fn input_of(graph: &Graph) -> NodeId {
    graph.with_role(Role::Input).unwrap()
}

#[test]
fn gradients_of_a_vae_agree_with_central_differences() {
    let trainer = trained(&scenario(SHAPES, VAE));
    let graph = trainer.graph();
    check_gradient(
        &trainer,
        graph,
        input_of(graph),
        &["encoder.2", "mu", "decoder.0", "decoder.2"],
    );
}

#[test]
fn gradients_of_a_classifier_agree_with_central_differences() {
    let trainer = trained(&scenario(SHAPES, CNN));
    let graph = trainer.graph();
    let logits = graph
        .node(graph.with_role(Role::Logits).unwrap())
        .name
        .clone();
    check_gradient(
        &trainer,
        graph,
        input_of(graph),
        &["layers.0", "layers.2", &logits],
    );
}

#[test]
fn gradients_of_both_networks_of_a_gan_agree_with_central_differences() {
    let trainer = trained(&scenario(SHAPES, GAN));
    let decoder = trainer.model().decoder().unwrap().unwrap();
    check_gradient(
        &trainer,
        &decoder.graph,
        decoder.z,
        &["generator.0", "generator.2"],
    );
    let passes = trainer.model().passes();
    let graph = passes[1].graph;
    check_gradient(
        &trainer,
        graph,
        input_of(graph),
        &["discriminator.0", "discriminator.1"],
    );
}

#[test]
fn gradients_of_a_two_stream_network_agree_with_central_differences() {
    let trainer = trained(&scenario(CLIPS, TWO_STREAM));
    let graph = trainer.graph();
    check_gradient(
        &trainer,
        graph,
        input_of(graph),
        &["appearance.0", "flow.3", "fusion_relu", "logits"],
    );
}

/// All classes in one batch, whatever the optimizer moves.
#[test]
fn dreams_keep_their_bounds_in_every_basis() {
    let trainer = trained(&scenario(SHAPES, CNN));
    for (fourier, decorrelate) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = DreamOptions {
            fourier,
            decorrelate,
            steps: 60,
            ..quick()
        };
        let found = dreams(&trainer, "class:all", &options);
        assert_eq!(found.dreams.len(), 3);
        assert_eq!(found.space.kind, InputKind::Image);
        for dream in &found.dreams {
            assert!(
                dream
                    .input
                    .iter()
                    .all(|value| (-1e-6..=1.0 + 1e-6).contains(value))
            );
            let values = found.space.values_of(&dream.input);
            for at in 0..256 {
                let norm = (0..3)
                    .map(|c| values[c * 256 + at].powi(2))
                    .sum::<f32>()
                    .sqrt();
                assert!(norm < 1.0 + 1e-5, "{norm}");
            }
            assert!(
                dream.activation > dream.real_maximum,
                "{}: {} of {}",
                dream.unit,
                dream.activation,
                dream.real_maximum
            );
            assert_eq!(dream.most.len(), 4);
            assert_eq!(dream.most[0].activation, dream.real_maximum);
            assert!(dream.least[0].activation <= dream.most[0].activation);
        }
    }
}

#[test]
fn dreams_are_bit_identical_and_depend_on_the_seed() {
    let trainer = trained(&scenario(SHAPES, VAE));
    let own = dreams(&trainer, "mu:2", &quick());
    assert_eq!(dreams(&trainer, "mu:2", &quick()), own);
    let other = DreamOptions { seed: 1, ..quick() };
    assert_ne!(
        dreams(&trainer, "mu:2", &other).dreams[0].input,
        own.dreams[0].input
    );
    // A unit goes as far beside others; sums in larger batches have another order.
    let among = dreams(&trainer, "mu:all", &quick());
    let [beside, alone] = [among.dreams[2].activation, own.dreams[0].activation];
    assert!(
        (beside - alone).abs() < 0.05 * alone.abs(),
        "{beside} and {alone}"
    );
}

/// Larger weights in time give slower clips, strictly.
#[test]
fn chi_slows_clips_down() {
    let trainer = trained(&scenario(CLIPS, TWO_STREAM));
    let options = DreamOptions {
        chi: vec![0.0, 1.0, 10.0],
        ..quick()
    };
    let found = dreams(&trainer, "fusion_relu:1", &options);
    let temporal: Vec<f64> = found
        .dreams
        .iter()
        .map(|dream| dream.energies.temporal)
        .collect();
    assert!(
        temporal.windows(2).all(|pair| pair[1] < pair[0]),
        "{temporal:?}"
    );
    assert_eq!(found.space.streams.len(), 2);
}

#[test]
fn every_form_of_target_is_dreamt() {
    let trainer = trained(&scenario(SHAPES, CNN));
    let options = DreamOptions {
        steps: 8,
        ..quick()
    };
    for (unit, count) in [
        ("layers.2:0-2,3", 4),
        ("layers.2:0=1,2=-0.5", 1),
        ("layers.2:sample=5", 1),
        ("class:1", 1),
        ("layers.2:all", 4),
    ] {
        let found = dreams(&trainer, unit, &options);
        assert_eq!(found.dreams.len() + found.dead.len(), count, "{unit}");
    }
    // The value of a cluster is the mean of its units.
    let target = DreamTarget::parse("layers.0:cluster=99").unwrap();
    let error = dream(&trainer, &target, &options, &mut |_, _| true)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("there is no such cluster; choose one of: 0 ("),
        "{error}"
    );
    let cluster = dreams(&trainer, "layers.0:cluster=0", &options);
    assert_eq!(cluster.dreams[0].unit, "layers.0:cluster=0");
    // A generator is dreamt of in latent vectors, which it shows as images.
    let gan = trained(&scenario(SHAPES, GAN));
    let found = dreams(&gan, "generator.0:1", &options);
    assert_eq!(found.space.kind, InputKind::Vector);
    assert_eq!(found.image_shape, Some(vec![3, 16, 16]));
    assert_eq!(found.dreams[0].image.as_ref().unwrap().len(), 768);
}

/// A dense layer reads each pixel at its own place: rolled by default, its units would hardly reach what real inputs do.
#[test]
fn units_of_dense_layers_outgrow_real_inputs() {
    let trainer = trained(&scenario(SHAPES, VAE));
    let found = dreams(&trainer, "encoder.0:all", &quick());
    for dream in &found.dreams {
        let (own, real) = (dream.activation, dream.real_maximum.max(0.0));
        assert!(
            own > 1.5 * real && own > 0.0,
            "{}: {own} of {real}",
            dream.unit
        );
    }
    let rolled = DreamOptions {
        jitter: Some(4),
        ..quick()
    };
    let sum = |found: &Dreams| -> f64 { found.dreams.iter().map(|dream| dream.activation).sum() };
    let (still, rolled) = (
        sum(&found),
        sum(&dreams(&trainer, "encoder.0:all", &rolled)),
    );
    assert!(rolled < 0.8 * still, "{rolled} rolled, {still} in place");
}

/// A bias just so low that no real input moves the unit, and then so low that no input at all does.
#[test]
fn silent_units_wake_up_and_dead_ones_are_named() {
    let model = r#"[model]
kind = "classifier"
layers = [ { dense = { units = 6 } }, "relu", { dense = { units = 3 } } ]
"#;
    let mut trainer = trained(&scenario(SHAPES, model));
    let shift_bias = |trainer: &mut Trainer, value: f64| {
        let mut state = trainer.checkpoint().unwrap().parameters;
        let bias = state
            .iter_mut()
            .find(|tensor| tensor.name == "layers.0.bias")
            .unwrap();
        bias.values[0] += value as f32;
        trainer.load_parameters(&state, "a test").unwrap();
    };
    let reached = dreams(&trainer, "layers.0:0", &quick()).dreams[0].real_maximum;
    shift_bias(&mut trainer, -reached - 0.1);
    let found = dreams(&trainer, "layers.1:0", &quick());
    assert_eq!(found.dreams[0].real_maximum, 0.0);
    assert!(found.dreams[0].activation > 0.0);

    shift_bias(&mut trainer, -1e4);
    let found = dreams(&trainer, "layers.1:0,1", &quick());
    assert_eq!(found.dead.len(), 1);
    assert_eq!(
        (found.dead[0].name.as_str(), found.dead[0].unit),
        ("layers.1:0", Some(0))
    );
    assert_eq!(found.dreams[0].unit, "layers.1:1");
}

#[test]
fn what_cannot_be_dreamt_is_said() {
    let trainer = trained(&scenario(SHAPES, VAE));
    let refused = |unit: &str, options: &DreamOptions, part: &str| {
        let target = DreamTarget::parse(unit);
        let found = target.and_then(|target| dream(&trainer, &target, options, &mut |_, _| true));
        let error = found.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let options = quick();
    refused("mu", &options, "not a unit of a layer; write LAYER:CHANNEL");
    refused("mu:x", &options, "not a unit of a layer");
    refused("mu:3-1", &options, "not a unit of a layer");
    refused("mu:0=nan", &options, "not a unit of a layer");
    refused(
        "encoder.9:0",
        &options,
        "the model has no such layer; choose one of: encoder.0,",
    );
    refused("mu:4", &options, "mu has 4 units; choose from 0 to 3");
    refused("mu:sample=64", &options, "the data set has 64 samples");
    refused("class:1", &options, "the model has no logits of classes");
    let no_time = DreamOptions {
        chi: vec![f64::NAN],
        ..quick()
    };
    refused("mu:0", &no_time, "not a finite number");
    let target = DreamTarget::parse("mu:0").unwrap();
    let error = dream(&trainer, &target, &options, &mut |_, _| false).unwrap_err();
    assert_eq!(error.kind(), trainscope::ErrorKind::Cancelled);

    let parameters = trainer.parameters();
    let mut values = gpu().read(&parameters.values).unwrap();
    values.fill(f32::NAN);
    gpu().write(&parameters.values, 0, &values);
    refused("mu:0", &options, "it is not finite on 48 of 48 real inputs");
}
