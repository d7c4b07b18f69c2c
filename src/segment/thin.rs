//! The thin path: Ethernet with VLAN tags, IPv4 or IPv6, TCP, every header whole. Anything else is declined.
//!
//! etherparse's header slices read the headers; they cost no more than code by hand, and check lengths. A packet stays
//! references into its block until its place in the list of segments is known: a segment that is written piece by piece
//! and then moved costs more than all else here, since wide loads wait for the narrow stores before them.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::{Flags, Marks, Segment, checksum, ip};

/// What the thin path found, not yet a segment.
pub(super) struct Thin<'a> {
    tcp: TcpHeaderSlice<'a>,
    /// TCP header and data, as far as they were captured.
    carried: &'a [u8],
    /// Octets of header and data by the IP header.
    length: u32,
    ttl: u8,
    ident: u16,
    pub addresses: Addresses<'a>,
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
    #[inline]
    pub fn flags(&self) -> Flags {
        ip::flags(&self.tcp)
    }

    /// Source and destination port.
    #[inline]
    pub fn ports(&self) -> (u16, u16) {
        (self.tcp.source_port(), self.tcp.destination_port())
    }

    /// What the checksum of a SYN earns it.
    pub fn checksum_marks(&self) -> Marks {
        if !self.flags().has(Flags::SYN) {
            return Marks::default();
        }
        Marks(match &self.addresses {
            Addresses::V4(src, dst) => checksum::marks(src, dst, self.carried, self.length),
            Addresses::V6(src, dst) => checksum::marks(*src, *dst, self.carried, self.length),
        })
    }

    /// The segment, without its place, addresses and checksum's marks.
    #[inline(always)]
    pub fn segment(&self) -> Segment {
        let segment = ip::segment(&self.tcp, self.length, self.ttl);
        Segment { ident: self.ident, ..segment }
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the value used before the latter was given out.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Decodes an Ethernet frame, or declines.
#[inline(always)]
pub(super) fn ethernet(bytes: &[u8]) -> Option<Thin<'_>> {
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
    let found = match kind {
        IPV4 => ipv4(rest)?,
        IPV6 => ipv6(rest)?,
        _ => return None,
    };
    Some(Thin { tags, ..found })
}

#[inline]
fn ether_type(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*kind), rest))
}

#[inline(always)]
fn ipv4(bytes: &[u8]) -> Option<Thin<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    if header.protocol() != IpNumber::TCP || header.is_fragmenting_payload() {
        return None;
    }
    let size = usize::from(header.ihl()) * 4;
    // A total length of zero is segmentation offload's; the complete path knows what to do.
    let length = u32::from(header.total_len()).checked_sub(u32::try_from(size).ok()?)?;
    let carried = bytes.get(size..)?;
    let addresses = Addresses::V4(header.source(), header.destination());
    let tcp = tcp(carried, length)?;
    Some(Thin { tcp, carried, length, ttl: header.ttl(), ident: header.identification(), addresses, tags: 0 })
}

#[inline(always)]
fn ipv6(bytes: &[u8]) -> Option<Thin<'_>> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    if header.next_header() != IpNumber::TCP || header.payload_length() == 0 {
        return None;
    }
    let (carried, length) = (bytes.get(40..)?, u32::from(header.payload_length()));
    let (src, rest) = bytes.get(8..)?.split_first_chunk::<16>()?;
    let dst = rest.first_chunk::<16>()?;
    // An IPv4-mapped address on the wire would be taken for IPv4 by the complete path, too.
    if ip::as_v4(src).is_some() && ip::as_v4(dst).is_some() {
        return None;
    }
    let (tcp, addresses) = (tcp(carried, length)?, Addresses::V6(src, dst));
    Some(Thin { tcp, carried, length, ttl: header.hop_limit(), ident: 0, addresses, tags: 0 })
}

#[inline(always)]
fn tcp(bytes: &[u8], length: u32) -> Option<TcpHeaderSlice<'_>> {
    let tcp = TcpHeaderSlice::from_slice(bytes).ok()?;
    (length >= u32::from(tcp.data_offset()) * 4).then_some(tcp)
}
