//! The probe against its twin in float64; the run directory and checkpoints, whole and damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use trainscope::gpu::Buffer;
use trainscope::random::{Stream, standard_normal, words};
use trainscope::trace::{
    Checkpoint, Event, FIGURES, FORMAT, Kind, Lanes, Quantity, RunInfo, RunReader, RunWriter,
    Status, TraceLayout, UnitLayout, read_safetensors, statistics, statistics_by,
    write_safetensors,
};

use crate::support::gpu;

/// The figures of one unit in float64.
fn figures(values: &[f32]) -> [f64; FIGURES] {
    let finite: Vec<f64> = values
        .iter()
        .filter(|value| value.is_finite())
        .map(|&value| value.into())
        .collect();
    let nonfinite = (values.len() - finite.len()) as f64;
    if finite.is_empty() {
        return [f64::NAN, f64::NAN, f64::NAN, f64::NAN, 0.0, nonfinite];
    }
    let count = finite.len() as f64;
    let mean = finite.iter().sum::<f64>() / count;
    let variance = finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    [
        mean,
        variance.sqrt(),
        finite.iter().copied().fold(f64::INFINITY, f64::min),
        finite.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        finite.iter().filter(|&&v| v == 0.0).count() as f64 / count,
        nonfinite,
    ]
}

/// Values with everything that statistics trip over: offsets far from zero, outliers, zeros, non-finite ones, and
/// units that are constant or not finite at all.
fn awkward(unit: usize, place: usize) -> f32 {
    let [normal, other, ..] =
        standard_normal(words(3, Stream::Synthetic, unit as u32, place as u32));
    match unit % 7 {
        0 => normal as f32,
        1 => (1000.0 + normal) as f32,
        2 if place == 0 => -3.0e4,
        2 => (normal * 1e-2) as f32,
        3 => (normal.max(0.0)) as f32,
        4 if other > 1.5 => f32::NAN,
        4 if other < -1.5 => f32::NEG_INFINITY,
        4 => normal as f32,
        5 => -0.3,
        _ => [f32::INFINITY, f32::NAN][place % 2],
    }
}

#[test]
fn statistics_equal_their_twin() {
    let gpu = gpu();
    let mut layouts = Vec::new();
    let sizes = [
        (1, 1),
        (1, 5),
        (3, 1),
        (7, 33),
        (13, 128),
        (257, 10),
        (64, 784),
        (1000, 12),
        (20, 4099),
    ];
    for (units, length) in sizes {
        layouts.push(UnitLayout::Rows { units, length });
        layouts.push(UnitLayout::Columns {
            rows: length,
            units,
        });
        layouts.push(UnitLayout::Columns {
            rows: units,
            units: length,
        });
    }
    // More units than one row of a dispatch has workgroups.
    layouts.push(UnitLayout::Rows {
        units: 40_000,
        length: 3,
    });
    for layout in layouts {
        let at = 64;
        let units = layout.units();
        let length = layout.len() / units;
        let mut matrix = vec![f32::NAN; at + layout.len() + 9];
        let mut expected = Vec::new();
        for unit in 0..units {
            let values: Vec<f32> = (0..length).map(|place| awkward(unit, place)).collect();
            for (place, &value) in values.iter().enumerate() {
                let index = match layout {
                    UnitLayout::Columns { units, .. } => place * units + unit,
                    UnitLayout::Rows { length, .. } => unit * length + place,
                };
                matrix[at + index] = value;
            }
            expected.push((values.clone(), figures(&values)));
        }
        let source = gpu.upload("values", &matrix).unwrap();
        for lanes in [Lanes::One, Lanes::Several] {
            let first_row = 2;
            let out: Buffer<f32> = gpu
                .upload("statistics", &vec![7.0; (first_row + units + 1) * FIGURES])
                .unwrap();
            let dispatch = statistics_by(gpu, lanes, &source, at, layout, &out, first_row);
            gpu.run("statistics", &[dispatch]);
            let found = gpu.read(&out).unwrap();
            assert!(found[..first_row * FIGURES].iter().all(|&v| v == 7.0));
            assert!(
                found[(first_row + units) * FIGURES..]
                    .iter()
                    .all(|&v| v == 7.0)
            );
            for (unit, (values, expected)) in expected.iter().enumerate() {
                let row = &found[(first_row + unit) * FIGURES..][..FIGURES];
                let case = format!("{layout:?} {lanes:?} unit {unit}: {row:?} for {expected:?}");
                let largest = values
                    .iter()
                    .filter(|v| v.is_finite())
                    .fold(0f64, |most, &v| most.max(f64::from(v).abs()));
                // Mean: a few roundings of the largest value. Deviation: of its own size, plus those of the mean.
                let tolerance = [
                    1e-6 * largest,
                    2e-5 * expected[1] + 1e-6 * largest * f64::from(unit % 7 == 1),
                    0.0,
                    0.0,
                    1e-6,
                    0.0,
                ];
                for figure in 0..FIGURES {
                    let (value, twin) = (f64::from(row[figure]), expected[figure]);
                    assert_eq!(value.is_nan(), twin.is_nan(), "{case}");
                    if !twin.is_nan() {
                        let error = (value - twin).abs();
                        assert!(error <= tolerance[figure], "figure {figure} {case}");
                    }
                }
            }
        }
    }
}

