//! Drivers that fail: whatever call of Vulkan is refused, a command ends with one sentence and exit code 1, and a run that
//! was training resumes.
//!
//! The calls fail through a layer of Vulkan, `tests/fault_layer/fault_layer.c`, which the test compiles. Where there is no C
//! compiler, or the loader of Vulkan does not take the layer, the tests say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::support::SMALL;

const OUT_OF_HOST_MEMORY: i32 = -1;
const OUT_OF_DEVICE_MEMORY: i32 = -2;
const DEVICE_LOST: i32 = -4;

/// The calls that fail, of a driver that every adapter of Vulkan has.
const CALLS: [&str; 11] = [
    "vkCreateImage",
    "vkCreateImageView",
    "vkCreateFramebuffer",
    "vkCreateRenderPass",
    "vkCreateBuffer",
    "vkAllocateMemory",
    "vkCreateDescriptorSetLayout",
    "vkAllocateDescriptorSets",
    "vkCreateComputePipelines",
    "vkQueueSubmit",
    "vkEndCommandBuffer",
];

/// The folder of the compiled layer and its manifest, or why there is none.
fn layer() -> &'static Result<PathBuf, String> {
    static LAYER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    LAYER.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return Err("the layer is compiled on Linux only".to_owned());
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault_layer");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_layer/fault_layer.c");
        let compiled = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"])
            .args(["-fvisibility=hidden", "-o"])
            .arg(folder.join("libfault_layer.so"))
            .arg(source)
            .output()
            .map_err(|error| format!("no C compiler: {error}"))?;
        assert!(compiled.status.success(), "{compiled:?}");
        let manifest = serde_json::json!({
            "file_format_version": "1.1.2",
            "layer": {
                "name": "VK_LAYER_TRAINSCOPE_fault",
                "type": "GLOBAL",
                "library_path": "./libfault_layer.so",
                "api_version": "1.3.0",
                "implementation_version": "1",
                "description": "Makes one call fail",
            },
        });
        let text = manifest.to_string();
        fs::write(folder.join("fault_layer.json"), text).map_err(|error| error.to_string())?;
        Ok(folder)
    })
}

