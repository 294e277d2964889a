//! Scenarios in TOML. What is read is written out complete and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::train::Scenario;
use trainscope_fuzz::{check_scenario_message, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Scenario::parse(text, "scenario.toml", &[]) {
        Ok(scenario) => {
            let whole = scenario.to_toml();
            let again = Scenario::parse(&whole, "again.toml", &[]).expect("it was written from one");
            assert_eq!(again.to_toml(), whole);
        }
        Err(error) => check_scenario_message(&error),
    }
});
