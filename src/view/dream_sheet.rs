//! Dreams as a picture and as a loop, beside the real inputs that drive the same units most and least.

use super::animation::Animation;
use super::flow::{FlowField, moved_texture};
use super::image_grid::{ImageGrid, ImageRow};
use super::painter::Painter;
use super::picture::Picture;
use super::theme::Theme;
use crate::data::clips::{FIELDS, FRAME_CHANNELS, MAX_FLOW};
use crate::dream::{Dream, Dreams, InputKind, InputSpace, RealInput};
use crate::gpu::Buffer;
use crate::number::short;
use crate::{Error, Result};

/// Points that an image takes on a side, where its pixels divide them.
const SIDE: usize = 64;
/// The most images side by side.
const COLUMNS: usize = 16;
/// Hundredths of a second that a frame of a clip is shown, and a snapshot of a run.
const CLIP_DELAY: u16 = 15;
const SNAPSHOT_DELAY: u16 = 80;

/// Dreams of the same units at one or several snapshots of a run.
#[derive(Debug, Clone, Copy)]
pub struct DreamSheet<'a> {
    /// The name of the run.
    pub run: &'a str,
    /// The snapshots in ascending order.
    pub snapshots: &'a [Dreams],
}

/// Images that share a label.
struct Row {
    label: String,
    /// `[channels, height, width]` each.
    images: Vec<Vec<f32>>,
}

/// What is drawn.
struct Content {
    rows: Vec<Row>,
    /// What the columns show, as a sentence.
    columns: String,
    shape: [usize; 3],
}

