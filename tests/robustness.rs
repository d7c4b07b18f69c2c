//! Hostile and broken input: nothing panics, what could be read is analysed, and a message names what could not.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use lastack::evidence::Evidence;
use lastack::ingest;
use lastack::input;
use proptest::prelude::*;
use support::capture_file::{self, Order, Pcapng, Record, Variant};
use support::property::config;
use support::{analysis, flow};

/// A short conversation; small enough to be cut at every byte.
const SCRIPT: &str = "
0.0     203.0.113.9:1025 > 192.0.2.80:80     S    ts=900000
+0.001  192.0.2.80:80 > 203.0.113.9:1025     S.   ts=5000
+0.001  203.0.113.9:1025 > 192.0.2.80:80     .
+0.001  203.0.113.9:1025 > 192.0.2.80:80     P.   len=10
+0.1    192.0.2.80:80 > 203.0.113.9:1025     F.
+0.001  203.0.113.9:1025 > 192.0.2.80:80     F.
+0.001  192.0.2.80:80 > 203.0.113.9:1025     .
+0.5    192.0.2.80 > 203.0.113.9             icmp unreachable host
";

#[test]
fn a_small_capture_cut_at_every_byte() {
    let records = records();
    for variant in Variant::ALL {
        let file = capture_file::pcap(&records, variant, 1);
        let header = if matches!(variant, Variant::LittleModified | Variant::BigModified) { 24 } else { 16 };
        let ends = ends(24, records.iter().map(|record| header + record.bytes.len()));
        for_every_cut(&file, (0..file.len()).rev(), |length, evidence, messages| {
            if length < 24 {
                return assert_unrecognised(length, evidence, messages);
            }
            assert_eq!(messages, &[] as &[String], "cut at {length}");
            assert_read_up_to(length, evidence, &ends);
        });
    }
}

#[test]
fn a_small_pcapng_capture_cut_at_every_byte() {
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        let interface = file.interface(1);
        let mut ends = vec![0, 28, file.bytes.len()];
        for record in records() {
            file.packet(interface, &record);
            ends.push(file.bytes.len());
        }
        for_every_cut(&file.bytes, (0..file.bytes.len()).rev(), |length, evidence, messages| {
            if length < 12 {
                return assert_unrecognised(length, evidence, messages);
            }
            assert_eq!(messages, &[] as &[String], "cut at {length}");
            let capture = evidence.capture(0).unwrap();
            let packets = ends.iter().skip(3).filter(|end| **end <= length).count() as u64;
            assert_eq!((capture.frames.packets, capture.truncated.is_some()), (packets, !ends.contains(&length)));
        });
    }
}

#[test]
fn a_real_capture_cut_at_every_byte() {
    let file = fs::read(analysis::fixture("tw_reuse_ca_ts0_reuse1.pcap")).unwrap();
    let (records, _) = capture_file::records(&file);
    let ends = ends(24, records.iter().map(|record| 16 + record.bytes.len()));
    for_every_cut(&file, (24..file.len()).rev(), |length, evidence, _| assert_read_up_to(length, evidence, &ends));
}

#[test]
fn every_capture_cut_here_and_there() {
    for path in analysis::fixtures() {
        let file = fs::read(&path).unwrap();
        let step = file.len() / 24 + 1;
        for_every_cut(&file, (0..file.len()).rev().step_by(step), |_, evidence, _| {
            analysis::report_json(evidence);
        });
    }
}

