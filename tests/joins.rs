//! What a host lists, beside the capture of the same connections: TIME-WAITs against closes, CLOSE-WAITs against FINs,
//! the count of reused TIME-WAITs against reuses. Where both agree it is said, and where they do not.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use lastack::diagnosis::Finding;
use support::analysis::{evidence, findings, report_json};
use support::flow;

/// A script's capture, and texts of one host beside it, in a folder.
fn folder(script: &str, texts: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("capture.pcap"), flow::pcap(script).unwrap()).unwrap();
    fs::create_dir(folder.path().join("host")).unwrap();
    for (name, text) in texts {
        fs::write(folder.path().join("host").join(name), text).unwrap();
    }
    folder
}

/// What the report says of the first host beside the captures.
#[track_caller]
fn joined(folder: &Path) -> String {
    let report: serde_json::Value = serde_json::from_slice(&report_json(&evidence(&[folder], 2))).unwrap();
    report["hosts"][0]["joined"].as_str().unwrap().to_owned()
}

#[track_caller]
fn finding(folder: &Path, code: &str) -> Finding {
    findings(&evidence(&[folder], 2)).into_iter().find(|finding| finding.rule == code).unwrap()
}

fn script(path: &str) -> String {
    fs::read_to_string(Path::new("fixtures/diagnoses").join(path)).unwrap()
}

/// `ss -tanp` at a second of the script, of a server on port 80.
fn listing(second: u32, state: &str, users: &str, ports: impl Iterator<Item = u16>) -> (&'static str, String) {
    let mut text = format!(
        "2026-01-01T00:{:02}:{:02}+00:00\n$ ss -tanp\nState Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nLISTEN 0 128 192.0.2.80:80 0.0.0.0:* {users}\n",
        second / 60,
        second % 60
    );
    for port in ports {
        writeln!(text, "{state} 0 0 192.0.2.80:80 198.51.100.7:{port} {users}").unwrap();
    }
    ("ss.txt", text)
}

/// Five connections, 0.1 s apart, that one side closes first.
fn closes(first: &str, then: &str) -> String {
    format!(
        "repeat 5 every 0.1 ports+1
           1.0 198.51.100.7:40000 > 192.0.2.80:80 S
           +0.001 192.0.2.80:80 > 198.51.100.7:40000 S.
           +0.001 198.51.100.7:40000 > 192.0.2.80:80 .
           +0.001 198.51.100.7:40000 > 192.0.2.80:80 P. len=90
           +0.001 192.0.2.80:80 > 198.51.100.7:40000 .
           +0.01 {first} F.
           +0.001 {then} F.
           +0.001 {first} .
         end\n"
    )
}

const FROM_CLIENT: &str = "198.51.100.7:40000 > 192.0.2.80:80";
const FROM_SERVER: &str = "192.0.2.80:80 > 198.51.100.7:40000";

#[test]
fn time_waits_belong_to_the_side_that_closed_first() {
    let listed = || listing(2, "TIME-WAIT", "", 40_000..40_005);
    let agreeing = folder(&closes(FROM_SERVER, FROM_CLIENT), &[listed()]);
    let text = joined(agreeing.path());
    assert!(
        text.contains("5 of its TIME-WAITs are closes that the captures show, and it closed first in all"),
        "{text}"
    );
    let contrary = folder(&closes(FROM_CLIENT, FROM_SERVER), &[listed()]);
    let text = joined(contrary.path());
    assert!(text.contains("0 that it closed first and 5 that its peer closed first"), "{text}");
}

#[test]
fn a_close_wait_has_its_age_from_the_fin_and_its_process_from_the_listing() {
    let users = r#"users:(("java",pid=3310,fd=17))"#;
    let leak = script("CW001-close-wait-leak/positive.flow");
    let folder = folder(&leak, &[listing(295, "CLOSE-WAIT", users, 40_000..40_040)]);
    let found = finding(folder.path(), "CW001");
    assert!((found.metrics["listed"] - 40.0).abs() < 1e-9, "{:?}", found.metrics);
    // The first FIN came 6.0126 s after the script began.
    assert!((found.metrics["listed_longest_s"] - 288.9874).abs() < 0.001, "{:?}", found.metrics);
    let first = &found.exhibits[0];
    let text = "192.0.2.80:80 with 198.51.100.7:40000 in CLOSE-WAIT for";
    assert!(first.line == Some(5) && first.text.starts_with(text), "{first:?}");
    assert!(first.text.ends_with("java (3310)"), "{first:?}");
    assert!(found.summary.contains("held by java (3310)"), "{}", found.summary);
    assert!(joined(folder.path()).contains("Of 40 CLOSE-WAITs that the captures show as well, 40 have the peer's FIN"));
}

#[test]
fn a_close_wait_that_the_capture_shows_closed_is_no_agreement() {
    let listed = listing(200, "CLOSE-WAIT", "", 40_000..40_005);
    let folder = folder(&closes(FROM_CLIENT, FROM_SERVER), &[listed]);
    let text = joined(folder.path());
    assert!(text.contains("Of 5 CLOSE-WAITs that the captures show as well, 0 have"), "{text}");
}

/// The client's counter before and after the 30 reuses of the script.
fn recycled(before: u64, after: u64) -> tempfile::TempDir {
    let moment = |second: u32, count: u64| {
        format!(
            "2026-01-01T00:00:{second:02}+00:00\n$ ip addr\n2: eth0: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP group default\n    inet 198.51.100.7/24 scope global eth0\n$ nstat -az\n#kernel\nTcpExtTWRecycled {count} 0.0\nTcpExtPAWSActive 0 0.0\n"
        )
    };
    let reuse = script("TW001-reused-within-2msl/positive-client-time-wait.flow");
    folder(&reuse, &[("client.txt", format!("{}{}", moment(0, before), moment(20, after)))])
}

#[test]
fn reuses_of_its_own_time_waits_are_those_that_the_client_counted() {
    let agreeing = recycled(7, 37);
    let found = finding(agreeing.path(), "TW001");
    assert!((found.metrics["tw_recycled"] - 30.0).abs() < 1e-9, "{:?}", found.metrics);
    assert!(found.summary.contains("TWRecycled, grew by 30: the same"), "{}", found.summary);
    let nat = recycled(7, 7);
    let found = finding(nat.path(), "TW001");
    assert!(
        found.summary.contains("TWRecycled, grew by 0: fewer: something else gave these ports"),
        "{}",
        found.summary
    );
}
