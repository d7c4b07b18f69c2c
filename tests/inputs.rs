//! Every way in which captures arrive: compressed, in archives, through a pipe, in files that follow one another.

mod support;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use assert_cmd::Command;
use lastack::evidence::Evidence;
use lastack::ingest;
use lastack::input;
use support::analysis;
use support::capture_file::{self, Order, Pcapng, Record, Variant};

const CAPTURE: &str = "a_recycle_on_snat.pcap";

#[test]
fn a_capture_says_the_same_however_it_is_packed() {
    let plain = fs::read(analysis::fixture(CAPTURE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let expected = report(folder.path(), "x", &plain);
    let (front, back) = plain.split_at(plain.len() / 3);
    let both = |pack: fn(&[u8]) -> Vec<u8>| [pack(front), pack(back)].concat();
    let packed: [(&str, Vec<u8>); 19] = [
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        ("xz", xz(&plain)),
        ("bzip2", bzip2(&plain)),
        ("lz4", lz4(&plain)),
        ("two gzip members", both(gzip)),
        ("two zstd frames", both(zstd)),
        ("two xz streams", both(xz)),
        ("two bzip2 streams", both(bzip2)),
        ("two lz4 frames", both(lz4)),
        ("gzip in xz", xz(&gzip(&plain))),
        ("tar", tar(&[("a.pcap", &plain)])),
        ("tar.gz", gzip(&tar(&[("a.pcap", &plain)]))),
        ("tar.zst", zstd(&tar(&[("a.pcap", &plain)]))),
        ("zip", zip(&[("a.pcap", &plain)])),
        ("pcap.gz in zip", zip(&[("a.pcap.gz", &gzip(&plain))])),
        ("zip in tar.xz", xz(&tar(&[("b.zip", &zip(&[("a.pcap", &plain)]))]))),
        ("tar.gz in zip", zip(&[("b.tgz", &gzip(&tar(&[("a.pcap", &plain)])))])),
        ("tar in tar", tar(&[("b.tar", &tar(&[("a.pcap", &plain)]))])),
    ];
    for (how, bytes) in packed {
        assert_eq!(report(folder.path(), "x", &bytes), expected, "{how}");
    }
    for (how, bytes) in
        [("a pipe", &plain), ("gzip through a pipe", &gzip(&plain)), ("zip through a pipe", &zip(&[("a", &plain)]))]
    {
        let mut run = lastack(folder.path());
        run.args(["analyze", "-", "--quiet", "--format", "json"]).write_stdin(bytes.as_slice()).assert().code(0);
        assert_eq!(without_names(folder.path()), expected, "{how}");
    }
}

/// Streams are read in pieces of a MiB, which begin and end anywhere.
#[test]
fn records_that_lie_across_the_pieces_of_a_stream_are_whole() {
    let (mut records, link) = capture_file::records(&fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap());
    // Trailers as no network has them, so that much of a record may be left at the end of a piece.
    for (number, record) in (0_usize..).zip(&mut records).filter(|(number, _)| number % 5 == 2) {
        record.bytes.resize(record.bytes.len() + 100_000 + number * 997 % 150_000, 0);
    }
    let mut pcapng = Pcapng::new(Order::Little);
    let interface = pcapng.interface(link);
    for (number, record) in records.iter().enumerate() {
        if number == 50 {
            pcapng.block(0x0bad, &vec![0; 5 << 20]); // longer than several pieces
        }
        pcapng.packet(interface, record);
    }
    for bytes in [capture_file::pcap(&records, Variant::Little, link), pcapng.bytes] {
        assert!(bytes.len() > 4 << 20, "{} octets are few pieces", bytes.len());
        for bytes in [&bytes[..], &bytes[..bytes.len() - 1], &bytes[..bytes.len() / 2]] {
            let whole = analysis::table_and_counts(&analysis::evidence_of(bytes, 2));
            for threads in [1, 2] {
                let stream = analysis::table_and_counts(&analysis::evidence_of_stream(bytes, threads));
                assert!(stream == whole, "{} octets, {threads} threads", bytes.len());
            }
        }
    }
}

/// A progress bar's length is the sizes of the files: what is told must go up to it, and no further.
#[test]
fn progress_is_told_in_octets_as_they_lie_in_files() {
    let (mut records, link) = capture_file::records(&fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap());
    let mut noise = 1_u32;
    for record in records.iter_mut().take(200) {
        // Half of the trailer cannot be packed.
        record.bytes.extend((0..25_000).map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        }));
        record.bytes.resize(record.bytes.len() + 25_000, 0);
    }
    let long = capture_file::pcap(&records, Variant::Little, link);
    let short = fs::read(analysis::fixture(CAPTURE)).unwrap();
    let text = b"net.ipv4.tcp_tw_recycle = 1\nnet.ipv4.tcp_timestamps = 1\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.pcap", short.clone()),
        ("b.pcap", long.clone()),
        ("c.pcap", long.clone()), // a copy, read once
        ("d.txt", text.to_vec()),
        ("e.tar.gz", gzip(&tar(&[("sysctl", text), ("f.pcap", &short), ("g.txt", b"nothing")]))),
        ("h.pcap.zst", zstd(&long)),
        ("i.pcap.gz", gzip(&long)),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut names = vec!["", "b.pcap", "e.tar.gz", "h.pcap.zst", "i.pcap.gz"];
    if cfg!(feature = "columns") {
        for (name, format, captures) in [
            ("rows/j.arrow", "arrow", ["tw_reuse_sa_ts1.pcap", "close_variety_client.pcap"]),
            ("rows/k.parquet", "parquet", ["encapsulated_vlan.pcap", "emulated_recycle_nat2.pcap"]),
        ] {
            let rows = folder.path().join(name);
            fs::create_dir_all(rows.parent().unwrap()).unwrap();
            let mut extract = Command::cargo_bin("lastack").unwrap();
            extract.args(["extract", "--format", format, "-o"]).arg(rows);
            extract.args(captures.map(analysis::fixture)).assert().success();
        }
        names.extend(["rows/j.arrow", "rows/k.parquet"]);
    }
    for name in names {
        let (sources, _) = input::expand(&[folder.path().join(name)]);
        let size: u64 = sources.iter().map(input::Source::octets).sum();
        let told = Mutex::new(Vec::new());
        ingest::read(&sources, 2, &|octets| told.lock().unwrap().push(octets)).unwrap();
        let told = told.into_inner().unwrap();
        assert!(told.is_sorted() && told.last() == Some(&size), "{name}: {told:?} of {size}");
        let between = told.iter().filter(|octets| (size / 10..size - size / 10).contains(*octets)).count();
        assert!(between > 0 || name == "e.tar.gz", "{name}: {told:?} of {size}");
    }
}

