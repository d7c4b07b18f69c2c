//! Rules that snapshots alone show: every text of every rule, from lines to findings; what must fire, how bad it is,
//! and what must not.
//!
//! A text says so in its first line: `# expect: CODE severity`, `# not: CODE`, or `# open: CODE` where something is
//! given that asks for an answer and what the answer needs is not. The recorded faults of
//! `fixtures/snapshots` must fire their rules, and what was recorded on hosts without a fault nothing above `info`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Finding, RULES, Severity, Verdict};
use support::analysis::{evidence, findings, verdict};

#[test]
fn texts_get_the_findings_that_they_expect() {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for path in texts() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix("fixtures/diagnoses").unwrap().display().to_string();
        let Verdict { found, not_judged } = verdict(&evidence(&[&path], 1));
        let first = text.lines().next().unwrap();
        let of = |code: &str| found.iter().find(|finding| finding.rule == code);
        if let Some(expected) = first.strip_prefix("# expect: ") {
            let (code, severity) = expected.split_once(' ').unwrap();
            match of(code) {
                None => wrong.push(format!("{name}: {code} does not fire")),
                Some(finding) if word(finding.severity) != severity => {
                    wrong.push(format!("{name}: {code} is {:?}: {}", finding.severity, finding.title));
                }
                Some(finding) => sound(&name, finding, text.lines().count()),
            }
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with("positive"), "{name}");
        } else if let Some(code) = first.strip_prefix("# open: ") {
            let open = not_judged.iter().filter(|open| open.rule == code).count();
            if open != 1 || of(code).is_some() {
                wrong.push(format!("{name}: {open} entries of {code} are not judged"));
            }
            assert!(not_judged.len() <= 2, "{name}: {not_judged:?}");
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with("open-"), "{name}");
        } else {
            let code = first.strip_prefix("# not: ").unwrap_or_else(|| panic!("{name} does not say what it expects"));
            if let Some(finding) = of(code) {
                wrong.push(format!("{name}: {code} fires: {}", finding.title));
            }
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with("lookalike-"), "{name}");
        }
        checked += 1;
    }
    assert!(checked > 70, "texts are missing");
    assert!(wrong.is_empty(), "{} of {checked} fail:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_about_hosts_has_a_positive_and_a_lookalike() {
    for rule in RULES.iter().filter(|rule| rule.code.starts_with("HOST")) {
        let start = format!("{}-{}/", rule.code, rule.name);
        let names: Vec<String> = texts().iter().map(|path| path.display().to_string()).collect();
        for kind in ["positive", "lookalike-"] {
            let wanted = format!("{start}{kind}");
            assert!(names.iter().any(|name| name.contains(&wanted)), "{} has no {kind}*.txt", rule.code);
        }
    }
}

/// No exhibit, no finding; and what a finding says of itself holds together.
#[track_caller]
fn sound(name: &str, finding: &Finding, lines: usize) {
    assert!(
        !finding.exhibits.is_empty() && finding.exhibits.len() <= 20,
        "{name}: {} exhibits",
        finding.exhibits.len()
    );
    assert!(finding.exhibits_total >= finding.exhibits.len() as u64, "{name} counts its exhibits wrongly");
    for exhibit in &finding.exhibits {
        assert!(exhibit.line.is_some_and(|line| (1..=lines as u64).contains(&line)), "{name}: line {:?}", exhibit.line);
        assert!(!exhibit.text.is_empty(), "{name}: an exhibit without words");
    }
    assert!(!finding.title.is_empty() && !finding.summary.is_empty() && finding.subject.host.is_some(), "{name}");
    assert!(!finding.advice.is_empty() && !finding.references.is_empty(), "{name}: advice and references");
    assert!(!finding.metrics.is_empty() && finding.metrics.values().all(|value| value.is_finite()), "{name}: metrics");
    assert!(finding.fingerprint.starts_with(finding.rule), "{name}: {}", finding.fingerprint);
}

/// The recorded outputs of one laboratory host, each tool's text beside the others, as people save them.
fn recorded(part: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in fs::read_dir("fixtures/snapshots").unwrap().map(|entry| entry.unwrap().path()) {
        for file in fs::read_dir(&kind).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap();
            if name.contains(part) {
                let kind = kind.file_name().unwrap().to_str().unwrap();
                fs::copy(&file, folder.path().join(format!("{kind}_{name}"))).unwrap();
            }
        }
    }
    folder
}

fn of_recorded(part: &str) -> Vec<(&'static str, Severity)> {
    let folder = recorded(part);
    let found = findings(&evidence(&[folder.path()], 1));
    found.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
}

#[test]
fn recorded_faults_fire_their_rules_and_nothing_else_that_is_critical() {
    for (fault, expected) in [
        ("fault_portexhaust", &[("TW003", Severity::Critical)][..]),
        ("fault_twoverflow", &[("TW002", Severity::Warning)]),
        ("fault_synflood_nocookies", &[("HOST026", Severity::Critical)]),
        ("fault_synflood_cookies", &[("HOST027", Severity::Info)]),
        ("fault_paws", &[("HOST013", Severity::Info)]),
    ] {
        let found = of_recorded(fault);
        for one in expected {
            assert!(found.contains(one), "{fault}: {one:?} is missing in {found:?}");
        }
        let critical = found.iter().filter(|(rule, severity)| {
            *severity == Severity::Critical && !expected.iter().any(|(code, _)| code == rule)
        });
        assert_eq!(critical.count(), 0, "{fault}: {found:?}");
    }
}

#[test]
fn hosts_without_a_fault_give_nothing_above_info() {
    for part in ["ours_linux6.18", "labclient", "ours_linux4.9_b_"] {
        let above: Vec<_> = of_recorded(part).into_iter().filter(|(_, severity)| *severity > Severity::Info).collect();
        assert_eq!(above, [], "{part}");
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn texts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(Path::new("fixtures/diagnoses")).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            found.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "txt")));
        }
    }
    found.sort();
    found
}
