//! The report as it is published: the sample beside the README, and the JSON Schema that other programs rely on.

mod support;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use lastack::report::json;
use support::{analysis, expected};

/// The capture that the sample report is made of.
const SAMPLE: &str = "fixtures/captures/a_recycle_on_snat.pcap";

#[test]
fn the_sample_report_is_what_the_program_writes() {
    let written = tempfile::tempdir().unwrap();
    let published = Path::new("reports/sample");
    lastack().args(["analyze", "--quiet", SAMPLE, "--out"]).arg(written.path()).assert().code(0);
    let files = files(written.path());
    assert!(files.iter().any(|name| name == "report.html") && files.iter().any(|name| name.ends_with(".png")));
    if expected::updating() && published.exists() {
        fs::remove_dir_all(published).unwrap();
    }
    for name in &files {
        expected::check(&published.join(name), &fs::read(written.path().join(name)).unwrap());
    }
    assert_eq!(self::files(published), files, "files of the sample");
}

#[test]
fn the_published_schema_is_that_of_the_program() {
    expected::check(Path::new("reports/report.schema.json"), json::schema().as_bytes());
}

#[test]
fn reports_are_valid_by_the_schema() {
    let validator = jsonschema::validator_for(&parsed(&json::schema())).unwrap();
    for path in analysis::fixtures() {
        let report = analysis::report_json(&analysis::evidence(&[&path], 1));
        let report = parsed(&String::from_utf8(report).unwrap());
        let errors: Vec<String> =
            validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}:\n{}", path.display(), errors.join("\n"));
    }
}

#[test]
fn reports_keep_their_contract() {
    let report = analysis::report_json(&analysis::evidence(&[Path::new(SAMPLE)], 1));
    let report = parsed(&String::from_utf8(report).unwrap());
    assert_eq!(report["schema"], "lastack-report/1");
    has(
        &report,
        "schema tool options inputs points totals findings not_judged clients services hosts syn_causes charts",
    );
    has(
        &report["inputs"][0],
        "id name kind format bytes digest point packets segments first_packet last_packet link_types tcp duplicates skipped truncated",
    );
    has(&report["inputs"][0]["tcp"], "streams syn synack fin rst");
    has(&report["totals"], "packets segments connections attempts attempts_unanswered reuses closes");
    has(
        &report["findings"][0],
        "id rule name severity confidence title summary point first_time last_time fingerprint subject metrics tables exhibits exhibits_total selector ruled_out advice display_filter references",
    );
    has(&report["findings"][0]["exhibits"][0], "input frame time text");
    has(
        &report["findings"][0]["metrics"],
        "syns_dropped syns_either attempts_failed syns_answered contradictions unexplained undecided clocks",
    );
    assert_eq!(report["findings"][0]["rule"], "SYN001");
    assert_eq!(report["findings"][0]["metrics"]["syns_dropped"], 231.0, "as the server's kernel counted");
}

#[test]
fn no_report_asks_the_network_for_anything() {
    let page = fs::read_to_string("reports/sample/report.html").unwrap();
    for mark in [
        "src=\"http",
        "href=\"//",
        "src=\"//",
        "url(http",
        "@import",
        "<link rel=\"stylesheet",
        "<script src",
        "<iframe",
        "fetch(",
        "XMLHttpRequest",
    ] {
        assert!(!page.contains(mark), "the page contains {mark}");
    }
}

#[track_caller]
fn has(value: &serde_json::Value, fields: &str) {
    for field in fields.split(' ') {
        assert!(value.get(field).is_some(), "{field} is missing");
    }
}

fn parsed(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// Paths below a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

fn lastack() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("lastack"))
}
