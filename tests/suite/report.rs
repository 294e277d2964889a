//! The report of a small run that was written by hand.

use std::path::Path;
use trainscope::tensor::TensorKind;

use trainscope::diagnose::summary;
use trainscope::nn::{Graph, Loss, Role, ops::Dense};
use trainscope::report::write_report;
use trainscope::trace::{
    Event, EventKind, ModelDescription, RunInfo, RunView, RunWriter, Status, Subject, TraceLayout,
    UnitStatistics,
};

use trainscope::train::{Run, Scenario};

use crate::support::gpu;

/// A graph with the means of a latent space.
fn model() -> ModelDescription {
    let mut graph = Graph::new();
    let x = graph.input("x", &[70]);
    let mean = graph.add("mu", Dense::new(4), &[x]).expect("it fits");
    graph.set_role(mean, Role::LatentMean);
    ModelDescription {
        graphs: vec![graph.describe("vae", &Loss::new())],
    }
}

/// A run of 60 recorded steps: 70 units, of which unit 3 is dead and unit 5 is not finite from step 400 on.
pub fn write_run(dir: &Path) {
    let mut layout = TraceLayout::new();
    layout.push("encoder.1", TensorKind::Activation, 70);
    layout.push("mu", TensorKind::Activation, 4);
    layout.push("encoder.0.weight", TensorKind::Update, 70);
    let info = RunInfo::new("a <b>bold</b> name", gpu().info(), 600, 7);
    let scenario = "name = \"a <b>bold</b> name\"\n# <script>alert(1)</script>\n";
    let mut writer = RunWriter::create(dir, scenario, info, &model(), layout.clone()).unwrap();
    for step in (0..600u64).step_by(10) {
        let decay = (-(step as f32) / 100.0).exp();
        writer
            .scalar(step, "loss", f64::from(100.0 + 400.0 * decay))
            .unwrap();
        writer
            .scalar(step, "kl_divergence", f64::from(25.0 - 20.0 * decay))
            .unwrap();
        let mut rows = Vec::new();
        for row in 0..layout.rows() {
            let unit = row as f32;
            let mut statistics = UnitStatistics {
                mean: (unit + step as f32 / 50.0).sin() * decay,
                std: 0.5,
                min: -1.0,
                max: 1.0,
                zero_fraction: 0.1,
                nonfinite: 0.0,
            };
            if row == 3 {
                statistics = UnitStatistics {
                    zero_fraction: 1.0,
                    ..UnitStatistics::default()
                };
            }
            if row == 5 && step >= 400 {
                statistics.mean = f32::NAN;
            }
            // Two of the four latent units carry nothing.
            if row == 70 || row == 71 {
                statistics.std = 0.01;
            }
            if row >= 74 {
                statistics.std = 10f32.powf(unit / 10.0 - 12.0) * (1.0 + decay);
            }
            rows.push(statistics);
        }
        writer.record(step, &rows).unwrap();
    }
    let subject = Subject::unit("encoder.1 <i>", TensorKind::Activation, 5);
    let event = Event::new(400, EventKind::Nonfinite, subject).with("count", 3.0);
    writer.event(&event).unwrap();
    writer.close_segment(600).unwrap();
    writer
        .update(|info| {
            info.steps_done = 600;
            info.status = Status::Done;
        })
        .unwrap();
}

