//! Data sets from files, whole ones and broken ones.

use std::path::Path;

use npyz::WriterBuilder as _;
use proptest::prelude::*;
use tempfile::TempDir;
use trainscope::data::{Images, cifar10, image_folder, npy_images};

fn save<T: npyz::AutoSerialize + Clone>(path: &Path, shape: &[u64], values: &[T]) {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().cloned()).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn refused(result: trainscope::Result<Images>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn cifar10_records() {
    let folder = TempDir::new().unwrap();
    let record = |label: u8| {
        let pixels = (0..3072).map(move |i| (i as u8).wrapping_mul(label));
        std::iter::once(label).chain(pixels)
    };
    let batch: Vec<u8> = [3, 9].into_iter().flat_map(record).collect();
    let path = folder.path().join("data_batch_2.bin");
    std::fs::write(&path, &batch).unwrap();
    let images = cifar10(folder.path(), "train").unwrap();
    assert_eq!((images.count, images.shape), (2, [3, 32, 32]));
    assert_eq!((&images.labels[..], images.classes), (&[3, 9][..], 10));
    assert_eq!(images.pixels[3072..][..5], [0, 9, 18, 27, 36]);
    refused(cifar10(folder.path(), "test"), &["test_batch.bin"]);
    refused(cifar10(folder.path(), "all"), &["split 'all'"]);
    std::fs::write(&path, &batch[..5000]).unwrap();
    let parts = ["data_batch_2.bin", "whole number of records"];
    refused(cifar10(folder.path(), "train"), &parts);
    let mut wrong = batch;
    wrong[3073] = 10;
    std::fs::write(&path, &wrong).unwrap();
    refused(cifar10(folder.path(), "train"), &["record 1", "label 10"]);
}

#[test]
fn arrays_of_images() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("faces.npy");
    let bytes: Vec<u8> = (0..24).collect();
    save(&path, &[2, 3, 4], &bytes);
    let images = npy_images(&path).unwrap();
    assert_eq!((images.count, images.shape), (2, [1, 3, 4]));
    assert_eq!((&images.pixels, images.classes), (&bytes, 0));
    assert_eq!(images.name, "faces");
    save(&folder.path().join("faces.labels.npy"), &[2], &[4i64, 1]);
    let images = npy_images(&path).unwrap();
    assert_eq!((&images.labels[..], images.classes), (&[4, 1][..], 5));
    let floats: Vec<f32> = (0..12).map(|i| i as f32 / 11.0).collect();
    save(&path, &[2, 3, 2, 1], &floats);
    let images = npy_images(&path).unwrap();
    assert_eq!(images.shape, [3, 2, 1]);
    assert_eq!((images.pixels[0], images.pixels[11]), (0, 255));

    save(&folder.path().join("faces.labels.npy"), &[3], &[4i64, 1, 2]);
    refused(npy_images(&path), &["faces.labels.npy", "2 images"]);
    save(&folder.path().join("faces.labels.npy"), &[2], &[4i64, -1]);
    refused(npy_images(&path), &["value 1", "-1"]);
    save(&path, &[1, 1, 2], &[0.5f32, f32::NAN]);
    refused(npy_images(&path), &["value 1: NaN"]);
    save(&path, &[1, 2], &[0.5f32, 0.5]);
    refused(npy_images(&path), &["(1, 2)", "[count, height, width]"]);
    save(&path, &[1, 2, 1], &[1i32, 2]);
    refused(npy_images(&path), &["i4", "bytes"]);
    save(&path, &[1, 2, 1], &[1u8, 2]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    refused(npy_images(&path), &["cut short"]);
    refused(npy_images(&folder.path().join("none.npy")), &["none.npy"]);
}

#[test]
fn folders_of_images() {
    let folder = TempDir::new().unwrap();
    let paint = |name: &str, width: u32, height: u32, color: [u8; 3]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(width, height, image::Rgb(color))
            .save(path)
            .unwrap();
    };
    paint("b/one.png", 20, 10, [10, 20, 30]);
    paint("a/two.png", 3, 7, [40, 50, 60]);
    paint("a/three.jpg", 16, 16, [200, 200, 200]);
    std::fs::write(folder.path().join("a/broken.png"), b"\x89PNG and no more").unwrap();
    std::fs::write(folder.path().join("a/notes.txt"), "no image").unwrap();
    let images = image_folder(folder.path(), 4).unwrap();
    assert_eq!((images.count, images.shape), (3, [3, 4, 4]));
    assert_eq!((&images.labels[..], images.classes), (&[0, 0, 1][..], 2));
    assert_eq!(images.pixels[48..][..3], [40, 40, 40]);
    assert_eq!(images.pixels[48 + 16..][..2], [50, 50]);
    assert!(images.pixels[..48].iter().all(|&p| p.abs_diff(200) < 4));
    assert_eq!(images.skipped.len(), 1);
    assert!(
        images.skipped[0].contains("broken.png: "),
        "{:?}",
        images.skipped
    );

    let only_broken = folder.path().join("c");
    std::fs::create_dir(&only_broken).unwrap();
    std::fs::write(only_broken.join("x.jpg"), b"nothing").unwrap();
    refused(
        image_folder(&only_broken, 4),
        &["none of its 1 images", "x.jpg"],
    );
    let empty = folder.path().join("d");
    std::fs::create_dir(&empty).unwrap();
    refused(image_folder(&empty, 4), &["0 PNG or JPEG files"]);
    refused(image_folder(&folder.path().join("none"), 4), &["none"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a file holds, reading it ends with images or a sentence.
    #[test]
    fn no_file_brings_the_readers_down(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.png");
        let magic: [&[u8]; 3] = [b"", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", b"\xff\xd8\xff\xe0"];
        for magic in magic {
            std::fs::write(&path, [magic, &bytes].concat()).unwrap();
            let _ = image_folder(folder.path(), 2);
        }
        for name in ["test_batch.bin", "a.npy"] {
            std::fs::write(folder.path().join(name), &bytes).unwrap();
        }
        let _ = cifar10(folder.path(), "test");
        let _ = npy_images(&folder.path().join("a.npy"));
    }
}
