//! The reference implementation in float64.

use super::Convolution;

impl Convolution {
    /// Calls `visit(index in output, index in input, index in weight)` for all pairs that are multiplied.
    fn visit(&self, batch: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [input_channels, height, width] = self.input;
        let [output_channels, output_height, output_width] = self.output;
        let kernel = self.geometry.kernel;
        for sample in 0..batch {
            for y in 0..output_height {
                for x in 0..output_width {
                    for ky in 0..kernel.y {
                        for kx in 0..kernel.x {
                            let pixel = self.geometry.pixel([y, x], [ky, kx], [height, width]);
                            let Some(pixel) = pixel else {
                                continue;
                            };
                            for output in 0..output_channels {
                                let at = ((sample * output_channels + output) * output_height + y)
                                    * output_width
                                    + x;
                                for input in 0..input_channels {
                                    visit(
                                        at,
                                        (sample * input_channels + input) * height * width + pixel,
                                        ((output * input_channels + input) * kernel.y + ky)
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

    pub fn reference_forward(&self, batch: usize, input: &[f64], weight: &[f64]) -> Vec<f64> {
        let mut output = vec![0.0; batch * self.output.iter().product::<usize>()];
        self.visit(batch, |o, i, w| output[o] += input[i] * weight[w]);
        output
    }

    pub fn reference_backward_input(
        &self,
        batch: usize,
        output: &[f64],
        weight: &[f64],
    ) -> Vec<f64> {
        let mut input = vec![0.0; batch * self.input.iter().product::<usize>()];
        self.visit(batch, |o, i, w| input[i] += output[o] * weight[w]);
        input
    }

    pub fn reference_backward_weight(
        &self,
        batch: usize,
        output: &[f64],
        input: &[f64],
    ) -> Vec<f64> {
        let weights = self.output[0] * self.input[0] * self.geometry.area();
        let mut weight = vec![0.0; weights];
        self.visit(batch, |o, i, w| weight[w] += output[o] * input[i]);
        weight
    }
}

/// Adds a bias to every channel.
pub fn add_bias(images: &mut [f64], positions: usize, bias: &[f64]) {
    for (row, values) in images.chunks_mut(positions).enumerate() {
        let bias = bias[row % bias.len()];
        values.iter_mut().for_each(|value| *value += bias);
    }
}

/// Sums over samples and positions of every channel.
pub fn bias_gradient(gradient: &[f64], positions: usize, channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for (row, values) in gradient.chunks(positions).enumerate() {
        sums[row % channels] += values.iter().sum::<f64>();
    }
    sums
}
