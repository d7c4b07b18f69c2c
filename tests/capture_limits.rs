//! The capture's own limits (CAP rules) that no packet script shows, and layers in front of TCP made to order: tunnels
//! nested in tunnels, labels, fragments.

mod support;

use lastack::diagnosis::{Finding, Severity};
use lastack::evidence::Evidence;
use support::capture_file::{self, Order, Pcapng, Record, Variant};
use support::{analysis, flow};

const SCRIPT: &str = "
0.0     203.0.113.9:1025 > 192.0.2.80:80     S    ts=900000
+0.001  192.0.2.80:80 > 203.0.113.9:1025     S.   ts=5000
+0.001  203.0.113.9:1025 > 192.0.2.80:80     .
+0.001  203.0.113.9:1025 > 192.0.2.80:80     P.   len=600
+0.001  192.0.2.80:80 > 203.0.113.9:1025     .
+0.1    192.0.2.80:80 > 203.0.113.9:1025     F.
+0.001  203.0.113.9:1025 > 192.0.2.80:80     F.
+0.001  192.0.2.80:80 > 203.0.113.9:1025     .
";

fn records() -> Vec<Record> {
    let packets = flow::Flow::compile(SCRIPT).unwrap().packets;
    let epoch = flow::EPOCH_S * 1_000_000_000;
    packets.into_iter().map(|packet| Record { at: epoch + packet.at, bytes: packet.bytes }).collect()
}

fn ethernet(records: &[Record]) -> Vec<u8> {
    capture_file::pcap(records, Variant::LittleNano, 1)
}

fn found(bytes: &[u8], rule: &str) -> Option<Finding> {
    analysis::findings(&analysis::evidence_of(bytes, 1)).into_iter().find(|finding| finding.rule == rule)
}

#[track_caller]
fn warns(bytes: &[u8], rule: &str) -> Finding {
    let finding = found(bytes, rule).unwrap_or_else(|| panic!("{rule} does not fire"));
    assert_eq!(finding.severity, Severity::Warning, "{}", finding.title);
    assert!(finding.tables.iter().any(|table| table.title.starts_with("What cannot be told")), "{rule}");
    assert!(!finding.exhibits.is_empty() && finding.exhibits_total > 0, "{rule}");
    finding
}

#[test]
fn a_whole_capture_has_no_limits_above_info() {
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        let interface = file.interface(1);
        records().iter().for_each(|record| file.packet(interface, record));
        let found = analysis::findings(&analysis::evidence_of(&file.bytes, 1));
        assert!(found.iter().all(|finding| !finding.rule.starts_with("CAP")), "{:?}", found.first().map(|f| &f.title));
    }
}

#[test]
fn a_cut_file_is_told() {
    let whole = ethernet(&records());
    let finding = warns(&whole[..whole.len() - 7], "CAP001");
    assert_eq!(finding.exhibits[0].frame, Some(7), "the last whole packet");
    assert!(found(&whole, "CAP001").is_none());
}

#[test]
fn cut_options_and_cut_headers_are_told() {
    // Ethernet and IPv4 take 34 octets, the fixed header 20.
    let cut = |length: usize| {
        let cut = |record: Record| Record { bytes: record.bytes[..length.min(record.bytes.len())].to_vec(), ..record };
        ethernet(&records().into_iter().map(cut).collect::<Vec<Record>>())
    };
    let finding = warns(&cut(56), "CAP002");
    assert_eq!((finding.metrics["syns_cut"], finding.metrics["headers_cut"]), (2.0, 0.0));
    let finding = warns(&cut(40), "CAP002");
    assert_eq!(finding.metrics["headers_cut"], 8.0);
    assert!(found(&cut(94), "CAP002").is_none(), "only data is cut");
}

