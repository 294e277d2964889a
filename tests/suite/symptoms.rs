//! The symptoms that other tools look for, each made on purpose: the table in docs/diagnosis.md says by which event
//! each is noticed. Those that a scenario shows before the first step are in static_checks.rs.

use trainscope::trace::{EventKind, Severity};
use trainscope::train::{EventDetector, Scenario, Trainer};

use crate::support::gpu;

/// A classifier of digits with these layers and this optimizer.
fn classifier(layers: &str, optimizer: &str, more: &[&str]) -> Scenario {
    let text = format!(
        "name = \"symptom\"\nseed = 5\n[data]\nsource = \"mnist\"\n[model]\nkind = \"classifier\"\nlayers = [ {layers} ]\n\
         [train]\nbatch = 32\noptimizer = {optimizer}\n"
    );
    let settings: Vec<String> = more.iter().map(|s| (*s).to_owned()).collect();
    Scenario::parse(&text, "symptom", &settings).unwrap()
}

/// Kinds of the events of the first steps, each step recorded, those that are no more than a note left out.
fn events(scenario: &Scenario, steps: u64) -> Vec<EventKind> {
    let mut trainer = Trainer::new(gpu(), scenario).unwrap();
    let mut detector = EventDetector::new(
        trainer.layout(),
        &trainer.scalar_names(),
        &trainer.describe(),
        &scenario.detect,
    );
    let mut found = Vec::new();
    while trainer.steps_done() < steps {
        trainer.step(true).unwrap();
        while let Some(record) = trainer.take(true).unwrap() {
            found.extend(detector.observe(&record));
        }
    }
    found.retain(|event| event.severity > Severity::Note);
    found.into_iter().map(|event| event.kind).collect()
}

const TWO: &str = r#"{ dense = { units = 32 } }, "relu", { dense = { units = 10 } }"#;

#[test]
fn symptoms_of_others_are_events() {
    let sigmoids =
        r#"{ dense = { units = 32 } }, "sigmoid", "#.repeat(5) + "{ dense = { units = 10 } }";
    let saturated = r#"{ dense = { units = 32, init = { normal = 4.0 } } }, "tanh", { dense = { units = 10 } }"#;
    let sgd = |lr: &str| format!("{{ sgd = {{ lr = {lr} }} }}");
    let scaled: &[&str] = &["data.scale=255.0"];
    for (symptom, layers, lr, more, steps, expected) in [
        ("none", TWO, "0.01", &[][..], 20, None),
        (
            "vanishing gradient",
            &sigmoids,
            "0.01",
            &[],
            10,
            Some(EventKind::VanishingGradient),
        ),
        (
            "exploding gradient",
            TWO,
            "30.0",
            &[],
            10,
            Some(EventKind::Explosion),
        ),
        (
            "exploding tensor",
            TWO,
            "1e30",
            &[],
            4,
            Some(EventKind::Nonfinite),
        ),
        (
            "dying rectifiers",
            TWO,
            "1.0",
            scaled,
            20,
            Some(EventKind::DeadUnit),
        ),
        (
            "unchanged weights",
            TWO,
            "1e-8",
            &[],
            102,
            Some(EventKind::TinyUpdates),
        ),
        (
            "saturated activation",
            saturated,
            "1e-4",
            &[],
            10,
            Some(EventKind::SaturatedUnits),
        ),
    ] {
        let found = events(&classifier(layers, &sgd(lr), more), steps);
        match expected {
            Some(kind) => assert!(found.contains(&kind), "{symptom}: {found:?}"),
            None => assert_eq!(found, [], "{symptom}"),
        }
    }
}
