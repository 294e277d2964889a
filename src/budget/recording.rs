//! A run's record in memory, and smaller recordings of the same run.

use crate::Result;
use crate::tensor::TensorKind;
use crate::trace::{
    RunView, Statistic, TraceEntry, TraceLayout, UnitStatistics, encoded_statistics_size,
};

/// Values that are held in memory at most: records beyond that are left out evenly.
const MAX_VALUES: usize = 64 << 20;
/// Fewer steps, by these factors.
const STEPS: [usize; 4] = [2, 4, 8, 16];
/// Fewer units, by these factors.
const UNITS: [usize; 3] = [2, 4, 8];
/// Fewer records than this say nothing about windows or lines.
const MIN_RECORDS: usize = 2;

/// The statistics of all recorded steps.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub layout: TraceLayout,
    pub steps: Vec<u64>,
    pub values: Vec<Vec<UnitStatistics>>,
    /// Steps that the run has done.
    pub steps_done: u64,
    /// Every how many of the run's records was read.
    pub stride: usize,
    /// Units of each entry of the run's layout that are kept: every so many of them.
    unit_stride: usize,
}

/// What is left out of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// All but every n-th record.
    Steps(usize),
    /// All but every second record of the second quarter before the end, and every fourth of those before: what
    /// `record.budget` would leave in about half of the bytes.
    Older,
    /// All but every n-th unit of each tensor.
    Units(usize),
    /// All but so many bits of each value.
    Bits(u32),
}

impl Record {
    pub fn read(run: &RunView) -> Result<Self> {
        let layout = run.layout().clone();
        let all = match layout.entries().first() {
            Some(first) => run
                .series(&first.tensor, first.kind, Statistic::Mean)?
                .steps
                .len(),
            None => 0,
        };
        let of_record = (layout.rows() * UnitStatistics::LEN).max(1);
        let stride = all.div_ceil((MAX_VALUES / of_record).max(1)).max(1);
        let (mut steps, mut values) = (Vec::new(), Vec::new());
        let mut index: usize = 0;
        run.each_record(|step, record| {
            if index.is_multiple_of(stride) {
                steps.push(step);
                values.push(record.to_vec());
            }
            index += 1;
        })?;
        let last = steps.last().map_or(0, |step| step + 1);
        Ok(Self {
            layout,
            steps,
            values,
            steps_done: run.info().map_or(last, |info| info.steps_done),
            stride,
            unit_stride: 1,
        })
    }

    /// The distance of most records in steps.
    pub fn every(&self) -> u64 {
        let mut distances: Vec<u64> = self
            .steps
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        distances.sort_unstable();
        let median = distances.get(distances.len() / 2).copied().unwrap_or(1);
        (median / self.stride as u64).max(1)
    }

    /// A smaller recording of the same run.
    pub fn changed(&self, change: Change) -> Self {
        match change {
            Change::None => self.clone(),
            Change::Steps(every) => Self {
                steps: self.steps.iter().copied().step_by(every).collect(),
                values: self.values.iter().step_by(every).cloned().collect(),
                ..self.clone()
            },
            Change::Older => self.fewer_older(),
            Change::Units(every) => self.fewer_units(every),
            Change::Bits(bits) => self.fewer_bits(bits),
        }
    }

    fn fewer_older(&self) -> Self {
        let count = self.steps.len();
        let is_kept = |index: &usize| {
            let stride = match 4 * (count - 1 - index) / count {
                0 => 1,
                1 => 2,
                _ => 4,
            };
            index.is_multiple_of(stride)
        };
        let kept: Vec<usize> = (0..count).filter(is_kept).collect();
        Self {
            steps: kept.iter().map(|&index| self.steps[index]).collect(),
            values: kept
                .iter()
                .map(|&index| self.values[index].clone())
                .collect(),
            ..self.clone()
        }
    }

    fn fewer_units(&self, every: usize) -> Self {
        let mut layout = TraceLayout::new();
        let mut rows = Vec::new();
        for entry in self.layout.entries() {
            let kept = entry.rows().step_by(every);
            layout.push(&entry.tensor, entry.kind, kept.len());
            rows.extend(kept);
        }
        let thinned = |record: &Vec<UnitStatistics>| rows.iter().map(|&row| record[row]).collect();
        Self {
            layout,
            steps: self.steps.clone(),
            values: self.values.iter().map(thinned).collect(),
            unit_stride: every,
            ..*self
        }
    }

