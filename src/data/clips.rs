//! Generated clips of textured discs that move, for two-stream networks: a frame and its optical flow.
//!
//! An image of the set has 23 channels: red, green and blue of the frame in the middle of the clip, then ten flow fields,
//! across and down in turn. Bytes stand for 0.0 to 1.0, in which 0.5 is gray and no flow: a color `c` in `[-1, 1]` is
//! `(c + 1) / 2`, a flow of `f` pixels a frame `(f / 4 + 1) / 2`. All discs have textures of the same kind, so the frame
//! says nothing about the motion, and flow says nothing about the texture.

use std::f64::consts::TAU;

use super::Images;
use crate::random::{Stream, standard_normal, uniform, words};

/// Flow fields of a clip.
pub const FIELDS: usize = 10;
/// Channels of the frame; those of the flow follow.
pub const FRAME_CHANNELS: usize = 3;
/// Textures of a disc.
pub const TEXTURES: [&str; 4] = ["horizontal stripes", "vertical stripes", "checker", "rings"];
/// Motions of a disc; in the binding task the first four.
pub const MOTIONS: [&str; 6] = ["right", "left", "up", "down", "to and fro", "up and down"];
/// Directions of the binding task.
pub const DIRECTIONS: usize = 4;
/// Noise on the frame's colors.
const NOISE: f64 = 0.05;
/// The flow at the end of a byte's range, in pixels a frame.
pub const MAX_FLOW: f64 = 4.0;

/// What a clip shows and what is asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One disc; 24 classes: texture times six, plus motion.
    Motion,
    /// Two discs of different textures and directions; the class is one of the 72 pairs of [`pairs`]. What must be told
    /// is which texture goes which way.
    Binding,
}

/// A disc of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disc {
    /// Place in [`TEXTURES`].
    pub texture: usize,
    /// Place in [`MOTIONS`].
    pub motion: usize,
    /// In pixels.
    pub radius: f64,
    /// Where it is in the middle of the clip, across and down, in pixels.
    pub center: [f64; 2],
    /// Pixels a frame; of an oscillation the root of its mean square.
    pub speed: f64,
    /// Of an oscillation, in frames.
    pub period: f64,
    /// Of an oscillation in the middle of the clip, in turns.
    pub phase: f64,
    look: Look,
}

/// What a texture looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    period: f64,
    phase: [f64; 2],
    colors: [[f64; 3]; 2],
}

/// A clip's discs, the last in front, and the camera's drift in pixels a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// One disc, or two.
    pub discs: Vec<Disc>,
    /// Added to every flow, across and down.
    pub drift: [f64; 2],
    /// Its class.
    pub label: usize,
    background: [f64; 3],
}

/// The pairs of the binding task in the order of its classes: texture and direction of one disc and of the other.
pub fn pairs() -> Vec<[[usize; 2]; 2]> {
    let things = || (0..TEXTURES.len()).flat_map(|t| (0..DIRECTIONS).map(move |d| [t, d]));
    things()
        .flat_map(|one| things().map(move |other| [one, other]))
        .filter(|[one, other]| one[0] < other[0] && one[1] != other[1])
        .collect()
}

/// For each class of the binding task which of the 16 outputs (texture times four, plus direction) are present, row by
/// row: 1 for its two things, 0 for all others, the lures with the texture of one and the direction of the other too.
pub fn pair_targets() -> Vec<f32> {
    let outputs = TEXTURES.len() * DIRECTIONS;
    let rows = pairs().into_iter().map(|pair| {
        let mut row = vec![0.0; outputs];
        for [texture, direction] in pair {
            row[texture * DIRECTIONS + direction] = 1.0;
        }
        row
    });
    rows.flatten().collect()
}

