//! From recorded scalars to a chart: even steps, a scale, running means, and what is said about them.

use super::caption::{Caption, Columns};
use super::line_chart::{LineChart, ScalarData, ScalarLine};
use super::time_axis::TimeAxis;
use crate::Result;
use crate::gpu::Gpu;
use crate::series::{EvenSteps, Scale};

/// Columns of a chart for each value that its running means reach over.
const COLUMNS_PER_SMOOTHED: usize = 50;
/// Values that a running mean reaches over at least and at most.
const SMOOTHED: [usize; 2] = [5, 50];
/// Charts of fewer values show these alone.
const MIN_TO_SMOOTH: usize = 100;

/// Recorded scalars on the GPU, ready to be drawn.
#[derive(Debug)]
pub struct ScalarChart {
    caption: Caption,
    note: String,
    data: ScalarData,
}

impl ScalarChart {
    /// A chart of named scalars, each as (step, value) with ascending steps, in evenly spaced columns and with running
    /// means over a fiftieth of the chart. Scalars that are the same at every step share a line. Without a `scale`, one
    /// that suits the values is chosen. `None` where nothing is recorded.
    ///
    /// # Errors
    /// The adapter has no room for them.
    pub fn of_recorded(
        gpu: &Gpu,
        title: &str,
        y_title: &str,
        recorded: &[(&str, &[(u64, f64)])],
        scale: Option<Scale>,
    ) -> Result<Option<Self>> {
        let recorded = &merged(recorded);
        let steps_of = |values: &[(u64, f64)]| values.iter().map(|(step, _)| *step).collect();
        let steps: Vec<Vec<u64>> = recorded
            .iter()
            .map(|(_, values)| steps_of(values))
            .collect();
        let longest = steps.iter().max_by_key(|steps| steps.len());
        let Some(even) = longest.and_then(|steps| EvenSteps::over(steps)) else {
            return Ok(None);
        };
        let values: Vec<Vec<f32>> = recorded
            .iter()
            .zip(&steps)
            .map(|((_, values), steps)| even.resample(steps, &as_drawn(values)))
            .collect();
        let named = recorded.iter().zip(&values);
        let lines: Vec<ScalarLine<'_>> = named
            .map(|((name, _), values)| ScalarLine { name, values })
            .collect();
        let smooth = match even.columns {
            ..MIN_TO_SMOOTH => 1,
            columns => (columns / COLUMNS_PER_SMOOTHED).clamp(SMOOTHED[0], SMOOTHED[1]),
        };
        let scale = scale.unwrap_or_else(|| Scale::for_values(&values.concat()));
        let mut note = match smooth {
            1 => String::new(),
            _ => {
                let over = smooth as u64 * even.stride;
                let axis = match scale {
                    Scale::Linear => "",
                    _ => " on this axis",
                };
                format!("Thin: every value; strong: running mean{axis} over {over} steps.")
            }
        };
        if scale == Scale::Symlog {
            note = format!("{note} Logarithmic axis, linear around zero.");
        }
        let note = note.trim_start().to_owned();
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

    /// As [`ScalarChart::of_recorded`], in the columns of a time axis. Where columns hold several steps, each scalar is drawn
    /// as its lowest and its highest value of each, with nothing smoothed.
    ///
    /// # Errors
    /// The adapter has no room for them.
    pub fn along(
        gpu: &Gpu,
        axis: &TimeAxis,
        title: &str,
        y_title: &str,
        recorded: &[(&str, &[(u64, f64)])],
        scale: Option<Scale>,
    ) -> Result<Option<Self>> {
        let recorded = &merged(recorded);
        if recorded.iter().all(|(_, values)| values.is_empty()) {
            return Ok(None);
        }
        let envelopes = recorded.iter().map(|(_, values)| {
            let steps: Vec<u64> = values.iter().map(|(step, _)| *step).collect();
            axis.envelope(&steps, &as_drawn(values))
        });
        let envelopes: Vec<[Vec<f32>; 2]> = envelopes.collect();
        let scale = scale.unwrap_or_else(|| Scale::for_values(&envelopes.concat().concat()));
        let mut note = String::new();
        if axis.columns().iter().any(|span| span.steps() > 1) {
            note.push_str("Two lines a scalar where a column holds several steps: their lowest and highest value.");
        }
        if scale == Scale::Symlog {
            note.push_str(" Logarithmic axis, linear around zero.");
        }
        let columns = Columns::of(axis);
        let names: Vec<String> = recorded.iter().map(|(name, _)| name.clone()).collect();
        Ok(Some(Self {
            caption: Caption {
                title: title.to_owned(),
                x_title: "training step".to_owned(),
                y_title: y_title.to_owned(),
                first_step: columns.first_step,
                stride: columns.stride,
            },
            note: note.trim_start().to_owned(),
            data: ScalarData::of_envelopes(gpu, names, &envelopes, scale)?,
        }))
    }

    /// The same chart with another sentence in its note.
    #[must_use]
    pub fn with_note(self, sentence: &str) -> Self {
        let note = format!("{} {sentence}", self.note).trim().to_owned();
        Self { note, ..self }
    }

    /// Titles and steps.
    pub fn caption(&self) -> &Caption {
        &self.caption
    }

    /// What is said below the title.
    pub fn note(&self) -> &str {
        &self.note
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

/// Values as float32, which is what charts are drawn from.
fn as_drawn(values: &[(u64, f64)]) -> Vec<f32> {
    values.iter().map(|(_, value)| *value as f32).collect()
}

/// Named scalars, where those with the same values at the same steps are one, named after all of them.
pub(crate) fn merged<'a>(recorded: &[(&str, &'a [(u64, f64)])]) -> Vec<(String, &'a [(u64, f64)])> {
    let same = |a: &[(u64, f64)], b: &[(u64, f64)]| {
        let bits = |&(step, value): &(u64, f64)| (step, value.to_bits());
        !a.is_empty() && a.iter().map(bits).eq(b.iter().map(bits))
    };
    let mut lines: Vec<(String, &[(u64, f64)])> = Vec::new();
    for (name, values) in recorded {
        match lines.iter_mut().find(|(_, known)| same(known, values)) {
            Some((names, _)) => {
                names.push_str(" = ");
                names.push_str(name);
            }
            None => lines.push(((*name).to_owned(), values)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scalars_share_a_line_that_names_both() {
        let (a, b) = ([(0, 1.0), (1, f64::NAN)], [(0, 1.0), (1, 2.0)]);
        let lines = merged(&[("loss", &a), ("other", &b), ("cross_entropy", &a)]);
        let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["loss = cross_entropy", "other"]);
    }
}
