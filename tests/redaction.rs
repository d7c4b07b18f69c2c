//! Redaction: nothing of the original is left in any output, and the diagnosis is the same.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// Captures and snapshots with addresses of both families, tunnels, names of hosts and of processes.
const CASES: [&[&str]; 7] = [
    &["fixtures/captures/a_recycle_on_snat.pcap"],
    &["fixtures/captures/short_conn_storm_reuse1.pcap.gz"],
    &["fixtures/captures/encapsulated_vxlan_kernel.pcap.gz", "fixtures/captures/encapsulated_multi_if.pcapng"],
    &["fixtures/captures/ping_stall_100ms_reply.pcap", "fixtures/captures/ping_stall"],
    &["fixtures/captures/close_variety_client.pcap", "fixtures/captures/close_variety_server_nano.pcap"],
    &["fixtures/captures/rotated"],
    &["fixtures/snapshots"],
];

const ALL: &str = "json,md,html,csv,png";

#[test]
fn nothing_of_the_original_is_left() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let (plain, redacted) = (folder.path().join("plain"), folder.path().join("redacted"));
        let (report, _) = analyzed(case, &["--format", "json,csv"], &plain);
        let (_, printed) = analyzed(case, &["--format", ALL, "--redact", "--evidence"], &redacted);
        let table = fs::read_to_string(plain.join("connections.csv")).unwrap();
        let secrets = secrets(case, &report, &table);
        assert!(secrets.words.len() > 1, "{case:?}: {:?}", secrets.words);
        let mut texts = vec![("standard output".to_owned(), printed)];
        for path in files(&redacted) {
            let bytes = fs::read(&path).unwrap();
            let name = path.strip_prefix(&redacted).unwrap().display().to_string();
            for octets in &secrets.octets {
                let found = bytes.windows(octets.len()).any(|window| window == octets.as_slice());
                assert!(!found || name.ends_with(".png"), "{case:?}: {name} holds {octets:?}");
            }
            texts.push((format!("the name of {name}"), name.clone()));
            // The pixels of a chart are packed; what it shows as text stands in the page's own copy of it.
            if !name.ends_with(".png") {
                texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        for (name, text) in texts {
            let tokens = tokens(&text);
            let left: Vec<&String> = secrets.words.iter().filter(|word| tokens.contains(word.as_str())).collect();
            assert!(left.is_empty(), "{case:?}: {name} holds {left:?}");
        }
    }
}

#[test]
fn the_diagnosis_is_the_same() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let (plain, _) = analyzed(case, &["--format", "json"], &folder.path().join("plain"));
        let (redacted, _) = analyzed(case, &["--format", "json", "--redact"], &folder.path().join("redacted"));
        assert_eq!(verdicts(&redacted), verdicts(&plain), "{case:?}");
        assert_eq!(redacted["totals"], plain["totals"], "{case:?}");
    }
}

#[test]
fn redacted_evidence_gives_its_finding_again() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let (report, _) =
            analyzed(case, &["--format", "json", "--redact", "--evidence"], &folder.path().join("report"));
        let findings = report["findings"].as_array().unwrap();
        for path in files(&folder.path().join("report")).iter().filter(|path| path.extension().unwrap() == "pcapng") {
            let id = path.file_stem().unwrap().to_str().unwrap();
            let finding = findings.iter().find(|finding| finding["id"] == id).unwrap();
            // Rules about a capture's own limits speak of what redaction takes away: copies, lengths, link headers.
            if id.starts_with("CAP") {
                continue;
            }
            let (again, _) = analyzed(&[path.to_str().unwrap()], &["--format", "json"], &folder.path().join("again"));
            let whose = |other: &&Value| other["rule"] == finding["rule"] && other["subject"] == finding["subject"];
            let same = again["findings"].as_array().unwrap().iter().find(whose);
            let same = same.unwrap_or_else(|| panic!("{id} of {case:?} is gone: {}", again["findings"]));
            assert_eq!(same["metrics"], finding["metrics"], "{id} of {case:?}");
        }
    }
}

#[test]
fn a_key_file_gives_one_mapping_and_another_key_another() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.key"), folder.path().join("other.key"));
    fs::write(&one, b"thirty-two octets of a secret ...").unwrap();
    fs::write(&other, b"thirty-two octets of another one").unwrap();
    let subject = |arguments: &[&str]| {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        analyzed(CASES[0], &all, &folder.path().join("report")).0["findings"][0]["subject"].clone()
    };
    let by_one = subject(&["--redact-key", one.to_str().unwrap()]);
    assert_eq!(subject(&["--redact", "--redact-key", one.to_str().unwrap()]), by_one);
    assert_ne!(subject(&["--redact-key", other.to_str().unwrap()]), by_one);
    assert_ne!(subject(&["--redact"]), by_one);
    assert_eq!(subject(&["--redact"]), subject(&["--redact"]));
    fs::write(&one, b"short").unwrap();
    lastack(&["--redact-key", one.to_str().unwrap()], CASES[0], &folder.path().join("x")).assert().code(2);
}

#[test]
fn a_digest_would_tell_the_original() {
    let folder = tempfile::tempdir().unwrap();
    lastack(&["--redact", "--digest", "sha256"], CASES[0], &folder.path().join("x")).assert().code(2);
    let (report, _) = analyzed(CASES[0], &["--format", "json", "--digest", "sha256"], &folder.path().join("y"));
    let digest = report["inputs"][0]["digest"].as_str().unwrap();
    assert!(digest.len() == 71 && digest.starts_with("sha256:"), "{digest}");
}

