//! The run directory: whole, killed, resumed and damaged.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use trainscope::nn::ops::Dense;
use trainscope::nn::{Graph, Loss, Property, Role, ValueRange};
use trainscope::tensor::{NamedTensor, TensorKind};

use trainscope::trace::{
    Checkpoint, Event, EventKind, FORMAT, GraphDescription, LayerDescription, ModelDescription,
    RunInfo, RunReader, RunView, RunWriter, Statistic, Status, Subject, TraceLayout,
    UnitStatistics,
};

fn layout() -> TraceLayout {
    let mut layout = TraceLayout::new();
    layout.push("encoder.0", TensorKind::Activation, 5);
    layout.push("encoder.0", TensorKind::Gradient, 5);
    layout.push("mu.weight", TensorKind::Weight, 2);
    layout
}

fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        name: "made-up".to_owned(),
        adapter: "none".to_owned(),
        driver: "none 1.0".to_owned(),
        backend: "noop".to_owned(),
        kernels: BTreeMap::from([("matmul".to_owned(), "cpu".to_owned())]),
        version: "0.1.0".to_owned(),
        status: Status::Running,
        steps_done: 0,
        steps: 40,
        seed: 7,
        seconds: 0.0,
        started: None,
        parameters: None,
        warnings: Vec::new(),
        data: None,
        origin: None,
        training: None,
        half_steps: Vec::new(),
    }
}

/// What step `step` records: statistics of every sort, among them non-finite ones.
fn recorded(step: u64) -> Vec<UnitStatistics> {
    let value = |row: usize, index: usize| match (index, row) {
        (5, row) => ((step + row as u64) % 3) as f32,
        (0, 3) if step > 10 => f32::NAN,
        (3, 4) if step > 10 => f32::INFINITY,
        (index, row) => (step as f32 * 0.37 + row as f32).sin() * (index + 1) as f32,
    };
    (0..layout().rows())
        .map(|row| std::array::from_fn(|index| value(row, index)).into())
        .collect()
}

fn event(step: u64) -> Event {
    let subject = Subject::unit("encoder.0", TensorKind::Activation, 3);
    Event::new(step, EventKind::Nonfinite, subject)
        .with("mean", 0.1 + step as f64)
        .with("max", f64::INFINITY)
        .with("min", f64::NEG_INFINITY)
}

/// A graph with one layer of one kind.
fn model() -> ModelDescription {
    let layer = LayerDescription {
        properties: vec![Property::WeightedSum],
        range: Default::default(),
        name: "encoder.0".to_owned(),
        kind: "dense".to_owned(),
        shape: vec![5],
        inputs: vec!["x".to_owned()],
        parameters: Vec::new(),
        frozen: false,
        state: Vec::new(),
        role: None,
    };
    let graph = GraphDescription {
        suffix: String::new(),
        name: "made-up".to_owned(),
        layers: vec![layer],
        losses: Vec::new(),
    };
    ModelDescription {
        graphs: vec![graph],
    }
}

#[test]
fn a_discriminator_is_known_by_its_roles_whatever_its_layers_are_called() {
    let mut generator = Graph::new();
    let noise = generator.input("noise", &[2]);
    let [paint, look, judge] = ["paint", "look", "judge"];
    let image = generator
        .add(paint, Dense::new(4), &[noise])
        .expect("it fits");
    let seen = generator
        .add(look, Dense::new(3), &[image])
        .expect("it fits");
    let score = generator
        .add(judge, Dense::new(1), &[seen])
        .expect("it fits");
    generator.set_role(image, Role::Image);
    generator.set_role(score, Role::Score);
    let mut real = Graph::new();
    let x = real.input("x", &[4]);
    let seen = real.add(look, Dense::new(3), &[x]).expect("it fits");
    let score = real.add(judge, Dense::new(1), &[seen]).expect("it fits");
    real.set_role(x, Role::Input);
    real.set_role(score, Role::Score);
    let graphs = [generator, real].map(|graph| graph.describe("made-up", &Loss::new()));
    let model = ModelDescription {
        graphs: graphs.into(),
    };
    assert_eq!(model.discriminator(), HashSet::from([look, judge]));
    let sources = model.graphs[0].sources(look);
    let names: Vec<&str> = sources.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["noise", paint, look]);
}

