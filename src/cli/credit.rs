//! `trainscope credit`

use std::path::{Path, PathBuf};

use serde_json::json;
use trainscope::Result;
use trainscope::credit::{Chosen, Contribution, Credit, CreditRequest, Hop, OtherCredit, credit};
use trainscope::gpu::Gpu;
use trainscope::tensor::NamedTensor;
use trainscope::trace::write_safetensors_with_integers;
use trainscope::train::Replay;
use trainscope::view::{CreditChart, Painter, Picture, Theme};

use super::tolerance::{self, ToleranceArgs};
use super::{Common, outputs};

/// Width of the picture in points, and pixels a point.
const PLOT_WIDTH: f32 = 900.0;
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// Rows and columns of an image at most.
const MOST_POSITIONS: usize = 1 << 15;
/// Elements of what enters the layer that the JSON has for chosen samples or positions, and those that the text has.
const MOST_PLACES: usize = 256;
const NAMED_PLACES: usize = 6;
/// Lines of the table for a terminal.
const MOST_LINES: usize = 8;

#[derive(Debug, clap::Args)]
pub struct CreditArgs {
    /// The run directory
    dir: PathBuf,
    /// The layer: dense, convolution or transposed convolution
    #[arg(long, value_name = "L")]
    layer: String,
    /// Its units; of a convolution its channels
    #[arg(long, value_name = "J", value_delimiter = ',', required = true)]
    unit: Vec<usize>,
    /// First step of the range
    #[arg(long, value_name = "T0")]
    from: u64,
    /// The step after its last
    #[arg(long, value_name = "T1")]
    to: u64,
    /// How many hops back: 1 for what enters the layer, 2 for the layers with weights before it too, and so on
    #[arg(long, value_name = "H", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    hops: u32,
    /// Explain the mean over these samples of the probe batch alone
    #[arg(long, value_name = "N", value_delimiter = ',')]
    sample: Vec<usize>,
    /// Of a convolution, explain the mean over these positions of the channel alone: ROW,COLUMN or
    /// ROW-ROW,COLUMN-COLUMN, once or several times
    #[arg(long, value_name = "Y,X", value_parser = positions)]
    position: Vec<Positions>,
    /// Write the credit of every place to this file: of what enters the layer for each sample of the probe batch, and of
    /// every unit behind it
    #[arg(long, value_name = "FILE.safetensors")]
    maps: Option<PathBuf>,
    /// Draw the decomposition into this file
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
}

/// The positions of a rectangle.
#[derive(Debug, Clone)]
struct Positions(Vec<[usize; 2]>);

fn positions(word: &str) -> std::result::Result<Positions, String> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let [first, last] = [first, last].map(|number| number.trim().parse::<usize>().ok());
        let range = first?..=last?;
        (!range.is_empty() && *range.end() < MOST_POSITIONS).then_some(range)
    };
    let ranges = word.split_once(',');
    let ranges = ranges.and_then(|(rows, columns)| Some((range(rows)?, range(columns)?)));
    let Some((rows, columns)) = ranges else {
        return Err("a position is a row and a column, such as 3,4 or 3-5,0-2".into());
    };
    let all = rows.flat_map(|row| columns.clone().map(move |column| [row, column]));
    Ok(Positions(all.collect()))
}

