//! What the thin and the complete path share: the TCP header as a `Segment`, and addresses.
//!
//! RFC 9293 section 3.1.

use etherparse::TcpHeaderSlice;

use super::options;
use super::{Flags, Marks, Segment, SeqNumber, TsVal};

/// IPv4-mapped prefix, RFC 4291 section 2.5.5.2.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An IPv4 address as IPv4-mapped.
pub(crate) fn mapped(v4: [u8; 4]) -> [u8; 16] {
    let mut address = [0; 16];
    for (to, from) in address.iter_mut().zip(MAPPED.iter().chain(&v4)) {
        *to = *from;
    }
    address
}

/// The IPv4 address in an IPv4-mapped one.
pub(crate) fn as_v4(address: &[u8; 16]) -> Option<u32> {
    let (prefix, v4) = address.split_at(12);
    (prefix == MAPPED).then(|| v4.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
}

/// The segment of a whole TCP header; `length` is that of header and data by the IP header.
#[inline(always)]
pub(crate) fn segment(tcp: &TcpHeaderSlice<'_>, length: u32, ttl: u8) -> Segment {
    let header = u32::from(tcp.data_offset()) * 4;
    let mut segment = Segment {
        src_port: tcp.source_port(),
        dst_port: tcp.destination_port(),
        seq: SeqNumber(tcp.sequence_number()),
        ack: SeqNumber(tcp.acknowledgment_number()),
        payload: length.saturating_sub(header),
        window: tcp.window_size(),
        flags: flags(tcp),
        ttl,
        window_scale: u8::MAX,
        checksum: tcp.checksum(),
        ..Segment::default()
    };
    read_options(&mut segment, tcp.options());
    segment
}

/// All eight control bits of a TCP header.
#[inline]
pub(crate) fn flags(tcp: &TcpHeaderSlice<'_>) -> Flags {
    Flags(tcp.slice().get(13).copied().unwrap_or(0))
}

#[inline(always)]
pub(crate) fn read_options(segment: &mut Segment, options: &[u8]) {
    if let Some((tsval, tsecr)) = options::timestamps(options) {
        segment.marks.0 |= Marks::TIMESTAMPS;
        segment.tsval = tsval;
        segment.tsecr = tsecr;
    }
    if segment.flags.has(Flags::SYN) {
        let syn = options::of_syn(options);
        segment.mss = syn.mss;
        segment.window_scale = syn.window_scale;
        segment.layout = syn.layout;
    }
}

/// The segment of a TCP header that the snap length cut, for what is left of it: nothing without its flags.
pub(crate) fn cut_segment(bytes: &[u8], length: u32, ttl: u8) -> Option<Segment> {
    let (fixed, rest) = bytes.split_first_chunk::<14>()?;
    let [s1, s2, d1, d2, q1, q2, q3, q4, a1, a2, a3, a4, offset, flags] = *fixed;
    let header = u32::from(offset >> 4) * 4;
    let mut segment = Segment {
        src_port: u16::from_be_bytes([s1, s2]),
        dst_port: u16::from_be_bytes([d1, d2]),
        seq: SeqNumber(u32::from_be_bytes([q1, q2, q3, q4])),
        ack: SeqNumber(u32::from_be_bytes([a1, a2, a3, a4])),
        payload: length.checked_sub(header).filter(|_| header >= 20)?,
        flags: Flags(flags),
        ttl,
        window_scale: u8::MAX,
        tsval: TsVal(0),
        ..Segment::default()
    };
    if let Some((window, after)) = rest.split_first_chunk::<2>() {
        segment.window = u16::from_be_bytes(*window);
        let options_end = usize::try_from(header).unwrap_or(0).saturating_sub(20);
        if let Some(options) = after.get(4..) {
            read_options(&mut segment, options.get(..options_end).unwrap_or(options));
        }
    }
    if header > 20 && (bytes.len() as u64) < u64::from(header) {
        segment.marks.0 |= Marks::OPTIONS_CUT;
    }
    Some(segment)
}
