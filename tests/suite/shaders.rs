//! Every WGSL file is valid.

use std::path::{Path, PathBuf};

use trainscope::gpu::expand;

/// The folder of this crate's shaders.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")
}

/// All WGSL files below `folder`.
pub fn wgsl_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            wgsl_files(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wgsl")
        {
            files.push(path);
        }
    }
}

#[test]
fn every_file_is_valid_wgsl() {
    let mut files = Vec::new();
    wgsl_files(&folder(), &mut files);
    assert!(!files.is_empty());
    for path in files {
        let text = expand(&std::fs::read_to_string(&path).expect("readable"));
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| {
            panic!(
                "{}",
                error.emit_to_string_with_path(&text, &path.display().to_string())
            )
        });
        naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::SUBGROUP,
        )
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::SHUFFLE)
        .validate(&module)
        .unwrap_or_else(|error| {
            panic!(
                "{}",
                error.emit_to_string_with_path(&text, &path.display().to_string())
            )
        });
    }
}