impl DreamSheet<'_> {
    /// All dreams in one picture.
    ///
    /// # Errors
    /// Dreams of vectors that no model makes images of, or a picture larger than the adapter's textures.
    pub fn picture(&self, painter: &Painter, theme: &Theme) -> Result<Picture> {
        let content = match self.kind()? {
            InputKind::Clip => self.clips(None),
            _ => self.images(self.snapshots),
        };
        self.draw(painter, theme, &content, &self.after(self.snapshots))
    }

    /// The dreams in motion: of clips frame after frame, of images snapshot after snapshot.
    ///
    /// # Errors
    /// As [`DreamSheet::picture`], and dreams of images at one snapshot, where nothing moves.
    pub fn animation(&self, painter: &Painter, theme: &Theme) -> Result<Animation> {
        let gpu = painter.gpu();
        if self.kind()? == InputKind::Clip {
            let after = self.after(self.snapshots);
            let frames = (0..FIELDS)
                .map(|field| self.draw(painter, theme, &self.clips(Some(field)), &after));
            return Animation::new(gpu, &frames.collect::<Result<Vec<_>>>()?, CLIP_DELAY);
        }
        if self.snapshots.len() < 2 {
            return Err(Error::usage(
                "--out",
                "dreams of images at one snapshot do not move",
                "name a .png file, or several snapshots with --steps-of",
            ));
        }
        let frames = self.snapshots.chunks(1).map(|snapshot| {
            let mut content = self.images(snapshot);
            // Labels of other widths would give pictures of other sizes.
            content.rows.iter_mut().for_each(|row| row.label.clear());
            self.draw(painter, theme, &content, &self.after(snapshot))
        });
        Animation::new(gpu, &frames.collect::<Result<Vec<_>>>()?, SNAPSHOT_DELAY)
    }

    fn kind(&self) -> Result<InputKind> {
        let has_dreams = |snapshot: &&Dreams| !snapshot.dreams.is_empty();
        let Some(first) = self.snapshots.iter().find(has_dreams) else {
            return Err(Error::input(
                "dreams",
                "there are none to show",
                "choose a unit that some input moves",
            ));
        };
        if first.space.kind == InputKind::Vector && first.image_shape.is_none() {
            return Err(Error::usage(
                "--out",
                "the input is a vector, which cannot be shown as an image",
                "write the values: --out FILE.npy",
            ));
        }
        Ok(first.space.kind)
    }

    fn after(&self, snapshots: &[Dreams]) -> String {
        let steps: Vec<String> = snapshots.iter().map(|it| it.step.to_string()).collect();
        match &steps[..] {
            [one] if one == "1" => "After 1 step.".to_owned(),
            _ => format!("After {} steps.", steps.join(", ")),
        }
    }

    fn draw(
        &self,
        painter: &Painter,
        theme: &Theme,
        content: &Content,
        after: &str,
    ) -> Result<Picture> {
        let [channels, height, width] = content.shape;
        let gpu = painter.gpu();
        let count = content
            .rows
            .iter()
            .map(|row| row.images.len())
            .max()
            .unwrap_or(1);
        let buffers: Vec<Buffer<f32>> = content
            .rows
            .iter()
            .map(|row| {
                let mut values = row.images.concat();
                // Rows that are shorter end in paper.
                values.resize(count * channels * height * width, 1.0);
                gpu.upload("dreams", &values)
            })
            .collect::<Result<_>>()?;
        let rows: Vec<ImageRow<'_>> = content
            .rows
            .iter()
            .zip(&buffers)
            .map(|(row, images)| ImageRow {
                label: &row.label,
                images,
                logits: false,
            })
            .collect();
        let layer = self
            .snapshots
            .first()
            .map_or("", |dreams| dreams.layer.as_str());
        let grid = ImageGrid {
            title: &format!("{}: what {layer} answers most", self.run),
            note: &format!("{after} {}", content.columns),
            rows: &rows,
            count,
            channels,
            height,
            width,
            columns: count.min(COLUMNS),
            zoom: (SIDE / width.max(height)).max(1),
        };
        grid.picture(painter, theme)
    }

    /// Images: of one unit a row for each snapshot, with real inputs behind the dream; of several a column for each.
    fn images(&self, snapshots: &[Dreams]) -> Content {
        let dreams = || snapshots.iter().flat_map(|snapshot| &snapshot.dreams);
        let space = self.snapshots.first().map(|first| &first.space);
        let shape = |image: &Dreams| match &image.image_shape {
            Some(shape) => shape.clone(),
            None => image.space.shape.clone(),
        };
        let shape = self.snapshots.first().map(shape).unwrap_or_default();
        let shown = |dream: &Dream| match &dream.image {
            Some(image) => gray_or_color(image, &shape),
            None => gray_or_color(&dream.input, &shape),
        };
        let real = |input: &RealInput| gray_or_color(&input.input, &shape);
        let has_real = space.is_some_and(|space| space.kind == InputKind::Image);
        let is_one = snapshots.iter().all(|snapshot| snapshot.dreams.len() <= 1);
        let (mut rows, columns);
        if is_one {
            rows = Vec::new();
            for snapshot in snapshots {
                for dream in &snapshot.dreams {
                    let mut images = vec![shown(dream)];
                    if has_real {
                        images.extend(dream.most.iter().chain(&dream.least).map(real));
                    }
                    let label = format!("step {}", snapshot.step);
                    rows.push(Row { label, images });
                }
            }
            let unit = dreams().next().map_or("", |dream| dream.unit.as_str());
            let (most, least) = dreams()
                .next()
                .map_or((0, 0), |dream| (dream.most.len(), dream.least.len()));
            columns = if has_real {
                format!(
                    "First the dream of {unit}, then the {most} real inputs that drive it most, then {least} that drive it least."
                )
            } else {
                format!("The dream of {unit}.")
            };
        } else {
            rows = snapshots
                .iter()
                .map(|snapshot| Row {
                    label: format!("step {}", snapshot.step),
                    images: snapshot.dreams.iter().map(shown).collect(),
                })
                .collect();
            if let Some(last) = snapshots.last().filter(|_| has_real) {
                let most = last.dreams.iter().filter_map(|dream| dream.most.first());
                rows.push(Row {
                    label: "real, most".to_owned(),
                    images: most.map(real).collect(),
                });
            }
            let units: Vec<&str> = snapshots
                .last()
                .map(|last| {
                    last.dreams
                        .iter()
                        .map(|dream| dream.unit.as_str())
                        .collect()
                })
                .unwrap_or_default();
            let real = if has_real {
                " Below, the real inputs that drive them most."
            } else {
                ""
            };
            columns = format!("From the left: {}.{real}", listed(&units));
        }
        let channels = if shape.first() == Some(&3) { 3 } else { 1 };
        Content {
            rows,
            columns,
            shape: [
                channels,
                shape.get(1).copied().unwrap_or(1),
                shape.get(2).copied().unwrap_or(1),
            ],
        }
    }

    /// Clips: a row for each dream, and for the real clips that drive a single unit most. At one frame, or all fields side
    /// by side.
    fn clips(&self, frame: Option<usize>) -> Content {
        let mut rows = Vec::new();
        let several = |count: usize| count > 1;
        let names_step = several(self.snapshots.len());
        for snapshot in self.snapshots {
            let first = snapshot.dreams.first();
            let first_chi = first.map(|dream| dream.chi);
            let names_chi = snapshot
                .dreams
                .iter()
                .any(|dream| Some(dream.chi) != first_chi);
            let first_unit = first.map(|dream| &dream.unit);
            let names_unit = snapshot
                .dreams
                .iter()
                .any(|dream| Some(&dream.unit) != first_unit);
            for dream in &snapshot.dreams {
                let mut label = Vec::new();
                if names_step {
                    label.push(format!("step {}", snapshot.step));
                }
                if names_unit || !(names_step || names_chi) {
                    label.push(dream.unit.clone());
                }
                if names_chi {
                    label.push(format!("chi {}", dream.chi));
                }
                rows.push(Row {
                    label: label.join(", "),
                    images: clip_images(&snapshot.space, &dream.input, frame),
                });
            }
            if let Some(dream) = first.filter(|_| !names_unit) {
                let most = dream.most.iter().take(2).map(|real| ("most", real));
                let least = dream.least.iter().take(1).map(|real| ("least", real));
                for (word, real) in most.chain(least) {
                    rows.push(Row {
                        label: format!("real {}, {word}", real.sample),
                        images: clip_images(&snapshot.space, &real.input, frame),
                    });
                }
            }
        }
        let space = self.snapshots.first().map(|first| &first.space);
        let [height, width] = space.map_or([1, 1], InputSpace::sides);
        let limit = short(f64::from(space.map_or(1.0, limit)));
        let wheel = format!("red right, cyan left, white none, full color {limit} pixels a frame");
        let columns = match frame {
            None => format!(
                "The frame, then the {FIELDS} flow fields: the hue is the direction ({wheel})."
            ),
            Some(_) => format!(
                "Frame; flow by hue ({wheel}); as red right, green down, blue speed; a texture that it moves."
            ),
        };
        Content {
            rows,
            columns,
            shape: [3, height, width],
        }
    }
}

