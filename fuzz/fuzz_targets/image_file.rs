//! PNG and JPEG files, by their first bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainscope::data::image_folder;
use trainscope_fuzz::{FOLDER, check_images, checked, file, let_decoders_panic};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let (name, other) = match data.first() {
        Some(0xff) => ("images/image.jpg", "images/image.png"),
        _ => ("images/image.png", "images/image.jpg"),
    };
    let _ = std::fs::remove_file(FOLDER.join(other));
    file(name, data);
    if let Some(images) = checked(image_folder(&FOLDER.join("images"), 8)) {
        check_images(&images);
    }
});
