//! A VAE of two latent layers: it trains, resumes and replays as any run, its scalars add up, its pictures come from the upper
//! layer, and an upper layer that is not used is told from a model that has collapsed.

use std::path::Path;

use trainscope::diagnose::{Cause, Verdict, explain, summary};
use trainscope::nn::Role;
use trainscope::trace::{Checkpoint, EventKind, RunReader, RunView, Severity};
use trainscope::train::{Finished, ModelPreview, Run, Scenario, Trainer};

use crate::support::{SMALL, end, gpu, verify_replay};

const HIERARCHY: &str = "model.second_latent={ units = 3, encoder = [{ dense = 12 }, \"relu\"], \
                         decoder = [{ dense = 12 }, \"relu\"] }";

fn scenario(settings: &[&str]) -> Scenario {
    let settings = [HIERARCHY].iter().chain(settings);
    let settings: Vec<String> = settings.map(|s| (*s).to_owned()).collect();
    Scenario::parse(SMALL, "small", &settings).unwrap()
}

fn train(settings: &[&str], dir: &Path) -> Finished {
    end(Run::create(gpu(), &scenario(settings), dir, None).unwrap())
}

fn digest(dir: &Path, step: u64) -> String {
    Checkpoint::read(dir, step).unwrap().digest()
}

#[test]
fn a_hierarchy_trains_resumes_and_replays() {
    let scratch = tempfile::tempdir().unwrap();
    let [straight, halves] = ["straight", "halves"].map(|name| scratch.path().join(name));
    let finished = train(&[], &straight);
    let scalars = RunReader::open(&straight).unwrap().scalars().unwrap();
    let series = |name: &str| &scalars[name];
    let (first, last) = (series("loss")[0].1, series("loss")[39].1);
    assert!(last < 0.7 * first, "from {first} to {last}");
    for step in 0..40 {
        let at = |name: &str| series(name)[step].1;
        let (of_first, of_second) = (at("first_kl_divergence"), at("second_kl_divergence"));
        let (sum, error) = (at("kl_divergence"), at("reconstruction"));
        assert!(of_first >= 0.0 && of_second >= 0.0, "step {step}");
        assert!((sum - of_first - of_second).abs() < 1e-3, "step {step}");
        assert!((at("loss") - error - sum).abs() < 1e-2, "step {step}");
        assert!((at("elbo") + error + sum).abs() < 1e-2, "step {step}");
    }
    train(&["train.steps=17"], &halves);
    end(Run::resume(gpu(), &halves, Some(40)).unwrap());
    assert_eq!(digest(&halves, 40), digest(&straight, 40));
    for dir in [&straight, &halves] {
        let verified = verify_replay(dir, 10..40).unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
    }
    // Pictures are made from the upper layer.
    let decoder = finished.trainer.model().decoder().unwrap().unwrap();
    assert_eq!(decoder.graph.node(decoder.z).shape, [3]);
    let preview = ModelPreview::new(&finished.trainer, 4).unwrap().unwrap();
    preview.refresh(gpu());
    let images = gpu().read(&preview.samples).unwrap();
    assert!(images.len() == 4 * 784 && images.iter().all(|p| (0.0..=1.0).contains(p)));
    assert_ne!(images[..784], images[784..1568]);
    // The description tells both layers and the prior apart.
    let run = RunView::open(&straight).unwrap();
    let names = |role| {
        let layers = run.model().all_with_role(role);
        layers.map(|layer| layer.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(Role::LatentMean), ["mu", "second_latent.mu"]);
    assert_eq!(names(Role::PriorMean), ["second_latent.prior.mu"]);
    assert_eq!(
        names(Role::LatentLogVariance),
        ["logvar", "second_latent.logvar"]
    );
    let told = summary(&run).join(" ");
    assert!(
        told.contains("of 4 latent units vary with the input; "),
        "{told}"
    );
    assert!(
        told.contains("of 3 units of the second latent layer"),
        "{told}"
    );
}

/// Both divergences fade in together, with a class to condition on and bounds on every head.
#[test]
fn a_hierarchy_anneals_and_is_conditioned() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("run");
    let settings = [
        "model.beta=2.0",
        "model.beta_warmup=10",
        "model.condition=5",
        "model.variance=bounded",
        "train.steps=20",
        "validate={ split = 0.1, every = 10 }",
    ];
    let finished = train(&settings, &dir);
    let reader = RunReader::open(&dir).unwrap();
    let scalars = reader.scalars().unwrap();
    for step in 0..20u8 {
        let at = |name: &str| scalars[name][usize::from(step)].1;
        let share = f64::from(step.min(10)) / 10.0;
        let annealed = share * at("kl_divergence");
        let close = |a: f64, b: f64| (a - b).abs() < 1e-4 * a.abs().max(100.0);
        assert!(close(at("annealed_divergence"), annealed), "step {step}");
        let loss = at("reconstruction") + 2.0 * annealed;
        assert!(close(at("loss"), loss), "step {step}");
    }
    for name in ["first_kl_divergence", "second_kl_divergence", "elbo"] {
        assert!(
            scalars.contains_key(&format!("validation/{name}")),
            "{name}"
        );
    }
    let bounds = finished.trainer.graph().nodes().iter();
    let bounds = bounds.filter(|node| node.name.ends_with("log_variance"));
    assert_eq!(bounds.count(), 3);
    assert!(verify_replay(&dir, 5..15).unwrap().differences.is_empty());
}

