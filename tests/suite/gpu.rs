//! Buffers, grids, readback, adapters, kernels, and the shared shader functions.

use trainscope::gpu::{
    AdapterChoice, Dispatch, Gpu, ReadbackRing, Shader, Timer, adapter, grid, groups,
};
use trainscope::nn::ops::Activation;
use trainscope::nn::{Context, Forward, Operation};
use trainscope::random::{self, Stream};

use crate::support;

#[test]
fn buffers_hold_what_was_written() {
    let gpu = support::gpu();
    for len in [1usize, 2, 3, 4, 5, 15, 16, 17, 1001] {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + 1) as u8).collect();
        let buffer = gpu.upload("bytes", &bytes).expect("small");
        assert_eq!(buffer.len(), len);
        assert_eq!(buffer.raw().size() % 16, 0);
        assert_eq!(gpu.read(&buffer).expect("bytes"), bytes);
        let words: Vec<[u32; 3]> = (0..len as u32).map(|i| [i, !i, i << 9]).collect();
        let buffer = gpu.upload("words", &words).expect("small");
        assert_eq!(gpu.read(&buffer).expect("words"), words);
    }
    let empty = gpu.buffer::<f32>("empty", 0).expect("small");
    assert!(empty.is_empty());
    assert_eq!(gpu.read(&empty).expect("nothing"), [0f32; 0]);

    let buffer = gpu.buffer::<f32>("zeros", 70).expect("small");
    assert_eq!(gpu.read(&buffer).expect("zeros"), [0.0; 70]);
    gpu.write(&buffer, 3, &[1.0, 2.0]);
    let first = gpu.read(&buffer.prefix(5)).expect("five");
    assert_eq!(first, [0.0, 0.0, 0.0, 1.0, 2.0]);
    assert_eq!(
        gpu.read(&buffer.cast::<u32>()).expect("bits")[3],
        1f32.to_bits()
    );
    gpu.check().expect("no device error");
}

#[test]
fn too_large_buffers_are_rejected() {
    let gpu = support::gpu();
    let error = gpu
        .buffer::<f32>("images", 1 << 60)
        .expect_err("no adapter has that")
        .to_string();
    assert!(error.starts_with("buffer 'images': requires "), "{error}");
    assert!(error.contains(&gpu.info().name), "{error}");
    gpu.check().expect("nothing reached the device");
}

#[test]
fn grids_cover_every_item_below_the_limit() {
    for items in [
        0,
        1,
        63,
        64,
        65,
        64 * 32_768,
        64 * 32_768 + 1,
        64 * 65_536,
        1 << 31,
    ] {
        let [x, y, z] = grid(items, 64);
        assert!(x <= 65_535 && y <= 65_535 && z == 1);
        let all = u64::from(x) * u64::from(y);
        assert!(all * 64 >= items as u64);
        assert!(all < u64::from(groups(items, 64)) + 32_768);
    }
}

/// More workgroups than one row of a grid: the second row starts where the first ends.
#[test]
fn kernels_beyond_one_row_of_workgroups_cover_every_element() {
    let gpu = support::gpu();
    let count = 32_768 * 64 * 4 + 4 * 64 * 3 + 1;
    // Never zero, which is what an element that no invocation reaches holds.
    let value = |i: usize| (i % 2003) as f32 + 1.0;
    let x: Vec<f32> = (0..count).map(value).collect();
    let x = gpu.upload("x", &x).expect("34 MB");
    let y = gpu.buffer::<f32>("y", count).expect("34 MB");
    let step_counter = gpu.upload("clock", &[0u32]).expect("small");
    let context = Context {
        mode: trainscope::nn::Mode::Train,
        rule: trainscope::nn::BackwardRule::Gradient,
        gpu,
        batch: 1,
        step_counter: &step_counter,
        seed: 0,
        node: 0,
    };
    let shape = [count];
    let io = Forward {
        workspace: None,
        inputs: vec![&x],
        input_shapes: vec![&shape],
        parameters: Vec::new(),
        output: &y,
        output_shape: &shape,
    };
    let dispatches = Activation::Relu.forward(&context, &io).expect("it fits");
    gpu.run("long", &dispatches);
    let y = gpu.read(&y).expect("y");
    let wrong = (0..count).find(|&i| y[i] != value(i));
    assert_eq!(wrong, None);
}

