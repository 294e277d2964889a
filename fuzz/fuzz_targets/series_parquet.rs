//! Parquet tables of lines, as `sample` reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::formats::{Header, LinesAre, ReadOptions, read_series};
use trainscope_fuzz::{checked, file, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let path = file("series.parquet", data);
    for lines_are in [LinesAre::Rows, LinesAre::Columns] {
        for header in [Header::Auto, Header::Yes, Header::No] {
            let options = ReadOptions { header, lines_are };
            if let Some(series) = checked(read_series(&path, options)) {
                assert_eq!(series.table.lines, series.layout.lines);
                assert!(series.names.is_empty() || series.names.len() == series.table.lines);
            }
        }
    }
});
