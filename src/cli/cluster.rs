//! `trainscope cluster`

use std::path::PathBuf;

use serde_json::{Value, json};
use trainscope::cluster::{ClusterOptions, Clustering, UnitFeatures, cluster};
use trainscope::credit::{Credit, CreditRequest, credit};
use trainscope::gpu::Gpu;
use trainscope::tensor::TensorKind;
use trainscope::trace::{RunView, Statistic};
use trainscope::train::{Deviation, Replay};
use trainscope::view::{ClusterSheet, Painter, Theme};
use trainscope::{Error, Result};

use super::tolerance::{self, ToleranceArgs};
use super::{Common, outputs};

/// Width of the plot in points, and pixels a point.
const PLOT_WIDTH: f32 = 960.0;
const PLOT_SCALE_FACTOR: f32 = 2.0;
/// Units of a cluster that are listed on the terminal.
const MAX_LISTED: usize = 12;
/// Clusters with this share of all credit are listed; the others are folded into one line.
const LISTED_CREDIT: f64 = 0.95;

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
    /// The unit of a neighboring layer whose change the clusters are to explain, over --from and --to
    #[arg(long, value_name = "LAYER:UNIT", requires = "from", requires = "to")]
    explain: Option<String>,
    /// First step of that change
    #[arg(long, value_name = "T0", requires = "explain")]
    from: Option<u64>,
    /// The step after its last
    #[arg(long, value_name = "T1", requires = "explain")]
    to: Option<u64>,
    /// Make this many clusters [default: as many as have the largest mean silhouette]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=64))]
    count: Option<u32>,
    /// Seed of the first centers
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Draw the clusters as squares with their mean lines
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
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
    let mut deviation = None;
    for (step, features) in features(&gpu, args, &view, &mut deviation)? {
        let mut clustering = cluster(&gpu, &features, &options)?;
        if let Some((_, before)) = found.last() {
            clustering.match_to(before);
        }
        found.push((step, clustering));
    }
    let explained = explained(common, &gpu, args)?;
    let mut singled_out_credit = None;
    if let (Some(credit), Some((_, last))) = (&explained, found.last_mut()) {
        singled_out_credit = Some(last.explain(&args.layer, credit)?);
    }
    let explained_deviation = explained.as_ref().and_then(|c| c.deviation.clone());
    keep_larger(&mut deviation, explained_deviation);
    let Some((step, last)) = found.last() else {
        return Err(Error::usage("--step", "no step is given", "name one"));
    };
    for (step, clustering) in &found {
        say(common, *step, clustering);
    }
    tolerance::say(common, deviation.as_ref());
    if let Some(path) = &args.plot {
        let sheet = ClusterSheet {
            layer: &args.layer,
            step: *step,
            clustering: last,
        };
        let theme = Theme::light().scaled(PLOT_SCALE_FACTOR);
        let picture = sheet.picture(&Painter::new(&gpu), PLOT_WIDTH, &theme)?;
        picture.write_png(&gpu, path)?;
        common.answer(&format!("plot: {}", path.display()));
    }
    let mut object = object(args, *step, last);
    object["adapter"] = json!(gpu.describe());
    object["plot"] = json!(args.plot);
    object["deviation"] = json!(deviation);
    if let Some(credit) = &explained {
        object["explains"] = json!({
            "layer": credit.layer,
            "unit": credit.unit,
            "from": credit.from,
            "to": credit.to,
            "change": credit.change,
            "singled_out": singled_out_credit,
        });
        common.answer(&format!(
            "{} {} changed by {:.4} from step {} to {}",
            credit.layer, credit.unit, credit.change, credit.from, credit.to
        ));
    }
    if found.len() > 1 {
        let snapshots = found
            .iter()
            .map(|(step, clustering)| self::object(args, *step, clustering));
        object["snapshots"] = snapshots.collect();
    }
    let when = step.map_or("series".to_owned(), |step| step.to_string());
    let name = format!("cluster-{}-{when}", args.layer);
    common.keep_and_print_json(&args.dir, &name, &object);
    Ok(())
}

