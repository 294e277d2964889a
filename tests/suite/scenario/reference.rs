//! Holds `docs/scenarios.md` against the program: every key, type, default and range of its tables, and every TOML block
//! of the documents.
//!
//! What the program knows is asked of the program itself: a key or variant that cannot exist is answered with the list
//! of those that do.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};
use trainscope::models::DataShape;
use trainscope::nn::Optimizer;
use trainscope::train::{BUILT_IN, ModelConfig, Scenario, Source};

use super::document::{Default, Row, Type, read, tables};

const MNIST: DataShape = DataShape {
    sample: [1, 28, 28],
    classes: 10,
};

/// A key that no section has.
const UNKNOWN: &str = "unknown-key";

/// The section of the document with this heading stands for the table at `path` of `base`.
struct Section {
    heading: &'static str,
    path: &'static [&'static str],
    base: &'static str,
}

const VAE: &str = r#"
name = "reference"
data = { source = "shapes", count = 2 }
train = {}
record = {}
[model]
kind = "vae"
latent = 2
encoder = []
decoder = [{ dense = { units = 3072 } }]
"#;
const CLASSIFIER: &str = r#"
name = "reference"
data = { source = "mnist" }
train = {}
record = {}
[model]
kind = "classifier"
layers = [{ dense = { units = 10 } }]
"#;
const GAN: &str = r#"
name = "reference"
data = { source = "mnist" }
[model]
kind = "gan"
latent = 2
generator = ["relu"]
discriminator = ["relu"]
"#;
const CUSTOM: &str = r#"
name = "reference"
data = { source = "mnist" }
[model]
kind = "custom"
"#;
const TWO_STREAM: &str = r#"
name = "reference"
data = { source = "clips" }
[model]
kind = "two_stream"
"#;

const fn section(
    heading: &'static str,
    path: &'static [&'static str],
    base: &'static str,
) -> Section {
    Section {
        heading,
        path,
        base,
    }
}

const SECTIONS: [Section; 34] = [
    section("Top level", &[], VAE),
    section("`[data]`", &["data"], VAE),
    section("`augment`", &["data", "augment"], VAE),
    section("`corrupt`", &["data", "corrupt"], VAE),
    section("`[model]`", &["model"], CLASSIFIER),
    section("`kind = \"vae\"`", &["model"], VAE),
    section("`kind = \"classifier\"`", &["model"], CLASSIFIER),
    section("`kind = \"gan\"`", &["model"], GAN),
    section("`kind = \"two_stream\"`", &["model"], TWO_STREAM),
    section("`kind = \"custom\"`", &["model"], CUSTOM),
    section("`second_latent`", &["model", "second_latent"], VAE),
    section(
        "Layers with one value",
        &["model", "layers", "0"],
        CLASSIFIER,
    ),
    section("`dense`", &["model", "layers", "0", "dense"], CLASSIFIER),
    section("`conv2d`", &["model", "layers", "0", "conv2d"], CLASSIFIER),
    section(
        "`conv_transpose2d`",
        &["model", "layers", "0", "conv_transpose2d"],
        CLASSIFIER,
    ),
    section(
        "`max_pool2d`",
        &["model", "layers", "0", "max_pool2d"],
        CLASSIFIER,
    ),
    section(
        "`avg_pool2d`",
        &["model", "layers", "0", "avg_pool2d"],
        CLASSIFIER,
    ),
    section(
        "`upsample`",
        &["model", "layers", "0", "upsample"],
        CLASSIFIER,
    ),
    section(
        "`leaky_relu`",
        &["model", "layers", "0", "leaky_relu"],
        CLASSIFIER,
    ),
    section("`elu`", &["model", "layers", "0", "elu"], CLASSIFIER),
    section("`affine`", &["model", "layers", "0", "affine"], CLASSIFIER),
    section(
        "`batch_norm`",
        &["model", "layers", "0", "batch_norm"],
        CLASSIFIER,
    ),
    section("`[train]`", &["train"], VAE),
    section("`sgd`", &["train", "optimizer", "sgd"], VAE),
    section("`adam`", &["train", "optimizer", "adam"], VAE),
    section("`adamw`", &["train", "optimizer", "adamw"], VAE),
    section("`rmsprop`", &["train", "optimizer", "rmsprop"], VAE),
    section("`constant`", &["train", "schedule", "constant"], VAE),
    section("`step`", &["train", "schedule", "step"], VAE),
    section("`cosine`", &["train", "schedule", "cosine"], VAE),
    section("`clip`", &["train", "clip"], VAE),
    section("`[record]`", &["record"], VAE),
    section("`[validate]`", &["validate"], VAE),
    section("`[detect]`", &["detect"], VAE),
];