#[test]
fn a_range_is_written_with_null_where_there_is_no_bound() {
    let text = serde_json::to_string(&ValueRange::NOT_NEGATIVE).expect("plain data");
    assert_eq!(text, "[0.0,null]");
    let read: ValueRange = serde_json::from_str("[null,2.5]").expect("an interval");
    assert_eq!(read, ValueRange::new(f64::NEG_INFINITY, 2.5));
}

/// Steps as a training loop writes them: statistics at every second one, a segment at every tenth.
fn write_steps(writer: &mut RunWriter, from: u64, to: u64) {
    for step in from..to {
        if step > 0 && step % 10 == 0 {
            writer.close_segment(step).expect("closed");
        }
        if step % 2 == 0 {
            writer.record(step, &recorded(step)).expect("recorded");
        }
        let loss = if step == 17 {
            f64::NAN
        } else {
            1.0 / (step + 1) as f64
        };
        writer.scalar(step, "loss", loss).expect("recorded");
        if step % 4 == 0 {
            writer.scalar(step, "kl", step as f64).expect("recorded");
        }
        if step % 9 == 0 {
            writer.event(&event(step)).expect("written");
        }
    }
}

fn create(folder: &Path) -> RunWriter {
    RunWriter::create(folder, "name = \"made-up\"\n", info(), &model(), layout()).expect("created")
}

/// A run of 40 steps, whole.
fn whole_run(folder: &Path) {
    let mut writer = create(folder);
    write_steps(&mut writer, 0, 40);
    writer.finish(Status::Done, 40).expect("finished");
}

/// Each step's scalars say when they came; a resumed run keeps the times of the steps that it keeps.
#[test]
fn scalars_have_wall_times() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let folder = scratch.path().join("run");
    let mut writer = create(&folder);
    write_steps(&mut writer, 0, 20);
    writer.close_segment(20).expect("written");
    drop(writer);
    let times = || RunReader::open(&folder).expect("opens").wall_times();
    let first = times().expect("sound");
    assert_eq!(first.len(), 20);
    assert!(first.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs_f64();
    assert!(
        first
            .iter()
            .all(|(_, time)| (now - 600.0..=now).contains(time))
    );
    let mut writer = RunWriter::resume(&folder, 14, layout()).expect("resumes");
    write_steps(&mut writer, 14, 30);
    writer.finish(Status::Done, 30).expect("finished");
    let all = times().expect("sound");
    assert_eq!((all.len(), &all[..14]), (30, &first[..14]));
    // What an earlier version has written has none.
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier/vae");
    let earlier = RunReader::open(&earlier).expect("opens");
    assert_eq!(earlier.wall_times().expect("sound"), []);
    assert!(!earlier.scalars().expect("sound").is_empty());
}