#[test]
fn members_are_named_behind_their_archives() {
    let capture = fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap();
    let inner = zip(&[("../../etc/cap\u{1b}[2J.pcap", &gzip(&capture)), ("notes.txt", b"nothing of use\n")]);
    let archive = tar(&[("case/inner.zip", &inner), ("case/ss.txt", SS.as_bytes()), ("case/empty", b"")]);
    let (names, evidence) = read_file(&gzip(&archive), "case.tgz");
    let kinds: Vec<(&str, &str)> = names.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(
        kinds,
        [
            ("case.tgz!case/inner.zip!../../etc/cap\u{1b}[2J.pcap", "capture"),
            ("case.tgz!case/inner.zip!notes.txt", "other"),
            ("case.tgz!case/ss.txt", "snapshot"),
            ("case.tgz!case/empty", "other"),
        ]
    );
    assert!(evidence.connection_count() > 0);
    assert_eq!(evidence.hosts.len(), 1);
}

const SS: &str = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0 128 0.0.0.0:80 0.0.0.0:*\n";

#[test]
fn old_and_odd_variants_hold_the_same_packets() {
    let (records, link) = capture_file::records(&fs::read(analysis::fixture(CAPTURE)).unwrap());
    let records: Vec<Record> = records.into_iter().map(|r| Record { at: r.at / 1000 * 1000, ..r }).collect();
    let plain = capture_file::pcap(&records, Variant::Little, link);
    let expected = analysis::table(&analysis::evidence_of(&plain, 2));
    // Version 2.2 gave the original length first.
    let mut old = plain.clone();
    old[6] = 2;
    let mut place = 24;
    for record in &records {
        let original = record.bytes.len() as u32 + 4;
        old[place + 8..place + 12].copy_from_slice(&original.to_le_bytes());
        old[place + 12..place + 16].copy_from_slice(&(original - 4).to_le_bytes());
        place += 16 + record.bytes.len();
    }
    // The upper bits of the link type tell the length of the frame check sequence (4, valid) and a class.
    let mut reserved = plain.clone();
    reserved[22..24].copy_from_slice(&[0x00, 0x44]);
    let snoop = capture_file::snoop(&records, 4);
    for (how, bytes) in [("version 2.2", old), ("reserved bits", reserved), ("snoop", snoop)] {
        assert_eq!(analysis::table(&analysis::evidence_of(&bytes, 2)), expected, "{how}");
        assert_eq!(analysis::table(&analysis::evidence_of_stream(&bytes, 2)), expected, "{how} as a stream");
    }
}

