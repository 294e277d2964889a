//! The float64 twins, over the same geometry.

use super::Convolution;

impl Convolution {
    /// Calls `visit(index in small, index in large, index in weight)` for everything that is multiplied.
    fn visit(&self, batch: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [large_channels, height, width] = self.large;
        let [small_channels, small_height, small_width] = self.small;
        let kernel = self.geometry.kernel;
        for sample in 0..batch {
            for y in 0..small_height {
                for x in 0..small_width {
                    for ky in 0..kernel.y {
                        for kx in 0..kernel.x {
                            let pixel = self.geometry.pixel([y, x], [ky, kx], [height, width]);
                            let Some(pixel) = pixel else {
                                continue;
                            };
                            for small in 0..small_channels {
                                let at = ((sample * small_channels + small) * small_height + y)
                                    * small_width
                                    + x;
                                for large in 0..large_channels {
                                    visit(
                                        at,
                                        (sample * large_channels + large) * height * width + pixel,
                                        ((small * large_channels + large) * kernel.y + ky)
                                            * kernel.x
                                            + kx,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    pub fn reference_small(&self, batch: usize, large: &[f64], weight: &[f64]) -> Vec<f64> {
        let mut small = vec![0.0; batch * self.small.iter().product::<usize>()];
        self.visit(batch, |s, l, w| small[s] += large[l] * weight[w]);
        small
    }

    pub fn reference_large(&self, batch: usize, small: &[f64], weight: &[f64]) -> Vec<f64> {
        let mut large = vec![0.0; batch * self.large.iter().product::<usize>()];
        self.visit(batch, |s, l, w| large[l] += small[s] * weight[w]);
        large
    }

    pub fn reference_weight(&self, batch: usize, small: &[f64], large: &[f64]) -> Vec<f64> {
        let weights = self.small[0] * self.large[0] * self.geometry.area();
        let mut weight = vec![0.0; weights];
        self.visit(batch, |s, l, w| weight[w] += small[s] * large[l]);
        weight
    }
}

/// Adds a bias to every channel.
pub fn add_bias(images: &mut [f64], places: usize, bias: &[f64]) {
    for (row, values) in images.chunks_mut(places).enumerate() {
        let bias = bias[row % bias.len()];
        values.iter_mut().for_each(|value| *value += bias);
    }
}

/// Sums over samples and places of every channel.
pub fn bias_gradient(gradient: &[f64], places: usize, channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for (row, values) in gradient.chunks(places).enumerate() {
        sums[row % channels] += values.iter().sum::<f64>();
    }
    sums
}
