//! Licences of everything that is built in: `THIRD-PARTY.md` names each crate with its licence and has the texts.
//!
//! cargo-deny (`.ci/deny`, `deny.toml`) checks that the licences are permitted; this sees to it that none is missing.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::expected;

#[test]
fn third_party_licences_are_all_there() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return eprintln!("NOT RUN: the list is that of Linux on x86-64");
    }
    let crates = built_in();
    assert!(crates.len() > 50, "crates are missing");
    let without: Vec<&Crate> = crates.iter().filter(|one| one.licence.is_empty()).collect();
    assert!(without.is_empty(), "without a licence: {without:?}");
    expected::check(Path::new("THIRD-PARTY.md"), page(&crates).as_bytes());
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    texts: Vec<String>,
}

/// Crates that the program is built of: not what only builds or tests it.
fn built_in() -> BTreeSet<Crate> {
    let arguments = "metadata --format-version 1 --locked --offline --filter-platform x86_64-unknown-linux-gnu";
    let output = Command::new(env!("CARGO")).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_id = |list: &Value| -> BTreeMap<String, Value> {
        list.as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone())).collect()
    };
    let (packages, nodes) = (by_id(&metadata["packages"]), by_id(&metadata["resolve"]["nodes"]));
    let root = metadata["resolve"]["root"].as_str().unwrap().to_owned();
    let (mut waiting, mut seen) = (vec![root.clone()], BTreeSet::new());
    while let Some(id) = waiting.pop() {
        if seen.insert(id.clone()) {
            let of_program = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            };
            let dependencies = nodes[&id]["deps"].as_array().unwrap().iter().filter(of_program);
            waiting.extend(dependencies.map(|dependency| dependency["pkg"].as_str().unwrap().to_owned()));
        }
    }
    seen.remove(&root);
    seen.iter().map(|id| one(&packages[id])).collect()
}

fn one(package: &Value) -> Crate {
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let licence = text("license");
    let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned();
    Crate { name: text("name"), version: text("version"), texts: texts(&folder, &licence), licence }
}

/// The texts in a crate's folder. Where MIT is one of a choice, it is chosen.
fn texts(folder: &Path, licence: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| {
            ["LICEN", "COPYING", "UNLICENSE", "NOTICE"].iter().any(|word| name.to_uppercase().starts_with(word))
        })
        .collect();
    names.sort();
    let mit: Vec<String> = names.iter().filter(|name| name.to_uppercase().contains("MIT")).cloned().collect();
    if !mit.is_empty() && !licence.contains("AND") {
        names = mit;
    }
    let read = |name: &String| fs::read(folder.join(name)).unwrap();
    names.iter().map(|name| plain(&String::from_utf8_lossy(&read(name)))).collect()
}

/// The text with the ends of lines as they are here.
fn plain(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').replace('\u{c}', "")
}

fn page(crates: &BTreeSet<Crate>) -> String {
    let mut page = String::from(
        "# What is built in\n\n\
         The program `lastack` is built with these crates (default features, Linux on x86-64), under the licences named. Of a\n\
         choice that has MIT, MIT is taken. The texts follow, each once. `UPDATE=1 cargo test --test licences` writes this file.\n\n\
         | crate | version | licence |\n|---|---|---|\n",
    );
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Crate { name, version, licence, texts } in crates {
        writeln!(page, "| {name} | {version} | {licence} |").unwrap();
        texts.iter().for_each(|text| users.entry(text).or_default().push(name));
    }
    let silent: Vec<&str> = crates.iter().filter(|one| one.texts.is_empty()).map(|one| one.name.as_str()).collect();
    writeln!(
        page,
        "\nWithout a text in their packages, and taken under Apache-2.0 (`LICENSE-APACHE`): {}.",
        silent.join(", ")
    )
    .unwrap();
    let apache = |one: &Crate| !one.texts.is_empty() || one.licence.contains("Apache-2.0");
    assert!(crates.iter().all(apache), "a crate has no text, and no licence that is at hand");
    let mut texts: Vec<(Vec<&str>, &str)> = users.into_iter().map(|(text, users)| (users, text)).collect();
    texts.sort();
    for (users, text) in texts {
        write!(page, "\n## {}\n\n```text\n{}\n```\n", users.join(", "), text.replace("```", "'''")).unwrap();
    }
    page
}
