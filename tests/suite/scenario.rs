//! Scenarios: complaints that name the line and what would be right, settings on top, texts that come back whole.

mod document;
mod reference;

use proptest::prelude::*;
use trainscope::train::{BUILT_IN, BuiltIn, Scenario};

use crate::support::{SMALL, gpu};

fn parse(text: &str) -> trainscope::Result<Scenario> {
    Scenario::parse(text, "my.toml", &[])
}

fn set(settings: &[&str]) -> trainscope::Result<Scenario> {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Scenario::parse(SMALL, "my.toml", &settings)
}

/// The number of the line that starts with `start`.
fn line(text: &str, start: &str) -> usize {
    let at = text.lines().position(|line| line.starts_with(start));
    at.expect("the text has such a line") + 1
}

#[test]
fn built_in_scenarios_are_sound() {
    for BuiltIn { name, about, text } in BUILT_IN {
        let scenario = Scenario::load(name, &[]).unwrap();
        assert_eq!(scenario.name, *name);
        assert_eq!(parse(text).unwrap(), scenario);
        assert!(!about.is_empty());
    }
}

/// What a path of Windows in double quotes needs is said in words of ours, whichever escape its folders happen to be.
#[test]
fn backslashes_in_double_quotes_are_explained() {
    for path in [r"C:\users\me", r"C:\data", r"D:\xyz", r"..\images"] {
        let text = SMALL.replace(
            "source = \"mnist\"",
            &format!("source = \"idx\"\npath = \"{path}\""),
        );
        let error = parse(&text).unwrap_err().to_string();
        let at = format!("line {}", line(&text, "path"));
        assert!(
            error.contains(&at) && error.contains("single quotes") && !error.contains("digits"),
            "{path}: {error}"
        );
        assert!(parse(&text.replace(&format!("\"{path}\""), &format!("'{path}'"))).is_ok());
    }
}

#[test]
fn complaints_name_the_line_the_key_and_what_is_right() {
    let lr = "optimizer = { adam = { lr = ";
    for (from, to, parts) in [
        // Unknown, mistyped, missing.
        ("batch = 32", "bach = 32", &["bach", "batch"][..]),
        ("[record]", "[recrod]", &["recrod", "record"]),
        ("batch = 32", "batch = \"many\"", &["many"]),
        ("kind = \"vae\"", "kind = \"vea\"", &["vea", "vae"]),
        ("source = \"mnist\"", "source = 5", &["5"]),
        ("latent = 4", "", &["latent", "needs"]),
        (
            "source = \"mnist\"",
            "source = \"mnist\"\nmemory = \"much\"",
            &["much", "64 MiB"],
        ),
        (
            "source = \"mnist\"",
            "source = \"mnist\"\naugment = { shift = 600 }",
            &["augment.shift"],
        ),
        (
            "source = \"mnist\"",
            "source = \"mnist\"\ncorrupt = { scale = 2.0 }",
            &["corrupt", "samples"],
        ),
        // Out of range.
        ("batch = 32", "batch = 0", &["train.batch = 0", "from 1"]),
        ("batch = 32", "batch = -1", &["-1"]),
        ("batch = 32", "batch = 65537", &["65537", "65536"]),
        ("batch = 32", "batch = 1.5", &["1.5", "a whole number"]),
        ("steps = 40", "steps = 0", &["train.steps = 0", "from 1"]),
        ("every = 4", "every = 0", &["record.every = 0"]),
        (
            "steps = 40",
            "steps = 40\nstop_after_nonfinite = 18446744073709551615",
            &["stop_after_nonfinite"],
        ),
        ("latent = 4", "latent = 0", &["latent = 0", "at least one"]),
        (
            "latent = 4",
            "latent = 4\nbeta = nan",
            &["beta", "at least 0"],
        ),
        ("latent = 4", "latent = 4\nnoise = -1.0", &["noise", "-1"]),
        ("latent = 4", "latent = 4\nlayers = []", &["layers", "vae"]),
        ("seed = 3", "seed = -3", &["-3"]),
        ("seed = 3", "seed = 18446744073709551615", &["seed"]),
        ("source = \"mnist\"", "source = \"idx\"", &["path"]),
        (
            "source = \"mnist\"",
            "source = \"mnist\"\npath = \"x\"",
            &["path"],
        ),
        ("name = \"small\"", "name = \"../small\"", &["../small"]),
        ("1e-2", "-1.0", &["lr", "positive"]),
        ("1e-2", "nan", &["lr", "positive"]),
        ("1e-2", "inf", &["lr", "positive"]),
        ("1e-2", "\"fast\"", &["fast"]),
        // No TOML at all.
        ("batch = 32", "batch = ", &[]),
        ("batch = 32", "batch = 32\nbatch = 33", &["duplicate"]),
        ("[train]", "[train", &[]),
    ] {
        assert!(SMALL.contains(from) && SMALL.contains(lr));
        let text = SMALL.replacen(from, to, 1);
        let error = parse(&text).expect_err(to).to_string();
        assert!(error.starts_with("my.toml, line "), "{to}: {error}");
        assert!(!error.contains('\n'), "{error}");
        for part in parts {
            assert!(error.contains(part), "{to}: {error}");
        }
    }
    // Exactly that line.
    let text = SMALL.replace("batch = 32", "batch = 0");
    let expected = format!("my.toml, line {}: train.batch", line(&text, "batch"));
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.starts_with(&expected), "{error}");
    let text = SMALL.replace("every = 4", "evry = 4");
    let expected = format!(
        "my.toml, line {}: record.evry is no key",
        line(&text, "evry")
    );
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.starts_with(&expected), "{error}");
    // A whole section is missing: there is no line to name.
    for section in ["[data]\nsource = \"mnist\"", "name = \"small\""] {
        let error = parse(&SMALL.replace(section, "")).unwrap_err().to_string();
        assert!(
            error.contains("my.toml") && error.contains("missing"),
            "{error}"
        );
    }
}

