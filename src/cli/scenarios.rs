//! `trainscope scenarios`

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;
use trainscope::diagnose::static_checks;
use trainscope::trace::Warning;
use trainscope::train::{BUILT_IN, BuiltIn, Inspection, Scenario};
use trainscope::{ByteSize, Error, Result};

use super::Common;

#[derive(Debug, clap::Args)]
pub struct ScenariosArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a built-in scenario, to begin one's own with
    Show {
        /// Its name
        name: String,
    },
    /// Look for faults in a scenario without training; shows its layers, parameters and memory
    Check {
        /// A TOML file or the name of a built-in scenario
        #[arg(value_name = "FILE|NAME")]
        scenario: String,
        /// Change a key of the scenario, such as train.batch=64
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Print the JSON Schema of the format, for editors
    Schema,
}

pub fn run(common: &Common, args: &ScenariosArgs) -> Result<()> {
    match &args.action {
        None => list(common),
        Some(Action::Show { name }) => show(common, name),
        Some(Action::Check { scenario, set }) => check(common, scenario, set),
        Some(Action::Schema) => {
            let schema = Scenario::json_schema();
            if common.json {
                common.print_json(&schema);
            } else {
                let _ = writeln!(std::io::stdout(), "{schema:#}");
            }
            Ok(())
        }
    }
}

/// The names of the built-in scenarios.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|scenario| scenario.name).collect()
}

/// Lists the built-in scenarios.
pub fn list(common: &Common) -> Result<()> {
    for BuiltIn { name, about, .. } in BUILT_IN {
        common.result(&format!("{name:24} {about}"));
    }
    let rows: Vec<_> = BUILT_IN
        .iter()
        .map(|BuiltIn { name, about, .. }| json!({ "name": name, "about": about }))
        .collect();
    common.print_json(&json!({ "scenarios": rows }));
    Ok(())
}

fn show(common: &Common, name: &str) -> Result<()> {
    let found = BUILT_IN.iter().find(|scenario| scenario.name == name);
    let Some(BuiltIn { text, about, .. }) = found else {
        // The error names the nearest one; a file is no built-in scenario.
        Scenario::load(name, &[])?;
        return Err(Error::usage(
            format!("scenarios show {name}"),
            "it is a file, not a built-in scenario",
            format!("name one of: {}", names().join(", ")),
        ));
    };
    if common.json {
        common.print_json(&json!({ "name": name, "about": about, "text": text }));
    } else {
        let _ = write!(std::io::stdout(), "{text}");
    }
    Ok(())
}

fn check(common: &Common, name: &str, set: &[String]) -> Result<()> {
    let checked = Scenario::load(name, set).and_then(|scenario| {
        let inspection = scenario.inspect()?;
        Ok((scenario, inspection))
    });
    let (scenario, inspection) = match checked {
        Ok(found) => found,
        Err(error) => {
            let faults: Vec<String> = std::iter::once(&error)
                .chain(error.further())
                .map(ToString::to_string)
                .collect();
            common.print_json(&json!({ "scenario": name, "faults": faults }));
            return Err(error);
        }
    };
    let warnings = static_checks(&scenario, Some(inspection.data));
    print(common, &inspection, &warnings);
    let tables: Vec<_> = inspection.model.graphs.iter().map(|graph| {
        let layers: Vec<_> = graph.layers.iter().map(|layer| json!({
            "name": layer.name,
            "kind": layer.kind,
            "shape": layer.shape,
            "parameters": layer.parameters.iter().map(|p| p.shape.iter().product::<usize>()).sum::<usize>(),
        })).collect();
        json!({ "name": graph.name, "layers": layers })
    }).collect();
    common.print_json(&json!({
        "scenario": scenario.name,
        "faults": [],
        "samples": inspection.samples,
        "shape": inspection.data.sample,
        "classes": inspection.data.classes,
        "graphs": tables,
        "parameters": inspection.parameters,
        "memory": inspection.memory,
        "warnings": warnings,
    }));
    Ok(())
}

fn print(common: &Common, inspection: &Inspection, warnings: &[Warning]) {
    let shape = |shape: &[usize]| match shape {
        [] => "1".to_owned(),
        sides => {
            let sides: Vec<String> = sides.iter().map(ToString::to_string).collect();
            sides.join(" x ")
        }
    };
    let classes = match inspection.data.classes {
        0 => "without labels".to_owned(),
        classes => format!("of {classes} classes"),
    };
    common.result(&format!(
        "data: {} samples of {}, {classes}",
        inspection.samples,
        shape(&inspection.data.sample)
    ));
    for graph in &inspection.model.graphs {
        common.result(&format!("{}:", graph.name));
        for layer in &graph.layers {
            let parameters: usize = layer
                .parameters
                .iter()
                .map(|parameter| parameter.shape.iter().product::<usize>())
                .sum();
            let parameters = match parameters {
                0 => String::new(),
                count => format!("{count} parameters"),
            };
            let row = format!(
                "  {:24} {:20} {:16} {parameters}",
                layer.name,
                layer.kind,
                shape(&layer.shape)
            );
            common.result(row.trim_end());
        }
    }
    common.result(&format!("parameters: {}", inspection.parameters));
    common.result(&format!(
        "memory: about {} of the adapter's while training",
        ByteSize(inspection.memory)
    ));
    print_warnings(common, warnings);
    if warnings.is_empty() {
        common.result("no faults, no warnings");
    }
}

/// A line for each warning.
pub fn print_warnings(common: &Common, warnings: &[Warning]) {
    for warning in warnings {
        common.note(&format!("warning ({}): {warning}", warning.cause));
        for set in &warning.set {
            common.note(&format!("  --set '{set}'"));
        }
    }
}
