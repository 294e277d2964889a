//! Reading, shuffling and batching against twins on the CPU.

use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use trainscope::data::{
    Augmentation, BatchCursor, Batching, Dataset, Images, Order, Permutation, Scaling,
    idx_directory, mnist,
};
use trainscope::gpu::Buffer;

mod augmentation;
mod identity;
mod sources;
mod streaming;

use crate::support::gpu;

fn images(count: usize, shape: [usize; 3]) -> Images {
    let size: usize = shape.iter().product();
    Images {
        count,
        shape,
        pixels: (0..count * size)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8)
            .collect(),
        labels: (0..count).map(|i| (i * 7 % 10) as u8).collect(),
        classes: 10,
        name: "made up".to_owned(),
        ..Images::default()
    }
}

/// Row by row what the batch of `step` should hold.
fn expected(
    images: &Images,
    data: &Dataset,
    step: u64,
    batch: usize,
    shuffle: bool,
) -> (Vec<u32>, Vec<f32>, Vec<u32>) {
    let size = data.sample_size();
    let order = Order {
        count: images.count as u32,
        batch: batch as u32,
        shuffle,
        seed: 5,
    };
    let samples = order.samples(step);
    let pixels = samples
        .iter()
        .flat_map(|&sample| &images.pixels[sample as usize * size..][..size])
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    let label = |&sample: &u32| images.labels[sample as usize].into();
    let labels = samples.iter().map(label).collect();
    (samples, pixels, labels)
}

#[test]
fn batches_equal_their_twin() {
    let gpu = gpu();
    // Count, shape, batch: odd sizes, one value, more rows than samples, more than one row of workgroups.
    let cases = [
        (1, [1, 1, 1], 1),
        (3, [1, 1, 3], 7),
        (5, [3, 5, 7], 5),
        (13, [1, 28, 28], 4),
        (7, [1, 2, 2], 70),
        (31, [2, 9, 29], 17),
        (97, [1, 1, 1], 40_000),
    ];
    for (count, shape, batch) in cases {
        let images = images(count, shape);
        let data = Dataset::upload(gpu, &images).expect("uploaded");
        let cursor = BatchCursor::new(gpu, count, batch).expect("cursor");
        let pixels = gpu.buffer("pixels", batch * data.sample_size()).unwrap();
        let labels = gpu.buffer("labels", batch).unwrap();
        for shuffle in [false, true] {
            let gather = data
                .gather(gpu, &cursor, &plain(shuffle, 5), &pixels, Some(&labels))
                .expect("dispatches");
            let mut step = gather.dispatches.clone();
            step.push(cursor.advance());
            for start in [0, 1_000_003] {
                cursor.set_step(gpu, start).expect("in range");
                for step_number in start..start + 4 {
                    gpu.run("batch", &step);
                    let (samples, values, classes) =
                        expected(&images, &data, step_number, batch, shuffle);
                    let case = format!("{count} {shape:?} {batch} {shuffle} {step_number}");
                    assert!(gpu.read(&gather.samples).unwrap() == samples, "{case}");
                    assert!(bits(&gpu.read(&pixels).unwrap()) == bits(&values), "{case}");
                    assert!(gpu.read(&labels).unwrap() == classes, "{case}");
                }
                let position = (start + 4) as u128 * batch as u128;
                let at = [
                    start as u32 + 4,
                    (position / count as u128) as u32,
                    (position % count as u128) as u32,
                    0,
                ];
                assert_eq!(gpu.read(cursor.buffer()).unwrap(), at);
            }
        }
    }
}

