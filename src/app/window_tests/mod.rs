//! The window as a person uses it, without a display: found by the names that a screen reader says, and driven by
//! clicks, keys and sizes.

mod export;
mod loss;
mod pictures;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Key, Modifiers, Pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::arrangement_file::ArrangementFile;
use super::panes::Pane;
use super::requests::Request;
use super::unit_pane::Sheet;
use super::*;
use crate::random::philox;
use crate::tensor::TensorKind;
use crate::trace::RunView;
use crate::train::{Run, Scenario};
use crate::view::TimeScale;

const PATIENCE: Duration = Duration::from_secs(120);

/// A run that fails: its learning rate throws the log-variance past what an exponential can bear.
const SCENARIO: &str = r#"
name = "tiny"
seed = 7
[data]
source = "shapes"
size = 8
count = 64
[model]
kind = "vae"
latent = 3
variance = "exp"
beta = 20.0
encoder = [ { dense = { units = 12 } }, "tanh" ]
decoder = [ { dense = { units = 12 } }, "tanh", { dense = { units = 192 } } ]
[train]
batch = 16
steps = 60
optimizer = { adam = { lr = 1.0 } }
[record]
every = 1
checkpoint_every = 20
"#;

/// Textures that nobody sees.
struct NoScreen(u64);

impl screen::Screen for NoScreen {
    fn show_texture(&mut self, _: &wgpu::Texture, id: Option<egui::TextureId>) -> egui::TextureId {
        self.0 += 1;
        id.unwrap_or(egui::TextureId::User(self.0))
    }

    fn renew(&mut self, _: egui::TextureId) {}

    fn scale_factor(&self) -> f32 {
        1.0
    }
}

fn gpu() -> Gpu {
    Gpu::new(&AdapterChoice::default()).unwrap()
}

fn scenario() -> Box<Scenario> {
    Box::new(Scenario::parse(SCENARIO, "tiny.toml", &[]).unwrap())
}

/// A finished run in a folder, which fails.
fn trained(gpu: &Gpu, folder: &Path) -> PathBuf {
    trained_by(gpu, folder, &scenario())
}

/// A finished run in a folder.
fn trained_by(gpu: &Gpu, folder: &Path, scenario: &Scenario) -> PathBuf {
    let dir = folder.join("run");
    let mut run = Box::new(Run::create(gpu, scenario, &dir, None).unwrap());
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    dir
}

fn window(gpu: &Gpu, source: Source, folder: &Path) -> Harness<'static, Dashboard> {
    window_on(gpu, source, folder, NoScreen(0), Harness::builder())
}

/// A window on a screen of its own.
fn window_on(
    gpu: &Gpu,
    source: Source,
    folder: &Path,
    mut screen: impl screen::Screen + 'static,
    builder: egui_kittest::HarnessBuilder<Dashboard>,
) -> Harness<'static, Dashboard> {
    let pacing: Arc<Mutex<Pacing>> = Arc::default();
    let status: Arc<Mutex<RunStatus>> = Arc::default();
    let (of_worker, shared_pacing, shared_status) = (gpu.clone(), pacing.clone(), status.clone());
    let make = move || Session::new(&of_worker, &source, shared_pacing, shared_status);
    let worker = Worker::start(|| {}, make).unwrap();
    let units = UnitTile::new(gpu).unwrap();
    let kept = ArrangementFile::at(folder.join("window.json"));
    let dashboard = Dashboard::new(Painter::new(gpu), units, worker, pacing, status, kept);
    let builder = builder.with_size(vec2(1280.0, 800.0));
    builder.build_ui_state(
        move |ui, dashboard: &mut Dashboard| {
            dashboard.update(&mut screen);
            dashboard.ui(ui);
            dashboard.ask();
        },
        dashboard,
    )
}

