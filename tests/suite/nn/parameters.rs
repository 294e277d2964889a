//! Parameters to and from named tensors.

use trainscope::nn::Parameters;
use trainscope::tensor::NamedTensor;

use super::optimizer::graph;
use crate::support;

#[test]
fn parameters_go_to_tensors_and_back() {
    let gpu = support::gpu();
    let parameters = Parameters::new(gpu, &graph(), 3).expect("parameters");
    assert_eq!(parameters.count(), 7 * 13 + 7 + 7 + 1);
    let all = gpu.read(&parameters.values).expect("values");
    let mut tensors = parameters.unpack(&all);
    let bound = 1.0 / 13f32.sqrt();
    assert!(
        tensors[0].values.iter().all(|w| w.abs() <= bound),
        "PyTorch's default"
    );
    assert!(tensors[0].values.iter().any(|w| w.abs() > 0.8 * bound));
    tensors.reverse();
    assert_eq!(parameters.pack(&tensors, "file").expect("the same"), all);

    let refused = |change: &dyn Fn(&mut Vec<NamedTensor>), problem: &str| {
        let mut changed = tensors.clone();
        change(&mut changed);
        let error = parameters
            .pack(&changed, "m.safetensors")
            .expect_err("it does not fit")
            .to_string();
        assert!(error.starts_with("m.safetensors: "), "{error}");
        assert!(error.contains(problem), "{error}");
    };
    refused(
        &|t| drop(t.pop()),
        "the parameter 'h.weight' is missing; the model needs exactly these",
    );
    refused(
        &|t| t[0].name = "z.bias".into(),
        "the model has no parameter 'z.bias'",
    );
    refused(
        &|t| t[3].shape = vec![13, 7],
        "'h.weight' has shape [13, 7]; the model needs [7, 13]",
    );
    refused(&|t| t[3].values.truncate(1), "'h.weight'");
}
