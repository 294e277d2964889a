//! Rates of the matrix product in GFLOP/s, in both kernel variants and all three orientations.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use trainscope::gpu::{AdapterChoice, AdapterProfile, Dispatch, Gpu};
use trainscope::nn::matmul::{Matmul, MatrixLayout};

/// `C[m, n] = A[m, k] B[k, n]`.
fn product(gpu: &Gpu, [m, n, k]: [usize; 3], a: MatrixLayout, b: MatrixLayout) -> Dispatch {
    let buffer = |label, len: usize| {
        let values: Vec<f32> = (0..len).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
        gpu.upload::<f32>(label, &values).expect("fits")
    };
    let (left, right, out) = (buffer("a", m * k), buffer("b", k * n), buffer("c", m * n));
    Matmul {
        m,
        n,
        k,
        a: (left.binding(), a),
        b: (right.binding(), b),
        bias: None,
        c: out.binding(),
        bias_gradient: None,
        accumulate: false,
    }
    .dispatch(gpu)
    .expect("valid")
}

fn main() {
    let gpu = Gpu::new(&AdapterChoice::default()).expect("an adapter");
    println!("adapter: {}", gpu.describe());
    let tiled = gpu.clone().with_profile(AdapterProfile::GPU);
    let tiled = tiled.expect("every device runs the kernels of GPUs");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut group = criterion.benchmark_group("matmul");
    use MatrixLayout::{RowMajor, Transposed};
    let cases = [
        ("512 plain", [512, 512, 512], RowMajor, RowMajor),
        ("512 B transposed", [512, 512, 512], RowMajor, Transposed),
        ("512 A transposed", [512, 512, 512], Transposed, RowMajor),
        (
            "vae forward 128x400x784",
            [128, 400, 784],
            RowMajor,
            Transposed,
        ),
        (
            "vae weight gradient 400x784x128",
            [400, 784, 128],
            Transposed,
            RowMajor,
        ),
        ("latent 128x20x400", [128, 20, 400], RowMajor, Transposed),
        ("odd 127x401x783", [127, 401, 783], RowMajor, RowMajor),
    ];
    for (name, shape, a, b) in cases {
        let flops = 2 * shape.iter().product::<usize>() as u64;
        for gpu in [&gpu, &tiled] {
            let variant = gpu.profile().matmul;
            let dispatch = product(gpu, shape, a, b);
            let run = || {
                gpu.run("matmul", [black_box(&dispatch)]);
                gpu.wait().expect("it runs");
            };
            run();
            let start = Instant::now();
            for _ in 0..3 {
                run();
            }
            let rate = 3.0 * flops as f64 / start.elapsed().as_secs_f64() * 1e-9;
            println!("{name}, {variant:?}: {rate:.1} GFLOP/s");
            group.throughput(Throughput::Elements(flops));
            group.bench_function(BenchmarkId::new(name, format!("{variant:?}")), |bencher| {
                bencher.iter(run);
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
