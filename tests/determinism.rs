//! The same packets give the same result: whatever the number of threads, the capture format, the packing, the
//! decode path, and wherever the blocks fall into which a file is cut for its readers.

mod support;

use std::fs;
use std::path::Path;

use lastack::capture::excerpt::Frame;
use lastack::capture::pcap::{self, Pcap};
use lastack::capture::{Format, LinkType};
use lastack::segment::{Batch, Candidate, Decoder, Filter, PairHasher};
use lastack::time::Time;
use proptest::prelude::*;
use support::capture_file::{self, Order, Pcapng, Record, Variant};
use support::property::{Numbers, config};
use support::{analysis, frames};

/// Several blocks, so that several readers guess where records begin.
const OCTETS: usize = 6 * 1024 * 1024;
/// Records of a file with more blocks than wrong guesses are allowed before starts are found by walking.
const PHANTOMS: usize = 24 * 1024 * 1024 / 600;

#[test]
fn threads_do_not_show_in_reports() {
    for path in analysis::fixtures() {
        let report = |threads| analysis::report_json(&analysis::evidence(&[&path], threads));
        let one = report(1);
        for threads in [1, 2, 7] {
            assert!(one == report(threads), "{} with {threads} threads", path.display());
        }
    }
}

#[test]
fn threads_do_not_show_in_a_report_of_everything() {
    let paths = analysis::fixtures();
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    let report = |threads| analysis::report_json(&analysis::evidence(&paths, threads));
    let one = report(1);
    assert!(one == report(2), "2 threads");
    assert!(one == report(7), "7 threads");
}

#[test]
fn pcap_and_pcapng_give_the_same_table() {
    for name in ["a_recycle_on_snat.pcap", "close_variety_server_nano.pcap", "encapsulated_any_sll2.pcap"] {
        let classic = fs::read(analysis::fixture(name)).unwrap();
        let (records, link) = capture_file::records(&classic);
        let mut pcapng = Pcapng::new(Order::Little);
        let interface = pcapng.interface(link);
        records.iter().for_each(|record| pcapng.packet(interface, record));
        let table = |bytes: &[u8]| analysis::table_and_counts(&analysis::evidence_of(bytes, 2));
        assert_eq!(table(&classic), table(&pcapng.bytes), "{name}");
    }
}

#[test]
fn every_variant_of_pcap_gives_the_same_table() {
    let file = fs::read(analysis::fixture("a_recycle_on_snat.pcap")).unwrap();
    let (records, link) = capture_file::records(&file);
    let expected = analysis::table_and_counts(&analysis::evidence_of(&file, 2));
    for variant in Variant::ALL {
        let again = analysis::evidence_of(&capture_file::pcap(&records, variant, link), 2);
        assert_eq!(expected, analysis::table_and_counts(&again), "{variant:?}");
    }
}

#[test]
fn packing_and_pipes_give_the_same_table() {
    for name in ["b_recycle_off_snat.pcap", "encapsulated_multi_if.pcapng"] {
        let plain = fs::read(analysis::fixture(name)).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        let expected = analysis::table_and_counts(&analysis::evidence_of(&plain, 2));
        for packed in [&gzip, &zstd] {
            assert_eq!(expected, analysis::table_and_counts(&analysis::evidence_of(packed, 2)), "{name}");
        }
        // gzip files may follow one another in one file; the contents do, too.
        let table = analysis::table(&analysis::evidence_of(&plain, 2));
        for input in [plain, gzip, zstd] {
            let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
            let output = command.args(["connections", "-", "--format", "csv"]).write_stdin(input).unwrap();
            assert_eq!(table, String::from_utf8(output.stdout).unwrap(), "{name} from a pipe");
        }
    }
}

#[test]
fn the_thin_path_agrees_with_the_complete_one_on_all_fixtures() {
    for path in analysis::fixtures() {
        let file = fs::read(&path).unwrap();
        let hasher = PairHasher::default();
        let decode = |complete| match Pcap::open(&file) {
            Some(format) => decoded(format, &hasher, &file, pcap::HEADER, complete),
            None => decoded(lastack::capture::pcapng::Pcapng::open(&file).unwrap(), &hasher, &file, 0, complete),
        };
        assert!(decode(false) == decode(true), "{}", path.display());
    }
}

#[test]
fn data_that_looks_like_records_for_ever_misleads_no_reader_of_pcap() {
    for variant in Variant::ALL {
        let header = if matches!(variant, Variant::LittleModified | Variant::BigModified) { 24 } else { 16 };
        let fake = |stride: usize| {
            let inside = Record { at: frames::START, bytes: vec![0; stride.saturating_sub(header)] };
            let file = capture_file::pcap(&[inside], variant, 1);
            file[24..24 + header].to_vec()
        };
        let records = frames::phantom(PHANTOMS, header, fake);
        same_however_read(&capture_file::pcap(&records, variant, 1), records.len());
    }
}

