//! Lines as a file gives them, in the precision that it has.

use super::{Scale, ValueAxis, ValueScale};
use crate::trace::UnitSeries;

/// From here on float64 does not hold every whole number.
const MAX_EXACT: i128 = 1 << 53;

/// Numbers in the precision that they were read in.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// What float32 holds exactly.
    F32(Vec<f32>),
    /// What it does not.
    F64(Vec<f64>),
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at `index`.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::F32(values) => values[index].into(),
            Self::F64(values) => values[index],
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Many lines of equally many values.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesTable {
    /// The steps, ascending.
    pub steps: Vec<u64>,
    /// How many lines there are.
    pub lines: usize,
    /// `[lines, steps]`, row-major, each less [`SeriesTable::origin`]; may hold values that are not finite.
    pub values: Numbers,
    /// What was taken off all values: the least of whole numbers beyond 2^53, else 0.
    pub origin: f64,
}

impl SeriesTable {
    /// Lines of `values`, numbered steps from 0.
    pub fn new(lines: usize, values: Numbers) -> Self {
        let steps = values.len() / lines.max(1);
        Self {
            steps: (0..steps as u64).collect(),
            lines,
            values,
            origin: 0.0,
        }
    }

    /// Lines of whole numbers. Beyond 2^53, where float64 rounds, the least is taken off before they are converted.
    pub fn of_integers(lines: usize, values: impl Iterator<Item = i128> + Clone) -> Self {
        let bounds = |(low, high): (i128, i128), value: i128| (low.min(value), high.max(value));
        let (low, high) = values.clone().fold((i128::MAX, i128::MIN), bounds);
        let is_exact = low >= -MAX_EXACT && high <= MAX_EXACT;
        let origin = if is_exact || low > high { 0 } else { low };
        let values = values.map(|value| (value - origin) as f64).collect();
        Self {
            origin: origin as f64,
            ..Self::new(lines, Numbers::F64(values))
        }
    }

    /// How its lines are stored on the GPU under a scale fitted to all values.
    pub(crate) fn stored(&self, scale: Scale) -> Stored {
        let fitted = match &self.values {
            Numbers::F32(values) => Some(ValueScale::fit(scale, values)),
            Numbers::F64(values) => self.narrowed_scale(scale, values),
        };
        if let Some(fitted) = fitted.filter(ValueScale::is_precise) {
            return Stored::raw(fitted);
        }
        // A symlog scale is about zero, so it is fitted to the values themselves.
        let origin = match scale {
            Scale::Linear => 0.0,
            Scale::Symlog => self.origin,
        };
        let axis = ValueAxis::fit(scale, self.values.iter().map(|value| value + origin));
        Stored {
            axis: axis.shifted(self.origin - origin),
            origin,
            ..Stored::heights(axis)
        }
    }

    /// The scale of values narrowed to float32; `None` where those cover another range.
    fn narrowed_scale(&self, scale: Scale, values: &[f64]) -> Option<ValueScale> {
        let narrowed: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let fitted = ValueScale::fit(scale, &narrowed);
        let axis = ValueAxis::fit(scale, values.iter().copied());
        let is_same = axis.has_extent_of(&ValueAxis::from(fitted));
        (is_same && self.origin == 0.0).then_some(fitted)
    }

    /// The values of some lines as they are stored on the GPU.
    pub(crate) fn narrowed(&self, lines: std::ops::Range<usize>, stored: &Stored) -> Vec<f32> {
        let steps = self.steps.len();
        let range = lines.start * steps..lines.end * steps;
        match &self.values {
            Numbers::F32(values) if stored.is_raw => values[range].to_vec(),
            values => range.map(|i| stored.narrow(values.get(i))).collect(),
        }
    }
}

impl From<UnitSeries> for SeriesTable {
    fn from(series: UnitSeries) -> Self {
        Self {
            steps: series.steps,
            lines: series.units,
            values: Numbers::F32(series.values),
            origin: 0.0,
        }
    }
}

/// How values are stored on the GPU: as they are, or, where float32 would lose what tells lines apart, as their heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stored {
    /// How what is stored becomes a height.
    pub scale: ValueScale,
    /// How a number of the table becomes a height.
    stored: ValueAxis,
    /// How a value becomes a height.
    pub axis: ValueAxis,
    /// What is added to a number of the table first.
    origin: f64,
    is_raw: bool,
}

impl Stored {
    /// Values as they are.
    pub fn raw(scale: ValueScale) -> Self {
        Self {
            scale,
            stored: scale.into(),
            axis: scale.into(),
            origin: 0.0,
            is_raw: true,
        }
    }

    /// Their heights on `axis`.
    pub fn heights(axis: ValueAxis) -> Self {
        Self {
            scale: ValueScale::of_heights(),
            stored: axis,
            axis,
            origin: 0.0,
            is_raw: false,
        }
    }

    /// [`ValueAxis::scaled`] of a number of the table.
    pub fn scaled(&self, number: f64) -> f64 {
        self.stored.scaled(number + self.origin)
    }

    /// [`ValueAxis::bottom`] of the numbers of the table.
    pub fn bottom(&self) -> f64 {
        self.stored.bottom()
    }

    /// A number of the table as it is stored.
    pub fn narrow(&self, number: f64) -> f32 {
        if self.is_raw {
            number as f32
        } else {
            self.stored.height(number + self.origin) as f32
        }
    }

    /// The value that is stored as `stored`.
    pub fn value(&self, stored: f32) -> f64 {
        if self.is_raw {
            stored.into()
        } else {
            self.axis.value(stored.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_float32_cannot_hold_is_stored_as_heights() {
        let heights = |table: &SeriesTable, scale| {
            let stored = table.stored(scale);
            assert!(!stored.is_raw, "{table:?}");
            table.narrowed(0..table.lines, &stored)
        };
        let quarters = |values: Vec<f32>| assert_eq!(values, [0.0, 0.25, 0.5, 1.0]);
        let small = |base: f64, unit: f64| [0.0, 1.0, 2.0, 4.0].map(|v| base + unit * v).to_vec();
        for values in [small(1e8, 0.5), small(-1e9, 0.25), small(0.0, 1e300)] {
            quarters(heights(
                &SeriesTable::new(2, Numbers::F64(values)),
                Scale::Linear,
            ));
        }
        let tiny = (0..5).map(f32::from_bits).filter(|v| v.to_bits() != 3);
        let tiny = SeriesTable::new(2, Numbers::F32(tiny.collect()));
        quarters(heights(&tiny, Scale::Linear));
        let base = i128::from(i64::MAX) - 10;
        let whole = [0, 1, 2, 4].map(|v| base + v);
        let whole = SeriesTable::of_integers(2, whole.into_iter());
        quarters(heights(&whole, Scale::Linear));
        assert_eq!(whole.stored(Scale::Linear).axis.value(0.0), base as f64);
        // Values of everyday size stay what they are.
        let plain = SeriesTable::new(2, Numbers::F64(vec![0.5, -1.0, f64::NAN, f64::INFINITY]));
        assert!(plain.stored(Scale::Linear).is_raw && plain.stored(Scale::Symlog).is_raw);
    }
}
