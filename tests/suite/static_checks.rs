//! Warnings before the first step: what people do wrong is noticed, and healthy scenarios are left alone.

use trainscope::diagnose::static_checks;
use trainscope::models::DataShape;
use trainscope::train::{BUILT_IN, Scenario};

const MNIST: DataShape = DataShape {
    sample: [1, 28, 28],
    classes: 10,
};

fn causes(scenario: &Scenario) -> Vec<String> {
    let warnings = static_checks(scenario, Some(MNIST));
    warnings.into_iter().map(|warning| warning.cause).collect()
}

fn with(name: &str, settings: &[&str]) -> Scenario {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::load(name, &settings).unwrap()
}

#[test]
fn healthy_scenarios_have_no_warnings() {
    for scenario in BUILT_IN
        .iter()
        .filter(|scenario| !scenario.about.starts_with("fails"))
    {
        let warnings = static_checks(&with(scenario.name, &[]), None);
        assert!(warnings.is_empty(), "{}: {warnings:?}", scenario.name);
    }
}

/// Each mistake gives its cause; each set of settings removes the warning that offers it.
#[test]
fn mistakes_are_noticed_and_their_settings_remove_them() {
    let mlp = "model.layers=[{ dense = 64 }, \"relu\", { dense = 10 }]";
    for (name, settings, cause) in [
        (
            "vae-mnist",
            &["model.decoder=[{ dense = 8 }, \"relu\", { dense = 784 }, \"sigmoid\"]"][..],
            "output_activation",
        ),
        (
            "vae-mnist",
            &["model.decoder=[{ dense = 8 }, \"relu\", { dense = 784 }, \"relu\"]"],
            "output_activation",
        ),
        (
            "vae-mnist",
            &[
                "model.reconstruction=squared_error",
                "model.decoder=[{ dense = 784 }, \"tanh\"]",
            ],
            "output_activation",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 10 }, \"sigmoid\"]"],
            "output_activation",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 10 }, \"relu\"]"],
            "output_activation",
        ),
        (
            "gan-mnist",
            &["model.discriminator=[{ dense = 1 }, \"sigmoid\"]"],
            "output_activation",
        ),
        (
            "gan-mnist",
            &[
                "model.objective=hinge",
                "model.discriminator=[{ dense = 1 }, \"sigmoid\"]",
            ],
            "output_activation",
        ),
        (
            "gan-mnist",
            &["model.generator=[{ dense = 784 }, \"relu\"]"],
            "output_activation",
        ),
        (
            "gan-mnist",
            &["model.generator=[{ dense = 784 }, \"tanh\"]"],
            "output_activation",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 64 }, { dense = 10 }]"],
            "missing_nonlinearity",
        ),
        (
            "cnn-mnist",
            &[
                "model.layers=[{ dense = 64 }, \"sigmoid\", { dense = 64 }, \"sigmoid\", { dense = 64 }, \"sigmoid\", { dense = 10 }]",
            ],
            "saturating_activations",
        ),
        (
            "cnn-mnist",
            &[
                "model.layers=[{ dense = { units = 64, init = \"zeros\" } }, \"relu\", { dense = 10 }]",
            ],
            "zero_initialization",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 64 }, \"relu\", { dropout = 0.95 }, { dense = 10 }]"],
            "dropout_too_high",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 1 }, \"relu\", { dense = 10 }]"],
            "bottleneck",
        ),
        (
            "cnn-mnist",
            &[
                "model.layers=[{ dense = 64 }, \"batch_norm\", \"relu\", { dense = 10 }]",
                "train.batch=2",
            ],
            "batch_too_small",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ affine = { scale = 255.0, shift = 0.0 } }, { dense = 10 }]"],
            "unscaled_inputs",
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 64 }, \"relu\", { dense = 12 }]"],
            "class_count",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.adam.lr=0.3"],
            "learning_rate_too_high",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.sgd.lr=20"],
            "learning_rate_too_high",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.sgd.lr=1e-6"],
            "learning_rate_too_low",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.sgd={ lr = 0.1, weight_decay = 0.5 }"],
            "weight_decay_too_strong",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.sgd={ lr = 0.001, momentum = 0.999 }"],
            "momentum_too_high",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.schedule.constant.warmup=1000000"],
            "schedule_wrong",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.schedule.step={ every = 1, factor = 0.5 }"],
            "schedule_wrong",
        ),
        (
            "cnn-mnist",
            &[mlp, "train.optimizer.sgd.lr=0.1", "train.clip.norm=1e-6"],
            "gradient_clip_too_tight",
        ),
        (
            "wgan-mnist",
            &["model.weight_clip=1e-5"],
            "weight_clip_too_small",
        ),
        (
            "wgan-mnist",
            &["model.discriminator=[{ dense = 64 }, \"batch_norm\", \"relu\", { dense = 1 }]"],
            "batch_norm_in_critic",
        ),
        ("cnn-mnist", &["data.shuffle=false"], "unshuffled_data"),
        (
            "cnn-mnist",
            &["data.augment.shift=14"],
            "augmentation_too_strong",
        ),
        ("cnn-mnist", &["data.label_noise=1.0"], "label_noise"),
        ("cnn-mnist", &["data.limit=5"], "too_little_data"),
        ("vae-corrupt-batch", &[], "corrupt_samples"),
    ] {
        let scenario = with(name, settings);
        let warnings = static_checks(&scenario, Some(MNIST));
        let found = warnings.iter().find(|warning| warning.cause == cause);
        let found = found.unwrap_or_else(|| panic!("{settings:?}: {warnings:?}"));
        let sentence = found.to_string();
        assert!(
            sentence.contains("; ") && !sentence.contains('\n'),
            "{sentence}"
        );
        assert!(!found.set.is_empty(), "{sentence}");
        let fixed = scenario.with(&found.set).unwrap();
        assert!(
            !causes(&fixed).contains(&found.cause),
            "{settings:?}: {:?}",
            found.set
        );
    }
}

