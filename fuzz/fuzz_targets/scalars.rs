//! A segment of scalars, under a checksum that is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::trace::{RunReader, RunView};
use trainscope_fuzz::{check_message, checked, let_decoders_panic, run_with, with_checksum};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let folder = run_with("scalars/000000-000003.parquet", &with_checksum(data));
    let run = RunReader::open(&folder).expect("its run.json is sound");
    for series in checked(run.scalars()).unwrap_or_default().values() {
        assert!(series.is_sorted_by(|a, b| a.0 < b.0));
    }
    let view = RunView::open(&folder).expect("a damaged part costs that part alone");
    view.problems().iter().for_each(check_message);
});
