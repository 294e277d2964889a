//! Series made up for the sampler.

use trainscope::random::{Stream, standard_normal, uniform, words};

/// `count` standard normal numbers.
pub fn noise(count: usize, seed: u32) -> Vec<f32> {
    let quads = 0..count.div_ceil(4) as u32;
    quads
        .flat_map(|i| standard_normal(words(u64::from(seed), Stream::Synthetic, 0, i)))
        .map(|value| value as f32)
        .take(count)
        .collect()
}

/// Three families of smooth lines in `[0, 1]`, 70, 25 and 5 % of all: curves that fall, rise late, and oscillate. Each
/// line has a level and a pace of its own and a little noise.
pub fn families(lines: usize, steps: usize, seed: u32) -> Vec<f32> {
    let jitter = noise(lines * steps, seed);
    let value = |line: usize, step: usize| {
        let own = words(u64::from(seed), Stream::Synthetic, 1, line as u32);
        let (level, pace) = (uniform(own[0]) - 0.5, uniform(own[1]) - 0.5);
        let t = step as f64 / steps as f64;
        let share = line as f64 / lines as f64;
        let shape = if share < 0.70 {
            0.25 + 0.35 * (-t * (4.0 + 2.0 * pace)).exp()
        } else if share < 0.95 {
            0.15 + 0.45 / (1.0 + (-12.0 * (t - 0.5 - 0.06 * pace)).exp())
        } else {
            0.45 + 0.2 * (8.0 * t + 0.4 * pace).sin()
        };
        let noise = 0.003 * f64::from(jitter[line * steps + step]);
        (shape + 0.1 * level + noise) as f32
    };
    (0..lines * steps)
        .map(|i| value(i / steps, i % steps))
        .collect()
}

/// Adds `height` to `width` steps in a row, at a random position of each of `count` lines spread over all. Gives the lines.
pub fn plant_spikes(
    values: &mut [f32],
    steps: usize,
    count: usize,
    width: usize,
    height: f32,
) -> Vec<u32> {
    let lines = values.len() / steps;
    let spread = |i: usize| i * lines / count + lines / count / 2;
    (0..count)
        .map(|i| {
            let line = spread(i);
            let position = uniform(words(9, Stream::Synthetic, 2, i as u32)[0]);
            let first = (position * (steps - width + 1) as f64) as usize;
            for value in &mut values[line * steps + first..][..width] {
                *value += height;
            }
            line as u32
        })
        .collect()
}