#[test]
fn report_is_self_contained_escaped_and_summarized() {
    let preview = std::env::var_os("TRAINSCOPE_GALLERY").map(std::path::PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    write_run(&dir);
    let path = write_report(gpu(), &dir).unwrap();
    assert_eq!(path, dir.join("report/index.html"));
    let html = std::fs::read_to_string(&path).unwrap();
    // The name of a namespace is no address that is fetched.
    let fetched = html.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["<b>bold", "<script>alert", "<i>", "http://", "https://"] {
        assert!(!fetched.contains(forbidden), "{forbidden}");
    }
    // The verdict comes before all else, and its words are those of the command.
    let verdict = html.find("class=\"verdict failed\"").expect("a verdict");
    assert!(verdict < html.find("id=\"scalars\"").expect("scalars"));
    assert!(html.contains("a &lt;b&gt;bold&lt;/b&gt; name"));
    // Activations of two tensors (of one of them two statistics), updates of one; each light and dark. There is no
    // checkpoint to draw from. The loss is a chart with its data.
    assert_eq!(html.matches("<picture>").count(), 4);
    assert_eq!(html.matches("data:image/png;base64,").count(), 8);
    assert_eq!(html.matches("<figure class=\"chart\"").count(), 1);
    assert_eq!(html.matches("<figcaption>").count(), 5);
    let data = html
        .split_once("<script type=\"application/json\">")
        .expect("data")
        .1;
    let data: serde_json::Value =
        serde_json::from_str(data.split_once("</script>").expect("an end").0).unwrap();
    let loss = &data["lines"][0];
    assert_eq!(
        (&loss["name"], &loss["from"]["stride"]),
        (&"loss".into(), &10.into())
    );
    let run = RunView::open(&dir).unwrap();
    for ((_, recorded), held) in run.scalars()["loss"]
        .iter()
        .zip(loss["low"].as_array().unwrap())
    {
        let held = held.as_f64().unwrap();
        assert!(
            (held - recorded).abs() <= 1e-6 * recorded.abs(),
            "{held} {recorded}"
        );
    }
    // The table of the loss says where it began and ended, and each row and column has a head.
    assert!(
        html.contains("<th scope=\"row\">loss</th><td>500</td>"),
        "{html}"
    );
    assert!(!html.contains("<th>"));
    // Steps 389 to 402 are less than half of the run, and show how it broke.
    assert!(html.contains("around the first non-finite value."));
    assert!(html.contains("No images: "));
    assert!(html.contains(
        "<th scope=\"row\">nonfinite</th><td>fatal</td><td>encoder.1 &lt;i&gt; activation</td><td>1</td><td><a href=\"#chart-loss-and-its-terms\" data-step=\"400\">400</a></td><td>5</td>"
    ));
    let lines = summary(&RunView::open(&dir).unwrap());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[0].starts_with("Failed since step 400: "),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("The loss fell from "), "{}", lines[1]);
    assert_eq!(
        lines[2],
        "The first non-finite value came at step 400 in unit 5 of encoder.1 <i> activation."
    );
    assert_eq!(
        lines[3],
        "2 of 4 latent units vary with the input; 1 of 70 units of encoder.1 ended with nothing but zeros."
    );
    let again = std::fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(again == html, "a report of the same run is the same");
    assert!(
        std::fs::read_dir(dir.join("report"))
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp"))
    );
    if let Some(folder) = preview {
        std::fs::write(folder.join("report.html"), html).unwrap();
    }
}

#[test]
fn report_of_a_run_without_records() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let info = RunInfo::new("empty", gpu().info(), 10, 1);
    RunWriter::create(
        &dir,
        "",
        info,
        &ModelDescription::default(),
        TraceLayout::new(),
    )
    .unwrap();
    let html = std::fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(html.contains("No loss is recorded yet."));
    let error = write_report(gpu(), folder.path()).unwrap_err().to_string();
    assert!(error.contains("not a run directory"), "{error}");
}

/// A page is small enough to be sent, whatever it shows: the default run, cut short, and its dreams.
#[test]
fn report_of_the_default_run_is_below_two_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let scenario = Scenario::load("vae-mnist", &["train.steps=24".to_owned()]).unwrap();
    let mut run = Run::create(gpu(), &scenario, &dir, None).unwrap();
    while run.advance(&mut |_| ()).unwrap() {}
    run.finish(false, &mut |_| ()).unwrap();
    // Dreams have so much room and no more.
    let dreams = dir.join("analysis/dreams");
    std::fs::create_dir_all(&dreams).unwrap();
    let record = |name: &str| {
        serde_json::json!({
            "layer": "mu", "why": "<i>why</i>", "seed": 0, "real_inputs": 512, "files": [format!("{name}.png"), format!("{name}.gif")],
            "dreams": [{
                "unit": "mu:2", "step": 20, "chi": 1.0, "activation": 9.5, "real_maximum": 3.25,
                "energies": { "spatial": 0.0, "temporal": 0.0 }, "most": [{ "sample": 219, "activation": 3.25 }], "least": [],
            }],
            "left_out": [{ "step": 0, "why": "no input moves it" }],
        })
    };
    for name in ["a", "b", "c"] {
        std::fs::write(
            dreams.join(format!("{name}.json")),
            record(name).to_string(),
        )
        .unwrap();
        std::fs::write(dreams.join(format!("{name}.png")), vec![7; 300 << 10]).unwrap();
        std::fs::write(dreams.join(format!("{name}.gif")), vec![7; 20 << 10]).unwrap();
    }
    let html = std::fs::read_to_string(write_report(gpu(), &dir).unwrap()).unwrap();
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert!(html.contains("<h2 id=\"dreams\">") && html.contains("&lt;i&gt;why"));
    assert!(html.contains("<summary>Play the loop</summary><img"));
    assert!(html.contains("219</td>") && html.contains("Not dreamt: no input moves it"));
    assert!(html.contains("The picture c.png has no room on this page."));
}
