//! Parameters in safetensors files. What is read can be written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::trace::{read_safetensors, write_safetensors};
use trainscope_fuzz::{FOLDER, checked, file, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    if let Some(tensors) = checked(read_safetensors(&file("a.safetensors", data))) {
        let path = FOLDER.join("b.safetensors");
        write_safetensors(&path, &tensors).expect("it was read");
        let again = read_safetensors(&path).expect("it was written");
        assert_eq!(format!("{again:?}"), format!("{tensors:?}"));
    }
});
