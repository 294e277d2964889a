//! The workloads: their names, the sizes of their models, and the matrices.

use std::str::FromStr;

/// What is computed in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A product of square matrices of this side.
    Matmul(usize),
    /// The VAE of the PyTorch examples, 784-400-20-400-784.
    Vae,
    /// A convolutional VAE.
    ConvVae(ConvVae),
    /// The DCGAN of the PyTorch examples, 64x64, nz 100, ngf 64, ndf 64.
    Dcgan,
}

/// Convolutions of 4x4, stride 2 and padding 1, a dense layer to the latent units, and the same way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvVae {
    /// Of the images.
    pub channels: usize,
    /// Of the images, in pixels.
    pub side: usize,
    /// Channels after each convolution.
    pub widths: &'static [usize],
    /// Latent units.
    pub latent: usize,
}

/// Channels of the discriminator's hidden layers; the generator has them the other way round.
pub const DCGAN_WIDTHS: [usize; 4] = [64, 128, 256, 512];

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(side) = name.strip_prefix("matmul-") {
            let side = side.parse().ok().filter(|side| (1..=16384).contains(side));
            let side = side.ok_or_else(|| format!("'{name}' names no side from 1 to 16384"))?;
            return Ok(Self::Matmul(side));
        }
        match name {
            "vae" => Ok(Self::Vae),
            "conv-vae-28" => Ok(Self::ConvVae(ConvVae {
                channels: 1,
                side: 28,
                widths: &[16, 32],
                latent: 16,
            })),
            "conv-vae-32" => Ok(Self::ConvVae(ConvVae {
                channels: 3,
                side: 32,
                widths: &[32, 64, 128],
                latent: 64,
            })),
            "dcgan" => Ok(Self::Dcgan),
            _ => Err(format!(
                "'{name}' is no workload: use matmul-SIDE, vae, conv-vae-28, conv-vae-32 or dcgan"
            )),
        }
    }
}

impl ConvVae {
    /// Side of the innermost feature maps.
    pub fn inner_side(&self) -> usize {
        self.side >> self.widths.len()
    }

    /// Values of the innermost feature maps.
    pub fn features(&self) -> usize {
        self.widths[self.widths.len() - 1] * self.inner_side().pow(2)
    }
}

/// The Householder reflection along `(sin 1, sin 2, ...)`, `[side, side]`: orthogonal and dense, so that the product with it
/// can be fed back for ever without growing, shrinking or becoming sparse.
pub fn reflection(side: usize) -> Vec<f32> {
    let v: Vec<f64> = (0..side).map(|i| (i as f64 + 1.0).sin()).collect();
    let square: f64 = v.iter().map(|v| v * v).sum();
    let entry = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square;
    (0..side * side)
        .map(|place| entry(place / side, place % side) as f32)
        .collect()
}

/// What is multiplied by [`reflection`] first, `[side, side]`: the sine of 0.37 times each place.
pub fn corner_matrix(side: usize) -> Vec<f32> {
    (0..side * side)
        .map(|place| (0.37 * (place as f64 + 1.0)).sin() as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflection_is_its_own_inverse() {
        let side = 5;
        let h = reflection(side);
        for i in 0..side {
            for j in 0..side {
                let sum: f32 = (0..side).map(|k| h[i * side + k] * h[k * side + j]).sum();
                assert!((sum - f32::from(u8::from(i == j))).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn names_are_read() {
        assert_eq!("matmul-512".parse(), Ok(Workload::Matmul(512)));
        assert!("matmul-0".parse::<Workload>().is_err());
        assert!("resnet".parse::<Workload>().is_err());
        let Ok(Workload::ConvVae(vae)) = "conv-vae-32".parse() else {
            panic!("it is a workload");
        };
        assert_eq!((vae.inner_side(), vae.features()), (4, 2048));
    }
}
