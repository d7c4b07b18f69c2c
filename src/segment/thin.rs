//! The thin path: Ethernet with VLAN tags, IPv4 or IPv6, TCP, every header whole. Anything else is declined.
//!
//! etherparse's header slices read the headers; they cost no more than code by hand, and check lengths.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::{Flags, Segment, checksum, ip};

/// A segment of the thin path, its addresses beside it.
pub(super) struct Thin {
    pub segment: Segment,
    pub addresses: Addresses,
    /// VLAN tags, 16 bits each with the highest set, the innermost lowest; 0 where there are none.
    pub tags: u32,
}

/// IPv4 addresses lie in the segment already.
pub(super) enum Addresses {
    V4,
    V6([u8; 16], [u8; 16]),
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the value used before the latter was given out.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Decodes an Ethernet frame, or declines.
#[inline]
pub(super) fn ethernet(bytes: &[u8]) -> Option<Thin> {
    let (mut kind, mut rest) = ether_type(bytes.get(12..)?)?;
    let mut tags = 0;
    while VLAN_TAGS.contains(&kind) {
        let (tag, after) = ether_type(rest)?;
        if tags > 0xffff {
            return None; // more tags than fit
        }
        tags = tags << 16 | 0x8000 | u32::from(tag & 0x0fff);
        (kind, rest) = ether_type(after)?;
    }
    let mut found = match kind {
        IPV4 => ipv4(rest)?,
        IPV6 => ipv6(rest)?,
        _ => return None,
    };
    found.tags = tags;
    Some(found)
}

#[inline]
fn ether_type(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*kind), rest))
}

#[inline]
fn ipv4(bytes: &[u8]) -> Option<Thin> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    if header.protocol() != IpNumber::TCP || header.is_fragmenting_payload() {
        return None;
    }
    let size = usize::from(header.ihl()) * 4;
    // A total length of zero is segmentation offload's; the complete path knows what to do.
    let length = u32::from(header.total_len()).checked_sub(u32::try_from(size).ok()?)?;
    let carried = bytes.get(size..)?;
    let mut segment = tcp(carried, length, header.ttl())?;
    segment.ident = header.identification();
    if segment.flags.has(Flags::SYN) {
        segment.marks.0 |= checksum::marks(&header.source(), &header.destination(), carried, length);
    }
    segment.src = u32::from_be_bytes(header.source());
    segment.dst = u32::from_be_bytes(header.destination());
    Some(Thin { segment, addresses: Addresses::V4, tags: 0 })
}

#[inline]
fn ipv6(bytes: &[u8]) -> Option<Thin> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    if header.next_header() != IpNumber::TCP || header.payload_length() == 0 {
        return None;
    }
    let (carried, length) = (bytes.get(40..)?, u32::from(header.payload_length()));
    let mut segment = tcp(carried, length, header.hop_limit())?;
    let (src, dst) = (header.source(), header.destination());
    if segment.flags.has(Flags::SYN) {
        segment.marks.0 |= checksum::marks(&src, &dst, carried, length);
    }
    // An IPv4-mapped address on the wire would be taken for IPv4 by the complete path, too.
    if ip::as_v4(&src).is_some() && ip::as_v4(&dst).is_some() {
        return None;
    }
    Some(Thin { segment, addresses: Addresses::V6(src, dst), tags: 0 })
}

#[inline]
fn tcp(bytes: &[u8], length: u32, ttl: u8) -> Option<Segment> {
    let tcp = TcpHeaderSlice::from_slice(bytes).ok()?;
    (length >= u32::from(tcp.data_offset()) * 4).then(|| ip::segment(&tcp, length, ttl))
}
