//! Input made to do harm: what unpacks without end, nests without end, names what is not its own, or lies about
//! lengths. A message says what, where and what to do; what stands beside it is analysed.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use lastack::evidence::Evidence;
use lastack::{ingest, input};
use support::analysis;
use support::capture_file::{self, Order, Pcapng, Record, Variant};

#[test]
fn a_bomb_is_ended_and_what_came_before_is_read() {
    // A capture whose records have no octets: 16 zeros each.
    let header = capture_file::pcap(&[], Variant::Little, 1);
    let zeros = 160 << 20;
    let bomb = gzip(&mut (&header[..]).chain(io::repeat(0).take(zeros)));
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let (evidence, messages) = analysis::whatever(&bomb, 2);
    assert!(messages.is_empty());
    let capture = evidence.capture(0).unwrap();
    let why = capture.truncated.as_deref().unwrap();
    assert!(why.contains("more than 500 to one") && why.contains("unpack it"), "{why}");
    assert!(capture.frames.packets > 1_000_000, "{}", capture.frames.packets);
    // The same again inside an archive, beside a capture that is none.
    let sound = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    let archive = tar(&[("bomb.gz", &bomb), ("sound.pcap", &sound)]);
    let (evidence, _) = analysis::whatever(&archive, 2);
    assert!(notes(&evidence).iter().any(|note| note.contains("more than 500 to one")), "{:?}", notes(&evidence));
}

#[test]
fn what_is_packed_again_and_again_is_not_entered() {
    let mut deep = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    for _ in 0..6 {
        deep = gzip(&mut deep.as_slice());
    }
    assert_eq!(analysis::whatever(&deep, 1).0.points.len(), 1, "six layers are no attack");
    deep = gzip(&mut deep.as_slice());
    let (evidence, messages) = analysis::whatever(&deep, 1);
    assert_eq!(evidence.points.len(), 0);
    assert!(messages[0].contains("packed more than six times"), "{messages:?}");
    let mut nested = tar(&[("a", b"x")]);
    for _ in 0..10 {
        nested = tar(&[("inner.tar", &nested)]);
    }
    let (_, messages) = analysis::whatever(&nested, 1);
    assert!(messages[0].contains("nothing is recognised (packed more than six times"), "{messages:?}");
}

#[test]
fn an_archive_without_end_of_members_is_left() {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let capture = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    for number in 0..100_010 {
        let bytes = if number == 7 { capture.as_slice() } else { b"" };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, format!("m{number}"), bytes).unwrap();
    }
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    let (evidence, messages) = analysis::whatever(&bytes, 1);
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!((evidence.points.len(), evidence.inputs.len()), (1, 100_001));
    assert_eq!(notes(&evidence), ["more than 100000 members: the others are not read"]);
}

#[test]
fn archives_that_broke_off_give_what_is_left_of_them() {
    let capture = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    let other = fs::read(analysis::fixture("l_recycle_on_client_without_ts.pcap")).unwrap();
    let whole = tar(&[("a.pcap", &capture), ("b.pcap", &other)]);
    let packed = gzip(&mut whole.as_slice());
    let zipped = zip(&[("a.pcap", &capture), ("b.pcap", &other)]);
    for (how, bytes) in [("tar", whole), ("tar.gz", packed), ("zip", zipped)] {
        let cut = &bytes[..bytes.len() * 3 / 4];
        let (evidence, messages) = analysis::whatever(cut, 2);
        assert!(messages.is_empty(), "{how}: {messages:?}");
        assert!(evidence.points.len() == 2, "{how}: {:?}", evidence.points.len());
        let rows = analysis::table(&evidence).lines().filter(|line| line.contains(",p1,")).count();
        assert_eq!(rows + 1, analysis::table(&analysis::evidence_of(&capture, 1)).lines().count(), "{how}");
        let second = evidence.capture(1).unwrap();
        assert!(second.truncated.is_some() && second.frames.packets > 0, "{how}");
        assert!(!notes(&evidence).is_empty(), "{how}");
    }
}

