//! Dispatches on their way to the GPU, and waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::device::Gpu;
use super::dispatch::Dispatch;
use crate::{Result, panics};

/// Who waits aside looks this often.
const GLANCE: Duration = Duration::from_micros(300);

impl Gpu {
    /// A labelled command encoder.
    pub fn encoder(&self, label: &str) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) })
    }

    /// Records `dispatches` in order into one compute pass.
    pub fn record<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        label: &str,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
    ) {
        self.record_timed(encoder, label, dispatches, None);
    }

    /// The same, with a timestamp at its start and another at its end, where `timestamps` are given for them.
    pub(super) fn record_timed<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        label: &str,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
        timestamps: Option<&wgpu::QuerySet>,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(label),
            timestamp_writes: timestamps.map(|query_set| wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            }),
        });
        for dispatch in dispatches {
            dispatch.record(&mut pass);
        }
    }

    /// Runs `dispatches` in order in a submission of their own, without waiting for them.
    pub fn run<'a>(&self, label: &str, dispatches: impl IntoIterator<Item = &'a Dispatch>) {
        let mut encoder = self.encoder(label);
        self.record(&mut encoder, label, dispatches);
        self.queue.submit([encoder.finish()]);
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// The device was lost, reported an error, or did not finish within the time that [`Gpu::with_timeout`] allows.
    pub fn wait(&self) -> Result<()> {
        let polled = self.poll(wgpu::PollType::Wait {
            submission_index: None,
            timeout: Some(self.timeout),
        });
        self.check()?;
        polled?.map(|_| ()).map_err(|error| {
            let problem = match error {
                wgpu::PollError::Timeout => format!("no answer for {:?}", self.timeout),
                other => format!("waiting failed: {other}"),
            };
            self.lost(
                problem,
                "try again, or choose another adapter with --adapter",
            )
        })
    }

    /// As [`Gpu::wait`], but other threads can submit meanwhile: wgpu lets none do so while it waits.
    pub(super) fn wait_aside(&self) -> Result<()> {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        self.queue
            .on_submitted_work_done(move || done.store(true, Ordering::Release));
        let started = Instant::now();
        while !is_done.load(Ordering::Acquire) {
            let _ = self.poll(wgpu::PollType::Poll)?;
            self.check()?;
            if started.elapsed() > self.timeout {
                return self.wait();
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Lets wgpu look at what the device has done. wgpu panics there when the device is lost.
    pub(super) fn poll(
        &self,
        how: wgpu::PollType,
    ) -> Result<std::result::Result<wgpu::PollStatus, wgpu::PollError>> {
        panics::caught(|| Ok(self.device.poll(how)))
    }

    /// Waits until all submitted work is done and `done` is true, which a callback of that work sets. Where several
    /// threads poll a device, another one may have taken the callback and be about to call it.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub(super) fn wait_until(&self, done: impl Fn() -> bool) -> Result<()> {
        self.wait()?;
        while !done() {
            std::thread::yield_now();
            self.wait()?;
        }
        Ok(())
    }
}