/// Batches in this order, unchanged.
fn plain(shuffle: bool, seed: u64) -> Batching {
    Batching {
        shuffle,
        seed,
        ..Batching::default()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Scaled and shifted behind everything else, in images of every kernel, where they are mirrored and moved too.
#[test]
fn values_are_scaled_and_shifted_last() {
    let gpu = gpu();
    for (shape, augment) in [
        ([1, 2, 2], None),
        ([1, 3, 3], None),
        (
            [3, 5, 7],
            Some(Augmentation {
                flip: true,
                shift: 2,
            }),
        ),
    ] {
        let plain_images = images(6, shape);
        let scaling = Scaling {
            scale: 2.0,
            shift: -1.0,
        };
        let scaled_images = Images {
            scaling,
            ..plain_images.clone()
        };
        let batch = |images: &Images| {
            let data = Dataset::upload(gpu, images).expect("uploaded");
            let cursor = BatchCursor::new(gpu, 6, 9).expect("cursor");
            let pixels = gpu.buffer("pixels", 9 * data.sample_size()).unwrap();
            let batching = Batching {
                augment,
                ..plain(true, 5)
            };
            let gather = data.gather(gpu, &cursor, &batching, &pixels, None);
            gpu.run("batch", &gather.expect("dispatches").dispatches);
            let chosen = gpu.buffer("chosen", 2 * data.sample_size()).unwrap();
            gpu.run(
                "chosen",
                &data.gather_indices(gpu, &[4, 1], &chosen, None).unwrap(),
            );
            [gpu.read(&pixels).unwrap(), gpu.read(&chosen).unwrap()].concat()
        };
        // Twice a float is exact, so that there is one right result.
        let expected: Vec<f32> = batch(&plain_images).iter().map(|v| 2.0 * v - 1.0).collect();
        assert!(bits(&batch(&scaled_images)) == bits(&expected), "{shape:?}");
    }
}

#[test]
fn every_byte_is_scaled_as_by_division() {
    let gpu = gpu();
    let all = Images {
        count: 1,
        shape: [1, 16, 16],
        pixels: (0..=255).collect(),
        labels: Vec::new(),
        classes: 0,
        name: "bytes".to_owned(),
        ..Images::default()
    };
    let data = Dataset::upload(gpu, &all).expect("uploaded");
    let pixels: Buffer<f32> = gpu.buffer("pixels", 256).unwrap();
    gpu.run(
        "bytes",
        &data.gather_indices(gpu, &[0], &pixels, None).unwrap(),
    );
    for (byte, value) in gpu.read(&pixels).unwrap().iter().enumerate() {
        let divided = byte as f32 / 255.0;
        assert_eq!(value.to_bits(), divided.to_bits(), "{byte}");
    }
}

#[test]
fn shuffled_epochs_hold_every_sample_once() {
    let gpu = gpu();
    let count = 10_000;
    let images = images(count, [1, 1, 1]);
    let data = Dataset::upload(gpu, &images).expect("uploaded");
    let cursor = BatchCursor::new(gpu, count, count).expect("cursor");
    let pixels = gpu.buffer("pixels", count).unwrap();
    let gather = data
        .gather(gpu, &cursor, &plain(true, 99), &pixels, None)
        .unwrap();
    let mut orders = Vec::new();
    for epoch in 0..2 {
        gpu.run("epoch", &gather.dispatches);
        gpu.run("advance", &[cursor.advance()]);
        let order = gpu.read(&gather.samples).unwrap();
        let reference = Permutation::new(count as u32, 99, epoch);
        assert!((0..count).all(|position| order[position] == reference.at(position as u32)));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..count as u32));
        orders.push(order);
    }
    assert_ne!(orders[0], orders[1]);
}

