//! Buffers that are read as images, and the profiles of adapters without that.

use trainscope::gpu::{AdapterProfile, Gpu, MatmulKernel, Shader, groups};
use trainscope::trace::Statistic;
use trainscope::train::{Scenario, StepRecord, Trainer};

use crate::support::gpu;

/// Copies the vectors of a buffer that it reads as an image.
static COPY: Shader = Shader::new(
    "test/image_loads.wgsl",
    "// uses shared/image_loads.wgsl
@group(0) @binding(0) var source: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&copied)) {
        copied[id.x] = textureLoad(source, texel(id.x));
    }
}
",
);

#[test]
fn images_are_the_memory_of_their_buffer() {
    let gpu = gpu();
    if !gpu.profile().image_loads {
        return;
    }
    // Less than a row of an image, one, more, and parts of a buffer that start within a row and end in another.
    for (len, start) in [
        (1, 0),
        (70, 64),
        (4096, 0),
        (4097, 0),
        (70_000, 64),
        (70_000, 12_800),
    ] {
        let from = gpu.buffer::<f32>("from", len).unwrap();
        let to = gpu.buffer::<f32>("to", len - start).unwrap();
        let part = from.binding_of(start..len).as_image();
        let copy = gpu.kernel(&COPY, "main", &[]).bind(
            gpu,
            &[(0, part), (1, to.binding())],
            [groups((len - start).div_ceil(4), 64), 1, 1],
        );
        // Written after they were bound; and gone before they are read, but for those who hold on to their memory.
        let values: Vec<f32> = (0..len).map(|i| (i as f32).sqrt()).collect();
        gpu.write(&from, 0, &values);
        drop(from);
        gpu.run("copy", [&copy]);
        drop(copy);
        assert_eq!(
            gpu.read(&to).unwrap(),
            values[start..],
            "{len} from {start}"
        );
    }
    gpu.check().unwrap();
}

/// Three recorded steps of a scenario with a small batch.
fn train(gpu: &Gpu, name: &str) -> Vec<StepRecord> {
    let settings = ["train.batch=12".to_owned()];
    let scenario = Scenario::load(name, &settings).unwrap();
    let mut trainer = Trainer::new(gpu, &scenario).unwrap();
    (0..3)
        .map(|_| {
            trainer.step(true).unwrap();
            trainer.take(true).unwrap().expect("a record")
        })
        .collect()
}

/// Other adapters learn the same but for rounding.
#[test]
fn profiles_agree() {
    for profile in [AdapterProfile::GPU, AdapterProfile::CPU] {
        let other = gpu().clone().with_profile(profile).unwrap();
        assert!(!other.profile().image_loads);
        for name in ["vae-mnist", "conv-vae-mnist", "cnn-mnist", "gan-mnist"] {
            compare(name, &train(gpu(), name), &train(&other, name));
        }
        other.check().unwrap();
    }
}

fn compare(name: &str, ours: &[StepRecord], theirs: &[StepRecord]) {
    let near = |a: f32, b: f32, tolerance: f32| {
        (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
    };
    for (a, b) in ours.iter().zip(theirs) {
        for (index, (&a, &b)) in a.scalars.iter().zip(&b.scalars).enumerate() {
            assert!(near(a, b, 1e-3), "{name}: scalar {index} is {a} and {b}");
        }
        let [a, b] = [a, b].map(|record| record.statistics.as_ref().expect("recorded"));
        for (row, (a, b)) in a.iter().zip(b).enumerate() {
            // Zeros need not be zeros to the last bit: gradients that cancel, such as those of a bias before a norm.
            let compared = |statistic: &Statistic| *statistic != Statistic::ZeroFraction;
            for statistic in Statistic::ALL.into_iter().filter(compared) {
                let (a, b) = (a.get(statistic), b.get(statistic));
                let what = format!("{name}: {statistic:?} of row {row}");
                assert!(near(a, b, 2e-2), "{what} is {a} and {b}");
            }
        }
    }
}

#[test]
fn unsupported_profiles_are_rejected() {
    let unsupported = AdapterProfile {
        matmul: MatmulKernel::Subgroup { lanes: 4 },
        ..AdapterProfile::GPU
    };
    let error = gpu().clone().with_profile(unsupported);
    let error = error.expect_err("it has no image loads").to_string();
    assert!(error.contains("need image loads"), "{error}");
}
