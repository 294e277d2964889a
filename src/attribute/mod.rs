//! Forward attribution: how much each element of the input contributes to a unit, on the probe batch, at one state of a run.
//!
//! The graph is the one that trains, in a probe pass ([`Mode::Eval`](crate::nn::Mode::Eval)): batch norm uses its running
//! statistics, dropout passes everything on, and a latent vector is its mean. Attribution is a backward pass under a rule
//! ([`BackwardRule`]) node by node, so that a function which is used twice, a residual sum or a
//! batch norm is right without any rewriting of the network.
//!
//! What a method promises is measured and comes with the result ([`Attribution::completeness_error`]).
//!
//! ```no_run
//! use trainscope::attribute::{AttributeOptions, Method, attribute};
//! use trainscope::gpu::{AdapterChoice, Gpu};
//! use trainscope::train::Replay;
//!
//! # fn main() -> trainscope::Result<()> {
//! let gpu = Gpu::new(&AdapterChoice::default())?;
//! let trainer = Replay::open(&gpu, "runs/vae-mnist".as_ref())?.state_after(2000)?;
//! let options = AttributeOptions::new("mu", 3).method(Method::IntegratedGradients);
//! let found = attribute(&trainer, &options)?;
//! println!("mu 3 is {}, off by {}", found.output, found.completeness_error());
//! # Ok(())
//! # }
//! ```

mod path;
mod single_pass;
mod target;

pub use self::target::attributable_layers;
use self::target::{Rows, Target};
pub(crate) use self::target::{find_layer, units};
use crate::nn::BackwardRule;
use crate::train::Trainer;
use crate::{Error, Result};

/// Added to the magnitude of what relevance is divided by.
pub const EPSILON: f32 = 1e-6;

/// How an output is attributed to the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Layer-wise relevance propagation, the epsilon rule (Bach et al. 2015): each layer hands the relevance of its outputs
    /// to its inputs in proportion to their contributions. Biases keep their share.
    Lrp,
    /// Gradients along the straight path from the baseline to the sample (Sundararajan, Taly and Yan 2017).
    IntegratedGradients,
    /// The multipliers of DeepLIFT's rescale rule (Shrikumar, Greenside and Kundaje 2017) between the baseline and the
    /// sample, times the difference of the inputs. The sum is exactly the difference of the outputs.
    DeepLift,
    /// The gradient times the difference to the baseline. Its error says how far from linear the unit is.
    GradInput,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Lrp,
        Self::IntegratedGradients,
        Self::DeepLift,
        Self::GradInput,
    ];

    /// Its word on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lrp => "lrp",
            Self::IntegratedGradients => "integrated_gradients",
            Self::DeepLift => "deeplift",
            Self::GradInput => "grad_input",
        }
    }

    /// What a title calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lrp => "relevance propagation",
            Self::IntegratedGradients => "integrated gradients",
            Self::DeepLift => "DeepLIFT",
            Self::GradInput => "gradient times input",
        }
    }

    fn rule(self) -> BackwardRule {
        match self {
            Self::Lrp => BackwardRule::Epsilon { epsilon: EPSILON },
            Self::DeepLift => BackwardRule::Rescale,
            Self::IntegratedGradients | Self::GradInput => BackwardRule::Gradient,
        }
    }
}

/// The input that a sample is compared with. Relevance propagation has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// Zeros.
    #[default]
    Zero,
    /// The mean of the probe batch, element by element.
    Mean,
}

impl Baseline {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Zero, Self::Mean];

    /// Its word on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
        }
    }
}

/// What is to be attributed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeOptions {
    /// The layer, by its name in the graph.
    pub layer: String,
    /// The unit of its output: an element, or a channel of images, whose mean over all positions is attributed.
    pub unit: usize,
    /// How.
    pub method: Method,
    /// Compared with what.
    pub baseline: Baseline,
    /// Points of the path of integrated gradients.
    pub path_steps: usize,
}

impl AttributeOptions {
    /// A unit, attributed by [`Method::IntegratedGradients`] from a zero input in 64 steps.
    pub fn new(layer: impl Into<String>, unit: usize) -> Self {
        Self {
            layer: layer.into(),
            unit,
            method: Method::IntegratedGradients,
            baseline: Baseline::Zero,
            path_steps: 64,
        }
    }

    /// The same by another method.
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// The same from another baseline.
    pub fn baseline(self, baseline: Baseline) -> Self {
        Self { baseline, ..self }
    }
}

/// The contributions of one sample's elements.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleAttribution {
    /// The unit on the sample.
    pub output: f64,
    /// The unit on the baseline; by relevance propagation what biases took.
    pub baseline: f64,
    /// The contribution of each element of the input.
    pub values: Vec<f64>,
}

impl SampleAttribution {
    /// The output less the baseline and all contributions, which a method that is complete brings to 0.
    pub fn completeness_error(&self) -> f64 {
        (self.output - self.baseline - self.values.iter().sum::<f64>()).abs()
    }
}