#[test]
fn readback_ring_keeps_order_and_reports_full() {
    let gpu = support::gpu();
    let source = gpu.buffer::<u32>("source", 8).expect("small");
    let mut ring = ReadbackRing::new(gpu, "ring", 3, 12);
    assert!(ring.is_idle() && !ring.is_full());
    assert!(ring.take(gpu, true).expect("no error").is_none());
    let mut taken = Vec::new();
    for round in 0..10u32 {
        if ring.is_full() {
            let (tag, bytes) = ring
                .take(gpu, true)
                .expect("no error")
                .expect("three on the way");
            taken.push((tag, bytemuck::pod_collect_to_vec::<u8, u32>(&bytes)));
        }
        gpu.write(&source, 0, &[round, 10 * round, 20 * round, 30 * round]);
        let mut encoder = gpu.encoder("copy");
        // Two pieces, one behind the other.
        let pieces = [(source.raw(), 4, 4), (source.raw(), 8, 8)];
        ring.copy(&mut encoder, round, &pieces);
        gpu.queue.submit([encoder.finish()]);
        ring.submitted();
        assert!(!ring.is_idle());
    }
    while let Some((tag, bytes)) = ring.take(gpu, true).expect("no error") {
        taken.push((tag, bytemuck::pod_collect_to_vec::<u8, u32>(&bytes)));
    }
    assert!(ring.is_idle() && !ring.is_full());
    let expected: Vec<_> = (0..10u32)
        .map(|i| (i, vec![10 * i, 20 * i, 30 * i]))
        .collect();
    assert_eq!(taken, expected);
}

#[test]
fn unknown_adapter_error_lists_adapters() {
    let error = Gpu::new(&AdapterChoice::named("no such adapter"))
        .expect_err("it is not there")
        .to_string();
    assert!(error.starts_with("adapter 'no such adapter': "), "{error}");
    for adapter in adapter::list(&adapter::instance()) {
        assert!(error.contains(&adapter.get_info().name), "{error}");
    }
}

#[test]
fn adapter_is_found_by_part_of_its_name() {
    let name = support::gpu().info().name.clone();
    let part = name[..name.len() / 2].to_uppercase();
    let found = adapter::choose(&adapter::instance(), &AdapterChoice::named(&part), None)
        .expect("the adapter of the tests");
    assert!(found.get_info().name.to_uppercase().contains(&part));
}

/// A device that an application made, with the smallest limits there are by default.
#[test]
fn from_wgpu_device_gives_same_results() {
    let instance = adapter::instance();
    let adapter = adapter::choose(&instance, &AdapterChoice::default(), None).expect("an adapter");
    let (device, queue) =
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))
            .expect("a device");
    let gpu = Gpu::from_wgpu(adapter.get_info(), device, queue);
    assert_eq!(gpu.limits().max_compute_workgroups_per_dimension, 65_535);
    let out = normals(&gpu, &[[1, 2, 3, 4]]);
    assert_eq!(out, normals(support::gpu(), &[[1, 2, 3, 4]]));
    gpu.check().expect("no device error");
}

#[test]
fn timer_measures_passes() {
    let gpu = support::gpu();
    let Some(timer) = Timer::new(gpu) else {
        println!("the adapter has no timestamps");
        return;
    };
    let (_, dispatch) = normals_dispatch(gpu, &[[0; 4]; 1000]);
    let seconds = timer.measure(gpu, [&dispatch]).expect("no error");
    assert!((0.0..60.0).contains(&seconds), "{seconds} s");
}

static PHILOX: Shader = Shader::new(
    "test/philox.wgsl",
    "// uses shared/philox.wgsl
struct Draw { counter: vec4u, key: vec4u }
@group(0) @binding(0) var<storage, read> draws: array<Draw>;
@group(0) @binding(1) var<storage, read_write> words: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> normals: array<vec4f>;
@compute @workgroup_size(64)
fn bits(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&words) && id.x < arrayLength(&draws)) {
        words[id.x] = philox(draws[id.x].counter, draws[id.x].key.xy);
    }
}
@compute @workgroup_size(64)
fn normal(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&words) && id.x < arrayLength(&normals)) {
        normals[id.x] = standard_normal(words[id.x]);
    }
}
",
);

