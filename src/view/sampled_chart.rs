//! From recorded series to a chart: even steps, a scale, a sample, and what is said about them.

use super::caption::{Caption, Columns};
use super::series_chart::SeriesChart;
use super::series_data::{LineClasses, SeriesData};
use super::time_axis::TimeAxis;
use crate::Result;
use crate::gpu::Gpu;
use crate::sample::{Sample, SampleOptions, sample};
use crate::series::{EvenSteps, LineGroup, Scale, SeriesBuffer};
use crate::tensor::TensorKind;
use crate::trace::{Statistic, UnitSeries};

/// Which series are recorded of the units of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitsOf {
    /// The layer or parameter.
    pub tensor: String,
    /// Which of its values.
    pub kind: TensorKind,
    /// Which statistic of those values.
    pub statistic: Statistic,
}

/// Series that were sampled, on the GPU and ready to be drawn: the representatives over the density of all.
#[derive(Debug)]
pub struct SampledChart {
    caption: Caption,
    note: String,
    sample: Sample,
    data: SeriesData,
}

impl SampledChart {
    /// Samples `series`. The note of the chart says what the sample guarantees.
    ///
    /// # Errors
    /// As [`sample`].
    pub fn new(
        gpu: &Gpu,
        series: SeriesBuffer,
        caption: Caption,
        options: &SampleOptions,
    ) -> Result<Self> {
        let sample = sample(gpu, &series, options)?;
        Self::of_sample(series, caption, sample)
    }

    /// A chart of series that were sampled before.
    ///
    /// # Errors
    /// The sample is not one of these lines.
    pub fn of_sample(series: SeriesBuffer, caption: Caption, sample: Sample) -> Result<Self> {
        Ok(Self {
            caption,
            note: sample.guarantee(),
            data: SeriesData::sampled(series, &sample)?,
            sample,
        })
    }

    /// Samples the recorded series of the units of a tensor, in evenly spaced columns. Without a `scale`, one that suits
    /// the values is chosen. `None` where nothing is recorded.
    ///
    /// # Errors
    /// As [`sample`].
    pub fn of_units(
        gpu: &Gpu,
        units: &UnitsOf,
        recorded: &UnitSeries,
        scale: Option<Scale>,
        options: &SampleOptions,
    ) -> Result<Option<Self>> {
        let Some(even) = EvenSteps::over(&recorded.steps) else {
            return Ok(None);
        };
        let rows = recorded.rows();
        let values = rows.flat_map(|row| even.resample(&recorded.steps, row));
        let columns = Columns {
            count: even.columns,
            first_step: even.first,
            stride: even.stride,
        };
        Self::of_columns(gpu, units, values.collect(), columns, scale, options)
    }

    /// As [`SampledChart::of_units`], in the columns of a time axis.
    ///
    /// # Errors
    /// As [`sample`].
    pub fn along(
        gpu: &Gpu,
        axis: &TimeAxis,
        units: &UnitsOf,
        recorded: &UnitSeries,
        scale: Option<Scale>,
        options: &SampleOptions,
    ) -> Result<Option<Self>> {
        let rows = recorded.rows();
        let values = rows.flat_map(|row| axis.resample(&recorded.steps, row));
        let columns = Columns::of(axis);
        Self::of_columns(gpu, units, values.collect(), columns, scale, options)
    }

    fn of_columns(
        gpu: &Gpu,
        units: &UnitsOf,
        values: Vec<f32>,
        columns: Columns,
        scale: Option<Scale>,
        options: &SampleOptions,
    ) -> Result<Option<Self>> {
        if values.is_empty() {
            return Ok(None);
        }
        let scale = scale.unwrap_or_else(|| Scale::for_values(&values));
        let series = SeriesBuffer::upload(gpu, &values, columns.count, scale)?;
        let group = LineGroup {
            tensor: units.tensor.clone(),
            kind: units.kind,
            lines: 0..series.lines(),
        };
        let y_title = units.describe();
        let caption = Caption {
            title: format!("Units of {}: {y_title}", units.tensor),
            x_title: "training step".to_owned(),
            y_title,
            first_step: columns.first_step,
            stride: columns.stride,
        };
        Self::new(gpu, series.with_groups(vec![group]), caption, options).map(Some)
    }

    /// Titles and steps.
    pub fn caption(&self) -> &Caption {
        &self.caption
    }

    /// What the sample guarantees, in a sentence.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The same chart with another sentence in its note.
    #[must_use]
    pub fn with_note(self, sentence: &str) -> Self {
        let note = format!("{} {sentence}", self.note).trim().to_owned();
        Self { note, ..self }
    }

    /// The same chart, whose lines have the colors of their classes.
    #[must_use]
    pub fn with_classes(self, classes: LineClasses) -> Self {
        Self {
            data: self.data.with_classes(classes),
            ..self
        }
    }

    /// The sample.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The series and the lines that are shown.
    pub fn data(&self) -> &SeriesData {
        &self.data
    }

    /// The chart.
    pub fn chart(&self) -> SeriesChart<'_> {
        SeriesChart {
            frame: self.caption.frame(&self.note),
            data: &self.data,
        }
    }
}

impl UnitsOf {
    /// The statistic in words, such as "mean of the activation over the batch".
    pub fn describe(&self) -> String {
        let values = match self.kind {
            TensorKind::Activation => "the activation over the batch",
            TensorKind::Gradient => "the gradient over the batch",
            TensorKind::Weight => "the weights of a unit",
            TensorKind::Update => "the update of a unit",
        };
        let statistic = match self.statistic {
            Statistic::Mean => "mean of",
            Statistic::Std => "standard deviation of",
            Statistic::Min => "minimum of",
            Statistic::Max => "maximum of",
            Statistic::ZeroFraction => "fraction of zeros in",
            Statistic::Nonfinite => "number of non-finite values in",
        };
        format!("{statistic} {values}")
    }
}