/// Values that stand for required keys, and for optional ones whose table of the document has no default.
fn sample(key: &str) -> Value {
    let text = match key {
        "name" => "\"x\"",
        "data" => "{ source = \"shapes\", count = 2 }",
        "model" => {
            "{ kind = \"vae\", latent = 2, encoder = [], decoder = [{ dense = { units = 3072 } }] }"
        }
        "source" => "\"shapes\"",
        "kind" => "\"classifier\"",
        "path" => "\"images\"",
        "noise_file" => "\"noise.npy\"",
        "log_variance_floor" => "-4.0",
        "memory" | "budget" => "\"64 MiB\"",
        "second_latent" => "{ units = 2 }",
        "train" | "record" | "detect" | "validate" | "settings" => "{}",
        "augment" => "{ flip = true }",
        "corrupt" => "{ count = 1 }",
        "samples" => "[0, 1]",
        "frozen" => "[\"decoder\"]",
        "class_shares" => "[1.0, 0.5]",
        "encoder" | "decoder" | "residual" => "[]",
        "layers" | "generator" | "discriminator" => "[\"relu\"]",
        "reshape" => "[784]",
        "discriminator_optimizer" => "{ sgd = { lr = 0.1 } }",
        "clip" => "{ norm = 1.0 }",
        "lr" | "slope" | "alpha" | "scale" | "shift" | "dropout" | "factor" | "ema" | "norm"
        | "value" | "weight_clip" | "gradient_penalty" => "0.5",
        "steps" => "100",
        "latent" | "condition" | "limit" | "units" | "channels" | "kernel" | "every" | "count" => {
            "3"
        }
        other => panic!("no sample value for the key '{other}'"),
    };
    value(text)
}

pub fn value(text: &str) -> Value {
    let mut table: Table = toml::from_str(&format!("x = {text}")).expect(text);
    table.remove("x").expect(text)
}

/// The table at `path` in `root`, made where it does not exist.
fn table_at<'a>(root: &'a mut Table, path: &[&str]) -> &'a mut Table {
    let [first, rest @ ..] = path else {
        return root;
    };
    if let ["layers", "0", inner @ ..] = path {
        // The layer under test comes before one that takes any shape.
        let layers = value("[{}, { dense = { units = 10 } }]");
        let exists = matches!(root["layers"].as_array(), Some(layers) if layers.len() == 2);
        if !exists {
            root.insert("layers".to_owned(), layers);
        }
        let layers = root["layers"].as_array_mut().expect("a list");
        return table_at(layers[0].as_table_mut().expect("a table"), inner);
    }
    let empty = Value::Table(Table::new());
    let inner = root.entry(*first).or_insert(empty);
    table_at(inner.as_table_mut().expect("a table"), rest)
}

impl Section {
    /// Whether the table has one of the documented keys, instead of any number of them.
    fn is_variant(&self) -> bool {
        ["`clip`", "Layers with one value"].contains(&self.heading)
    }

    /// A sound scenario in which the table at this section's path has its required keys and no others.
    fn minimal(&self, rows: &[Row]) -> Table {
        let mut root: Table = toml::from_str(self.base).expect(self.heading);
        let table = table_at(&mut root, self.path);
        for row in rows {
            if matches!(row.default, Default::Required)
                && !self.is_variant()
                && !table.contains_key(&row.key)
            {
                // A learning rate's factor is a number, an upsampling's a pair.
                let sample = match row.kind {
                    Type::Pair => value("2"),
                    _ => sample(&row.key),
                };
                table.insert(row.key.clone(), sample);
            }
        }
        match self.heading {
            "`corrupt`" => drop(table.insert("count".to_owned(), value("1"))),
            "`clip`" => drop(table.insert("norm".to_owned(), value("1.0"))),
            "Layers with one value" => drop(table.insert("dropout".to_owned(), value("0.5"))),
            _ => {}
        }
        root
    }