/// A call that fails: its name, its number among the calls of that name, and the result.
type Fault = (&'static str, usize, i32);

/// Runs the program under the layer; `counts` gets the numbers of calls.
fn run(
    layer: &Path,
    folder: &Path,
    arguments: &[&str],
    fault: Option<Fault>,
    counts: &Path,
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainscope"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).env("XDG_CACHE_HOME", folder);
    command.env("VK_LAYER_PATH", layer);
    command.env("VK_INSTANCE_LAYERS", "VK_LAYER_TRAINSCOPE_fault");
    command.env("FAULT_COUNTS", counts);
    if let Some((call, number, result)) = fault {
        command.env("FAULT_CALL", call);
        command.env("FAULT_AT", number.to_string());
        command.env("FAULT_RESULT", result.to_string());
    }
    command.output().unwrap()
}

/// How often each call is made when none fails; `None`, said aloud, where faults cannot be made here.
fn count(folder: &Path, arguments: &[&str]) -> Option<Vec<(String, usize)>> {
    let layer = match layer() {
        Ok(layer) => layer,
        Err(reason) => {
            println!("skipped: {reason}");
            return None;
        }
    };
    let counts = folder.join("counts");
    let output = run(layer, folder, arguments, None, &counts);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = fs::read_to_string(&counts).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let counts: Vec<(String, usize)> = lines
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect();
    let is_used = counts.iter().any(|(_, count)| *count > 0);
    if !is_used {
        println!("skipped: the loader of Vulkan does not take the layer");
    }
    is_used.then_some(counts)
}

/// Whether the command went on without what was refused. If not, it must have ended with exactly one sentence, exit code 1
/// and nothing else on stderr but lines of progress.
fn is_unaffected(output: &Output, fault: Fault) -> bool {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let sentences = text.lines().filter(|line| line.starts_with("trainscope: "));
    let sentences: Vec<&str> = sentences.collect();
    assert!(!text.contains("panicked"), "{fault:?}: {text}");
    match output.status.code() {
        Some(0) => assert_eq!(sentences.len(), 0, "{fault:?}: {text}"),
        code => {
            assert_eq!(code, Some(1), "{fault:?}: {:?} {text}", output.status);
            let [sentence] = sentences[..] else {
                panic!("{fault:?}: {text}");
            };
            assert!(sentence.contains("; "), "{fault:?}: {sentence}");
            assert!(!sentence.contains("bug"), "{fault:?}: {sentence}");
            assert!(!sentence.contains("/src/"), "{fault:?}: {sentence}");
        }
    }
    output.status.code() == Some(0)
}

/// Lets a command fail at a call of every name, after so many tenths of its calls, with the three results in turn.
fn faults_of(counts: &[(String, usize)], tenths: usize) -> Vec<Fault> {
    let results = [OUT_OF_HOST_MEMORY, OUT_OF_DEVICE_MEMORY, DEVICE_LOST];
    let calls = CALLS.into_iter().zip(results.into_iter().cycle());
    let faults = calls.map(|(call, result)| {
        let count = counts.iter().find(|(name, _)| name == call);
        let count = count.map_or(0, |(_, count)| *count);
        (call, (count * tenths).div_ceil(10), result)
    });
    faults.filter(|(_, number, _)| *number > 0).collect()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let short = SMALL.replace("steps = 40", "steps = 6");
    let short = short.replace("checkpoint_every = 10", "checkpoint_every = 2");
    fs::write(folder.path().join("small.toml"), short).unwrap();
    folder
}

#[test]
fn training_that_fails_says_why_and_resumes() {
    let folder = folder();
    let path = folder.path();
    let Some(counts) = count(path, &["train", "small.toml", "--out", "whole"]) else {
        return;
    };
    let layer = layer().as_ref().unwrap();
    let whole = fs::read_to_string(path.join("whole/checkpoints/000006/digest")).unwrap();
    for (index, fault) in faults_of(&counts, 5).into_iter().enumerate() {
        let name = format!("run{index}");
        let arguments = ["train", "small.toml", "--out", &name];
        let output = run(layer, path, &arguments, Some(fault), &path.join("counts"));
        let is_unaffected = is_unaffected(&output, fault);
        // Where not even the first checkpoint was written, there is nothing to resume.
        if !path.join(&name).join("checkpoints/000000/digest").is_file() {
            continue;
        }
        let resumed = Command::new(env!("CARGO_BIN_EXE_trainscope"))
            .args(["train", "--resume", &name, "--steps", "6"])
            .current_dir(path)
            .output()
            .unwrap();
        assert_eq!(resumed.status.code(), Some(0), "{fault:?}: {resumed:?}");
        // An adapter that was refused something when it was set up may have trained with other kernels.
        if is_unaffected {
            continue;
        }
        let digest = path.join(&name).join("checkpoints/000006/digest");
        assert_eq!(fs::read_to_string(digest).unwrap(), whole, "{fault:?}");
    }
}

#[test]
fn reports_and_samples_that_fail_say_why() {
    let folder = folder();
    let path = folder.path();
    let train = ["train", "small.toml", "--out", "run"];
    if count(path, &train).is_none() {
        return;
    }
    let layer = layer().as_ref().unwrap();
    let sample = ["sample", "run", "--keep", "5", "--plot", "lines.png"];
    for (arguments, tenths) in [(&["report", "run"][..], 4), (&sample, 8)] {
        let counts = count(path, arguments).expect("the layer is used");
        let mut failed = 0;
        // Memory is asked for all along, for the parts of a picture too.
        let of_memory = [6, 8, 9].map(|tenths| faults_of(&counts, tenths));
        let of_memory = of_memory.into_iter().flatten();
        let of_memory = of_memory.filter(|(call, ..)| *call == "vkAllocateMemory");
        for fault in faults_of(&counts, tenths).into_iter().chain(of_memory) {
            let output = run(layer, path, arguments, Some(fault), &path.join("counts"));
            let is_unaffected = is_unaffected(&output, fault);
            failed += usize::from(!is_unaffected);
            if is_unaffected && arguments[0] == "report" {
                let html = fs::read_to_string(path.join("run/report/index.html")).unwrap();
                for part in ["No images: ", "No charts of "] {
                    assert!(
                        !html.contains(part),
                        "{fault:?}: a part is missing without a word"
                    );
                }
            }
        }
        assert!(failed > 5, "{arguments:?}: only {failed} calls mattered");
    }
}

/// A damaged cache of pipelines costs time, never a run.
#[test]
fn a_damaged_cache_of_pipelines_is_made_again() {
    let folder = folder();
    let path = folder.path();
    let sample = |expected: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_trainscope"))
            .args(["train", "small.toml", "--out", expected])
            .current_dir(path)
            .env("XDG_CACHE_HOME", path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{expected}: {output:?}");
    };
    sample("first");
    let Ok(files) = fs::read_dir(path.join("trainscope")) else {
        println!("skipped: the adapter has no cache of pipelines");
        return;
    };
    let file = files.map(|file| file.unwrap().path()).next();
    let file = file.expect("the cache has a file");
    let good = fs::read(&file).unwrap();
    let mut zeroed = good.clone();
    zeroed[..64].fill(0);
    let mut middle = good.clone();
    middle[good.len() / 2] ^= 0x55;
    let damaged = [
        &zeroed[..],
        &middle,
        &good[..good.len() / 3],
        &good[..20],
        b"",
    ];
    for (index, damaged) in damaged.into_iter().enumerate() {
        fs::write(&file, damaged).unwrap();
        sample(&format!("run{index}"));
        assert_ne!(fs::read(&file).unwrap(), damaged, "case {index}");
    }
}
