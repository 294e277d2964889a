//! `trainscope attribute`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use trainscope::attribute::{AttributeOptions, Attribution, Baseline, Method, attribute};
use trainscope::gpu::Gpu;
use trainscope::trace::RunReader;
use trainscope::train::Replay;
use trainscope::view::{Painter, SignedImages, Theme};
use trainscope::{Error, Result};

use super::tolerance::{self, ToleranceArgs};
use super::{Common, check_writable};

/// Samples that a picture shows beside their mean.
const SHOWN: usize = 23;
/// Images of a row of the picture.
const COLUMNS: usize = 8;
/// Pixels a point of the picture.
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// Elements of the input that the text names.
const NAMED: usize = 10;

#[derive(Debug, clap::Args)]
pub struct AttributeArgs {
    /// The run directory
    dir: PathBuf,
    /// The layer, by its name in graph.json
    #[arg(long, value_name = "L")]
    layer: String,
    /// The unit of its output; of images a channel, whose mean over all positions is attributed
    #[arg(long, value_name = "J")]
    unit: usize,
    /// The state after this many steps [default: all of the run's]
    #[arg(long, value_name = "T")]
    step: Option<u64>,
    /// How the unit is attributed to the input
    #[arg(long, default_value = "integrated_gradients", value_parser = PossibleValuesParser::new(Method::ALL.map(Method::name)).map(|word| method(&word)))]
    method: Method,
    /// The input that samples are compared with (not with lrp) [default: zero]
    #[arg(long, value_parser = PossibleValuesParser::new(Baseline::ALL.map(Baseline::name)).map(|word| baseline(&word)))]
    baseline: Option<Baseline>,
    /// Points of the path of integrated gradients
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    path_steps: u32,
    /// Draw the contributions over the images of the probe batch
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
}

fn method(word: &str) -> Method {
    let found = Method::ALL.into_iter().find(|method| method.name() == word);
    found.unwrap_or(Method::IntegratedGradients)
}

fn baseline(word: &str) -> Baseline {
    let found = Baseline::ALL
        .into_iter()
        .find(|baseline| baseline.name() == word);
    found.unwrap_or_default()
}

pub fn run(common: &Common, args: &AttributeArgs) -> Result<()> {
    if let Some(path) = &args.plot {
        check_writable(path)?;
    }
    if args.method == Method::Lrp && args.baseline == Some(Baseline::Zero) {
        return Err(Error::usage(
            "--baseline zero",
            "relevance propagation compares with nothing",
            "leave --baseline out, or use --method deeplift",
        ));
    }
    let done = RunReader::open(&args.dir)?.info().steps_done;
    let gpu = common.gpu()?;
    let step = args.step.unwrap_or(done);
    let replay = Replay::open(&gpu, &args.dir)?.tolerance(args.tolerance.tolerance);
    let trainer = replay.state_after(step)?;
    let options = AttributeOptions {
        baseline: args.baseline.unwrap_or_default(),
        path_steps: args.path_steps as usize,
        ..AttributeOptions::new(&args.layer, args.unit).method(args.method)
    };
    let started = Instant::now();
    let found = attribute(&trainer, &options)?;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(path) = &args.plot {
        draw(&gpu, &found, &options, path)?;
    }
    say(common, args, &found, &options, seconds);
    tolerance::say(common, trainer.deviation());
    let contributions = found.values.iter().enumerate();
    let samples = found.samples.iter().enumerate();
    let answer = json!({
        "layer": found.layer,
        "unit": found.unit,
        "step": found.step,
        "method": found.method.name(),
        "baseline_input": (found.method != Method::Lrp).then(|| options.baseline.name()),
        "output": found.output,
        "baseline": found.baseline,
        "completeness_error": found.completeness_error(),
        "largest_error": found.largest_error(),
        "input": found.input,
        "input_shape": found.input_shape,
        "contributions": contributions
            .map(|(unit, value)| json!({ "layer": found.input, "unit": unit, "value": value }))
            .collect::<Vec<_>>(),
        "samples": samples
            .map(|(sample, s)| json!({
                "sample": sample,
                "output": s.output,
                "baseline": s.baseline,
                "completeness_error": s.completeness_error(),
            }))
            .collect::<Vec<_>>(),
        "seconds": seconds,
        "adapter": gpu.describe(),
        "plot": args.plot,
        "deviation": trainer.deviation(),
    });
    let name = format!(
        "attribute-{}-{}-{}-{}",
        found.layer,
        found.unit,
        found.step,
        found.method.name()
    );
    common.keep_and_print_json(&args.dir, &name, &answer);
    Ok(())
}

