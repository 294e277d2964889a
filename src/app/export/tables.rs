//! The data of what panes show.

use super::super::dashboard::Dashboard;
use super::super::jobs::Timed;
use super::super::panes::Pane;
use super::super::unit_pane::Sheet;
use super::table::{DataTable, Values};
use crate::Result;
use crate::cluster::Clustering;
use crate::credit::{Contribution, Credit};
use crate::dream::Dreams;
use crate::view::{ScalarChart, TimeAxis};

/// The tables of a pane with their names; none where it shows nothing yet.
pub(super) fn of(dashboard: &Dashboard, pane: Pane) -> Result<Vec<(String, DataTable)>> {
    let named = |name: String, table: Option<DataTable>| {
        table.map(|table| (name, table)).into_iter().collect()
    };
    Ok(match pane {
        Pane::Snapshots => named("snapshots".to_owned(), snapshots(dashboard)?),
        Pane::Layers => named("layers".to_owned(), layers(dashboard)),
        Pane::Units => named(units_name(dashboard), units(dashboard)?),
        Pane::Images => images(dashboard)?,
        Pane::Credit => named(credit_name(dashboard), dashboard.walk.credit().map(credit)),
        Pane::Unit => {
            let pane = &dashboard.unit_pane;
            let table = match pane.sheet() {
                Some(Sheet::Dreams { dreams, .. }) => Some(dreams_table(dreams)),
                Some(Sheet::Clusters { clustering, .. }) => Some(clusters(clustering)),
                None => pane.found().map(|found| {
                    let texts = found.iter().map(|found| found.text.clone());
                    DataTable::default().with("found", Values::Words(texts.collect()))
                }),
            };
            named(pane.name(), table)
        }
        Pane::Run => named("events".to_owned(), events(dashboard)),
        Pane::Explain => named("findings".to_owned(), findings(dashboard)),
    })
}

/// What the file of units is called after.
pub(super) fn units_name(dashboard: &Dashboard) -> String {
    let selection = dashboard.selection.as_ref();
    selection.map_or("units".to_owned(), |selection| {
        let (tensor, kind) = (&selection.tensor, selection.kind.name());
        match dashboard.units.is_of_single_values() {
            true => format!("units-{tensor}-{kind}-samples"),
            false => format!("units-{tensor}-{kind}-{}", selection.statistic.name()),
        }
    })
}

/// What the file of a credit is called after.
pub(super) fn credit_name(dashboard: &Dashboard) -> String {
    let credit = dashboard.walk.credit();
    credit.map_or("credit".to_owned(), |credit| {
        format!("credit-{}-{}", credit.layer, credit.unit)
    })
}

fn snapshots(dashboard: &Dashboard) -> Result<Option<DataTable>> {
    let Some(Timed { chart, timeline }) = &dashboard.scalars else {
        return Ok(None);
    };
    let series = chart.data().series();
    let values = dashboard.painter.gpu().read(series.values())?;
    Ok(Some(by_column(&lines_of(chart), &values, &timeline.axis)))
}

fn units(dashboard: &Dashboard) -> Result<Option<DataTable>> {
    let Some(Timed { chart, timeline }) = dashboard.units.chart() else {
        return Ok(None);
    };
    let series = chart.data().series();
    let values = dashboard.painter.gpu().read(series.values())?;
    let names = (0..series.lines()).map(|line| dashboard.units.name(line));
    let names: Vec<String> = names.collect();
    Ok(Some(by_column(&names, &values, &timeline.axis)))
}

/// The lines of a chart of scalars: the scalars, then what accompanies each.
fn lines_of(chart: &ScalarChart) -> Vec<String> {
    let names = chart.data().names();
    let lines = chart.data().series().lines();
    let companion = chart.data().companion_name();
    (0..lines)
        .map(|line| match line / names.len().max(1) {
            0 => names[line].clone(),
            _ => format!("{} ({companion})", names[line % names.len()]),
        })
        .collect()
}

/// The columns of a time axis: their first and last steps.
fn steps_of(axis: &TimeAxis) -> [Vec<u64>; 2] {
    let spans = axis.columns().iter();
    spans.map(|span| (span.first, span.last)).unzip().into()
}

/// A row for each column of the axis: its first and last step, and a value of each line.
fn by_column(names: &[String], values: &[f32], axis: &TimeAxis) -> DataTable {
    let [first, last] = steps_of(axis);
    let table = DataTable::default()
        .with("first_step", Values::Counts(first))
        .with("last_step", Values::Counts(last));
    let lines = values.chunks_exact(axis.columns().len().max(1));
    names.iter().zip(lines).fold(table, |table, (name, line)| {
        table.with(name, Values::Numbers(line.to_vec()))
    })
}

