//! Whose work comes first on a device that draws frames and trains: while somebody waits for a frame, the frame.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A frame takes no longer, or its thread hangs: then work goes on without it.
const LONGEST_FRAME: Duration = Duration::from_millis(500);

/// Whether somebody waits for frames, and whether one is being made.
#[derive(Debug, Default)]
pub struct Attention {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody waits until then.
    until: Option<Instant>,
    frames: usize,
}

impl State {
    fn is_wanted(&self) -> bool {
        self.until.is_some_and(|end| Instant::now() < end)
    }
}

/// A frame that is being made, up to its drop.
#[derive(Debug)]
pub struct Frame<'a> {
    attention: &'a Attention,
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        self.attention.state().frames -= 1;
        self.attention.changed.notify_all();
    }
}

impl Attention {
    /// Somebody has done something, and waits until then for what comes of it.
    pub fn wait_until(&self, end: Instant) {
        self.state().until = Some(end);
    }

    /// A frame is being made as long as the result lives.
    pub fn frame(&self) -> Frame<'_> {
        self.state().frames += 1;
        Frame { attention: self }
    }

    /// Whether somebody waits for frames; if so, it returns once none is being made.
    pub(super) fn comes_first(&self) -> bool {
        let state = self.state();
        if !state.is_wanted() {
            return false;
        }
        let is_busy = |state: &mut State| state.frames > 0 && state.is_wanted();
        let waited = self
            .changed
            .wait_timeout_while(state, LONGEST_FRAME, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_a_frame_only_while_somebody_does() {
        let attention = Attention::default();
        let frame = attention.frame();
        assert!(!attention.comes_first());
        attention.wait_until(Instant::now() + Duration::from_secs(60));
        std::thread::scope(|scope| {
            let work = scope.spawn(|| attention.comes_first());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!work.is_finished());
            drop(frame);
            assert!(work.join().unwrap());
        });
        // Between frames nothing waits, and a frame that does not end is waited for no longer than one may take.
        assert!(attention.comes_first());
        let _hanging = attention.frame();
        assert!(attention.comes_first());
    }
}
