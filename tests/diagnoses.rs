//! Every packet script of every rule, the whole way from bytes to findings: what must fire and what must not.
//!
//! A script says so itself: `# expect: CODE…` and `# not: CODE…`. Codes of rules that are still to come are passed
//! over, and named.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Finding, RULES};
use support::{analysis, flow};

#[test]
fn scripts_get_the_findings_that_they_expect() {
    let (mut wrong, mut unknown, mut checked) = (Vec::new(), BTreeSet::new(), 0);
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        let name = script.strip_prefix("fixtures/diagnoses").unwrap().display().to_string();
        let found = findings(&script, &text);
        let expectation = flow::expectation(&text);
        for code in &expectation.fires {
            match known(code) {
                true if fired(&found, code).is_none() => wrong.push(format!("{name}: {code} does not fire")),
                known => _ = (!known).then(|| unknown.insert(code.clone())),
            }
            checked += 1;
        }
        for code in &expectation.silent {
            match fired(&found, code) {
                Some(finding) => wrong.push(format!("{name}: {code} fires: {}", finding.title)),
                None => _ = (!known(code)).then(|| unknown.insert(code.clone())),
            }
            checked += 1;
        }
    }
    println!("{checked} expectations; still to come: {}", unknown.into_iter().collect::<Vec<_>>().join(" "));
    assert!(checked > 100, "scripts are missing");
    assert!(wrong.is_empty(), "{} of {checked} expectations fail:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn positives_expect_their_own_rule_and_lookalikes_forbid_it() {
    for script in scripts() {
        let expectation = flow::expectation(&fs::read_to_string(&script).unwrap());
        let code = rule_of(&script);
        let file = script.file_name().unwrap().to_str().unwrap();
        let list = if file.starts_with("positive") { &expectation.fires } else { &expectation.silent };
        assert!(list.contains(&code), "{} does not say so of {code}", script.display());
    }
}

#[test]
fn findings_of_scripts_are_sound() {
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        let packets = flow::Flow::compile(&text).unwrap().packets.len() as u64;
        for finding in findings(&script, &text) {
            sound(&script, &finding, packets);
        }
    }
}

/// No exhibit, no finding; and what a finding says of itself holds together.
#[track_caller]
fn sound(script: &Path, finding: &Finding, packets: u64) {
    let name = format!("{}: {}", script.display(), finding.id);
    assert!(!finding.exhibits.is_empty(), "{name} has no exhibit");
    assert!(finding.exhibits.len() <= 20, "{name} shows more than 20 exhibits");
    assert!(finding.exhibits_total >= finding.exhibits.len() as u64, "{name} counts its exhibits wrongly");
    for exhibit in &finding.exhibits {
        assert!(exhibit.frame.is_some() || exhibit.line.is_some(), "{name}: an exhibit without a place");
        assert!(exhibit.frame.is_none_or(|frame| (1..=packets).contains(&frame)), "{name}: frame {:?}", exhibit.frame);
        assert!(!exhibit.text.is_empty(), "{name}: an exhibit without words");
    }
    for (what, text) in [
        ("title", finding.title.as_str()),
        ("summary", finding.summary.as_str()),
        ("filter", finding.display_filter.as_str()),
    ] {
        assert!(!text.is_empty(), "{name} has no {what}");
    }
    assert!(!finding.advice.is_empty(), "{name} has no advice");
    assert!(!finding.references.is_empty(), "{name} has no references");
    assert!(!finding.metrics.is_empty() && finding.metrics.values().all(|value| value.is_finite()), "{name}: metrics");
    assert!(finding.first_time <= finding.last_time, "{name} ends before it begins");
    assert!(finding.fingerprint.starts_with(finding.rule), "{name}: {}", finding.fingerprint);
}

#[track_caller]
fn findings(script: &Path, text: &str) -> Vec<Finding> {
    let pcap = flow::pcap(text).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    analysis::findings(&analysis::evidence_of(&pcap, 1))
}

fn fired<'a>(found: &'a [Finding], code: &str) -> Option<&'a Finding> {
    found.iter().find(|finding| finding.rule == code)
}

fn known(code: &str) -> bool {
    RULES.iter().any(|rule| rule.code == code)
}

/// The code of the folder that a script lies in.
fn rule_of(script: &Path) -> String {
    let folder = script.parent().unwrap().file_name().unwrap().to_str().unwrap();
    folder.split('-').next().unwrap().to_owned()
}

fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir("fixtures/diagnoses").unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            found.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "flow")));
        }
    }
    found.sort();
    found
}

#[test]
fn what_made_a_reset_is_told_apart() {
    let causes = [
        ("positive.flow", "unread_data", 25.0),
        ("positive-client-linger-0.flow", "linger_0", 30.0),
        ("positive-data-after-close.flow", "data_after_close", 12.0),
        ("positive-keep-alive.flow", "keep_alive", 6.0),
        ("positive-zero-window.flow", "zero_window", 6.0),
        ("positive-middlebox.flow", "middlebox", 8.0),
        ("positive-no-socket.flow", "no_socket", 8.0),
    ];
    for (script, cause, connections) in causes {
        let path = Path::new("fixtures/diagnoses/RST001-abortive-close").join(script);
        let found = findings(&path, &fs::read_to_string(&path).unwrap());
        let metrics = &fired(&found, "RST001").unwrap_or_else(|| panic!("{script}: not found")).metrics;
        let told = metrics.get(cause).copied().unwrap_or(0.0);
        assert!((told - connections).abs() < 0.5, "{script}: {cause} {told}, of {metrics:?}");
    }
}

#[test]
fn old_duplicates_inside_the_window_are_known_by_their_timestamps() {
    let path = Path::new("fixtures/diagnoses/TW004-old-duplicate/positive-inside-the-window.flow");
    let found = findings(path, &fs::read_to_string(path).unwrap());
    let metrics = &fired(&found, "TW004").unwrap().metrics;
    for (name, value) in [("inside_window", 8.0), ("into_new_connection", 8.0), ("possible_harm", 0.0)] {
        assert!((metrics[name] - value).abs() < 0.5, "{name}: {metrics:?}");
    }
}
