//! The gate as CI jobs rely on it: `lastack.toml`, allow-lists with their last days, baselines, machine formats.

mod support;

use std::fs;
use std::path::Path;

use support::program::{capture, folder, json, run, runs, text};

const FAULT: &str = "a_recycle_on_snat.pcap";

fn analyze(home: &Path, status: i32, name: &str, more: &[&str]) -> String {
    let capture = capture(name);
    // Pictures take their time and say nothing here.
    let format: &[&str] = if more.iter().any(|word| word.starts_with("--format")) { &[] } else { &["--format=json"] };
    let output = runs(home, status, &[&["analyze", capture.to_str().unwrap()], format, more].concat());
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn the_configuration_of_the_folder_is_the_gate() {
    let home = folder();
    let config = home.path().join("lastack.toml");
    fs::write(&config, "[gate]\nfail-on = \"critical\"\n").unwrap();
    analyze(home.path(), 1, FAULT, &[]);
    analyze(home.path(), 0, "b_recycle_off_snat.pcap", &[]);
    analyze(home.path(), 0, FAULT, &["--fail-on", "never"]);
    analyze(home.path(), 0, FAULT, &["--no-config"]);
    fs::write(home.path().join("other.toml"), "[gate]\nfail-on = \"never\"\n[analysis]\nmsl = 60\n").unwrap();
    analyze(home.path(), 0, FAULT, &["--config", "other.toml"]);
    assert_eq!(json(&home.path().join("lastack-report/report.json"))["options"]["msl_s"], 60.0);
    analyze(home.path(), 0, FAULT, &["--config", "other.toml", "--msl", "10"]);
    assert_eq!(json(&home.path().join("lastack-report/report.json"))["options"]["msl_s"], 10.0);
}

#[test]
fn a_mistake_is_told_with_file_line_and_key() {
    let home = folder();
    fs::write(home.path().join("lastack.toml"), "[gate]\nfail-on = \"critical\"\n\n[[allow]]\nrule = \"SYN001\"\n")
        .unwrap();
    let said = analyze(home.path(), 2, FAULT, &[]);
    assert_eq!(said, "lastack: lastack.toml:4: allow[1].reason: it is missing\n");
    assert!(!home.path().join("lastack-report").exists(), "nothing is done");
    let said = analyze(home.path(), 2, FAULT, &["--config", "missing.toml"]);
    assert!(said.starts_with("lastack: cannot read missing.toml: "), "{said}");
}

#[test]
fn what_is_allowed_passes_until_its_last_day() {
    let home = folder();
    let allow = "[gate]\nfail-on = \"critical\"\n[[allow]]\nrule = \"SYN001\"\nsubject = \"192.0.2.1>192.0.2.10:*\"\n\
        until = 2026-12-31\nreason = \"the old server goes in January\"\n";
    fs::write(home.path().join("lastack.toml"), allow).unwrap();
    let all = "--format=json,junit,sarif,github";
    let said = analyze(home.path(), 0, FAULT, &["--today", "2026-12-31", all]);
    assert!(said.contains("[allowed: the old server goes in January]"), "{said}");
    assert!(said.contains("::notice title=SYN001"), "{said}");
    let report = home.path().join("lastack-report");
    let gate = json(&report.join("report.json"))["gate"].clone();
    assert_eq!((&gate["failing"], &gate["findings"]["SYN001-1"]["verdict"]), (&0.into(), &"allowed".into()));
    let sarif = json(&report.join("report.sarif"));
    let suppression = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(suppression["justification"], "the old server goes in January (until 2026-12-31)");
    let junit = fs::read_to_string(report.join("junit.xml")).unwrap();
    let junit = roxmltree::Document::parse(&junit).unwrap();
    assert!(junit.descendants().all(|node| !node.has_tag_name("failure")));
    let said = analyze(home.path(), 1, FAULT, &["--today", "2027-01-01"]);
    let expired =
        "lastack.toml:3: SYN001 was allowed until 2026-12-31 (the old server goes in January): the entry has expired";
    assert!(said.contains(expired), "{said}");
    let said = analyze(home.path(), 0, "b_recycle_off_snat.pcap", &["--today", "2026-01-01"]);
    assert!(said.contains("lastack.toml:3: SYN001 is allowed and was not found"), "{said}");
}

#[test]
fn thresholds_let_small_trouble_pass() {
    let home = folder();
    let config = |metric: &str, above: u32| {
        let text = format!(
            "[gate]\nfail-on = \"critical\"\n[[threshold]]\nrule = \"SYN001\"\nmetric = \"{metric}\"\nabove = {above}\n"
        );
        fs::write(home.path().join("lastack.toml"), text).unwrap();
    };
    config("syns_dropped", 231);
    let said = analyze(home.path(), 0, FAULT, &[]);
    assert!(said.contains("[within its threshold: syns_dropped is 231, and may be 231]"), "{said}");
    config("syns_dropped", 230);
    analyze(home.path(), 1, FAULT, &[]);
    config("syns_droped", 1000);
    let said = analyze(home.path(), 1, FAULT, &[]);
    assert!(said.contains("SYN001 has no metric \"syns_droped\"; it has attempts_failed, "), "{said}");
}

#[test]
fn a_baseline_lets_pass_what_was_there() {
    let home = folder();
    analyze(home.path(), 0, FAULT, &["-o", "old"]);
    analyze(home.path(), 0, FAULT, &["--baseline", "old"]);
    let baseline = ["--baseline", "old/report.json"];
    let said = analyze(home.path(), 0, FAULT, &baseline);
    assert!(
        said.starts_with("Nothing failing since the baseline was found.\n0 failing since the baseline, 0 other new, "),
        "{said}"
    );
    let said = analyze(home.path(), 1, "g_firewall_drop.pcap", &baseline);
    assert!(said.starts_with("CRITICAL SYN003") && said.contains("gone     SYN001"), "{said}");
    analyze(home.path(), 0, "g_firewall_drop.pcap", &["--baseline", "old/report.json", "--fail-on", "never"]);
    fs::write(home.path().join("lastack.toml"), "[gate]\nbaseline = \"old/report.json\"\n").unwrap();
    analyze(home.path(), 0, FAULT, &[]);
    analyze(home.path(), 1, "g_firewall_drop.pcap", &[]);
    fs::write(home.path().join("no.json"), "{\"schema\": \"other\"}").unwrap();
    let said = analyze(home.path(), 2, FAULT, &["--baseline", "no.json"]);
    assert!(said.contains("no.json: its schema is \"other\""), "{said}");
}

#[test]
fn diff_tells_new_and_gone_findings() {
    let home = folder();
    analyze(home.path(), 0, FAULT, &["-o", "old", "--format", "json"]);
    analyze(home.path(), 0, "g_firewall_drop.pcap", &["-o", "new", "--format", "json"]);
    let diff =
        |status: i32, arguments: &[&str]| text(&runs(home.path(), status, &[&["diff"], arguments].concat()).stdout);
    let (old, new) = ("old/report.json", "new/report.json");
    assert!(diff(0, &[old, old]).starts_with("0 new, 0 worse, 0 gone, "));
    let said = diff(1, &[old, new]);
    assert!(said.starts_with("new    CRITICAL  SYN003  ") && said.contains("gone   CRITICAL  SYN001  "), "{said}");
    assert_eq!(diff(0, &[old, new, "--fail-on", "never", "--quiet"]), "");
    let parsed: serde_json::Value = serde_json::from_str(&diff(1, &[old, new, "--format", "json"])).unwrap();
    assert_eq!((&parsed["new"][0]["rule"], &parsed["gone"][0]["rule"]), (&"SYN003".into(), &"SYN001".into()));
    let output = run(home.path(), &["diff", old, "missing.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("lastack: cannot read missing.json: "));
}

#[test]
fn a_wrong_day_is_told() {
    let home = folder();
    for day in ["2026-02-30", "tomorrow", "2026-1-1"] {
        let said = analyze(home.path(), 2, FAULT, &["--today", day]);
        assert!(said.contains("is no day, as in 2026-12-31"), "{said}");
    }
}