fn say(
    common: &Common,
    args: &AttributeArgs,
    found: &Attribution,
    options: &AttributeOptions,
    seconds: f64,
) {
    let Attribution {
        layer, unit, step, ..
    } = found;
    let samples = found.samples.len();
    common.answer(&format!(
        "unit {unit} of {layer} after {step} steps is {:.6} on the mean of {samples} samples ({} in {seconds:.2} s)",
        found.output,
        found.method.label(),
    ));
    let sum: f64 = found.values.iter().sum();
    common.answer(&match found.method {
        Method::Lrp => format!(
            "  {sum:.6} of it comes from {}, {:.6} stays with biases",
            found.input, found.baseline
        ),
        _ => format!(
            "  {:.6} on the baseline ({}), {sum:.6} from {}; off by {:.1e}, of a single sample at most by {:.1e}",
            found.baseline,
            options.baseline.name(),
            found.input,
            found.completeness_error(),
            found.largest_error()
        ),
    });
    if found.method == Method::GradInput {
        common
            .note("  what is off says how far from linear the unit is, not that a value is wrong");
    }
    let mut order: Vec<usize> = (0..found.values.len()).collect();
    order.sort_by(|&a, &b| {
        found.values[b]
            .abs()
            .total_cmp(&found.values[a].abs())
            .then(a.cmp(&b))
    });
    let largest: Vec<String> = order
        .iter()
        .take(NAMED)
        .map(|&element| {
            format!(
                "{} {:+.4}",
                name(&found.input_shape, element),
                found.values[element]
            )
        })
        .collect();
    common.answer(&format!(
        "  largest of {}: {}",
        found.input,
        largest.join(", ")
    ));
    if let Some(path) = &args.plot {
        common.answer(&format!("plot: {}", path.display()));
    }
}

/// Where an element of a sample is: its row and column, and its channel where there are several.
fn name(shape: &[usize], element: usize) -> String {
    match *shape {
        [channels, height, width] => {
            let (channel, position) = (element / (height * width), element % (height * width));
            let (row, column) = (position / width, position % width);
            if channels == 1 {
                format!("({row}, {column})")
            } else {
                format!("({channel}, {row}, {column})")
            }
        }
        _ => element.to_string(),
    }
}

/// The mean over the probe batch, then its first samples, each below its image.
fn draw(gpu: &Gpu, found: &Attribution, options: &AttributeOptions, path: &Path) -> Result<()> {
    let &[channels, height, width] = &found.input_shape[..] else {
        return Err(Error::usage(
            "--plot",
            format!(
                "{} is no image, so there is nothing to draw on",
                found.input
            ),
            "leave --plot out",
        ));
    };
    let size = channels * height * width;
    let shown = found.samples.len().min(SHOWN);
    let count = found.samples.len();
    let mean = (0..size).map(|element| {
        let column = found.inputs.iter().skip(element).step_by(size);
        (column.map(|&value| f64::from(value)).sum::<f64>() / count as f64) as f32
    });
    let images: Vec<f32> = mean
        .chain(found.inputs[..shown * size].iter().copied())
        .collect();
    let of_samples = found.samples[..shown]
        .iter()
        .flat_map(|sample| &sample.values);
    let numbers: Vec<f64> = found.values.iter().chain(of_samples).copied().collect();
    let from = match found.method {
        Method::Lrp => String::new(),
        _ => format!(" from a {} input", options.baseline.name()),
    };
    let title = format!(
        "Unit {} of {} after {} steps: {}{from}",
        found.unit,
        found.layer,
        found.step,
        found.method.label()
    );
    let channels_note = if channels == 1 {
        ""
    } else {
        " Channels are added up."
    };
    let note = format!(
        "First the mean of {count} samples, then samples 0 to {}. Red raises the unit, blue lowers it.{channels_note}",
        shown - 1
    );
    let signed = SignedImages {
        title: &title,
        note: &note,
        shape: [channels, height, width],
        images: &images,
        numbers: &numbers,
        columns: COLUMNS,
    };
    let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
    signed
        .picture(&Painter::new(gpu), &theme)?
        .write_png(gpu, path)
}