#[test]
fn snoop_says_what_it_dropped_and_where_it_ends() {
    let (records, _) = capture_file::records(&fs::read(analysis::fixture("tw_reuse_sa_ts1.pcap")).unwrap());
    let mut file = capture_file::snoop(&records, 4);
    let drops = 16 + 12;
    file[drops..drops + 4].copy_from_slice(&7_u32.to_be_bytes());
    let cut = &file[..file.len() - 3];
    let evidence = analysis::evidence_of(cut, 1);
    let capture = evidence.capture(0).unwrap();
    assert_eq!((capture.format, capture.frames.packets), ("snoop", records.len() as u64 - 1));
    assert!(capture.truncated.as_deref().unwrap().starts_with("cut at byte"));
}

#[test]
fn what_wireshark_numbers_has_a_number() {
    let records = capture_file::records(&fs::read(analysis::fixture("close_variety_client.pcap")).unwrap()).0;
    let records: Vec<Record> = records.into_iter().filter(|record| record.bytes[12..14] == [8, 0]).collect();
    let mut file = Pcapng::new(Order::Little);
    let interface = file.interface(1);
    file.block(0xbad, &[0; 8]); // a custom block
    file.packet(interface, &records[0]);
    file.block(4, &[0; 4]); // name resolution has no number
    file.block(9, b"_X=1"); // systemd journal export
    file.packet(interface, &records[1]);
    let evidence = analysis::evidence_of(&file.bytes, 1);
    let frames = &evidence.capture(0).unwrap().frames;
    assert_eq!(frames.packets, 4);
    assert_eq!(frames.skips.iter().collect::<Vec<_>>(), [("record without a packet", 2, 0)]);
    let first = evidence.connections().next().unwrap().1.first();
    assert_eq!(evidence.locate(0, first.0), (0, 2));
}

#[test]
fn each_interface_has_its_own_unit_and_offset() {
    let second = 1_000_000_000;
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        for (resolution, offset, count) in [(9, 0, 7 * second), (6, 3, 4_000_000), (0x8a, -3, 10 << 10), (0, 7, 0)] {
            let interface = file.interface_with(1, resolution, offset);
            file.packet(interface, &Record { at: count, bytes: vec![0; 60] });
        }
        let evidence = analysis::evidence_of(&file.bytes, 1);
        let frames = &evidence.capture(0).unwrap().frames;
        assert_eq!((frames.packets, frames.first_at.0, frames.last_at.0), (4, 7 * second as i64, 7 * second as i64));
    }
}

#[test]
fn counters_of_two_sections_are_added() {
    let mut file = Pcapng::new(Order::Big);
    for (order, drops) in [(Order::Little, [3_u64, 5]), (Order::Big, [2, 9])] {
        file.section(order);
        file.interface(1);
        for drops in drops {
            file.statistics(0, drops);
        }
        file.statistics(7, 100); // of no interface
    }
    let evidence = analysis::evidence_of(&file.bytes, 1);
    assert_eq!(evidence.capture(0).unwrap().frames.dropped_total(), 5 + 9);
}