/// The lowest and the highest unit of each layer at each column of the axis.
fn layers(dashboard: &Dashboard) -> Option<DataTable> {
    let values = dashboard.layers.values()?;
    let kind = dashboard.options.quantity;
    let [first, last] = steps_of(&values.timeline.axis);
    let mut names = Vec::new();
    let mut steps = [Vec::new(), Vec::new()];
    let mut sides = [Vec::new(), Vec::new()];
    for node in &values.graph.nodes {
        let Some(envelope) = values.of(node, kind) else {
            continue;
        };
        names.extend(std::iter::repeat_n(node.name.clone(), first.len()));
        steps[0].extend(&first);
        steps[1].extend(&last);
        sides[0].extend(envelope.low);
        sides[1].extend(envelope.high);
    }
    let [first, last] = steps;
    let [low, high] = sides;
    let quantity = vec![kind.name().to_owned(); names.len()];
    let table = DataTable::default()
        .with("layer", Values::Words(names))
        .with("quantity", Values::Words(quantity))
        .with("first_step", Values::Counts(first))
        .with("last_step", Values::Counts(last))
        .with("lowest", Values::Numbers(low))
        .with("highest", Values::Numbers(high));
    Some(table)
}

fn images(dashboard: &Dashboard) -> Result<Vec<(String, DataTable)>> {
    let mut tables = Vec::new();
    let past = dashboard.past.as_ref();
    if let Some(tensor) = past.and_then(|past| past.tensor.as_ref()) {
        let ([count, height, width], values) = tensor.shown();
        let mut at = [Vec::new(), Vec::new(), Vec::new()];
        for index in 0..(count * height * width) as u64 {
            let (height, width) = (height as u64, width as u64);
            at[0].push(index / (height * width));
            at[1].push(index / width % height);
            at[2].push(index % width);
        }
        let [map, row, column] = at;
        let table = DataTable::default()
            .with("map", Values::Counts(map))
            .with("row", Values::Counts(row))
            .with("column", Values::Counts(column))
            .with("value", Values::Numbers(values.to_vec()));
        tables.push((tensor.name(), table));
    }
    if let Some(images) = dashboard.shown_images() {
        let gpu = dashboard.painter.gpu();
        let [channels, height, width] = images.shape().map(|side| side as u64);
        let mut sorts = Vec::new();
        let mut at = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        let mut values = Vec::new();
        for (sort, pixels) in images.rows() {
            let most = images.count() * (channels * height * width) as usize;
            let pixels = gpu.read(pixels)?;
            for (index, value) in pixels.into_iter().take(most).enumerate() {
                let index = index as u64;
                sorts.push(sort.to_owned());
                at[0].push(index / (channels * height * width));
                at[1].push(index / (height * width) % channels);
                at[2].push(index / width % height);
                at[3].push(index % width);
                values.push(value);
            }
        }
        let [image, channel, row, column] = at;
        let table = DataTable::default()
            .with("sort", Values::Words(sorts))
            .with("image", Values::Counts(image))
            .with("channel", Values::Counts(channel))
            .with("row", Values::Counts(row))
            .with("column", Values::Counts(column))
            .with("value", Values::Numbers(values));
        tables.push(("images".to_owned(), table));
    }
    Ok(tables)
}

/// Every part of a credit, which add up to the change with the residual.
fn credit(credit: &Credit) -> DataTable {
    let mut sides = Vec::new();
    let mut layers = Vec::new();
    let mut units = Vec::new();
    let mut values = Vec::new();
    let mut add = |side: &str, layer: &str, unit: String, value: f64| {
        sides.push(side.to_owned());
        layers.push(layer.to_owned());
        units.push(unit);
        values.push(value);
    };
    let of = |part: &Contribution| (part.layer.clone(), part.unit.to_string(), part.credit);
    for (layer, unit, value) in credit.predecessors.iter().map(of) {
        add("predecessor", &layer, unit, value);
    }
    for (layer, unit, value) in credit.successors.iter().map(of) {
        add("successor", &layer, unit, value);
    }
    for (name, value) in credit.other.parts() {
        add("other", name, String::new(), value);
    }
    add("residual", "", String::new(), credit.residual);
    add("measured change", "", String::new(), credit.change);
    DataTable::default()
        .with("side", Values::Words(sides))
        .with("layer", Values::Words(layers))
        .with("unit", Values::Words(units))
        .with("credit", Values::Precise(values))
}

