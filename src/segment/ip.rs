//! What the thin and the complete path share: the TCP header as a `Segment`, and addresses.
//!
//! RFC 9293 section 3.1.

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

/// A TCP header of which every octet is there.
#[derive(Clone, Copy)]
pub(crate) struct TcpHeader<'a> {
    fixed: &'a [u8; 20],
    options: &'a [u8],
}

impl<'a> TcpHeader<'a> {
    /// The one at the start of `bytes`; `None` where it is cut, or says that it is shorter than it can be.
    #[inline(always)]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<20>()?;
        let [.., offset, _, _, _, _, _, _, _] = *fixed;
        let options = rest.get(..usize::from(offset >> 4).checked_sub(5)? * 4)?;
        Some(Self { fixed, options })
    }

    /// Its octets, options included.
    #[inline(always)]
    pub fn size(self) -> u32 {
        let [.., offset, _, _, _, _, _, _, _] = *self.fixed;
        u32::from(offset >> 4) * 4
    }

    /// All eight control bits.
    #[inline(always)]
    pub fn flags(self) -> Flags {
        let [.., flags, _, _, _, _, _, _] = *self.fixed;
        Flags(flags)
    }

    /// Source and destination port.
    #[inline(always)]
    pub fn ports(self) -> (u16, u16) {
        let [s1, s2, d1, d2, ..] = *self.fixed;
        (u16::from_be_bytes([s1, s2]), u16::from_be_bytes([d1, d2]))
    }

    /// The segment, without its place and addresses; `length` is that of header and data by the IP header.
    #[inline(always)]
    pub fn segment(self, length: u32, ttl: u8) -> Segment {
        let [s1, s2, d1, d2, q1, q2, q3, q4, a1, a2, a3, a4, _, flags, w1, w2, c1, c2, _, _] = *self.fixed;
        let mut segment = Segment {
            src_port: u16::from_be_bytes([s1, s2]),
            dst_port: u16::from_be_bytes([d1, d2]),
            seq: SeqNumber(u32::from_be_bytes([q1, q2, q3, q4])),
            ack: SeqNumber(u32::from_be_bytes([a1, a2, a3, a4])),
            payload: length.saturating_sub(self.size()),
            window: u16::from_be_bytes([w1, w2]),
            flags: Flags(flags),
            ttl,
            window_scale: u8::MAX,
            checksum: u16::from_be_bytes([c1, c2]),
            ..Segment::default()
        };
        read_options(&mut segment, self.options);
        segment
    }
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
