//! Ethernet frames made to order, and captures of megabytes of them.

use etherparse::PacketBuilder;

use super::capture_file::{self, Record, Variant};
use super::property::Numbers;

/// 2026-01-01T00:00:00Z in nanoseconds since the epoch.
pub const START: u64 = 1_767_225_600_000_000_000;

/// A TCP segment of one of 40 socket pairs; flags, numbers and family by chance.
pub fn tcp(numbers: &mut Numbers, payload: &[u8]) -> Vec<u8> {
    let pair = numbers.below(40) as u8;
    let ports = (40_000 + u16::from(pair), 443);
    let inward = numbers.below(2) == 0;
    let (source, target) = if inward { ports } else { (ports.1, ports.0) };
    let (seq, ack) = (numbers.next() as u32, numbers.next() as u32);
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = if pair.is_multiple_of(4) {
        let ends = ([0x20; 16], [0x21; 16]);
        let (from, to) = if inward { ends } else { (ends.1, ends.0) };
        ethernet.ipv6(from, to, 64)
    } else {
        let ends = ([10, 0, 0, pair], [192, 0, 2, 1]);
        let (from, to) = if inward { ends } else { (ends.1, ends.0) };
        ethernet.ipv4(from, to, 64)
    };
    let segment = ip.tcp(source, target, seq, 29_200);
    let segment = match numbers.below(8) {
        0 => segment.syn(),
        1 => segment.syn().ack(ack),
        2 => segment.fin().ack(ack),
        3 => segment.rst(),
        _ => segment.psh().ack(ack),
    };
    let mut frame = Vec::new();
    segment.write(&mut frame, payload).unwrap();
    frame
}

/// Records until they take `octets`: sizes from bare headers to whole offload segments and beyond, times that stand
/// still or step; the data of many is a piece of `inside`.
pub fn mixed(numbers: &mut Numbers, octets: usize, inside: &[u8]) -> Vec<Record> {
    let (mut records, mut size, mut at) = (Vec::new(), 0, START);
    while size < octets {
        let wanted = match numbers.below(20) {
            0..8 => 0,
            8..15 => numbers.below(1_460),
            15..19 => numbers.below(9_000),
            _ => numbers.below(64_000),
        };
        let from = numbers.below(inside.len());
        let piece = &inside[from..inside.len().min(from + wanted)];
        let bytes = match numbers.below(60) {
            // No IP at all, and longer than anything that is read ahead.
            0 => [&[0xff; 12], &[0x88, 0xb5][..], &inside[..numbers.below(inside.len().min(250_000))]].concat(),
            _ => tcp(numbers, piece),
        };
        at += numbers.below(3) as u64 * 1_000_000;
        size += bytes.len();
        records.push(Record { at, bytes });
    }
    records
}

/// A capture to be carried as data in another one.
pub fn inner(numbers: &mut Numbers, variant: Variant) -> Vec<u8> {
    let text: Vec<u8> = (0..40_000).map(|_| numbers.next() as u8).collect();
    let mut small = Vec::new();
    let mut at = START;
    while small.len() < 3_000 {
        let length = numbers.below(200);
        let from = numbers.below(text.len() - length);
        at += 1_000_000;
        small.push(Record { at, bytes: tcp(numbers, &text[from..from + length]) });
    }
    capture_file::pcap(&small, variant, 1)
}

/// Records of one size whose data looks like records of that size, each of which ends within the data of the next:
/// a chain that never meets a true record and never breaks. `fake(stride)` gives the data, `stride` being the octets
/// from one record to the next; it stands far behind the true record's start, so that most searches meet it first.
pub fn phantom(count: usize, header: usize, fake: impl Fn(usize) -> Vec<u8>) -> Vec<Record> {
    const IN_FRONT: usize = 500;
    let mut numbers = Numbers(7);
    let room = IN_FRONT + fake(0).len() + 4;
    // Only segments of one family, so that all frames have one size.
    let mut one = || loop {
        let frame = tcp(&mut numbers, &vec![0; room]);
        if frame[12..14] == [0x08, 0x00] {
            return frame;
        }
    };
    let record = |k: usize| {
        let mut bytes = one();
        let data = fake(bytes.len() + header);
        // Data begins where octets of the file are counted in fours.
        let begins = (bytes.len() - room + IN_FRONT + header).next_multiple_of(4) - header;
        bytes[begins..begins + data.len()].copy_from_slice(&data);
        Record { at: START + k as u64 * 1_000_000, bytes }
    };
    (0..count).map(record).collect()
}