/// All that a reader gives of a run, with floats by their bits.
fn contents(folder: &Path) -> String {
    let run = RunReader::open(folder).expect("opens");
    let mut text = format!("{:?}\n", run.events().expect("events"));
    for (name, series) in run.scalars().expect("scalars") {
        let bits: Vec<_> = series.iter().map(|(s, v)| (s, v.to_bits())).collect();
        text += &format!("{name} {bits:?}\n");
    }
    for entry in run.layout().expect("a layout").entries() {
        for statistic in Statistic::ALL {
            let series = run
                .series(&entry.tensor, entry.kind, statistic)
                .expect("recorded");
            text += &format!(
                "{entry:?} {statistic:?} {:?} {:?}\n",
                series.steps,
                bits(&series.values)
            );
        }
    }
    text
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn unit_bits(units: &[UnitStatistics]) -> Vec<[u32; UnitStatistics::LEN]> {
    units.iter().map(|unit| unit.to_bits()).collect()
}

#[test]
fn reader_returns_what_was_written() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("new/run");
    whole_run(&folder);
    let run = RunReader::open(&folder).expect("opens");
    assert_eq!(run.info().status, Status::Done);
    assert_eq!((run.info().steps_done, run.info().seed), (40, 7));
    assert_eq!(run.scenario().unwrap(), "name = \"made-up\"\n");
    assert_eq!(run.model().unwrap(), model());
    assert_eq!(run.layout().unwrap(), layout());

    for entry in layout().entries() {
        for statistic in Statistic::ALL {
            let series = run.series(&entry.tensor, entry.kind, statistic).unwrap();
            let steps: Vec<u64> = (0..40).step_by(2).collect();
            assert_eq!((&series.steps, series.units), (&steps, entry.units));
            let expected: Vec<f32> = (0..entry.units)
                .flat_map(|unit| {
                    let row = entry.first_row + unit;
                    steps.iter().map(move |&s| recorded(s)[row].get(statistic))
                })
                .collect();
            assert_eq!(
                bits(&series.values),
                bits(&expected),
                "{entry:?} {statistic:?}"
            );
        }
    }
    let part = run.statistics(7, 23).unwrap();
    let steps: Vec<u64> = part.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [8, 10, 12, 14, 16, 18, 20, 22]);
    for (step, values) in &part {
        assert_eq!(unit_bits(values), unit_bits(&recorded(*step)));
    }
    let scalars = run.scalars().unwrap();
    assert_eq!(scalars["loss"].len(), 40);
    assert!(scalars["loss"][17].1.is_nan());
    assert_eq!(scalars["kl"][2], (8, 8.0));
    let events: Vec<Event> = [0, 9, 18, 27, 36].map(event).into();
    assert_eq!(run.events().unwrap(), events);

    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(run.folder().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let segments = [0, 10, 20, 30].map(|from| format!("{from:06}-{:06}.parquet", from + 10));
    assert_eq!(names("trace"), segments);
    assert_eq!(names("scalars"), segments);
    let error = run.series("nowhere", TensorKind::Weight, Statistic::Mean);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("mu.weight"), "{error}");
}

