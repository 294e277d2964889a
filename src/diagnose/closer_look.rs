//! What records of whole batches cannot say and a replay of some steps can: which samples a failure is about, and what they
//! have in common.

use std::ops::Range;

use super::finding::{Cause, Evidence, Explanation, Finding};
use crate::Result;
use crate::data::Images;
use crate::gpu::Gpu;
use crate::number::short;
use crate::tensor::{NamedTensor, TensorKind};
use crate::trace::{Event, EventKind, RunView, Severity, Subject};
use crate::train::{Replay, TensorCapture, TensorRequest};

/// Steps before a failure at which the samples of a quiet drift are looked at.
const BEFORE: u64 = 15;
/// Samples that are named.
const MOST_SAMPLES: usize = 16;
/// Pooled standard deviations by which a trait of the named samples has to differ from that of the others.
const DEVIATIONS: f64 = 1.5;

/// Replays the steps around the failure that a fatal first finding is about, and adds the samples that it shows to it. `false`
/// where there was nothing to look at: no such finding, or all samples of the batch failed at once.
///
/// # Errors
/// The steps cannot be run again: no checkpoint before them, another adapter, or data that are gone.
pub fn look_closer(gpu: &Gpu, run: &RunView, explanation: &mut Explanation) -> Result<bool> {
    let nonfinite = |event: &&Event| event.kind == EventKind::Nonfinite;
    let Some(event) = run.events().iter().find(nonfinite) else {
        return Ok(false);
    };
    let failed = event.step;
    let Some(finding) = explanation.findings.first_mut() else {
        return Ok(false);
    };
    let is_drift = finding.cause == Cause::LogVarianceDrift;
    // A drift is about the layer that drifted, any other failure begins where the first value was not finite.
    let layer = if is_drift {
        finding.layer.clone()
    } else {
        output_of(event)
    };
    let Some(layer) = layer.filter(|_| finding.severity == Severity::Fatal) else {
        return Ok(false);
    };
    let steps = if is_drift {
        // Where it had drifted farthest, if the finding says when that was.
        let before = failed.saturating_sub(BEFORE);
        let quiet = finding.step.map_or(before, |farthest| farthest.min(before));
        quiet..quiet + 1
    } else {
        failed.saturating_sub(1)..failed + 1
    };
    let captured = capture(gpu, run, &layer, steps)?;
    let look = if is_drift {
        lowest_rows
    } else {
        nonfinite_rows
    };
    let found = (0..).zip(&captured.values).find_map(|(index, tensor)| {
        let rows = look(tensor)?;
        Some(Rows { index, ..rows })
    });
    let Some(rows) = found else {
        return Ok(false);
    };
    add_samples(finding, &captured, &rows, &layer);
    if is_drift {
        finding
            .evidence
            .extend(flat_places(&captured, &rows, &layer));
    }
    Ok(true)
}

/// The layer whose output an event is about.
fn output_of(event: &Event) -> Option<String> {
    match &event.subject {
        Subject::Unit { tensor, kind, .. }
        | Subject::Units { tensor, kind, .. }
        | Subject::Tensor { tensor, kind }
            if *kind == TensorKind::Activation =>
        {
            Some(tensor.clone())
        }
        _ => None,
    }
}

/// A tensor over some steps, and the samples of their batches.
pub(super) struct Captured {
    first: u64,
    pub values: Vec<NamedTensor>,
    /// The samples of each step's batch.
    pub samples: Vec<Vec<u32>>,
    images: Images,
}

