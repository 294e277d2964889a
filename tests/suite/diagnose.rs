//! Sentences about runs, of run directories that were written by hand: what is known of them is exact.

use std::collections::BTreeMap;
use std::path::Path;

use trainscope::diagnose::{Cause, Verdict, explain, summary};
use trainscope::nn::losses::SoftmaxCrossEntropy;
use trainscope::nn::ops::{Activation, Dense};
use trainscope::nn::{Graph, Loss, Role};
use trainscope::tensor::TensorKind;
use trainscope::trace::{
    Event, EventKind, ModelDescription, RunInfo, RunView, RunWriter, Severity, Subject,
    TraceLayout, UnitStatistics,
};

use crate::support::gpu;

const ALIVE: UnitStatistics = UnitStatistics {
    mean: 0.1,
    std: 0.5,
    min: -1.0,
    max: 1.0,
    zero_fraction: 0.1,
    nonfinite: 0.0,
};

/// A classifier of two layers, whose logits go through `last` before the loss.
fn classifier(last: Option<Activation>) -> ModelDescription {
    let mut graph = Graph::new();
    let x = graph.input("x", &[8]);
    graph.set_role(x, Role::Input);
    let label = graph.input("label", &[]);
    let hidden = graph.add("layers.0", Dense::new(6), &[x]).unwrap();
    let hidden = graph.add("layers.1", Activation::Relu, &[hidden]).unwrap();
    let mut logits = graph.add("layers.2", Dense::new(4), &[hidden]).unwrap();
    if let Some(last) = last {
        logits = graph.add("layers.3", last, &[logits]).unwrap();
    }
    graph.set_role(logits, Role::Logits);
    let node = graph
        .add(
            "cross_entropy",
            SoftmaxCrossEntropy::default(),
            &[logits, label],
        )
        .unwrap();
    let mut loss = Loss::new();
    loss.add(&graph, "cross_entropy", node, 1.0).unwrap();
    ModelDescription {
        graphs: vec![graph.describe("model", &loss)],
    }
}

/// A run of a model whose loss takes these values; `rows` changes the statistics of `layers.1`, units and then the rest
/// of them alive.
fn run(
    dir: &Path,
    model: &ModelDescription,
    losses: &[f64],
    unit: impl Fn(u64, usize) -> UnitStatistics,
    events: &[Event],
) -> RunView {
    let mut layout = TraceLayout::new();
    layout.push("layers.1", TensorKind::Activation, 6);
    let steps = losses.len() as u64;
    let info = RunInfo::new("made by hand", gpu().info(), steps, 7);
    let mut writer = RunWriter::create(dir, "", info, model, layout).unwrap();
    for (step, loss) in (0..).zip(losses) {
        writer.scalar(step, "loss", *loss).unwrap();
        let rows: Vec<_> = (0..6).map(|row| unit(step, row)).collect();
        writer.record(step, &rows).unwrap();
    }
    for event in events {
        writer.event(event).unwrap();
    }
    writer.close_segment(steps).unwrap();
    writer.update(|info| info.steps_done = steps).unwrap();
    RunView::open(dir).unwrap()
}

fn sentences(losses: &[f64], events: &[Event]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    summary(&run(&dir, &classifier(None), losses, |_, _| ALIVE, events))
}

fn falling(steps: u32) -> Vec<f64> {
    (0..steps)
        .map(|step| 1.386 * (-f64::from(step) / 60.0).exp() + 0.01)
        .collect()
}

