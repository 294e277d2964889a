//! Progress bars. They go to stderr, and only to a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `steps`, which is invisible unless stderr is a terminal.
pub fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    let style =
        ProgressStyle::with_template("{bar:32} {pos}/{len} steps  {per_sec}  {eta} left  {msg}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