    /// 16 bits are those of a bfloat16; 8 bits are even levels between the smallest and the largest value of a tensor.
    fn fewer_bits(&self, bits: u32) -> Self {
        let mut values = self.values.clone();
        let rounded = [
            Statistic::Mean,
            Statistic::Std,
            Statistic::Min,
            Statistic::Max,
        ];
        for entry in self.layout.entries() {
            for statistic in rounded {
                let field = statistic as usize;
                let of_entry = |record: &Vec<UnitStatistics>| record[entry.rows()].to_vec();
                let all = self.values.iter().flat_map(of_entry);
                let finite = all
                    .map(|unit| unit.get(statistic))
                    .filter(|value| value.is_finite());
                let bounds = finite.fold((f32::MAX, f32::MIN), |(low, high), value| {
                    (low.min(value), high.max(value))
                });
                for record in &mut values {
                    for unit in &mut record[entry.rows()] {
                        let mut fields = unit.to_array();
                        fields[field] = match bits {
                            16 => bfloat16(fields[field]),
                            _ => level(fields[field], bounds),
                        };
                        *unit = fields.into();
                    }
                }
            }
        }
        Self {
            values,
            ..self.clone()
        }
    }

    /// Bytes of the record as one file of the run directory's format.
    pub fn encoded_bytes(&self) -> Result<u64> {
        encoded_statistics_size(&self.layout, &self.steps, &self.values)
    }

    /// The means of a unit at all records; what is not finite is NaN.
    pub fn line(&self, row: usize) -> Vec<f64> {
        let means = self.values.iter().map(|record| {
            let unit = &record[row];
            if unit.nonfinite > 0.0 {
                f64::NAN
            } else {
                unit.mean.into()
            }
        });
        means.collect()
    }

    /// The lines of the units of a tensor, with the units' numbers in the whole record.
    pub fn lines(&self, entry: &TraceEntry) -> Vec<(usize, Vec<f64>)> {
        let rows = entry.rows().enumerate();
        rows.map(|(unit, row)| (unit * self.unit_stride, self.line(row)))
            .collect()
    }

    /// The line of a unit by its number in the whole record; `None` where it is left out.
    pub fn line_of(&self, entry: &TraceEntry, unit: usize) -> Option<Vec<f64>> {
        let row = entry.first_row + unit / self.unit_stride;
        unit.is_multiple_of(self.unit_stride)
            .then(|| self.line(row))
    }

    /// The tensors whose lines are looked at: activations, which `sample` draws by default.
    pub fn tensors(&self) -> impl Iterator<Item = &TraceEntry> {
        let entries = self.layout.entries().iter();
        entries.filter(|entry| entry.kind == TensorKind::Activation)
    }
}

impl Change {
    pub fn words(self, record: &Record) -> String {
        match self {
            Self::None => "as recorded".to_owned(),
            Self::Steps(every) => format!("every {} steps", record.every() * every as u64),
            Self::Older => "fewer older steps".to_owned(),
            Self::Units(2) => "half of the units".to_owned(),
            Self::Units(every) => format!("one of {every} units"),
            Self::Bits(bits) => format!("{bits} bits a value"),
        }
    }

    pub fn settings(self, record: &Record) -> Vec<String> {
        match self {
            Self::Steps(every) => vec![format!("record.every={}", record.every() * every as u64)],
            _ => Vec::new(),
        }
    }
}

/// What a record can be made smaller by, the whole record first.
pub(super) fn changes(record: &Record) -> Vec<Change> {
    let enough = |every: &usize| record.steps.len() / every >= MIN_RECORDS;
    let steps = STEPS.into_iter().filter(enough).map(Change::Steps);
    let steps = steps.chain(std::iter::once(Change::Older));
    let widest = record.tensors().map(|entry| entry.units).max().unwrap_or(0);
    let units = UNITS
        .into_iter()
        .filter(|every| widest / every >= 1)
        .map(Change::Units);
    let bits = [Change::Bits(16), Change::Bits(8)];
    let all = std::iter::once(Change::None).chain(steps).chain(units);
    all.chain(bits).collect()
}

/// The nearest number with eight bits of mantissa; ties go to the even one.
fn bfloat16(value: f32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f32::from_bits(rounded)
}

/// The nearest of 256 even levels.
fn level(value: f32, (low, high): (f32, f32)) -> f32 {
    let (low, high) = (f64::from(low), f64::from(high));
    if !value.is_finite() || high <= low {
        return value;
    }
    let level = ((f64::from(value) - low) / (high - low) * 255.0).round();
    (low + level / 255.0 * (high - low)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_what_it_can() {
        for value in [0.0, -1.5, 3.0e38, 1.0e-30, f32::INFINITY] {
            let rounded = bfloat16(value);
            assert!(rounded == value || ((rounded - value) / value).abs() <= 1.0 / 256.0);
            assert_eq!(rounded.to_bits() & 0xffff, 0);
        }
        assert!(bfloat16(f32::NAN).is_nan());
        assert_eq!(level(-1.0, (-1.0, 4.0)), -1.0);
        assert_eq!(level(4.0, (-1.0, 4.0)), 4.0);
        assert!((level(0.3, (-1.0, 4.0)) - 0.3).abs() <= 2.5 / 255.0);
        assert_eq!(level(2.0, (2.0, 2.0)), 2.0);
    }
}