    /// The same with `key` set, and with what has to change around it so that it may be there.
    fn with(&self, rows: &[Row], key: &str, value: Value) -> Table {
        let mut root = self.minimal(rows);
        let table = table_at(&mut root, self.path);
        match (self.heading, key) {
            ("`corrupt`", "samples") | ("`clip`", _) | ("Layers with one value", _) => {
                table.clear()
            }
            ("`[data]`", "path") => {
                table.clear();
                table.insert("source".to_owned(), "npy".into());
            }
            ("`[data]`", "task") => drop(table.insert("source".to_owned(), "clips".into())),
            ("`cosine`", "steps") => {}
            ("`conv_transpose2d`", "output_padding") => {
                table.insert("stride".to_owned(), 2.into());
            }
            _ => {}
        }
        table.insert(key.to_owned(), value);
        root
    }

    /// The names that the program knows where `unknown` is written.
    fn known(&self, mut root: Table, key: &str, unknown: Value) -> BTreeSet<String> {
        let table = table_at(&mut root, self.path);
        if self.is_variant() {
            table.clear();
        }
        table.insert(key.to_owned(), unknown);
        let error = parse(&root).expect_err(self.heading);
        // Keys of a section, or words and tables of one key.
        let names = ["may be here are ", "use one of "]
            .iter()
            .find_map(|start| error.split_once(start))
            .unwrap_or_else(|| panic!("{}: {error}", self.heading));
        let name = |text: &str| {
            let text = text.trim_matches(['{', '}', '"', ' ']);
            text.split(" =").next().unwrap_or_default().to_owned()
        };
        names.1.split(", ").map(name).collect()
    }
}

/// Reads a scenario, and builds a classifier's graph, which is when its layers' ranges are checked.
fn parse(root: &Table) -> Result<Scenario, String> {
    let text = toml::to_string(root).expect("a table");
    let scenario = Scenario::parse(&text, "reference", &[]).map_err(|error| error.to_string())?;
    if let ModelConfig::Classifier(config) = scenario.model() {
        let built = config.build(MNIST);
        built.map_err(|error| error.to_string())?;
    }
    Ok(scenario)
}

/// What a scenario says, with defaults filled in.
fn meaning(scenario: &Scenario) -> impl PartialEq + std::fmt::Debug + use<> {
    let generates = scenario.data.source == Source::Shapes;
    let mut data = scenario.data.clone();
    let images = generates.then(|| {
        (data.size, data.count) = (None, None);
        (data.background, data.flat, data.label_noise) = (None, None, None);
        (data.scale, data.shift, data.texture) = (None, None, None);
        let mut whole = scenario.clone();
        whole.validate = None;
        let images = whole.images().expect("generated");
        (images.pixels, format!("{:?}", images.scaling))
    });
    data.task = Some(data.task.unwrap_or_default());
    // An optimizer is what it does: the third of three updates, so that each of its settings shows.
    let update = |optimizer: &Optimizer| {
        let mut moments = vec![vec![0.5]; 3];
        let mut weights = [0.7];
        for step in 0..3 {
            optimizer.reference_step(&mut weights, &[0.3], &mut moments, step);
        }
        weights[0]
    };
    let mut train = scenario.train.clone();
    let updates = update(&train.optimizer);
    train.optimizer = Optimizer::default();
    (
        (scenario.name.clone(), scenario.seed, scenario.model()),
        (
            data,
            images,
            train,
            updates,
            scenario.record.clone(),
            scenario.detect,
        ),
        scenario.validate.clone(),
    )
}

fn document() -> String {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios.md"))
}

/// Every section that has keys, with its rows of the document.
fn sections() -> Vec<(&'static Section, Vec<Row>)> {
    let mut tables = tables(&document());
    let mut found = Vec::new();
    for section in &SECTIONS {
        let rows = tables.remove(section.heading);
        found.push((
            section,
            rows.unwrap_or_else(|| panic!("no table below '{}'", section.heading)),
        ));
    }
    assert!(tables.is_empty(), "unknown tables: {:?}", tables.keys());
    found
}

