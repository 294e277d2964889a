//! Images and labels in NumPy arrays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::data::npy_images;
use trainscope_fuzz::{check_images, checked, file, halves, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Some((labels, images)) = halves(data) else {
        return;
    };
    file("images.labels.npy", labels);
    if let Some(images) = checked(npy_images(&file("images.npy", images))) {
        check_images(&images);
    }
});