#[test]
fn nothing_leaves_an_archive() {
    let capture = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in [("../escaped.pcap", tar::EntryType::Regular), ("link", tar::EntryType::Symlink)] {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        let bytes = if kind == tar::EntryType::Regular { capture.as_slice() } else { b"" };
        header.set_size(bytes.len() as u64);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        archive.append(&header, bytes).unwrap();
    }
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/x.tar"), archive.into_inner().unwrap()).unwrap();
    let mut run = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    run.current_dir(folder.path().join("in")).args(["analyze", "x.tar", "--quiet"]).assert().code(0);
    let report = fs::read(folder.path().join("in/lastack-report/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1, "links are passed over");
    assert_eq!(report["inputs"][0]["name"], "x.tar!../escaped.pcap");
    assert!(!folder.path().join("escaped.pcap").exists());
}

#[test]
fn folders_in_circles_and_pipes_in_them_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a/b");
    fs::create_dir_all(&inside).unwrap();
    symlink(folder.path(), inside.join("round")).unwrap();
    symlink("nowhere", inside.join("dangling")).unwrap();
    fs::copy(analysis::fixture("tw_reuse_sa_ts1.pcap"), inside.join("a.pcap")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(inside.join("pipe")).status().unwrap().success());
    assert_eq!(analysis::evidence(&[folder.path()], 1).inputs.len(), 1);
    // A pipe that is named is read.
    let pipe = inside.join("pipe");
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap()).unwrap()
    });
    assert_eq!(analysis::evidence(&[&pipe], 1).points.len(), 1);
    writer.join().unwrap();
}

#[test]
fn formats_of_others_are_named_with_what_to_do() {
    for (head, says) in [
        (&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "unpack it first"),
        (b"GMBU\0\x02", "convert it with `editcap -F pcapng`"),
        (b"Rar!\x1a\x07\x01\0", "unpack it first"),
    ] {
        let (_, messages) = analysis::whatever(head, 1);
        assert!(messages.len() == 1 && messages[0].contains(says), "{messages:?}");
    }
}

#[test]
#[allow(clippy::disallowed_methods)] // It is about time.
fn interfaces_without_number_and_units_without_measure() {
    let begun = Instant::now();
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        for resolution in [0, 0x7f, 0x80, 0xff, 19, 9] {
            let number = file.interface_with(1, resolution, i64::MIN);
            for at in [0, 1, u64::MAX] {
                file.packet(number, &Record { at, bytes: vec![0; 60] });
            }
        }
        for _ in 0..200_000 {
            let number = file.interface(1);
            file.statistics(number, u64::MAX);
        }
        file.packet(u32::MAX, &Record { at: 1, bytes: vec![0; 60] });
        let evidence = analysis::evidence_of(&file.bytes, 2);
        let frames = &evidence.capture(0).unwrap().frames;
        assert_eq!(frames.packets, 18);
        assert_eq!(frames.dropped_total(), u64::MAX, "sums of hostile counters saturate");
        assert!(frames.odd_records.iter().any(|(reason, _)| *reason == "more than 65536 interfaces"));
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "the time grows with the size: {:?}", begun.elapsed());
}

#[test]
fn lengths_that_lie_end_the_file_and_say_where() {
    let records = capture_file::records(&fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap()).0;
    for length in [0, 4, 11, 0x7fff_fff0, u32::MAX] {
        let mut file = Pcapng::new(Order::Little);
        let interface = file.interface(1);
        file.packet(interface, &records[0]);
        let place = file.bytes.len();
        file.packet(interface, &records[1]);
        file.bytes[place + 4..place + 8].copy_from_slice(&length.to_le_bytes());
        let evidence = analysis::evidence_of(&file.bytes, 1);
        let capture = evidence.capture(0).unwrap();
        assert_eq!(capture.frames.packets, 1);
        let why = capture.truncated.as_deref().unwrap();
        assert!(why.contains(&format!("at byte {place}, after packet 1")), "{why}");
    }
}

#[test]
fn members_that_cannot_be_read_leave_the_status_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(analysis::fixture("tw_reuse_sa_ts1.pcap"), folder.path().join("a.pcap")).unwrap();
    fs::write(folder.path().join("b.pcap.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\0broken").unwrap();
    let (sources, errors) = input::expand(&[folder.path().to_owned()]);
    let reading = ingest::read(&sources, 1, &|_| {}).unwrap();
    assert!(errors.is_empty() && reading.errors.is_empty(), "{:?}", reading.errors);
    assert!(reading.inputs[1].notes[0].contains("b.pcap.gz: cannot read"), "{:?}", reading.inputs[1].notes);
}

fn notes(evidence: &Evidence) -> Vec<String> {
    evidence.inputs.iter().flat_map(|input| input.notes.clone()).collect()
}

fn gzip(bytes: &mut dyn Read) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    io::copy(bytes, &mut packer).unwrap();
    packer.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, Path::new(name), *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
