//! What the window writes is what the run recorded, in every format.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;

use super::super::export::Wish;
use super::*;
use crate::trace::Statistic;

/// The window over a failed run, all of whose steps it shows.
fn all_steps(gpu: &Gpu, folder: &Path) -> (Harness<'static, Dashboard>, PathBuf) {
    let dir = trained(gpu, folder);
    let mut harness = window(gpu, Source::Run(dir.clone()), folder);
    wait(&mut harness, "charts", is_complete);
    harness.key_press(Key::A);
    wait(&mut harness, "all steps", |harness| {
        let state = harness.state();
        let starts_at = |timeline: Option<&std::sync::Arc<timeline::Timeline>>| {
            timeline.is_some_and(|timeline| timeline.ends()[0] == 0)
        };
        let units = state.units.chart().map(|chart| &chart.timeline);
        let layers = state.layers.values().map(|values| &values.timeline);
        selection(harness).range.is_none()
            && [state.timeline(), units, layers].into_iter().all(starts_at)
            && !state.layers.is_stale()
    });
    (harness, dir)
}

/// A column of a CSV file that the window wrote into a run, by the view's name.
fn columns(dir: &Path, view: &str) -> BTreeMap<String, Vec<String>> {
    let path = file(dir, view, "csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in reader.records() {
        for (name, value) in names.iter().zip(row.unwrap().iter()) {
            all.entry(name.clone()).or_default().push(value.to_owned());
        }
    }
    all
}

/// A file that the window wrote: its name tells the run, the view and the step.
fn file(dir: &Path, view: &str, format: &str) -> PathBuf {
    let name = format!("run-{view}-step-59.{format}");
    dir.join("analysis").join("window").join(name)
}

fn is_same(text: &str, value: f32) -> bool {
    let read: f32 = text.parse().unwrap();
    read == value || read.is_nan() && value.is_nan()
}

#[test]
fn exported_data_is_what_the_run_recorded() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let (mut harness, dir) = all_steps(&gpu, folder.path());
    harness.key_press(Key::X);
    harness.step();
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    let run = RunView::open(&dir).unwrap();
    // Every step has a column of its own in so short a run.
    let losses = &run.scalars()["loss"];
    let snapshots = columns(&dir, "snapshots");
    let name = snapshots.keys().find(|name| name.starts_with("loss"));
    let column = &snapshots[name.expect("a column of the loss")];
    assert_eq!((column.len(), losses.len()), (60, 60));
    for ((text, step), (known, loss)) in column.iter().zip(&snapshots["first_step"]).zip(losses) {
        assert_eq!(*step, known.to_string());
        assert!(is_same(text, *loss as f32), "step {step}");
    }
    let selected = selection(&harness).clone();
    let (tensor, kind, statistic) = (&selected.tensor, selected.kind, selected.statistic);
    let series = run.series(tensor, kind, statistic).unwrap();
    let view = format!("units-{tensor}-{}-{}", kind.name(), statistic.name());
    let units = columns(&dir, &view);
    for (unit, row) in series.rows().enumerate() {
        let column = &units[&format!("unit {unit}")];
        assert_eq!(column.len(), row.len());
        let pairs = column.iter().zip(row);
        assert!(
            pairs.clone().all(|(text, value)| is_same(text, *value)),
            "unit {unit}"
        );
    }
    let layers = columns(&dir, "layers");
    let means = run
        .series("mu", TensorKind::Activation, Statistic::Mean)
        .unwrap();
    let of_mu = |side: &str| -> Vec<f32> {
        let rows = layers["layer"].iter().zip(&layers[side]);
        let of = rows.filter(|(layer, _)| *layer == "mu");
        of.map(|(_, value)| value.parse().unwrap()).collect()
    };
    let [low, high] = [of_mu("lowest"), of_mu("highest")];
    assert_eq!((low.len(), high.len()), (60, 60));
    for step in 0..60 {
        let values: Vec<f32> = means.rows().map(|row| row[step]).collect();
        if values.iter().all(|value| value.is_finite()) {
            assert_eq!(low[step], values.iter().copied().reduce(f32::min).unwrap());
            assert_eq!(high[step], values.iter().copied().reduce(f32::max).unwrap());
        }
    }
    let events = columns(&dir, "events");
    let steps: Vec<String> = run
        .events()
        .iter()
        .map(|event| event.step.to_string())
        .collect();
    assert_eq!(events["step"], steps);
    assert!(!file(&dir, "images", "csv").exists() || columns(&dir, "images").len() == 6);
}