#[test]
fn chosen_images_come_in_the_asked_order() {
    let gpu = gpu();
    let images = images(9, [1, 3, 5]);
    let data = Dataset::upload(gpu, &images).expect("uploaded");
    let pixels = gpu.buffer("pixels", 3 * 15).unwrap();
    let chosen = data.gather_indices(gpu, &[8, 0, 8], &pixels, None);
    gpu.run("chosen", &chosen.unwrap());
    let expected: Vec<f32> = [8, 0, 8]
        .iter()
        .flat_map(|&i| &images.pixels[i * 15..][..15])
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    assert_eq!(gpu.read(&pixels).unwrap(), expected);
    let error = data.gather_indices(gpu, &[9], &pixels, None).unwrap_err();
    assert!(error.to_string().contains("image 9"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let gpu = gpu();
    let mut made = images(4, [1, 2, 2]);
    let data = Dataset::upload(gpu, &made).expect("uploaded");
    assert!(BatchCursor::new(gpu, 4, 0).is_err());
    assert!(BatchCursor::new(gpu, 0, 1).is_err());
    let cursor = BatchCursor::new(gpu, 4, 3).expect("cursor");
    assert!(cursor.set_step(gpu, 1 << 32).is_err());
    let small = gpu.buffer("small", 11).unwrap();
    assert!(
        data.gather(gpu, &cursor, &plain(true, 0), &small, None)
            .is_err()
    );
    let pixels = gpu.buffer("pixels", 12).unwrap();
    let few = gpu.buffer("few", 2).unwrap();
    let gather = data.gather(gpu, &cursor, &plain(true, 0), &pixels, Some(&few));
    assert!(gather.is_err());
    made.labels[2] = 10;
    let error = Dataset::upload(gpu, &made).unwrap_err().to_string();
    assert!(error.contains("image 2 has the label 10"), "{error}");
    made.pixels.pop();
    assert!(Dataset::upload(gpu, &made).is_err());
}

#[test]
fn the_embedded_digits_are_mnist() {
    let digits = mnist().expect("embedded");
    assert_eq!((digits.count, digits.shape), (10_000, [1, 28, 28]));
    assert_eq!(digits.pixels.len(), 10_000 * 784);
    // The first labels of the test set, and how often each digit occurs in it.
    assert_eq!(digits.labels[..8], [7, 2, 1, 0, 4, 1, 4, 9]);
    let mut counts = [0; 10];
    for &label in &digits.labels {
        counts[usize::from(label)] += 1;
    }
    let published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(counts, published);
    assert_eq!(digits.classes, 10);
}

/// An IDX file with this magic number and these sizes.
fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut file = magic.to_be_bytes().to_vec();
    for size in sizes {
        file.extend(size.to_be_bytes());
    }
    file.extend(body);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn small_images() -> Vec<u8> {
    let body: Vec<u8> = (0..24).collect();
    idx(0x803, &[2, 3, 4], &body)
}

#[test]
fn directories_hold_either_split_packed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("train-images-idx3-ubyte", &small_images());
    put("t10k-images.idx3-ubyte.gz", &gzip(&small_images()));
    put("t10k-labels.idx1-ubyte", &idx(0x801, &[2], &[4, 1]));
    let train = idx_directory(folder.path(), "train").expect("train");
    assert_eq!((train.count, train.shape), (2, [1, 3, 4]));
    assert!(train.labels.is_empty() && train.classes == 0);
    let test = idx_directory(folder.path(), "test").expect("test");
    assert_eq!(test.pixels, (0..24).collect::<Vec<u8>>());
    assert_eq!((test.labels, test.classes), (vec![4, 1], 5));
}

/// Fashion-MNIST comes in four files, packed, under the names of MNIST's.
#[test]
fn four_packed_files_are_both_splits() {
    let folder = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 6u32), ("t10k", 4)] {
        let pixels: Vec<u8> = (0..count * 784).map(|i| i as u8).collect();
        let labels: Vec<u8> = (0..count).map(|i| (9 - i) as u8).collect();
        for (name, file) in [
            ("images-idx3", idx(0x803, &[count, 28, 28], &pixels)),
            ("labels-idx1", idx(0x801, &[count], &labels)),
        ] {
            let path = folder.path().join(format!("{split}-{name}-ubyte.gz"));
            std::fs::write(path, gzip(&file)).unwrap();
        }
    }
    for (split, count) in [("train", 6), ("test", 4)] {
        let images = idx_directory(folder.path(), split).expect(split);
        assert_eq!((images.count, images.shape), (count, [1, 28, 28]));
        assert_eq!((images.classes, images.labels[1]), (10, 8), "{split}");
    }
}

fn refusal(folder: &Path, images: &[u8]) -> String {
    std::fs::write(folder.join("train-images-idx3-ubyte"), images).unwrap();
    idx_directory(folder, "train")
        .expect_err("unusable")
        .to_string()
}

#[test]
fn unusable_files_are_named_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(idx_directory(&path.join("nowhere"), "train").is_err());
    let error = idx_directory(path, "valid").unwrap_err().to_string();
    assert!(error.contains("'valid'"), "{error}");
    let error = idx_directory(path, "train").unwrap_err().to_string();
    assert!(error.contains("train-images-idx3-ubyte"), "{error}");

    let good = small_images();
    for (bytes, part) in [
        (good[..39].to_vec(), "ends at byte 39 of 40"),
        (good[..9].to_vec(), "ends at byte 9 of 16"),
        (Vec::new(), "ends at byte 0 of 16"),
        ([&good[..], &[0]].concat(), "after byte 40"),
        (idx(0x801, &[2], &[0, 1]), "unsigned bytes in 1 dimension"),
        (vec![3, 8, 0, 0, 1, 0], "0x03080000"),
        (idx(0x803, &[u32::MAX; 3], &[]), "sizes"),
        (idx(0x803, &[0, 28, 28], &[]), "sizes"),
        // A header that promises 2 GB costs no memory.
        (idx(0x803, &[2_000_000, 32, 32], &[1]), "ends at byte 17"),
        (gzip(&good)[..30].to_vec(), "unpacked"),
    ] {
        let error = refusal(path, &bytes);
        assert!(error.contains(part), "{error}");
        assert!(error.contains("train-images-idx3-ubyte"), "{error}");
    }
    std::fs::write(path.join("train-images-idx3-ubyte"), &good).unwrap();
    let labels = path.join("train-labels-idx1-ubyte");
    std::fs::write(&labels, idx(0x801, &[3], &[0, 1, 2])).unwrap();
    let error = idx_directory(path, "train").unwrap_err().to_string();
    assert!(error.contains("3 labels for 2 images"), "{error}");
}

#[test]
fn no_bent_bit_breaks_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train-images-idx3-ubyte");
    for good in [small_images(), gzip(&small_images())] {
        for bit in 0..good.len() * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &bent).unwrap();
            if let Ok(images) = idx_directory(folder.path(), "train") {
                assert_eq!(images.pixels.len(), 24);
            }
        }
    }
}