#[test]
fn drops_that_the_file_counts_are_told_in_both_byte_orders() {
    for order in [Order::Little, Order::Big] {
        let mut file = Pcapng::new(order);
        let interface = file.interface(1);
        records().iter().for_each(|record| file.packet(interface, record));
        let number = |value: u32| if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        let short = |value: u16| if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u64| if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut block: Vec<u8> = [number(5), number(24 + 12 + 12 + 4), number(0), number(0), number(0)].concat();
        for (code, value) in [(5_u16, 41_u64), (7, 1)] {
            block.extend([short(code), short(8)].concat());
            block.extend(long(value));
        }
        block.extend([short(0), short(0)].concat());
        block.extend(number(24 + 12 + 12 + 4));
        file.bytes.extend(block);
        let finding = warns(&file.bytes, "CAP003");
        assert_eq!(finding.metrics["dropped_counted"], 42.0, "{order:?}");
    }
}

/// Holes of connections that are open at once take turns, and which of them lie together depends on the hash.
#[test]
fn a_connection_with_several_holes_counts_once() {
    let script = "
repeat 60 every 0.001 ports+1
  1.0      198.51.100.7:40000 > 192.0.2.80:80   S
  +0.0002  192.0.2.80:80 > 198.51.100.7:40000   S.
  +0.001   198.51.100.7:40000 > 192.0.2.80:80   .
  +0.3     198.51.100.7:40000 > 192.0.2.80:80   P.  len=500 hidden
  +0.0001  198.51.100.7:40000 > 192.0.2.80:80   P.  len=500
  +0.1     192.0.2.80:80 > 198.51.100.7:40000   .
  +0.3     198.51.100.7:40000 > 192.0.2.80:80   P.  len=500 hidden
  +0.0001  198.51.100.7:40000 > 192.0.2.80:80   P.  len=500
  +0.1     192.0.2.80:80 > 198.51.100.7:40000   .
end
";
    let finding = warns(&flow::pcap(script).unwrap(), "CAP003");
    assert_eq!((finding.metrics["holes"], finding.metrics["connections"]), (120.0, 60.0));
}

/// What the network reordered is no hole: however much there was of it, it takes no room from what is missing.
#[test]
fn a_hole_is_told_behind_any_number_of_segments_out_of_order() {
    let script = "
1.0      198.51.100.7:40000 > 192.0.2.80:80   S
+0.0002  192.0.2.80:80 > 198.51.100.7:40000   S.
+0.001   198.51.100.7:40000 > 192.0.2.80:80   .
repeat 66000 every 0.001
  2.0      198.51.100.7:40000 > 192.0.2.80:80   .   len=1 hidden
  +0.0001  198.51.100.7:40000 > 192.0.2.80:80   P.  len=1
  +0.0001  198.51.100.7:40000 > 192.0.2.80:80   .   again
end
100.0    198.51.100.7:40000 > 192.0.2.80:80   P.  len=500 hidden
+0.0001  198.51.100.7:40000 > 192.0.2.80:80   P.  len=1
+0.1     192.0.2.80:80 > 198.51.100.7:40000   .
";
    let finding = found(&flow::pcap(script).unwrap(), "CAP003").expect("a hole is there");
    assert_eq!((finding.metrics["holes"], finding.metrics["octets_unseen"]), (1.0, 500.0));
}

#[test]
fn a_clock_that_steps_back_is_told_and_reordering_is_not() {
    let stepped = |nanos: u64| {
        let mut records = records();
        records.iter_mut().skip(4).for_each(|record| record.at -= nanos);
        ethernet(&records)
    };
    let finding = warns(&stepped(5_000_000_000), "CAP005");
    assert_eq!((finding.metrics["steps"], finding.exhibits[0].frame), (1.0, Some(5)));
    assert!(found(&stepped(5_000_000), "CAP005").is_none(), "5 ms");
    assert_eq!(found(&stepped(300_000_000), "CAP005").unwrap().severity, Severity::Info, "300 ms");
}

