//! What users rely on, held against what was published: commands, options and their values, and the fields of
//! `report.json` and `index.json`. What was published may grow; what is taken away needs a version that says so
//! (Semantic Versioning 2.0.0, section 8; below 1.0.0 the minor version does, section 4).
//!
//! `UPDATE=1` writes the published contract anew, and still fails where something was taken away.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lastack::report::{index::Index, json};
use support::expected;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn commands_and_options_stay() {
    let mut lines = BTreeSet::new();
    let mut program = lastack::cli::command();
    program.build();
    describe(&program, "lastack", &mut lines);
    assert!(lines.contains("lastack analyze --fail-on <SEVERITY> = critical"), "{lines:#?}");
    hold("reports/contract/cli.txt", &lines);
}

#[test]
fn fields_of_reports_stay() {
    for (name, schema) in [("report", json::schema()), ("index", Index::schema())] {
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let mut lines = BTreeSet::new();
        fields(&schema, &schema["title"], &mut lines);
        for (definition, schema) in schema["$defs"].as_object().unwrap() {
            fields(schema, &definition.as_str().into(), &mut lines);
        }
        assert!(lines.iter().any(|line| line.contains(".fingerprint required: string")), "{lines:#?}");
        hold(&format!("reports/contract/{name}.txt"), &lines);
    }
}

#[test]
fn the_published_schema_of_the_index_is_that_of_the_program() {
    expected::check(Path::new("reports/index.schema.json"), Index::schema().as_bytes());
}

#[test]
fn versions_that_promise_the_same_are_told() {
    for (one, other, same) in [
        ("0.1.0", "0.1.9", true),
        ("0.1.0", "0.2.0", false),
        ("1.2.3", "1.9.0", true),
        ("1.2.3", "2.0.0", false),
        ("0.9.0", "1.0.0", false),
    ] {
        assert_eq!(promises(one) == promises(other), same, "{one} and {other}");
    }
}

/// Commands and options, what they are called, what they take.
fn describe(command: &clap::Command, name: &str, lines: &mut BTreeSet<String>) {
    lines.insert(name.to_owned());
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let value = argument.get_value_names().map_or(String::new(), |names| format!(" <{}>", names.join("> <")));
        let value = if argument.get_action().takes_values() { value } else { String::new() };
        let written = match (argument.get_long(), argument.get_short()) {
            (Some(long), _) => format!("{name} --{long}{value}"),
            (None, Some(short)) => format!("{name} -{short}{value}"),
            (None, None) => format!("{name}{value}"),
        };
        if let (Some(long), Some(short)) = (argument.get_long(), argument.get_short()) {
            lines.insert(format!("{name} -{short} is --{long}"));
        }
        for default in argument.get_default_values().iter().filter(|_| argument.get_action().takes_values()) {
            lines.insert(format!("{written} by default {}", default.display()));
        }
        for possible in argument.get_possible_values() {
            lines.insert(format!("{written} = {}", possible.get_name()));
        }
        lines.insert(written);
    }
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        describe(command, &format!("{name} {}", command.get_name()), lines);
    }
}

/// Fields of an object: whether they are always there, and of which type they are.
fn fields(schema: &serde_json::Value, name: &serde_json::Value, lines: &mut BTreeSet<String>) {
    let name = name.as_str().unwrap();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (field, of) in schema["properties"].as_object().into_iter().flatten() {
        let always = if required.iter().any(|required| required == field) { "required" } else { "optional" };
        let kind = match (&of["type"], of["$ref"].as_str()) {
            (serde_json::Value::String(kind), _) => kind.clone(),
            (serde_json::Value::Array(kinds), _) => {
                kinds.iter().filter_map(|kind| kind.as_str()).collect::<Vec<_>>().join("|")
            }
            (_, Some(reference)) => reference.rsplit('/').next().unwrap().to_owned(),
            _ => "any".to_owned(),
        };
        lines.insert(format!("{name}.{field} {always}: {kind}"));
    }
    for value in schema["enum"].as_array().into_iter().flatten() {
        lines.insert(format!("{name} = {value}"));
    }
    for value in schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str()) {
        lines.insert(format!("{name} = {value:?}"));
    }
}

/// Holds what there is against what was published.
#[track_caller]
fn hold(path: &str, lines: &BTreeSet<String>) {
    if let Ok(published) = fs::read_to_string(path) {
        let mut published = published.lines();
        let version = published.next().unwrap().strip_prefix("version ").unwrap().to_owned();
        let gone: Vec<&str> = published.filter(|line| !lines.contains(*line)).collect();
        assert!(
            gone.is_empty() || promises(&version) != promises(VERSION),
            "{path}: version {VERSION} must have what version {version} has, and lacks\n{}",
            gone.join("\n")
        );
    }
    if expected::updating() || !Path::new(path).exists() {
        assert!(expected::updating(), "{path} is missing; UPDATE=1 makes it");
        fs::create_dir_all("reports/contract").unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, format!("version {VERSION}\n{text}")).unwrap();
    }
}

/// The part of a version that promises what users rely on.
fn promises(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    match (numbers.next().unwrap(), numbers.next().unwrap()) {
        (0, minor) => (0, minor),
        (major, _) => (major, 0),
    }
}