/// Clip `index` of the set that `seed` names, `side` pixels wide and high.
pub fn clip(seed: u64, task: Task, index: u32, side: usize) -> Clip {
    let draw = |block: u32| words(seed, Stream::Synthetic, block, index).map(uniform);
    let [choice, angle, tint, shade] = draw(0);
    let side = side as f64;
    let drift = standard_normal(words(seed, Stream::Synthetic, 1, index));
    let kinds: Vec<[usize; 2]>;
    let label;
    match task {
        Task::Motion => {
            label = (choice * (TEXTURES.len() * MOTIONS.len()) as f64) as usize;
            kinds = vec![[label / MOTIONS.len(), label % MOTIONS.len()]];
        }
        Task::Binding => {
            let pairs = pairs();
            label = (choice * pairs.len() as f64) as usize;
            kinds = pairs[label].to_vec();
        }
    }
    // Two discs stand on opposite sides of the center, so that they do not cover each other in the middle of the clip.
    let (sin, cos) = (TAU * angle).sin_cos();
    let discs = kinds
        .iter()
        .enumerate()
        .map(|(number, &[texture, motion])| {
            let block = 2 + 3 * number as u32;
            let [size, speed, across, down] = draw(block);
            let [period, phase, first, second] = draw(block + 1);
            let [stripes, ..] = draw(block + 2);
            let (radius, speed, center) = match task {
                Task::Motion => {
                    let radius = 5.0 + 3.0 * size;
                    let within = |share: f64| radius + (side - 2.0 * radius) * share;
                    let center = [within(across), within(down)];
                    (radius, 0.5 * 4f64.powf(speed), center)
                }
                Task::Binding => {
                    let radius = 4.5 + 1.5 * size;
                    let sign = if number == 0 { 1.0 } else { -1.0 };
                    let away = sign * (radius + 0.5 + (side / 2.0 - 2.0 * radius - 0.5) * across);
                    let center = [side / 2.0 + away * cos, side / 2.0 + away * sin];
                    (radius, 0.5 + 0.5 * speed, center)
                }
            };
            Disc {
                texture,
                motion,
                radius,
                center,
                speed,
                period: 4.0 + 2.0 * period,
                phase,
                look: Look {
                    period: 3.5 + 1.5 * stripes,
                    phase: [first, second],
                    colors: colors(draw(block + 32)),
                },
            }
        });
    let level = 0.6 * tint - 0.3;
    Clip {
        discs: discs.collect(),
        drift: [0.1 * drift[0], 0.1 * drift[1]],
        label,
        background: [level, level, level + 0.2 * (shade - 0.5)],
    }
}

/// Two colors in `[-1, 1]` that are far apart.
fn colors([red, green, blue, strength]: [f64; 4]) -> [[f64; 3]; 2] {
    let middle = [red, green, blue].map(|part| 0.6 * part - 0.3);
    let contrast = 0.4 + 0.3 * strength;
    // The half of the draw that the middle does not show says which way each part goes.
    let sign = |part: f64| {
        if (part * 1024.0).fract() < 0.5 {
            1.0
        } else {
            -1.0
        }
    };
    let away = [red, green, blue].map(|part| contrast * sign(part));
    [1.0, -1.0].map(|side| [0, 1, 2].map(|i| middle[i] + side * away[i]))
}

impl Disc {
    /// Velocity in flow field `field`, across and down, in pixels a frame, without the camera's drift.
    pub fn velocity(&self, field: usize) -> [f64; 2] {
        let swing = || {
            let turns = self.phase + (field as f64 + 0.5 - FIELDS as f64 / 2.0) / self.period;
            1.4 * self.speed * (TAU * turns).cos()
        };
        match self.motion {
            0 => [self.speed, 0.0],
            1 => [-self.speed, 0.0],
            2 => [0.0, -self.speed],
            3 => [0.0, self.speed],
            4 => [swing(), 0.0],
            _ => [0.0, swing()],
        }
    }

    /// Where it is when flow field `field` is taken, before the camera's drift.
    fn position(&self, field: usize) -> [f64; 2] {
        let middle = FIELDS / 2;
        let mut position = self.center;
        let (range, sign) = if field >= middle {
            (middle..field, 1.0)
        } else {
            (field..middle, -1.0)
        };
        for between in range {
            let velocity = self.velocity(between);
            position[0] += sign * velocity[0];
            position[1] += sign * velocity[1];
        }
        position
    }

    /// How much of the pixel at `offset` from its center it covers.
    fn coverage(&self, [dx, dy]: [f64; 2]) -> f64 {
        (self.radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0)
    }

    fn color(&self, [dx, dy]: [f64; 2]) -> [f64; 3] {
        let Look {
            period,
            phase,
            colors: [one, other],
        } = self.look;
        let wave = |distance: f64, phase: f64| (TAU * (distance / period + phase)).sin();
        let height = match self.texture {
            0 => wave(dy, phase[0]),
            1 => wave(dx, phase[0]),
            2 => 2.0 * wave(dx, phase[0]) * wave(dy, phase[1]),
            _ => wave(dx.hypot(dy), phase[0]),
        };
        let share = 0.5 + 0.5 * (2.0 * height).clamp(-1.0, 1.0);
        [0, 1, 2].map(|i| share * one[i] + (1.0 - share) * other[i])
    }
}

impl Clip {
    /// Mixes `over` onto `value` where the discs are when `field` is taken.
    fn covered<const N: usize>(
        &self,
        field: usize,
        pixel: [f64; 2],
        mut value: [f64; N],
        over: impl Fn(&Disc, [f64; 2]) -> [f64; N],
    ) -> [f64; N] {
        for disc in &self.discs {
            let center = disc.position(field);
            let offset = [pixel[0] - center[0], pixel[1] - center[1]];
            let share = disc.coverage(offset);
            if share > 0.0 {
                let own = over(disc, offset);
                for (value, own) in value.iter_mut().zip(own) {
                    *value += share * (own - *value);
                }
            }
        }
        value
    }

