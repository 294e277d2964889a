//! `trainscope cluster`

use std::path::PathBuf;

use serde_json::{Value, json};
use trainscope::cluster::{ClusterOptions, Clustering, UnitFeatures, cluster, snapshot};
use trainscope::gpu::Gpu;
use trainscope::series::{Scale, SeriesBuffer};
use trainscope::tensor::TensorKind;
use trainscope::trace::{RunView, Statistic};
use trainscope::view::{ClusterChart, Painter, Theme};
use trainscope::{Error, Result};

use super::{Common, outputs};

/// Width of the plot in points, and pixels a point.
const PLOT_WIDTH: f32 = 960.0;
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// Units of a cluster that are listed on the terminal.
const MAX_LISTED: usize = 12;

#[derive(Debug, clap::Args)]
pub struct ClusterArgs {
    /// The run directory
    dir: PathBuf,
    /// The layer whose units are put into clusters
    #[arg(long, value_name = "L")]
    layer: String,
    /// The snapshots after so many steps; clusters keep their numbers from one to the next [default: the last step]
    #[arg(
        long,
        value_name = "T",
        value_delimiter = ',',
        conflicts_with = "series"
    )]
    step: Vec<u64>,
    /// Compare units by their recorded mean activation over all steps, and not by the probe batch at a snapshot
    #[arg(long)]
    series: bool,
    /// Make this many clusters [default: as many as have the largest mean silhouette]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=64))]
    count: Option<u32>,
    /// Seed of the first centers
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Draw the clusters as squares with their mean lines
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
}

pub fn run(common: &Common, args: &ClusterArgs) -> Result<()> {
    outputs::check(&args.dir, &[("--plot", &args.plot)])?;
    if let Some(path) = &args.plot {
        outputs::check_picture(path)?;
    }
    let view = RunView::open(&args.dir)?;
    let gpu = common.gpu()?;
    let options = ClusterOptions {
        count: args.count.map(|count| count as usize),
        seed: args.seed,
    };
    let mut found: Vec<(Option<u64>, Clustering)> = Vec::new();
    for (step, features) in features(&gpu, args, &view)? {
        let mut clustering = cluster(&gpu, &features, &options)?;
        if let Some((_, before)) = found.last() {
            clustering.match_to(before);
        }
        found.push((step, clustering));
    }
    let Some((step, last)) = found.last() else {
        return Err(Error::usage("--step", "no step is given", "name one"));
    };
    for (step, clustering) in &found {
        say(common, *step, clustering);
    }
    if let Some(path) = &args.plot {
        plot(&gpu, args, *step, last)?.write_png(&gpu, path)?;
        common.note(&format!("plot: {}", path.display()));
    }
    let mut object = object(args, *step, last);
    object["adapter"] = json!(gpu.describe());
    object["plot"] = json!(args.plot);
    if found.len() > 1 {
        let snapshots = found
            .iter()
            .map(|(step, clustering)| self::object(args, *step, clustering));
        object["snapshots"] = snapshots.collect();
    }
    common.print_json(&object);
    Ok(())
}

/// The features at each snapshot, or those of the whole run.
fn features(
    gpu: &Gpu,
    args: &ClusterArgs,
    view: &RunView,
) -> Result<Vec<(Option<u64>, UnitFeatures)>> {
    if args.series {
        let series = view.series(&args.layer, TensorKind::Activation, Statistic::Mean)?;
        return Ok(vec![(None, UnitFeatures::of_series(&series))]);
    }
    let last = view.info().map_or(0, |info| info.steps_done);
    let steps = match args.step.is_empty() {
        true => vec![last],
        false => args.step.clone(),
    };
    let at = |step: u64| {
        let trainer = snapshot(gpu, &args.dir, step)?;
        let features = UnitFeatures::of_probe_batch(&trainer, &args.layer)?;
        Ok((Some(step), features))
    };
    steps.into_iter().map(at).collect()
}

