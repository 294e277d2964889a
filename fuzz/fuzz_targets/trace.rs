//! A segment of recorded statistics, under a checksum that is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::trace::{RunReader, RunView, Statistic};
use trainscope_fuzz::{check_message, checked, let_decoders_panic, run_with, with_checksum};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let folder = run_with("trace/000000-000003.parquet", &with_checksum(data));
    let run = RunReader::open(&folder).expect("its run.json is sound");
    if let Some(layout) = checked(run.layout()) {
        if let Some(entry) = layout.entries().first() {
            let series = checked(run.series(&entry.tensor, entry.kind, Statistic::Mean));
            if let Some(series) = series {
                assert_eq!(series.values.len(), series.units * series.steps.len());
            }
        }
        for (_, statistics) in checked(run.statistics(0, u64::MAX)).unwrap_or_default() {
            assert_eq!(statistics.len(), layout.rows());
        }
    }
    let view = RunView::open(&folder).expect("a damaged part costs that part alone");
    view.problems().iter().for_each(check_message);
    checked(view.each_record(|_, _| {}));
});
