//! How parameters start.

use crate::random::{self, Stream};

/// A distribution for a parameter's first values.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Initialization {
    /// PyTorch's default for linear layers, weight and bias alike: uniform within `1 / sqrt(fan_in)`.
    #[default]
    PyTorch,
    /// Normal with variance `2 / fan_in` (He et al. 2015), biases 0.
    He,
    /// Uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010), biases 0.
    Xavier,
    /// All zero.
    Zeros,
    /// Normal with this standard deviation, whatever the fans, biases 0: `{ normal = 0.02 }`.
    Normal(f32),
    /// Uniform within this bound, whatever the fans, biases 0: `{ uniform = 0.1 }`.
    Uniform(f32),
    /// This value in all weights, biases 0: `{ constant = 0.01 }`.
    Constant(f32),
    /// All one: scales of normalizations.
    #[serde(skip)]
    Ones,
    /// A vector of length 1 in a random direction: spectral normalization.
    #[serde(skip)]
    Direction,
}

impl Initialization {
    /// Whether every weight starts alike, so that the units of a layer stay alike.
    pub fn is_constant(self) -> bool {
        match self {
            Self::Zeros | Self::Ones | Self::Constant(_) => true,
            Self::Normal(spread) | Self::Uniform(spread) => spread == 0.0,
            Self::PyTorch | Self::He | Self::Xavier | Self::Direction => false,
        }
    }

    /// The first values of parameter number `index` of a graph, of `shape`; `fan_in` and `fan_out` are the
    /// connections into and out of a unit of its layer. A parameter of one dimension is a bias.
    pub fn values(
        self,
        shape: &[usize],
        fan_in: usize,
        fan_out: usize,
        seed: u64,
        index: usize,
    ) -> Vec<f32> {
        let count: usize = shape.iter().product();
        let is_bias = shape.len() == 1;
        let draw = |value: &dyn Fn([u32; 4]) -> [f64; 4]| {
            let mut values = Vec::with_capacity(count + 3);
            for block in 0..count.div_ceil(4) {
                let words = random::words(seed, Stream::Initialization, index as u32, block as u32);
                values.extend(value(words).map(|value| value as f32));
            }
            values.truncate(count);
            values
        };
        let uniform = |bound: f64| {
            draw(&|words| words.map(|word| (2.0 * random::uniform(word) - 1.0) * bound))
        };
        let normal =
            |scale: f64| draw(&|words| random::standard_normal(words).map(|normal| normal * scale));
        match self {
            Self::Ones => vec![1.0; count],
            Self::Direction => {
                let values = normal(1.0);
                let squares = values.iter().map(|&value| f64::from(value).powi(2));
                let length = squares.sum::<f64>().sqrt().max(1e-12);
                values
                    .iter()
                    .map(|&value| (f64::from(value) / length) as f32)
                    .collect()
            }
            Self::PyTorch => uniform(1.0 / (fan_in as f64).sqrt()),
            Self::He if !is_bias => normal((2.0 / fan_in as f64).sqrt()),
            Self::Xavier if !is_bias => uniform((6.0 / (fan_in + fan_out) as f64).sqrt()),
            Self::Normal(deviation) if !is_bias => normal(f64::from(deviation)),
            Self::Uniform(bound) if !is_bias => uniform(f64::from(bound)),
            Self::Constant(value) if !is_bias => vec![value; count],
            Self::He
            | Self::Xavier
            | Self::Normal(_)
            | Self::Uniform(_)
            | Self::Constant(_)
            | Self::Zeros => vec![0.0; count],
        }
    }
}