#[test]
fn a_checksum_left_to_the_card_is_told_from_a_wrong_one() {
    let with = |checksum: &dyn Fn(&[u8]) -> u16| {
        let mut records = records();
        let syn = &mut records[0].bytes;
        let sum = checksum(syn).to_be_bytes();
        syn[50..52].copy_from_slice(&sum);
        ethernet(&records)
    };
    let pseudo = |frame: &[u8]| {
        let length = (frame.len() - 34) as u16;
        !flow::internet_checksum(&[&frame[26..34], &[0, 6], &length.to_be_bytes()])
    };
    let finding = found(&with(&pseudo), "CAP008").unwrap();
    assert_eq!((finding.metrics["offloaded"], finding.metrics["wrong"]), (1.0, 0.0));
    let finding = found(&with(&|frame| pseudo(frame) ^ 0x0101), "CAP008").unwrap();
    assert_eq!((finding.metrics["offloaded"], finding.metrics["wrong"]), (0.0, 1.0));
    assert!(found(&ethernet(&records()), "CAP008").is_none());
}

/// Octets in front of a frame's IP packet, or of the whole frame.
type Wrap = dyn Fn(&[u8]) -> Vec<u8>;

fn wrapped(wrap: &Wrap) -> Vec<Record> {
    records().into_iter().map(|record| Record { bytes: wrap(&record.bytes), ..record }).collect()
}

const STATIONS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn framed(kind: u16, body: &[u8]) -> Vec<u8> {
    [&STATIONS, &kind.to_be_bytes()[..], body].concat()
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let length = (20 + body.len() as u16).to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header[..], body].concat()
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    header.extend([0xfd; 16]);
    header.extend([0xfc; 16]);
    [&header[..], body].concat()
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let length = (8 + body.len() as u16).to_be_bytes();
    [&[0xc0, 0, port.to_be_bytes()[0], port.to_be_bytes()[1], length[0], length[1], 0, 0], body].concat()
}

/// The IP packet of a frame.
fn ip(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

fn vxlan(vni: u8, frame: &[u8]) -> Vec<u8> {
    framed(0x0800, &ipv4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, vni, 0], frame].concat())))
}

#[track_caller]
fn one_connection(records: &[Record], link: u16, tunnel: &str) -> Evidence {
    let evidence = analysis::evidence_of(&capture_file::pcap(records, Variant::LittleNano, link), 1);
    let connections: Vec<_> = evidence.connections().map(|(_, connection)| connection).collect();
    assert_eq!(connections.len(), 1, "{tunnel}");
    let connection = connections[0];
    assert_eq!(
        (connection.client().to_string(), connection.server().to_string()),
        ("203.0.113.9:1025".to_owned(), "192.0.2.80:80".to_owned()),
        "{tunnel}"
    );
    assert_eq!(connection.history().to_string(), "ShADafF", "{tunnel}");
    assert_eq!(connection.encapsulation().unwrap_or_default(), tunnel);
    drop(connections);
    evidence
}

