//! The first error that a device reports.

use std::sync::{Arc, Mutex, PoisonError};

use super::aliasing;
use crate::ErrorKind;

/// Where a device's callbacks leave their first error. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstError(Arc<Mutex<Option<(ErrorKind, String)>>>);

impl FirstError {
    /// Records errors that nobody catches, and the loss of the device.
    pub fn watch(&self, device: &wgpu::Device) {
        let first = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| match error {
            wgpu::Error::OutOfMemory { source } => {
                first.record(ErrorKind::OutOfMemory, format!("no memory left: {source}"));
            }
            other => first.record(ErrorKind::DeviceLost, other.to_string()),
        }));
        let first = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let detail = match reason {
                _ if !message.is_empty() => message,
                wgpu::DeviceLostReason::Destroyed => "it was destroyed".to_owned(),
                wgpu::DeviceLostReason::Unknown => "the driver gives no reason".to_owned(),
            };
            let problem = format!("the device was lost: {detail}");
            first.record(ErrorKind::DeviceLost, problem);
        });
    }

    /// The kind and the message, on one line, of the first error, if there is any.
    pub fn get(&self) -> Option<(ErrorKind, String)> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, message) = first.as_ref()?;
        let words: Vec<&str> = message.split_whitespace().collect();
        Some((*kind, words.join(" ")))
    }

    /// Records an error, unless there was one before.
    pub fn record(&self, kind: ErrorKind, message: String) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert((kind, message));
    }
}

/// Keeps a device that has failed from being torn down: wgpu and drivers panic, or crash, when what they failed to make is
/// destroyed. The memory of such a device is only freed at the end of the program.
#[derive(Debug)]
pub(super) struct Teardown {
    device: wgpu::Device,
    queue: wgpu::Queue,
    first_error: FirstError,
}

impl Teardown {
    /// Of a device that reports its errors to `first_error`.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, first_error: &FirstError) -> Self {
        Self {
            device: device.clone(),
            queue: queue.clone(),
            first_error: first_error.clone(),
        }
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        if std::thread::panicking() || self.first_error.get().is_some() {
            // A driver on the CPU may still run what wgpu has given up; the program must not end under it.
            aliasing::wait_idle(&self.device);
            std::mem::forget((self.device.clone(), self.queue.clone()));
        }
    }
}