/// Lets time pass until something holds.
fn wait(
    harness: &mut Harness<'_, Dashboard>,
    what: &str,
    holds: impl Fn(&Harness<'_, Dashboard>) -> bool,
) {
    let started = Instant::now();
    loop {
        harness.step();
        if holds(harness) {
            return;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {:?}",
            harness.state().errors()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_complete(harness: &Harness<'_, Dashboard>) -> bool {
    let state = harness.state();
    let has_charts = state.scalars.is_some() && state.layers.values().is_some();
    has_charts && state.units.chart().is_some() && !state.layers.is_stale()
}

fn selection<'a>(harness: &'a Harness<'_, Dashboard>) -> &'a selection::Selection {
    harness.state().selection.as_ref().unwrap()
}

#[test]
fn a_run_is_walked_through_by_names_and_keys() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let dir = trained(&gpu, folder.path());
    let mut harness = window(&gpu, Source::Run(dir.clone()), folder.path());
    wait(&mut harness, "charts", is_complete);
    // A layer of the graph is chosen by its name.
    harness.get_by_label("Layer mu").click();
    harness.step();
    harness.step();
    assert_eq!(selection(&harness).tensor, "mu");
    // Groups collapse into one node and expand again.
    harness.get_by_label("Collapse encoder").click();
    wait(&mut harness, "collapsed", |harness| {
        harness.query_by_label("Expand encoder").is_some()
    });
    harness.get_by_label("Expand encoder").click();
    wait(&mut harness, "expanded", |harness| {
        harness.query_by_label("Collapse encoder").is_some()
    });
    // Keys move the cursor along the axis, switch the axis, and go back.
    let last = harness.state().timeline().unwrap().ends()[1];
    harness.key_press(Key::ArrowLeft);
    harness.step();
    assert_eq!(selection(&harness).cursor, Some(last - 1));
    harness.key_press(Key::T);
    harness.step();
    assert_eq!(selection(&harness).time, TimeScale::Linear);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.step();
    assert_eq!(selection(&harness).time, TimeScale::Folded);
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    harness.step();
    assert_eq!(selection(&harness).time, TimeScale::Linear);
    assert!(
        harness
            .state()
            .command(Pane::Images)
            .contains("--probe mu:activation")
    );
    // The find box chooses its first result at Enter.
    harness.key_press_modifiers(Modifiers::COMMAND, Key::F);
    harness.step();
    harness.event(egui::Event::Text("decoder.0 activation 2".to_owned()));
    harness.step();
    harness.key_press(Key::Enter);
    harness.step();
    assert_eq!(selection(&harness).tensor, "decoder.0");
    assert_eq!(selection(&harness).units, [2]);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.step();
    assert_eq!(selection(&harness).tensor, "mu");
    harness.key_press(Key::Questionmark);
    harness.step();
    harness.step();
    assert!(
        harness
            .query_by_label_contains("play the recorded steps")
            .is_some()
    );
    // The chosen step is replayed.
    wait(&mut harness, "the past", |harness| {
        harness.state().past.is_some()
    });
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    let closed = harness.into_state().close().unwrap();
    assert_eq!(closed, dir);
    assert!(folder.path().join("window.json").is_file());
}

#[test]
fn the_verdict_takes_all_levels_to_where_it_shows() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let dir = trained(&gpu, folder.path());
    let told = crate::diagnose::explain(&RunView::open(&dir).unwrap());
    assert!(
        !told.findings.is_empty(),
        "the scenario is to fail: {}",
        told.headline
    );
    let mut harness = window(&gpu, Source::Run(dir), folder.path());
    wait(&mut harness, "charts", is_complete);
    harness.key_press(Key::Num6);
    harness.step();
    harness.step();
    harness.get_by_label("Explain this run").click();
    wait(&mut harness, "the verdict", |harness| {
        harness.query_by_label(&told.headline).is_some()
    });
    let finding = &told.findings[0];
    harness
        .get_by_label(&format!("1. {}", finding.title))
        .click();
    harness.step();
    harness.step();
    let selection = selection(&harness);
    assert_eq!(selection.cursor, finding.step.or(finding.since));
    if let Some(layer) = &finding.layer {
        assert!(selection.tensor.starts_with(layer), "{}", selection.tensor);
    }
}

#[test]
fn a_run_trains_is_stopped_and_is_saved() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let mut scenario = scenario();
    scenario.train.steps = 100_000;
    let dir = folder.path().join("live");
    let source = Source::Training(Training {
        start: Start::Scenario {
            scenario,
            dir: dir.clone(),
            init: None,
        },
        writes_report: true,
        stop_on: None,
    });
    let mut harness = window(&gpu, source, folder.path());
    wait(&mut harness, "charts", is_complete);
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the end", |harness| {
        !harness.state().status().is_training
    });
    let steps = harness.state().status().step;
    harness.into_state().close().unwrap();
    let run = RunView::open(&dir).unwrap();
    assert_eq!(run.info().unwrap().steps_done, steps);
}

