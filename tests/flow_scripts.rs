//! The packet scripts: the compiler against bytes written by hand, and every fixture script against the rules for fixtures.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::flow::{self, Flow, Packet, internet_checksum};

// Fixtures.

#[test]
fn every_fixture_script_compiles_in_order_of_time() {
    assert!(!scripts().is_empty());
    for (path, text) in scripts() {
        let flow = Flow::compile(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!flow.packets.is_empty(), "{}: no packet", path.display());
        assert!(flow.packets.is_sorted_by_key(|p| p.at), "{}: steps back", path.display());
        for packet in &flow.packets {
            assert!(checksums_hold(&packet.bytes), "{}: line {}", path.display(), packet.line);
        }
    }
}

#[test]
fn every_rule_folder_has_a_positive_and_look_alikes() {
    for folder in folders() {
        let code = code_of(&folder);
        let named = |start: &str| scripts_in(&folder).iter().filter(|p| file_name(p).starts_with(start)).count();
        assert!(named("positive") >= 1, "{code}: no positive.flow");
        assert!(named("lookalike-") >= 2, "{code}: fewer than two look-alikes");
    }
}

#[test]
fn every_script_says_what_must_and_must_not_fire() {
    for (path, text) in scripts() {
        let (name, code) = (path.display(), code_of(path.parent().unwrap()));
        let said = flow::expectation(&text);
        let all: Vec<&String> = said.fires.iter().chain(&said.silent).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len(), "{name}: a code stands twice");
        assert!(all.iter().all(|c| is_code(c)), "{name}: {all:?}");
        assert!(text.starts_with("# "), "{name}: does not open with what happens on the hosts");
        let positive = file_name(&path).starts_with("positive");
        let wanted = if positive { &said.fires } else { &said.silent };
        assert!(wanted.contains(&code), "{name}: nothing is said of {code}");
    }
}

fn scripts() -> Vec<(PathBuf, String)> {
    let paths = folders().into_iter().flat_map(|folder| scripts_in(&folder));
    paths.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/diagnoses");
    sorted(&root).into_iter().filter(|p| p.is_dir() && !scripts_in(p).is_empty()).collect()
}

fn scripts_in(folder: &Path) -> Vec<PathBuf> {
    sorted(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == "flow")).collect()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// `SYN001` of `SYN001-per-host-paws-drop`.
fn code_of(folder: &Path) -> String {
    file_name(folder).split('-').next().unwrap().to_owned()
}

fn is_code(text: &str) -> bool {
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    letters.len() >= 2 && letters.chars().all(|c| c.is_ascii_uppercase()) && text.len() - letters.len() == 3
}

// The compiler.