/// One sentence for each fault, in the order of the lines, also where types and ranges are wrong at once.
#[test]
fn all_faults_of_a_file_are_found_at_once() {
    let text = SMALL
        .replace("latent = 4", "latnet = 4")
        .replace("\"relu\" ]", "\"rleu\" ]")
        .replace("batch = 32", "batch = 0")
        .replace("every = 4", "evry = 4");
    let error = parse(&text).unwrap_err();
    let all: Vec<String> = std::iter::once(&error)
        .chain(error.further())
        .map(ToString::to_string)
        .collect();
    assert_eq!(all.len(), 4, "{all:?}");
    for (message, parts) in all.iter().zip([
        ["model.latnet", "did you mean 'latent'?"],
        ["model.encoder.1", "did you mean \"relu\"?"],
        ["train.batch = 0", "from 1"],
        ["record.evry", "did you mean 'every'?"],
    ]) {
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    }
    let lines: Vec<usize> = ["latnet", "encoder", "batch", "evry"]
        .map(|key| line(&text, key))
        .into();
    for (message, line) in all.iter().zip(lines) {
        assert!(
            message.starts_with(&format!("my.toml, line {line}: ")),
            "{message}"
        );
    }
}

/// What a scenario means does not depend on how it is written.
#[test]
fn short_forms_mean_their_long_forms() {
    let with = |layers: &str, train: &str| {
        let text = SMALL
            .replace(
                "encoder = [ { dense = { units = 16 } }, \"relu\" ]",
                &format!("encoder = {layers}"),
            )
            .replace("optimizer = { adam = { lr = 1e-2 } }", train);
        assert_ne!(text, SMALL);
        parse(&text).unwrap()
    };
    let plain = "optimizer = { adam = { lr = 1e-2 } }";
    for (short, long) in [
        ("[{ dense = 16 }]", "[{ dense = { units = 16 } }]"),
        ("[\"leaky_relu\"]", "[{ leaky_relu = { slope = 0.01 } }]"),
        (
            "[{ leaky_relu = 0.2 }]",
            "[{ leaky_relu = { slope = 0.2 } }]",
        ),
        (
            "[{ elu = {} }, \"elu\"]",
            "[{ elu = { alpha = 1.0 } }, { elu = { alpha = 1.0 } }]",
        ),
        ("[{ max_pool2d = 2 }]", "[{ max_pool2d = { kernel = 2 } }]"),
        (
            "[{ avg_pool2d = [2, 1] }]",
            "[{ avg_pool2d = { kernel = [2, 1] } }]",
        ),
        ("[{ upsample = 2 }]", "[{ upsample = { factor = 2 } }]"),
        ("[{ dropout = { p = 0.5 } }]", "[{ dropout = 0.5 }]"),
        ("[{ reshape = { shape = [784] } }]", "[{ reshape = [784] }]"),
        (
            "[{ residual = { layers = [\"leaky_relu\", { relu = {} }] } }]",
            "[{ residual = [{ leaky_relu = {} }, \"relu\"] }]",
        ),
        (
            "[{ dense = { units = 1.6e1 } }]",
            "[{ dense = { units = 16 } }]",
        ),
    ] {
        assert_eq!(with(short, plain), with(long, plain), "{short}");
    }
    for (short, long) in [
        (
            "optimizer = \"adam\"",
            "optimizer = { adam = { lr = 1e-3 } }",
        ),
        (
            "optimizer = { sgd = 0.1 }",
            "optimizer = { sgd = { lr = 0.1 } }",
        ),
        (
            "schedule = { cosine = 1e3 }",
            "schedule = { cosine = { steps = 1000 } }",
        ),
    ] {
        assert_eq!(with("[]", short), with("[]", long), "{short}");
    }
    let set = |setting: &str| set(&[setting]).unwrap();
    assert_eq!(set("train.steps=1e3").train.steps, 1000);
    assert_eq!(
        set("train.optimizer=adam"),
        set("train.optimizer.adam.lr=1e-3")
    );
}