/// Any input at any size: nothing panics, no picture fails, and the run is whole at the end.
#[test]
fn random_input_does_no_harm() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let dir = trained(&gpu, folder.path());
    let mut harness = window(&gpu, Source::Run(dir.clone()), folder.path());
    wait(&mut harness, "charts", is_complete);
    let inputs = std::env::var("TRAINSCOPE_MONKEY").ok();
    let inputs: u32 = inputs.and_then(|inputs| inputs.parse().ok()).unwrap_or(400);
    let mut size = vec2(1280.0, 800.0);
    for input in 0..inputs {
        let random = philox([input, 0, 0, 0], [11, 0]);
        let unit = |word: u32| word as f32 / u32::MAX as f32;
        let at = Pos2::new(unit(random[1]) * size.x, unit(random[2]) * size.y);
        match random[0] % 8 {
            0 => {
                // Opening an export or a replay at each of many steps would take the test's time.
                let keys = [
                    Key::ArrowLeft,
                    Key::Home,
                    Key::End,
                    Key::A,
                    Key::Escape,
                    Key::T,
                    Key::L,
                    Key::D,
                    Key::P,
                    Key::Num1,
                    Key::Num3,
                    Key::Num6,
                    Key::Num7,
                    Key::Num8,
                    Key::Questionmark,
                    Key::Tab,
                    Key::Enter,
                ];
                harness.key_press(keys[random[3] as usize % keys.len()]);
            }
            1 if random[3].is_multiple_of(4) => {
                let sizes = [
                    (320.0, 240.0),
                    (640.0, 400.0),
                    (1280.0, 800.0),
                    (900.0, 300.0),
                ];
                let (width, height) = sizes[random[1] as usize % sizes.len()];
                size = vec2(width, height);
                harness.set_size(size);
            }
            2 => harness.drag_at(at),
            3 => harness.drop_at(at),
            4 => harness.event(egui::Event::MouseWheel {
                unit: egui::MouseWheelUnit::Line,
                delta: vec2(0.0, unit(random[3]) * 6.0 - 3.0),
                phase: egui::TouchPhase::Move,
                source: egui::MouseWheelSource::Wheel,
                modifiers: Modifiers::NONE,
            }),
            5 => {
                harness.drag_at(at);
                harness.drop_at(at);
            }
            _ => harness.hover_at(at),
        }
        harness.step();
    }
    gpu.check().unwrap();
    harness.into_state().close().unwrap();
    assert!(RunView::open(&dir).unwrap().problems().is_empty());
}

#[test]
fn every_size_shows_every_pane_and_every_control_has_a_name() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let dir = trained(&gpu, folder.path());
    let mut harness = window(&gpu, Source::Run(dir), folder.path());
    wait(&mut harness, "charts", is_complete);
    for size in [
        [320.0, 240.0],
        [640.0, 400.0],
        [1280.0, 800.0],
        [2560.0, 1440.0],
    ] {
        harness.set_size(size.into());
        for key in [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
        ] {
            harness.key_press(key);
            harness.step();
            harness.step();
            harness.check_accessibility();
        }
        harness.key_press(Key::D);
        harness.step();
        assert_eq!(harness.state().errors(), [] as [&str; 0], "{size:?}");
        assert_eq!(harness.state().options.quantity, TensorKind::Activation);
    }
}

#[test]
fn a_pinned_unit_is_asked_about() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    // It does not fail, so that every state can be asked.
    let settings = ["train.optimizer.adam.lr=1e-3".to_owned()];
    let scenario = Scenario::parse(SCENARIO, "tiny.toml", &settings).unwrap();
    let dir = trained_by(&gpu, folder.path(), &scenario);
    let mut harness = window(&gpu, Source::Run(dir.clone()), folder.path());
    wait(&mut harness, "charts", is_complete);
    let mut pinned = selection(&harness).clone();
    pinned.look_at("encoder.0", TensorKind::Activation);
    pinned.toggle(1, 30);
    pinned.range = Some(20..40);
    harness.state_mut().selection = Some(pinned);
    harness.key_press(Key::Num8);
    harness.step();
    harness.step();
    harness.get_by_label("Dream of unit 1 of encoder.0").click();
    wait(&mut harness, "the whole dream", |harness| {
        harness.state().unit_pane.is_drawn()
            && harness.state().unit_pane.share() == 1.0
            && !harness.state().worker.is_pending(Request::Unit)
    });
    harness.step();
    harness.get_by_label("Clusters of encoder.0").click();
    wait(&mut harness, "clusters", |harness| {
        matches!(
            harness.state().unit_pane.sheet(),
            Some(Sheet::Clusters { .. })
        )
    });
    harness.step();
    harness
        .get_by_label("Where else is it as in steps 20 to 39?")
        .click();
    wait(&mut harness, "windows that are alike", |harness| {
        harness
            .query_all_by_label_contains(", distance ")
            .next()
            .is_some()
    });
    let nearest = harness.query_all_by_label_contains(", distance ").next();
    nearest.unwrap().click();
    harness.step();
    harness.step();
    assert_ne!(selection(&harness).range, Some(20..40));
    // Words of all units.
    harness.state_mut().query = "/flat+".to_owned();
    harness.step();
    harness.step();
    harness.get_by_label("Search all units").click();
    wait(&mut harness, "words", |harness| {
        harness.state().words.is_some()
    });
    harness.step();
    let (_, found) = harness.state().words.clone().unwrap();
    let first = found.first().map(|found| found.text.clone()).unwrap();
    harness.get_by_label(&first).click();
    harness.step();
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    // Single samples by replay.
    harness.state_mut().options.is_per_sample = true;
    harness.state_mut().due.want(Request::Units);
    wait(&mut harness, "single samples", |harness| {
        harness.state().units.name(0).starts_with("sample ")
    });
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
}