/// The speed of the bound, in pixels a frame.
fn limit(space: &InputSpace) -> f32 {
    let flow = space.streams.iter().find(|stream| stream.name == "flow");
    flow.map_or(1.0, |flow| 2.0 * flow.bound * MAX_FLOW as f32)
}

/// The frame of a clip and its flow: all fields on the wheel, or one of them in three ways.
fn clip_images(space: &InputSpace, input: &[f32], frame: Option<usize>) -> Vec<Vec<f32>> {
    let positions = space.positions();
    let limit = limit(space);
    let fields: Vec<FlowField> = (0..FIELDS)
        .map(|field| {
            let part = |part: usize| {
                let channel = FRAME_CHANNELS + 2 * field + part;
                let values = &input[channel * positions..(channel + 1) * positions];
                let flow = |value: &f32| (2.0 * value - 1.0) * MAX_FLOW as f32;
                values.iter().map(flow).collect()
            };
            FlowField {
                width: space.sides()[1],
                across: part(0),
                down: part(1),
            }
        })
        .collect();
    let mut images = vec![input[..FRAME_CHANNELS * positions].to_vec()];
    match frame {
        None => images.extend(fields.iter().map(|field| field.wheel(limit))),
        Some(frame) => {
            images.push(fields[frame].wheel(limit));
            images.push(fields[frame].components(limit));
            images.extend(moved_texture(&fields[..=frame]).pop());
        }
    }
    images
}

/// An image of one or three channels as it is, of others the mean over its channels.
fn gray_or_color(image: &[f32], shape: &[usize]) -> Vec<f32> {
    let channels = shape.first().copied().unwrap_or(1).max(1);
    if matches!(channels, 1 | 3) {
        return image.to_vec();
    }
    let positions = image.len() / channels;
    let mean = |at: usize| {
        let column = image.iter().skip(at).step_by(positions);
        column.sum::<f32>() / channels as f32
    };
    (0..positions).map(mean).collect()
}

/// The first names of a list, and how many more there are.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 6;
    let shown = names[..names.len().min(MOST)].join(", ");
    match names.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
