//! Data sets from files, whole ones and broken ones.

use std::path::Path;

use npyz::WriterBuilder as _;
use proptest::prelude::*;
use tempfile::TempDir;
use trainscope::data::{Images, cifar10, idx_directory, image_folder, npy_images};

pub(super) fn save<T: npyz::AutoSerialize + Clone>(path: &Path, shape: &[u64], values: &[T]) {
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
    refused(
        cifar10(folder.path(), "train"),
        &[
            "1 of 5 training files",
            "data_batch_1.bin, data_batch_3.bin",
        ],
    );
    for index in [1, 3, 4, 5] {
        let path = folder.path().join(format!("data_batch_{index}.bin"));
        std::fs::write(path, &batch).unwrap();
    }
    let images = cifar10(folder.path(), "train").unwrap();
    assert_eq!((images.count, images.shape), (10, [3, 32, 32]));
    assert_eq!((&images.labels[2..4], images.classes), (&[3, 9][..], 10));
    assert_eq!(images.pixels[3072..][..5], [0, 9, 18, 27, 36]);
    assert_eq!(
        images.tally().to_string(),
        "10 images of 3 x 32 x 32, classes cat (5), truck (5); 2 in each file, where the original has 10000; \
         8 labels below 9 never occur, the first of them 0"
    );
    refused(cifar10(folder.path(), "test"), &["test_batch.bin"]);
    refused(cifar10(folder.path(), "all"), &["split 'all'"]);
    std::fs::write(&path, &batch[..3073]).unwrap();
    let parts = [
        "data_batch_2.bin",
        "1 images, another file of the set has 2",
    ];
    refused(cifar10(folder.path(), "train"), &parts);
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
    save(&path, &[2, 1, 2], &[true, false, false, true]);
    save(&folder.path().join("faces.labels.npy"), &[2], &[1i64, 0]);
    assert_eq!(npy_images(&path).unwrap().pixels, [255, 0, 0, 255]);
    // Bytes of 0 and 1 are nearly black, and nearly never meant.
    save(&path, &[2, 1, 2], &[1u8, 0, 0, 1]);
    refused(npy_images(&path), &["all 0 or 1 of 255", "times 255"]);
    std::fs::remove_file(folder.path().join("faces.labels.npy")).unwrap();
    save(&path, &[6, 6, 3], &[9u8; 108]);
    refused(npy_images(&path), &["(6, 6, 3)", "3 channels last"]);
    save(&path, &[6, 6, 40], &[9u8; 1440]);
    refused(npy_images(&path), &["images along the last dimension"]);
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

/// A folder of painted images.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn paint(&self, name: &str, width: u32, height: u32, color: [u8; 3]) {
        let path = self.at(name);
        image::RgbImage::from_pixel(width, height, image::Rgb(color))
            .save_with_format(
                path,
                image::ImageFormat::from_path(name.replace("jfif", "jpg").replace("webp", "png"))
                    .unwrap(),
            )
            .unwrap();
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    /// The path of a file, whose folder is made.
    fn at(&self, name: &str) -> std::path::PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

#[test]
fn folders_of_images() {
    let folder = Folder::new();
    folder.paint("b/one.png", 20, 10, [10, 20, 30]);
    folder.paint("a/two.png", 3, 7, [40, 50, 60]);
    folder.paint("a/three.jpg", 16, 16, [200, 200, 200]);
    folder.write("a/broken.png", b"\x89PNG and no more");
    folder.write("a/notes.txt", b"no image");
    let images = image_folder(folder.path(), 4).unwrap();
    assert_eq!((images.count, images.shape), (3, [3, 4, 4]));
    assert_eq!((&images.labels[..], images.classes), (&[0, 0, 1][..], 2));
    assert_eq!(images.pixels[48..][..3], [40, 40, 40]);
    assert_eq!(images.pixels[48 + 16..][..2], [50, 50]);
    assert!(images.pixels[..48].iter().all(|&p| p.abs_diff(200) < 4));
    assert_eq!(
        images.tally().to_string(),
        "3 images of 3 x 4 x 4, classes a (2), b (1); left out: 1 .txt, 1 that cannot be decoded (a/broken.png: neither a PNG nor a JPEG image)"
    );

    let only_broken = Folder::new();
    only_broken.write("x.jpg", b"nothing");
    refused(
        image_folder(only_broken.path(), 4),
        &[
            "none of its 1 images",
            "x.jpg: it is text that begins with 'nothing'",
        ],
    );
    let empty = Folder::new();
    refused(image_folder(empty.path(), 4), &["0 PNG or JPEG files"]);
    empty.write("x.webp", b"RIFF\0\0\0\0WEBP");
    refused(image_folder(empty.path(), 4), &["(but 1 .webp)"]);
    refused(image_folder(&empty.path().join("none"), 4), &["none"]);
}

/// Four images in each of two classes.
fn two_classes() -> Folder {
    let folder = Folder::new();
    for class in ["a", "b"] {
        for index in 0..4u8 {
            folder.paint(&format!("{class}/{index}.png"), 8, 8, [index * 60, 7, 200]);
        }
    }
    folder
}

#[test]
fn what_a_folder_leaves_out_is_told_or_refused() {
    let folder = two_classes();
    folder.paint("a/deep/er/4.jfif", 8, 8, [90, 90, 90]);
    folder.paint(".ipynb_checkpoints/0-checkpoint.png", 8, 8, [1, 2, 3]);
    folder.write("a/._0.png", b"AppleDouble");
    folder.write("a/Thumbs.db", b"litter");
    folder.paint("b/x.webp", 8, 8, [3, 3, 3]);
    let images = image_folder(folder.path(), 8).unwrap();
    assert_eq!(images.labels, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(
        images.tally().to_string(),
        "9 images of 3 x 8 x 8, classes a (5), b (4); left out: 2 hidden, 1 left by the system, 1 .webp"
    );

    // A class that would vanish moves the labels of those after it.
    for (name, bytes, part) in [
        ("aa/x.webp", &b"RIFF"[..], "(1 .webp)"),
        ("aa/x.png", b"GIF89a", "a GIF image"),
        ("aa/x.txt", b"", "(1 .txt)"),
    ] {
        let folder = two_classes();
        folder.write(name, bytes);
        refused(image_folder(folder.path(), 8), &["class folder 'aa'", part]);
    }
    let folder = two_classes();
    std::fs::create_dir(folder.path().join("aa")).unwrap();
    refused(image_folder(folder.path(), 8), &["class folder 'aa'"]);

    let folder = two_classes();
    folder.paint("overview.png", 8, 8, [77, 77, 77]);
    refused(
        image_folder(folder.path(), 8),
        &["images (overview.png) and folders of images (a, b)"],
    );
    let splits = Folder::new();
    splits.paint("train/a/0.png", 8, 8, [9, 9, 9]);
    splits.paint("test/a/0.png", 8, 8, [9, 9, 9]);
    refused(
        image_folder(splits.path(), 8),
        &["parts of a data set", "test, train", "path = "],
    );
    // Images alone, and a folder without any.
    let flat = Folder::new();
    flat.paint("0.png", 8, 8, [9, 90, 9]);
    flat.write("notes/x.md", b"");
    let images = image_folder(flat.path(), 8).unwrap();
    assert_eq!(
        images.tally().to_string(),
        "1 image of 3 x 8 x 8, no labels; left out: 1 .md"
    );
    // Masks of 0 and 1.
    let masks = Folder::new();
    masks.paint("0.png", 8, 8, [0, 1, 1]);
    refused(image_folder(masks.path(), 8), &["all 0 or 1 of 255"]);
}

#[test]
fn transparency_is_laid_on_white() {
    let folder = Folder::new();
    let mut drawing = image::RgbaImage::new(8, 8);
    for pixel in drawing.pixels_mut().take(8) {
        *pixel = image::Rgba([0, 0, 0, 255]);
    }
    // What is hidden under no alpha at all stays hidden.
    drawing.put_pixel(3, 3, image::Rgba([255, 0, 0, 0]));
    drawing.save(folder.at("x.png")).unwrap();
    let images = image_folder(folder.path(), 8).unwrap();
    let expected = |index: usize| if index % 64 < 8 { 0 } else { 255 };
    assert!((0..192).all(|index| images.pixels[index] == expected(index)));
    assert_eq!(
        images.tally().to_string(),
        "1 image of 3 x 8 x 8, no labels; 1 with transparency, laid on white"
    );
}

/// An IDX file with this magic number and these sizes.
fn idx(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(sizes);
    let head = words.flat_map(|word| word.to_be_bytes());
    head.chain(data.iter().copied()).collect()
}

#[test]
fn idx_files_are_known_by_what_they_hold() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let images = at("train-images-idx3-ubyte");
    let read = || idx_directory(folder.path(), "train");
    for (bytes, parts) in [
        (
            idx(0xd03, &[1, 2, 2], &[0; 16]),
            ["32-bit floats in 3 dimensions", "astype('uint8')"],
        ),
        (
            idx(0xc02, &[1, 2], &[0; 8]),
            [
                "32-bit integers in 2 dimensions",
                "images are unsigned bytes in 3",
            ],
        ),
        (
            idx(0x801, &[4], &[0; 4]),
            ["unsigned bytes in 1 dimension", "exchanged"],
        ),
        (
            idx(0x803, &[2, 1, 2], &[0, 1, 1, 0]),
            ["all 0 or 1 of 255", "times 255"],
        ),
        (b"<!DOCTYPE html><html>".to_vec(), ["an HTML page", "fetch"]),
        (
            b"version https://git-lfs.github.com/spec/v1".to_vec(),
            ["a Git LFS pointer", "git lfs pull"],
        ),
        (
            b"PK\x03\x04aaaaaaaaaaaaaaaaaa".to_vec(),
            ["a zip archive", "unpack"],
        ),
        (
            b"\x1f\x8b\x08\0\0\0\0\0\0\0".to_vec(),
            ["unpacked", "cut short"],
        ),
    ] {
        std::fs::write(&images, bytes).unwrap();
        refused(read(), &parts);
    }
    std::fs::write(&images, idx(0x803, &[4, 1, 2], &[9; 8])).unwrap();
    std::fs::write(
        at("train-labels-idx1-ubyte"),
        idx(0x801, &[4], &[1, 2, 3, 2]),
    )
    .unwrap();
    let tally = read().unwrap().tally();
    assert_eq!(
        tally.to_string(),
        "4 images of 1 x 1 x 2, classes 1 (1), 2 (2), 3 (1); every value is 9 of 255; no label is 0, though labels count from 0"
    );
    // A copy with one byte changed has another digest.
    std::fs::write(&images, idx(0x803, &[4, 1, 2], &[9, 9, 9, 8, 9, 9, 9, 9])).unwrap();
    assert_ne!(read().unwrap().tally().digest, tally.digest);
    std::fs::create_dir(at("raw")).unwrap();
    std::fs::rename(&images, at("raw/train-images-idx3-ubyte")).unwrap();
    refused(read(), &["it holds raw, train-labels-idx1-ubyte", "/raw\""]);
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
