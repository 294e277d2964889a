//! A thread that does what takes long: jobs from a queue, and work of its own between them.
//!
//! The thread owns its state, which need not be able to move between threads: it is made there, jobs borrow it, and it is
//! finished there. Jobs have a kind, and of each kind the newest wins: it replaces one that waits, cancels one that runs,
//! and makes the answer of that one void. Between jobs the state does its background work, one short turn at a time.
//! Nothing here knows of runs or windows.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Error, Result, panics};

/// While background work goes well, the owner is woken at most this often.
const WAKE_INTERVAL: Duration = Duration::from_millis(100);

/// When background work wants its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// At once, unless a job waits.
    Now,
    /// After a while, or after the next job.
    After(Duration),
    /// After the next job.
    Never,
}

/// What the worker's state does between jobs.
pub(super) trait Background {
    /// One short turn. After an error it has no further turn before the next job.
    fn turn(&mut self) -> Result<Turn>;
}

/// Shared by a job and its owner: how far the job is, and whether it is still wanted.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    is_cancelled: Arc<AtomicBool>,
    label: Arc<Mutex<Option<String>>>,
}

impl Progress {
    /// Whether the answer is no longer wanted. Long jobs look now and then, and return early.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Says what the job is doing.
    pub fn say(&self, label: impl Into<String>) {
        *lock(&self.label) = Some(label.into());
    }
}

/// What came of a job, or of background work.
#[derive(Debug)]
pub(super) struct Answer<K, A> {
    /// The job's kind; `None` where background work has failed.
    pub kind: Option<K>,
    /// What it gave.
    pub result: Result<A>,
}

type Run<S, A> = Box<dyn FnOnce(&mut S, &Progress) -> Result<A> + Send>;
type Finish<S> = Box<dyn FnOnce(Result<S>) -> Box<dyn Any + Send> + Send>;

struct Job<S, K, A> {
    kind: K,
    run: Run<S, A>,
    progress: Progress,
}

struct Queue<S, K, A> {
    waiting: VecDeque<Job<S, K, A>>,
    running: Option<(K, Progress)>,
    answers: Vec<Answer<K, A>>,
    finish: Option<Finish<S>>,
    /// Whether the owner wants the thread to rest, and whether it does.
    is_held: bool,
    is_resting: bool,
}