/// Settings reach a layer, whatever it was.
#[test]
fn settings_reach_into_lists() {
    let encoder = |settings: &[&str]| set(settings).unwrap().model.encoder.unwrap();
    let expected = encoder(&["model.encoder=[{ dense = { units = 10 } }, \"relu\"]"]);
    assert_eq!(encoder(&["model.encoder.0.dense.units=10"]), expected);
    let expected = encoder(&["model.encoder=[{ dense = 16 }, { leaky_relu = 0.1 }]"]);
    assert_eq!(encoder(&["model.encoder.1.leaky_relu.slope=0.1"]), expected);
    let error = set(&["model.encoder.2=relu"]).unwrap_err().to_string();
    assert!(error.contains("numbered from 0 to 1"), "{error}");
}

/// Words of other libraries are answered with ours, and no word of serde reaches anybody.
#[test]
fn words_of_other_libraries_are_answered_with_ours() {
    for (setting, part) in [
        ("lr=1e-3", "train.optimizer.adam.lr"),
        ("learning_rate=1e-3", "train.optimizer.adam.lr"),
        ("train.lr=1e-3", "train.optimizer.adam.lr"),
        ("train.optimizer.lr=1e-3", "{ adam = { lr = 1e-3 } }"),
        ("train.batch_size=8", "'batch'"),
        ("batch_size=8", "train.batch"),
        ("train.epochs=8", "train.steps"),
        ("train.optimizer.adam.betas=[0.9, 0.99]", "beta1 = 0.9"),
        ("train.momentum=0.9", "train.optimizer.sgd.momentum"),
        ("train.clip=1.0", "{ norm = 1.0 }"),
        ("model.latent_dim=8", "'latent'"),
        ("model.reconstruction=bernoulli", "bce_with_logits"),
        ("model.reconstruction=mse", "squared_error"),
        ("model.objective=wgan-gp", "gradient_penalty = 10"),
        ("model.objective=wgan", "wasserstein"),
        ("model.kind=cnn", "classifier"),
        ("model.encoder.0.dense.out_features=3", "'units'"),
        ("model.encoder.0=dense", "{ dense = { units = 400 } }"),
        ("model.encoder.0=linear", "{ dense = ... }"),
        ("model.encoder.0.conv2d.kernel_size=3", "'kernel'"),
        (
            "model.encoder.0={ dense = { units = 3 }, activation = 1 }",
            "one key",
        ),
        ("train.optimizer=Adam", "adam"),
        ("train.batch=many", "\"many\" is text, not a whole number"),
        ("data.shuffle=1", "true or false"),
    ] {
        let error = set(&[setting]).expect_err(setting).to_string();
        assert!(error.contains(part), "{setting}: {error}");
        for foreign in [
            "expected",
            " variant",
            "invalid type",
            " struct ",
            "usize",
            "f32",
            "u64",
        ] {
            assert!(!error.contains(foreign), "{setting}: {error}");
        }
    }
}