#[test]
fn the_loss_is_told_as_it_was() {
    let nan = f64::NAN;
    for (losses, expected) in [
        (
            vec![2.3],
            "The loss was 2.3 at step 0; one step is too few to tell where it goes.",
        ),
        (
            vec![nan],
            "The loss was not finite at step 0, the only one.",
        ),
        (
            vec![nan, nan, nan],
            "The loss was not finite from its first recorded step (0) on.",
        ),
        (vec![2.0, 1.0], "The loss fell from 2 to 1 by step 1."),
        (
            vec![2.0, nan, nan],
            "The loss was 2 at step 0 and was not finite from step 1 on.",
        ),
        (
            vec![2.0, 1.0, nan],
            "The loss fell from 2 to 1 by step 1 and was not finite from step 2.",
        ),
        (
            vec![2.0, 1.0, f64::INFINITY, 0.5],
            "The loss fell from 2 to 1 by step 1 and was not finite at step 2 (at 1 of 4 steps in all).",
        ),
        (
            vec![1.386; 40],
            "The loss did not move: it was 1.386 at the beginning and 1.386 at step 39 (means of the first and last 10 values).",
        ),
        (
            vec![2.303, 5.0, 2e10, 4e10, 8.0, 3.0],
            "The loss went from 2.303 at step 0 up to 4e10 at step 3 and was 3 at step 5.",
        ),
        (
            vec![1.0, 0.5, -3.0, -9.0],
            "The loss fell from 0.75 to \u{2212}6 by step 3 (means of the first and last 2 values). It was below zero at step 2, where such a loss cannot be if the data lie in its range.",
        ),
    ] {
        let told = sentences(&losses, &[]);
        let told = told[1].replace(" (means of the first and last 3 values)", "");
        assert_eq!(told, expected, "{losses:?}");
    }
}

/// A replay's directory has no events: what is not finite is found in the records.
#[test]
fn values_that_are_not_finite_are_found_without_events() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let broken = UnitStatistics {
        nonfinite: 2.0,
        ..ALIVE
    };
    let at = |step, row| if step >= 3 && row == 4 { broken } else { ALIVE };
    let run = run(&dir, &classifier(None), &falling(6), at, &[]);
    let told = summary(&run);
    assert!(told[0].starts_with("Failed since step 3: "), "{told:?}");
    assert_eq!(
        told[2],
        "The first recorded non-finite value is at step 3 in unit 4 of layers.1 activation."
    );
    assert_eq!(explain(&run).verdict, Verdict::Failed);
}

#[test]
fn a_healthy_run_has_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let run = run(&dir, &classifier(None), &falling(300), |_, _| ALIVE, &[]);
    let explanation = explain(&run);
    assert_eq!(explanation.verdict, Verdict::Healthy);
    assert_eq!(explanation.findings, []);
    assert_eq!(
        summary(&run)[0],
        "Healthy: nothing wrong was found in 300 steps."
    );
    assert_eq!(summary(&run)[2], "Every recorded value was finite.");
}

#[test]
fn one_step_is_too_few() {
    let told = sentences(&[2.3], &[]);
    assert_eq!(
        told[0],
        "Healthy as far as it goes: one step is too few to tell how it trains."
    );
}

#[test]
fn a_sigmoid_before_a_loss_on_logits_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let model = classifier(Some(Activation::Sigmoid));
    let explanation = explain(&run(&dir, &model, &falling(200), |_, _| ALIVE, &[]));
    let first = &explanation.findings[0];
    assert_eq!(first.cause, Cause::OutputActivation);
    assert_eq!(first.layer.as_deref(), Some("layers.3"));
    assert_eq!(explanation.verdict, Verdict::Failed);
}

#[test]
fn every_kind_of_event_has_its_sentence() {
    let activation = TensorKind::Activation;
    for kind in EventKind::KNOWN {
        let subject = Subject::of_units("layers.1", activation, vec![1, 2, 3]);
        let event = Event::new(130, kind.clone(), subject).since(30);
        let told = sentences(&falling(200), std::slice::from_ref(&event));
        let sentence = match kind {
            EventKind::Nonfinite => told[2].clone(),
            // Dead units are told by how they are at the end.
            EventKind::DeadUnit | EventKind::Revived => event.sentence(),
            _ => told[3].clone(),
        };
        let has_step = sentence.contains("130") || sentence.contains("30");
        assert!(has_step && sentence.ends_with('.'), "{kind}: {sentence}");
    }
}

