//! The command line as scripts rely on it: exit status, streams, messages, help.

mod support;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use assert_cmd::Command;
use lastack::diagnosis::{RULES, TOPICS};
use support::analysis;
use tempfile::TempDir;

#[test]
fn the_gate_decides_between_0_and_1() {
    // One capture with a critical finding, one without any.
    let cases = [
        ("a_recycle_on_snat.pcap", [("never", 0), ("critical", 1), ("warning", 1), ("info", 1)]),
        ("b_recycle_off_snat.pcap", [("never", 0), ("critical", 0), ("warning", 0), ("info", 0)]),
    ];
    for (capture, gates) in cases {
        for (gate, code) in gates {
            let folder = folder();
            let output = analyze(folder.path(), &[&path(capture), "--fail-on", gate, "--format", "json"]);
            if code == 0 && gate == "info" && !findings(folder.path()).is_empty() {
                continue; // what is worth a hint may grow with the rules
            }
            assert_eq!(output.status.code(), Some(code), "{capture} --fail-on {gate}");
        }
    }
}

#[test]
fn without_a_gate_findings_do_not_fail() {
    let folder = folder();
    let output = analyze(folder.path(), &[&path("a_recycle_on_snat.pcap")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!findings(folder.path()).is_empty());
}

#[test]
fn a_missing_input_outranks_the_gate() {
    let folder = folder();
    let output = analyze(folder.path(), &[&path("a_recycle_on_snat.pcap"), "missing.pcap", "--fail-on", "critical"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("lastack: missing.pcap: cannot open: "), "{}", text(&output.stderr));
    assert!(findings(folder.path()).contains(&"SYN001".to_owned()), "what could be analysed is still reported");
}

#[test]
fn a_part_says_what_it_left_out_and_what_that_hides() {
    let capture = path("a_recycle_on_snat.pcap");
    let run = |part: &[&str]| {
        let folder = folder();
        let output = analyze(folder.path(), &[&[capture.as_str(), "--format", "json"], part].concat());
        assert_eq!(output.status.code(), Some(0), "{part:?}: {}", text(&output.stderr));
        report(folder.path())
    };
    let count = |report: &serde_json::Value, name: &str| report["inputs"][0][name].as_u64().unwrap();
    let whole = run(&[]);
    assert_eq!((count(&whole, "left_out"), &whole["options"]["part"]), (0, &serde_json::Value::Null));
    let server = run(&["--host", "192.0.2.10"]);
    assert_eq!(server["totals"]["connections"], whole["totals"]["connections"]);
    let none = run(&["--port", "9"]);
    assert_eq!((count(&none, "packets"), count(&none, "segments")), (count(&whole, "packets"), 0));
    assert_eq!(count(&none, "left_out"), count(&whole, "segments"));
    let hidden: Vec<&str> =
        none["not_judged"].as_array().unwrap().iter().map(|n| n["rule"].as_str().unwrap()).collect();
    assert!(hidden.contains(&"SYN001") && hidden.contains(&"TW003"), "{hidden:?}");
    let syns = run(&["--filter", "syn and not ack"]);
    assert_eq!(count(&syns, "segments"), whole["inputs"][0]["tcp"]["syn"].as_u64().unwrap());
    let first = whole["inputs"][0]["first_packet"].as_str().unwrap();
    let early = run(&["--between", &format!("{first},{first}")]);
    assert_eq!(early["inputs"][0]["last_packet"], whole["inputs"][0]["first_packet"]);
    assert!(count(&early, "left_out") > 100);
}

#[test]
fn wrong_arguments_are_2_and_say_what_was_expected() {
    let capture = path("tw_reuse_sa_ts1.pcap");
    for (arguments, says) in [
        (vec!["analyze"], "<INPUT>"),
        (vec!["analyze", &capture, "--format", "docx"], "html, png, json, md, csv, jsonl, junit, sarif, github"),
        (vec!["analyze", &capture, "--fail-on", "bad"], "critical, warning, info, never"),
        (vec!["analyze", &capture, "--msl", "soon"], "\"soon\" is no number of seconds"),
        (vec!["analyze", &capture, "--msl", "0"], "not between 0 and 86400"),
        (vec!["analyze", &capture, "--filter", "port https"], "where a port is expected"),
        (vec!["analyze", &capture, "--between", "10,5"], "is not T1,T2"),
        (vec!["analyze", &capture, "--kernel", "10.0.0.1"], "ADDRESS=VERSION"),
        (vec!["analyze", &capture, "--no-such-option"], "--no-such-option"),
        (vec!["connections", &capture, "--format", "xml"], "table, csv, jsonl"),
        (vec!["explain", "SYN999"], "no rule and no topic"),
        (vec!["unravel"], "unravel"),
        (vec![], "Usage: lastack"),
    ] {
        let folder = folder();
        let output = run(folder.path(), &arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(says), "{arguments:?} says {message:?}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints {}", text(&output.stdout));
    }
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("thesis.md"), "mine").unwrap();
    let output = analyze(folder.path(), &[&path("tw_reuse_sa_ts1.pcap"), "--out", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("thesis.md"), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(folder.path().join("thesis.md")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_report_replaces_the_one_before() {
    let folder = folder();
    let capture = path("a_recycle_on_snat.pcap");
    analyze(folder.path(), &[&capture]);
    assert!(folder.path().join("lastack-report/report.html").exists());
    assert!(folder.path().join("lastack-report/charts").exists());
    analyze(folder.path(), &[&capture, "--format", "json"]);
    assert_eq!(names(&folder.path().join("lastack-report")), ["report.json"]);
}

#[test]
fn formats_make_the_files_that_they_promise() {
    let capture = path("a_recycle_on_snat.pcap");
    for (format, file) in [
        ("html", "report.html"),
        ("json", "report.json"),
        ("md", "report.md"),
        ("csv", "connections.csv"),
        ("png", "charts"),
        ("jsonl", "report.jsonl"),
        ("junit", "junit.xml"),
        ("sarif", "report.sarif"),
        ("github", "annotations.txt"),
    ] {
        let folder = folder();
        analyze(folder.path(), &[&capture, "--format", format]);
        assert_eq!(names(&folder.path().join("lastack-report")), [file]);
    }
}

#[test]
fn the_summary_names_findings_first_and_the_report_last() {
    let folder = folder();
    let output = analyze(folder.path(), &[&path("a_recycle_on_snat.pcap")]);
    let summary = text(&output.stdout);
    let lines: Vec<&str> = summary.lines().collect();
    assert!(lines[0].starts_with("CRITICAL SYN001  "), "{summary}");
    assert_eq!(lines.last(), Some(&"Report: lastack-report/report.html"));
    assert!(lines.iter().any(|line| line.contains(" packets, ") && line.contains(" connections, ")), "{summary}");
    assert!(!summary.contains('\x1b'), "no colours where no terminal is");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn colours_come_when_asked_for() {
    let folder = folder();
    let output = analyze(folder.path(), &[&path("a_recycle_on_snat.pcap"), "--color", "always"]);
    assert!(text(&output.stdout).starts_with("\x1b[1;31mCRITICAL\x1b[0m SYN001"), "{}", text(&output.stdout));
}

#[test]
fn quiet_says_nothing() {
    let folder = folder();
    let output = analyze(folder.path(), &[&path("a_recycle_on_snat.pcap"), "--quiet"]);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn thresholds_stand_in_the_report() {
    let folder = folder();
    analyze(folder.path(), &[&path("tw_reuse_sa_ts1.pcap"), "--msl", "120", "--kernel", "10.77.2.1=4.9"]);
    let report = report(folder.path());
    assert_eq!(report["options"]["msl_s"], 120.0);
    assert_eq!(report["options"]["kernels"]["10.77.2.1"], "4.9");
}

#[test]
fn folders_are_walked_in_order_of_names() {
    let folder = folder();
    for (name, of) in [("b.pcap", "tw_reuse_sa_ts1.pcap"), ("a.pcap", "tw_reuse_sa_ts0_lowisn.pcap")] {
        fs::create_dir_all(folder.path().join("in/deep")).unwrap();
        fs::copy(analysis::fixture(of), folder.path().join("in/deep").join(name)).unwrap();
    }
    fs::write(folder.path().join("in/notes.txt"), "no capture").unwrap();
    let output = analyze(folder.path(), &["in", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "what a folder holds beside captures is no failure");
    let report = report(folder.path());
    let inputs: Vec<_> = report["inputs"].as_array().unwrap().iter().map(|i| (&i["name"], &i["kind"])).collect();
    let expected = [("in/deep/a.pcap", "capture"), ("in/deep/b.pcap", "capture"), ("in/notes.txt", "other")];
    assert_eq!(inputs.len(), 3);
    for ((name, kind), (expected_name, expected_kind)) in inputs.into_iter().zip(expected) {
        assert_eq!((name, kind), (&expected_name.into(), &expected_kind.into()));
    }
}

#[test]
fn connections_print_a_header_and_a_row_each() {
    let capture = path("tw_reuse_sa_ts1.pcap");
    let print = |format: &str| text(&run(Path::new("."), &["connections", &capture, "--format", format]).stdout);
    let (table, csv, jsonl) = (print("table"), print("csv"), print("jsonl"));
    assert!(table.starts_with("conn  client_ip"), "{table}");
    assert!(csv.starts_with("conn,point,input,tunnel,incarnation,client_ip,client_port,"), "{csv}");
    assert_eq!(table.lines().count(), csv.lines().count());
    assert_eq!(jsonl.lines().count() + 1, csv.lines().count());
    for line in jsonl.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.as_object().unwrap().len(), csv.lines().next().unwrap().split(',').count());
    }
    let default = text(&run(Path::new("."), &["connections", &capture]).stdout);
    assert_eq!(default, table);
}

#[test]
fn connections_go_to_a_file_where_one_is_named() {
    let folder = folder();
    let capture = path("tw_reuse_sa_ts1.pcap");
    let output = run(folder.path(), &["connections", &capture, "--format", "csv", "-o", "rows.csv"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let printed = run(folder.path(), &["connections", &capture, "--format", "csv"]).stdout;
    assert_eq!(fs::read(folder.path().join("rows.csv")).unwrap(), printed);
}

#[test]
fn explain_prints_rules_by_code_or_name_and_topics() {
    for rule in RULES {
        // A topic may have a rule's name: the code tells them apart.
        let is_topic = TOPICS.iter().any(|(topic, _)| *topic == rule.name);
        for word in [rule.code, if is_topic { rule.code } else { rule.name }, &rule.code.to_lowercase()] {
            assert_eq!(text(&run(Path::new("."), &["explain", word]).stdout), rule.explanation.en);
        }
    }
    for (topic, page) in TOPICS {
        assert_eq!(text(&run(Path::new("."), &["explain", topic]).stdout), page.en);
    }
    let all = text(&run(Path::new("."), &["explain"]).stdout);
    assert!(RULES.iter().all(|rule| all.contains(rule.code)) && TOPICS.iter().all(|(topic, _)| all.contains(topic)));
}

#[test]
fn rules_are_one_line_each() {
    let rules = text(&run(Path::new("."), &["rules"]).stdout);
    assert_eq!(rules.lines().count(), RULES.len());
    for (line, rule) in rules.lines().zip(RULES) {
        assert!(line.starts_with(rule.code) && line.contains(rule.name) && line.ends_with('.'), "{line}");
    }
}

#[test]
fn help_names_every_command_and_option() {
    let help = text(&run(Path::new("."), &["--help"]).stdout);
    for command in ["analyze", "connections", "explain", "rules"] {
        assert!(help.contains(command), "{help}");
    }
    let analyze = text(&run(Path::new("."), &["analyze", "--help"]).stdout);
    for option in ["--out", "--format", "--fail-on", "--msl", "--kernel", "--threads", "--quiet", "--color", "INPUT"] {
        assert!(analyze.contains(option), "{option} is missing in\n{analyze}");
    }
    let unwrapped = analyze.split_whitespace().collect::<Vec<_>>().join(" ");
    for default in ["[default: lastack-report]", "[default: html,png,json,md]", "[default: never]", "[default: 30]"] {
        assert!(unwrapped.contains(default), "{default} is missing in\n{analyze}");
    }
    let longest = analyze.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "a line of {longest:?} characters");
    let version = text(&run(Path::new("."), &["-V"]).stdout);
    assert_eq!(version.trim(), format!("lastack {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn version_tells_what_was_built() {
    let version = text(&run(Path::new("."), &["--version"]).stdout);
    let facts: Vec<&str> = version.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(version.lines().next(), Some(concat!("lastack ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(facts, ["commit", "target", "profile", "compiler", "schemas", "licence"]);
    assert!(version.contains("compiler: rustc 1.") && version.contains(std::env::consts::ARCH), "{version}");
}

#[test]
fn a_reader_who_leaves_ends_the_work_quietly() {
    let mut program = std::process::Command::new(assert_cmd::cargo::cargo_bin!("lastack"))
        .args(["connections", &path("emulated_recycle_nat2.pcap"), "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    program.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = program.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn escape_sequences_in_names_do_not_reach_the_terminal() {
    let folder = folder();
    let output = run(folder.path(), &["analyze", "\x1b[2Jmissing.pcap"]);
    assert!(!text(&output.stderr).contains('\x1b'), "{:?}", text(&output.stderr));
}

#[test]
fn more_connections_than_are_allowed_are_refused_with_what_to_do() {
    let folder = folder();
    let capture = path("a_recycle_on_snat.pcap");
    let packed = folder.path().join("packed.pcap.gz");
    let mut gzip = flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &fs::read(&capture).unwrap()).unwrap();
    gzip.finish().unwrap();
    for input in [capture.as_str(), packed.to_str().unwrap()] {
        let output = analyze(folder.path(), &[input, "--connections-limit", "100"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("more than 100 connections, the limit that --connections-limit sets"), "{said}");
        assert!(said.contains("--between") && said.contains("docs/cluster.md"), "{said}");
        assert!(!folder.path().join("lastack-report").exists());
    }
    let output = analyze(folder.path(), &[&capture, "--connections-limit", "100000"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A fixture's path from anywhere.
fn path(name: &str) -> String {
    fs::canonicalize(analysis::fixture(name)).unwrap().display().to_string()
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    command.current_dir(folder).env_remove("NO_COLOR").args(arguments).output().unwrap()
}

fn analyze(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, &[&["analyze"], arguments].concat())
}

fn report(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("lastack-report/report.json")).unwrap()).unwrap()
}

/// Rules of all findings.
fn findings(folder: &Path) -> Vec<String> {
    let report = report(folder);
    let rules = report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap());
    rules.map(str::to_owned).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut names: Vec<String> =
        entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