/// Dreams and the real inputs beside them, value by value.
fn dreams_table(dreams: &Dreams) -> DataTable {
    let [mut units, mut sorts, mut samples] = [Vec::new(), Vec::new(), Vec::new()];
    let [mut activations, mut indices, mut values] = [Vec::new(), Vec::new(), Vec::new()];
    let mut add = |unit: &str, sort: &str, sample: String, activation: f64, input: &[f32]| {
        for (index, value) in input.iter().enumerate() {
            units.push(unit.to_owned());
            sorts.push(sort.to_owned());
            samples.push(sample.clone());
            activations.push(activation);
            indices.push(index as f64);
            values.push(f64::from(*value));
        }
    };
    for dream in &dreams.dreams {
        add(
            &dream.unit,
            "dream",
            String::new(),
            dream.activation,
            &dream.input,
        );
        for (sort, inputs) in [("most", &dream.most), ("least", &dream.least)] {
            for real in inputs {
                let sample = real.sample.to_string();
                add(&dream.unit, sort, sample, real.activation, &real.input);
            }
        }
    }
    let indices = indices.into_iter().map(|index| index as u64).collect();
    DataTable::default()
        .with("unit", Values::Words(units))
        .with("sort", Values::Words(sorts))
        .with("sample", Values::Words(samples))
        .with("activation", Values::Precise(activations))
        .with("index", Values::Counts(indices))
        .with("value", Values::Precise(values))
}

/// The cluster of each unit.
fn clusters(clustering: &Clustering) -> DataTable {
    let mut rows: Vec<(u64, String)> = clustering
        .clusters
        .iter()
        .flat_map(|cluster| {
            let units = cluster.units.iter();
            units.map(|unit| (*unit as u64, cluster.id.to_string()))
        })
        .collect();
    let out = clustering.singled_out.iter();
    rows.extend(out.map(|single| (single.unit as u64, format!("none: {}", single.why))));
    rows.sort();
    let (units, clusters) = rows.into_iter().unzip();
    DataTable::default()
        .with("unit", Values::Counts(units))
        .with("cluster", Values::Words(clusters))
}

fn events(dashboard: &Dashboard) -> Option<DataTable> {
    let events = &dashboard.layers.values()?.events;
    let words = |text: &dyn Fn(&crate::trace::Event) -> String| {
        Values::Words(events.iter().map(text).collect())
    };
    let steps = events.iter().map(|event| event.step).collect();
    let table = DataTable::default()
        .with("step", Values::Counts(steps))
        .with("severity", words(&|event| event.severity.name().to_owned()))
        .with("kind", words(&|event| event.kind.to_string()))
        .with("event", words(&|event| event.sentence()));
    Some(table)
}

fn findings(dashboard: &Dashboard) -> Option<DataTable> {
    let findings = &dashboard.explain.explanation()?.findings;
    let words = |text: &dyn Fn(&crate::diagnose::Finding) -> String| {
        Values::Words(findings.iter().map(text).collect())
    };
    let step = |step: Option<u64>| step.map_or_else(String::new, |step| step.to_string());
    let confidence = findings.iter().map(|finding| finding.confidence).collect();
    let table = DataTable::default()
        .with("finding", words(&|finding| finding.title.clone()))
        .with(
            "severity",
            words(&|finding| finding.severity.name().to_owned()),
        )
        .with("confidence", Values::Precise(confidence))
        .with("since", words(&|finding| step(finding.since)))
        .with("step", words(&|finding| step(finding.step)))
        .with(
            "layer",
            words(&|finding| finding.layer.clone().unwrap_or_default()),
        )
        .with(
            "units",
            words(&|finding| {
                let units = finding.units.iter().map(usize::to_string);
                units.collect::<Vec<_>>().join(" ")
            }),
        )
        .with(
            "evidence",
            words(&|finding| {
                let texts = finding
                    .evidence
                    .iter()
                    .map(|evidence| evidence.text.as_str());
                texts.collect::<Vec<_>>().join(" ")
            }),
        )
        .with(
            "fixes",
            words(&|finding| {
                let texts = finding.fixes.iter().map(|fix| fix.text.as_str());
                texts.collect::<Vec<_>>().join(" ")
            }),
        );
    Some(table)
}
