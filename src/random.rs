//! Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
//! as 1, 2, 3", SC 2011). A value is a pure function of (seed, stream, step, index), so that any step can be
//! replayed alone. The CPU reference of `shaders/shared/philox.wgsl`.

/// What the numbers are for. Streams of one seed never share a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial weights; the step is the parameter's place in the graph.
    Initialization = 1,
    /// The order of the samples; the step is the epoch.
    Shuffle = 2,
    /// Noise of a reparameterization; the step is the training step.
    Reparameterization = 3,
    /// Latent vectors of sample grids.
    Latent = 4,
    /// Priorities of the polyline sampler.
    Priority = 5,
    /// Series, images and noise made up by tests and benches.
    Synthetic = 6,
    /// Masks of dropout; the step is the training step.
    Dropout = 7,
    /// Latent vectors of a generator in training; the step is the training step.
    Generator = 8,
    /// Flips and shifts of images; the step is the training step.
    Augmentation = 9,
    /// First centers of clusters; the step is the number of the center.
    Clusters = 11,
    /// Shares of a gradient penalty's points between real and generated samples; the step is the training step.
    Interpolation = 13,
    /// Start and shifts of dreamt inputs; the step is 0, and one more than that of the optimizer.
    Dream = 14,
}

/// The ten rounds of Philox 4x32.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let wide = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b);
        ((product >> 32) as u32, product as u32)
    };
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let (p_high, p_low) = wide(0xD251_1F53, c[0]);
        let (q_high, q_low) = wide(0xCD9E_8D57, c[2]);
        c = [q_high ^ c[1] ^ k[0], q_low, p_high ^ c[3] ^ k[1], p_low];
        k = [
            k[0].wrapping_add(0x9E37_79B9),
            k[1].wrapping_add(0xBB67_AE85),
        ];
    }
    c
}

/// The key of a seed: its low and high word.
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// Four words for place `index` of `step` in `stream`.
pub fn words(seed: u64, stream: Stream, step: u32, index: u32) -> [u32; 4] {
    philox([index, step, stream as u32, 0], key(seed))
}

/// A word as a number in `[0, 1)`, from its upper 24 bits.
pub fn uniform(word: u32) -> f64 {
    f64::from(word >> 8) / f64::from(1u32 << 24)
}

/// Four standard normal numbers from four words (Box-Muller).
pub fn standard_normal(words: [u32; 4]) -> [f64; 4] {
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * (1.0 - uniform(a)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * uniform(b)).sin_cos();
        [radius * cos, radius * sin]
    };
    let [a, b] = pair(words[0], words[1]);
    let [c, d] = pair(words[2], words[3]);
    [a, b, c, d]
}

/// `count` standard normal numbers of `step` in `stream`.
pub fn standard_normals(seed: u64, stream: Stream, step: u32, count: usize) -> Vec<f32> {
    let quadruples = (0..count.div_ceil(4) as u32).map(|i| words(seed, stream, step, i));
    let all = quadruples.flat_map(standard_normal);
    all.map(|value| value as f32).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with Random123.
    #[test]
    fn philox_gives_the_published_answers() {
        let all = u32::MAX;
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
            ),
            (
                [all; 4],
                [all; 2],
                [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
            ),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox(counter, key), answer);
        }
    }
}