#[test]
fn a_syn_has_the_bytes_that_the_rfcs_ask_for() {
    let file = flow::pcap("1.5 203.0.113.9:1025 > 192.0.2.80:80 S seq=1000 ts=900000").unwrap();
    let expected = hex("
        d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000
        01b95569 20a10700 4a000000 4a000000
        0200c0000250 0200cb007109 0800
        4500 003c 0001 4000 40 06 3c61 cb007109 c0000250
        0401 0050 000003e8 00000000 a0 02 7210 13af 0000
        020405b4 0402 080a 000dbba0 00000000 01 030307");
    assert_eq!(file[..24], expected[..24], "file header");
    assert_eq!(file[24..40], expected[24..40], "record header");
    assert_eq!(file[40..], expected[40..], "frame");
}

#[test]
fn ipv6_and_a_vlan_tag_have_their_own_headers() {
    let flow = Flow::compile("0 [2001:db8::1]:1025 > [2001:db8::80]:80 S seq=1 opts=bare vlan=5 ttl=60").unwrap();
    let expected = hex("
        020000000080 020000000001 8100 0005 86dd
        60000000 0014 06 3c 20010db8000000000000000000000001 20010db8000000000000000000000080
        0401 0050 00000001 00000000 50 02 7210 dd8d 0000");
    assert_eq!(flow.packets[0].bytes, expected);
    assert!(checksums_hold(&flow.packets[0].bytes));
}

#[test]
fn nanoseconds_have_their_own_magic() {
    let text = "resolution ns\n0.000000001 192.0.2.1:1 > 192.0.2.2:2 S";
    let file = flow::pcap(text).unwrap();
    assert_eq!(file[..4], hex("4d3cb2a1"));
    assert_eq!(file[28..32], hex("01000000"));
}

#[test]
fn a_connection_numbers_itself() {
    let rows = rows(
        "
        clock A hz=250 start=900000
        0.0  203.0.113.9:1025 > 192.0.2.80:80  S   seq=1000 ts=A
        0.1  192.0.2.80:80 > 203.0.113.9:1025  S.  seq=70 ts=5000
        0.2  203.0.113.9:1025 > 192.0.2.80:80  .
        0.4  203.0.113.9:1025 > 192.0.2.80:80  P.  len=100
        0.5  192.0.2.80:80 > 203.0.113.9:1025  FP. len=20
        0.6  203.0.113.9:1025 > 192.0.2.80:80  F.
        0.7  192.0.2.80:80 > 203.0.113.9:1025  .   nots",
    );
    assert_eq!(
        rows,
        [
            "S seq 1000 ack 0 ts 900000 ecr 0",
            "S. seq 70 ack 1001 ts 5000 ecr 900000",
            ". seq 1001 ack 71 ts 900050 ecr 5000",
            "P. seq 1001 ack 71 len 100 ts 900100 ecr 5000",
            "FP. seq 71 ack 1101 len 20 ts 5400 ecr 900100",
            "F. seq 1101 ack 92 ts 900150 ecr 5400",
            ". seq 92 ack 1102",
        ]
    );
}

#[test]
fn a_retransmission_keeps_its_number_and_what_is_lost_is_not_acknowledged() {
    let rows = rows(
        "
        0  192.0.2.1:9 > 192.0.2.2:80  S  seq=10 ts=1 lost
        1  192.0.2.1:9 > 192.0.2.2:80  S  again
        +0 192.0.2.2:80 > 192.0.2.1:9  S. seq=50
        +0 192.0.2.1:9 > 192.0.2.2:80  P. len=7 lost nots
        +0 192.0.2.1:9 > 192.0.2.2:80  P. len=3 nots
        +0 192.0.2.2:80 > 192.0.2.1:9  .
        +0 192.0.2.1:9 > 192.0.2.2:80  P. seq=11 len=7 nots
        +0 192.0.2.2:80 > 192.0.2.1:9  .
        +0 192.0.2.2:80 > 192.0.2.1:9  F. lost
        2  192.0.2.2:80 > 192.0.2.1:9  F. again
        +0 192.0.2.1:9 > 192.0.2.2:80  .  nots",
    );
    assert_eq!(
        rows,
        [
            "S seq 10 ack 0 ts 1 ecr 0",
            "S seq 10 ack 0 ts 1001 ecr 0",
            "S. seq 50 ack 11",
            "P. seq 11 ack 51 len 7",
            "P. seq 18 ack 51 len 3",
            ". seq 51 ack 11",
            "P. seq 11 ack 51 len 7",
            ". seq 51 ack 21",
            "F. seq 51 ack 21",
            "F. seq 51 ack 21",
            ". seq 21 ack 52",
        ]
    );
}

#[test]
fn a_syn_into_time_wait_meets_the_old_numbers() {
    let rows = rows(
        "
        0  192.0.2.1:9 > 192.0.2.2:80  S  seq=1000 ts=500
        +0 192.0.2.2:80 > 192.0.2.1:9  S. seq=9000 ts=70
        +0 192.0.2.1:9 > 192.0.2.2:80  .
        +0 192.0.2.2:80 > 192.0.2.1:9  F.
        +0 192.0.2.1:9 > 192.0.2.2:80  F.
        +0 192.0.2.2:80 > 192.0.2.1:9  .
        5  192.0.2.1:9 > 192.0.2.2:80  S  seq=-300 ts=20
        +0 192.0.2.2:80 > 192.0.2.1:9  .
        +0 192.0.2.1:9 > 192.0.2.2:80  R
        6  192.0.2.1:9 > 192.0.2.2:80  S  again
        +0 192.0.2.2:80 > 192.0.2.1:9  S. seq=+65537 ts=80
        +0 192.0.2.1:9 > 192.0.2.2:80  .",
    );
    assert_eq!(
        rows[6..],
        [
            "S seq 702 ack 0 ts 20 ecr 0",
            ". seq 9002 ack 1002 ts 5070 ecr 500",
            "R seq 1002 ack 0",
            "S seq 702 ack 0 ts 1020 ecr 0",
            "S. seq 74539 ack 703 ts 80 ecr 1020",
            ". seq 703 ack 74540 ts 1020 ecr 80",
        ]
    );
}

#[test]
fn a_refusal_has_number_zero_and_an_abort_its_own() {
    let rows = rows(
        "
        0  192.0.2.1:9 > 192.0.2.2:80  S  seq=10
        +0 192.0.2.2:80 > 192.0.2.1:9  R.
        1  192.0.2.1:8 > 192.0.2.2:80  S  seq=10
        +0 192.0.2.2:80 > 192.0.2.1:8  S. seq=20
        +0 192.0.2.1:8 > 192.0.2.2:80  R. ",
    );
    assert_eq!(rows[1], "R. seq 0 ack 11");
    assert_eq!(rows[4], "R. seq 11 ack 21");
}

#[test]
fn an_old_duplicate_teaches_nothing() {
    let rows = rows(
        "
        clock C hz=1000 start=0
        9  192.0.2.1:9 > 192.0.2.2:80  S  seq=1000 ts=C
        +0 192.0.2.2:80 > 192.0.2.1:9  S. seq=50 ts=7
        +0 192.0.2.1:9 > 192.0.2.2:80  P. len=5
        +0 192.0.2.1:9 > 192.0.2.2:80  P. seq=400 ack=30 len=5 ts=C-3000
        +0 192.0.2.2:80 > 192.0.2.1:9  .
        +0 192.0.2.1:9 > 192.0.2.2:80  P. len=5",
    );
    assert_eq!(rows[3], "P. seq 400 ack 30 len 5 ts 6000 ecr 7");
    assert_eq!(rows[4], ". seq 51 ack 1006 ts 7 ecr 9000");
    assert_eq!(rows[5], "P. seq 1006 ack 51 len 5 ts 9000 ecr 7");
}

#[test]
fn both_sides_open_at_once() {
    let rows = rows(
        "
        0    192.0.2.1:9 > 192.0.2.2:9  S   seq=10
        0.1  192.0.2.2:9 > 192.0.2.1:9  S   seq=50
        0.2  192.0.2.1:9 > 192.0.2.2:9  S.
        0.3  192.0.2.2:9 > 192.0.2.1:9  S.
        0.4  192.0.2.1:9 > 192.0.2.2:9  .",
    );
    assert_eq!(rows[2..], ["S. seq 10 ack 51", "S. seq 50 ack 11", ". seq 11 ack 51"]);
}

#[test]
fn a_connection_from_before_the_capture_acknowledges_itself() {
    let flow = Flow::compile(
        "
        0  192.0.2.1:9 > 192.0.2.2:80  P. len=10
        +0 192.0.2.2:80 > 192.0.2.1:9  P. len=20
        +0 192.0.2.1:9 > 192.0.2.2:80  .",
    )
    .unwrap();
    let tcp: Vec<Tcp> = flow.packets.iter().map(tcp).collect();
    assert_eq!((tcp[1].seq, tcp[1].ack), (tcp[0].ack, tcp[0].seq + 10));
    assert_eq!((tcp[2].seq, tcp[2].ack), (tcp[1].ack, tcp[1].seq + 20));
}

#[test]
fn a_block_is_repeated_with_other_ports_and_numbers() {
    let flow = Flow::compile(
        "
        repeat 4 every 0.5 ports+2 except 2-3
        1.0  192.0.2.1:4000 > 192.0.2.2:80  S
        +3.0 192.0.2.1:4000 > 192.0.2.2:80  S again
        end
        repeat 2 every 1
        9.0  192.0.2.7+:4000 > 192.0.2.2:80+  S
        end",
    )
    .unwrap();
    let seen: Vec<String> = flow.packets.iter().map(|p| format!("{} {}", p.at / 100_000_000, tcp(p).pair)).collect();
    assert_eq!(
        seen,
        [
            "10 192.0.2.1:4000 192.0.2.2:80",
            "25 192.0.2.1:4006 192.0.2.2:80",
            "40 192.0.2.1:4000 192.0.2.2:80",
            "55 192.0.2.1:4006 192.0.2.2:80",
            "90 192.0.2.7:4000 192.0.2.2:80",
            "100 192.0.2.8:4000 192.0.2.2:81",
        ]
    );
    let isn = |n: usize| tcp(&flow.packets[n]).seq;
    assert_eq!((isn(0), isn(1)), (isn(2), isn(3)));
    assert_ne!(isn(0), isn(1));
}

#[test]
fn a_clock_can_have_an_offset_for_each_connection() {
    let rows = rows(
        "
        clock M hz=1000 start=per-connection
        0 192.0.2.1:9 > 192.0.2.2:80  S seq=1 ts=M
        1 192.0.2.1:9 > 192.0.2.2:80  S again
        2 192.0.2.1:8 > 192.0.2.2:80  S seq=1 ts=M-4",
    );
    let stamp = |n: usize| rows[n].split(' ').nth(6).unwrap().parse::<u32>().unwrap();
    assert_eq!(stamp(1), stamp(0) + 1000);
    assert!(stamp(2).abs_diff(stamp(0)) > 10_000);
}

#[test]
fn copies_follow_with_one_hop_less() {
    let flow = Flow::compile(
        "
        0 192.0.2.1:9 > 192.0.2.2:80  S copy
        1 203.0.113.9:9 > 192.0.2.2:80  S inside=10.0.0.7
        2 192.0.2.2:80 > 203.0.113.9:9  S.",
    )
    .unwrap();
    let seen: Vec<String> =
        flow.packets.iter().map(|p| format!("{} {} ttl {}", p.at / 1000, tcp(p).pair, p.bytes[22])).collect();
    assert_eq!(
        seen,
        [
            "0 192.0.2.1:9 192.0.2.2:80 ttl 64",
            "10 192.0.2.1:9 192.0.2.2:80 ttl 63",
            "1000000 10.0.0.7:9 192.0.2.2:80 ttl 64",
            "1000010 203.0.113.9:9 192.0.2.2:80 ttl 63",
            "2000000 192.0.2.2:80 203.0.113.9:9 ttl 64",
            "2000010 192.0.2.2:80 10.0.0.7:9 ttl 63",
        ]
    );
    assert_eq!(tcp(&flow.packets[2]).seq, tcp(&flow.packets[3]).seq);
}

#[test]
fn icmp_errors_quote_the_packet() {
    let flow = Flow::compile(
        "
        0 203.0.113.9:9 > 192.0.2.2:80  S seq=7
        1 203.0.113.9:9 > 192.0.2.2:80  S again
        2 192.0.2.1 > 203.0.113.9 icmp unreachable host of 1
        3 192.0.2.1 > 203.0.113.9 icmp unreachable admin
        +0 192.0.2.1 > 203.0.113.9 icmp unreachable port of -2
        4 203.0.113.9 > 192.0.2.2 icmp echo-request id=1 seq=2",
    )
    .unwrap();
    let bytes = |n: usize| &flow.packets[n].bytes;
    assert_eq!(bytes(2)[34..36], [3, 1]);
    assert_eq!(bytes(2)[42..], bytes(0)[14..]);
    assert_eq!(bytes(3)[34..36], [3, 13]);
    assert_eq!(bytes(3)[42..], bytes(1)[14..]);
    assert_eq!(bytes(5)[34..42], [8, 0, bytes(5)[36], bytes(5)[37], 0, 1, 0, 2]);
    assert!(flow.packets.iter().all(|p| checksums_hold(&p.bytes)));
}

#[test]
fn what_is_not_captured_still_counts() {
    let text = "capture from 2\n gap 3 4\n
        1   192.0.2.1:9 > 192.0.2.2:80  P. len=10
        2   192.0.2.1:9 > 192.0.2.2:80  P. len=10
        3   192.0.2.1:9 > 192.0.2.2:80  P. len=10
        4   192.0.2.1:9 > 192.0.2.2:80  P. len=10";
    let flow = Flow::compile(text).unwrap();
    let seq: Vec<u32> = flow.packets.iter().map(|p| tcp(p).seq).collect();
    assert_eq!((flow.packets.len(), seq[1] - seq[0]), (2, 20));
}

#[test]
fn errors_name_the_line() {
    for (script, message) in [
        ("\n\n0 a:1 > 192.0.2.1:2 S", "line 3: not an address: a:1"),
        ("0 192.0.2.1:1 > 192.0.2.1:2 X", "line 1: not a set of flags: X"),
        ("0 192.0.2.1:1 > 192.0.2.1:2 S foo", "line 1: not a key: foo"),
        ("0 192.0.2.1:1 > 192.0.2.1:2 P.", "line 1: P needs len="),
        ("0 192.0.2.1:1 > 192.0.2.1:2 S ts=B", "line 1: no clock of this name: B"),
        ("0 192.0.2.1:1 > 192.0.2.1:2 S again", "line 1: again, but this side sent no such segment yet"),
        ("0 192.0.2.1 > 192.0.2.2 icmp unreachable host", "line 1: there is no packet to quote yet"),
        ("0 192.0.2.1:1 > [2001:db8::1]:2 S", "line 1: one address is IPv4, the other IPv6"),
        ("repeat 3 every 1\n0 192.0.2.1:1 > 192.0.2.1:2 S", "line 1: repeat without end"),
        ("repeat 3 every 1 only 4", "line 1: turns count from 1 to 3: 4"),
        ("0,5 192.0.2.1:1 > 192.0.2.1:2 S", "line 1: not a time: 0,5"),
        ("hello", "line 1: neither a packet (TIME SRC > DST FLAGS) nor a directive: hello"),
    ] {
        assert_eq!(flow::pcap(script).unwrap_err().to_string(), message);
    }
}

#[test]
fn expectations_stand_in_comments() {
    let said = flow::expectation("# A text.\n# expect: SYN001\n# not: SYN002 SYN003\n0 …");
    assert_eq!(said.fires, ["SYN001"]);
    assert_eq!(said.silent, ["SYN002", "SYN003"]);
}

/// A TCP segment, read back from the bytes of an untagged IPv4 frame.
struct Tcp {
    pair: String,
    seq: u32,
    ack: u32,
    flags: u8,
    len: usize,
    stamps: Option<(u32, u32)>,
}

fn tcp(packet: &Packet) -> Tcp {
    let ip = &packet.bytes[14..];
    let segment = &ip[20..usize::from(u16::from_be_bytes([ip[2], ip[3]]))];
    let word = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
    let host = |at: usize| ip[at..at + 4].iter().map(u8::to_string).collect::<Vec<_>>().join(".");
    let (ports, header) = (word(0), usize::from(segment[12] >> 4) * 4);
    let stamps = (20..header.saturating_sub(9)).find(|&at| segment[at..at + 2] == [8, 10]);
    Tcp {
        pair: format!("{}:{} {}:{}", host(12), ports >> 16, host(16), ports & 0xffff),
        seq: word(4),
        ack: word(8),
        flags: segment[13],
        len: segment.len() - header,
        stamps: stamps.map(|at| (word(at + 2), word(at + 6))),
    }
}

fn rows(script: &str) -> Vec<String> {
    Flow::compile(script).unwrap().packets.iter().map(|packet| row(&tcp(packet))).collect()
}

fn row(tcp: &Tcp) -> String {
    let letters = [(0x01, 'F'), (0x02, 'S'), (0x04, 'R'), (0x08, 'P'), (0x10, '.')];
    let flags: String = letters.iter().filter(|(bit, _)| tcp.flags & bit != 0).map(|(_, letter)| letter).collect();
    let len = if tcp.len > 0 { format!(" len {}", tcp.len) } else { String::new() };
    let ts = tcp.stamps.map_or(String::new(), |(val, ecr)| format!(" ts {val} ecr {ecr}"));
    format!("{flags} seq {} ack {}{len}{ts}", tcp.seq, tcp.ack)
}

/// Sums a header with its checksum in place: what is right sums to zero (RFC 1071).
fn checksums_hold(frame: &[u8]) -> bool {
    let ip = if frame[12..14] == [0x81, 0] { &frame[18..] } else { &frame[14..] };
    let (addresses, payload, protocol) = if ip[0] >> 4 == 4 {
        let whole = usize::from(u16::from_be_bytes([ip[2], ip[3]])) == ip.len();
        if !whole || internet_checksum(&[&ip[..20]]) != 0 {
            return false;
        }
        (&ip[12..20], &ip[20..], ip[9])
    } else {
        (&ip[8..40], &ip[40..], ip[6])
    };
    if protocol == 1 {
        return internet_checksum(&[payload]) == 0;
    }
    let length = (payload.len() as u32).to_be_bytes();
    internet_checksum(&[addresses, &length, &[0, 0, 0, protocol], payload]) == 0
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
