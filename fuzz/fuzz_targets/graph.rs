//! `graph.json`, of this and of earlier versions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::trace::{RunReader, RunView};
use trainscope_fuzz::{check_message, checked, let_decoders_panic, run_with};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let folder = run_with("graph.json", data);
    let run = RunReader::open(&folder).expect("its run.json is sound");
    checked(run.model());
    let view = RunView::open(&folder).expect("a damaged part costs that part alone");
    view.problems().iter().for_each(check_message);
});
