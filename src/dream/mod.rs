//! Dreams: the input that a unit of a trained network answers most, found by gradient ascent on the input (Erhan et al. 2009;
//! Mahendran and Vedaldi 2016; for two streams Feichtenhofer, Pinz, Wildes and Zisserman 2018).
//!
//! A dream starts as noise and follows the gradient of the unit, while a [`Regularizer`] holds it smooth and an
//! [`InputSpace`] within what real inputs reach. It is seeded and gives the same bits when it is repeated, and its start
//! is the same at every snapshot of a run, so that dreams of one unit can be compared through training. [`aim`] says of
//! which unit, and at which snapshots, a dream helps to understand a run that failed.
//!
//! ```no_run
//! use trainscope::dream::{DreamOptions, DreamTarget, dream};
//! use trainscope::gpu::{AdapterChoice, Gpu};
//! use trainscope::train::Replay;
//!
//! # fn main() -> trainscope::Result<()> {
//! let gpu = Gpu::new(&AdapterChoice::default())?;
//! let trainer = Replay::open(&gpu, "runs/cnn-mnist".as_ref())?.state_after(600)?;
//! let target = DreamTarget::parse("class:all")?;
//! let found = dream(&trainer, &target, &DreamOptions::default(), &mut |_, _| true)?;
//! for dream in &found.dreams {
//!     println!("{}: {} of {} on real images", dream.unit, dream.activation, dream.real_maximum);
//! }
//! # Ok(())
//! # }
//! ```

mod aim;
mod maximize;
mod parametrization;
mod real;
mod record;
mod regularizer;
mod space;
mod target;

pub use self::aim::{Aim, aim, dead_since};
pub use self::maximize::input_gradient;
use self::maximize::{Maximization, Row};
pub use self::parametrization::{Basis, Parametrization};
pub use self::real::RealInput;
use self::real::RealInputs;
pub use self::record::{
    DreamRecord, DreamsRecord, EnergiesRecord, LeftOut, RealRecord, make_folder,
};
pub use self::regularizer::Regularizer;
pub use self::space::{Energies, InputKind, InputSpace, InputStream, SpaceOnGpu};
pub use self::target::{DreamOf, DreamTarget};
use self::target::{Objectives, layer_of};
use crate::data::clips::{FIELDS, FRAME_CHANNELS};
use crate::nn::{Mode, Plan, Role};
use crate::trace::RunView;
use crate::train::{ProbedGraph, Source, Trainer};
use crate::{Error, Result};

/// Told how many steps of how many are done; false stops.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

/// How to dream.
#[derive(Debug, Clone, PartialEq)]
pub struct DreamOptions {
    /// Steps of Adam.
    pub steps: usize,
    /// Its learning rate, as a share of the bound.
    pub lr: f64,
    /// Weight of the unit, in units of the largest activation on real inputs, against the regularizer.
    pub gain: f64,
    /// What holds the dream back.
    pub regularizer: Regularizer,
    /// Weights of differences in time; each unit is dreamt once for each of them. Only clips have time.
    pub chi: Vec<f64>,
    /// The image is rolled by up to so many pixels in each step, so that no unit is served at one place alone. `None`: an
    /// eighth of its shorter side where the network begins with convolutions; 0 elsewhere, since a dense layer
    /// that reads pixels answers each at its own place.
    pub jitter: Option<usize>,
    /// In so many steps at the beginning the derivative of a ReLU below zero is [`DreamOptions::leak`], so that a unit
    /// that is silent at the start wakes up.
    pub leak_steps: usize,
    /// That derivative.
    pub leak: f64,
    /// Whether the optimizer moves the amplitudes of waves instead of pixels.
    pub fourier: bool,
    /// Whether it moves colors that vary independently in real images.
    pub decorrelate: bool,
    /// The seed of start and shifts.
    pub seed: u64,
    /// The class that a conditional model is told.
    pub label: u32,
    /// So many samples of the data set say what real inputs are like.
    pub real: usize,
    /// So many of those that drive a unit most are returned, and half as many of those that drive it least.
    pub extremes: usize,
}

impl Default for DreamOptions {
    fn default() -> Self {
        Self {
            steps: 300,
            lr: 0.05,
            gain: 50.0,
            regularizer: Regularizer::default(),
            chi: vec![1.0],
            jitter: None,
            leak_steps: 30,
            leak: 0.05,
            fourier: false,
            decorrelate: false,
            seed: 0,
            label: 0,
            real: 512,
            extremes: 4,
        }
    }
}

/// An input that a unit answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Dream {
    /// What was dreamt of, as [`DreamTarget::parse`] reads it.
    pub unit: String,
    /// The weight of differences in time.
    pub chi: f64,
    /// The unit on it.
    pub activation: f64,
    /// The largest value of the unit on real inputs.
    pub real_maximum: f64,
    /// Its differences in space and time.
    pub energies: Energies,
    /// The input, `[...shape]`, in the units of the data.
    pub input: Vec<f32>,
    /// What a generative model makes of it, where the input is a latent vector.
    pub image: Option<Vec<f32>>,
    /// The real inputs that drive the unit most, the first of them first.
    pub most: Vec<RealInput>,
    /// Those that drive it least.
    pub least: Vec<RealInput>,
}

