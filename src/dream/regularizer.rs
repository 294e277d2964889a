//! What holds a dream back from noise: the norm of its pixels, and differences between neighbors in space and in time
//! (Mahendran and Vedaldi 2016; in time Feichtenhofer, Pinz, Wildes and Zisserman 2018).
//!
//! The energy that is minimized, of values in units of the bound:
//!
//! ```text
//! range * mean |v|^3 + smoothness * mean [ kappa (Dx v)^2 + kappa (Dy v)^2 + chi (Dt v)^2 ]
//! ```
//!
//! The means go over the pixels of all frames of a stream, the streams are added up, and `Dt` is the difference to the next
//! frame. A vector has no neighbors.

use super::space::{InputSpace, SpaceOnGpu};
use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::{gpu_struct, shader};

static REGULARIZER: Shader = shader!("dream/regularizer.wgsl");

/// How far neighboring pixels usually are apart, as a share of the bound (Mahendran and Vedaldi).
const USUAL_DIFFERENCE: f64 = 1.0 / 6.5;

gpu_struct! {
    struct RegularizerUniforms in REGULARIZER::Uniforms {
        rows: u32,
        channels: u32,
        height: u32,
        width: u32,
        range: f32,
        smoothness: f32,
        kappa: f32,
    }
}

/// The weights of the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularizer {
    /// Of the norms of pixels.
    pub range: f64,
    /// Of differences between neighbors, in units of a usual difference.
    pub smoothness: f64,
    /// Of differences in space among all differences. Those in time have `chi`, which every dream has for itself.
    pub kappa: f64,
}

impl Default for Regularizer {
    fn default() -> Self {
        Self {
            range: 1.0,
            smoothness: 1.0,
            kappa: 1.0,
        }
    }
}

impl Regularizer {
    fn weight_of_differences(&self) -> f64 {
        self.smoothness / (USUAL_DIFFERENCE * USUAL_DIFFERENCE)
    }

    /// The gradient of values: of this energy, with `chi` of each row, and what comes through the network's input, which
    /// was rolled by `shift`.
    pub fn dispatch(
        &self,
        gpu: &Gpu,
        space: &SpaceOnGpu<'_>,
        chi: &Buffer<f32>,
        shift: &Buffer<u32>,
        [values, input_gradient, gradient]: [&Buffer<f32>; 3],
    ) -> Dispatch {
        let [height, width] = space.space().sides();
        let uniforms = RegularizerUniforms {
            rows: space.rows() as u32,
            channels: space.space().channels() as u32,
            height: height as u32,
            width: width as u32,
            range: self.range as f32,
            smoothness: self.weight_of_differences() as f32,
            kappa: self.kappa as f32,
        };
        let uniform = gpu.uniform("regularizer", &uniforms);
        let [pixels, scales] = space.tables();
        let bindings = [
            (0, uniform.binding()),
            (1, pixels),
            (2, scales),
            (3, chi.binding()),
            (4, shift.binding()),
            (5, values.binding()),
            (6, input_gradient.binding()),
            (7, gradient.binding()),
        ];
        let kernel = gpu.kernel(&REGULARIZER, "differentiate", &[]);
        kernel.bind(gpu, &bindings, grid(values.len(), 64))
    }

    /// The float64 reference: the energy of the values of one dream, and its gradient.
    pub fn reference(&self, space: &InputSpace, chi: f64, values: &[f64]) -> (f64, Vec<f64>) {
        let [height, width] = space.sides();
        let positions = height * width;
        let mut energy = 0.0;
        let mut gradient = vec![0.0; values.len()];
        let differences = self.weight_of_differences();
        for stream in &space.streams {
            let share = 1.0 / (positions * stream.frames()) as f64;
            for first in stream.channels.clone().step_by(stream.components) {
                for position in 0..positions {
                    let parts = first..first + stream.components;
                    let at = |channel: usize| channel * positions + position;
                    let squares: f64 = parts.clone().map(|c| values[at(c)].powi(2)).sum();
                    let norm = squares.sqrt();
                    energy += share * self.range * norm.powi(3);
                    for channel in parts {
                        gradient[at(channel)] +=
                            share * self.range * 3.0 * norm * values[at(channel)];
                    }
                }
            }
            let mut pair = |a: usize, b: usize, weight: f64| {
                let difference = values[a] - values[b];
                let weight = share * differences * weight;
                energy += weight * difference * difference;
                gradient[a] += 2.0 * weight * difference;
                gradient[b] -= 2.0 * weight * difference;
            };
            for channel in stream.channels.clone() {
                for position in 0..positions {
                    let at = channel * positions + position;
                    if position % width + 1 < width {
                        pair(at, at + 1, self.kappa);
                    }
                    if position / width + 1 < height {
                        pair(at, at + width, self.kappa);
                    }
                    if channel + stream.components < stream.channels.end {
                        pair(at, at + stream.components * positions, chi);
                    }
                }
            }
        }
        (energy, gradient)
    }
}
