//! Optical flow as colors: on a wheel, part by part, and as a texture that it moves.

use std::f32::consts::{PI, TAU};

/// Period of the texture in pixels.
const PERIOD: f32 = 8.0;

/// A flow field: across and down, in pixels a frame, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowField {
    /// Pixels of a row.
    pub width: usize,
    /// To the right, of each pixel.
    pub across: Vec<f32>,
    /// Downward, of each pixel.
    pub down: Vec<f32>,
}

impl FlowField {
    fn vectors(&self) -> impl Iterator<Item = [f32; 2]> {
        let pairs = self.across.iter().zip(&self.down);
        pairs.map(|(&across, &down)| [across, down])
    }

    /// The direction as hue, the speed as saturation: no flow is white, `limit` and more the full color. Right is red,
    /// down is yellow-green, left is cyan, up is violet. `[3, height, width]` in `[0, 1]`.
    pub fn wheel(&self, limit: f32) -> Vec<f32> {
        self.colors(|[across, down]| {
            let share = share(across.hypot(down), limit);
            let turn = down.atan2(across) / TAU;
            hue(turn).map(|part| 1.0 - share * (1.0 - part))
        })
    }

    /// The part to the right as red and the part downward as green, both with no flow in the middle, the speed as blue.
    /// `[3, height, width]` in `[0, 1]`.
    pub fn components(&self, limit: f32) -> Vec<f32> {
        self.colors(|[across, down]| {
            let part = |flow: f32| 0.5 + 0.5 * flow.signum() * share(flow.abs(), limit);
            [part(across), part(down), share(across.hypot(down), limit)]
        })
    }

    fn colors(&self, color: impl Fn([f32; 2]) -> [f32; 3]) -> Vec<f32> {
        let colors: Vec<[f32; 3]> = self.vectors().map(color).collect();
        let channel = |channel: usize| colors.iter().map(move |color| color[channel]);
        (0..3).flat_map(channel).collect()
    }
}

/// A gray texture after each of these fields has moved it, one image for each, `[3, height, width]` in `[0, 1]`.
pub fn moved_texture(fields: &[FlowField]) -> Vec<Vec<f32>> {
    let mut images = Vec::new();
    // Where in the texture each pixel comes from.
    let mut origins: Vec<[f32; 2]> = Vec::new();
    for field in fields {
        let width = field.width;
        if origins.is_empty() {
            let place = |at: usize| [(at % width) as f32, (at / width) as f32];
            origins = (0..field.across.len()).map(place).collect();
        }
        let before = origins.clone();
        for (at, (origin, [across, down])) in origins.iter_mut().zip(field.vectors()).enumerate() {
            let from = [(at % width) as f32 - across, (at / width) as f32 - down];
            *origin = sampled(&before, width, from);
        }
        let gray = origins.iter().map(|&[x, y]| {
            let wave = |at: f32| (2.0 * PI * at / PERIOD).sin();
            0.5 + 0.45 * (1.5 * wave(x) * wave(y)).clamp(-1.0, 1.0)
        });
        let gray: Vec<f32> = gray.collect();
        images.push(gray.repeat(3));
    }
    images
}

/// Origins between pixels; beyond the rim they go on as at the rim.
fn sampled(origins: &[[f32; 2]], width: usize, at: [f32; 2]) -> [f32; 2] {
    let height = origins.len() / width;
    let inside = [
        at[0].clamp(0.0, (width - 1) as f32),
        at[1].clamp(0.0, (height - 1) as f32),
    ];
    let corner = inside.map(|place| place.floor() as usize);
    let part = [inside[0] - corner[0] as f32, inside[1] - corner[1] as f32];
    let next = [
        (corner[0] + 1).min(width - 1),
        (corner[1] + 1).min(height - 1),
    ];
    let of = |x: usize, y: usize| origins[y * width + x];
    let mix = |a: [f32; 2], b: [f32; 2], t: f32| [0, 1].map(|i| a[i] + t * (b[i] - a[i]));
    let above = mix(of(corner[0], corner[1]), of(next[0], corner[1]), part[0]);
    let below = mix(of(corner[0], next[1]), of(next[0], next[1]), part[0]);
    let found = mix(above, below, part[1]);
    // What lies outside keeps its distance to the rim.
    [0, 1].map(|i| found[i] + at[i] - inside[i])
}

fn share(speed: f32, limit: f32) -> f32 {
    if limit > 0.0 {
        (speed / limit).min(1.0)
    } else {
        0.0
    }
}

/// The color of a hue, in turns.
fn hue(turn: f32) -> [f32; 3] {
    let sixth = turn.rem_euclid(1.0) * 6.0;
    [0.0, 4.0, 2.0].map(|offset| {
        let distance = ((sixth + offset).rem_euclid(6.0) - 3.0).abs();
        (distance - 1.0).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(across: f32, down: f32) -> FlowField {
        FlowField {
            width: 16,
            across: vec![across; 256],
            down: vec![down; 256],
        }
    }

    #[test]
    fn no_flow_is_white_and_directions_differ() {
        let color = |across, down| {
            let image = field(across, down).wheel(2.0);
            [image[0], image[256], image[512]]
        };
        assert_eq!(color(0.0, 0.0), [1.0; 3]);
        assert_eq!(color(2.0, 0.0), [1.0, 0.0, 0.0]);
        // Faster than the limit is as the limit.
        assert_eq!(color(9.0, 0.0), [1.0, 0.0, 0.0]);
        let left = color(-2.0, 0.0);
        assert!(left[0] < 1e-6 && (left[1] - 1.0).abs() < 1e-6 && (left[2] - 1.0).abs() < 1e-6);
        let half = color(1.0, 0.0);
        assert_eq!(half, [1.0, 0.5, 0.5]);
        let parts = field(1.0, -2.0).components(2.0);
        assert_eq!((parts[0], parts[256]), (0.75, 0.0));
    }

    /// A uniform flow shifts the texture by its sum.
    #[test]
    fn texture_moves_with_the_flow() {
        let still = &moved_texture(&[field(0.0, 0.0)])[0];
        let moved = &moved_texture(&[field(1.0, 0.0), field(2.0, 1.0)])[1];
        for y in 2..16 {
            for x in 4..16 {
                let (now, before) = (moved[y * 16 + x], still[(y - 1) * 16 + x - 3]);
                assert!((now - before).abs() < 1e-4, "{x}, {y}: {now} and {before}");
            }
        }
    }
}
