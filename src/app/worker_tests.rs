//! The queue: newest wins, cancelling, errors, background work, and what happens at the end.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Count,
    Draw,
}

/// Counts its turns up to a limit.
struct Counter {
    turns: u32,
    limit: u32,
    fails_at: Option<u32>,
}

impl Background for Counter {
    fn turn(&mut self) -> Result<Turn> {
        if self.fails_at == Some(self.turns) {
            self.fails_at = None;
            return Err(Error::gpu("counter", "it broke", "none"));
        }
        if self.turns == self.limit {
            return Ok(Turn::Never);
        }
        self.turns += 1;
        Ok(Turn::Now)
    }
}

type TestWorker = Worker<Counter, Kind, u32>;

fn counter(limit: u32, fails_at: Option<u32>) -> (TestWorker, Receiver<()>) {
    let (wake, woken) = channel();
    let wake = Mutex::new(wake);
    let worker = Worker::start(
        move || {
            let _ = lock(&wake).send(());
        },
        move || {
            Ok(Counter {
                turns: 0,
                limit,
                fails_at,
            })
        },
    );
    (worker.unwrap(), woken)
}

/// Answers until there are `count`.
fn wait_for(worker: &TestWorker, count: usize) -> Vec<Answer<Kind, u32>> {
    let started = Instant::now();
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(worker.answers());
        assert!(
            started.elapsed() < PATIENCE,
            "{} of {count} answers",
            all.len()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    all
}

/// A job that says when it runs, and then waits to be let go on.
fn blocker(worker: &TestWorker, kind: Kind) -> (Receiver<Progress>, Sender<()>) {
    let (running, is_running) = channel();
    let (release, is_released) = channel::<()>();
    worker.submit(kind, move |_, progress| {
        running.send(progress.clone()).unwrap();
        is_released.recv_timeout(PATIENCE).unwrap();
        Ok(100)
    });
    (is_running, release)
}

fn value(answer: &Answer<Kind, u32>) -> u32 {
    *answer.result.as_ref().unwrap()
}

#[test]
fn jobs_run_in_order_and_wake_the_owner() {
    let (worker, woken) = counter(0, None);
    worker.submit(Kind::Count, |_, _| Ok(1));
    worker.submit(Kind::Draw, |_, _| Ok(2));
    let answers = wait_for(&worker, 2);
    assert_eq!(answers.iter().map(value).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(answers[0].kind, Some(Kind::Count));
    // The owner is woken after an answer is there, so the last time may still be to come.
    for _ in 0..2 {
        woken.recv_timeout(PATIENCE).unwrap();
    }
    assert!(!worker.is_pending(Kind::Draw));
}

#[test]
fn newest_job_of_a_kind_wins() {
    let (worker, _woken) = counter(0, None);
    let (is_running, release) = blocker(&worker, Kind::Count);
    let progress = is_running.recv_timeout(PATIENCE).unwrap();
    for i in 0..10 {
        worker.submit(Kind::Draw, move |_, _| Ok(i));
    }
    assert!(worker.is_pending(Kind::Draw) && !progress.is_cancelled());
    // The running one is cancelled by a newer one of its kind, and its answer is void.
    worker.submit(Kind::Count, |_, _| Ok(55));
    assert!(progress.is_cancelled());
    release.send(()).unwrap();
    let answers = wait_for(&worker, 2);
    assert_eq!(answers.iter().map(value).collect::<Vec<_>>(), [9, 55]);
    std::thread::sleep(Duration::from_millis(20));
    assert!(worker.answers().is_empty());
}

#[test]
fn cancelled_jobs_give_no_answer() {
    let (worker, _woken) = counter(0, None);
    let (is_running, release) = blocker(&worker, Kind::Count);
    let progress = is_running.recv_timeout(PATIENCE).unwrap();
    worker.submit(Kind::Draw, |_, _| Ok(7));
    worker.cancel(Kind::Draw);
    worker.cancel(Kind::Count);
    assert!(progress.is_cancelled());
    release.send(()).unwrap();
    worker.submit(Kind::Draw, |_, _| Ok(8));
    assert_eq!(value(&wait_for(&worker, 1)[0]), 8);
}

#[test]
fn activity_is_that_of_the_running_job() {
    let (worker, _woken) = counter(0, None);
    assert_eq!(worker.activity(), None);
    let (is_running, release) = blocker(&worker, Kind::Count);
    is_running
        .recv_timeout(PATIENCE)
        .unwrap()
        .say("restoring the model");
    assert_eq!(worker.activity().as_deref(), Some("restoring the model"));
    release.send(()).unwrap();
    wait_for(&worker, 1);
    assert_eq!(worker.activity(), None);
}

#[test]
fn errors_of_jobs_and_of_background_work_surface() {
    let (worker, _woken) = counter(50, Some(20));
    let failed = &wait_for(&worker, 1)[0];
    assert_eq!(failed.kind, None);
    assert!(
        failed
            .result
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("it broke")
    );
    worker.submit(Kind::Draw, |_, _| {
        Err(Error::gpu("job", "no such tensor", "none"))
    });
    let failed = &wait_for(&worker, 1)[0];
    assert_eq!(failed.kind, Some(Kind::Draw));
    assert!(failed.result.is_err());
    // The state is not lost, and background work has another turn after a job.
    let turns = worker.close(|state| state.unwrap().turns).unwrap();
    assert!((20..=50).contains(&turns));
}

#[test]
fn background_work_runs_between_jobs_and_ends_with_the_worker() {
    let (worker, _woken) = counter(u32::MAX, None);
    for i in 0..20 {
        worker.submit(Kind::Count, move |state, _| Ok(state.turns.min(i)));
        wait_for(&worker, 1);
    }
    let turns = worker.close(|state| state.unwrap().turns).unwrap();
    assert!(turns > 0);
}

#[test]
fn close_finishes_the_state_without_running_waiting_jobs() {
    let (worker, _woken) = counter(3, None);
    // The running job ends when closing cancels it, so that the waiting one never has its turn before.
    let (running, is_running) = channel();
    worker.submit(Kind::Count, move |_, progress| {
        running.send(()).unwrap();
        while !progress.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(0)
    });
    is_running.recv_timeout(PATIENCE).unwrap();
    worker.submit(Kind::Draw, |_, _| panic!("not to be run"));
    let closed = worker.close(|state| format!("{} turns", state.unwrap().limit));
    assert_eq!(closed.unwrap(), "3 turns");
}

#[test]
fn failed_start_reaches_the_owner_and_the_end() {
    let worker: TestWorker = Worker::start(
        || {},
        || Err(Error::input("run", "no data", "name another folder")),
    )
    .unwrap();
    worker.submit(Kind::Draw, |_, _| Ok(1));
    let answer = &wait_for(&worker, 1)[0];
    assert!(answer.kind.is_none() && answer.result.is_err());
    let error = worker.close(|state| state.err().map(|error| error.to_string()));
    assert!(error.unwrap().unwrap().contains("no data"));
}

#[test]
fn panic_in_a_job_is_its_answer_and_the_worker_goes_on() {
    let (worker, _woken) = counter(0, None);
    worker.submit(Kind::Draw, |_, _| panic!("a bug"));
    let answer = &wait_for(&worker, 1)[0];
    let error = answer.result.as_ref().unwrap_err();
    assert_eq!(answer.kind, Some(Kind::Draw));
    assert!(error.problem().contains("a bug"), "{error}");
    worker.submit(Kind::Count, |_, _| Ok(7));
    assert_eq!(wait_for(&worker, 1)[0].result, Ok(7));
    assert!(worker.close(|state| state.is_ok()).unwrap());
}

#[test]
fn panic_at_the_end_is_the_error_of_the_end() {
    let (worker, _woken) = counter(0, None);
    let error = worker.close(|_| panic!("a bug at the end")).unwrap_err();
    assert!(error.problem().contains("a bug at the end"), "{error}");
}

#[test]
fn resting_worker_does_nothing_until_it_resumes() {
    let (worker, woken) = counter(u32::MAX, None);
    let started = Instant::now();
    while !worker.rest() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    woken.try_iter().for_each(drop);
    worker.submit(Kind::Count, |state, _| Ok(state.turns));
    std::thread::sleep(Duration::from_millis(30));
    assert!(worker.answers().is_empty() && woken.try_recv().is_err());
    worker.resume();
    wait_for(&worker, 1);
    worker.rest();
    // The end does not wait for the rest to end.
    assert!(worker.close(|state| state.unwrap().turns).unwrap() > 0);
}