#[test]
fn samples_common_to_spikes_are_named() {
    let spike = |step: u64, sample: u32| {
        let mut event = Event::new(step, EventKind::Spike, Subject::Scalar("loss".to_owned()));
        event.samples = (0..20).map(|index| 100 * step as u32 + index).collect();
        event.samples.push(sample);
        event
    };
    let culprits = [1234, 4321, 7777];
    let events: Vec<Event> = (0..9)
        .map(|index| spike(27 + 20 * index, culprits[index as usize % 3]))
        .collect();
    let told = sentences(&falling(200), &events);
    assert_eq!(
        told[3],
        "The loss had 9 spikes, at the steps 27, 47, 67, 87, 107, 127, 147, 167, 187; every one of these batches holds at least one of the samples 1234, 4321, 7777."
    );
    let unrelated: Vec<Event> = (0..9)
        .map(|index| spike(27 + 20 * index, 5000 + index as u32))
        .collect();
    assert!(!sentences(&falling(200), &unrelated)[3].contains("samples"));
}

#[test]
fn units_that_came_back_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let zero = UnitStatistics {
        zero_fraction: 1.0,
        ..UnitStatistics::default()
    };
    let at = |_, row| if row < 2 { zero } else { ALIVE };
    let subject = Subject::of_units("layers.1", TensorKind::Activation, vec![0, 1, 2, 3, 4]);
    let dead = Event::new(60, EventKind::DeadUnit, subject).since(20);
    let run = run(&dir, &classifier(None), &falling(100), at, &[dead]);
    let told = summary(&run);
    assert_eq!(
        told[3],
        "2 of 6 units of layers.1 (3 more came back) ended with nothing but zeros."
    );
}

/// The words of the causes are what scripts look for.
#[test]
fn the_words_of_findings_are_those_of_the_documentation() {
    let document = include_str!("../../docs/diagnosis.md");
    let words: BTreeMap<String, &str> = CAUSES
        .into_iter()
        .map(|cause| {
            let word = serde_json::to_value(cause).unwrap();
            (word.as_str().unwrap().to_owned(), cause.title())
        })
        .collect();
    assert_eq!(words.len(), 40);
    for (word, title) in words {
        assert!(document.contains(&format!("| `{word}` |")), "{word}");
        assert!(!title.ends_with('.') && !title.is_empty());
    }
    for kind in EventKind::KNOWN {
        assert!(document.contains(&format!("| `{kind}` |")), "{kind}");
    }
    assert!(Severity::Note < Severity::Warning);
}

const CAUSES: [Cause; 40] = [
    Cause::LearningRateTooHigh,
    Cause::LearningRateTooLow,
    Cause::ScheduleWrong,
    Cause::MomentumTooHigh,
    Cause::WeightDecayTooStrong,
    Cause::GradientClipTooTight,
    Cause::WeightClipTooSmall,
    Cause::WeightClipMissing,
    Cause::UnscaledInputs,
    Cause::FaintInputs,
    Cause::ConstantInputs,
    Cause::CorruptSamples,
    Cause::LabelNoise,
    Cause::ClassImbalance,
    Cause::TooLittleData,
    Cause::UnshuffledData,
    Cause::AugmentationTooStrong,
    Cause::Overfitting,
    Cause::ZeroInitialization,
    Cause::InitializationTooLarge,
    Cause::MissingNormalization,
    Cause::MissingNonlinearity,
    Cause::Bottleneck,
    Cause::SaturatingActivations,
    Cause::DeadUnits,
    Cause::DropoutTooHigh,
    Cause::BatchTooSmall,
    Cause::VanishingGradients,
    Cause::ExplodingGradients,
    Cause::OutputActivation,
    Cause::LossScale,
    Cause::LogVarianceOverflow,
    Cause::LogVarianceDrift,
    Cause::KlWeightTooHigh,
    Cause::PosteriorCollapse,
    Cause::UnboundedLikelihood,
    Cause::DiscriminatorTooStrong,
    Cause::DiscriminatorTooWeak,
    Cause::ModeCollapse,
    Cause::NoiseIgnored,
];
