//! The first error that a device reports.

use std::sync::{Arc, Mutex, PoisonError};

/// Where a device's callbacks leave their first message. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstError(Arc<Mutex<Option<String>>>);

impl FirstError {
    /// Records errors that nobody catches, and the loss of the device.
    pub fn watch(&self, device: &wgpu::Device) {
        let first = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| first.record(error.to_string())));
        let first = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let detail = match reason {
                _ if !message.is_empty() => message,
                wgpu::DeviceLostReason::Destroyed => "it was destroyed".to_owned(),
                wgpu::DeviceLostReason::Unknown => "the driver gives no reason".to_owned(),
            };
            first.record(format!("the device was lost: {detail}"));
        });
    }

    /// The first message on one line, if there is any.
    pub fn message(&self) -> Option<String> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = first.as_ref()?.split_whitespace();
        Some(words.collect::<Vec<_>>().join(" "))
    }

    fn record(&self, message: String) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(message);
    }
}