/// A node is expanded and folded again by its marker, by a key and while it trains, and its squares are what `cluster` finds.
#[test]
fn a_layer_expands_into_squares_of_its_units() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let settings = ["train.optimizer.adam.lr=1e-3".to_owned()];
    let scenario = Scenario::parse(SCENARIO, "tiny.toml", &settings).unwrap();
    let dir = folder.path().join("run");
    let mut run = Box::new(Run::create(&gpu, &scenario, &dir, None).unwrap());
    while run.advance(&mut |_| {}).unwrap() {}
    run.finish(false, &mut |_| {}).unwrap();
    let mut harness = window(&gpu, Source::Run(dir.clone()), folder.path());
    wait(&mut harness, "charts", is_complete);
    harness.get_by_label("Squares of encoder.0").click();
    let squares = |harness: &Harness<'_, Dashboard>| -> Vec<String> {
        let nodes = harness.query_all_by_label_contains(" of encoder.0, ");
        nodes
            .filter_map(|node| node.accesskit_node().label())
            .collect()
    };
    wait(&mut harness, "squares", |harness| {
        !squares(harness).is_empty()
    });
    // They are those of the last checkpoint.
    let trainer = crate::train::Replay::open(&gpu, &dir)
        .unwrap()
        .state_after(60)
        .unwrap();
    let features = crate::cluster::UnitFeatures::of_probe_batch(&trainer, "encoder.0").unwrap();
    let options = crate::cluster::ClusterOptions::default();
    let clustering = crate::cluster::cluster(&gpu, &features, &options).unwrap();
    let mut expected: Vec<String> = clustering
        .clusters
        .iter()
        .map(|cluster| format!("cluster {} of encoder.0, {}", cluster.id, cluster.counted()))
        .collect();
    let out = clustering.singled_out.len();
    if out > 0 {
        let units = if out == 1 { "unit" } else { "units" };
        expected.push(format!("singled out of encoder.0, {out} {units}"));
    }
    expected.truncate(5);
    assert_eq!(squares(&harness)[..expected.len()], expected);
    // A click pins a unit of the square.
    harness.get_by_label(&expected[0]).click();
    harness.step();
    harness.step();
    let pinned = selection(&harness).clone();
    assert_eq!(pinned.tensor, "encoder.0");
    let unit = pinned.units[0] as usize;
    assert!(clustering.clusters[0].units.contains(&unit));
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    harness.get_by_label("Chart of encoder.0").click();
    wait(&mut harness, "the chart", |harness| {
        squares(harness).is_empty()
    });
}

#[test]
fn squares_follow_a_run_that_trains() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let settings = ["train.optimizer.adam.lr=1e-3".to_owned()];
    let mut scenario = Box::new(Scenario::parse(SCENARIO, "tiny.toml", &settings).unwrap());
    scenario.train.steps = 100_000;
    let source = Source::Training(Training {
        start: Start::Scenario {
            scenario,
            dir: folder.path().join("live"),
            init: None,
        },
        writes_report: false,
        stop_on: None,
    });
    let mut harness = window(&gpu, source, folder.path());
    wait(&mut harness, "charts", is_complete);
    harness.state_mut().options.toggle_squares("encoder.0");
    harness.state_mut().due.want(Request::Squares);
    let step = |harness: &Harness<'_, Dashboard>| {
        let known = harness.state().layers.known_squares().get("encoder.0");
        known.map(|squares| squares.step)
    };
    wait(&mut harness, "squares", |harness| step(harness).is_some());
    let first = step(&harness);
    wait(&mut harness, "later squares", |harness| {
        step(harness) > first
    });
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    harness.into_state().close().unwrap();
}