#[test]
fn data_that_looks_like_blocks_for_ever_misleads_no_reader_of_pcapng() {
    for order in [Order::Little, Order::Big] {
        // A block of `stride` octets ends right before the next one begins: its length stands in front of that.
        let fake = |stride: usize| {
            let word = |value: u32| if order == Order::Little { value.to_le_bytes() } else { value.to_be_bytes() };
            let stride = (stride as u32).next_multiple_of(4);
            [word(stride), word(6), word(stride), word(0)].concat()
        };
        let records = frames::phantom(PHANTOMS, 32, fake);
        let mut file = Pcapng::new(order);
        let interface = file.interface(1);
        records.iter().for_each(|record| file.packet(interface, record));
        same_however_read(&file.bytes, records.len());
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn blocks_of_pcap_fall_where_they_like(seed in any::<u64>(), outer in 0_usize..6, inner in 0_usize..6) {
        let mut numbers = Numbers(seed);
        let inside = frames::inner(&mut numbers, Variant::ALL[inner]).repeat(3);
        let records = frames::mixed(&mut numbers, OCTETS, &inside);
        same_however_read(&capture_file::pcap(&records, Variant::ALL[outer], 1), records.len());
    }

    #[test]
    fn sections_and_interfaces_of_pcapng_come_when_they_like(seed in any::<u64>(), big in any::<bool>()) {
        let mut numbers = Numbers(seed);
        let order = if big { Order::Big } else { Order::Little };
        let inside = inner_pcapng(&mut numbers, order);
        let records = frames::mixed(&mut numbers, OCTETS, &inside);
        let file = changing_pcapng(&mut numbers, order, &records, &inside);
        same_however_read(&file, records.len());
    }
}

proptest! {
    #![proptest_config(config(40))]

    /// Hashes are seeded anew whenever a capture is read: what depends on them shows here, as what depends on threads.
    #[test]
    fn neither_threads_nor_hashes_show_in_reports_of_damaged_captures(
        which in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let paths: Vec<_> = analysis::fixtures().into_iter().filter(|path| path.extension().unwrap() == "pcap").collect();
        let (records, link) = capture_file::records(&fs::read(which.get(&paths)).unwrap());
        let records = capture_file::damaged(&mut Numbers(seed), records);
        let file = analysis::file(&capture_file::pcap(&records, Variant::LittleNano, link));
        let report = |threads| analysis::report_json(&analysis::evidence(&[file.path()], threads));
        let one = report(1);
        for threads in [1, 2, 3] {
            prop_assert!(one == report(threads), "{} with {threads} threads", which.get(&paths).display());
        }
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn the_thin_path_agrees_with_the_complete_one(frame in any_frame()) {
        let hasher = PairHasher::default();
        let decode = |complete: bool| {
            let mut batch = Batch::default();
            let decoder = Decoder::new(&hasher, &mut batch);
            let mut decoder = if complete { decoder.complete_only() } else { decoder };
            decoder.packet(Time(1), LinkType::ETHERNET, &frame, frame.len() as u32);
            described(batch)
        };
        prop_assert_eq!(decode(false), decode(true));
    }

    #[test]
    fn a_filter_keeps_the_same_on_the_thin_path_and_on_the_complete_one(frame in any_frame()) {
        if let [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x00, packet @ ..]
            | [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, packet @ ..] = frame.as_slice()
        {
            for text in ["tcp", "icmp", "ip", "not net 10.0.0.0/9", "src portrange 0-40000", "syn or rst"] {
                let mut filter = Filter::default();
                filter.expression(text).unwrap();
                let keeps = |link, bytes: &[u8]| {
                    let frame = Frame { number: 0, at: Time(1), link, bytes, original: bytes.len() as u32 };
                    filter.keeps_frame(&Candidate::new(frame, None))
                };
                prop_assert_eq!(keeps(LinkType::ETHERNET, &frame), keeps(LinkType::RAW, packet), "{}", text);
            }
        }
    }
}

/// Holds what several readers say of a file against what one reader of a stream says, who cannot guess.
#[track_caller]
fn same_however_read(file: &[u8], packets: usize) {
    let stream = analysis::evidence_of_stream(file, 1);
    assert_eq!(stream.capture(0).unwrap().frames.packets, packets as u64, "packets of the stream");
    let expected = analysis::table_and_counts(&stream);
    for threads in [1, 2] {
        let read = analysis::table_and_counts(&analysis::evidence_of(file, threads));
        if read != expected {
            let differs = read.lines().zip(expected.lines()).find(|(one, other)| one != other);
            panic!("{threads} threads say otherwise than the stream: {differs:?}");
        }
    }
}

/// A pcapng file to be carried as data in another one.
fn inner_pcapng(numbers: &mut Numbers, order: Order) -> Vec<u8> {
    let text = vec![b'.'; 1000];
    let small: Vec<Record> = (0..400)
        .map(|k| Record { at: frames::START + k, bytes: frames::tcp(numbers, &text[..(k as usize * 37) % 900]) })
        .collect();
    let mut file = Pcapng::new(order);
    let interface = file.interface(1);
    small.iter().for_each(|record| file.packet(interface, record));
    file.bytes
}

/// Packets of Ethernet and raw IP interfaces; every thousand packets or so something changes.
fn changing_pcapng(numbers: &mut Numbers, order: Order, records: &[Record], inside: &[u8]) -> Vec<u8> {
    let mut file = Pcapng::new(order);
    let mut links = vec![1];
    file.interface(1);
    for record in records {
        match numbers.below(600) {
            0 => {
                links.clear();
                file.section([Order::Little, Order::Big][numbers.below(2)]);
            }
            1..4 => {}
            // A block that nobody knows, longer than a reader's block, full of what looks like blocks.
            4 if numbers.below(4) == 0 => {
                let long = inside.repeat(1 + 700_000 / inside.len());
                file.block(0x4000_0001, &long[..long.len() / 4 * 4]);
            }
            _ if !links.is_empty() => {
                add(&mut file, numbers, &links, record);
                continue;
            }
            _ => {}
        }
        let link = [1, 101][numbers.below(2)];
        links.push(link);
        file.interface(link);
        add(&mut file, numbers, &links, record);
    }
    file.bytes
}

fn add(file: &mut Pcapng, numbers: &mut Numbers, links: &[u16], record: &Record) {
    let interface = numbers.below(links.len());
    let bytes = if links[interface] == 1 { record.bytes.clone() } else { record.bytes[14..].to_vec() };
    file.packet(interface as u32, &Record { at: record.at, bytes });
}

fn decoded(mut format: impl Format, hasher: &PairHasher, file: &[u8], start: usize, complete: bool) -> String {
    let mut batch = Batch::default();
    let decoder = Decoder::new(hasher, &mut batch);
    let mut decoder = if complete { decoder.complete_only() } else { decoder };
    let walked = format.walk(file, start, file.len(), &mut decoder);
    assert_eq!(walked.stop, None);
    described(batch)
}

/// Everything in a batch but which path it took.
fn described(mut batch: Batch) -> String {
    batch.frames.slow_path = 0;
    format!("{batch:?}")
}

/// Ethernet frames: sound ones, odd ones, cut ones, damaged ones.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::collection::vec(prop::sample::select(vec![0x8100_u16, 0x88a8, 0x9100]), 0..4);
    let parts = (tags, any::<bool>(), 0_u8..16, any::<u8>(), prop::collection::vec(option(), 0..6), 0_usize..80);
    let damage = (
        prop::option::of(0_usize..160),
        prop::collection::vec((0_usize..160, any::<u8>()), 0..3),
        prop::option::weighted(0.1, any::<u16>()),
        prop::option::weighted(0.1, any::<u16>()),
    );
    (parts, any::<u64>(), damage).prop_map(|((tags, v6, low, flags, options, data), seed, damage)| {
        let mut numbers = Numbers(seed);
        let options: Vec<u8> = options.concat().into_iter().take(40).collect();
        let mut tcp: Vec<u8> = (0..12).map(|_| numbers.next() as u8).collect();
        let words = (20 + options.len()).div_ceil(4);
        tcp.extend([(words as u8) << 4 | low, flags, 1, 2, 0, 0, 0, 0]);
        tcp.extend(&options);
        tcp.resize(words * 4 + data, 0);
        let mut frame = vec![2; 12];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 7]);
        }
        let (cut, bytes, length, fragment) = damage;
        let total = |header: usize| length.unwrap_or((header + tcp.len()) as u16).to_be_bytes();
        if v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(total(0));
            frame.extend([6, 64]);
            frame.extend(
                (0..32).map(|place| if place % 16 < 12 && low == 3 { u8::from(place % 16 > 9) * 255 } else { 9 }),
            );
        } else {
            frame.extend([0x08, 0, 0x45, 0]);
            frame.extend(total(20));
            frame.extend([0, 1]);
            frame.extend(fragment.unwrap_or(0x4000).to_be_bytes());
            frame.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, low]);
        }
        frame.extend(tcp);
        for (place, value) in bytes {
            if let Some(byte) = frame.get_mut(place) {
                *byte = value;
            }
        }
        frame.truncate(cut.unwrap_or(usize::MAX));
        frame
    })
}

/// A TCP option, whole or not.
fn option() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![0]),
        any::<u16>().prop_map(|mss| [&[2, 4][..], &mss.to_be_bytes()].concat()),
        any::<u8>().prop_map(|shift| vec![3, 3, shift]),
        Just(vec![4, 2]),
        any::<[u8; 8]>().prop_map(|stamps| [&[8, 10][..], &stamps].concat()),
        (any::<u8>(), any::<u8>()).prop_map(|(kind, length)| vec![kind, length]),
    ]
}