/// The credit of the unit that is to be explained.
fn explained(common: &Common, gpu: &Gpu, args: &ClusterArgs) -> Result<Option<Credit>> {
    let (Some(unit), Some(from), Some(to)) = (&args.explain, args.from, args.to) else {
        return Ok(None);
    };
    let parsed = unit.rsplit_once(':');
    let parsed = parsed.and_then(|(layer, unit)| Some((layer, unit.parse().ok()?)));
    let Some((layer, unit)) = parsed else {
        return Err(Error::usage(
            format!("--explain {unit}"),
            "it is not a layer and the number of a unit",
            "write it like mu:3",
        ));
    };
    let request = CreditRequest::new(layer, [unit], from..to);
    let replay = Replay::open(gpu, &args.dir)?.tolerance(args.tolerance.tolerance);
    let bar = common.bar(0);
    let credits = credit(replay, &request, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let credit = credits?.into_iter().next();
    if let Some(first) = credit
        .as_ref()
        .and_then(|credit| credit.first_nonfinite.as_ref())
    {
        common.answer(&format!(
            "the change is explained up to step {}: {}",
            first.step, first.what
        ));
    }
    Ok(credit)
}

/// Keeps the larger of two deviations.
fn keep_larger(kept: &mut Option<Deviation>, other: Option<Deviation>) {
    let of = |deviation: &Option<Deviation>| deviation.as_ref().map(|d| (d.largest, d.steps));
    if of(&other) > of(kept) {
        *kept = other;
    }
}

/// The features at each snapshot, or those of the whole run; keeps the largest deviation of the replays.
fn features(
    gpu: &Gpu,
    args: &ClusterArgs,
    view: &RunView,
    deviation: &mut Option<Deviation>,
) -> Result<Vec<(Option<u64>, UnitFeatures)>> {
    if args.series {
        let series = view.series(&args.layer, TensorKind::Activation, Statistic::Mean)?;
        return Ok(vec![(None, UnitFeatures::of_series(&series))]);
    }
    if view.scenario().is_none() {
        return Err(Error::usage(
            format!("cluster {}", args.dir.display()),
            "the run has no scenario, so its units cannot be computed at a snapshot",
            "use --series, which compares what is recorded of them",
        ));
    }
    let last = view.info().map_or(0, |info| info.steps_done);
    let steps = match args.step.is_empty() {
        true => vec![last],
        false => args.step.clone(),
    };
    let at = |step: u64| {
        let replay = Replay::open(gpu, &args.dir)?.tolerance(args.tolerance.tolerance);
        let trainer = replay.state_after(step)?;
        keep_larger(deviation, trainer.deviation().cloned());
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
            "credit": cluster.credit,
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
    common.answer(&format!("{when}: {}", clustering.summary()));
    let listed = listed_clusters(clustering);
    for cluster in &clustering.clusters[..listed] {
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
        let credit = cluster
            .credit
            .map(|credit| format!(", credit {credit:+.4}"));
        let credit = credit.unwrap_or_default();
        common.answer(&format!(
            "cluster {id}: {}{credit}, spread {spread:.4}: {}{more}",
            cluster.counted(),
            listed.join(" ")
        ));
    }
    let folded = &clustering.clusters[listed..];
    if !folded.is_empty() {
        let units: usize = folded.iter().map(|cluster| cluster.units.len()).sum();
        let credit: f64 = folded.iter().filter_map(|cluster| cluster.credit).sum();
        let count = folded.len();
        common.answer(&format!(
            "clusters with the rest of the credit: {count}, of {units} units, {credit:+.4} together"
        ));
    }
    for single in clustering.singled_out.iter().take(MAX_LISTED) {
        common.answer(&format!("unit {} is in none: {}", single.unit, single.why));
    }
    if clustering.singled_out.len() > MAX_LISTED {
        let more = clustering.singled_out.len() - MAX_LISTED;
        common.answer(&format!("and {more} more units are in none"));
    }
}

/// How many clusters are listed: all, or the first with nearly all of the credit.
fn listed_clusters(clustering: &Clustering) -> usize {
    let credits = clustering
        .clusters
        .iter()
        .map(|cluster| cluster.credit.map(f64::abs));
    let Some(credits) = credits.collect::<Option<Vec<f64>>>() else {
        return clustering.clusters.len();
    };
    let all: f64 = credits.iter().sum();
    let mut sum = 0.0;
    let reached = credits.iter().position(|credit| {
        sum += credit;
        sum >= LISTED_CREDIT * all
    });
    reached.map_or(credits.len(), |last| last + 1)
}