fn object(args: &ClusterArgs, step: Option<u64>, clustering: &Clustering) -> Value {
    let clusters = clustering.clusters.iter().map(|cluster| {
        json!({
            "id": cluster.id,
            "size": cluster.units.len(),
            "units": cluster.units,
            "mean": cluster.mean,
            "spread": cluster.spread,
            "credit": null,
        })
    });
    let silhouettes = clustering.silhouettes.iter();
    json!({
        "layer": args.layer,
        "step": step,
        "count": clustering.clusters.len(),
        "criterion": clustering.criterion.name(),
        "silhouettes": silhouettes
            .map(|(count, silhouette)| json!({ "count": count, "silhouette": silhouette }))
            .collect::<Vec<_>>(),
        "clusters": clusters.collect::<Vec<_>>(),
        "singled_out": clustering.singled_out.iter()
            .map(|single| json!({ "unit": single.unit, "why": single.why }))
            .collect::<Vec<_>>(),
        "seed": args.seed,
    })
}

fn say(common: &Common, step: Option<u64>, clustering: &Clustering) {
    let when = step.map_or("over the whole run".to_owned(), |step| {
        format!("after step {step}")
    });
    common.note(&format!("{when}: {}", clustering.summary()));
    for cluster in &clustering.clusters {
        let listed: Vec<String> = cluster
            .units
            .iter()
            .take(MAX_LISTED)
            .map(usize::to_string)
            .collect();
        let more = match cluster.units.len() > MAX_LISTED {
            true => format!(" and {} more", cluster.units.len() - MAX_LISTED),
            false => String::new(),
        };
        let (id, spread) = (cluster.id, cluster.spread);
        common.note(&format!(
            "cluster {id}: {}, spread {spread:.4}: {}{more}",
            counted(cluster.units.len()),
            listed.join(" ")
        ));
    }
    for single in clustering.singled_out.iter().take(MAX_LISTED) {
        common.note(&format!("unit {} is in none: {}", single.unit, single.why));
    }
    if clustering.singled_out.len() > MAX_LISTED {
        let more = clustering.singled_out.len() - MAX_LISTED;
        common.note(&format!("and {more} more units are in none"));
    }
}

/// So many units, in words.
fn counted(units: usize) -> String {
    match units {
        1 => "1 unit".to_owned(),
        _ => format!("{units} units"),
    }
}

fn plot(
    gpu: &Gpu,
    args: &ClusterArgs,
    step: Option<u64>,
    clustering: &Clustering,
) -> Result<trainscope::view::Picture> {
    let clusters = &clustering.clusters;
    let Some(first) = clusters.first() else {
        return Err(Error::input(
            "--plot",
            "no unit of the layer is finite, so there is no cluster to draw",
            "choose an earlier step",
        ));
    };
    let means: Vec<f32> = clusters
        .iter()
        .flat_map(|cluster| cluster.mean.iter().map(|&value| value as f32))
        .collect();
    let low = means.iter().copied().fold(f32::INFINITY, f32::min);
    let high = means.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let labels: Vec<String> = clusters
        .iter()
        .map(|cluster| format!("{}: {}", cluster.id, counted(cluster.units.len())))
        .collect();
    let sizes: Vec<usize> = clusters.iter().map(|cluster| cluster.units.len()).collect();
    let (when, x) = match step {
        Some(step) => (format!("after step {step}"), "sample of the probe batch"),
        None => ("over the run".to_owned(), "record"),
    };
    ClusterChart {
        title: &format!("Units of {} that behave alike, {when}", args.layer),
        note: &format!(
            "{} A line is the mean of a cluster's units for each {x}; all squares have the same axes, from {low:.4} to {high:.4}.",
            clustering.summary()
        ),
        sizes: &sizes,
        labels: &labels,
        means: &SeriesBuffer::upload(gpu, &means, first.mean.len(), Scale::Linear)?,
    }
    .picture(&Painter::new(gpu), PLOT_WIDTH, &Theme::light().scaled(PLOT_SCALE_FACTOR))
}
