//! What is drawn and picked, against references in double precision.

use trainscope::random::{Stream, standard_normal, words};
use trainscope::series::ValueScale;
use trainscope::view::{Painter, Picture};

use crate::support::gpu;

mod charts;
mod density;
mod layers;
mod layout;
mod pick;
mod picture;
mod polylines;
mod splines;
mod time;

fn painter() -> Painter {
    Painter::new(gpu())
}

fn unit_scale() -> ValueScale {
    ValueScale::over(0.0, 1.0, 0.0)
}

fn pixels(picture: &Picture) -> Vec<[u8; 4]> {
    let bytes = picture.read(gpu()).unwrap();
    bytes
        .chunks_exact(4)
        .map(|p| p.try_into().unwrap())
        .collect()
}

/// Values of a smooth random walk with spikes, in about [0, 1].
fn series(lines: usize, steps: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for line in 0..lines as u32 {
        let [level, slope, spike, _] = standard_normal(words(3, Stream::Synthetic, 0, line));
        for step in 0..steps as u32 {
            let [noise, ..] = standard_normal(words(3, Stream::Synthetic, 1 + step, line));
            let t = f64::from(step) / steps as f64;
            let jump = if step % 17 == 5 { 0.2 * spike } else { 0.0 };
            values.push((0.5 + 0.1 * level + 0.1 * slope * t + 0.03 * noise + jump) as f32);
        }
    }
    values
}
