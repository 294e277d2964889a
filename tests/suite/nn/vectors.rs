//! Passes over whole buffers against plain loops.

use trainscope::gpu::{Binding, Dispatch};
use trainscope::nn::vectors::{add, clamp, fill};

use super::harness::Numbers;
use crate::support::gpu;

#[test]
fn passes_touch_their_range_and_nothing_else() {
    let gpu = gpu();
    for (len, range) in [
        (1, 0..1),
        (70, 3..67),
        (5000, 0..5000),
        (66_000, 65_535..65_999),
    ] {
        let mut numbers = Numbers::new(len as u64);
        let mut a = numbers.many(len, -2.0, 2.0);
        a[range.start] = f32::NAN;
        let b = numbers.many(len, -2.0, 2.0);
        let others = gpu.upload("others", &b).unwrap();
        let run = |make: &dyn Fn(Binding<'_>) -> Dispatch| {
            let elements = gpu.upload("elements", &a).unwrap();
            gpu.run("pass", [&make(elements.binding())]);
            gpu.read(&elements).unwrap()
        };
        let within = |i: usize| range.contains(&i);
        let same = |got: Vec<f32>, want: &dyn Fn(usize) -> f32| {
            for (i, got) in got.iter().enumerate() {
                let want = if within(i) { want(i) } else { a[i] };
                assert!(
                    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                    "{i}"
                );
            }
        };
        same(run(&|e| fill(gpu, e, range.clone(), 0.5)), &|_| 0.5);
        same(
            run(&|e| add(gpu, e, others.binding(), range.clone())),
            &|i| a[i] + b[i],
        );
        same(run(&|e| clamp(gpu, e, range.clone(), 0.25)), &|i| {
            if a[i].is_nan() {
                a[i]
            } else {
                a[i].clamp(-0.25, 0.25)
            }
        });
    }
}
