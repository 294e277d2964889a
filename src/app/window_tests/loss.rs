//! Windows whose device is lost are made anew from their runs.

use super::*;
use crate::Error;

fn training(scenario: Box<Scenario>, dir: &Path) -> Source {
    Source::Training(Training {
        start: Start::Scenario {
            scenario,
            dir: dir.to_owned(),
            init: None,
        },
        writes_report: false,
        stop_on: None,
    })
}

/// The error of a device that was destroyed.
fn lost(gpu: &Gpu) -> Error {
    let started = Instant::now();
    loop {
        // What the device has noticed is said when it is waited for.
        if let Err(error) = gpu.wait() {
            return error;
        }
        assert!(started.elapsed() < PATIENCE, "the device is not lost");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_in_training_goes_on_from_its_last_checkpoint_on_a_new_device() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "train.optimizer.adam.lr=1e-3".to_owned(),
        "train.steps=400".to_owned(),
    ];
    let scenario = Scenario::parse(SCENARIO, "tiny.toml", &settings).unwrap();
    let undisturbed = trained_by(&gpu(), folder.path(), &scenario);
    let first = gpu();
    let dir = folder.path().join("lost");
    let source = training(Box::new(scenario), &dir);
    let mut harness = window(&first, source.clone(), folder.path());
    wait(&mut harness, "a checkpoint", |harness| {
        is_complete(harness) && harness.state().status().step > 60
    });
    harness.key_press(Key::T);
    harness.step();
    first.device.destroy();
    let error = lost(&first);
    let left = harness.into_state().leave(error);
    let again = left.source(&source);
    let Source::Training(goes_on) = &again else {
        panic!("{again:?}");
    };
    assert!(matches!(&goes_on.start, Start::Resume { dir: of, .. } if *of == dir));
    let second = gpu();
    let mut harness = window(&second, again.clone(), folder.path());
    harness.state_mut().take_up(left, &again);
    wait(&mut harness, "charts", is_complete);
    let said = harness.state().errors().join("\n");
    assert!(
        said.contains("training goes on from the last checkpoint"),
        "{said}"
    );
    assert_eq!(selection(&harness).time, TimeScale::Linear);
    wait(&mut harness, "the end", |harness| {
        !harness.state().status().is_training
    });
    harness.into_state().close().unwrap();
    // No bit of the run is another one.
    let [before, after] = [undisturbed, dir].map(|dir| RunView::open(&dir).unwrap());
    assert_eq!(after.problems(), []);
    assert_eq!(before.scalars(), after.scalars());
}

#[test]
fn a_run_directory_is_opened_again_on_a_new_device() {
    let (first, folder) = (gpu(), tempfile::tempdir().unwrap());
    let dir = trained(&first, folder.path());
    let source = Source::Run(dir.clone());
    let mut harness = window(&first, source.clone(), folder.path());
    wait(&mut harness, "charts", is_complete);
    first.device.destroy();
    let left = harness.into_state().leave(lost(&first));
    let again = left.source(&source);
    assert!(matches!(&again, Source::Run(of) if *of == dir));
    let mut harness = window(&gpu(), again.clone(), folder.path());
    harness.state_mut().take_up(left, &again);
    wait(&mut harness, "charts", is_complete);
    let said = harness.state().errors().join("\n");
    assert!(said.contains("the run was opened again"), "{said}");
    assert_eq!(harness.into_state().close().unwrap(), dir);
}