/// The files as `editcap -c` cut them, the whole as pcap.
fn parts() -> (PathBuf, Vec<PathBuf>) {
    let mut parts: Vec<PathBuf> =
        fs::read_dir("fixtures/captures/rotated").unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    let whole = parts.pop().unwrap();
    assert!(whole.ends_with("whole.pcap.gz") && parts.len() == 4);
    (whole, parts)
}

#[test]
fn a_rotated_set_is_one_capture_point() {
    let (whole, parts) = parts();
    let expected = table(&analysis::evidence(&[&whole], 2));
    let paths: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let joined = analysis::evidence(&paths, 2);
    assert_eq!(joined.points.len(), 1);
    assert_eq!(table(&joined), expected);
    let shuffled = [paths[2], paths[0], paths[3], paths[1]];
    let evidence = analysis::evidence(&shuffled, 1);
    assert_eq!(evidence.points[0].inputs, [1, 3, 0, 2], "inputs in the order of their packets");
    assert_eq!(table(&evidence), expected);
    // The third frame of the third file.
    assert_eq!(evidence.locate(0, 602), (0, 3));
    let (sources, _) = input::expand(&parts);
    let reading =
        ingest::read_as(&sources, ingest::How { separate: true, ..ingest::How::default() }, 2, &|_| {}).unwrap();
    let evidence = Evidence::new(reading.inputs, reading.parts);
    assert_eq!(evidence.points.len(), 4);
    assert!(evidence.connection_count() > joined.connection_count(), "connections are cut at the borders");
}

#[test]
fn names_of_a_set_do_not_matter_nor_where_it_lies() {
    let (whole, parts) = parts();
    let expected = table(&analysis::evidence(&[&whole], 2));
    let bytes: Vec<Vec<u8>> = parts.iter().map(|part| fs::read(part).unwrap()).collect();
    let members: Vec<(&str, &[u8])> = ["d", "b", "c", "a"].into_iter().zip(bytes.iter().map(Vec::as_slice)).collect();
    for archive in [tar(&members), gzip(&tar(&members)), zip(&members)] {
        let (_, evidence) = read_file(&archive, "set");
        assert_eq!((evidence.points.len(), table(&evidence)), (1, expected.clone()));
    }
}

#[test]
fn sets_cut_by_size_and_by_time_go_on_too() {
    for name in [CAPTURE, "close_variety_client.pcap", "f_listen_overflow.pcap"] {
        let (records, link) = capture_file::records(&fs::read(analysis::fixture(name)).unwrap());
        let whole = capture_file::pcap(&records, Variant::Little, link);
        let expected = table(&analysis::evidence_of(&whole, 2));
        for pieces in [2, 3, 7] {
            let folder = tempfile::tempdir().unwrap();
            for (number, piece) in records.chunks(records.len() / pieces + 1).enumerate() {
                let file = capture_file::pcap(piece, Variant::Little, link);
                fs::write(folder.path().join(format!("cap.pcap{number:02}")), file).unwrap();
            }
            let evidence = analysis::evidence(&[folder.path()], 2);
            assert_eq!(evidence.points.len(), 1, "{name} in {pieces} files");
            assert_eq!(table(&evidence), expected, "{name} in {pieces} files");
        }
    }
}

#[test]
fn captures_of_two_points_and_two_times_stay_apart() {
    let fixtures = analysis::fixtures();
    let paths: Vec<&Path> = fixtures.iter().map(PathBuf::as_path).collect();
    let evidence = analysis::evidence(&paths, 2);
    assert_eq!(evidence.points.len(), paths.len());
    assert!(evidence.points.iter().all(|point| point.inputs.len() == 1));
}

#[test]
fn a_hole_in_a_set_ends_it() {
    let (records, link) =
        capture_file::records(&fs::read(analysis::fixture("ping_control_jitter_100ms.pcap")).unwrap());
    let (front, back) = records.split_at(records.len() / 2);
    let late: Vec<Record> =
        back.iter().map(|record| Record { at: record.at + 3_600_000_000_000, bytes: record.bytes.clone() }).collect();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, records: &[Record]| {
        fs::write(folder.path().join(name), capture_file::pcap(records, Variant::Little, link)).unwrap();
    };
    write("cap.pcap", front);
    write("cap.pcap1", back);
    assert_eq!(analysis::evidence(&[folder.path()], 1).points.len(), 1);
    write("cap.pcap1", &late);
    assert_eq!(analysis::evidence(&[folder.path()], 1).points.len(), 2);
}