fn keys(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().map(|row| row.key.clone()).collect()
}

#[test]
fn documented_keys_are_those_of_the_program() {
    let mut model_keys = BTreeSet::new();
    let mut known_model_keys = BTreeSet::new();
    let mut layers = BTreeSet::new();
    for (section, rows) in sections() {
        let known = section.known(section.minimal(&rows), UNKNOWN, 0.into());
        let documented = keys(&rows);
        assert_eq!(
            documented.len(),
            rows.len(),
            "{}: a key twice",
            section.heading
        );
        match section.path {
            ["model"] => {
                model_keys.extend(documented);
                known_model_keys.extend(known);
            }
            // Variants: the known ones include those that have a section of their own.
            ["model", "layers", "0"] => layers.extend(documented),
            ["model", "layers", "0", name] => {
                layers.insert((*name).to_owned());
                assert_eq!(documented, known, "{}", section.heading);
            }
            _ => assert_eq!(documented, known, "{}", section.heading),
        }
    }
    assert_eq!(model_keys, known_model_keys);

    // Layers: those with keys, those with one value and those that are a word.
    let text = document();
    let words = text.lines().filter_map(|line| line.strip_prefix("| `\""));
    layers.extend(words.filter_map(|line| Some(line.split_once("\"`")?.0.to_owned())));
    let section = &SECTIONS[6];
    let known = section.known(section.minimal(&[]), "layers", value("[\"unknown\"]"));
    assert_eq!(layers, known);

    // Optimizers and schedules have a section each.
    for key in ["optimizer", "schedule"] {
        let section = section_of_train();
        let known = section.known(section.minimal(&[]), key, value("{ unknown = {} }"));
        let documented: BTreeSet<String> = SECTIONS
            .iter()
            .filter(|section| section.path.len() == 3 && section.path[1] == key)
            .map(|section| section.path[2].to_owned())
            .collect();
        assert_eq!(documented, known);
    }
}

fn section_of_train() -> &'static Section {
    let found = SECTIONS.iter().find(|section| section.path == ["train"]);
    found.expect("there is one")
}

/// A kind of model takes its own keys and refuses those of the others.
#[test]
fn kinds_of_models_have_the_documented_keys() {
    let all = sections();
    let kinds: Vec<_> = all
        .iter()
        .filter(|(section, _)| section.heading.starts_with("`kind"))
        .collect();
    assert_eq!(kinds.len(), 5);
    for (section, rows) in &kinds {
        for (_, other_rows) in &kinds {
            for other in other_rows {
                let value = other.default.value().unwrap_or_else(|| sample(&other.key));
                let result = parse(&section.with(rows, &other.key, value));
                let own = rows.iter().any(|row| row.key == other.key);
                match result {
                    Ok(_) => assert!(own, "{}: {}", section.heading, other.key),
                    // Layers that do not end in ten logits are the other checks' matter.
                    Err(error) => assert!(
                        own != error.contains("does not belong"),
                        "{}: {error}",
                        section.heading
                    ),
                }
            }
        }
    }
}

#[test]
fn documented_types_are_those_of_the_program() {
    let values = [
        ("boolean", "true"),
        ("integer", "3"),
        ("number", "0.5"),
        ("string", "\"unknown\""),
        ("array", "[[[]]]"),
        ("table", "{ unknown = 1 }"),
    ];
    for (section, rows) in sections() {
        for row in &rows {
            if let Type::OneOf(words) = &row.kind {
                let known = section.known(section.minimal(&rows), &row.key, value("\"unknown\""));
                assert_eq!(words, &known, "{}: {}", section.heading, row.key);
            }
            for (kind, text) in values {
                if row.kind.accepts(kind) {
                    continue;
                }
                let result = parse(&section.with(&rows, &row.key, value(text)));
                assert!(result.is_err(), "{}: {} = {text}", section.heading, row.key);
            }
            let good = row.default.value().unwrap_or_else(|| match row.kind {
                Type::Pair => value("2"),
                _ => sample(&row.key),
            });
            if section.path.first() == Some(&"model") && matches!(row.kind, Type::Layers) {
                continue; // Whether layers fit is a matter of the data.
            }
            let result = parse(&section.with(&rows, &row.key, good.clone()));
            assert!(
                result.is_ok(),
                "{}: {} = {good}: {result:?}",
                section.heading,
                row.key
            );
        }
    }
}