/// A unit that is 0 on all real inputs and that gradient ascent with leaking ReLUs did not wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadUnit {
    /// Its name, as [`DreamTarget::parse`] reads it.
    pub name: String,
    /// Its number, where it is a single unit.
    pub unit: Option<usize>,
}

/// Dreams at one state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Dreams {
    /// The layer.
    pub layer: String,
    /// The steps that the state has been trained for.
    pub step: u64,
    /// What inputs are.
    pub space: InputSpace,
    /// Each unit with each weight in time.
    pub dreams: Vec<Dream>,
    /// The shape of [`Dream::image`].
    pub image_shape: Option<Vec<usize>>,
    /// Units that no input moves, of which there is no dream.
    pub dead: Vec<DeadUnit>,
    /// Real inputs that were looked at.
    pub real: usize,
}

/// Dreams of a target at the state that the trainer is in.
///
/// # Errors
/// There is no such layer or unit (the message lists those that there are), the state is not finite, an option that the
/// input has no use for, `progress` stopped it, or the adapter's limits. Units that no input moves are in
/// [`Dreams::dead`].
pub fn dream(
    trainer: &Trainer,
    target: &DreamTarget,
    options: &DreamOptions,
    progress: Progress<'_>,
) -> Result<Dreams> {
    check(options)?;
    let objectives = Objectives::find(trainer, target)?;
    let parameters = trainer.parameters_of_all();
    let real = RealInputs::measure(trainer, &objectives, &parameters, options.real)?;
    let shape = &objectives.graph.node(objectives.graph.input).shape;
    let space = InputSpace::new(input_kind(trainer, shape), shape, &real.inputs);
    if objectives.graph.with_role(Role::Label).is_some() {
        check_label(trainer, options)?;
    }
    let basis = Basis::new(&space, options.fourier, options.decorrelate, &real.inputs)?;
    // Without time all weights in it give the same dream.
    let all_chi = match space.kind {
        InputKind::Clip => &options.chi[..],
        InputKind::Image | InputKind::Vector => &options.chi[..1],
    };
    let mut rows = Vec::new();
    for (index, objective) in objectives.all.iter().enumerate() {
        let scale = real.scale(index);
        rows.extend(all_chi.iter().map(|&chi| Row {
            objective,
            // A unit that is silent on all real inputs may still wake up.
            scale: if scale > 0.0 { scale } else { 1.0 },
            chi,
        }));
    }
    let maximization = Maximization {
        gpu: trainer.gpu(),
        objectives: &objectives,
        parameters: &parameters,
        space: &space,
        basis: &basis,
        options,
        network_seed: trainer.scenario().seed,
    };
    let dreamt = maximization.run(&rows, progress)?;
    let mut found = Dreams {
        layer: objectives.layer_name().to_owned(),
        step: trainer.steps_done(),
        dreams: Vec::new(),
        image_shape: None,
        dead: Vec::new(),
        real: real.activations[0].len(),
        space,
    };
    for (number, (row, dreamt)) in rows.iter().zip(dreamt).enumerate() {
        let objective = number / all_chi.len();
        if !dreamt.activation.is_finite() {
            return Err(not_finite(trainer, &row.objective.name));
        }
        let is_silent = |value: &f64| *value == 0.0;
        if dreamt.activation == 0.0 && real.activations[objective].iter().all(is_silent) {
            let dead = DeadUnit {
                name: row.objective.name.clone(),
                unit: row.objective.unit,
            };
            if !found.dead.contains(&dead) {
                found.dead.push(dead);
            }
            continue;
        }
        found.dreams.push(Dream {
            unit: row.objective.name.clone(),
            chi: row.chi,
            activation: dreamt.activation,
            real_maximum: real.maximum(objective),
            energies: found.space.energies(&dreamt.values),
            input: found.space.inputs_of(&dreamt.values),
            image: None,
            most: real.extremes(objective, options.extremes, true),
            least: real.extremes(objective, options.extremes.div_ceil(2), false),
        });
    }
    if found.space.kind == InputKind::Vector {
        decode(trainer, options, &mut found)?;
    }
    Ok(found)
}

/// What the inputs are that drive a target.
///
/// # Errors
/// The model has no such layer.
pub fn kind_of_input(trainer: &Trainer, target: &DreamTarget) -> Result<InputKind> {
    let (graph, _) = layer_of(trainer, target)?;
    Ok(input_kind(trainer, &graph.node(graph.input).shape))
}

