//! Augmentation and corruption against their reference implementations.

use trainscope::data::{
    Augmentation, AugmentationSample, BatchCursor, Batching, Corruption, Dataset, Order,
};
use trainscope::gpu::Buffer;

use super::{bits, images};
use crate::support::gpu;

#[test]
fn augmented_and_corrupted_batches_equal_the_reference() {
    let gpu = gpu();
    // Count, shape, batch: odd sizes, several channels, more than a workgroup's part of a row, and rows more than samples.
    let cases = [
        (5, [1, 3, 3], 4),
        (13, [1, 28, 28], 20),
        (7, [3, 5, 7], 3),
        (31, [2, 19, 23], 17),
    ];
    for (count, shape, batch) in cases {
        let images = images(count, shape);
        let size = shape.iter().product::<usize>();
        let corrupt = Corruption {
            samples: vec![1, count as u32 - 1],
            scale: 255.0,
        };
        for (flip, shift, damaged) in [
            (true, 0, false),
            (false, 2, false),
            (true, 1, true),
            (false, 0, true),
        ] {
            let augment = Augmentation { flip, shift };
            let batching = Batching {
                shuffle: true,
                seed: 5 << 40 | 9,
                augment: Some(augment),
                corrupt: damaged.then(|| corrupt.clone()),
            };
            let resident = Dataset::upload(gpu, &images).expect("uploaded");
            let streamed = Dataset::stream(images.clone(), 1 << 20).expect("sound");
            for data in [resident, streamed] {
                let cursor = BatchCursor::new(gpu, count, batch).expect("cursor");
                let pixels: Buffer<f32> = gpu.buffer("pixels", batch * size).unwrap();
                let mut gather = data
                    .gather(gpu, &cursor, &batching, &pixels, None)
                    .expect("dispatches");
                for step in [0u32, 1, 70_001] {
                    cursor.set_step(gpu, step.into()).expect("in range");
                    gather.prepare(gpu, step.into()).expect("packed");
                    gpu.run("batch", &gather.dispatches);
                    let order = Order {
                        count: count as u32,
                        batch: batch as u32,
                        shuffle: true,
                        seed: batching.seed,
                    };
                    let rows = order.samples(step.into()).into_iter().enumerate();
                    let expected: Vec<f32> = rows
                        .flat_map(|(row, sample)| {
                            let change = augment.sample(batching.seed, step, row as u32);
                            let image = &images.pixels[sample as usize * size..][..size];
                            let is_damaged = damaged && corrupt.samples.contains(&sample);
                            let factor = if is_damaged { 255.0 } else { 1.0 };
                            let changed = change.apply(image, shape).into_iter();
                            changed.map(move |byte| f32::from(byte) / 255.0 * factor)
                        })
                        .collect();
                    let got = gpu.read(&pixels).unwrap();
                    assert!(
                        bits(&got) == bits(&expected),
                        "{shape:?} {flip} {shift} {damaged} {step}"
                    );
                }
            }
        }
    }
}

#[test]
fn augmentation_mirrors_then_moves() {
    let image = [1, 2, 3, 4, 5, 6];
    let change = |flip, down, right| {
        let change = AugmentationSample { flip, down, right };
        change.apply(&image, [1, 2, 3])
    };
    assert_eq!(change(false, 0, 0), image);
    assert_eq!(change(true, 0, 0), [3, 2, 1, 6, 5, 4]);
    assert_eq!(change(false, 1, 0), [0, 0, 0, 1, 2, 3]);
    assert_eq!(change(false, 0, -1), [2, 3, 0, 5, 6, 0]);
    assert_eq!(change(true, -1, 1), [0, 6, 5, 0, 0, 0]);
}

/// Half of the images are mirrored, and every offset is equally likely.
#[test]
fn augmentation_offsets_are_uniform() {
    let augment = Augmentation {
        flip: true,
        shift: 2,
    };
    let mut flips = 0;
    let mut offsets = [[0u32; 5]; 2];
    for step in 0..100 {
        for row in 0..100 {
            let change = augment.sample(3, step, row);
            flips += u32::from(change.flip);
            offsets[0][(change.down + 2) as usize] += 1;
            offsets[1][(change.right + 2) as usize] += 1;
        }
    }
    // Five deviations: 50 for halves, 40 for fifths of 10,000.
    assert!(flips.abs_diff(5_000) < 250, "{flips}");
    for count in offsets.concat() {
        assert!(count.abs_diff(2_000) < 200, "{offsets:?}");
    }
}

#[test]
fn invalid_augmentation_and_corruption_is_refused() {
    let gpu = gpu();
    let data = Dataset::upload(gpu, &images(4, [1, 2, 5])).expect("uploaded");
    let cursor = BatchCursor::new(gpu, 4, 2).expect("cursor");
    let pixels = gpu.buffer("pixels", 20).unwrap();
    let refused = |batching: Batching| {
        let refused = data.gather(gpu, &cursor, &batching, &pixels, None);
        refused.expect_err("it does not fit").to_string()
    };
    let augment = Some(Augmentation {
        flip: false,
        shift: 2,
    });
    let error = refused(Batching {
        augment,
        ..Batching::default()
    });
    assert!(
        error.contains("shift = 2") && error.contains("2 x 5"),
        "{error}"
    );
    let corrupt = Some(Corruption {
        samples: vec![0, 4],
        scale: 2.0,
    });
    let error = refused(Batching {
        corrupt,
        ..Batching::default()
    });
    assert!(error.contains("no sample 4"), "{error}");
}