#[test]
fn create_refuses_what_is_not_an_empty_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let again = |folder: &Path| {
        RunWriter::create(folder, "", info(), &ModelDescription::default(), layout())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let run = scratch.path().join("run");
    whole_run(&run);
    let before = contents(&run);
    assert!(again(&run).contains("not empty"));
    assert_eq!(contents(&run), before);
    let file = scratch.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(again(&file).contains("not a directory"));
    // Cannot be made: nothing of the path is left.
    again(&file.join("below/it"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // An empty directory is welcome.
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    create(&empty);
}

/// Threads stand for processes here: a lock belongs to an open file.
#[test]
fn concurrent_creation_leaves_one_writer() {
    let scratch = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let folder = scratch.path().join(format!("{round}/run"));
        let barrier = std::sync::Barrier::new(4);
        let begin = || {
            barrier.wait();
            RunWriter::create(&folder, "", info(), &ModelDescription::default(), layout())
        };
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let refused: Vec<String> = made
            .iter()
            .filter_map(|made| made.as_ref().err().map(ToString::to_string))
            .collect();
        assert_eq!(refused.len(), 3, "{refused:?}");
        assert!(refused.iter().all(|error| error.contains("not empty")));
        // Who holds it keeps others from going on with it.
        let error = RunWriter::resume(&folder, 0, layout()).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(made);
        RunWriter::resume(&folder, 0, layout()).expect("free again");
    }
}

#[test]
fn writer_rejects_out_of_order_steps_and_wrong_rows() {
    let scratch = tempfile::tempdir().unwrap();
    let mut writer = create(&scratch.path().join("run"));
    writer.record(4, &recorded(4)).unwrap();
    assert!(writer.record(4, &recorded(4)).is_err());
    assert!(writer.record(5, &[UnitStatistics::default(); 7]).is_err());
    writer.close_segment(6).unwrap();
    assert!(writer.record(5, &recorded(5)).is_err());
    writer.record(6, &recorded(6)).unwrap();
}

/// Kills a run after `killed` steps (what is in memory is lost, temporary files and half a line stay) and resumes
/// it after `resumed` steps: in the end it holds what an undisturbed run holds.
#[test]
fn killed_runs_resume_to_the_same_contents() {
    let scratch = tempfile::tempdir().unwrap();
    let undisturbed = scratch.path().join("undisturbed");
    whole_run(&undisturbed);
    for (killed, resumed) in [
        (25, 20),
        (31, 30),
        (25, 14),
        (36, 13),
        (40, 7),
        (3, 0),
        (38, 1),
    ] {
        let folder = scratch.path().join(format!("{killed}-{resumed}"));
        let mut writer = create(&folder);
        write_steps(&mut writer, 0, killed);
        for step in [7, 20, 30] {
            checkpoint(step).write(&folder).unwrap();
        }
        drop(writer);
        let litter = [
            "trace/000020-000030.parquet.tmp",
            "scalars/x.parquet.tmp",
            "run.json.tmp",
        ];
        for name in litter {
            fs::write(folder.join(name), b"half").unwrap();
        }
        fs::create_dir(folder.join("checkpoints/000040.tmp")).unwrap();
        let mut events = fs::read(folder.join("events.jsonl")).unwrap();
        events.extend(b"{\"step\": 24, \"kind\": \"dea");
        fs::write(folder.join("events.jsonl"), events).unwrap();

        let run = RunReader::open(&folder).expect("a killed run opens");
        assert_eq!(run.info().status, Status::Running);
        contents(&folder);
        let mut writer = RunWriter::resume(&folder, resumed, layout()).expect("resumes");
        let run = RunReader::open(&folder).unwrap();
        assert!(
            run.checkpoints()
                .unwrap()
                .iter()
                .all(|&step| step <= resumed)
        );
        assert!(run.statistics(resumed, u64::MAX).unwrap().is_empty());
        for entry in run.layout().unwrap().entries() {
            let series = run.series(&entry.tensor, entry.kind, Statistic::Mean);
            assert!(series.unwrap().steps.iter().all(|&step| step < resumed));
        }
        assert!(
            run.events()
                .unwrap()
                .iter()
                .all(|event| event.step < resumed)
        );
        assert!(litter.iter().all(|name| !folder.join(name).exists()));
        write_steps(&mut writer, resumed, 40);
        writer.finish(Status::Done, 40).unwrap();
        assert!(
            contents(&folder) == contents(&undisturbed),
            "{killed} {resumed}"
        );
    }
}

#[test]
fn resume_refuses_another_layout() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    whole_run(&folder);
    let before = contents(&folder);
    let mut other = layout();
    other.push("more", TensorKind::Update, 1);
    let error = RunWriter::resume(&folder, 20, other)
        .unwrap_err()
        .to_string();
    assert!(error.contains("other tensors"), "{error}");
    assert_eq!(contents(&folder), before);
}

#[test]
fn large_segments_are_closed_early() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    let mut layout = TraceLayout::new();
    layout.push("wide", TensorKind::Activation, 100_000);
    let mut writer =
        RunWriter::create(&folder, "", info(), &ModelDescription::default(), layout).unwrap();
    for step in 0..16 {
        writer
            .record(step, &vec![[step as f32; 6].into(); 100_000])
            .unwrap();
        writer.scalar(step, "loss", 0.0).unwrap();
    }
    // 2.4 MB a step: 32 MiB are full after 14 of them.
    assert!(folder.join("trace/000000-000014.parquet").exists());
    assert!(folder.join("scalars/000000-000014.parquet").exists());
}