/// A key set to its documented default says the same as no key.
#[test]
fn documented_defaults_are_those_of_the_program() {
    for (section, rows) in sections() {
        for row in &rows {
            let name = format!("{}: {}", section.heading, row.key);
            let mut without = section.with(&rows, &row.key, 0.into());
            table_at(&mut without, section.path).remove(&row.key);
            let is_one_of_two = section.heading == "`corrupt`" && row.key != "scale";
            match &row.default {
                Default::Required => assert!(parse(&without).is_err(), "{name}"),
                _ if section.is_variant() || is_one_of_two || row.key == "path" => {}
                Default::Words => assert!(parse(&without).is_ok(), "{name}"),
                Default::None => {
                    let scenario = parse(&without).expect(&name);
                    let mut written: Table = toml::from_str(&scenario.to_toml()).unwrap();
                    let written = table_at(&mut written, section.path);
                    assert!(!written.contains_key(&row.key), "{name}");
                }
                Default::Value(default) => {
                    // `count = 4096` makes many images; small ones do.
                    if row.key == "count" {
                        table_at(&mut without, section.path).insert("size".to_owned(), 4.into());
                    }
                    let mut with = without.clone();
                    table_at(&mut with, section.path).insert(row.key.clone(), default.clone());
                    let (without, with) = (parse(&without), parse(&with));
                    let (without, with) = (without.expect(&name), with.expect(&name));
                    assert!(meaning(&without) == meaning(&with), "{name}");
                }
            }
        }
    }
}

/// The ends of each range, and what lies just beyond them.
#[test]
fn documented_ranges_are_those_of_the_program() {
    for (section, rows) in sections() {
        for row in &rows {
            for (number, accepted) in row.probes() {
                let result = parse(&section.with(&rows, &row.key, number.clone()));
                assert_eq!(
                    result.is_ok(),
                    accepted,
                    "{}: {} = {number}: {:?}",
                    section.heading,
                    row.key,
                    result.err()
                );
            }
        }
    }
}

#[test]
fn documented_scenarios_are_the_built_in_ones() {
    let text = document();
    let (_, section) = text.split_once("\n## Built-in scenarios").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: Vec<&str> = rows
        .filter_map(|row| Some(row.split_once('`')?.0))
        .collect();
    let mut names: Vec<&str> = BUILT_IN.iter().map(|scenario| scenario.name).collect();
    let mut sorted = documented.clone();
    names.sort();
    sorted.sort();
    assert_eq!(sorted, names);
    for line in section.lines().filter(|line| line.contains("**fails:**")) {
        assert!(line.contains("Fix: "), "{line}");
        // The setting that fixes it is one that the scenario has.
        if let Some((_, set)) = line.split_once("`--set ") {
            let name = line.split('`').nth(1).unwrap();
            let set = set.split('`').next().unwrap().to_owned();
            Scenario::load(name, &[set]).unwrap();
        }
    }
}

/// Every TOML block of the documents is a scenario, or part of one.
#[test]
fn toml_blocks_of_the_documents_are_scenarios() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        files.push(entry.unwrap().path());
    }
    let mut blocks = 0;
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "md"))
    {
        let text = read(file);
        for block in text.split("```toml\n").skip(1) {
            let (block, _) = block.split_once("```").expect("a block ends");
            let part: Table = toml::from_str(block).unwrap_or_else(|error| panic!("{error}"));
            let mut whole: Table = if part.contains_key("name") {
                Table::new()
            } else {
                toml::from_str(VAE).unwrap()
            };
            whole.extend(part);
            let text = toml::to_string(&whole).unwrap();
            Scenario::parse(&text, &file.display().to_string(), &[]).unwrap();
            blocks += 1;
        }
    }
    assert!(blocks >= 1);
}
