//! `trainscope patterns`

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::{Value, json};
use trainscope::gpu::Gpu;
use trainscope::patterns::{
    Expression, LineOptions, MIN_WINDOW, Query, RunLines, RunWords, Windows, discords, motifs,
    profiles, shapes, usual_window,
};
use trainscope::tensor::TensorKind;
use trainscope::trace::{RunView, Statistic};
use trainscope::view::{Painter, PatternChart, Theme};
use trainscope::{Error, Result};

use super::pattern_answers::{self as answers, Answers};
use super::sample_args::named;
use super::{Common, outputs};

/// Width of the plot in points, and pixels a point.
const PLOT_WIDTH: f32 = 960.0;
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// Motifs and discords where nothing is asked for.
const USUAL_COUNT: usize = 5;
/// Lines that are sampled for shapes where nothing is asked for.
const USUAL_SHAPES: u32 = 64;
/// Characters of the name under which an answer is kept.
const MAX_NAME: usize = 120;
/// Series whose self-joins are made at once, so that the progress bar moves.
const LINES_AT_ONCE: usize = 256;

#[derive(Debug, clap::Args)]
pub struct PatternsArgs {
    /// The run directory
    dir: PathBuf,
    /// Where the words of a unit match a regular expression, such as 'flat+ spike nonfinite'; a word is a record: rise, fall,
    /// flat, spike, saturated, dead, nonfinite, missing
    #[arg(long, value_name = "REGEX")]
    find: Option<String>,
    /// What is most like the records of a unit at the steps from T0 to before T1
    #[arg(long, value_name = "TENSOR:UNIT:T0:T1", value_parser = query)]
    like: Option<Query>,
    /// How many windows --like names
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    matches: u32,
    /// The N pairs of windows that are most alike within a unit [default: 5, unless something else is asked for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    motifs: Option<u32>,
    /// The N windows that nothing else in their unit is like [default: 5, unless something else is asked for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    discords: Option<u32>,
    /// The shapes of K sampled lines [default: 64, unless something else is asked for]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(..=256))]
    shapes: Option<u32>,
    /// Records of a window [default: a twentieth of the run's, at least 8; with --like those of the stretch]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(MIN_WINDOW as i64..), conflicts_with = "like")]
    window: Option<u32>,
    /// Only the units of these layers or parameters [default: all of the kind]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    tensor: Vec<String>,
    /// Which values of the units
    #[arg(long, default_value = "activation", value_parser = PossibleValuesParser::new(TensorKind::ALL.map(TensorKind::name)).map(|word| named(&TensorKind::ALL, TensorKind::name, &word)))]
    kind: TensorKind,
    /// Which statistic of those values over the batch
    #[arg(long, default_value = "mean", value_parser = PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(|word| named(&Statistic::ALL, Statistic::name, &word)))]
    quantity: Statistic,
    /// Draw what is found over the series that it is in
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
}

fn query(text: &str) -> std::result::Result<Query, String> {
    Query::parse(text).ok_or_else(|| {
        "write a tensor, a unit, the first step and the step after the last, such as encoder.1:12:300:360".into()
    })
}