#[test]
fn huge_values_have_a_mean_and_an_infinite_deviation() {
    let gpu = gpu();
    let values: Vec<f32> = (0..200)
        .map(|i| [4e25, -2e25][i % 2] * (1.0 + i as f32 * 1e-3))
        .collect();
    let expected = figures(&values);
    let source = gpu.upload("values", &values).unwrap();
    let layout = UnitLayout::Rows {
        units: 1,
        length: 200,
    };
    for lanes in [Lanes::One, Lanes::Several] {
        let out: Buffer<f32> = gpu.buffer("statistics", FIGURES).unwrap();
        let dispatch = statistics_by(gpu, lanes, &source, 0, layout, &out, 0);
        gpu.run("statistics", &[dispatch]);
        let row = gpu.read(&out).unwrap();
        assert!(
            (f64::from(row[0]) / expected[0] - 1.0).abs() < 1e-5,
            "{row:?}"
        );
        assert_eq!(row[1], f32::INFINITY);
        assert_eq!(f64::from(row[3]), expected[3]);
        assert_eq!(row[5], 0.0);
    }
}

#[test]
fn statistics_repeat_bit_for_bit() {
    let gpu = gpu();
    let layout = UnitLayout::Columns {
        rows: 128,
        units: 400,
    };
    let values: Vec<f32> = (0..layout.len()).map(|i| awkward(0, i)).collect();
    let source = gpu.upload("values", &values).unwrap();
    let out: Buffer<f32> = gpu.buffer("statistics", 400 * FIGURES).unwrap();
    let dispatch = statistics(gpu, &source, 0, layout, &out, 0);
    let mut runs = (0..3).map(|_| {
        gpu.write(&out, 0, &vec![0.0; 400 * FIGURES]);
        gpu.run("statistics", std::slice::from_ref(&dispatch));
        let read = gpu.read(&out).unwrap();
        read.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    });
    let first = runs.next().unwrap();
    assert!(runs.all(|run| run == first));
}

fn layout() -> TraceLayout {
    let mut layout = TraceLayout::new();
    layout.push("encoder.0", Kind::Activation, 5);
    layout.push("encoder.0", Kind::Gradient, 5);
    layout.push("mu.weight", Kind::Weight, 2);
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
    }
}

/// What step `step` records: figures of every sort, among them non-finite ones.
fn recorded(step: u64) -> Vec<f32> {
    (0..layout().rows() * FIGURES)
        .map(|place| match (place % FIGURES, place / FIGURES) {
            (5, row) => ((step + row as u64) % 3) as f32,
            (0, 3) if step > 10 => f32::NAN,
            (3, 4) if step > 10 => f32::INFINITY,
            (figure, row) => (step as f32 * 0.37 + row as f32).sin() * (figure + 1) as f32,
        })
        .collect()
}

