//! A model of one's own gets what the built-in ones get: recording, run directory, resume, replay, report.

use trainscope::Result;
use trainscope::models::{DataShape, Model, Supervised};
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::{Activation, Dense};
use trainscope::nn::{Graph, Loss, Role};
use trainscope::report::write_report_of;
use trainscope::tensor::TensorKind;
use trainscope::trace::{RunReader, Status};
use trainscope::train::{Replay, Run, Scenario};

use crate::support::gpu;

const SCENARIO: &str = r#"
name = "autoencoder"
seed = 4
[data]
source = "shapes"
size = 8
count = 64
[model]
kind = "custom"
name = "autoencoder"
settings = { hidden = 12 }
[train]
batch = 16
steps = 20
optimizer = { adam = { lr = 1e-2 } }
[record]
every = 2
checkpoint_every = 10
"#;

fn autoencoder(scenario: &Scenario, data: DataShape) -> Result<Box<dyn Model>> {
    let settings = scenario.model.settings.as_ref().expect("given");
    let hidden = settings["hidden"].as_integer().expect("a number") as usize;
    let pixels = data.sample.iter().product();
    let mut graph = Graph::new();
    let x = graph.input("x", &data.sample);
    let code = graph.add("encoder", Dense::new(hidden), &[x])?;
    let code = graph.add("code", Activation::Tanh, &[code])?;
    let logits = graph.add("decoder", Dense::new(pixels), &[code])?;
    graph.set_role(logits, Role::Logits);
    let error = graph.add(
        "reconstruction",
        ElementwiseLoss::BceWithLogits,
        &[logits, x],
    )?;
    let mut loss = Loss::new();
    loss.add(&graph, "reconstruction", error, 1.0)?;
    Ok(Box::new(Supervised::new("autoencoder", graph, loss, x)))
}

fn scenario() -> Scenario {
    let scenario = Scenario::parse(SCENARIO, "test", &[]).expect("a scenario");
    scenario.with_model(autoencoder)
}

#[test]
fn a_custom_model_is_recorded_resumed_replayed_and_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario(), &dir, None).expect("a run");
    let mut losses = Vec::new();
    while run.trainer().steps_done() < 10 {
        run.advance(&mut |record| losses.push(record.scalars[0]))
            .expect("it runs");
    }
    run.finish(true, &mut |record| losses.push(record.scalars[0]))
        .expect("it stops");
    assert!(losses[9] < losses[0]);

    // Resumed from the directory alone it says what is missing; with the model it continues.
    let refused = Run::resume(gpu(), &dir, None).map(|_| ());
    let error = refused.expect_err("there is no model").to_string();
    assert!(
        error.contains("model 'autoencoder'") && error.contains("with_model"),
        "{error}"
    );
    let mut run = Run::resume_with(gpu(), &dir, None, autoencoder).expect("it resumes");
    while run.advance(&mut |_| ()).expect("it runs") {}
    let mut finished = run.finish(false, &mut |_| ()).expect("it closes");
    assert_eq!(finished.status, Status::Done);

    let report = write_report_of(&mut finished.trainer, &dir).expect("a report");
    let page = std::fs::read_to_string(report).expect("it is there");
    assert!(page.contains("Units of encoder") && page.contains("custom"));
    let reader = RunReader::open(&dir).expect("it opens");
    let layout = reader.layout().expect("whole");
    assert!(layout.find("code", TensorKind::Activation).is_some());

    let replay = Replay::open(gpu(), &dir).expect("it opens");
    let mut replay = replay
        .model(autoencoder)
        .verify(true)
        .start()
        .expect("it starts");
    while replay.step().expect("it runs").is_some() {}
    assert_eq!(replay.verification().differences, Vec::<String>::new());
    assert_eq!(replay.verification().checkpoints, 2);
}
