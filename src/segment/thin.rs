//! The thin path: Ethernet with VLAN tags, IPv4 or IPv6, TCP, every header whole. Anything else is declined.
//!
//! Headers are read by hand: each is one array of known length, checked once, and a test holds that the complete path
//! gives the same. RFC 791 section 3.1, RFC 8200 section 3.
//!
//! A packet stays references into its block, in registers, until its place in the list of segments is known. What is
//! written piece by piece and then moved costs more than all else here, since wide loads wait for the narrow stores
//! before them; so IPv4 and IPv6 are two ways that nothing joins before the segment is written.

use super::ip::TcpHeader;
use super::{Flags, Marks, Segment, checksum, ip};

/// What the thin path found, not yet a segment.
pub(super) struct Thin<'a> {
    tcp: TcpHeader<'a>,
    /// TCP header and data, as far as they were captured.
    carried: &'a [u8],
    /// Octets of header and data by the IP header.
    length: u32,
    ip: Ip<'a>,
}

/// The IP header, read when its fields are needed.
#[derive(Clone, Copy)]
enum Ip<'a> {
    V4(&'a [u8; 20]),
    /// Hop limit, source and destination.
    V6(u8, &'a [u8; 16], &'a [u8; 16]),
}

/// What an Ethernet frame carries.
#[derive(Clone, Copy)]
pub(super) struct Carried<'a> {
    /// Its EtherType, behind all tags.
    pub kind: u16,
    pub rest: &'a [u8],
    /// VLAN tags, 16 bits each with the highest set, the innermost lowest; 0 where there are none.
    pub tags: u32,
}

/// Source and destination.
#[derive(Clone, Copy)]
pub(super) enum Addresses<'a> {
    V4([u8; 4], [u8; 4]),
    V6(&'a [u8; 16], &'a [u8; 16]),
}

impl Thin<'_> {
    /// Its control bits.
    #[inline(always)]
    pub fn flags(&self) -> Flags {
        self.tcp.flags()
    }

    /// Source and destination port.
    #[inline(always)]
    pub fn ports(&self) -> (u16, u16) {
        self.tcp.ports()
    }

    /// Source and destination address.
    #[inline(always)]
    pub fn addresses(&self) -> Addresses<'_> {
        match self.ip {
            Ip::V4(&[.., s1, s2, s3, s4, d1, d2, d3, d4]) => Addresses::V4([s1, s2, s3, s4], [d1, d2, d3, d4]),
            Ip::V6(_, src, dst) => Addresses::V6(src, dst),
        }
    }

    /// What the checksum of a SYN earns it.
    #[inline]
    pub fn checksum_marks(&self) -> Marks {
        Marks(match self.addresses() {
            Addresses::V4(src, dst) => checksum::marks(&src, &dst, self.carried, self.length),
            Addresses::V6(src, dst) => checksum::marks(src, dst, self.carried, self.length),
        })
    }

    /// The segment, without its place, addresses and checksum's marks.
    #[inline(always)]
    pub fn segment(&self) -> Segment {
        let (ident, ttl) = match self.ip {
            Ip::V4(&[_, _, _, _, i1, i2, _, _, ttl, ..]) => (u16::from_be_bytes([i1, i2]), ttl),
            Ip::V6(ttl, ..) => (0, ttl),
        };
        Segment { ident, ..self.tcp.segment(self.length, ttl) }
    }
}

const TCP: u8 = 6;
/// EtherTypes.
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the value used before the latter was given out.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The Ethernet header of a frame.
#[inline(always)]
pub(super) fn ethernet(bytes: &[u8]) -> Option<Carried<'_>> {
    let ([.., high, low], rest) = bytes.split_first_chunk::<14>()?;
    Some(Carried { kind: u16::from_be_bytes([*high, *low]), rest, tags: 0 })
}

/// What stands behind the VLAN tags of a frame; declines more tags than fit.
pub(super) fn untagged(frame: Carried<'_>) -> Option<Carried<'_>> {
    let Carried { mut kind, mut rest, mut tags } = frame;
    while VLAN_TAGS.contains(&kind) {
        if tags > 0xffff {
            return None;
        }
        let ([t1, t2, k1, k2], after) = rest.split_first_chunk::<4>()?;
        tags = tags << 16 | 0x8000 | u32::from(u16::from_be_bytes([*t1, *t2]) & 0x0fff);
        (kind, rest) = (u16::from_be_bytes([*k1, *k2]), after);
    }
    Some(Carried { kind, rest, tags })
}

/// Decodes what a frame carries, or declines.
pub(super) fn packet(carried: Carried<'_>) -> Option<Thin<'_>> {
    match carried.kind {
        IPV4 => ipv4(carried.rest),
        IPV6 => ipv6(carried.rest),
        _ => None,
    }
}

/// Decodes an IPv4 packet, or declines.
#[inline(always)]
pub(super) fn ipv4(bytes: &[u8]) -> Option<Thin<'_>> {
    let (header, rest) = bytes.split_first_chunk::<20>()?;
    let [first, _, l1, l2, _, _, f1, f2, _, protocol, ..] = *header;
    // "Don't fragment" apart, anything there makes it a part of a datagram.
    let fragment = u16::from_be_bytes([f1 & 0x3f, f2]) != 0;
    if first >> 4 != 4 || protocol != TCP || fragment {
        return None;
    }
    let words = first & 0xf;
    let carried = if words == 5 { rest } else { rest.get(usize::from(words).checked_sub(5)? * 4..)? };
    // A total length of zero is segmentation offload's; the complete path knows what to do.
    let length = u32::from(u16::from_be_bytes([l1, l2])).checked_sub(u32::from(words) * 4)?;
    let tcp = TcpHeader::read(carried).filter(|tcp| length >= tcp.size())?;
    Some(Thin { tcp, carried, length, ip: Ip::V4(header) })
}

/// Decodes an IPv6 packet, or declines.
#[inline(always)]
pub(super) fn ipv6(bytes: &[u8]) -> Option<Thin<'_>> {
    let ([first, _, _, _, l1, l2, next, ttl], rest) = bytes.split_first_chunk::<8>()?;
    let (src, rest) = rest.split_first_chunk::<16>()?;
    let (dst, carried) = rest.split_first_chunk::<16>()?;
    let length = u32::from(u16::from_be_bytes([*l1, *l2]));
    if first >> 4 != 6 || *next != TCP || length == 0 {
        return None;
    }
    // An IPv4-mapped address on the wire would be taken for IPv4 by the complete path, too.
    if ip::as_v4(src).is_some() && ip::as_v4(dst).is_some() {
        return None;
    }
    let tcp = TcpHeader::read(carried).filter(|tcp| length >= tcp.size())?;
    Some(Thin { tcp, carried, length, ip: Ip::V6(*ttl, src, dst) })
}
