//! Data sets that stay in main memory give the same batches and the same runs as those on the GPU.

use trainscope::data::{BatchCursor, Dataset, Images};
use trainscope::trace::{Checkpoint, RunReader};
use trainscope::train::{Run, Scenario, Trainer};

use super::{bits, images, plain};
use crate::support::{SMALL, end, gpu, verify_replay};

/// What the steps of `order` leave: samples, pixels, labels.
fn batches(data: &Dataset, batch: usize, order: &[u64]) -> Vec<(Vec<u32>, Vec<u32>, Vec<u32>)> {
    let gpu = gpu();
    let cursor = BatchCursor::new(gpu, data.count(), batch).expect("cursor");
    let pixels = gpu.buffer("pixels", batch * data.sample_size()).unwrap();
    let labels = gpu.buffer("labels", batch).unwrap();
    let mut gather = data
        .gather(gpu, &cursor, &plain(true, 5), &pixels, Some(&labels))
        .expect("dispatches");
    let read = |step: &u64| {
        cursor.set_step(gpu, *step).expect("in range");
        gather.prepare(gpu, *step).expect("packed");
        gpu.run("batch", &gather.dispatches);
        (
            gpu.read(&gather.samples).unwrap(),
            bits(&gpu.read(&pixels).unwrap()),
            gpu.read(&labels).unwrap(),
        )
    };
    order.iter().map(read).collect()
}

#[test]
fn streamed_batches_are_the_resident_ones() {
    // In a row over many chunks, and with jumps: back, within a chunk, to the next and far away.
    let in_a_row: Vec<u64> = (0..150).collect();
    let jumps = [
        7, 8, 7, 6, 0, 31, 32, 33, 64, 63, 127, 95, 1_000_003, 1, 2, 40,
    ];
    for (count, shape, batch) in [(13, [1, 5, 5], 4), (7, [2, 3, 3], 9), (300, [1, 4, 4], 3)] {
        let images = images(count, shape);
        let resident = Dataset::upload(gpu(), &images).expect("uploaded");
        let row = 4 * (images.pixels.len() / count).div_ceil(4) + 4;
        // Room for chunks of one step, of some, of many.
        for steps in [1, 5, 1000] {
            let room = (2 * steps * row * batch) as u64;
            let streamed = Dataset::stream(images.clone(), room).expect("sound");
            assert!(streamed.is_streamed() && !resident.is_streamed());
            for order in [&in_a_row[..], &jumps] {
                let same = batches(&streamed, batch, order) == batches(&resident, batch, order);
                assert!(same, "{count} {shape:?} {batch} {steps}");
            }
        }
        let too_little = Dataset::stream(images, (2 * row * batch - 1) as u64).expect("sound");
        let cursor = BatchCursor::new(gpu(), count, batch).expect("cursor");
        let pixels = gpu().buffer("pixels", 1000).unwrap();
        let error = too_little.gather(gpu(), &cursor, &plain(true, 5), &pixels, None);
        let error = error.expect_err("no room").to_string();
        assert!(error.contains("two batches"), "{error}");
    }
}

#[test]
fn chosen_images_of_a_streamed_set() {
    let gpu = gpu();
    let images = images(9, [1, 3, 5]);
    let resident = Dataset::upload(gpu, &images).expect("uploaded");
    let streamed = Dataset::stream(images.clone(), 1 << 20).expect("sound");
    let chosen = [&images.pixels[8 * 15..], &images.pixels[..15]].concat();
    let expected: Vec<f32> = chosen.iter().map(|&b| f32::from(b) / 255.0).collect();
    for data in [resident, streamed] {
        let pixels = gpu.buffer("pixels", 2 * 15).unwrap();
        let labels = gpu.buffer("labels", 2).unwrap();
        let dispatches = data.gather_indices(gpu, &[8, 0], &pixels, Some(&labels));
        gpu.run("chosen", &dispatches.unwrap());
        assert_eq!(gpu.read(&pixels).unwrap(), expected);
        let classes = [8, 0].map(|i: usize| u32::from(images.labels[i]));
        assert_eq!(gpu.read(&labels).unwrap(), classes);
    }
}