#[test]
fn copies_are_read_once_and_overlaps_are_told() {
    let plain = fs::read(analysis::fixture(CAPTURE)).unwrap();
    let (records, link) = capture_file::records(&plain);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.pcap", &plain);
    write("b.pcap.gz", &gzip(&plain));
    write("c.pcap", &plain[..plain.len() / 2]);
    let alone = analysis::table(&analysis::evidence(&[&folder.path().join("a.pcap")], 1));
    let evidence = analysis::evidence(&[folder.path()], 1);
    assert_eq!(analysis::table(&evidence), alone);
    let notes = |evidence: &Evidence| -> Vec<String> { evidence.inputs.iter().flat_map(|i| i.notes.clone()).collect() };
    assert!(notes(&evidence)[0].starts_with("a copy of ") && notes(&evidence)[0].contains("a.pcap"));
    assert!(notes(&evidence)[1].starts_with("a copy of the first part of "));
    fs::remove_file(folder.path().join("b.pcap.gz")).unwrap();
    // The second half again, as nanosecond pcap: other octets, the same packets.
    write("c.pcap", &capture_file::pcap(&records[records.len() / 2..], Variant::LittleNano, link));
    let evidence = analysis::evidence(&[folder.path()], 1);
    assert_eq!(evidence.points.len(), 2);
    assert_eq!(notes(&evidence).len(), 1);
    assert!(notes(&evidence)[0].starts_with("holds packets that "), "{:?}", notes(&evidence));
}

#[test]
fn patterns_that_no_shell_expanded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a1.pcap", "a2.pcap", "b.pcap", "[odd].pcap"] {
        fs::write(folder.path().join(name), capture_file::pcap(&[], Variant::Big, 1)).unwrap();
    }
    let found = |pattern: &str| {
        let (sources, errors) = input::expand(&[folder.path().join(pattern)]);
        (
            sources.into_iter().map(|source| source.name.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>(),
            errors.len(),
        )
    };
    assert_eq!(found("a*.pcap"), (vec!["a1.pcap".to_owned(), "a2.pcap".to_owned()], 0));
    assert_eq!(found("[odd].pcap"), (vec!["[odd].pcap".to_owned()], 0));
    assert_eq!(found("c*.pcap"), (vec![], 1));
}

/// The connection table but for what names files and frames in them.
fn table(evidence: &Evidence) -> String {
    let table = analysis::table(evidence);
    let names: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let kept = |place: usize| !["input", "first_frame", "last_frame"].contains(&names[place]);
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').enumerate().filter(|(place, _)| kept(*place)).map(|(_, f)| f).collect();
        fields.join(",") + "\n"
    };
    table.lines().map(line).collect()
}

/// Names and kinds of the inputs in a file of this name, and the evidence.
fn read_file(bytes: &[u8], name: &str) -> (Vec<(String, &'static str)>, Evidence) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let evidence = analysis::evidence(&[&path], 2);
    let short = |name: &str| name.strip_prefix(folder.path().to_str().unwrap()).unwrap()[1..].to_owned();
    let kind = |kind: &ingest::Kind| match kind {
        ingest::Kind::Capture(_) => "capture",
        ingest::Kind::Snapshot(_) => "snapshot",
        ingest::Kind::Other => "other",
    };
    (evidence.inputs.iter().map(|input| (short(&input.name), kind(&input.kind))).collect(), evidence)
}

/// The report of a file, but for names.
fn report(folder: &Path, name: &str, bytes: &[u8]) -> serde_json::Value {
    fs::write(folder.join(name), bytes).unwrap();
    lastack(folder).args(["analyze", name, "--quiet", "--format", "json"]).assert().code(0);
    without_names(folder)
}

fn without_names(folder: &Path) -> serde_json::Value {
    let bytes = fs::read(folder.join("lastack-report/report.json")).unwrap();
    let mut report: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1);
    assert!(report["totals"]["connections"].as_u64().unwrap() > 100);
    report["inputs"][0]["name"].take();
    report
}

fn lastack(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    command.current_dir(folder);
    command
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
