//! Evidence: what is cut out for a finding gives the same finding again, says what each packet proves, and is refused
//! where the inputs are not those of the report.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapNGOption, PcapNGReader};
use serde_json::Value;
use support::analysis;

const RECYCLE: &str = "fixtures/captures/a_recycle_on_snat.pcap";

#[test]
fn evidence_gives_its_finding_again() {
    let mut seen = 0;
    for path in analysis::fixtures() {
        let folder = tempfile::tempdir().unwrap();
        let report = analyzed(&[path.to_str().unwrap()], &folder.path().join("whole"));
        for finding in report["findings"].as_array().unwrap().iter().filter(|finding| finding["point"].is_string()) {
            let out = folder.path().join("evidence.pcapng");
            cut(&folder.path().join("whole/report.json"), finding["id"].as_str().unwrap(), &out);
            let again = analyzed(&[out.to_str().unwrap()], &folder.path().join("again"));
            let whose = |other: &&Value| other["rule"] == finding["rule"] && other["subject"] == finding["subject"];
            let same = again["findings"].as_array().unwrap().iter().find(whose);
            let what = format!("{} of {}", finding["id"], path.display());
            let same = same.unwrap_or_else(|| panic!("{what} is gone: {}", again["findings"]));
            for field in ["metrics", "severity", "confidence", "exhibits_total"] {
                assert_eq!(same[field], finding[field], "{field} of {what}");
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen} findings");
}

#[test]
fn comments_say_what_packets_prove() {
    let folder = tempfile::tempdir().unwrap();
    let report = analyzed(&[RECYCLE], folder.path());
    let finding = &report["findings"][0];
    let out = folder.path().join("charts/evidence.pcapng");
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    cut(&folder.path().join("report.json"), finding["id"].as_str().unwrap(), &out);
    let comments = comments(&out);
    let exhibits = finding["exhibits"].as_array().unwrap();
    assert_eq!(comments.len(), exhibits.len());
    for exhibit in exhibits {
        let text = exhibit["text"].as_str().unwrap();
        assert!(comments.values().any(|comment| comment == &format!("SYN001-1: {text}")), "no comment says {text}");
    }
}

#[test]
fn interfaces_keep_what_was_said_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = "fixtures/captures/encapsulated_multi_if.pcapng";
    let report = analyzed(&[path], folder.path());
    let out = folder.path().join("charts/evidence.pcapng");
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    cut(&folder.path().join("report.json"), report["findings"][0]["id"].as_str().unwrap(), &out);
    let (before, after) = (interfaces(Path::new(path)), interfaces(&out));
    assert!(before.len() > 1);
    assert_eq!(after, before);
}

#[test]
fn other_captures_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("one.pcap");
    fs::copy(RECYCLE, &original).unwrap();
    analyzed(&[original.to_str().unwrap()], &folder.path().join("report"));
    let report = folder.path().join("report/report.json");
    let out = folder.path().join("out.pcapng");
    let refused = |input: &[&str]| {
        let mut command = evidence(&report, "SYN001-1", &out);
        let output = command.args(input).assert().code(2).get_output().stderr.clone();
        assert!(!out.exists());
        String::from_utf8(output).unwrap()
    };
    let moved = folder.path().join("elsewhere.pcap");
    fs::rename(&original, &moved).unwrap();
    assert!(refused(&[]).contains("one.pcap"));
    let other = refused(&["--input", "fixtures/captures/g_firewall_drop.pcap"]);
    assert!(other.contains("is not the capture that the report was made of"), "{other}");
    evidence(&report, "SYN001-1", &out).arg("--input").arg(&moved).assert().code(0);
    assert!(out.exists());
    fs::remove_file(&out).unwrap();
    let bytes = fs::read(&moved).unwrap();
    fs::write(&original, &bytes[..bytes.len() - 200]).unwrap();
    assert!(refused(&[]).contains("packets"));
    let unknown = evidence(&report, "SYN009-7", &out).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8(unknown).unwrap().contains("SYN001-1"));
}