/// The schema says what the program reads: the built-in scenarios fit, and each key has its description.
#[test]
fn the_schema_describes_every_key() {
    let schema = Scenario::json_schema();
    let sections = schema["$defs"].as_object().unwrap();
    assert!(schema["properties"]["train"].is_object() && sections.contains_key("Layer"));
    let layers = schema["$defs"]["Layer"]["oneOf"].as_array().unwrap();
    assert!(layers.iter().any(|layer| layer["const"] == "leaky_relu"));
    assert!(!schema.to_string().contains("[`"), "links of rustdoc");
}

#[test]
fn layers_that_do_not_fit_are_told_with_what_came_and_what_is_needed() {
    for (decoder, parts) in [
        ("[{dense={units=100}}]", &["decoder", "100", "784"][..]),
        ("[]", &["decoder", "4", "784"]),
        ("[{reshape=[3,3]}]", &["decoder.0", "4", "[3, 3]"]),
        ("[{dense={units=0}}]", &["decoder.0", "at least one"]),
        (
            "[{dense={units=9223372036854775807}}]",
            &["decoder.0", "9223372036854775807"],
        ),
        ("[{leaky_relu={slope=nan}}]", &["decoder.0", "slope"]),
    ] {
        let scenario = set(&[&format!("model.decoder={decoder}")]).unwrap();
        let error = trainscope::train::Trainer::new(gpu(), &scenario)
            .map(|_| ())
            .expect_err(decoder)
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{decoder}: {error}");
        }
    }
}

/// The line of the layer within a section over several lines, also of a layer within a residual one.
#[test]
fn layers_that_do_not_fit_are_told_with_their_line() {
    let decoder = "decoder = [ { dense = { units = 16 } }, \"relu\", { dense = { units = 784 } } ]";
    for (layers, marked, layer) in [
        (
            "{ dense = { units = 16 } },\n{ reshape = [5, 5] },",
            "{ reshape",
            "decoder.1",
        ),
        (
            "\"relu\",\n{ residual = [\n \"relu\",\n { dense = { units = 0 } },\n ] },",
            " { dense = { units = 0",
            "decoder.1.1",
        ),
        ("\"relu\",", "decoder", "model.decoder"),
    ] {
        let text = SMALL.replace(decoder, &format!("decoder = [\n{layers}\n]"));
        assert_ne!(text, SMALL);
        let error = trainscope::train::Trainer::new(gpu(), &parse(&text).unwrap())
            .map(|_| ())
            .expect_err(layers)
            .to_string();
        let context = format!("my.toml, line {}, ", line(&text, marked));
        assert!(
            error.starts_with(&context) && error.contains(layer),
            "{error}"
        );
    }
}