fn event(step: u64) -> Event {
    Event {
        step,
        kind: "nonfinite".to_owned(),
        layer: Some("encoder.0".to_owned()),
        unit: Some(3),
        figures: BTreeMap::from([
            ("mean".to_owned(), 0.1 + step as f64),
            ("max".to_owned(), f64::INFINITY),
            ("min".to_owned(), f64::NEG_INFINITY),
        ]),
    }
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
    RunWriter::create(
        folder,
        "name = \"made-up\"\n",
        info(),
        &json!({"layers": [1, 2]}),
        layout(),
    )
    .expect("created")
}

/// A run of 40 steps, whole.
fn whole_run(folder: &Path) {
    let mut writer = create(folder);
    write_steps(&mut writer, 0, 40);
    writer.finish(Status::Done, 40).expect("finished");
}

/// All that a reader gives of a run, with floats by their bits.
fn contents(folder: &Path) -> String {
    let run = RunReader::open(folder).expect("opens");
    let mut text = format!("{:?}\n", run.events().expect("events"));
    for (name, series) in run.scalars().expect("scalars") {
        let bits: Vec<_> = series.iter().map(|(s, v)| (s, v.to_bits())).collect();
        text += &format!("{name} {bits:?}\n");
    }
    for entry in run.entries().expect("entries") {
        for quantity in Quantity::ALL {
            let series = run
                .series(&entry.tensor, entry.kind, quantity)
                .expect("recorded");
            text += &format!(
                "{entry:?} {quantity:?} {:?} {:?}\n",
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

#[test]
fn a_run_reads_as_it_was_written() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("new/run");
    whole_run(&folder);
    let run = RunReader::open(&folder).expect("opens");
    assert_eq!(run.info().status, Status::Done);
    assert_eq!((run.info().steps_done, run.info().seed), (40, 7));
    assert_eq!(run.scenario().unwrap(), "name = \"made-up\"\n");
    assert_eq!(run.graph().unwrap(), json!({"layers": [1, 2]}));
    assert_eq!(run.entries().unwrap(), layout().entries());

    for entry in layout().entries() {
        for (figure, quantity) in Quantity::ALL.into_iter().enumerate() {
            let series = run.series(&entry.tensor, entry.kind, quantity).unwrap();
            let steps: Vec<u64> = (0..40).step_by(2).collect();
            assert_eq!((&series.steps, series.units), (&steps, entry.units));
            let expected: Vec<f32> = (0..entry.units)
                .flat_map(|unit| {
                    let row = entry.first_row + unit;
                    steps
                        .iter()
                        .map(move |&s| recorded(s)[row * FIGURES + figure])
                })
                .collect();
            assert_eq!(
                bits(&series.values),
                bits(&expected),
                "{entry:?} {quantity:?}"
            );
        }
    }
    let part = run.statistics(7, 23).unwrap();
    let steps: Vec<u64> = part.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [8, 10, 12, 14, 16, 18, 20, 22]);
    for (step, values) in &part {
        assert_eq!(bits(values), bits(&recorded(*step)));
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
    let error = run.series("nowhere", Kind::Weight, Quantity::Mean);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("mu.weight"), "{error}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    let again = |folder: &Path| {
        RunWriter::create(folder, "", info(), &json!(null), layout())
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

#[test]
fn records_go_forward_and_fit() {
    let scratch = tempfile::tempdir().unwrap();
    let mut writer = create(&scratch.path().join("run"));
    writer.record(4, &recorded(4)).unwrap();
    assert!(writer.record(4, &recorded(4)).is_err());
    assert!(writer.record(5, &[0.0; 7]).is_err());
    writer.close_segment(6).unwrap();
    assert!(writer.record(5, &recorded(5)).is_err());
    writer.record(6, &recorded(6)).unwrap();
}

/// Kills a run after `killed` steps (what is in memory is lost, temporary files and half a line stay) and resumes
/// it after `resumed` steps: in the end it holds what an undisturbed run holds.
#[test]
fn killed_runs_open_and_resume_without_a_trace() {
    let scratch = tempfile::tempdir().unwrap();
    let undisturbed = scratch.path().join("undisturbed");
    whole_run(&undisturbed);
    for (killed, resumed) in [(25, 20), (31, 30), (25, 13), (40, 7), (3, 0), (38, 1)] {
        let folder = scratch.path().join(format!("{killed}-{resumed}"));
        let mut writer = create(&folder);
        write_steps(&mut writer, 0, killed);
        for step in [7, 20, 30] {
            Checkpoint {
                step,
                ..checkpoint()
            }
            .write(&folder)
            .unwrap();
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
fn a_resume_with_another_layout_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    whole_run(&folder);
    let before = contents(&folder);
    let mut other = layout();
    other.push("more", Kind::Update, 1);
    let error = RunWriter::resume(&folder, 20, other)
        .unwrap_err()
        .to_string();
    assert!(error.contains("other tensors"), "{error}");
    assert_eq!(contents(&folder), before);
}

#[test]
fn a_segment_is_closed_when_it_is_large() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    let mut layout = TraceLayout::new();
    layout.push("wide", Kind::Activation, 100_000);
    let mut writer = RunWriter::create(&folder, "", info(), &json!(null), layout).unwrap();
    for step in 0..16 {
        writer
            .record(step, &vec![step as f32; 100_000 * FIGURES])
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
fn unusable_runs_are_refused_in_a_sentence() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    assert!(refusal(&folder).contains("no run directory"));
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

/// Every file of a run with single bits bent and with its end cut off: a sentence or sound values, never a panic,
/// and never other figures than were recorded.
#[test]
fn damaged_files_never_break_the_reader() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("run");
    whole_run(&folder);
    let statistics: Vec<(u64, Vec<u32>)> = RunReader::open(&folder)
        .unwrap()
        .statistics(0, 40)
        .unwrap()
        .into_iter()
        .map(|(step, values)| (step, bits(&values)))
        .collect();
    let read = || -> trainscope::Result<()> {
        let run = RunReader::open(&folder)?;
        run.scenario()?;
        run.graph()?;
        run.events()?;
        run.scalars()?;
        run.series("mu.weight", Kind::Weight, Quantity::Nonfinite)?;
        for ((step, values), (good, expected)) in run.statistics(0, 40)?.iter().zip(&statistics) {
            assert_eq!((step, &bits(values)), (good, expected));
        }
        Ok(())
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
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bent).unwrap();
            let outcome = read();
            if name.ends_with("parquet") {
                let error = outcome.expect_err("the checksum shows it").to_string();
                assert!(error.contains(name), "{error}");
            }
        }
        for length in (0..good.len()).step_by(every / 4 + 1) {
            fs::write(&path, &good[..length]).unwrap();
            let outcome = read();
            assert!(
                outcome.is_err() || !name.ends_with("parquet"),
                "{name} {length}"
            );
        }
        fs::write(&path, &good).unwrap();
    }
    read().expect("whole again");
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        step: 200,
        parameters: vec![
            (
                "mu.weight".to_owned(),
                vec![2, 3],
                vec![0.5, -1.0, f32::NAN, 1e-40, f32::INFINITY, 3.0],
            ),
            ("encoder.0.bias".to_owned(), vec![1], vec![-0.0]),
        ],
        optimizer: vec![("mu.weight.exp_avg".to_owned(), vec![2, 3], vec![0.25; 6])],
    }
}

fn sorted(mut checkpoint: Checkpoint) -> String {
    checkpoint.parameters.sort_by(|a, b| a.0.cmp(&b.0));
    format!("{checkpoint:?}")
}

#[test]
fn checkpoints_read_as_they_were_written() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path();
    let written = checkpoint();
    let digest = written.write(run).unwrap();
    assert_eq!(digest.len(), 64);
    let read = Checkpoint::read(run, 200).unwrap();
    assert_eq!(read.digest(), digest);
    // NaN is not equal to itself; its text is.
    assert_eq!(sorted(read), sorted(written.clone()));
    let folder = run.join("checkpoints/000200");
    assert_eq!(
        fs::read_to_string(folder.join("digest")).unwrap().trim(),
        digest
    );

    // Written again without an optimiser's state: replaced as a whole.
    let bare = Checkpoint {
        optimizer: Vec::new(),
        ..written
    };
    bare.write(run).unwrap();
    assert!(!folder.join("optimizer.safetensors").exists());
    assert_eq!(sorted(Checkpoint::read(run, 200).unwrap()), sorted(bare));
    assert!(Checkpoint::read(run, 7).is_err());
    let mut wrong = checkpoint();
    wrong.parameters[0].1 = vec![7];
    wrong.step = 9;
    assert!(wrong.write(run).is_err());
    let left: Vec<_> = fs::read_dir(run.join("checkpoints")).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn the_digest_sees_every_bit() {
    let good = checkpoint().digest();
    let mut others = Vec::new();
    for tensor in 0..2 {
        for place in 0..checkpoint().parameters[tensor].2.len() {
            for bit in 0..32 {
                let mut other = checkpoint();
                let value = &mut other.parameters[tensor].2[place];
                *value = f32::from_bits(value.to_bits() ^ (1 << bit));
                others.push(other);
            }
        }
    }
    let mut change = |change: &dyn Fn(&mut Checkpoint)| {
        let mut other = checkpoint();
        change(&mut other);
        others.push(other);
    };
    change(&|c| c.step = 201);
    change(&|c| c.parameters[0].0.push('x'));
    change(&|c| c.parameters[0].1 = vec![3, 2]);
    change(&|c| c.optimizer[0].2[5] = 0.250_000_03);
    change(&|c| c.parameters.append(&mut c.optimizer));
    change(&|c| drop(c.parameters.pop()));
    assert!(others.iter().all(|other| other.digest() != good));
    let mut turned = checkpoint();
    turned.parameters.reverse();
    assert_eq!(turned.digest(), good);
}

#[test]
fn damaged_checkpoints_are_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path();
    checkpoint().write(run).unwrap();
    let good = sorted(Checkpoint::read(run, 200).unwrap());
    for name in ["parameters.safetensors", "optimizer.safetensors", "digest"] {
        let path: PathBuf = run.join("checkpoints/000200").join(name);
        let bytes = fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bent).unwrap();
            // A bent blank of the header is no damage.
            if let Ok(read) = Checkpoint::read(run, 200) {
                assert_eq!(sorted(read), good, "{name} bit {bit}");
            }
        }
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let trimmed = name == "digest" && length + 1 == bytes.len();
            assert_eq!(
                Checkpoint::read(run, 200).is_ok(),
                trimmed,
                "{name} {length}"
            );
        }
        fs::write(&path, &bytes).unwrap();
    }
}