/// Rows of a batch that stand out, and how, in words.
struct Rows {
    /// Which of [`Captured::values`] shows them.
    index: usize,
    rows: Vec<usize>,
    text: String,
    statistics: Vec<(&'static str, f64)>,
}

/// Replays some steps and keeps a layer's output.
pub(super) fn capture(
    gpu: &Gpu,
    run: &RunView,
    layer: &str,
    steps: Range<u64>,
) -> Result<Captured> {
    let request = TensorRequest {
        tensor: layer.to_owned(),
        kind: TensorKind::Activation,
    };
    let mut replay = Replay::open(gpu, run.folder())?
        .range(steps.clone())
        .probe(TensorCapture::new([request]))
        .start()?;
    let (mut values, mut samples) = (Vec::new(), Vec::new());
    while let Some(record) = replay.step()? {
        samples.push(replay.trainer().batch_samples(record.step));
        values.extend(record.outputs.into_iter().next());
    }
    Ok(Captured {
        first: steps.start,
        values,
        samples,
        images: replay.trainer().scenario().images()?,
    })
}

/// The values of each row.
fn rows_of(tensor: &NamedTensor) -> impl Iterator<Item = &[f32]> {
    let batch = tensor.shape.first().copied().unwrap_or(1).max(1);
    tensor
        .values
        .chunks(tensor.values.len().div_ceil(batch).max(1))
}

/// Rows with values that are not finite, where there are others.
fn nonfinite_rows(tensor: &NamedTensor) -> Option<Rows> {
    let all: Vec<&[f32]> = rows_of(tensor).collect();
    let is_bad = |row: &&[f32]| row.iter().any(|value| !value.is_finite());
    let rows: Vec<usize> = (0..all.len()).filter(|&row| is_bad(&all[row])).collect();
    if rows.is_empty() || rows.len() == all.len() {
        return None;
    }
    Some(Rows {
        index: 0,
        text: format!(
            "{} of the {} samples of its batch have values that are not finite, the others have none",
            rows.len(),
            all.len()
        ),
        statistics: vec![("samples", rows.len() as f64)],
        rows,
    })
}

/// Rows whose mean lies in the lower half of the range of all means, where that half is a group of its own.
fn lowest_rows(tensor: &NamedTensor) -> Option<Rows> {
    let means: Vec<f64> = rows_of(tensor)
        .map(|row| row.iter().map(|&value| f64::from(value)).sum::<f64>() / row.len() as f64)
        .collect();
    if means.iter().any(|mean| !mean.is_finite()) {
        return None;
    }
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let most = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = 0.5 * (least + most);
    let mut rows: Vec<usize> = (0..means.len())
        .filter(|&row| means[row] < middle)
        .collect();
    if rows.is_empty() || rows.len() == means.len() {
        return None;
    }
    rows.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let mean = |rows: &[usize]| rows.iter().map(|&row| means[row]).sum::<f64>() / rows.len() as f64;
    let others: Vec<usize> = (0..means.len()).filter(|row| !rows.contains(row)).collect();
    let (low, high) = (mean(&rows), mean(&others));
    Some(Rows {
        index: 0,
        text: format!(
            "{} of the {} samples of its batch have a mean of {}, the others one of {}",
            rows.len(),
            means.len(),
            short(low),
            short(high)
        ),
        statistics: vec![("low", low), ("high", high), ("samples", rows.len() as f64)],
        rows,
    })
}

/// Adds the samples of `rows` to a finding, with what they have in common.
fn add_samples(finding: &mut Finding, captured: &Captured, rows: &Rows, layer: &str) {
    let batch = &captured.samples[rows.index];
    let chosen: Vec<u32> = rows
        .rows
        .iter()
        .filter_map(|&row| batch.get(row).copied())
        .collect();
    let others: Vec<u32> = batch
        .iter()
        .copied()
        .filter(|sample| !chosen.contains(sample))
        .collect();
    let named: Vec<String> = chosen
        .iter()
        .take(MOST_SAMPLES)
        .map(u32::to_string)
        .collect();
    let mut evidence = Evidence::new(format!(
        "At step {} {} in {layer}: samples {}{}.",
        captured.first + rows.index as u64,
        rows.text,
        named.join(", "),
        if chosen.len() > MOST_SAMPLES {
            " and more"
        } else {
            ""
        }
    ));
    for (name, value) in &rows.statistics {
        evidence = evidence.with(name, *value);
    }
    finding.evidence.push(evidence);
    finding
        .evidence
        .extend(common_trait(&captured.images, &chosen, &others));
    finding.samples = chosen;
    finding.samples.truncate(MOST_SAMPLES);
}

/// Whether the lowest values of a layer with a value for each pixel lie where the image is flat.
fn flat_places(captured: &Captured, rows: &Rows, layer: &str) -> Option<Evidence> {
    let tensor = &captured.values[rows.index];
    let (images, batch) = (&captured.images, &captured.samples[rows.index]);
    if tensor.shape.get(1..)? != images.shape {
        return None;
    }
    let [width, size] = [images.shape[2], images.sample_size()];
    let ends = |fold: fn(f32, f32) -> f32, first| tensor.values.iter().copied().fold(first, fold);
    let (least, most) = (
        ends(f32::min, f32::INFINITY),
        ends(f32::max, f32::NEG_INFINITY),
    );
    let middle = 0.5 * (least + most);
    // Low values and others: how many there are, and how many of them lie on a pixel that equals the next in its line.
    let mut counts = [[0.0; 2]; 2];
    for (values, &sample) in rows_of(tensor).zip(batch) {
        let pixels = images.pixels.get(sample as usize * size..)?.get(..size)?;
        for (line, values) in pixels.chunks(width).zip(values.chunks(width)) {
            for (pair, &value) in line.windows(2).zip(values) {
                let count = &mut counts[usize::from(value >= middle)];
                count[0] += 1.0;
                count[1] += f64::from(u8::from(pair[0] == pair[1]));
            }
        }
    }
    let [low, others] = counts.map(|[all, flat]| if all > 0.0 { flat / all } else { 0.0 });
    (low > 2.0 * others).then(|| {
        Evidence::new(format!(
            "Places: of the values of {layer} below {}, the middle of its range, {:.0} % belong to pixels that equal their \
             neighbor, of the others {:.0} %: the image is flat where the value is low.",
            short(middle.into()),
            100.0 * low,
            100.0 * others
        ))
        .with("of_low_values", low)
        .with("of_others", others)
    })
}

/// What tells some samples from others best, of a few traits that a person can see.
fn common_trait(images: &Images, chosen: &[u32], others: &[u32]) -> Option<Evidence> {
    type Trait = fn(&[u8], usize) -> f64;
    let traits: [(&str, Trait); 3] = [
        ("of their neighboring pixels are equal", evenness),
        ("is their mean brightness", brightness),
        ("is the spread of their pixels", contrast),
    ];
    let size = images.sample_size();
    let width = images.shape[2];
    let of = |samples: &[u32], value: Trait| -> Vec<f64> {
        let pixels = |sample: u32| images.pixels.get(sample as usize * size..)?.get(..size);
        let values = samples.iter().filter_map(|&sample| pixels(sample));
        values.map(|pixels| value(pixels, width)).collect()
    };
    let measured = traits.map(|(text, value)| {
        let [a, b] = [chosen, others].map(|samples| mean_and_deviation(&of(samples, value)));
        let pooled = (0.5 * (a.1 * a.1 + b.1 * b.1)).sqrt().max(1e-3);
        (text, a.0, b.0, (a.0 - b.0).abs() / pooled)
    });
    let best = measured.into_iter().max_by(|a, b| a.3.total_cmp(&b.3))?;
    let (text, own, other, distance) = best;
    (distance > DEVIATIONS && !chosen.is_empty() && !others.is_empty()).then(|| {
        Evidence::new(format!(
            "What these samples have in common: {:.0} % {text}; of the others of the batch it is {:.0} %.",
            100.0 * own,
            100.0 * other
        ))
        .with("of_these", own)
        .with("of_others", other)
    })
}

/// The share of pixels that are equal to the next one in their line.
fn evenness(pixels: &[u8], width: usize) -> f64 {
    let pairs = pixels.chunks(width.max(1)).flat_map(|line| line.windows(2));
    let (mut equal, mut all) = (0.0, 0.0);
    for pair in pairs {
        all += 1.0;
        equal += f64::from(u8::from(pair[0] == pair[1]));
    }
    if all > 0.0 { equal / all } else { 0.0 }
}

fn brightness(pixels: &[u8], _width: usize) -> f64 {
    pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / 255.0 / pixels.len().max(1) as f64
}

fn contrast(pixels: &[u8], _width: usize) -> f64 {
    let values: Vec<f64> = pixels
        .iter()
        .map(|&pixel| f64::from(pixel) / 255.0)
        .collect();
    mean_and_deviation(&values).1
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Background, shapes_on};

