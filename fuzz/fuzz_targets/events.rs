//! The events of a run, and their sentences.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::trace::{RunReader, RunView};
use trainscope_fuzz::{check_message, checked, let_decoders_panic, run_with};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let folder = run_with("events.jsonl", data);
    let run = RunReader::open(&folder).expect("its run.json is sound");
    checked(run.events());
    let view = RunView::open(&folder).expect("a damaged part costs that part alone");
    view.problems().iter().for_each(check_message);
    for event in view.events() {
        let sentence = event.sentence();
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
    }
});