#[test]
fn frames_of_one_link_type_under_every_other() {
    for path in analysis::fixtures().iter().filter(|path| path.extension().is_some_and(|e| e == "pcap")) {
        let (records, _) = capture_file::records(&fs::read(path).unwrap());
        let few: Vec<Record> = records.into_iter().step_by(7).take(100).collect();
        for link in 0..300 {
            let (evidence, messages) = analysis::whatever(&capture_file::pcap(&few, Variant::Big, link), 1);
            assert!(messages.is_empty(), "{messages:?}");
            assert_eq!(evidence.capture(0).unwrap().frames.packets, few.len() as u64);
        }
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn random_bytes(magic in magic(), bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        survives(&[magic, bytes].concat());
    }

    #[test]
    fn random_frames(link in 0_u16..300, frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20)) {
        let records: Vec<Record> = frames.into_iter().map(|bytes| Record { at: 1, bytes }).collect();
        survives(&capture_file::pcap(&records, Variant::LittleNano, link));
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn random_damage_to_real_captures(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        hole in prop::option::of((any::<prop::sample::Index>(), 1_usize..200)),
    ) {
        let paths = analysis::fixtures();
        let mut file = fs::read(which.get(&paths)).unwrap();
        for (place, value) in damage {
            let place = place.index(file.len());
            file[place] = value;
        }
        if let Some((place, length)) = hole {
            let place = place.index(file.len());
            let end = file.len().min(place + length);
            file.drain(place..end);
        }
        survives(&file);
    }
}

/// What the front of a capture showed is the evidence; without it the verdict may become weaker, never another one.
#[test]
fn captures_that_begin_late_blame_nothing_else() {
    let recycled = [
        "a_recycle_on_snat.pcap",
        "emulated_recycle_nat2.pcap",
        "k_recycle_on_modern_client_random_ts.pcap",
        "l_recycle_on_client_without_ts.pcap",
    ];
    let mut wrong = Vec::new();
    for name in recycled {
        let (records, link) = capture_file::records(&fs::read(analysis::fixture(name)).unwrap());
        let step = records.len() / 800 + 1;
        for first in (0..records.len()).step_by(step) {
            let file = capture_file::pcap(&records[first..], Variant::Little, link);
            let findings = analysis::findings(&analysis::evidence_of(&file, 1));
            let others = ["SYN002", "SYN003", "SYN004"];
            wrong.extend(
                findings
                    .iter()
                    .filter(|finding| others.contains(&finding.rule))
                    .map(|finding| format!("{name} from packet {}: {} {}", first + 1, finding.rule, finding.title)),
            );
        }
    }
    assert!(wrong.is_empty(), "{} verdicts turned:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_no_capture_is_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| File::create(folder.path().join(name)).unwrap().write_all(bytes).unwrap();
    write("empty.pcap", b"");
    write("notes.txt", b"we saw timeouts since Monday\n");
    fs::create_dir(folder.path().join("nothing")).unwrap();
    fs::create_dir(folder.path().join("texts")).unwrap();
    write("texts/readme", b"no capture here\n");
    for (name, found) in [
        ("empty.pcap", "empty file"),
        ("notes.txt", "nothing that is recognised"),
        ("missing.pcap", "cannot open"),
        ("nothing", "empty folder"),
        ("texts", "a folder in which nothing is recognised"),
    ] {
        let path = folder.path().join(name);
        for command in ["analyze", "connections"] {
            let mut run = lastack(folder.path());
            run.args([command, "--quiet"]).arg(&path);
            let output = run.output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {message}");
            assert!(message.contains(&path.display().to_string()), "{message:?} does not name {name}");
            assert!(message.contains(found), "{message:?} does not say {found:?}");
            assert!(found == "cannot open" || message.contains("expected a packet capture"), "{message:?}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }
}

#[test]
fn what_could_be_read_beside_is_still_reported() {
    let folder = tempfile::tempdir().unwrap();
    let capture = fs::canonicalize(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    let mut run = lastack(folder.path());
    run.args(["analyze", "--quiet", "missing.pcap"]).arg(&capture).assert().code(2);
    let report = report(folder.path());
    assert_eq!(report["inputs"].as_array().unwrap().len(), 2);
    assert_eq!(report["inputs"][0]["kind"], "other");
    assert!(report["totals"]["connections"].as_u64().unwrap() > 0);
}

#[test]
fn a_cut_capture_is_analysed_up_to_the_cut_and_says_so() {
    let whole = fs::read(analysis::fixture("a_recycle_on_snat.pcap")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).unwrap();
    let gzip = gzip.finish().unwrap();
    for (name, bytes) in [("cut.pcap", &whole[..whole.len() - 5]), ("cut.pcap.gz", &gzip[..gzip.len() / 2])] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        let output = lastack(folder.path()).args(["analyze", "--quiet", name]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{message}");
        assert!(message.contains(name) && message.contains("at byte"), "{message:?}");
        let report = report(folder.path());
        assert!(report["inputs"][0]["truncated"].as_str().unwrap().contains("at byte"));
        assert!(report["inputs"][0]["packets"].as_u64().unwrap() > 0);
    }
}

/// A count below zero is printed as nearly 2^64, and damage prints anything: sums and shares of such numbers must not
/// overflow. Arithmetic is checked here; in the program that people use it would wrap, and nobody would see.
#[test]
fn numbers_of_any_size_that_hosts_print() {
    let capture = analysis::fixture("h_recycle_on_with_listen_overflow.pcap");
    let host = Path::new("fixtures/hosts/h_recycle_on_with_listen_overflow");
    let mut findings = 0;
    for huge in ["18446744073709551615", "9223372036854775807", "300000000000000000", "4294967295"] {
        for every in 1..4 {
            for folder in fs::read_dir("fixtures/diagnoses").unwrap().map(|entry| entry.unwrap().path()) {
                for text in files(&folder).iter().filter(|path| path.extension().is_some_and(|e| e == "txt")) {
                    findings += findings_of_enlarged(&[text], None, huge, every);
                }
            }
            let (before, after) = (host.join("before"), host.join("after"));
            findings += findings_of_enlarged(&[&after], Some(&capture), huge, every);
            findings += findings_of_enlarged(&[&before, &after], Some(&capture), huge, every);
        }
    }
    assert!(findings > 500, "only {findings} findings: texts are not recognised any more");
}

/// How many findings come of texts, or folders of them, in which every so-manieth number is a huge one.
fn findings_of_enlarged(inputs: &[&Path], capture: Option<&Path>, huge: &str, every: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    for (number, input) in inputs.iter().enumerate() {
        let own = folder.path().join(number.to_string());
        fs::create_dir(&own).unwrap();
        for file in files(input) {
            let text = enlarged(&fs::read_to_string(&file).unwrap(), huge, every);
            fs::write(own.join(file.file_name().unwrap()), text).unwrap();
        }
    }
    let arguments = std::iter::once(folder.path()).chain(capture).map(Path::to_owned);
    let (sources, _) = input::expand(&arguments.collect::<Vec<_>>());
    let reading = ingest::read(&sources, 1, &|_| {}).unwrap();
    let evidence = Evidence::new(reading.inputs, reading.parts);
    analysis::report_json(&evidence);
    analysis::findings(&evidence).len()
}

/// A text with every so-manieth of the words that are numbers made huge.
fn enlarged(text: &str, huge: &str, every: usize) -> String {
    let ends = [' ', '\t', '\n', ',', '='];
    let mut numbers = 0;
    let enlarge = |piece: &str| {
        let word = piece.trim_end_matches(ends);
        numbers += usize::from(word.parse::<u128>().is_ok());
        let chosen = word.parse::<u128>().is_ok() && numbers % every == 0;
        if chosen { format!("{huge}{}", &piece[word.len()..]) } else { piece.to_owned() }
    };
    text.split_inclusive(ends).map(enlarge).collect()
}

/// A file, or all files of a folder.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(path) else { return vec![path.to_owned()] };
    folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// The records of the short conversation.
fn records() -> Vec<Record> {
    capture_file::records(&flow::pcap(SCRIPT).unwrap()).0
}

/// Where records of these lengths end behind a header.
fn ends(header: usize, lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let after = lengths.scan(header, |place, length| {
        *place += length;
        Some(*place)
    });
    std::iter::once(header).chain(after).collect()
}

/// Shows `check` what a file comes to when it is cut to each of these lengths, the longest first.
#[track_caller]
fn for_every_cut(
    file: &[u8],
    lengths: impl Iterator<Item = usize>,
    mut check: impl FnMut(usize, &Evidence, &[String]),
) {
    let path = analysis::file(file).into_temp_path();
    let handle = OpenOptions::new().write(true).open(&path).unwrap();
    for length in lengths {
        handle.set_len(length as u64).unwrap();
        let (sources, _) = input::expand(&[path.to_path_buf()]);
        let reading = ingest::read(&sources, 1, &|_| {}).unwrap();
        let messages: Vec<String> = reading.errors.iter().map(ToString::to_string).collect();
        let evidence = Evidence::new(reading.inputs, reading.parts);
        analysis::verdict(&evidence);
        check(length, &evidence, &messages);
    }
}

#[track_caller]
fn assert_unrecognised(length: usize, evidence: &Evidence, messages: &[String]) {
    assert_eq!(evidence.points.len(), 0, "cut at {length}");
    assert!(messages.len() == 1 && messages[0].contains("expected a packet capture"), "{length}: {messages:?}");
}

#[track_caller]
fn assert_read_up_to(length: usize, evidence: &Evidence, ends: &[usize]) {
    let capture = evidence.capture(0).unwrap();
    let whole = ends.iter().filter(|end| **end <= length).count() as u64 - 1;
    assert_eq!(capture.frames.packets, whole, "cut at {length}");
    assert_eq!(capture.truncated.is_some(), !ends.contains(&length), "cut at {length}: {:?}", capture.truncated);
    if let Some(why) = &capture.truncated {
        assert!(why.starts_with("cut at byte ") && why.contains(&format!("after packet {whole}")), "{why}");
    }
}

/// The whole way, whatever comes of it.
fn survives(bytes: &[u8]) {
    let (evidence, _) = analysis::whatever(bytes, 2);
    analysis::report_json(&evidence);
    analysis::table(&evidence);
}

/// The first octets of files that are recognised.
fn magic() -> impl Strategy<Value = Vec<u8>> {
    let mut starts: Vec<Vec<u8>> = Variant::ALL.iter().map(|variant| capture_file::pcap(&[], *variant, 1)).collect();
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        starts.push(file.bytes[..12].to_vec());
        file.interface(1);
        starts.push(file.bytes);
    }
    starts.extend([
        vec![],
        vec![0x1f, 0x8b, 8, 0],
        vec![0x28, 0xb5, 0x2f, 0xfd],
        b"BZh9".to_vec(),
        b"PK\x03\x04".to_vec(),
    ]);
    prop::sample::select(starts)
}

/// The program, at work in a folder.
fn lastack(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    command.current_dir(folder);
    command
}

fn report(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("lastack-report/report.json")).unwrap()).unwrap()
}
