//! The statistics of one unit at one step.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// What is recorded of the values of a unit at one step. Kernels write it in this layout, so a buffer of statistics is
/// an array of it.
///
/// Non-finite values are counted in `nonfinite` and left out of everything else. Where a unit has no finite value, the
/// first four are NaN.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
pub struct UnitStatistics {
    /// Mean of the finite values.
    pub mean: f32,
    /// Their standard deviation (of the population).
    pub std: f32,
    /// The smallest of them.
    pub min: f32,
    /// The largest of them.
    pub max: f32,
    /// The fraction of them that is zero.
    pub zero_fraction: f32,
    /// How many values are NaN or infinite.
    pub nonfinite: f32,
}

impl UnitStatistics {
    /// How many numbers it has: the columns of a buffer of statistics `[rows, 6]`.
    pub const LEN: usize = Statistic::ALL.len();

    /// One of the statistics.
    pub fn get(&self, statistic: Statistic) -> f32 {
        match statistic {
            Statistic::Mean => self.mean,
            Statistic::Std => self.std,
            Statistic::Min => self.min,
            Statistic::Max => self.max,
            Statistic::ZeroFraction => self.zero_fraction,
            Statistic::Nonfinite => self.nonfinite,
        }
    }

    /// All of them, in the order of [`Statistic::ALL`].
    pub fn to_array(self) -> [f32; Self::LEN] {
        bytemuck::cast(self)
    }

    /// The bits of all of them. Statistics with NaN in them are equal where their bits are.
    pub fn to_bits(self) -> [u32; Self::LEN] {
        bytemuck::cast(self)
    }
}

impl From<[f32; Self::LEN]> for UnitStatistics {
    fn from(values: [f32; Self::LEN]) -> Self {
        bytemuck::cast(values)
    }
}

/// Selects one field of [`UnitStatistics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// [`UnitStatistics::mean`].
    Mean,
    /// [`UnitStatistics::std`].
    Std,
    /// [`UnitStatistics::min`].
    Min,
    /// [`UnitStatistics::max`].
    Max,
    /// [`UnitStatistics::zero_fraction`].
    ZeroFraction,
    /// [`UnitStatistics::nonfinite`].
    Nonfinite,
}

impl Statistic {
    /// All of them, in the order of the fields of [`UnitStatistics`].
    pub const ALL: [Self; 6] = [
        Self::Mean,
        Self::Std,
        Self::Min,
        Self::Max,
        Self::ZeroFraction,
        Self::Nonfinite,
    ];

    /// The name of its column in the files and its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Min => "min",
            Self::Max => "max",
            Self::ZeroFraction => "zero_fraction",
            Self::Nonfinite => "nonfinite",
        }
    }

    /// What a chart or a sentence calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Std => "standard deviation",
            Self::Min => "minimum",
            Self::Max => "maximum",
            Self::ZeroFraction => "zero fraction",
            Self::Nonfinite => "non-finite values",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_in_the_order_of_all() {
        let statistics = UnitStatistics::from([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let selected = Statistic::ALL.map(|statistic| statistics.get(statistic));
        assert_eq!(selected, statistics.to_array());
        assert_eq!(statistics.to_bits(), selected.map(f32::to_bits));
        assert_eq!(size_of::<UnitStatistics>(), 4 * UnitStatistics::LEN);
        for statistic in Statistic::ALL {
            let json = serde_json::to_value(statistic).expect("plain data");
            assert_eq!(json, statistic.name());
        }
    }
}
