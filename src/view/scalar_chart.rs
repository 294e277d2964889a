//! From recorded scalars to a chart: even steps, a scale, running means, and what is said about them.

use super::caption::Caption;
use super::line_chart::{LineChart, ScalarData, ScalarLine};
use crate::Result;
use crate::gpu::Gpu;
use crate::series::{EvenSteps, Scale};

/// Columns of a chart for each value that its running means reach over.
const COLUMNS_PER_SMOOTHED: usize = 50;
/// Values that a running mean reaches over at most.
const MAX_SMOOTHED: usize = 50;

/// Recorded scalars on the GPU, ready to be drawn.
#[derive(Debug)]
pub struct ScalarChart {
    caption: Caption,
    note: String,
    data: ScalarData,
}

impl ScalarChart {
    /// A chart of named scalars, each as (step, value) with ascending steps, in evenly spaced columns and with running
    /// means over a fiftieth of the chart. `None` where nothing is recorded.
    ///
    /// # Errors
    /// The adapter has no room for them.
    pub fn of_recorded(
        gpu: &Gpu,
        title: &str,
        y_title: &str,
        recorded: &[(&str, &[(u64, f64)])],
    ) -> Result<Option<Self>> {
        let steps_of = |values: &[(u64, f64)]| values.iter().map(|(step, _)| *step).collect();
        let steps: Vec<Vec<u64>> = recorded
            .iter()
            .map(|(_, values)| steps_of(values))
            .collect();
        let longest = steps.iter().max_by_key(|steps| steps.len());
        let Some(even) = longest.and_then(|steps| EvenSteps::over(steps)) else {
            return Ok(None);
        };
        let resample = |values: &[(u64, f64)], steps: &[u64]| {
            let values: Vec<f32> = values.iter().map(|(_, value)| *value as f32).collect();
            even.resample(steps, &values)
        };
        let values: Vec<Vec<f32>> = recorded
            .iter()
            .zip(&steps)
            .map(|((_, values), steps)| resample(values, steps))
            .collect();
        let named = recorded.iter().zip(&values);
        let lines: Vec<ScalarLine<'_>> = named
            .map(|((name, _), values)| ScalarLine { name, values })
            .collect();
        let smooth = (even.columns / COLUMNS_PER_SMOOTHED).clamp(1, MAX_SMOOTHED);
        let note = match smooth {
            1 => String::new(),
            _ => {
                let over = smooth as u64 * even.stride;
                format!("Strong lines: running mean over {over} steps.")
            }
        };
        let scale = Scale::for_values(&values.concat());
        Ok(Some(Self {
            caption: Caption {
                title: title.to_owned(),
                x_title: "training step".to_owned(),
                y_title: y_title.to_owned(),
                first_step: even.first,
                stride: even.stride,
            },
            note,
            data: ScalarData::new(gpu, &lines, scale, smooth)?,
        }))
    }

    /// The same chart with another sentence in its note.
    #[must_use]
    pub fn with_note(self, sentence: &str) -> Self {
        let note = format!("{} {sentence}", self.note).trim().to_owned();
        Self { note, ..self }
    }

    /// The scalars.
    pub fn data(&self) -> &ScalarData {
        &self.data
    }

    /// The chart.
    pub fn chart(&self) -> LineChart<'_> {
        LineChart {
            frame: self.caption.frame(&self.note),
            data: &self.data,
        }
    }
}
