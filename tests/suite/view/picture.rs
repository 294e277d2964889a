//! Image grids, text and PNG files, pixel by pixel.

use trainscope::view::{Align, Canvas, ImageGrid, ImageRow, Picture, Rect, Theme};

use super::{painter, pixels};
use crate::support::gpu;

const BLACK: [u8; 4] = [0, 0, 0, 255];

#[test]
fn image_grid_pixels_are_the_inputs() {
    let (count, height, width, zoom) = (5usize, 3usize, 4usize, 2usize);
    for channels in [1usize, 3] {
        let size = channels * height * width;
        let mut images: Vec<f32> = (0..count * size)
            .map(|i| (i * 37 % 256) as f32 / 255.0)
            .collect();
        images[2 * size + 5] = f32::NAN;
        let buffer = gpu().upload("images", &images).unwrap();
        let logits: Vec<f32> = images
            .iter()
            .map(|p| ((p + 1e-4) / (1.0001 - p)).ln())
            .collect();
        let logits = gpu().upload("logits", &logits).unwrap();
        let grid = ImageGrid {
            title: "images",
            note: "",
            rows: &[
                ImageRow {
                    label: "",
                    images: &buffer,
                    logits: false,
                },
                ImageRow {
                    label: "",
                    images: &logits,
                    logits: true,
                },
            ],
            count,
            channels,
            height,
            width,
            columns: 3,
            zoom,
        };
        let theme = Theme::light();
        let picture = grid.picture(&painter(), &theme).unwrap();
        let drawn = pixels(&picture);
        let [across, down] = picture.size().map(|side| side as usize);
        // The first image begins at the margin; its top is the first row below the heading that is not white.
        let left = 14;
        let top = 41;
        assert_eq!(
            drawn[top * across + left][0],
            0,
            "the first pixel of the first image"
        );
        for image in 0..count {
            let (group, column) = (image / 3, image % 3);
            for row in 0..2 {
                let x0 = left + column * (width * zoom + 2);
                let y0 = top + (group * 2 + row) * (height * zoom + 2) + group * 6;
                for y in 0..height * zoom {
                    for x in 0..width * zoom {
                        assert!(y0 + y < down);
                        let pixel = drawn[(y0 + y) * across + x0 + x];
                        let at = |channel: usize| {
                            images[image * size
                                + channel.min(channels - 1) * height * width
                                + y / zoom * width
                                + x / zoom]
                        };
                        if (0..3).any(|channel| at(channel).is_nan()) {
                            assert_eq!(pixel, theme.nonfinite);
                            continue;
                        }
                        for (channel, byte) in pixel.iter().take(3).enumerate() {
                            let expected = at(channel) * 255.0;
                            assert!(
                                (f32::from(*byte) - expected).abs() < 1.0,
                                "image {image} row {row} pixel {x} {y}: {byte}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn text_stays_in_its_rectangle() {
    let theme = Theme::light();
    let picture = Picture::new(gpu(), 200.0, 40.0, &theme).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    let taken = canvas.text("Hamburg \u{4e16}\n", 14.0, 190.0, 25.0, Align::Right, BLACK);
    canvas.finish();
    let drawn = pixels(&picture);
    let mut inked = 0;
    for (i, pixel) in drawn.iter().enumerate() {
        if pixel[0] < 128 {
            let x = (i % 200) as f32;
            assert!(x >= taken.left() - 1.0 && x <= taken.right() + 1.0);
            inked += 1;
        }
    }
    assert!(inked > 100, "{inked}");
}

#[test]
fn png_holds_the_pixels_and_leaves_no_temporary_file() {
    let picture = Picture::new(gpu(), 33.0, 5.0, &Theme::dark()).unwrap();
    let painter = painter();
    let mut canvas = Canvas::new(&painter, &picture);
    canvas.rect(Rect::new(1.0, 1.0, 2.5, 1.0), [255, 0, 0, 255]);
    canvas.finish();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    picture.write_png(gpu(), &path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height, bytes.len()), (33, 5, 33 * 5 * 3));
    assert_eq!(bytes[(33 + 1) * 3..][..3], [255, 0, 0]);
    let half = bytes[(33 + 3) * 3];
    assert!((i32::from(half) - (255 + 0x12) / 2).abs() <= 1, "{half}");
    let error = picture.write_png(gpu(), &folder.path().join("none/picture.png"));
    assert!(error.unwrap_err().to_string().contains("none/picture.png"));
}
