//! `run.json`, and what is said of a run that has nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::diagnose::summary;
use trainscope::trace::{RunReader, RunView};
use trainscope_fuzz::{check_message, checked, let_decoders_panic, run_with};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let folder = run_with("run.json", data);
    checked(RunReader::open(&folder));
    if let Some(view) = checked(RunView::open(&folder)) {
        view.problems().iter().for_each(check_message);
        for line in summary(&view) {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
});
