//! A file of CIFAR-10's binary version. A record has 3,073 bytes: the input is repeated up to its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::data::cifar10;
use trainscope_fuzz::{FOLDER, check_images, checked, file, halves, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Some((length, pattern)) = halves(data) else {
        return;
    };
    let length = length.iter().fold(0, |sum, byte| (sum << 8 | usize::from(*byte)) % 10_000);
    let bytes: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
    file("test_batch.bin", &bytes);
    if let Some(images) = checked(cifar10(&FOLDER, "test")) {
        check_images(&images);
    }
});