/// How much each element of the input contributes to a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The layer.
    pub layer: String,
    /// Its unit.
    pub unit: usize,
    /// The steps that the state has been trained for.
    pub step: u64,
    /// By which method.
    pub method: Method,
    /// The name of the first tensor of the model, whose elements contribute.
    pub input: String,
    /// The shape of a sample of it.
    pub input_shape: Vec<usize>,
    /// Mean of the unit over the probe batch.
    pub output: f64,
    /// Mean of [`SampleAttribution::baseline`].
    pub baseline: f64,
    /// Mean contribution of each element of the input, with signs.
    pub values: Vec<f64>,
    /// Each sample of the probe batch by itself.
    pub samples: Vec<SampleAttribution>,
    /// The samples, `[samples, ...input_shape]`.
    pub inputs: Vec<f32>,
}

impl Attribution {
    /// The mean output less the baseline and all mean contributions: 0 where the method is complete.
    pub fn completeness_error(&self) -> f64 {
        (self.output - self.baseline - self.values.iter().sum::<f64>()).abs()
    }

    /// The largest error of a single sample, whose signs do not cancel each other.
    pub fn largest_error(&self) -> f64 {
        let errors = self
            .samples
            .iter()
            .map(SampleAttribution::completeness_error);
        errors.fold(0.0, f64::max)
    }
}

/// Attributes a unit to the input on the probe batch, at the state that the trainer is in.
///
/// # Errors
/// There is no such layer or unit, the layer does not depend on the input, relevance propagation is given a baseline, the
/// state has values that are not finite, or the adapter's limits.
pub fn attribute(trainer: &Trainer, options: &AttributeOptions) -> Result<Attribution> {
    if options.method == Method::Lrp && options.baseline != Baseline::Zero {
        return Err(Error::usage(
            "--baseline",
            "relevance propagation compares with nothing",
            "leave --baseline out, or use --method deeplift or integrated_gradients",
        ));
    }
    if options.path_steps == 0 {
        return Err(Error::usage(
            "path steps",
            "a path of 0 steps has no gradients",
            "use at least 1",
        ));
    }
    let target = Target::find(trainer, &options.layer, options.unit)?;
    let rows = Rows::new(trainer, &target, options.baseline)?;
    let pass = single_pass::run(trainer, &target, &rows, options.method)?;
    expect_finite(trainer, options, &pass)?;
    let multipliers = match options.method {
        Method::IntegratedGradients => {
            path::mean_gradients(trainer, &target, &rows, options.path_steps)?
        }
        _ => pass.multipliers.clone(),
    };
    let size = target.input_size();
    let sample = |sample: usize| {
        let at = sample * size..(sample + 1) * size;
        let multipliers = &multipliers[at.clone()];
        let values: Vec<f64> = match options.method {
            // Relevances are contributions already.
            Method::Lrp => multipliers.iter().map(|&value| value.into()).collect(),
            _ => {
                let elements = rows.batch.samples[at].iter().zip(&rows.baseline);
                let moved = elements.map(|(&x, &baseline)| f64::from(x) - f64::from(baseline));
                let pairs = moved.zip(multipliers);
                pairs.map(|(moved, &m)| moved * f64::from(m)).collect()
            }
        };
        let output = pass.outputs[sample];
        let baseline = match options.method {
            Method::Lrp => output - values.iter().sum::<f64>(),
            _ => pass.outputs[rows.batch.count + sample],
        };
        SampleAttribution {
            output,
            baseline,
            values,
        }
    };
    let samples: Vec<SampleAttribution> = (0..rows.batch.count).map(sample).collect();
    let mean = |value: &dyn Fn(&SampleAttribution) -> f64| {
        samples.iter().map(value).sum::<f64>() / samples.len() as f64
    };
    Ok(Attribution {
        layer: options.layer.clone(),
        unit: options.unit,
        step: trainer.steps_done(),
        method: options.method,
        input: target.input_name(),
        input_shape: target.input_shape().to_vec(),
        output: mean(&|sample| sample.output),
        baseline: mean(&|sample| sample.baseline),
        values: (0..size)
            .map(|element| mean(&|sample| sample.values[element]))
            .collect(),
        samples,
        inputs: rows.batch.samples,
    })
}

/// Says so where a unit is not a number: contributions to it mean nothing.
fn expect_finite(
    trainer: &Trainer,
    options: &AttributeOptions,
    pass: &single_pass::Pass,
) -> Result<()> {
    let samples = pass.outputs.len() / 2;
    let broken = |value: &&f64| !value.is_finite();
    let outputs = pass.outputs[..samples].iter().filter(broken).count();
    let gradients = pass.multipliers.iter().any(|value| !value.is_finite());
    if outputs == 0 && !gradients {
        return Ok(());
    }
    let AttributeOptions { layer, unit, .. } = options;
    let problem = if outputs > 0 {
        format!("it is not finite on {outputs} of {samples} samples of the probe batch")
    } else {
        "what the backward pass sends to the input is not finite".to_owned()
    };
    Err(Error::input(
        format!(
            "unit {unit} of {layer} after {} steps",
            trainer.steps_done()
        ),
        problem,
        "choose an earlier state with --step; the run's events say when values broke",
    ))
}
