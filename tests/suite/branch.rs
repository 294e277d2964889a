//! Branches: without a change they go the way of their parent, bit for bit; with one they leave it where it acts.

use trainscope::trace::{Checkpoint, RunReader, RunView};
use trainscope::train::{Replay, Run, Scenario};

use crate::support::{SMALL, gpu};

fn train(mut run: Run) {
    while run.advance(&mut |_| {}).unwrap() {}
    Box::new(run).finish(false, &mut |_| {}).unwrap();
}

#[test]
fn branches_carry_on_and_say_where_they_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let scenario = Scenario::parse(SMALL, "small.toml", &[]).unwrap();
    train(Run::create(gpu(), &scenario, &path("parent"), None).unwrap());
    let parent = RunView::open(&path("parent")).unwrap();

    // The same, from the middle.
    train(Run::branch(gpu(), &path("parent"), 20, &[], &path("same")).unwrap());
    let same = RunView::open(&path("same")).unwrap();
    assert_eq!(same.problems(), []);
    assert_eq!(same.scalars()["loss"], parent.scalars()["loss"][20..]);
    let digest = |name: &str| Checkpoint::read(&path(name), 40).unwrap().digest();
    assert_eq!(digest("same"), digest("parent"));
    let folders =
        |name: &str| -> Vec<u64> { RunReader::open(&path(name)).unwrap().checkpoints().unwrap() };
    assert_eq!(folders("same"), [20, 30, 40]);
    let origin = same.info().unwrap().origin.clone().unwrap();
    assert_eq!((origin.step, origin.set.len()), (20, 0));

    // With a change it leaves the parent after the first step, and it replays.
    let settings = ["train.optimizer.adam.lr=1e-3".to_owned()];
    train(Run::branch(gpu(), &path("parent"), 20, &settings, &path("other")).unwrap());
    let other = RunView::open(&path("other")).unwrap();
    let (a, b) = (&other.scalars()["loss"], &parent.scalars()["loss"][20..]);
    assert_eq!(a[0], b[0]);
    assert_ne!(a[1], b[1]);
    let replay = Replay::open(gpu(), &path("other")).unwrap();
    let mut replay = replay.range(25..30).start().unwrap();
    let record = replay.step().unwrap().unwrap();
    assert_eq!(f64::from(record.scalars[0]), a[5].1);

    let error = Run::branch(gpu(), &path("parent"), 40, &[], &path("none")).unwrap_err();
    assert!(error.to_string().contains("train.steps"), "{error}");
    assert!(!path("none").exists());
    let wrong = ["train.batch=no".to_owned()];
    assert!(Run::branch(gpu(), &path("parent"), 20, &wrong, &path("none")).is_err());
    assert!(Run::branch(gpu(), &path("parent"), 21, &[], &path("none")).is_err());
}
