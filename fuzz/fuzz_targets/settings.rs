//! Settings that change a scenario, `KEY=VALUE`, one a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::train::Scenario;
use trainscope_fuzz::{check_scenario_message, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let settings: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if let Err(error) = Scenario::load("vae-mnist", &settings) {
        check_scenario_message(&error);
    }
});
