//! What documents say holds: snippets for CI run as they stand there, tables name every column.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_yaml_ng::Value;
use support::program::{capture, cases, folder, json, runs, text};
use tempfile::TempDir;

const GUIDE: &str = "docs/ci.md";

/// Fenced pieces of a document in a language, by the heading that they stand under.
fn snippets(language: &str) -> Vec<(String, String)> {
    let document = fs::read_to_string(GUIDE).unwrap();
    let (mut heading, mut open, mut found) = (String::new(), None, Vec::new());
    for line in document.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(of)) => open = Some((of.to_owned(), String::new())),
            (Some(_), Some(_)) => {
                let (of, piece) = open.take().unwrap();
                if of == language {
                    found.push((heading.clone(), piece));
                }
            }
            (Some((_, piece)), None) => piece.push_str(&format!("{line}\n")),
            (None, None) if line.starts_with('#') => heading = line.trim_start_matches(['#', ' ']).to_owned(),
            (None, None) => {}
        }
    }
    found
}

/// A checkout with captures, in which jobs run; `faulty` decides whether there is anything to find.
fn checkout(faulty: bool) -> TempDir {
    let home = folder();
    cases(home.path(), &[("captures/a", "tw_reuse_sa_ts1.pcap")]);
    if faulty {
        cases(home.path(), &[("captures/b", "a_recycle_on_snat.pcap")]);
    }
    home
}

/// Runs a script as the runners of both services do: a shell that stops at the first failure.
fn job(home: &Path, script: &str) -> Output {
    let program = assert_cmd::cargo::cargo_bin!("lastack");
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", script]).current_dir(home).env("PATH", path);
    shell.env("GITHUB_STEP_SUMMARY", home.join("summary.md")).output().unwrap()
}

#[track_caller]
fn ends_with(output: &Output, status: i32, script: &str) {
    assert_eq!(output.status.code(), Some(status), "{script}\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn shell_snippets_run() {
    let scripts = snippets("sh");
    assert_eq!(scripts.len(), 4);
    let gate: BTreeMap<&str, i32> = [("A plain shell", 1)].into();
    for (heading, script) in &scripts {
        let home = checkout(true);
        ends_with(&job(home.path(), script), gate.get(heading.as_str()).copied().unwrap_or(0), script);
        let home = checkout(false);
        let clean = job(home.path(), script);
        // Where nothing is found, `grep` finds nothing either.
        let expected = i32::from(script.contains("grep") && !text(&clean.stdout).contains("finding"));
        ends_with(&clean, expected, script);
    }
}

#[test]
fn the_github_workflow_runs() {
    let (_, workflow) = snippets("yaml").into_iter().find(|(heading, _)| heading == "GitHub Actions").unwrap();
    let workflow: Value = serde_yaml_ng::from_str(&workflow).unwrap();
    let steps = workflow["jobs"]["lastack"]["steps"].as_sequence().unwrap();
    for (faulty, status) in [(true, 1), (false, 0)] {
        let home = checkout(faulty);
        let mut failed = false;
        for step in steps {
            let Some(script) = step["run"].as_str().filter(|script| !script.starts_with("cargo install")) else {
                continue;
            };
            if failed && step["if"].as_str() != Some("always()") {
                continue;
            }
            let output = job(home.path(), script);
            if script.contains("--fail-on") {
                ends_with(&output, status, script);
                assert_eq!(text(&output.stdout).contains("::error title=SYN001"), faulty);
                failed = status != 0;
            } else {
                ends_with(&output, 0, script);
            }
        }
        assert!(fs::read_to_string(home.path().join("summary.md")).unwrap().contains("lastack"));
        // What later steps take is there.
        for step in steps.iter().filter(|step| step["with"].is_mapping()) {
            let path = step["with"]["sarif_file"].as_str().or(step["with"]["path"].as_str()).unwrap();
            assert!(home.path().join(path).exists(), "{path} is missing");
        }
        assert_eq!(json(&home.path().join("report/report.sarif"))["version"], "2.1.0");
    }
}

#[test]
fn the_gitlab_job_runs() {
    let (_, pipeline) = snippets("yaml").into_iter().find(|(heading, _)| heading == "GitLab CI").unwrap();
    let pipeline: Value = serde_yaml_ng::from_str(&pipeline).unwrap();
    let job_of = &pipeline["lastack"];
    for (faulty, status) in [(true, 1), (false, 0)] {
        let home = checkout(faulty);
        for script in job_of["script"].as_sequence().unwrap() {
            let script = script.as_str().unwrap();
            ends_with(&job(home.path(), script), status, script);
        }
        let pattern = job_of["artifacts"]["reports"]["junit"].as_str().unwrap();
        let found = job(home.path(), &format!("ls {pattern}"));
        let reports: Vec<String> = text(&found.stdout).lines().map(str::to_owned).collect();
        assert_eq!(reports.len(), 1 + usize::from(faulty), "{reports:?}");
        let failures: usize = reports.iter().map(|path| failures(&home.path().join(path))).sum();
        assert_eq!(failures, usize::from(faulty));
    }
}

fn failures(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let xml = roxmltree::Document::parse(&text).unwrap();
    xml.descendants().filter(|node| node.has_tag_name("failure")).count()
}

#[test]
fn the_example_of_the_configuration_is_right() {
    let (_, config) = snippets("toml").remove(0);
    let home = checkout(true);
    runs(home.path(), 0, &["analyze", "captures", "--no-config", "--format", "json", "--out", "before"]);
    fs::copy(home.path().join("before/report.json"), home.path().join("baseline.json")).unwrap();
    fs::write(home.path().join("lastack.toml"), config).unwrap();
    runs(home.path(), 0, &["analyze", "captures", "--today", "2026-12-31", "--format", "json"]);
    let report = json(&home.path().join("lastack-report/report.json"));
    assert_eq!(
        (&report["gate"]["fail_on"], &report["options"]["kernels"]["192.0.2.10"]),
        (&"warning".into(), &"4.9".into())
    );
}

#[test]
fn every_column_of_the_connection_table_is_documented() {
    let home = folder();
    let file = capture("tw_reuse_sa_ts1.pcap");
    let table = text(&runs(home.path(), 0, &["connections", "--format", "csv", file.to_str().unwrap()]).stdout);
    let columns: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let document = fs::read_to_string("docs/connections.md").unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), columns);
}