#[test]
fn settings_change_what_they_name() {
    let plain = parse(SMALL).unwrap();
    let changed = set(&[
        "train.optimizer.adam.lr=1e-4",
        "data.shuffle = false",
        "name=other",
        "seed=9",
        "model.encoder=[{dense={units=8}}, \"tanh\"]",
        "seed=10",
    ])
    .unwrap();
    let written = changed.to_toml();
    assert!(!changed.data.shuffle && plain.data.shuffle);
    assert_eq!((changed.name.as_str(), changed.seed), ("other", 10));
    assert!(written.contains("tanh"), "{written}");
    let expected = SMALL
        .replace("1e-2", "1e-4")
        .replace("\"small\"", "\"other\"")
        .replace("seed = 3", "seed = 10")
        .replace("source = \"mnist\"", "source = \"mnist\"\nshuffle = false")
        .replace(
            "encoder = [ { dense = { units = 16 } }, \"relu\" ]",
            "encoder = [ { dense = { units = 8 } }, \"tanh\" ]",
        );
    assert_eq!(parse(&expected).unwrap(), changed);
    let sgd = set(&["train.optimizer={sgd={lr=0.5}}"]).unwrap();
    assert!(sgd.to_toml().contains("sgd"));
    // Another choice takes the context of the one there is.
    let chosen = [
        "train.optimizer.sgd.lr=0.5",
        "train.clip.norm=1.0",
        "train.clip.value=2.0",
    ];
    let chosen = set(&chosen).unwrap();
    assert_eq!(chosen.train.optimizer, sgd.train.optimizer);
    assert!(chosen.to_toml().contains("value = 2.0"));
}

/// A scenario that was read can be changed later, as an explanation does that tries a fix.
#[test]
fn with_applies_settings_to_a_scenario() {
    let set = ["train.optimizer.sgd.lr=0.5".to_owned()];
    let plain = parse(SMALL).unwrap();
    let changed = plain.with(&set).unwrap();
    assert_eq!(changed, Scenario::parse(SMALL, "my.toml", &set).unwrap());
    assert_ne!(changed, plain);
    assert_eq!(changed.with(&[]).unwrap(), changed);
    // Later errors know the settings as well as the lines.
    let error = |scenario: &Scenario, setting: &str| {
        let changed = scenario.with(&[setting.to_owned()]);
        let error = changed.and_then(|s| trainscope::train::Trainer::new(gpu(), &s).map(|_| ()));
        error.expect_err(setting).to_string()
    };
    let text = error(&changed, "train.batch=0");
    assert!(text.starts_with("--set train.batch=0: "), "{text}");
    let text = error(&changed, "model.decoder=[]");
    assert!(text.starts_with("--set model.decoder=[], "), "{text}");
    let mut broken = plain;
    broken.seed = u64::MAX;
    assert!(broken.with(&[]).is_err());
}

#[test]
fn settings_that_make_no_sense_are_wrong_usage() {
    for setting in [
        "",
        "x",
        "=5",
        "=",
        "train",
        "train=5",
        "train.batch",
        "train.batch=",
        "train.batch=0",
        "train.batch=-3",
        "train.batch=many",
        "train..batch=3",
        ".=1",
        "train.batch.size=3",
        "train.bach=3",
        "a.b.c=1",
        "name.x=1",
        "seed=18446744073709551615",
        "train.optimizer.adam.lr=nan",
        "train.optimizer.adam.lr=-1",
        "train.optimizer=fast",
        "data.shuffle=maybe",
        "model.encoder=[",
        "model.decoder=relu",
        "train.steps=1\nname=\"x\"",
    ] {
        let error = set(&["seed=4", setting]).expect_err(setting);
        assert_eq!(error.exit_code(), 2, "{error}");
        let text = error.to_string();
        assert!(text.starts_with("--set "), "{setting}: {text}");
        assert!(
            text.contains(&setting.replace('\n', " ")),
            "{setting}: {text}"
        );
        assert!(!text.contains('\n'), "{text}");
    }
    // What the file says wrong stays the file's, whatever is set beside it.
    for wrong in ["seed = 18446744073709551615", "seed = 9223372036854775808"] {
        let text = SMALL.replace("seed = 3", wrong);
        let settings = ["train.batch=8".to_owned()];
        let error = Scenario::parse(&text, "my.toml", &settings).unwrap_err();
        assert!(error.to_string().starts_with("my.toml"), "{error}");
    }
}