#[test]
fn evidence_of_a_redacted_report_needs_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, b"thirty-two octets of a secret ...").unwrap();
    let report = folder.path().join("report");
    analyzed(CASES[0], &["--format", "json", "--redact-key", key.to_str().unwrap()], &report);
    let evidence = |arguments: &[&Path]| {
        let mut command = Command::cargo_bin("lastack").unwrap();
        command.arg("evidence").arg(report.join("report.json")).args(["--finding", "SYN001-1", "--input", CASES[0][0]]);
        command.arg("-o").arg(folder.path().join("out.pcapng")).args(arguments);
        command
    };
    let told = evidence(&[]).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8(told).unwrap().contains("--redact-key"));
    evidence(&[Path::new("--redact-key"), &key]).assert().code(0);
}

/// Words of a text as they stand there, and without what follows a colon: a port.
fn tokens(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || "._:-".contains(c)));
    words
        .map(|word| word.trim_end_matches(['.', ':', '-']))
        .flat_map(|word| [Some(word), word.rsplit_once(':').map(|(host, _)| host)])
        .flatten()
        .collect()
}

#[test]
fn a_finding_without_redacted_evidence_is_reported_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arp.pcap");
    // One ARP request, and the head of a record that is not there: CAP001, whose packets have no IP header.
    let mut bytes = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0".to_vec();
    bytes.extend(b"\x01\0\0\x60\0\0\0\0\x2a\0\0\0\x2a\0\0\0");
    bytes.extend(b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06");
    bytes.extend([0; 28]);
    bytes.extend(b"\x02\0\0\x60\0\0\0\0\x2a\0\0\0\x2a\0\0\0");
    fs::write(&path, bytes).unwrap();
    let out = folder.path().join("report");
    let (report, _) = analyzed(&[path.to_str().unwrap()], &["--format", "json", "--redact", "--evidence"], &out);
    assert_eq!(report["findings"][0]["rule"], "CAP001");
    assert!(!out.join("evidence").exists());
}

/// What must not be found: words, and addresses as packets hold them.
struct Secrets {
    words: BTreeSet<String>,
    octets: BTreeSet<Vec<u8>>,
}

fn secrets(case: &[&str], report: &Value, table: &str) -> Secrets {
    let mut words = BTreeSet::new();
    for input in report["inputs"].as_array().unwrap() {
        let name = Path::new(input["name"].as_str().unwrap());
        let base = name.file_name().unwrap().to_string_lossy().into_owned();
        // A file may be called "after", which is a word like any other.
        words.extend(Some(base).filter(|base| base.contains(['.', '_'])));
    }
    words
        .extend(report["hosts"].as_array().unwrap().iter().filter_map(|host| host["name"].as_str().map(str::to_owned)));
    // Addresses and processes as texts have them.
    let texts: Vec<String> =
        case.iter().flat_map(|path| files(Path::new(path))).filter_map(|path| fs::read_to_string(path).ok()).collect();
    let told =
        texts.iter().map(String::as_str).chain([table]).flat_map(|text| {
            text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':')).collect::<Vec<_>>()
        });
    let mut addresses: BTreeSet<IpAddr> = told.filter_map(|word| word.parse().ok()).collect();
    addresses.extend(texts.iter().chain([&table.to_owned()]).flat_map(|text| {
        text.split([',', ' ', '\n', '%', '[', ']']).filter_map(|word| word.parse::<IpAddr>().ok()).collect::<Vec<_>>()
    }));
    addresses.retain(|ip| is_somebodys(*ip));
    words.extend(addresses.iter().map(ToString::to_string));
    let users =
        texts.iter().flat_map(|text| text.split("users:((\"").skip(1)).filter_map(|rest| rest.split('"').next());
    words.extend(users.filter(|name| !["ss", "ping"].contains(name)).map(str::to_owned));
    // Hosts and folders may be called like words that reports are made of, and like formats.
    let mut prose = fs::read_to_string("reports/RULES.md").unwrap() + " snapshots ";
    prose.extend(
        report["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|input| input["format"].as_str())
            .map(|format| format!("{format} ")),
    );
    let prose = tokens(&prose);
    words.retain(|word| !prose.contains(word.as_str()));
    let octets = addresses.iter().map(|ip| match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    });
    Secrets { words, octets: octets.collect() }
}

/// Addresses that name a host or a network of somebody, and could not come out as themselves by chance.
fn is_somebodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.octets()[0] >= 240
                || v4.octets()[0] == 0)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.segments()[0] == 0 || v6.is_multicast() || v6.segments()[7] == 0),
    }
}

/// Rules with their numbers, in an order that does not depend on addresses.
fn verdicts(report: &Value) -> Vec<String> {
    let one = |finding: &Value| {
        format!("{} {} {} {}", finding["rule"], finding["severity"], finding["confidence"], finding["metrics"])
    };
    let mut all: Vec<String> = report["findings"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

fn lastack(arguments: &[&str], inputs: &[&str], out: &Path) -> Command {
    let mut command = Command::cargo_bin("lastack").unwrap();
    command.args(["analyze", "-o"]).arg(out).args(arguments).args(inputs);
    command
}

fn analyzed(inputs: &[&str], arguments: &[&str], out: &Path) -> (Value, String) {
    let output = lastack(arguments, inputs, out).assert().code(0).get_output().stdout.clone();
    let report = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    (report, String::from_utf8(output).unwrap().replace(&out.display().to_string(), ""))
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut all: Vec<PathBuf> = fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect();
    all.sort();
    all
}
