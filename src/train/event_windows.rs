//! Which steps around events are recorded one by one, whatever `record.every` is: a function of the events alone, so that a
//! run that was resumed records the same steps.

use std::ops::Range;

use super::scenario::RecordSection;
use super::trainer_builder::STEPS_IN_FLIGHT;
use crate::trace::{Event, Severity};

/// Warnings that get a window of their own: a run that spikes all the time would be nothing but windows. Serious and fatal
/// events always get one.
const WARNINGS: usize = 4;
/// States are kept at least so many steps apart.
const LEAST_INTERVAL: u64 = 16;

/// The steps around an event, and the state that comes before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventWindow {
    /// Steps that are recorded.
    pub steps: Range<u64>,
    /// The run keeps the state after so many steps.
    pub state: u64,
}

/// The windows of a run's events.
#[derive(Debug)]
pub(super) struct EventWindows {
    before: u64,
    every: u64,
    checkpoint_every: u64,
    /// The first step of the run.
    first: u64,
    windows: Vec<EventWindow>,
    warnings: usize,
}

impl EventWindows {
    /// The windows of a run that begins with step `first`.
    pub fn new(record: &RecordSection, first: u64) -> Self {
        Self {
            before: record.around_events,
            every: record.every,
            checkpoint_every: record.checkpoint_every,
            first,
            windows: Vec::new(),
            warnings: 0,
        }
    }

    /// Takes the next event, and returns its window where it has one.
    pub fn observe(&mut self, event: &Event) -> Option<EventWindow> {
        if self.before == 0 || event.severity <= Severity::Note {
            return None;
        }
        if event.severity == Severity::Warning {
            if self.is_inside(event.step) || self.warnings == WARNINGS {
                return None;
            }
            self.warnings += 1;
        }
        // What is in flight when the event is noticed lies within the steps after it.
        let after = (self.before / 4).max(STEPS_IN_FLIGHT as u64);
        let end = event.step + 1;
        let start = end.saturating_sub(self.before).max(self.first);
        let state = [self.interval(), self.checkpoint_every]
            .map(|distance| start / distance * distance)
            .into_iter()
            .fold(self.first, u64::max);
        let window = EventWindow {
            steps: start..end + after,
            state,
        };
        // Two events of one step share what is kept.
        if self.windows.contains(&window) {
            return None;
        }
        self.windows.push(window.clone());
        Some(window)
    }

    /// Whether a step belongs to a window.
    pub fn is_inside(&self, step: u64) -> bool {
        self.windows.iter().any(|known| known.steps.contains(&step))
    }

    /// The steps of a window that were not recorded when `done` steps were done: neither by `record.every` nor by a window
    /// before it.
    pub fn missing(&self, window: &EventWindow, done: u64) -> Vec<u64> {
        let before = self.windows.iter().take_while(|known| *known != window);
        let earlier: Vec<&EventWindow> = before.collect();
        let is_missing = |step: &u64| {
            !step.is_multiple_of(self.every)
                && !earlier.iter().any(|known| known.steps.contains(step))
        };
        let until = window.steps.end.min(done);
        (window.steps.start..until).filter(is_missing).collect()
    }

    /// Whether the state before `step` is one that a later window may begin with, and no checkpoint keeps it.
    pub fn wants_state(&self, step: u64) -> bool {
        self.before > 0
            && step > self.first
            && step.is_multiple_of(self.interval())
            && !step.is_multiple_of(self.checkpoint_every)
    }

    /// How many steps a window reaches back at most, up to its state.
    pub fn reach(&self) -> u64 {
        self.before + self.interval()
    }

    /// The steps of all windows.
    pub fn all(&self) -> Vec<Range<u64>> {
        self.windows
            .iter()
            .map(|window| window.steps.clone())
            .collect()
    }

    /// Steps between two states that are kept.
    fn interval(&self) -> u64 {
        self.before.max(LEAST_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{EventKind, Subject};

    fn windows(every: u64) -> EventWindows {
        let record = RecordSection {
            every,
            checkpoint_every: 200,
            ..RecordSection::default()
        };
        EventWindows::new(&record, 0)
    }

    fn event(step: u64, kind: EventKind) -> Event {
        Event::new(step, kind, Subject::Scalar("loss".to_owned()))
    }

    #[test]
    fn a_window_reaches_back_from_its_event_and_a_little_beyond() {
        let mut windows = windows(20);
        let window = windows.observe(&event(300, EventKind::Spike)).expect("one");
        assert_eq!((window.steps.clone(), window.state), (237..317, 200));
        let missing = windows.missing(&window, 303);
        assert_eq!((missing.first(), missing.last()), (Some(&237), Some(&302)));
        assert_eq!(missing.len(), 66 - 4, "240, 260, 280 and 300 are recorded");
        assert!(windows.is_inside(316) && !windows.is_inside(317));
        // A warning inside of a window adds nothing, a failure its own steps, of which most are there.
        assert_eq!(windows.observe(&event(310, EventKind::Spike)), None);
        let failure = windows.observe(&event(316, EventKind::Nonfinite));
        let failure = failure.expect("one");
        assert_eq!(failure.steps, 253..333);
        assert_eq!(windows.missing(&failure, 320), [317, 318, 319]);
    }

    #[test]
    fn only_the_first_warnings_have_windows_and_all_that_is_worse() {
        let mut windows = windows(10);
        let mut seen = |step, kind| windows.observe(&event(step, kind)).is_some();
        let spikes = (1..8).map(|at| seen(1000 * at, EventKind::Spike));
        assert_eq!(spikes.filter(|had| *had).count(), WARNINGS);
        assert!(!seen(9000, EventKind::Revived));
        assert!(seen(9500, EventKind::Explosion) && seen(9900, EventKind::Nonfinite));
    }

    #[test]
    fn a_window_does_not_reach_before_the_run() {
        let record = RecordSection::default();
        let mut windows = EventWindows::new(&record, 500);
        let window = windows.observe(&event(510, EventKind::Spike)).expect("one");
        assert_eq!((window.steps.start, window.state), (500, 500));
    }
}