fn scenario(settings: &[&str]) -> Scenario {
    // Steps are recorded as the scenario says, whatever happens in them.
    let fixed = ["record.around_events=0"];
    let settings = fixed.iter().chain(settings).map(|s| (*s).to_owned());
    let settings: Vec<String> = settings.collect();
    Scenario::parse(SMALL, "small", &settings).unwrap()
}

/// Digests and scalars.
fn contents(dir: &std::path::Path) -> String {
    let run = RunReader::open(dir).unwrap();
    let mut text = format!("{:?}", run.statistics(0, u64::MAX).unwrap());
    for (name, series) in run.scalars().unwrap() {
        let bits: Vec<_> = series.iter().map(|(s, v)| (s, v.to_bits())).collect();
        text += &format!("{name} {bits:?}\n");
    }
    for step in run.checkpoints().unwrap() {
        text += &format!("{step} {}\n", Checkpoint::read(dir, step).unwrap().digest());
    }
    text
}

#[test]
fn a_streamed_run_is_the_resident_one_also_resumed_and_replayed() {
    let scratch = tempfile::tempdir().unwrap();
    let [resident, streamed, halves] =
        ["resident", "streamed", "halves"].map(|name| scratch.path().join(name));
    // MNIST takes 7.5 MiB; this is room for chunks of four steps. The changes of images go with either.
    let changes = "data.augment={flip=true,shift=2}";
    let memory = "data.memory=\"256 KiB\"";
    let create = |settings: &[&str], dir| Run::create(gpu(), &scenario(settings), dir, None);
    end(create(&[changes], &resident).unwrap());
    let run = create(&[changes, memory], &streamed).unwrap();
    assert!(run.trainer().dataset().is_streamed());
    end(run);
    assert!(contents(&streamed) == contents(&resident));
    end(create(&[changes, memory, "train.steps=17"], &halves).unwrap());
    end(Run::resume(gpu(), &halves, Some(40)).unwrap());
    let checked = verify_replay(&halves, 13..33).unwrap();
    assert_eq!(checked.differences, Vec::<String>::new());
    // Four scalars of each step from the checkpoint at 10 on, and of six recorded ones the norms of ten gradients.
    assert_eq!(checked.scalars, 4 * 23 + 6 * 10);
    let run = RunReader::open(&halves).unwrap();
    let last = |dir: &std::path::Path| Checkpoint::read(dir, 40).unwrap().digest();
    assert_eq!(run.info().steps_done, 40);
    assert_eq!(last(&halves), last(&resident));
}

/// A set larger than what one binding of the adapter holds, on a device whose limits say so.
#[test]
fn a_set_beyond_the_limit_trains() {
    let gpu = gpu().clone().with_max_binding_size(1 << 20);
    let trainer = |gpu| Trainer::new(gpu, &scenario(&[])).expect("it is streamed");
    let mut trainer = trainer(&gpu);
    assert!(trainer.dataset().is_streamed());
    let mut losses = Vec::new();
    for _ in 0..60 {
        trainer.step(false).expect("it runs");
        losses.extend(trainer.take(true).expect("it runs"));
    }
    assert!(losses[59].scalars[0] < 0.8 * losses[0].scalars[0]);
}

#[test]
fn sizes_that_do_not_fit_are_refused_before() {
    let broken = Images {
        count: 3,
        ..images(2, [1, 2, 2])
    };
    assert!(Dataset::stream(broken, 1 << 20).is_err());
    let error = Trainer::new(gpu(), &scenario(&["data.memory=1000"]))
        .map(|_| ())
        .expect_err("no room")
        .to_string();
    for part in ["mnist", "two batches of 32", "1000 B"] {
        assert!(error.contains(part), "{error}");
    }
}