#[test]
fn philox_matches_reference() {
    let gpu = support::gpu();
    let mut draws = vec![[0u32; 8], [u32::MAX; 8]];
    for seed in [0, 7, u64::MAX - 5] {
        for step in [0, 1, 1 << 20] {
            for index in [0, 1, 65_535, 65_536, u32::MAX] {
                let [low, high] = random::key(seed);
                draws.push([index, step, Stream::Synthetic as u32, 0, low, high, 0, 0]);
            }
        }
    }
    // Counters and keys with bits all over.
    for i in 0..500 {
        let [a, b, c, d] = random::words(1, Stream::Synthetic, 0, i);
        let [e, f, ..] = random::words(2, Stream::Synthetic, 0, i);
        draws.push([a, b, c, d, e, f, 0, 0]);
    }
    let input = gpu.upload("draws", &draws).expect("small");
    let words = gpu.buffer::<[u32; 4]>("words", draws.len()).expect("small");
    let dispatch = gpu.kernel(&PHILOX, "bits", &[]).bind(
        gpu,
        &[(0, input.binding()), (1, words.binding())],
        [groups(draws.len(), 64), 1, 1],
    );
    gpu.run("philox", [&dispatch]);
    for (draw, words) in draws.iter().zip(gpu.read(&words).expect("words")) {
        let [a, b, c, d, e, f, ..] = *draw;
        assert_eq!(words, random::philox([a, b, c, d], [e, f]), "{draw:?}");
    }
}

fn normals_dispatch(
    gpu: &Gpu,
    words: &[[u32; 4]],
) -> (trainscope::gpu::Buffer<[f32; 4]>, Dispatch) {
    let input = gpu.upload("words", words).expect("small");
    let normals = gpu
        .buffer::<[f32; 4]>("normals", words.len())
        .expect("small");
    // The entry point writes `normals` and only reads `words`.
    let dispatch = gpu.kernel(&PHILOX, "normal", &[]).bind(
        gpu,
        &[(1, input.binding()), (2, normals.binding())],
        [groups(words.len(), 64), 1, 1],
    );
    (normals, dispatch)
}

fn normals(gpu: &Gpu, words: &[[u32; 4]]) -> Vec<[f32; 4]> {
    let (normals, dispatch) = normals_dispatch(gpu, words);
    gpu.run("normals", [&dispatch]);
    gpu.read(&normals).expect("normals")
}

#[test]
fn normal_numbers_agree_with_float64() {
    let gpu = support::gpu();
    let edges = [
        0,
        255,
        256,
        511,
        512,
        1 << 30,
        1 << 31,
        3 << 30,
        u32::MAX - 256,
        u32::MAX,
    ];
    let mut words: Vec<[u32; 4]> = Vec::new();
    for a in edges {
        words.extend(edges.map(|b| [a, b, b, a]));
    }
    words.extend((0..50_000).map(|i| random::words(9, Stream::Synthetic, 0, i)));
    let (mut worst, mut sum, mut squares) = (0f64, 0f64, 0f64);
    for (word, got) in words.iter().zip(normals(gpu, &words)) {
        for (got, want) in got.into_iter().zip(random::standard_normal(*word)) {
            let off = (f64::from(got) - want).abs();
            assert!(off < 1e-5, "{word:?}: {got}, not {want}");
            worst = worst.max(off);
            sum += want;
            squares += want * want;
        }
    }
    println!("standard normal numbers: off by {worst:.1e} at most");
    let count = 4.0 * words.len() as f64;
    assert!((sum / count).abs() < 0.02);
    assert!((squares / count - 1.0).abs() < 0.03);
}

static SLOW: Shader = Shader::new(
    "test/slow.wgsl",
    "
@group(0) @binding(0) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
    var value = result[0];
    for (var i = 0u; i < 20000u; i += 1u) {
        value = value * 0.999 + 1.0;
    }
    result[invocation.x & 63u] = value;
}
",
);

