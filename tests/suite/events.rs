//! Lines of `events.jsonl`: of this version, of the first one, and of later ones.

use proptest::prelude::*;
use serde_json::{Value, json};
use trainscope::tensor::TensorKind;
use trainscope::trace::{Event, EventKind, Severity, Subject};

fn parse(line: &Value) -> Event {
    serde_json::from_value(line.clone()).expect("a valid event")
}

/// Lines that the first version wrote, and what they mean.
fn lines_of_the_first_version() -> [(Value, Event); 7] {
    let loss = || Subject::Scalar("loss".to_owned());
    let unit = |tensor: &str, kind, unit| Subject::unit(tensor, kind, unit);
    [
        (
            json!({"step": 3, "kind": "nonfinite", "layer": "mu.weight update", "unit": 2,
                "figures": {"nonfinite": 4.0, "mean_of_the_rest": "inf"}}),
            Event::new(
                3,
                EventKind::Nonfinite,
                unit("mu.weight", TensorKind::Update, 2),
            )
            .with("nonfinite", 4.0)
            .with("mean_of_the_rest", f64::INFINITY),
        ),
        (
            json!({"step": 3, "kind": "nonfinite", "layer": "loss", "figures": {}}),
            Event::new(3, EventKind::Nonfinite, loss()),
        ),
        (
            json!({"step": 8, "kind": "dead", "layer": "layers.3", "unit": 0,
                "figures": {"records_at_zero": 5.0}}),
            Event::new(
                8,
                EventKind::DeadUnit,
                unit("layers.3", TensorKind::Activation, 0),
            )
            .with("records_at_zero", 5.0),
        ),
        (
            json!({"step": 60, "kind": "spike", "layer": "loss", "samples": [4, 7],
                "figures": {"loss": 900.5, "expected": 100.25}}),
            Event {
                samples: vec![4, 7],
                ..Event::new(60, EventKind::Spike, loss())
            }
            .with("loss", 900.5)
            .with("expected", 100.25),
        ),
        (
            json!({"step": 40, "kind": "discriminator_saturated", "layer": "loss",
                "figures": {"loss": 0.001, "since_step": 21.0}}),
            Event::new(40, EventKind::DiscriminatorSaturated, loss())
                .since(21)
                .with("loss", 0.001),
        ),
        (
            json!({"step": 100, "kind": "diversity_collapse", "layer": "discriminator.0",
                "figures": {"share_of_real_variance": 0.001, "since_step": 0.0}}),
            Event::new(
                100,
                EventKind::DiversityCollapse,
                Subject::tensor("discriminator.0", TensorKind::Activation),
            )
            .since(0)
            .with("share_of_real_variance", 0.001),
        ),
        (
            json!({"step": 1, "kind": "something_else", "figures": {}}),
            Event::new(
                1,
                EventKind::Other("something_else".to_owned()),
                Subject::Run,
            ),
        ),
    ]
}

#[test]
fn lines_of_the_first_version_are_read() {
    for (line, event) in lines_of_the_first_version() {
        assert_eq!(parse(&line), event, "{line}");
    }
}

#[test]
fn lines_keep_the_keys_of_the_first_version_with_their_values() {
    for (line, event) in lines_of_the_first_version() {
        let written = serde_json::to_value(&event).expect("plain data");
        for (key, value) in line.as_object().expect("an object") {
            assert_eq!(&written[key], value, "{key} of {written}");
        }
    }
}

#[test]
fn lines_have_the_keys_that_the_design_names() {
    let subject = Subject::unit("encoder.1", TensorKind::Activation, 3);
    let event = Event::new(9, EventKind::DeadUnit, subject)
        .since(5)
        .with("records_at_zero", 5);
    assert_eq!(
        serde_json::to_value(&event).expect("plain data"),
        json!({
            "step": 9,
            "kind": "dead",
            "severity": "warning",
            "subject": {"tensor": "encoder.1", "quantity": "activation", "units": [3]},
            "since": 5,
            "statistics": {"records_at_zero": 5.0},
            "layer": "encoder.1",
            "unit": 3,
            "figures": {"records_at_zero": 5.0},
        })
    );
}

#[test]
fn lines_of_later_versions_are_read_as_far_as_they_are_known() {
    let event = parse(&json!({
        "step": 5, "kind": "plateau", "severity": "serious", "since": 2, "new": [1],
        "subject": {"tensor": "mu", "quantity": "gradient", "units": [1, 2], "new": true},
        "statistics": {},
    }));
    assert_eq!(event.kind, EventKind::Other("plateau".to_owned()));
    assert_eq!(event.severity, Severity::Serious);
    let units = Subject::of_units("mu", TensorKind::Gradient, vec![1, 2]);
    assert_eq!(event.subject, units);
}

fn kinds() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        prop::sample::select(EventKind::KNOWN.to_vec()),
        "[a-z_]{1,12}".prop_map(|name| EventKind::from(name.as_str())),
    ]
}

fn subjects() -> impl Strategy<Value = Subject> {
    let tensor = || {
        (
            "[ -~]{0,12}",
            prop::sample::select(TensorKind::ALL.to_vec()),
        )
    };
    prop_oneof![
        (tensor(), 0..100_000usize)
            .prop_map(|((tensor, kind), unit)| Subject::unit(tensor, kind, unit)),
        (tensor(), prop::collection::vec(0..100_000usize, 0..5))
            .prop_map(|((tensor, kind), units)| Subject::of_units(tensor, kind, units)),
        "[ -~]{1,12}".prop_map(Subject::Scalar),
    ]
}

proptest! {
    #[test]
    fn events_are_read_as_they_were_written(
        step in any::<u32>(),
        back in 0..100u64,
        kind in kinds(),
        subject in subjects(),
        statistics in prop::collection::btree_map(
            "[a-z_]{1,8}",
            prop_oneof![any::<i32>().prop_map(|value| f64::from(value) / 1024.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
            0..4,
        ),
        samples in prop::collection::vec(any::<u32>(), 0..4),
    ) {
        let step = u64::from(step);
        let event = Event {
            statistics,
            samples,
            ..Event::new(step, kind, subject).since(step.saturating_sub(back))
        };
        let line = serde_json::to_string(&event).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Event>(&line).expect("a valid event"), event);
    }
}