#[test]
fn standard_input_is_kept_while_evidence_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let run = |extra: &[&str], out: &str| {
        let mut command = Command::cargo_bin("lastack").unwrap();
        command.args(["analyze", "-q", "--format", "json", "-o"]).arg(folder.path().join(out)).args(extra).arg("-");
        command.write_stdin(fs::read(RECYCLE).unwrap()).assert().code(0);
    };
    run(&["--evidence"], "with");
    assert!(!comments(&folder.path().join("with/evidence/SYN001-1.pcapng")).is_empty());
    run(&[], "without");
    let out = folder.path().join("out.pcapng");
    let told = evidence(&folder.path().join("without/report.json"), "SYN001-1", &out).assert().code(2);
    let told = String::from_utf8(told.get_output().stderr.clone()).unwrap();
    assert!(told.contains("--evidence"), "{told}");
}

#[test]
fn findings_without_packets_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let report = analyzed(&["fixtures/snapshots"], folder.path());
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["point"].is_null()).expect("a finding of a host");
    let out = folder.path().join("charts/out.pcapng");
    let told = evidence(&folder.path().join("report.json"), finding["id"].as_str().unwrap(), &out).assert().code(2);
    let told = String::from_utf8(told.get_output().stderr.clone()).unwrap();
    assert!(told.contains("nothing to cut"), "{told}");
}

/// What is wrong is the disk: another capture would not help.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    // Its evidence is more than what waits in memory until a file is ended.
    let report = analyzed(&["fixtures/captures/syn_drop_random_nat3_ts1_p20.pcap"], folder.path());
    let id = report["findings"][0]["id"].as_str().unwrap();
    let told = evidence(&folder.path().join("report.json"), id, Path::new("/dev/full")).assert().code(2);
    let told = String::from_utf8(told.get_output().stderr.clone()).unwrap();
    assert!(told.contains("No space left on device") && !told.contains("--input"), "{told}");
}

fn evidence(report: &Path, id: &str, out: &Path) -> Command {
    let mut command = Command::cargo_bin("lastack").unwrap();
    command.arg("evidence").arg(report).args(["--quiet", "--finding", id, "-o"]).arg(out);
    command
}

fn cut(report: &Path, id: &str, out: &Path) {
    evidence(report, id, out).assert().code(0);
}

fn analyzed(inputs: &[&str], out: &Path) -> Value {
    let mut command = Command::cargo_bin("lastack").unwrap();
    command.args(["analyze", "-q", "--format", "json", "-o"]).arg(out).args(inputs);
    command.output().unwrap();
    serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap()
}

/// Comments on packets, by the number of the packet.
fn comments(path: &Path) -> BTreeMap<usize, String> {
    let mut packets = 0;
    let mut comments = BTreeMap::new();
    for_each(path, |block| {
        if let Block::EnhancedPacket(packet) = block {
            packets += 1;
            if let Some(comment) = option(&packet.options, 1) {
                comments.insert(packets, comment);
            }
        }
    });
    comments
}

/// Link type, name and resolution of all interfaces.
fn interfaces(path: &Path) -> Vec<(i32, Option<String>, u8)> {
    let mut all = Vec::new();
    for_each(path, |block| {
        if let Block::InterfaceDescription(interface) = block {
            all.push((interface.linktype.0, option(&interface.options, 2), interface.if_tsresol));
        }
    });
    all
}

fn option(options: &[PcapNGOption<'_>], code: u16) -> Option<String> {
    let option = options.iter().find(|option| option.code.0 == code)?;
    Some(String::from_utf8(option.as_bytes().unwrap().to_vec()).unwrap())
}

fn for_each(path: &Path, mut each: impl FnMut(&Block<'_>)) {
    let bytes = fs::read(PathBuf::from(path)).unwrap();
    let mut reader = PcapNGReader::new(1 << 20, &bytes[..]).unwrap();
    loop {
        match reader.next() {
            Ok((offset, PcapBlockOwned::NG(block))) => {
                each(&block);
                reader.consume(offset);
            }
            Ok(_) => unreachable!("a block of another format"),
            Err(pcap_parser::PcapError::Eof) => break,
            Err(pcap_parser::PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{}: {error:?}", path.display()),
        }
    }
}
