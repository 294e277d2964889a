//! A request from outside the window that it close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use winit::event_loop::EventLoopProxy;

use super::Wake;

/// Asks a window to close, from any thread, such as that of a signal. Clones ask the same window.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    is_requested: Arc<AtomicBool>,
    window: Arc<Mutex<Option<EventLoopProxy<Wake>>>>,
}

impl Stop {
    /// Asks the window to close, also one that opens later. Returns whether this was asked for before.
    pub fn request(&self) -> bool {
        let before = self.is_requested.swap(true, Ordering::Relaxed);
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = &*window {
            // Without an event loop the window is closed already.
            let _ = window.send_event(Wake);
        }
        before
    }

    /// Whether the window is to close.
    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::Relaxed)
    }

    /// A request wakes this window, one of before too.
    pub(super) fn wakes(&self, window: EventLoopProxy<Wake>) {
        let _ = window.send_event(Wake);
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = Some(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_knows_of_the_first() {
        let stop = Stop::default();
        let of_signals = stop.clone();
        assert!(!stop.is_requested());
        assert!(!of_signals.request());
        assert!(stop.is_requested() && stop.request());
    }
}
