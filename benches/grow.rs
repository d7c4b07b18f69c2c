//! Grows a small real capture to any size: `cargo bench --bench grow -- small|mixed OUT.pcap BYTES`.
//!
//! Deterministic. Each replica of the seed gets addresses and ports of its own, shifted packet times and rewritten
//! TCP timestamps, so that connections grow with the size; four replicas run side by side in time, then the next
//! four follow. `small` cuts packets at 96 octets, `mixed` keeps them whole. Checksums are left as they were: the
//! tools compared here do not look at them.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::{cmp::Reverse, env};

/// Replicas that run side by side.
const LANES: u32 = 4;
/// Microseconds between the starts of neighbouring lanes.
const STAGGER: u64 = 137_000;

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let [kind, out, bytes] = words.as_slice() else {
        // `cargo test --benches` and a bare `cargo bench` come here, too.
        return writeln!(io::stderr(), "usage: cargo bench --bench grow -- small|mixed OUT.pcap BYTES");
    };
    let (seed, snap) = match kind.as_str() {
        "small" => ("fixtures/captures/emulated_recycle_nat2.pcap", 96),
        "mixed" => ("fixtures/captures/close_variety_client.pcap", usize::MAX),
        other => return Err(io::Error::other(format!("{other:?} is neither small nor mixed"))),
    };
    let bytes = bytes.parse().map_err(|_| io::Error::other(format!("{bytes:?} is no number of bytes")))?;
    let packets = read(&std::fs::read(seed)?);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(out)?);
    grow(&packets, bytes, snap, &mut file)?;
    file.flush()
}

/// One packet of the seed: microseconds, octets, length on the wire.
struct Packet {
    at: u64,
    bytes: Vec<u8>,
    original: u32,
}

/// Reads a little-endian capture in microseconds.
fn read(bytes: &[u8]) -> Vec<Packet> {
    let word =
        |place: usize| bytes[place..place + 4].iter().rev().fold(0_u32, |sum, octet| sum << 8 | u32::from(*octet));
    let (mut packets, mut place) = (Vec::new(), 24);
    while place + 16 <= bytes.len() {
        let (seconds, micros, length, original) =
            (word(place), word(place + 4), word(place + 8) as usize, word(place + 12));
        packets.push(Packet {
            at: u64::from(seconds) * 1_000_000 + u64::from(micros),
            bytes: bytes[place + 16..place + 16 + length].to_vec(),
            original,
        });
        place += 16 + length;
    }
    packets
}

/// Writes replicas until `bytes` octets are written.
fn grow(packets: &[Packet], bytes: u64, snap: usize, out: &mut impl Write) -> io::Result<()> {
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1];
    header.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))?;
    let length = packets.iter().map(|p| p.at).max().unwrap_or(0) - packets.first().map_or(0, |p| p.at) + 250_000;
    let mut written = 24;
    for round in 0_u32.. {
        let base = u64::from(round) * (length + u64::from(LANES) * STAGGER);
        let shift = |lane: u32| base + u64::from(lane) * STAGGER;
        let mut heads: BinaryHeap<Reverse<(u64, u32, usize)>> =
            (0..LANES).filter_map(|lane| Some(Reverse((packets.first()?.at + shift(lane), lane, 0)))).collect();
        while let Some(Reverse((at, lane, place))) = heads.pop() {
            if written >= bytes {
                return Ok(());
            }
            let packet = &packets[place];
            let mut octets = packet.bytes.clone();
            renumber(&mut octets, round * LANES + lane, u32::try_from(shift(lane) / 1000).unwrap_or(0));
            octets.truncate(snap);
            for word in [(at / 1_000_000) as u32, (at % 1_000_000) as u32, octets.len() as u32, packet.original] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(&octets)?;
            written += 16 + octets.len() as u64;
            heads.extend(packets.get(place + 1).map(|next| Reverse((next.at + shift(lane), lane, place + 1))));
        }
    }
    Ok(())
}

/// Gives a packet the addresses, ports and timestamps of a replica.
fn renumber(frame: &mut [u8], replica: u32, millis: u32) {
    let number = (replica as u16).to_be_bytes();
    let (addresses, transport) = match (frame.get(12), frame.get(13)) {
        (Some(0x08), Some(0x00)) => ([27, 31], 14 + usize::from(frame[14] & 15) * 4),
        (Some(0x86), Some(0xdd)) => ([30, 46], 54),
        _ => return,
    };
    for place in addresses {
        if let Some(octets) = frame.get_mut(place..place + 2) {
            octets.iter_mut().zip(number).for_each(|(octet, bits)| *octet ^= bits);
        }
    }
    for place in [transport, transport + 2] {
        if let Some([high, low]) = frame.get_mut(place..place + 2) {
            let port = u16::from_be_bytes([*high, *low]);
            if port >= 32_768 {
                let moved = 32_768 + (u32::from(port) - 32_768 + replica * 1009) % 28_232;
                [*high, *low] = (moved as u16).to_be_bytes();
            }
        }
    }
    // The Timestamps option as Linux writes it: behind two NOPs, or behind MSS and SACK permitted.
    for place in [transport + 22, transport + 26] {
        let is_option = frame.get(place..place + 2) == Some(&[8, 10]);
        for value in [place + 2, place + 6] {
            if let (true, Some([a, b, c, d])) = (is_option, frame.get_mut(value..value + 4)) {
                let ticks = u32::from_be_bytes([*a, *b, *c, *d]);
                [*a, *b, *c, *d] = if ticks == 0 { [0; 4] } else { ticks.wrapping_add(millis).to_be_bytes() };
            }
        }
    }
}
