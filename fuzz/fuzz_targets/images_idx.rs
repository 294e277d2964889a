//! Images and labels in IDX files, plain and compressed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::data::idx_directory;
use trainscope_fuzz::{FOLDER, check_images, checked, file, halves, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Some((labels, images)) = halves(data) else {
        return;
    };
    file("train-labels-idx1-ubyte", labels);
    file("train-images-idx3-ubyte", images);
    if let Some(images) = checked(idx_directory(&FOLDER, "train")) {
        check_images(&images);
    }
});