struct Shared<S, K, A> {
    queue: Mutex<Queue<S, K, A>>,
    changed: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// The owner's end of the thread.
pub(super) struct Worker<S, K, A> {
    shared: Arc<Shared<S, K, A>>,
    thread: Option<JoinHandle<Result<Box<dyn Any + Send>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn died() -> Error {
    Error::gpu(
        "worker",
        "the thread that trains and computes has ended",
        "resume the run from its last checkpoint, and report this as a bug",
    )
}

impl<S, K, A> Worker<S, K, A>
where
    S: Background + 'static,
    K: Copy + PartialEq + Send + 'static,
    A: Send + 'static,
{
    /// Starts the thread, which makes its state first. `wake` is called from the thread when there is something to see.
    ///
    /// # Errors
    /// The system has no further thread.
    pub fn start(
        wake: impl Fn() + Send + Sync + 'static,
        make: impl FnOnce() -> Result<S> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                running: None,
                answers: Vec::new(),
                finish: None,
                is_held: false,
                is_resting: false,
            }),
            changed: Condvar::new(),
            wake: Box::new(wake),
        });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || of_thread.run(make))
            .map_err(|error| {
                let hint = "close other programs";
                Error::gpu("worker", format!("no thread can be started: {error}"), hint)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Queues a job. It replaces a waiting one of its kind and cancels a running one.
    pub fn submit(
        &self,
        kind: K,
        run: impl FnOnce(&mut S, &Progress) -> Result<A> + Send + 'static,
    ) {
        self.cancel(kind);
        let progress = Progress {
            is_cancelled: Arc::default(),
            label: Arc::default(),
        };
        lock(&self.shared.queue).waiting.push_back(Job {
            kind,
            run: Box::new(run),
            progress,
        });
        self.shared.changed.notify_all();
    }

    /// Drops the waiting job of a kind and the answer of a running one.
    pub fn cancel(&self, kind: K) {
        let mut queue = lock(&self.shared.queue);
        queue.waiting.retain(|job| job.kind != kind);
        queue.answers.retain(|answer| answer.kind != Some(kind));
        if let Some((running, progress)) = &queue.running
            && *running == kind
        {
            progress.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// What has come since the last call, oldest first.
    pub fn answers(&self) -> Vec<Answer<K, A>> {
        std::mem::take(&mut lock(&self.shared.queue).answers)
    }

    /// Asks the thread to rest after its present job or turn, and returns whether it rests now. It wakes the owner once
    /// it does, and rests until [`Worker::resume`].
    pub fn rest(&self) -> bool {
        let mut queue = lock(&self.shared.queue);
        queue.is_held = true;
        let is_resting = queue.is_resting;
        drop(queue);
        self.shared.changed.notify_all();
        is_resting
    }

    /// Ends the rest.
    pub fn resume(&self) {
        let mut queue = lock(&self.shared.queue);
        queue.is_held = false;
        queue.is_resting = false;
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Whether a job of this kind waits or runs.
    pub fn is_pending(&self, kind: K) -> bool {
        self.is_any_pending(|other| *other == kind)
    }

    /// Whether a job of one of several kinds waits or runs.
    pub fn is_any_pending(&self, is_wanted: impl Fn(&K) -> bool) -> bool {
        let queue = lock(&self.shared.queue);
        let running = queue.running.iter().map(|(kind, _)| kind);
        let waiting = queue.waiting.iter().map(|job| &job.kind);
        running.chain(waiting).any(is_wanted)
    }

    /// What the running job says that it is doing.
    pub fn activity(&self) -> Option<String> {
        let queue = lock(&self.shared.queue);
        let (_, progress) = queue.running.as_ref()?;
        lock(&progress.label).clone()
    }

    /// Cancels all jobs, lets `finish` have the state, in the thread, and waits for what that gives. Where the state could
    /// not be made, `finish` gets the error.
    ///
    /// # Errors
    /// The panic that has ended the thread.
    pub fn close<R: Send + 'static>(
        mut self,
        finish: impl FnOnce(Result<S>) -> R + Send + 'static,
    ) -> Result<R> {
        {
            let mut queue = lock(&self.shared.queue);
            queue.finish = Some(Box::new(move |state| Box::new(finish(state))));
            queue.stop_jobs();
        }
        self.shared.changed.notify_all();
        let thread = self.thread.take().ok_or_else(died)?;
        let finished = thread.join().map_err(|_| died())??;
        let result = finished.downcast::<R>().map_err(|_| died())?;
        Ok(*result)
    }
}

impl<S, K, A> Drop for Worker<S, K, A> {
    /// Ends the thread after its present job, without finishing the state.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let mut queue = lock(&self.shared.queue);
            queue.finish = Some(Box::new(|_| Box::new(())));
            queue.stop_jobs();
            drop(queue);
            self.shared.changed.notify_all();
            let _ = thread.join();
        }
    }
}

impl<S, K, A> Queue<S, K, A> {
    fn stop_jobs(&mut self) {
        self.waiting.clear();
        if let Some((_, progress)) = &self.running {
            progress.is_cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// What the thread does next.
enum Next<S, K, A> {
    Job(Job<S, K, A>),
    Background,
    Finish(Finish<S>),
}

impl<S: Background, K: Copy, A> Shared<S, K, A> {
    /// The thread: makes the state, serves jobs and background work, and finishes the state.
    fn run(&self, make: impl FnOnce() -> Result<S>) -> Result<Box<dyn Any + Send>> {
        let served = panics::caught(|| {
            let mut state = make();
            let finish = match &mut state {
                Ok(state) => self.serve(state),
                Err(error) => {
                    self.answer(None, Err(error.clone()));
                    self.wait_for_finish()
                }
            };
            Ok(finish(state))
        });
        if let Err(error) = &served {
            self.answer(None, Err(error.clone()));
        }
        served
    }

    fn serve(&self, state: &mut S) -> Finish<S> {
        let mut turn = Turn::Now;
        let mut woken = Instant::now();
        loop {
            match self.next(turn) {
                Next::Finish(finish) => return finish,
                Next::Job(job) => {
                    // A chart that cannot be drawn costs no run in training.
                    let result = panics::caught(|| (job.run)(state, &job.progress));
                    lock(&self.queue).running = None;
                    if !job.progress.is_cancelled() {
                        self.answer(Some(job.kind), result);
                    }
                    turn = Turn::Now;
                }
                Next::Background => {
                    turn = panics::caught(|| state.turn()).unwrap_or_else(|error| {
                        self.answer(None, Err(error));
                        Turn::Never
                    });
                    if turn == Turn::Never || woken.elapsed() >= WAKE_INTERVAL {
                        woken = Instant::now();
                        (self.wake)();
                    }
                }
            }
        }
    }

    /// Waits for whatever comes first: the end, a job, or the next turn of background work.
    fn next(&self, turn: Turn) -> Next<S, K, A> {
        let asked = Instant::now();
        let mut queue = lock(&self.queue);
        loop {
            if let Some(finish) = queue.finish.take() {
                return Next::Finish(finish);
            }
            if queue.is_held {
                if !std::mem::replace(&mut queue.is_resting, true) {
                    (self.wake)();
                }
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Some(job) = queue.waiting.pop_front() {
                queue.running = Some((job.kind, job.progress.clone()));
                return Next::Job(job);
            }
            let wait = match turn {
                Turn::Now => return Next::Background,
                Turn::After(delay) => match delay.checked_sub(asked.elapsed()) {
                    None | Some(Duration::ZERO) => return Next::Background,
                    Some(rest) => Some(rest),
                },
                Turn::Never => None,
            };
            queue = match wait {
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(rest) => {
                    let waited = self.changed.wait_timeout(queue, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The state could not be made: jobs are dropped until the end.
    fn wait_for_finish(&self) -> Finish<S> {
        let mut queue = lock(&self.queue);
        loop {
            queue.waiting.clear();
            match queue.finish.take() {
                Some(finish) => return finish,
                None => {
                    queue = self
                        .changed
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }

    fn answer(&self, kind: Option<K>, result: Result<A>) {
        lock(&self.queue).answers.push(Answer { kind, result });
        (self.wake)();
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
