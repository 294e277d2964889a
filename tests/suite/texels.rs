//! Buffers that are read as texels, and the same kernels without them.

use trainscope::gpu::{AdapterChoice, Gpu, Shader, groups};
use trainscope::trace::Statistic;
use trainscope::train::{Scenario, StepRecord, Trainer};

use crate::support::gpu;

/// Copies the vectors of a buffer that it reads as texels.
static COPY: Shader = Shader {
    path: "test/texels.wgsl",
    source: "// uses shared/texels.wgsl
@group(0) @binding(0) var source: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&copied)) {
        copied[id.x] = textureLoad(source, texel(id.x));
    }
}
",
};

#[test]
fn texels_are_the_memory_of_their_buffer() {
    let gpu = gpu();
    if !gpu.has_texels() {
        return;
    }
    // Less than a row of texels, one, more, and parts of a buffer that start within a row and end in another.
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
        let part = from.binding_of(start..len).as_texels();
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
fn learn(gpu: &Gpu, name: &str) -> Vec<StepRecord> {
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

/// What an adapter without texels runs, GPUs among them, learns the same but for rounding.
#[test]
fn kernels_agree_without_texels() {
    let plain = Gpu::new(&AdapterChoice::default())
        .unwrap()
        .without_texels();
    assert!(!plain.has_texels());
    for name in ["vae-mnist", "conv-vae-mnist", "cnn-mnist", "gan-mnist"] {
        let near = |a: f32, b: f32, tolerance: f32| {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
        };
        for (a, b) in learn(gpu(), name).iter().zip(&learn(&plain, name)) {
            for (place, (&a, &b)) in a.scalars.iter().zip(&b.scalars).enumerate() {
                assert!(near(a, b, 1e-3), "{name}: scalar {place} is {a} and {b}");
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
    plain.check().unwrap();
}