pub fn run(common: &Common, args: &PatternsArgs) -> Result<()> {
    outputs::check(&args.dir, &[("--plot", &args.plot)])?;
    if let Some(path) = &args.plot {
        outputs::check_picture(path)?;
    }
    let expression = args.find.as_deref().map(Expression::parse).transpose()?;
    let view = RunView::open(&args.dir)?;
    let problems: Vec<String> = view.problems().iter().map(ToString::to_string).collect();
    for problem in &problems {
        common.answer(&format!("left out: {problem}"));
    }
    let started = Instant::now();
    let lines = RunLines::read(&view, &options(args))?;
    let words = RunWords::read(&view, &lines)?;
    let mut answers = Answers::default();
    if let Some(expression) = &expression {
        answers.found = expression.find_all(&words);
    }
    let asked = Asked::of(args);
    let needs_gpu = asked.needs_gpu() || args.like.is_some() || args.plot.is_some();
    let gpu = needs_gpu.then(|| common.gpu()).transpose()?;
    if let Some(gpu) = &gpu {
        if let Some(query) = &args.like {
            let found = query.nearest(gpu, &lines, args.matches as usize)?;
            answers.window = Some(found.length);
            answers.matches = found.matches;
        }
        self_joins(common, gpu, args, &asked, &lines, &mut answers)?;
        if asked.shapes > 0 {
            answers.shapes = Some(shapes(gpu, &lines, asked.shapes)?);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    say(common, args, &asked, (&lines, &words), &answers, seconds);
    if let (Some(path), Some(gpu)) = (&args.plot, &gpu) {
        plot(gpu, &view, &lines, &answers)?.write_png(gpu, path)?;
        common.answer(&format!("plot: {}", path.display()));
    }
    let mut object = answers::object(&lines, &words, &answers);
    object["adapter"] = gpu
        .as_ref()
        .map_or(Value::Null, |gpu| json!(gpu.describe()));
    object["quantity"] = json!(args.quantity.name());
    object["seconds"] = json!(seconds);
    object["plot"] = json!(args.plot);
    object["problems"] = json!(problems);
    object["find"] = json!(args.find);
    object["like"] = json!(args.like.as_ref().map(ToString::to_string));
    common.keep_and_print_json(&args.dir, &name_of(args), &object);
    Ok(())
}

/// The name under which an answer is kept: what was asked, as far as a file name holds it.
fn name_of(args: &PatternsArgs) -> String {
    let mut words = vec!["patterns".to_owned(), args.kind.name().to_owned()];
    words.push(args.quantity.name().to_owned());
    words.extend(args.tensor.iter().cloned());
    words.extend(args.find.clone());
    words.extend(args.like.as_ref().map(ToString::to_string));
    words.join("-").chars().take(MAX_NAME).collect()
}

fn options(args: &PatternsArgs) -> LineOptions {
    LineOptions {
        tensors: args.tensor.clone(),
        kind: args.kind,
        statistic: args.quantity,
    }
}

/// How much of each sort is asked for.
#[derive(Debug)]
struct Asked {
    motifs: usize,
    discords: usize,
    shapes: usize,
    /// Whether nothing was named, so that there is some of all.
    is_usual: bool,
}

impl Asked {
    fn of(args: &PatternsArgs) -> Self {
        let counts = [args.motifs, args.discords, args.shapes];
        let is_usual =
            args.find.is_none() && args.like.is_none() && counts.iter().all(Option::is_none);
        let count = |given: Option<u32>, usual: usize| match given {
            Some(given) => given as usize,
            None if is_usual => usual,
            None => 0,
        };
        Self {
            motifs: count(args.motifs, USUAL_COUNT),
            discords: count(args.discords, USUAL_COUNT),
            shapes: count(args.shapes, USUAL_SHAPES as usize),
            is_usual,
        }
    }

    fn needs_gpu(&self) -> bool {
        self.motifs + self.discords + self.shapes > 0
    }
}

fn windows(lines: &RunLines, length: usize) -> Vec<Windows> {
    let all = 0..lines.count();
    all.map(|line| Windows::new(lines.line(line), length))
        .collect()
}

fn self_joins(
    common: &Common,
    gpu: &Gpu,
    args: &PatternsArgs,
    asked: &Asked,
    lines: &RunLines,
    answers: &mut Answers,
) -> Result<()> {
    if asked.motifs + asked.discords == 0 {
        return Ok(());
    }
    let records = lines.steps.len();
    let length = args
        .window
        .map_or(usual_window(records), |window| window as usize);
    if 2 * length > records {
        return Err(Error::usage(
            format!("--window {length}"),
            format!("the run has {records} records that are evenly apart"),
            match records / 2 {
                most if most < MIN_WINDOW => {
                    "train it longer, or with a smaller record.every".to_owned()
                }
                most => format!("use a window of {MIN_WINDOW} to {most} records"),
            },
        ));
    }
    let windows = windows(lines, length);
    let bar = common.bar(windows.len() as u64);
    let mut found = Vec::with_capacity(windows.len());
    for part in windows.chunks(LINES_AT_ONCE) {
        found.extend(profiles(gpu, part)?);
        bar.set_position(found.len() as u64);
    }
    bar.finish_and_clear();
    answers.window = Some(length);
    answers.motifs = motifs(lines, &windows, &found, asked.motifs);
    answers.discords = discords(lines, &windows, &found, asked.discords);
    Ok(())
}

fn say(
    common: &Common,
    args: &PatternsArgs,
    asked: &Asked,
    (lines, words): (&RunLines, &RunWords),
    answers: &Answers,
    seconds: f64,
) {
    for line in answers::about(lines, args.quantity, answers.window, seconds) {
        common.answer(&line);
    }
    let mut all = Vec::new();
    if asked.is_usual {
        all.extend(answers::words(words));
    }
    if let Some(expression) = &args.find {
        all.extend(answers::found(expression, lines, words, &answers.found));
    }
    if let Some(query) = &args.like {
        all.extend(answers::matches(&query.to_string(), lines, words, answers));
    }
    if asked.motifs > 0 {
        all.extend(answers::motifs(lines, words, answers));
    }
    if asked.discords > 0 {
        all.extend(answers::discords(lines, words, answers));
    }
    if let Some(shapes) = &answers.shapes {
        all.extend(answers::shapes(lines, shapes));
    }
    for line in all {
        common.answer(&line);
    }
}

fn plot(
    gpu: &Gpu,
    view: &RunView,
    lines: &RunLines,
    answers: &Answers,
) -> Result<trainscope::view::Picture> {
    let panels = answers::panels(lines, answers);
    if panels.is_empty() {
        return Err(Error::input(
            "--plot",
            "nothing was found, so there is nothing to draw",
            "search for something else",
        ));
    }
    let steps = [lines.steps[0], lines.steps[lines.steps.len() - 1]];
    PatternChart {
        title: &format!("{}: patterns in what its units do", view.name()),
        note: "Each line has a scale of its own, from its lowest to its highest finite value; what was found is marked.",
        steps,
        panels: &panels,
    }
    .picture(&Painter::new(gpu), PLOT_WIDTH, &Theme::light().scaled(PLOT_SCALE_FACTOR))
}