fn refusal(folder: &Path) -> String {
    RunReader::open(folder).unwrap_err().to_string()
}

#[test]
fn reader_refuses_invalid_run_files() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    assert!(refusal(&folder).contains("not a run directory"));
    whole_run(&folder);
    let run = folder.join("run.json");
    let good = fs::read_to_string(&run).unwrap();
    fs::write(&run, good.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let error = refusal(&folder);
    assert!(
        error.contains("run.json") && error.contains("format 2") && error.contains("newer"),
        "{error}"
    );
    fs::write(&run, &good[..good.len() / 2]).unwrap();
    assert!(refusal(&folder).contains("run.json, line"));
    fs::write(&run, "{}").unwrap();
    assert!(refusal(&folder).contains("format"));
    fs::write(&run, good.replace("\"seed\": 7", "\"seed\": \"x\"")).unwrap();
    assert!(refusal(&folder).contains("run.json"));
}

/// Every file of a run with single bits flipped and with its end cut off: a sentence or sound values, never a panic,
/// and never other figures than were recorded.
#[test]
fn reader_survives_damaged_files() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    whole_run(&folder);
    let statistics: Vec<_> = RunReader::open(&folder)
        .unwrap()
        .statistics(0, 40)
        .unwrap()
        .into_iter()
        .map(|(step, units)| (step, unit_bits(&units)))
        .collect();
    let losses = RunReader::open(&folder).unwrap().scalars().unwrap()["loss"].clone();
    let read = || -> trainscope::Result<()> {
        let run = RunReader::open(&folder)?;
        run.scenario()?;
        run.model()?;
        run.events()?;
        run.scalars()?;
        run.series("mu.weight", TensorKind::Weight, Statistic::Nonfinite)?;
        for ((step, values), (good, expected)) in run.statistics(0, 40)?.iter().zip(&statistics) {
            assert_eq!((step, &unit_bits(values)), (good, expected));
        }
        Ok(())
    };
    // A view never fails for a damaged part, unless the run looks like one of a newer format; what it shows of tables
    // is what was recorded.
    let view = || {
        let Ok(run) = RunView::open(&folder) else {
            return;
        };
        for (step, units) in run.statistics(0, 40).expect("sound segments") {
            let (_, expected) = &statistics[step as usize / 2];
            assert_eq!(unit_bits(&units), *expected);
        }
        for &(step, loss) in run.scalars().get("loss").into_iter().flatten() {
            assert_eq!(loss.to_bits(), losses[step as usize].1.to_bits());
        }
    };
    for name in [
        "run.json",
        "graph.json",
        "events.jsonl",
        "scenario.toml",
        "scalars/000010-000020.parquet",
        "trace/000010-000020.parquet",
    ] {
        let path = folder.join(name);
        let good = fs::read(&path).unwrap();
        let every = (good.len() * 8 / 150).max(1);
        for bit in (0..good.len() * 8).step_by(every) {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let outcome = read();
            view();
            if name.ends_with("parquet") {
                let error = outcome.expect_err("the checksum shows it").to_string();
                assert!(error.contains(name), "{error}");
            }
        }
        for length in (0..good.len()).step_by(every / 4 + 1) {
            fs::write(&path, &good[..length]).unwrap();
            let outcome = read();
            view();
            assert!(
                outcome.is_err() || !name.ends_with("parquet"),
                "{name} {length}"
            );
        }
        fs::write(&path, &good).unwrap();
    }
    read().expect("whole again");
}

fn checkpoint(step: u64) -> Checkpoint {
    Checkpoint {
        step,
        parameters: vec![NamedTensor::new("mu.weight", vec![2], vec![0.5, 1.0])],
        optimizer: Vec::new(),
    }
}
