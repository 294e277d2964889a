//! How far long work is: a bar on a terminal, a line now and then in a log. Both go to stderr.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Without a terminal there is a line this often, or for each twentieth of the work where that is sooner.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// However fast the work is, lines are at least this far apart.
const MIN_LINE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the bar of work that has not moved is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// A bar over steps.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    /// Whether nothing is said at all.
    is_quiet: bool,
    /// What is said beside the steps.
    message: RefCell<String>,
    /// The last line of the log: when, and after how many steps.
    line: Cell<(Instant, u64)>,
    /// When the first step was done, and which that was: rates leave out what came before.
    started: Cell<Option<(Instant, u64)>>,
}

/// A bar over `steps`, which says nothing where `is_quiet`.
pub fn bar(steps: u64, is_quiet: bool) -> Bar {
    let bar = match is_quiet {
        true => ProgressBar::hidden(),
        false => ProgressBar::no_length(),
    };
    bar.set_length(steps);
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A text that cannot be written is no reason to stop.
        let _ = write!(text, "{:.1}/s", state.per_sec());
    };
    let template = "{wide_bar} {pos}/{len} steps  {rate}  {eta} left  {msg}";
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    };
    Bar {
        bar,
        is_quiet,
        message: RefCell::default(),
        line: Cell::new((Instant::now(), 0)),
        started: Cell::new(None),
    }
}

impl Bar {
    /// Says what is done before, between or after the steps, at once.
    pub fn say(&self, doing: &str) {
        if self.is_quiet {
            // Not even in a log.
        } else if self.bar.is_hidden() {
            eprint_line(doing);
        } else {
            self.bar.set_message(doing.to_owned());
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// How many steps there are, where that is known only now.
    pub fn set_length(&self, steps: u64) {
        self.bar.set_length(steps);
    }

    /// Prints what `print` prints, without a bar in its way.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// So many steps are done.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        let (at, before) = self.line.get();
        if self.started.get().is_none() {
            self.started.set(Some((Instant::now(), done)));
            self.line.set((at, done));
            // Waiting is over: the bar moves by itself now.
            self.bar.disable_steady_tick();
            return;
        }
        let all = self.bar.length().unwrap_or(0);
        let steps = done.saturating_sub(before);
        if self.bar.is_hidden() && !self.is_quiet && is_line_due(at.elapsed(), steps, all) {
            self.line.set((Instant::now(), done));
            eprint_line(&self.line_of(done, all));
        }
    }

    /// One more step is done.
    pub fn inc(&self, steps: u64) {
        self.set_position(self.bar.position() + steps);
    }

    /// What is said beside the steps from now on.
    pub fn set_message(&self, message: impl Into<String>) {
        let message = message.into();
        if !self.bar.is_hidden() {
            self.bar.set_message(message.clone());
        }
        self.message.replace(message);
    }

    fn line_of(&self, done: u64, all: u64) -> String {
        let mut line = format!("step {done} of {all}");
        if let Some((since, from)) = self.started.get() {
            let rate = done.saturating_sub(from) as f64 / since.elapsed().as_secs_f64().max(1e-3);
            let left = all.saturating_sub(done) as f64 / rate;
            if rate > 0.0 && left.is_finite() {
                let _ = write!(line, ", {rate:.1}/s, {left:.0} s left");
            }
        }
        let message = self.message.borrow();
        if !message.is_empty() {
            let _ = write!(line, ", {message}");
        }
        line
    }

    /// Removes the bar from the terminal.
    pub fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether a log gets its next line, `elapsed` and `steps` after the last.
fn is_line_due(elapsed: Duration, steps: u64, all: u64) -> bool {
    elapsed >= LINE_INTERVAL || (elapsed >= MIN_LINE_INTERVAL && steps >= (all / 20).max(1))
}

fn eprint_line(line: &str) {
    // A closed pipe must not end the work.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{line}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_a_line_each_ten_seconds_or_twentieth() {
        let seconds = Duration::from_secs_f64;
        assert!(is_line_due(seconds(10.0), 0, 1000));
        assert!(is_line_due(seconds(1.5), 50, 1000));
        assert!(!is_line_due(seconds(9.0), 49, 1000));
        assert!(!is_line_due(seconds(0.5), 999, 1000));
        // Steps that take longer than the interval are said one by one.
        assert!(is_line_due(seconds(1.5), 1, 3));
    }

    #[test]
    fn lines_say_step_rate_and_message() {
        let bar = bar(100, true);
        bar.set_position(10);
        bar.set_message("loss 3.25");
        let since = Instant::now() - Duration::from_secs(10);
        bar.started.set(Some((since, 0)));
        let line = bar.line_of(10, 100);
        assert!(line.starts_with("step 10 of 100, 1.0/s, "), "{line}");
        assert!(line.ends_with(" s left, loss 3.25"), "{line}");
    }
}