#[test]
fn every_tunnel_leads_to_the_connection() {
    let outer = "10.0.0.1-10.0.0.2";
    let gre =
        |flags: u8, protocol: u16, body: &[u8]| ipv4(47, &[&[flags, 0], &protocol.to_be_bytes()[..], body].concat());
    let cases: Vec<(&str, Box<Wrap>, String)> = vec![
        ("ipip", Box::new(|f| framed(0x0800, &ipv4(4, ip(f)))), format!("ipip {outer}")),
        ("4in6", Box::new(|f| framed(0x86dd, &ipv6(4, ip(f)))), "ipip".to_owned()),
        ("gre", Box::new(move |f| framed(0x0800, &gre(0, 0x0800, ip(f)))), format!("gre {outer}")),
        (
            "gre key, sequence",
            Box::new(move |f| framed(0x0800, &gre(0x30, 0x0800, &[&[0, 0, 0, 9, 0, 0, 0, 1], ip(f)].concat()))),
            format!("gre {outer} key 9"),
        ),
        ("gretap", Box::new(move |f| framed(0x0800, &gre(0, 0x6558, f))), format!("gre {outer}")),
        ("erspan I", Box::new(move |f| framed(0x0800, &gre(0, 0x88be, f))), format!("gre {outer}")),
        (
            "erspan II",
            Box::new(move |f| {
                framed(0x0800, &gre(0x10, 0x88be, &[&[0, 0, 0, 1, 0x10, 0, 0, 7, 0, 0, 0, 0], f].concat()))
            }),
            format!("gre {outer} erspan 7"),
        ),
        (
            "erspan III",
            Box::new(move |f| {
                framed(0x0800, &gre(0x10, 0x22eb, &[&[0, 0, 0, 1, 0x20, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0], f].concat()))
            }),
            format!("gre {outer} erspan 7"),
        ),
        (
            "erspan III with its optional header",
            Box::new(move |f| {
                framed(
                    0x0800,
                    &gre(
                        0x10,
                        0x22eb,
                        &[&[0, 0, 0, 1, 0x20, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], f].concat(),
                    ),
                )
            }),
            format!("gre {outer} erspan 7"),
        ),
        ("vxlan", Box::new(|f| vxlan(42, f)), format!("vxlan 42 {outer}")),
        (
            "vxlan of Linux",
            Box::new(|f| framed(0x0800, &ipv4(17, &udp(8472, &[&[8, 0, 0, 0, 0, 0, 42, 0], f].concat())))),
            format!("vxlan 42 {outer}"),
        ),
        (
            "vxlan-gpe",
            Box::new(|f| framed(0x0800, &ipv4(17, &udp(4790, &[&[0x0c, 0, 0, 1, 0, 0, 42, 0], ip(f)].concat())))),
            format!("vxlan 42 {outer}"),
        ),
        (
            "geneve with options",
            Box::new(|f| {
                framed(0x0800, &ipv4(17, &udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 55, 0, 0, 0, 0, 0], f].concat())))
            }),
            format!("geneve 55 {outer}"),
        ),
        (
            "gtp with an extension header",
            Box::new(|f| {
                framed(
                    0x0800,
                    &ipv4(17, &udp(2152, &[&[0x34, 255, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0x85, 1, 0, 0, 0], ip(f)].concat())),
                )
            }),
            format!("gtp {outer} teid 5"),
        ),
        (
            "gre in udp",
            Box::new(|f| framed(0x0800, &ipv4(17, &udp(4754, &[&[0, 0, 8, 0], ip(f)].concat())))),
            format!("gre {outer}"),
        ),
        ("vlan", Box::new(|f| framed(0x8100, &[&[0x20, 10, 8, 0], ip(f)].concat())), "vlan 10".to_owned()),
        (
            "qinq",
            Box::new(|f| framed(0x88a8, &[&[0, 20, 0x81, 0, 0, 10, 8, 0], ip(f)].concat())),
            "vlan 20 vlan 10".to_owned(),
        ),
        (
            "three tags",
            Box::new(|f| framed(0x9100, &[&[0, 30, 0x88, 0xa8, 0, 20, 0x81, 0, 0, 10, 8, 0], ip(f)].concat())),
            "vlan 30 vlan 20 vlan 10".to_owned(),
        ),
        (
            "mpls",
            Box::new(|f| framed(0x8847, &[&[0, 1, 0, 64, 0, 1, 17, 64], ip(f)].concat())),
            "mpls 16 mpls 17".to_owned(),
        ),
        (
            "pppoe",
            Box::new(|f| framed(0x8864, &[&[0x11, 0, 0, 3, 0, 0, 0, 0x21], ip(f)].concat())),
            "pppoe 3".to_owned(),
        ),
        ("backbone", Box::new(|f| framed(0x88e7, &[&[0, 0, 1, 0], f].concat())), "isid 256".to_owned()),
        ("fabric path", Box::new(|f| framed(0x8903, &[&[0, 32], f].concat())), String::new()),
        ("vn-tag", Box::new(|f| framed(0x8926, &[&[0, 0, 0, 0, 8, 0], ip(f)].concat())), String::new()),
        (
            "authentication header",
            Box::new(|f| framed(0x0800, &ipv4(51, &[&[4, 4, 0, 0], &[0; 20][..], ip(f)].concat()))),
            format!("ipip {outer}"),
        ),
    ];
    for (name, wrap, tunnel) in cases {
        let tunnel = if name == "4in6" {
            "ipip fcfc:fcfc:fcfc:fcfc:fcfc:fcfc:fcfc:fcfc-fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd".to_owned()
        } else {
            tunnel
        };
        println!("{name}");
        one_connection(&wrapped(&*wrap), 1, &tunnel);
    }
}