impl Dreams {
    /// Why there is no dream of the units in [`Dreams::dead`], and since when, as far as `run` says; `None` where all were
    /// dreamt.
    pub fn silence(&self, run: &RunView) -> Option<Error> {
        let first = self.dead.first()?;
        let more = self.dead.len() - 1;
        let named = match more {
            0 => first.name.clone(),
            _ => format!("{} and {more} others", first.name),
        };
        let since = first
            .unit
            .and_then(|unit| dead_since(run, &self.layer, unit, self.step));
        let since = since.map_or_else(String::new, |step| {
            format!("; its records are 0 since step {step}")
        });
        Some(Error::input(
            format!("{named} after {} steps", self.step),
            format!(
                "no input moves it: it is 0 on {} real inputs, and ReLUs that leak did not wake it{since}",
                self.real
            ),
            "choose an earlier state with --steps-of, or another unit",
        ))
    }
}

/// What the input of a graph is.
fn input_kind(trainer: &Trainer, shape: &[usize]) -> InputKind {
    let of_clip = FRAME_CHANNELS + 2 * FIELDS;
    let makes_clips = trainer.scenario().data.source == Source::Clips;
    match *shape {
        [channels, _, _] if makes_clips && channels == of_clip => InputKind::Clip,
        [_, _, _] => InputKind::Image,
        _ => InputKind::Vector,
    }
}

/// The inputs of `graph` for a target, for checks of gradients.
///
/// # Errors
/// There is no such layer, or the adapter's limits.
pub fn real_inputs(trainer: &Trainer, target: &DreamTarget, count: usize) -> Result<Vec<f32>> {
    let objectives = Objectives::find(trainer, target)?;
    let graph: &ProbedGraph<'_> = &objectives.graph;
    Ok(graph.samples(trainer, 0..count)?.samples)
}

fn check(options: &DreamOptions) -> Result<()> {
    let wrong = |option: &str, problem: &str, hint: &str| Err(Error::usage(option, problem, hint));
    let is_weight = |value: f64| value.is_finite() && value >= 0.0;
    let Regularizer {
        range,
        smoothness,
        kappa,
    } = options.regularizer;
    if options.steps == 0 {
        return wrong("--steps", "a dream of 0 steps is noise", "use at least 1");
    }
    if options.chi.is_empty() || !options.chi.iter().all(|&chi| is_weight(chi)) {
        return wrong(
            "--chi",
            "the weight in time is not a finite number from 0 on",
            "use numbers such as 0, 1 and 10",
        );
    }
    if ![range, smoothness, kappa, options.leak]
        .into_iter()
        .all(is_weight)
    {
        return wrong(
            "the regularizer",
            "a weight is not a finite number from 0 on",
            "use 0 to leave a term out",
        );
    }
    for (option, value) in [("--lr", options.lr), ("--gain", options.gain)] {
        if !(is_weight(value) && value > 0.0) {
            return wrong(option, "it is not a finite number above 0", "leave it out");
        }
    }
    Ok(())
}

fn check_label(trainer: &Trainer, options: &DreamOptions) -> Result<()> {
    let classes = trainer.dataset().classes();
    if (options.label as usize) < classes.max(1) {
        return Ok(());
    }
    Err(Error::usage(
        format!("--label {}", options.label),
        format!("the data set has {classes} classes"),
        format!("choose from 0 to {}", classes.saturating_sub(1)),
    ))
}

fn not_finite(trainer: &Trainer, unit: &str) -> Error {
    Error::input(
        format!("{unit} after {} steps", trainer.steps_done()),
        "it is not finite on what was dreamt",
        "choose an earlier state with --steps-of, or a smaller --lr",
    )
}

/// Adds what a generative model makes of latent vectors.
fn decode(trainer: &Trainer, options: &DreamOptions, found: &mut Dreams) -> Result<()> {
    let Some(decoder) = trainer.model().decoder()? else {
        return Ok(());
    };
    if decoder.graph.node(decoder.z).shape != found.space.shape {
        return Ok(());
    }
    let gpu = trainer.gpu();
    let count = found.dreams.len();
    let plan = Plan::request(&decoder.graph, count)
        .mode(Mode::Eval)
        .seed(trainer.scenario().seed)
        .parameter_gradients(false)
        .keep_value(decoder.image)
        .build(gpu, &trainer.parameters_of_all())?;
    let latent: Vec<f32> = found
        .dreams
        .iter()
        .flat_map(|dream| dream.input.iter().copied())
        .collect();
    gpu.write(plan.value(decoder.z).expect("inputs are kept"), 0, &latent);
    if let Some(label) = decoder.label {
        let labels = plan.value(label).expect("inputs are kept").cast();
        gpu.write(&labels, 0, &vec![options.label; count]);
    }
    gpu.run("dreamt images", plan.dispatches(false));
    let images = gpu.read(plan.value(decoder.image).expect("asked for"))?;
    let shape = trainer.dataset().shape();
    for (dream, image) in found
        .dreams
        .iter_mut()
        .zip(images.chunks_exact(images.len() / count))
    {
        dream.image = Some(image.to_vec());
    }
    found.image_shape = Some(shape.to_vec());
    Ok(())
}