#[test]
fn scenarios_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = |name: &str| Scenario::load(name, &[]).unwrap_err().to_string();
    assert!(error("vae-mnits").contains("vae-mnist"));
    let text = error(missing.to_str().unwrap());
    assert!(text.contains("none.toml") && text.contains("does not exist"));
    let folder_name = folder.path().to_str().unwrap();
    assert!(error(folder_name).contains(folder_name));
    for (name, bytes) in [
        ("bytes.toml", vec![0xff; 64]),
        ("large.toml", vec![b'#'; 2 << 20]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let text = error(path.to_str().unwrap());
        assert!(text.contains(name) && !text.contains('\n'), "{text}");
    }
}

/// Written out, a scenario has every key, and reads as itself.
#[test]
fn texts_are_complete() {
    let scenario = parse(SMALL).unwrap();
    let text = scenario.to_toml();
    assert_eq!(Scenario::parse(&text, "written", &[]).unwrap(), scenario);
    for key in [
        "seed",
        "shuffle",
        "split",
        "batch",
        "steps",
        "stop_after_nonfinite",
        "beta1",
        "eps",
        "every",
        "checkpoint_every",
        "probe_batch",
    ] {
        assert!(text.contains(key), "{key} is not in\n{text}");
    }
}

#[test]
fn deep_nests_are_survived() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("x = {}1{}", open.repeat(50_000), close.repeat(50_000));
        assert!(parse(&text).is_err());
        assert!(set(&[&text]).is_err());
    }
    let dotted = vec!["a"; 20_000].join(".");
    assert!(parse(&format!("{dotted} = 1")).is_err());
    assert!(parse(&format!("[{dotted}]")).is_err());
    assert!(set(&[&format!("{dotted}=1")]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_brings_the_parser_down(text in "\\PC*", key in "\\PC*", value in "\\PC*") {
        let _ = parse(&text);
        let _ = set(&[&text]);
        let _ = set(&[&format!("{key}={value}")]);
    }

    /// A sound text with a piece cut out and something else put in.
    #[test]
    fn no_bent_scenario_brings_the_parser_down(
        at in 0..SMALL.len(),
        length in 0..40usize,
        piece in "[\\[\\]{}=.\"'#0-9a-z\n -]{0,12}|é|\u{0}|18446744073709551615|9223372036854775807|-1|nan|1e400",
    ) {
        let end = (at + length).min(SMALL.len());
        let text = format!("{}{piece}{}", &SMALL[..at], &SMALL[end..]);
        for settings in [&[][..], &["train.batch=8".to_owned()]] {
            if let Err(error) = Scenario::parse(&text, "my.toml", settings) {
                prop_assert!(error.to_string().contains("my.toml"), "{error}");
                prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn scenarios_read_as_they_were_written(
        seed in 0..=i64::MAX as u64,
        batch in 1..=65_536usize,
        lr in 1e-30f32..1e30,
        beta in 0.0f32..10.0,
        name in "[a-zA-Z0-9 \"#=é_-]{1,20}",
        shuffle: bool,
    ) {
        let text = SMALL
            .replace("seed = 3", &format!("seed = {seed}"))
            .replace("batch = 32", &format!("batch = {batch}"))
            .replace("1e-2", &format!("{lr:e}"))
            .replace("latent = 4", &format!("latent = 4\nbeta = {beta:?}"))
            .replace("source = \"mnist\"", &format!("source = \"mnist\"\nshuffle = {shuffle}"))
            .replace("\"small\"", &toml_string(&name));
        let scenario = parse(&text).unwrap();
        prop_assert_eq!((&scenario.name, scenario.seed), (&name, seed));
        let again = Scenario::parse(&scenario.to_toml(), "written", &[]).unwrap();
        prop_assert_eq!(&again, &scenario);
        // A setting that says what is there already leaves every bit of the rest.
        let set = [format!("seed={seed}")];
        prop_assert_eq!(&Scenario::parse(&text, "my.toml", &set).unwrap(), &scenario);
    }
}

/// A basic string of TOML.
fn toml_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
