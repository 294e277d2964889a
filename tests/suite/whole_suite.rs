//! What only the suite as a whole can show. The name sorts this after all other tests, so it is started last.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use trainscope::gpu::expand;

use crate::{shaders, support};

/// Measured and not compared: the peak rates of an adapter.
const WITHOUT_REFERENCE: &str = "bench/";
/// The longest time for which no test that still runs asks for another kernel.
const PATIENCE: Duration = Duration::from_secs(300);

/// Labels of all compute entry points, as [`trainscope::gpu::Kernel::label`].
fn entry_points() -> BTreeSet<String> {
    let mut files = Vec::new();
    shaders::wgsl_files(&shaders::folder(), &mut files);
    let mut labels = BTreeSet::new();
    for file in files {
        let path = file.strip_prefix(shaders::folder()).expect("below it");
        let path = path.to_str().expect("UTF-8").replace('\\', "/");
        let text = std::fs::read_to_string(&file).expect("readable");
        let module = naga::front::wgsl::parse_str(&expand(&text)).expect("valid WGSL");
        let entries = module.entry_points.iter();
        labels.extend(
            entries
                .filter(|entry| entry.stage == naga::ShaderStage::Compute)
                .map(|entry| format!("{path}:{}", entry.name)),
        );
    }
    labels
}

/// Every kernel is run by some test, with the profile of the adapter or with that of GPUs. Where only some of the tests
/// were asked for, or the adapter is not one for all kernels, there is nothing to check.
#[test]
fn runs_every_kernel() {
    let is_flag = |argument: &String| argument.starts_with("--test-threads=");
    let flags = ["--nocapture", "--quiet", "-q"];
    let is_whole = std::env::args()
        .skip(1)
        .all(|argument| flags.contains(&argument.as_str()) || is_flag(&argument));
    let gpu = support::gpu();
    if !is_whole || !gpu.profile().image_loads {
        return;
    }
    let all = entry_points();
    assert!(all.len() > 80, "{all:?}");
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let built: BTreeSet<String> = gpu.kernel_labels().into_iter().collect();
        let missing: Vec<&String> = all
            .difference(&built)
            .filter(|label| !label.starts_with(WITHOUT_REFERENCE))
            .collect();
        if missing.is_empty() {
            return;
        }
        if built.len() > last {
            (last, since) = (built.len(), Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "no test runs {missing:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
