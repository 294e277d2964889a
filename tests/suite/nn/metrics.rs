//! Metrics against their twins.

use trainscope::nn::metrics::{
    Accuracy, GradientNorms, diversity, reference_diversity, reference_norm,
};
use trainscope::nn::ops::Dense;
use trainscope::nn::{Operation, Parameters};
use trainscope::tensor::NamedTensor;

use super::harness::{Input, Network, Numbers, check, variants, wide};
use crate::support::gpu;

/// A graph of one metric of inputs alone.
fn graph(metric: impl Operation + 'static, shapes: [&[usize]; 2]) -> Network {
    let mut graph = Network::new();
    let a = graph.input("a", shapes[0]);
    let b = graph.input("b", shapes[1]);
    let metric = graph.add("metric", metric, &[a, b]).expect("it fits");
    graph.loss("metric", metric, 0.0).expect("a scalar");
    graph
}

#[test]
fn accuracy() {
    for (batch, classes) in [(1, 2), (7, 10), (130, 3), (64, 71)] {
        let graph = graph(Accuracy::TopOne, [&[classes], &[]]);
        let mut numbers = Numbers::new(batch as u64);
        // Few different values: ties are frequent.
        let mut logits: Vec<f32> = (0..batch * classes)
            .map(|_| numbers.below(4) as f32 - 2.0)
            .collect();
        let labels: Vec<u32> = (0..batch)
            .map(|_| numbers.below(classes + 1) as u32)
            .collect();
        for sample in (0..batch).step_by(5) {
            logits[sample * classes + numbers.below(classes)] = f32::NAN;
        }
        let inputs = [Input::Numbers(logits), Input::Labels(labels)];
        check(&format!("{classes} classes"), &graph, batch, &inputs, 1);
    }
}

#[test]
fn exact_match() {
    for (batch, outputs) in [(1, 1), (7, 2), (130, 3), (64, 16)] {
        let graph = graph(Accuracy::ExactMatch, [&[outputs], &[outputs]]);
        let mut numbers = Numbers::new(batch as u64);
        let targets: Vec<f32> = (0..batch * outputs)
            .map(|_| numbers.below(2) as f32)
            .collect();
        // Most samples are right; a logit of 0 is not above 0.
        let mut logits: Vec<f32> = targets
            .iter()
            .map(|target| (target - 0.5).max(0.0) * 4.0)
            .collect();
        for sample in (0..batch).step_by(3) {
            logits[sample * outputs + numbers.below(outputs)] = 0.1;
        }
        for sample in (0..batch).step_by(5) {
            logits[sample * outputs + numbers.below(outputs)] = f32::NAN;
        }
        let inputs = [Input::Numbers(logits), Input::Numbers(targets)];
        check(&format!("{outputs} outputs"), &graph, batch, &inputs, 1);
    }
}

/// The diversity of these samples on the GPU.
fn measured(values: &[f32], shape: [usize; 2]) -> f32 {
    let gpu = gpu();
    let values = gpu.upload("values", values).expect("a buffer");
    let result = gpu.buffer("result", 1).expect("a buffer");
    let dispatches = diversity(gpu, &values, shape, &result).expect("it fits");
    gpu.run("diversity", &dispatches);
    gpu.read(&result).expect("it can be read")[0]
}

#[test]
fn diversity_is_its_twin() {
    for shape @ [batch, size] in [[1, 5], [2, 1], [3, 1024], [17, 1025], [64, 3000]] {
        let mut numbers = Numbers::new(size as u64);
        // Far from zero: what cancels must not matter.
        let values = numbers.many(batch * size, 99.0, 101.0);
        let want = reference_diversity(&wide(&values), shape);
        let got = f64::from(measured(&values, shape));
        let off = (got - want).abs();
        assert!(off <= 1e-5 * want, "{shape:?}: {got}, not {want}");
    }
    let alike = [0.1f32, 7.0, -3.3].repeat(20);
    assert_eq!(measured(&alike, [20, 3]), 0.0);
    let mut broken = alike.clone();
    broken[31] = f32::NAN;
    assert!(measured(&broken, [20, 3]).is_nan());
    let gpu = gpu();
    let values = gpu.upload("values", &alike).expect("a buffer");
    for shape in [[0, 3], [20, 0], [40, 3], [usize::MAX, 2]] {
        assert!(
            diversity(gpu, &values, shape, &values).is_err(),
            "{shape:?}"
        );
    }
}

#[test]
fn gradient_norms_are_their_twin_at_any_size() {
    let mut graph = Network::new();
    let mut x = graph.input("x", &[37]);
    for (layer, units) in [61, 1, 300, 2].into_iter().enumerate() {
        x = graph
            .add(&layer.to_string(), Dense::new(units), &[x])
            .expect("it fits");
    }
    for (variant, gpu) in &variants() {
        let parameters = Parameters::new(gpu, &graph, 1).expect("parameters");
        let norms = GradientNorms::new(gpu, &parameters).expect("it fits");
        assert_eq!(norms.names.len(), 8);
        let of = |gradients: &[f32]| {
            gpu.write(&parameters.gradients, 0, gradients);
            gpu.run("norms", &norms.dispatches);
            gpu.read(&norms.norms).expect("it can be read")
        };
        let mut numbers = Numbers::new(5);
        for scale in [1.0, 1e-25, 1e-12, 1e5, 1e36] {
            // What lies between the tensors must not count: padding is as large as the rest.
            let mut gradients = numbers.many(parameters.gradients.len(), -1.0, 1.0);
            gradients.iter_mut().for_each(|value| *value *= scale);
            let got = of(&gradients);
            for (
                NamedTensor {
                    name,
                    values: gradient,
                    ..
                },
                got,
            ) in parameters.unpack(&gradients).iter().zip(&got)
            {
                let want = reference_norm(&wide(gradient));
                let off = (f64::from(*got) - want).abs() / want;
                assert!(off < 1e-5, "{variant}, {name} x {scale}: {got}, not {want}");
            }
        }
        let mut gradients = vec![0.0; parameters.gradients.len()];
        assert_eq!(of(&gradients), [0.0; 8], "{variant}");
        gradients[0] = f32::NAN;
        // The first position of the fourth tensor, found by numbering all places.
        let numbered: Vec<f32> = (0..gradients.len())
            .map(|position| position as f32)
            .collect();
        let fourth = parameters.unpack(&numbered)[3].values[0];
        gradients[fourth as usize] = f32::NEG_INFINITY;
        let got = of(&gradients);
        assert!(
            got[0].is_nan() && got[3] == f32::INFINITY,
            "{variant}: {got:?}"
        );
        assert!(got[1] == 0.0 && got[4..] == [0.0; 4], "{variant}: {got:?}");
    }
}