/// A Wasserstein critic without any bound.
#[test]
fn a_critic_needs_a_bound() {
    let text = BUILT_IN
        .iter()
        .find(|s| s.name == "wgan-mnist")
        .unwrap()
        .text;
    let kept = text.lines().filter(|line| !line.starts_with("weight_clip"));
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    let scenario = Scenario::parse(&text, "wgan", &[]).unwrap();
    assert_eq!(causes(&scenario), ["weight_clip_missing"]);
}

/// Activation functions that fit are left alone.
#[test]
fn fitting_outputs_have_no_warnings() {
    for (name, settings) in [
        (
            "vae-mnist",
            &[
                "model.reconstruction=squared_error",
                "model.decoder=[{ dense = 784 }, \"sigmoid\"]",
            ][..],
        ),
        (
            "vae-mnist",
            &[
                "model.reconstruction=squared_error",
                "model.decoder=[{ dense = 784 }]",
            ],
        ),
        (
            "gan-mnist",
            &[
                "model.generator=[{ dense = 784 }, \"tanh\", { affine = { scale = 0.5, shift = 0.5 } }]",
            ],
        ),
        (
            "cnn-mnist",
            &["model.layers=[{ dense = 64 }, \"tanh\", { dense = 10 }]"],
        ),
        ("cnn-mnist", &["model.layers=[{ dense = 10 }]"]),
    ] {
        let warnings = static_checks(&with(name, settings), Some(MNIST));
        assert!(warnings.is_empty(), "{settings:?}: {warnings:?}");
    }
}

/// A variance that nothing keeps from shrinking.
#[test]
fn flat_regions_leave_a_likelihood_unbounded() {
    let gaussian = [
        "model.reconstruction=gaussian",
        "model.decoder=[{ dense = 1568 }]",
    ];
    assert_eq!(
        causes(&with("vae-mnist", &gaussian)),
        ["unbounded_likelihood"]
    );
}
