//! Time that the GPU itself measures, where the adapter has timestamps.

use super::device::Gpu;
use super::dispatch::Dispatch;
use crate::Result;

/// Measures dispatches with two timestamps.
#[derive(Debug)]
pub struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Nanoseconds per tick.
    period: f64,
}

impl Timer {
    /// A timer, or `None` where the adapter has no timestamps.
    pub fn new(gpu: &Gpu) -> Option<Self> {
        gpu.device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
            .then(|| Self {
                queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timer"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("timer"),
                    size: 16,
                    usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                }),
                period: f64::from(gpu.queue.get_timestamp_period()),
            })
    }

    /// Runs `dispatches`, waits, and returns the seconds the GPU spent between its first and last.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn measure<'a>(
        &self,
        gpu: &Gpu,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
    ) -> Result<f64> {
        let mut encoder = gpu.encoder("timed");
        gpu.record_timed(&mut encoder, "timed", dispatches, Some(&self.queries));
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        gpu.queue.submit([encoder.finish()]);
        let ticks: Vec<u64> =
            bytemuck::pod_collect_to_vec(&gpu.read_bytes(&self.resolved, 0, 16)?);
        Ok(ticks[1].saturating_sub(ticks[0]) as f64 * self.period * 1e-9)
    }
}