#[test]
fn tunnels_nest_deeper_than_four() {
    let nested = wrapped(&|frame| (1..=7).fold(frame.to_vec(), |frame, vni| vxlan(vni, &frame)));
    let tunnel: Vec<String> = (1..=7).rev().map(|vni| format!("vxlan {vni} 10.0.0.1-10.0.0.2")).collect();
    one_connection(&nested, 1, &tunnel.join(" "));
}

#[test]
fn link_types_lead_to_the_connection() {
    let snap = |body: &[u8]| [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], body].concat();
    let cases: Vec<(u16, Box<Wrap>)> = vec![
        (192, Box::new(|f| [&[0, 0, 8, 0, 1, 0, 0, 0], f].concat())),
        (258, Box::new(|f| [&[12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], f].concat())),
        (10, Box::new(move |f| [&[0x50], &STATIONS[..], &snap(ip(f))].concat())),
        (6, Box::new(move |f| [&[0x10, 0x40], &STATIONS[..], &snap(ip(f))].concat())),
        (7, Box::new(|f| [&[1, 2, 0xf0], ip(f)].concat())),
        (7, Box::new(|f| [&[1, 2, 0xd4, 0, 0, 1], ip(f)].concat())),
        (129, Box::new(|f| [&[1, 2, 0, 0, 0xd4, 0, 0, 1], ip(f)].concat())),
        (242, Box::new(|f| [&[0; 40], &[8, 0, 0, 0][..], ip(f)].concat())),
        (100, Box::new(move |f| snap(ip(f)))),
        (109, Box::new(|f| [&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ip(f)].concat())),
        (117, Box::new(|f| [&[61, 2], &[0; 62][..], ip(f)].concat())),
        (104, Box::new(|f| [&[0x0f, 0, 8, 0], ip(f)].concat())),
        (50, Box::new(|f| [&[0x0f, 0, 8, 0], ip(f)].concat())),
        (9, Box::new(|f| [&[0xff, 3, 0, 0x21], ip(f)].concat())),
        (178, Box::new(|f| [&b"MGC\x01"[..], f].concat())),
        (178, Box::new(|f| [&b"MGC\x82\x00\x03abc\x02\x00\x00\x00"[..], ip(f)].concat())),
        (179, Box::new(|f| [&b"MGC\x01\xff\x03\x00\x21"[..], ip(f)].concat())),
        (181, Box::new(|f| [&b"MGC\x01\x0f\x00\x08\x00"[..], ip(f)].concat())),
    ];
    for (link, wrap) in cases {
        println!("{link}");
        one_connection(&wrapped(&*wrap), link, "");
    }
}

#[test]
fn a_conversation_seen_tagged_and_untagged_is_one() {
    let mut records = records();
    for record in records.iter_mut().filter(|record| record.bytes[26..30] == [192, 0, 2, 80]) {
        record.bytes.splice(12..12, [0x81, 0, 0, 99]);
    }
    one_connection(&records, 1, "");
}

#[test]
fn equal_inner_addresses_of_two_networks_stay_apart() {
    let mut both = wrapped(&|frame| vxlan(1, frame));
    for (place, record) in wrapped(&|frame| vxlan(2, frame)).into_iter().enumerate() {
        both.insert(place * 2 + 1, record);
    }
    let evidence = analysis::evidence_of(&ethernet(&both), 1);
    let tunnels: Vec<String> = evidence.connections().filter_map(|(_, c)| c.encapsulation()).collect();
    assert_eq!(tunnels, ["vxlan 1 10.0.0.1-10.0.0.2", "vxlan 2 10.0.0.1-10.0.0.2"]);
    assert!(evidence.connections().all(|(_, c)| c.history().to_string() == "ShADafF"));
}

