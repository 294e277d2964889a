//! Folders of images: the names come first, one a line, and all files hold the rest.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use trainscope::data::image_folder;
use trainscope_fuzz::{FOLDER, check_images, checked, emptied, halves, let_decoders_panic};

/// The most files of a folder.
const MAX_FILES: usize = 8;

/// Whether a name stays within the folder.
fn is_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
}

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let Some((names, image)) = halves(data) else {
        return;
    };
    let folder = FOLDER.join("images");
    emptied(&folder);
    for name in String::from_utf8_lossy(names).lines().take(MAX_FILES) {
        let path = folder.join(name);
        if is_inside(Path::new(name)) && !name.is_empty() {
            let made = path.parent().map(std::fs::create_dir_all);
            // Names that the file system refuses are no case.
            let _ = made.map(|made| made.and_then(|()| std::fs::write(&path, image)));
        }
    }
    if let Some(images) = checked(image_folder(&folder, 8)) {
        check_images(&images);
        assert!(images.class_names.len() == images.classes || images.labels.is_empty());
    }
});
