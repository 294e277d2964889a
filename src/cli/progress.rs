//! Progress bars: on a terminal only, always on stderr.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `steps`; invisible where stderr is no terminal.
pub fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    let style =
        ProgressStyle::with_template("{bar:32} {pos}/{len} steps  {per_sec}  {eta} left  {msg}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
