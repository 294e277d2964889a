//! Runs of another adapter: refused where their steps must run again, or accepted with the deviation stated.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trainscope::credit::{CreditRequest, credit};
use trainscope::tensor::TensorKind;
use trainscope::train::{Deviation, ProbeLines, ProbeLinesRequest, Replay, Run, Scenario};
use trainscope::{Error, Result};

use crate::support::{SMALL, gpu};

/// A run that says it was made on another adapter, and that its scenario had another learning rate if one is given.
fn run_of_another_adapter(lr: Option<&str>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::parse(SMALL, "test", &[]).unwrap();
    let dir = folder.path().join("run");
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| ()).unwrap() {}
    run.finish(false, &mut |_| ()).unwrap();
    let replace = |file: &str, from: &str, to: &str| {
        let path = dir.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    replace("run.json", &gpu().info().name, "Another adapter");
    if let Some(lr) = lr {
        replace("scenario.toml", "lr = 0.01", &format!("lr = {lr}"));
    }
    (folder, dir)
}

/// What each analysis that runs steps 13 to 17 again says.
fn analyses(dir: &Path, tolerance: Option<f64>) -> Vec<Result<Option<Deviation>>> {
    let replay = || Ok::<_, Error>(Replay::open(gpu(), dir)?.tolerance(tolerance));
    let state = || Ok(replay()?.state_after(17)?.deviation().cloned());
    let lines = || {
        let request = ProbeLinesRequest {
            tensor: "mu".to_owned(),
            kind: TensorKind::Activation,
            steps: 13..18,
        };
        Ok(ProbeLines::record(replay()?, request, &mut |_| ())?.deviation)
    };
    let of_credit = || {
        let request = CreditRequest::new("mu", [1], 13..17);
        let found = credit(replay()?, &request, &mut |_, _| ())?;
        Ok(found[0].deviation.clone())
    };
    vec![state(), lines(), of_credit()]
}

#[test]
fn steps_of_another_adapter_are_refused_or_their_deviation_is_stated() {
    let (_folder, dir) = run_of_another_adapter(None);
    for refused in analyses(&dir, None) {
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("the run was made on 'Another adapter'"),
            "{error}"
        );
        assert!(error.contains("--tolerance"), "{error}");
    }
    // The adapter is the run's own after all, so nothing deviates. Steps run again from the checkpoint at step 10.
    for found in analyses(&dir, Some(0.0)) {
        let deviation = found.unwrap().expect("another adapter by its name");
        assert_eq!(
            (deviation.steps, deviation.largest),
            (7, 0.0),
            "{deviation}"
        );
        assert!(
            deviation.to_string().contains("come out the same"),
            "{deviation}"
        );
    }
    // A checkpoint's own state takes no replay.
    let trainer = Replay::open(gpu(), &dir).unwrap().state_after(20).unwrap();
    assert!(trainer.deviation().is_none());
}

#[test]
fn steps_that_come_out_otherwise_are_accepted_up_to_the_tolerance() {
    let (_folder, dir) = run_of_another_adapter(Some("0.0100001"));
    for found in analyses(&dir, Some(0.5)) {
        let deviation = found.unwrap().expect("another adapter by its name");
        let range = 1e-9..1e-2;
        assert!(range.contains(&deviation.largest), "{deviation}");
        assert!(
            deviation.to_string().contains("of their size"),
            "{deviation}"
        );
    }
    for refused in analyses(&dir, Some(1e-10)) {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("--tolerance 0.0000000001"), "{error}");
        assert!(error.contains("give a larger tolerance"), "{error}");
    }
}
