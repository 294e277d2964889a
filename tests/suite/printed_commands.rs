//! Commands that the program prints for a person to run: each of their options is one that the command has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use regex::Regex;

/// The text of every source file below a folder.
fn sources(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            all.push((path.display().to_string(), text));
        }
    }
}

fn help(command: &str) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_trainscope"))
        .args([command, "--help"])
        .output()
        .unwrap();
    String::from_utf8(program.stdout).unwrap()
}

#[test]
fn printed_commands_have_the_options_that_they_are_given() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    sources(&source, &mut all);
    let printed = Regex::new(r#""[^"\n]*?trainscope ([a-z]+) ([^"]*)""#).unwrap();
    let option = Regex::new(r"(--[a-z][a-z-]*)").unwrap();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (path, text) in &all {
        for found in printed.captures_iter(text) {
            let (command, rest) = (&found[1], &found[2]);
            let options: Vec<&str> = option.find_iter(rest).map(|found| found.as_str()).collect();
            if options.is_empty() {
                continue;
            }
            let help = helps
                .entry(command.to_owned())
                .or_insert_with(|| help(command));
            assert!(!help.is_empty(), "{path}: there is no command {command}");
            for option in options {
                let is_known =
                    help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n"));
                assert!(is_known, "{path}: trainscope {command} has no {option}");
                seen.insert((command.to_owned(), option.to_owned()));
            }
        }
    }
    // The search finds something at all.
    assert!(
        seen.contains(&("sample".to_owned(), "--quantity".to_owned())),
        "{seen:?}"
    );
    assert!(
        seen.contains(&("replay".to_owned(), "--probe".to_owned())),
        "{seen:?}"
    );
}