/// Cuts every IPv4 packet into fragments of so many octets.
fn fragmented(octets: usize, backwards: bool) -> Vec<Record> {
    let mut all = Vec::new();
    for (id, record) in (1_u16..).zip(records()) {
        let (header, body) = (&record.bytes[14..34], &record.bytes[34..]);
        let count = body.chunks(octets).count();
        let mut parts: Vec<Record> = body
            .chunks(octets)
            .enumerate()
            .map(|(place, part)| {
                let mut header = header.to_vec();
                header[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
                header[4..6].copy_from_slice(&id.to_be_bytes());
                let more = if place + 1 < count { 0x2000 } else { 0 };
                header[6..8].copy_from_slice(&(more | (place * octets / 8) as u16).to_be_bytes());
                Record { at: record.at, bytes: [&STATIONS, &[8, 0][..], &header, part].concat() }
            })
            .collect();
        if backwards {
            parts.reverse();
        }
        all.extend(parts);
    }
    all
}

#[test]
fn fragments_are_put_together_whatever_their_size_and_order() {
    for octets in [8, 16, 24, 40, 64, 400] {
        for backwards in [false, true] {
            println!("{octets} {backwards}");
            let records = fragmented(octets, backwards);
            let evidence = one_connection(&records, 1, "");
            let connection = evidence.connections().next().unwrap().1;
            assert_eq!(connection.endpoint(lastack::connection::Side::Client).bytes, 600);
            assert!(found(&ethernet(&records), "CAP003").is_none());
            let frames = &evidence.capture(0).unwrap().frames;
            assert_eq!((frames.flags.syn, frames.flags.syn_ack, frames.flags.fin, frames.segments), (1, 1, 2, 8));
        }
    }
}

/// Client and server of every connection that was made in a network, of one family or both.
fn made(network: &str, family: Option<bool>) -> Vec<(String, String)> {
    let text = std::fs::read_to_string("fixtures/captures/encapsulated.truth.txt").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let of = lines.filter_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let wanted = words[0] == network && family.is_none_or(|v4| v4 != words[1].starts_with('['));
        wanted.then(|| (words[1].to_owned(), words[2].to_owned()))
    });
    let mut all: Vec<(String, String)> = of.collect();
    all.sort();
    all
}

#[test]
fn captures_of_tunnels_give_the_connections_that_were_made() {
    for (name, network, family, tunnel) in [
        ("erspan2", "wire", None, "gre 192.0.2.1-192.0.2.2 erspan"),
        ("geneve", "wire", None, "geneve 55 192.0.2.1-192.0.2.2"),
        ("gre", "wire", None, "gre 192.0.2.1-192.0.2.2"),
        ("gretap", "wire", None, "gre 192.0.2.1-192.0.2.2"),
        ("ipip", "wire", Some(true), "ipip 192.0.2.1-192.0.2.2"),
        ("mpls2", "wire", None, "mpls"),
        ("pppoe", "wire", None, "pppoe"),
        ("qinq", "wire", None, "vlan"),
        ("sit6in4", "wire", Some(false), "ipip 192.0.2.1-192.0.2.2"),
        ("vxlan_kernel", "vxlan", None, "vxlan 77 10.70.0.1-10.70.0.2"),
    ] {
        let path = analysis::fixture(&format!("encapsulated_{name}.pcap.gz"));
        let evidence = analysis::evidence(&[&path], 1);
        let pairs = evidence.connections().map(|(_, c)| (c.client().to_string(), c.server().to_string()));
        let mut pairs: Vec<(String, String)> = pairs.collect();
        pairs.sort();
        assert_eq!(pairs, made(network, family), "{name}");
        for (_, connection) in evidence.connections() {
            let words = connection.encapsulation().unwrap_or_default();
            assert!(words.starts_with(tunnel), "{name}: {words}");
        }
    }
}