pub fn run(common: &Common, args: &CreditArgs) -> Result<()> {
    outputs::check(&args.dir, &[("--plot", &args.plot), ("--maps", &args.maps)])?;
    if let Some(path) = &args.plot {
        outputs::check_picture(path)?;
    }
    let gpu = common.gpu()?;
    let positions = args.position.iter().flat_map(|Positions(all)| all);
    let chosen = Chosen {
        samples: args.sample.clone(),
        positions: positions.copied().collect(),
    };
    let request = CreditRequest {
        maps: args.maps.is_some() || args.plot.is_some() || !chosen.is_all(),
        hops: args.hops as usize,
        chosen,
        ..CreditRequest::new(&args.layer, &args.unit[..], args.from..args.to)
    };
    let replay = Replay::open(&gpu, &args.dir)?.tolerance(args.tolerance.tolerance);
    let bar = common.bar(0);
    let credits = credit(replay, &request, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let credits = credits?;
    for unit in &credits {
        for line in lines(unit) {
            common.answer(&line);
        }
        for line in unit.hops.iter().flat_map(hop_lines) {
            common.answer(&line);
        }
        if unit.hops.len() + 1 < request.hops {
            common.answer(&format!(
                "  there is no hop {}: no layer with weights stands before",
                unit.hops.len() + 2
            ));
        }
    }
    tolerance::say(
        common,
        credits.first().and_then(|credit| credit.deviation.as_ref()),
    );
    if let Some(path) = &args.maps {
        write_maps(&credits, path)?;
        common.answer(&format!("maps: {}", path.display()));
    }
    if let Some(path) = &args.plot {
        draw(&gpu, &credits, path)?;
        common.answer(&format!("plot: {}", path.display()));
    }
    let name = answer_name(&request);
    common.keep_and_print_json(&args.dir, &name, &as_json(&credits, &gpu.describe()));
    Ok(())
}

/// The name under which an answer is kept: what was asked.
fn answer_name(request: &CreditRequest) -> String {
    let units: Vec<String> = request.units.iter().map(usize::to_string).collect();
    format!(
        "credit-{}-{}-{}-{}{}",
        request.layer,
        units.join("_"),
        request.range.start,
        request.range.end,
        request.chosen
    )
}

/// Keeps what `explain` asked about credit for the run's report, as if the command had been called.
pub(super) fn keep(run: &Path, credit: &Credit, adapter: &str) -> Result<()> {
    let request = CreditRequest {
        chosen: credit.chosen(),
        ..CreditRequest::new(&credit.layer, [credit.unit], credit.from..credit.to)
    };
    let answer = as_json(std::slice::from_ref(credit), adapter);
    trainscope::report::keep_answer(run, &answer_name(&request), &answer).map(drop)
}

fn draw(gpu: &Gpu, credits: &[Credit], path: &Path) -> Result<()> {
    let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
    let chart = CreditChart { credits };
    let picture = Picture::new(gpu, PLOT_WIDTH, chart.height(), &theme)?;
    chart.draw(&Painter::new(gpu), &picture);
    picture.write_png(gpu, path)
}

/// Writes `<unit>/predecessors/<tensor>` and `<unit>/successors/<layer>`.
fn write_maps(credits: &[Credit], path: &Path) -> Result<()> {
    let named = credits.iter().flat_map(|credit| {
        let maps = &credit.maps;
        let predecessors = maps.predecessors.iter().map(|map| ("predecessors", map));
        let successors = maps.successors.iter().map(|map| ("successors", map));
        predecessors
            .chain(successors)
            .map(|(side, map)| NamedTensor {
                name: format!("{}/{side}/{}", credit.unit, map.name),
                ..map.clone()
            })
    });
    write_safetensors_with_integers(path, &named.collect::<Vec<_>>(), &[])
}

/// One unit is the object itself; several are in `units`.
fn as_json(credits: &[Credit], adapter: &str) -> serde_json::Value {
    let value = |credit: &Credit| {
        let mut value = json!(credit);
        if !credit.chosen().is_all() {
            value["places"] = json!(credit.strongest_places(MOST_PLACES));
        }
        value["adapter"] = json!(adapter);
        value
    };
    match credits {
        [one] => value(one),
        several => json!({
            "units": several.iter().map(value).collect::<Vec<_>>(),
            "adapter": adapter,
        }),
    }
}

/// The decomposition for a person.
fn lines(credit: &Credit) -> Vec<String> {
    let Credit {
        layer,
        unit,
        from,
        to,
        ..
    } = credit;
    let mut lines = vec![format!(
        "unit {unit} of {layer}{}, steps {from} to {to}: its mean changed by {}",
        credit.chosen(),
        signed(credit.change)
    )];
    if let Some(first) = &credit.first_nonfinite {
        lines.push(format!(
            "  the range ends before step {}, which computes a value that is not finite: {}",
            first.step, first.what
        ));
    }
    lines.extend(part_lines(
        &credit.predecessors,
        &credit.successors,
        &credit.other,
    ));
    if !credit.chosen().is_all() {
        lines.extend(place_lines(credit));
    }
    lines.push(sum_line(
        [credit.explained, credit.residual, credit.magnitude()],
        credit.cancellation,
    ));
    lines
}

/// The elements of what enters the layer that did most, and what chosen positions look at.
fn place_lines(credit: &Credit) -> Vec<String> {
    let mut lines = Vec::new();
    let places = credit.strongest_places(NAMED_PLACES);
    if !places.is_empty() {
        lines.push("  places of the predecessors that did most:".to_owned());
    }
    for place in places {
        let position = place.position;
        let position = position.map(|[row, column]| format!(", position {row},{column}"));
        lines.push(format!(
            "    {:>12}  {} {} of sample {}{}",
            signed(place.credit),
            place.layer,
            place.unit,
            place.sample,
            position.unwrap_or_default()
        ));
    }
    if let (Some([rows, columns]), false) = (&credit.region, credit.positions.is_empty()) {
        lines.push(format!(
            "  of the images that enter the network they look at rows {} to {} and columns {} to {}",
            rows.start,
            rows.end - 1,
            columns.start,
            columns.end - 1
        ));
    }
    lines
}

/// A further hop for a person.
fn hop_lines(hop: &Hop) -> Vec<String> {
    let with = match hop.other.normalization {
        0.0 => "",
        _ => ", running statistics included",
    };
    let mut lines = vec![format!(
        "  hop {}, to {}: what the predecessors did{with}, {}",
        hop.hop,
        hop.layers.join(", "),
        signed(hop.explains)
    )];
    let [by_weights, by_input] = [
        hop.through.iter().map(|unit| unit.by_weights).sum::<f64>(),
        hop.through.iter().map(|unit| unit.by_input).sum(),
    ];
    lines.push(format!(
        "    {} because its units' own weights moved, {} because their inputs changed",
        signed(by_weights),
        signed(by_input)
    ));
    let parts = part_lines(&hop.predecessors, &hop.successors, &hop.other);
    lines.extend(parts.into_iter().map(|line| format!("  {line}")));
    let sums = [hop.explained, hop.residual, hop.magnitude()];
    lines.push(format!("  {}", sum_line(sums, hop.cancellation)));
    lines
}

/// The parts of a decomposition.
fn part_lines(
    predecessors: &[Contribution],
    successors: &[Contribution],
    other: &OtherCredit,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, parts) in [("predecessors", predecessors), ("successors", successors)] {
        let sum: f64 = parts.iter().map(|part| part.credit).sum();
        lines.push(format!("  {title}: {} in all", signed(sum)));
        lines.extend(strongest(parts));
    }
    for (name, value) in other.parts() {
        if value != 0.0 {
            lines.push(format!("  {}: {}", name.replace('_', " "), signed(value)));
        }
    }
    lines
}

/// What the parts sum up to, and what is left.
fn sum_line([explained, residual, magnitude]: [f64; 3], cancellation: f64) -> String {
    let share = if magnitude > 0.0 {
        100.0 * residual.abs() / magnitude
    } else {
        0.0
    };
    format!(
        "  explained {}, residual {} ({share:.2e} % of the sum of magnitudes), cancellation {cancellation:.3}",
        signed(explained),
        signed(residual)
    )
}

/// The contributions of the greatest magnitude, and what the others sum up to.
fn strongest(parts: &[Contribution]) -> Vec<String> {
    let mut sorted: Vec<&Contribution> = parts.iter().filter(|part| part.credit != 0.0).collect();
    sorted.sort_by(|a, b| b.credit.abs().total_cmp(&a.credit.abs()));
    let (shown, rest) = sorted.split_at(sorted.len().min(MOST_LINES));
    let mut lines: Vec<String> = shown
        .iter()
        .map(|part| format!("    {:>12}  {}", signed(part.credit), part.name()))
        .collect();
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|part| part.credit).sum();
        lines.push(format!("    {:>12}  {} others", signed(sum), rest.len()));
    }
    lines
}

fn signed(value: f64) -> String {
    format!("{value:+.4e}")
}