#[test]
fn what_cannot_work_is_refused_in_a_sentence() {
    let refusal = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let built = Scenario::parse(SMALL, "small", &settings)
            .and_then(|scenario| Trainer::new(gpu(), &scenario).map(|_| ()));
        built.unwrap_err().to_string()
    };
    let with_noise = refusal(&[HIERARCHY, "model.noise_file=noise.npy"]);
    assert!(
        with_noise.contains("noise of one latent layer"),
        "{with_noise}"
    );
    let none = refusal(&["model.second_latent={ units = 0 }"]);
    assert!(none.contains("model.second_latent.units = 0"), "{none}");
    let missing = refusal(&["model.second_latent={}"]);
    assert!(missing.contains("needs the key 'units'"), "{missing}");
    let unknown = refusal(&["model.second_latent={ units = 2, latent = 3 }"]);
    assert!(unknown.contains("model.second_latent.latent"), "{unknown}");
    let misfit = refusal(&["model.second_latent={ units = 2, decoder = [{ reshape = [3] }] }"]);
    assert!(
        misfit.contains("second_latent.decoder.0 (reshape)"),
        "{misfit}"
    );
    // In a file, the line of the layer is named.
    let text = SMALL.replace(
        "[train]",
        "[model.second_latent]\nunits = 2\ndecoder = [\n  \"relu\",\n  { reshape = [3] },\n]\n\n[train]",
    );
    let line = text
        .lines()
        .position(|line| line.contains("reshape"))
        .unwrap()
        + 1;
    let error = Scenario::parse(&text, "my.toml", &[])
        .unwrap()
        .inspect()
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with(&format!("my.toml, line {line}, ")),
        "{error}"
    );
}

/// A text comes back whole, with its layers in short forms or not.
#[test]
fn a_hierarchy_is_written_as_it_is_read() {
    let scenario = scenario(&[]);
    let again = Scenario::parse(&scenario.to_toml(), "again", &[]).unwrap();
    assert_eq!(again, scenario);
}

/// The upper layer starts dead, the lower one learns: a warning about that layer, no failure of the run.
#[test]
fn an_unused_second_layer_is_no_collapse() {
    let scratch = tempfile::tempdir().unwrap();
    let [dead, alive] = ["dead", "alive"].map(|name| scratch.path().join(name));
    let more = [
        "train.steps=160",
        "record.every=2",
        "record.around_events=0",
    ];
    // A rectifier that nothing passes: the prior of the first layer is the same for all samples.
    let closed = "model.second_latent={ units = 3, encoder = [{ dense = 12 }, \"relu\"], \
                  decoder = [{ affine = { scale = 0.0, shift = -1.0 } }, \"relu\"] }";
    train(&[&more[..], &[closed]].concat(), &dead);
    let run = RunView::open(&dead).unwrap();
    let event = run
        .events()
        .iter()
        .find(|event| event.kind == EventKind::PosteriorCollapse)
        .expect("the upper layer is idle");
    assert_eq!(event.subject.tensor_name(), Some("second_latent.mu"));
    assert_eq!(event.severity, Severity::Warning);
    let explanation = explain(&run);
    assert_eq!(explanation.verdict, Verdict::Suspicious, "{explanation:?}");
    // The rate of this small run is high, too; both are warnings.
    let finding = explanation.findings.iter();
    let mut finding = finding.filter(|finding| finding.cause == Cause::DeadUnits);
    let finding = finding.next().expect("the dead rectifier is named");
    assert!(
        finding.title.contains("second_latent.decoder.1"),
        "{}",
        finding.title
    );
    assert_eq!(finding.layer.as_deref(), Some("second_latent.mu"));
    assert!(
        finding.fixes[0].set[0].starts_with("model.second_latent.decoder=["),
        "{:?}",
        finding.fixes
    );
    let told: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
    let told = told.join(" ");
    assert!(
        told.contains("None of the 3 units of second_latent.mu"),
        "{told}"
    );
    assert!(told.contains("KL(q(z2 | z1) || N(0, 1)) is "), "{told}");

    train(&more, &alive);
    let run = RunView::open(&alive).unwrap();
    let explanation = explain(&run);
    let is_about_it = |layer: &Option<String>| layer.as_deref() == Some("second_latent.mu");
    assert!(
        explanation.findings.iter().all(|f| !is_about_it(&f.layer)),
        "{explanation:?}"
    );
}
