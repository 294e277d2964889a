//! Series on the GPU, with their scale and what their lines are called.

use std::ops::Range;

use super::{Scale, SeriesTable, Stored, ValueAxis, ValueScale};
use crate::gpu::{Buffer, Gpu};
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// Consecutive lines that are the units of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineGroup {
    /// The layer or parameter.
    pub tensor: String,
    /// Which of its values were recorded.
    pub kind: TensorKind,
    /// Its lines; the first is unit 0.
    pub lines: Range<usize>,
}

/// The unit that a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitLine<'a> {
    /// The layer or parameter.
    pub tensor: &'a str,
    /// Which of its values were recorded.
    pub kind: TensorKind,
    /// The unit's number in the tensor.
    pub unit: usize,
}

impl<'a> UnitLine<'a> {
    /// The unit that a line of these groups belongs to; `None` where it is in none.
    pub fn of(groups: &'a [LineGroup], line: usize) -> Option<Self> {
        let group = groups.iter().find(|group| group.lines.contains(&line))?;
        Some(Self {
            tensor: &group.tensor,
            kind: group.kind,
            unit: line - group.lines.start,
        })
    }
}

/// Many lines of equally many steps in one buffer on the GPU. Cloning shares the buffer.
///
/// ```no_run
/// use trainscope::gpu::{AdapterChoice, Gpu};
/// use trainscope::series::{Scale, SeriesBuffer};
///
/// # fn main() -> trainscope::Result<()> {
/// let gpu = Gpu::new(&AdapterChoice::default())?;
/// let values = vec![0.0, 0.5, 1.0, 1.0, 0.5, 0.0];
/// let series = SeriesBuffer::upload(&gpu, &values, 3, Scale::Linear)?;
/// assert_eq!((series.lines(), series.steps()), (2, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SeriesBuffer {
    values: Buffer<f32>,
    lines: usize,
    steps: usize,
    stored: Stored,
    groups: Vec<LineGroup>,
    /// Whether all values are known to be finite.
    is_finite: bool,
}

impl SeriesBuffer {
    /// The first `lines` times `steps` values of a buffer `[lines, steps]`, read where they lie.
    ///
    /// # Errors
    /// There is no step, or the buffer is too small.
    pub fn new(values: Buffer<f32>, lines: usize, steps: usize, scale: ValueScale) -> Result<Self> {
        let needed = lines.checked_mul(steps);
        if steps == 0 || needed.is_none_or(|needed| needed > values.len()) {
            return Err(Error::input(
                format!("{lines} lines of {steps} steps"),
                format!("the buffer holds {} values", values.len()),
                "give as many values as lines times steps, and at least one step",
            ));
        }
        Ok(Self {
            values,
            lines,
            steps,
            stored: Stored::raw(scale),
            groups: Vec::new(),
            is_finite: false,
        })
    }

    /// Uploads `values` `[lines, steps]`, with heights after a `scale` fitted to them. Where a GPU would not tell them
    /// apart (a small range on a large base, numbers near the smallest) they are uploaded as their heights.
    ///
    /// # Errors
    /// The values are not a whole number of lines, or the adapter has no room for them.
    pub fn upload(gpu: &Gpu, values: &[f32], steps: usize, scale: Scale) -> Result<Self> {
        let fitted = ValueScale::fit(scale, values);
        if fitted.is_precise() {
            return Self::upload_with(gpu, values, steps, fitted);
        }
        let axis = ValueAxis::fit(scale, values.iter().map(|&value| value.into()));
        let stored = Stored::heights(axis);
        let narrowed: Vec<f32> = values.iter().map(|&v| stored.narrow(v.into())).collect();
        let series = Self::upload_with(gpu, &narrowed, steps, stored.scale)?;
        Ok(Self { stored, ..series })
    }

    /// Uploads all lines of a table, with heights after a `scale` fitted to them.
    ///
    /// # Errors
    /// The adapter has no room for them.
    pub fn upload_table(gpu: &Gpu, table: &SeriesTable, scale: Scale) -> Result<Self> {
        let stored = table.stored(scale);
        let narrowed = table.narrowed(0..table.lines, &stored);
        let series = Self::upload_with(gpu, &narrowed, table.steps.len(), stored.scale)?;
        Ok(Self { stored, ..series })
    }

    /// Uploads `values` `[lines, steps]`, with heights after `scale`.
    ///
    /// # Errors
    /// As [`SeriesBuffer::upload`].
    pub fn upload_with(gpu: &Gpu, values: &[f32], steps: usize, scale: ValueScale) -> Result<Self> {
        if steps == 0 || !values.len().is_multiple_of(steps) {
            return Err(Error::input(
                "series",
                format!(
                    "{} values are not a whole number of lines of {steps} steps",
                    values.len()
                ),
                "give [lines, steps] values",
            ));
        }
        let buffer = gpu.upload("series", values)?;
        Ok(Self {
            is_finite: values.iter().all(|value| value.is_finite()),
            ..Self::new(buffer, values.len() / steps, steps, scale)?
        })
    }

    /// The same series, whose lines are the units of these tensors.
    #[must_use]
    pub fn with_groups(self, groups: Vec<LineGroup>) -> Self {
        Self { groups, ..self }
    }

    /// What is stored, `[lines, steps]`: the values, or their heights (see [`SeriesBuffer::upload`]).
    pub fn values(&self) -> &Buffer<f32> {
        &self.values
    }

    /// The number of lines.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The number of values in a line.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether all values are known to be finite; what was made on the GPU is not known.
    pub fn is_finite(&self) -> bool {
        self.is_finite
    }

    /// How what is stored becomes a height.
    pub fn scale(&self) -> ValueScale {
        self.stored.scale
    }

    /// How a value becomes a height, for the labels of an axis.
    pub fn axis(&self) -> ValueAxis {
        self.stored.axis
    }

    /// The value that is stored as `stored`.
    pub fn value(&self, stored: f32) -> f64 {
        self.stored.value(stored)
    }

    /// The tensors whose units the lines are; empty where they are not units.
    pub fn groups(&self) -> &[LineGroup] {
        &self.groups
    }

    /// The unit that a line belongs to; `None` where lines are not units.
    pub fn unit(&self, line: usize) -> Option<UnitLine<'_>> {
        UnitLine::of(&self.groups, line)
    }
}