/// Two shaders with one path, as two crates may have them, are two kernels.
#[test]
fn kernels_are_shared_by_text() {
    const ONE: &str = "
@group(0) @binding(0) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(1)
fn main() {
    result[0] = 1.0;
}
";
    const TWO: &str = "
@group(0) @binding(0) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(1)
fn main() {
    result[0] = 2.0;
}
";
    let gpu = support::gpu();
    for (text, value) in [(ONE, 1.0), (TWO, 2.0)] {
        let result = gpu.buffer::<f32>("result", 1).expect("small");
        let kernel = gpu.kernel(&Shader::new("user/shader.wgsl", text), "main", &[]);
        let dispatch = kernel.bind(gpu, &[(0, result.binding())], [1, 1, 1]);
        gpu.run("user", [&dispatch]);
        assert_eq!(gpu.read(&result).expect("it runs"), [value]);
    }
    gpu.check().expect("no device error");
}

/// A buffer counts as long as something refers to it, a dispatch included.
#[test]
fn live_bytes_count_what_exists() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    let buffer = gpu.buffer::<f32>("result", 1000).expect("small");
    let part = buffer.prefix(10);
    drop(gpu.buffer::<f32>("gone", 500).expect("small"));
    assert_eq!(gpu.live_bytes(), 4000);
    assert_eq!(gpu.total_allocated_bytes(), 6000);
    let kernel = gpu.kernel(&SLOW, "main", &[]);
    let dispatch = kernel.bind(&gpu, &[(0, part.binding())], [1, 1, 1]);
    drop((buffer, part));
    assert_eq!(gpu.live_bytes(), 4000);
    drop(dispatch);
    assert_eq!(gpu.live_bytes(), 0);
}

#[test]
fn timeouts_are_errors() {
    let hasty = support::gpu()
        .clone()
        .with_timeout(std::time::Duration::from_millis(1));
    let result = hasty.buffer::<f32>("result", 64).expect("it fits");
    let slow =
        hasty
            .kernel(&SLOW, "main", &[])
            .bind(&hasty, &[(0, result.binding())], [1000, 1, 1]);
    hasty.run("slow", [&slow]);
    let error = hasty.wait().expect_err("it takes longer").to_string();
    assert!(error.contains("no answer for 1ms"), "{error}");
    support::gpu().wait().expect("it does answer");
}

/// Compiled kernels are kept from one device to the next, and a damaged file does no harm.
#[test]
fn kernels_are_built_side_by_side_and_need_not_be_used() {
    static STATISTICS: Shader = Shader::new(
        "trace/statistics.wgsl",
        include_str!("../../shaders/trace/statistics.wgsl"),
    );
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    let result = gpu.buffer::<f32>("result", 64).expect("it fits");
    // Far more than there are threads; the first is used at once, from here and from another thread.
    let kernel = gpu.kernel(&SLOW, "main", &[]);
    for targets in 1..=40 {
        gpu.kernel(
            &STATISTICS,
            "by_vectors",
            &[("TARGETS", f64::from(targets))],
        );
    }
    let dispatch = kernel.bind(&gpu, &[(0, result.binding())], [1, 1, 1]);
    std::thread::scope(|scope| {
        scope.spawn(|| gpu.run("there", [&dispatch]));
        gpu.run("here", [&dispatch]);
    });
    assert!(gpu.read(&result).expect("it runs")[0] > 0.0);
    gpu.check().expect("no device error");
    // What is not built yet is left: the device goes without a wait for it, and without an error.
    drop(gpu);
}

#[test]
fn kernels_are_cached_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("new");
    let read = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(&cache).expect("it was made");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
            .collect()
    };
    let compile = || {
        let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
        let gpu = gpu.with_kernel_cache(&cache);
        let result = gpu.buffer::<f32>("result", 64).expect("it fits");
        let kernel = gpu.kernel(&SLOW, "main", &[]);
        gpu.run(
            "once",
            [&kernel.bind(&gpu, &[(0, result.binding())], [1, 1, 1])],
        );
        assert!(gpu.read(&result).expect("it runs")[0] > 0.0);
        gpu.device
            .features()
            .contains(wgpu::Features::PIPELINE_CACHE)
    };
    if !compile() {
        return;
    }
    let files = read();
    assert_eq!(files.len(), 1);
    compile();
    assert_eq!(read(), files, "nothing new was compiled");
    std::fs::write(&files[0].0, b"no cache").expect("a file");
    compile();
    assert_eq!(read()[0].1.len(), files[0].1.len());
}