    #[test]
    fn rows_that_stand_out_are_found() {
        let tensor = |values: Vec<f32>| NamedTensor::new("x", vec![4, 2], values);
        let bad = tensor(vec![1.0, 2.0, f32::NAN, 0.0, 3.0, 4.0, 0.0, f32::INFINITY]);
        assert_eq!(nonfinite_rows(&bad).expect("two").rows, [1, 3]);
        assert!(nonfinite_rows(&tensor(vec![0.0; 8])).is_none());
        let low = tensor(vec![-2.0, -3.0, -9.0, -8.0, -2.5, -2.0, -9.5, -9.0]);
        // The lowest first.
        assert_eq!(lowest_rows(&low).expect("two").rows, [3, 1]);
        assert!(lowest_rows(&bad).is_none());
    }

    #[test]
    fn flat_images_are_told_from_textured_ones() {
        let of = |flat| shapes_on(Background::Texture { flat, noise: 0.3 }, 3, 20, 16);
        let (flat, textured) = (of(1.0), of(0.0));
        let mut both = flat.clone();
        both.pixels.extend(&textured.pixels);
        both.count = 40;
        let [chosen, others] = [0..20, 20..40].map(Vec::from_iter);
        let evidence = common_trait(&both, &chosen, &others).expect("they differ");
        assert!(
            evidence.text.contains("neighboring pixels are equal"),
            "{}",
            evidence.text
        );
        assert!(common_trait(&flat, &[0, 2, 4, 6, 8], &[1, 3, 5, 7, 9]).is_none());
    }
}