/// A safetensors file with one tensor, byte by byte.
fn raw_safetensors(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!(
        r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{}]}}}}"#,
        data.len()
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[test]
fn tensors_of_other_widths_become_f32() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("t.safetensors");
    let wide: Vec<u8> = [0.1f64, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for (dtype, data, expected) in [
        ("F64", wide, vec![0.1f32, -2.0]),
        ("F16", vec![0x00, 0x3c, 0x00, 0xc0], vec![1.0, -2.0]),
        ("BF16", vec![0x80, 0x3f, 0x00, 0xc0], vec![1.0, -2.0]),
    ] {
        fs::write(&path, raw_safetensors(dtype, "[2]", &data)).unwrap();
        let read = read_safetensors(&path).unwrap();
        assert_eq!(read, [("t".to_owned(), vec![2], expected)]);
    }
    fs::write(&path, raw_safetensors("I32", "[1]", &[0; 4])).unwrap();
    let error = read_safetensors(&path).unwrap_err().to_string();
    assert!(
        error.contains("tensor 't'") && error.contains("I32"),
        "{error}"
    );
    fs::write(
        &path,
        raw_safetensors("F32", "[4294967296,4294967296]", &[0; 4]),
    )
    .unwrap();
    assert!(read_safetensors(&path).is_err());
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(read_safetensors(&path).is_err());
    assert!(read_safetensors(&scratch.path().join("none")).is_err());
    let twice = [
        ("a".to_owned(), vec![1], vec![0.0]),
        ("a".to_owned(), vec![1], vec![1.0]),
    ];
    assert!(write_safetensors(&path, &twice).is_err());
}