#[test]
fn parquet_holds_the_same_as_csv() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let (mut harness, dir) = all_steps(&gpu, folder.path());
    harness.key_press(Key::X);
    harness.step();
    harness.key_press_modifiers(Modifiers::SHIFT, Key::X);
    harness.step();
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    let text = columns(&dir, "layers");
    let bytes = std::fs::File::open(file(&dir, "layers", "parquet")).unwrap();
    let reader = SerializedFileReader::new(bytes).unwrap();
    let mut rows = 0;
    for (index, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        assert_eq!(row.get_string(0).unwrap(), &text["layer"][index]);
        assert_eq!(
            row.get_long(2).unwrap().to_string(),
            text["first_step"][index]
        );
        assert!(is_same(&text["lowest"][index], row.get_float(4).unwrap()));
        rows += 1;
    }
    assert_eq!(rows, text["layer"].len());
    let wide =
        SerializedFileReader::new(std::fs::File::open(file(&dir, "snapshots", "parquet")).unwrap());
    let wide = wide.unwrap();
    let schema = wide.metadata().file_metadata().schema_descr();
    let names: Vec<&str> = schema
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(names.len(), columns(&dir, "snapshots").len(), "{names:?}");
}

#[test]
fn svg_is_lines_and_text() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let (mut harness, dir) = all_steps(&gpu, folder.path());
    harness.key_press_modifiers(Modifiers::SHIFT, Key::E);
    harness.step();
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    let read = |view: &str| std::fs::read_to_string(file(&dir, view, "svg")).unwrap();
    for view in ["snapshots", "layers", "run"] {
        let text = read(view);
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert!(!text.contains("<image"), "{view} is pixels");
        assert!(text.contains("</text>"), "{view} has no text");
    }
    let layers = read("layers");
    for name in ["mu", "encoder.0", "decoder.2"] {
        assert!(layers.contains(&format!(">{name}</text>")), "{name}");
    }
    // Two lines a layer that has units, and the edges.
    assert!(layers.matches("<path d=\"M").count() > 10);
    // A scalar's line goes through as many points as there are columns, up to the first that is not finite.
    let snapshots = read("snapshots");
    assert!(snapshots.matches('L').count() > 30);
    harness.key_press(Key::E);
    harness.step();
    for view in ["snapshots", "layers", "run"] {
        let png = std::fs::read(file(&dir, view, "png")).unwrap();
        let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        let head = read(view);
        let points = |name: &str| -> f32 {
            let after = head.split_once(&format!(" {name}=\"")).unwrap().1;
            after.split_once('"').unwrap().0.parse().unwrap()
        };
        // Two pixels a point.
        assert!(
            (size(16) as f32 - 2.0 * points("width")).abs() < 1.0,
            "{view}"
        );
        assert!(
            (size(20) as f32 - 2.0 * points("height")).abs() < 1.0,
            "{view}"
        );
    }
}

#[test]
fn panes_have_menus_and_the_find_box_exports() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let (mut harness, dir) = all_steps(&gpu, folder.path());
    harness.get_by_label("Menu of Snapshots").click();
    harness.step();
    harness.step();
    let text = Wish::all().next().unwrap().text(Pane::Snapshots);
    harness.get_by_label(&text).click();
    harness.step();
    harness.step();
    assert!(file(&dir, "snapshots", "png").is_file());
    assert!(!file(&dir, "layers", "png").exists());
    harness.state_mut().query = "export layers svg".to_owned();
    harness.step();
    harness.step();
    harness
        .get_by_label("Export the picture of Layers as SVG")
        .click();
    harness.step();
    harness.step();
    assert!(file(&dir, "layers", "svg").is_file());
    assert_eq!(harness.state().query, "");
    // Every pane has a command that names the run.
    let state = harness.state();
    for pane in Pane::ALL {
        let command = state.command(pane);
        assert!(
            command.starts_with("trainscope ") && command.contains("run"),
            "{command}"
        );
    }
    assert!(state.command(Pane::Units).contains("--quantity "));
    assert!(
        state
            .command(Pane::Explain)
            .starts_with("trainscope explain ")
    );
}