    /// Flow at a pixel's center, in pixels a frame.
    pub fn flow(&self, field: usize, pixel: [f64; 2]) -> [f64; 2] {
        let [across, down] = self.covered(field, pixel, [0.0; 2], |disc, _| disc.velocity(field));
        [across + self.drift[0], down + self.drift[1]]
    }

    /// Color at a pixel's center in the middle of the clip, without noise.
    pub fn color(&self, pixel: [f64; 2]) -> [f64; 3] {
        self.covered(FIELDS / 2, pixel, self.background, Disc::color)
    }
}

/// `count` clips of `side` x `side` pixels.
pub fn generate(seed: u64, task: Task, count: usize, side: usize) -> Images {
    let area = side * side;
    let channels = FRAME_CHANNELS + 2 * FIELDS;
    let mut pixels = vec![0u8; count * channels * area];
    let mut labels = Vec::with_capacity(count);
    let byte = |value: f64| (255.0 * (0.5 + 0.5 * value)).round().clamp(0.0, 255.0) as u8;
    for (index, image) in pixels.chunks_exact_mut(channels * area).enumerate() {
        let clip = clip(seed, task, index as u32, side);
        labels.push(clip.label as u8);
        for offset in 0..area {
            let pixel = [offset % side, offset / side].map(|i| i as f64 + 0.5);
            let noise = words(seed, Stream::Synthetic, 64 + offset as u32, index as u32);
            let noise = standard_normal(noise);
            for (channel, color) in clip.color(pixel).into_iter().enumerate() {
                image[channel * area + offset] = byte(color + NOISE * noise[channel]);
            }
            for field in 0..FIELDS {
                for (part, flow) in clip.flow(field, pixel).into_iter().enumerate() {
                    let channel = FRAME_CHANNELS + 2 * field + part;
                    image[channel * area + offset] = byte(flow / MAX_FLOW);
                }
            }
        }
    }
    Images {
        count,
        shape: [channels, side, side],
        pixels,
        labels,
        classes: match task {
            Task::Motion => TEXTURES.len() * MOTIONS.len(),
            Task::Binding => pairs().len(),
        },
        name: "clips".to_owned(),
        ..Images::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_two_textures_and_two_directions() {
        let pairs = pairs();
        assert_eq!(pairs.len(), 72);
        for (pair, row) in pairs.iter().zip(pair_targets().chunks(16)) {
            let [[t, d], [u, e]] = *pair;
            assert!(t != u && d != e);
            assert_eq!(row.iter().sum::<f32>(), 2.0);
            assert_eq!((row[t * 4 + d], row[u * 4 + e]), (1.0, 1.0));
            assert_eq!((row[t * 4 + e], row[u * 4 + d]), (0.0, 0.0));
        }
    }

    /// The mean flow inside a disc goes the way its motion says; the frame shows no motion.
    #[test]
    fn factors_show_in_the_clip() {
        for task in [Task::Motion, Task::Binding] {
            let images = generate(5, task, 40, 32);
            for index in 0..40 {
                let clip = clip(5, task, index as u32, 32);
                assert_eq!(usize::from(images.labels[index]), clip.label);
                let image = &images.pixels[index * 23 * 1024..][..23 * 1024];
                for disc in &clip.discs {
                    for field in 0..FIELDS {
                        let position = disc.position(field).map(|at| at.floor());
                        let inside = |at: f64| (0.0..32.0).contains(&at);
                        if !position.iter().copied().all(inside) {
                            continue;
                        }
                        let at = position[1] as usize * 32 + position[0] as usize;
                        let flow = [0, 1].map(|part| {
                            let byte = image[(3 + 2 * field + part) * 1024 + at];
                            4.0 * (f64::from(byte) / 127.5 - 1.0)
                        });
                        let want = disc.velocity(field);
                        // Another disc may pass before this one.
                        let alone = clip.discs.iter().all(|other| {
                            let [x, y] = other.position(field);
                            let away = (x - position[0]).hypot(y - position[1]);
                            other == disc || away > other.radius + 2.0
                        });
                        for part in (0..2).filter(|_| alone) {
                            let off = flow[part] - want[part] - clip.drift[part];
                            assert!(off.abs() < 0.02, "clip {index}, field {field}: {off}");
                        }
                    }
                }
            }
        }
    }

    /// The discs of the binding task lie apart and inside when the frame is taken.
    #[test]
    fn two_discs_do_not_cover_each_other_in_the_frame() {
        for index in 0..500 {
            let clip = clip(9, Task::Binding, index, 32);
            let [one, other] = clip.discs[..] else {
                panic!("two discs");
            };
            let [dx, dy] = [0, 1].map(|i| one.center[i] - other.center[i]);
            assert!(dx.hypot(dy) >= one.radius + other.radius);
            for disc in [one, other] {
                for at in disc.center {
                    assert!(at >= disc.radius && at <= 32.0 - disc.radius);
                }
            }
        }
    }
}
