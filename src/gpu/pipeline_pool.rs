//! Background threads that compile pipelines. The first dispatch waits for its own pipeline only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{JoinHandle, available_parallelism};

use crate::panics;

/// More threads than this only wait for each other in the driver.
const MAX_THREADS: usize = 8;

/// A pipeline that is built when it is first needed, or earlier by a thread of the pool.
pub(super) type Pipeline =
    LazyLock<wgpu::ComputePipeline, Box<dyn FnOnce() -> wgpu::ComputePipeline + Send>>;

/// The threads. They end with the pool, and leave unbuilt what they have not begun by then.
#[derive(Debug)]
pub(super) struct PipelinePool {
    sender: Option<Sender<Arc<Pipeline>>>,
    threads: Vec<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
}

impl PipelinePool {
    pub fn new() -> Self {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let closing = Arc::new(AtomicBool::new(false));
        let threads = available_parallelism().map_or(1, usize::from);
        let start = |_| {
            let (receiver, closing) = (receiver.clone(), closing.clone());
            std::thread::spawn(move || build(&receiver, &closing))
        };
        Self {
            sender: Some(sender),
            threads: (0..threads.min(MAX_THREADS)).map(start).collect(),
            closing,
        }
    }

    /// Has a thread build it, unless it is needed before.
    pub fn order(&self, pipeline: &Arc<Pipeline>) {
        let sender = self.sender.as_ref().expect("open until it is dropped");
        // This fails only if no thread is left; then the first use of the pipeline builds it.
        let _ = sender.send(pipeline.clone());
    }
}

fn build(receiver: &Mutex<Receiver<Arc<Pipeline>>>, closing: &AtomicBool) {
    loop {
        let next = receiver.lock().map(|receiver| receiver.recv());
        match next {
            Ok(Ok(pipeline)) if !closing.load(Ordering::Relaxed) => {
                // Whoever needs the pipeline gets the panic, too.
                let _ = panics::catch(|| LazyLock::force(&pipeline));
            }
            _ => return,
        }
    }
}

impl Drop for PipelinePool {
    /// Waits for the threads: a driver must not be unloaded under them.
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.sender = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
