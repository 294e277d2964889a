//! Tested causes: changes that cure a run alike are tried for longer, and what still ties is said.

use trainscope::diagnose::{Cause, Explanation, explain, verify};
use trainscope::trace::RunView;
use trainscope::train::{Run, Scenario};

use crate::support::gpu;

/// Its loss overflows in the first steps.
const UNSCALED: &str = r#"
name = "unscaled"
seed = 3
data = { source = "mnist", limit = 1000, scale = 1e30 }
[model]
kind = "classifier"
layers = [{ dense = 24 }, "relu", { dense = 10 }]
[train]
batch = 16
steps = 150
optimizer = { adam = 0.01 }
stop_after_nonfinite = 5
"#;

/// The explanation of a run with its first finding alone, and with a second one whose change is of the same kind.
fn two_cures(run: &RunView) -> Explanation {
    let mut explanation = explain(run);
    let mut first = explanation.findings.swap_remove(0);
    assert_eq!(first.cause, Cause::UnscaledInputs);
    first.fixes[0].set = vec!["data.scale=1.0".to_owned()];
    let mut second = first.clone();
    second.cause = Cause::LearningRateTooHigh;
    second.confidence = 0.5;
    second.since = Some(1);
    second.fixes[0].set = vec!["data.scale=0.5".to_owned()];
    second.fixes[0].text = "halve them".to_owned();
    explanation.findings = vec![first, second];
    explanation
}

#[test]
fn changes_that_cure_alike_are_tried_to_the_end() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let scenario = Scenario::parse(UNSCALED, "unscaled", &[]).unwrap();
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let run = RunView::open(&dir).unwrap();

    let mut explained = two_cures(&run);
    let mut longest = 0;
    verify(gpu(), &run, &mut explained, 300.0, &mut |progress| {
        longest = longest.max(progress.step);
        true
    })
    .unwrap();
    assert_eq!(longest, 150);
    for finding in &explained.findings {
        let fix = &finding.fixes[0];
        assert_eq!(fix.verified, Some(true), "{fix:?}");
        let result = fix.result.as_deref().unwrap();
        assert!(result.contains("steps 0 to 150:"), "{result}");
        let trial = RunView::open(&dir.join(fix.trial.as_ref().unwrap())).unwrap();
        let losses = &trial.scalars()["loss"];
        assert_eq!(losses.len(), 150);
        assert!(losses.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        assert_eq!(trial.info().unwrap().steps_done, 150);
    }
    assert_eq!(explained.findings[0].cause, Cause::UnscaledInputs);
    assert!(
        explained.headline.contains("do not separate"),
        "{}",
        explained.headline
    );
    assert!(
        explained.headline.contains("began at step 0"),
        "{}",
        explained.headline
    );

    // One who wants no more gets what is there.
    let mut stopped = two_cures(&run);
    verify(gpu(), &run, &mut stopped, 300.0, &mut |progress| {
        progress.step < 90
    })
    .unwrap();
    let first = stopped.findings[0].fixes[0].result.as_deref().unwrap();
    assert!(first.contains("steps 0 to 90:"), "{first}");
    assert_eq!(stopped.findings[1].fixes[0].trial, None);
}
