//! Fingerprints: the same trouble at another time, on other client ports, in files and folders of other names.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::Finding;
use support::{analysis, flow};

fn prints(findings: &[Finding]) -> BTreeSet<String> {
    findings.iter().map(|finding| finding.fingerprint.clone()).collect()
}

/// Packet scripts in which rules find something.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir("fixtures/diagnoses").unwrap() {
        let folder = folder.unwrap().path();
        let entries = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        found.extend(
            entries.filter(|path| {
                path.extension().is_some_and(|e| e == "flow") && path.file_stem().unwrap() == "positive"
            }),
        );
    }
    found.sort();
    assert!(found.len() > 15, "scripts are missing");
    found
}

#[test]
fn another_time_leaves_them_alone() {
    for path in scripts() {
        let bytes = flow::pcap(&fs::read_to_string(&path).unwrap()).unwrap();
        let later = moved(&bytes, 86_400 * 37 + 1234);
        let (now, then) = (
            analysis::findings(&analysis::evidence_of(&bytes, 1)),
            analysis::findings(&analysis::evidence_of(&later, 1)),
        );
        assert_eq!(prints(&now), prints(&then), "{}", path.display());
        assert!(!now.is_empty(), "{}", path.display());
    }
}

/// A classic little-endian pcap some seconds later.
fn moved(bytes: &[u8], seconds: u32) -> Vec<u8> {
    assert_eq!(bytes[2..4], [0xb2, 0xa1], "little-endian pcap");
    let mut bytes = bytes.to_vec();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (time, length) = (word(at) + seconds, word(at + 8) as usize);
        bytes[at..at + 4].copy_from_slice(&time.to_le_bytes());
        at += 16 + length;
    }
    bytes
}

#[test]
fn other_ephemeral_ports_leave_them_alone() {
    let mut changed = 0;
    for path in scripts() {
        let script = fs::read_to_string(&path).unwrap();
        // Ports that some filter or scan is about are no accident.
        if ["SYN003", "SYN007"].iter().any(|rule| path.display().to_string().contains(rule)) {
            continue;
        }
        let other = other_ports(&script);
        changed += u32::from(other != script);
        let of = |script: &str| prints(&analysis::findings(&analysis::evidence_of(&flow::pcap(script).unwrap(), 1)));
        assert_eq!(of(&script), of(&other), "{}", path.display());
    }
    assert!(changed > 10, "ports were changed in {changed} scripts");
}

/// Every port from 20000 on becomes the one 211 above it.
fn other_ports(script: &str) -> String {
    let mut other = String::new();
    let mut rest = script;
    while let Some(at) = rest.find(':') {
        let (before, behind) = rest.split_at(at + 1);
        other.push_str(before);
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match behind[..digits].parse::<u16>() {
            Ok(port) if (20_000..65_000).contains(&port) => other.push_str(&(port + 211).to_string()),
            _ => other.push_str(&behind[..digits]),
        }
        rest = &behind[digits..];
    }
    other + rest
}

#[test]
fn other_names_of_files_and_folders_leave_them_alone() {
    let home = tempfile::tempdir().unwrap();
    let server = Path::new("fixtures/hosts/h_recycle_on_with_listen_overflow");
    let capture = Path::new("fixtures/captures/h_recycle_on_with_listen_overflow.pcap");
    let print = |names: [&str; 2]| {
        let [folder, file] = names.map(|name| home.path().join(name));
        copy(server, &folder);
        fs::copy(capture, &file).unwrap();
        prints(&analysis::findings(&analysis::evidence(&[&file, &folder], 1)))
    };
    let (one, other) = (print(["server", "a.pcap"]), print(["ticket 4711", "b.cap"]));
    assert_eq!(one, other);
    assert!(one.iter().any(|print| print.starts_with("HOST")), "{one:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
