//! Link layers: from a frame to its first layer, by its link type.

use super::full::Layer;
use crate::capture::LinkType;

const PROTOCOL_IPV4: u32 = 2;
/// `AF_INET6` of NetBSD/OpenBSD, FreeBSD, macOS and Linux.
const PROTOCOLS_IPV6: [u32; 4] = [24, 28, 30, 10];

impl LinkType {
    /// The first layer of a frame behind its link header, or `None` where the link type is not supported.
    pub(super) fn enter(self, bytes: &[u8]) -> Option<Layer<'_>> {
        match self.0 {
            192 => return wrapped(bytes, ppi(bytes)),
            258 => return wrapped(bytes, pktap(bytes)),
            _ => {}
        }
        self.header(bytes)
    }

    /// The same for a link type that does not name another one.
    fn header(self, bytes: &[u8]) -> Option<Layer<'_>> {
        Some(match self.0 {
            1 => Layer::Ethernet(bytes),
            0 | 108 => family_in_front(bytes, 4),
            12 | 14 | 101 | 228 | 229 => Layer::Ip(bytes),
            113 => at(bytes, 14, 16),
            276 => at(bytes, 0, 20),
            9 | 50 => ppp(bytes),
            51 => Layer::EtherType(0x8864, bytes),
            104 => at(bytes, 2, 4),
            239 => nflog(bytes),
            127 => radiotap(bytes),
            105 => super::tunnel::ieee80211(bytes),
            // A frame control octet, and two addresses.
            10 => bytes.get(13..).map_or(Layer::Cut, super::tunnel::snap),
            6 => token_ring(bytes),
            7 => arcnet(bytes, 2),
            129 => arcnet(bytes, 4),
            242 => at(bytes, 40, 44),
            100 => super::tunnel::snap(bytes),
            109 => family_in_front(bytes, 12),
            117 => pflog(bytes),
            178 | 179 | 181 => juniper(self, bytes),
            _ => return None,
        })
    }
}

/// A header of `size` octets with the protocol's EtherType at `place`.
fn at(bytes: &[u8], place: usize, size: usize) -> Layer<'_> {
    let kind = bytes.get(place..).and_then(|b| b.first_chunk::<2>());
    match (kind, bytes.get(size..)) {
        (Some(kind), Some(rest)) => Layer::EtherType(u16::from_be_bytes(*kind), rest),
        _ => Layer::Cut,
    }
}

/// BSD null and loop, and OpenBSD's IPsec interface: an address family in the byte order of the capturing host or in
/// network order, at the start of a header of `size` octets.
fn family_in_front(bytes: &[u8], size: usize) -> Layer<'_> {
    let (Some(family), Some(rest)) = (bytes.first_chunk::<4>(), bytes.get(size..)) else { return Layer::Cut };
    let families = [u32::from_le_bytes(*family), u32::from_be_bytes(*family)];
    let known = families.iter().any(|f| *f == PROTOCOL_IPV4 || PROTOCOLS_IPV6.contains(f));
    if known { Layer::Ip(rest) } else { Layer::Other }
}

/// PPP in HDLC-like framing, RFC 1662, with or without address and control fields.
fn ppp(bytes: &[u8]) -> Layer<'_> {
    match bytes {
        // Cisco HDLC within PPP's own framing (RFC 1547 section 4.3.1): an EtherType follows.
        [0x0f | 0x8f, 0x00, high, low, rest @ ..] => Layer::EtherType(u16::from_be_bytes([*high, *low]), rest),
        [0xff, 0x03, rest @ ..] => Layer::Ppp(rest),
        _ => Layer::Ppp(bytes),
    }
}

/// Linux NFLOG: a header of four octets, then attributes in host byte order; the payload is number 9.
fn nflog(bytes: &[u8]) -> Layer<'_> {
    const PAYLOAD: u16 = 9;
    let Some(mut rest) = bytes.get(4..) else { return Layer::Cut };
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let [l1, l2, k1, k2] = *head;
        let (mut length, mut kind) = (u16::from_le_bytes([l1, l2]), u16::from_le_bytes([k1, k2]));
        if k1 == 0 && k2 != 0 {
            // A writer of the other byte order.
            (length, kind) = (u16::from_be_bytes([l1, l2]), u16::from_be_bytes([k1, k2]));
        }
        let length = usize::from(length);
        if kind & 0x7fff == PAYLOAD {
            return Layer::Ip(rest.get(4..length.min(rest.len()).max(4)).unwrap_or(&[]));
        }
        // Attributes are padded to four octets; one shorter than its own header would never end.
        match rest.get(length.next_multiple_of(4)..) {
            Some(after) if length >= 4 => rest = after,
            _ => return Layer::Other,
        }
    }
    Layer::Other
}

/// Radiotap, whose length stands in little-endian order at octet 2, then IEEE 802.11.
fn radiotap(bytes: &[u8]) -> Layer<'_> {
    let length = bytes.get(2..).and_then(|b| b.first_chunk::<2>()).map(|l| usize::from(u16::from_le_bytes(*l)));
    match length.and_then(|length| bytes.get(length..)) {
        Some(frame) => super::tunnel::ieee80211(frame),
        None => Layer::Cut,
    }
}

/// A header that gives its own length and the link type of what follows.
fn wrapped(bytes: &[u8], header: Option<(usize, u32)>) -> Option<Layer<'_>> {
    let Some((length, link)) = header else { return Some(Layer::Cut) };
    let inner = LinkType(u16::try_from(link).ok()?);
    bytes.get(length..).map_or(Some(Layer::Cut), |rest| inner.header(rest))
}

/// Per-Packet Information: version, flags, length and link type in little-endian order (CACE PPI, section 3).
fn ppi(bytes: &[u8]) -> Option<(usize, u32)> {
    let &[_, _, l1, l2, d1, d2, d3, d4] = bytes.first_chunk::<8>()?;
    Some((usize::from(u16::from_le_bytes([l1, l2])).max(8), u32::from_le_bytes([d1, d2, d3, d4])))
}

/// Apple's packet tap: length, kind of what follows, link type, in the byte order of the host, which is little-endian.
fn pktap(bytes: &[u8]) -> Option<(usize, u32)> {
    let &[l1, l2, l3, l4, _, _, _, _, d1, d2, d3, d4] = bytes.first_chunk::<12>()?;
    let length = usize::try_from(u32::from_le_bytes([l1, l2, l3, l4])).ok()?;
    Some((length.max(12), u32::from_le_bytes([d1, d2, d3, d4])))
}

/// IEEE 802.5: access and frame control, two addresses, a route where the source says so, then LLC.
fn token_ring(bytes: &[u8]) -> Layer<'_> {
    let route = match (bytes.get(8), bytes.get(14)) {
        (Some(source), Some(control)) if source & 0x80 != 0 => usize::from(control & 0x1f),
        _ => 0,
    };
    bytes.get(14 + route..).map_or(Layer::Cut, super::tunnel::snap)
}

/// ARCNET, whose protocol octet stands at `place`: RFC 1051 in one octet, RFC 1201 with a split flag and a number.
fn arcnet(bytes: &[u8], place: usize) -> Layer<'_> {
    match bytes.get(place..) {
        Some([0xf0, rest @ ..] | [0xd4, 0, _, _, rest @ ..] | [0xd4, 0xff, _, _, 0xd4, 0, _, _, rest @ ..]) => {
            Layer::Ip(rest)
        }
        Some([]) | None => Layer::Cut,
        _ => Layer::Other,
    }
}

/// BSD packet filter logs: a length that is padded to four octets, and an address family in one octet.
fn pflog(bytes: &[u8]) -> Layer<'_> {
    let Some(&[length, family]) = bytes.first_chunk::<2>() else { return Layer::Cut };
    let family = u32::from(family);
    match bytes.get(usize::from(length).next_multiple_of(4)..) {
        Some(rest) if family == PROTOCOL_IPV4 || PROTOCOLS_IPV6.contains(&family) => Layer::Ip(rest),
        Some(_) => Layer::Other,
        None => Layer::Cut,
    }
}

/// Juniper's cookie: "MGC", flags, an extension where the flags say so, then the frame or, without its header, IP
/// behind four octets (print-juniper.c of tcpdump describes it; there is no other document).
fn juniper(link: LinkType, bytes: &[u8]) -> Layer<'_> {
    const NO_HEADER: u8 = 0x02;
    const EXTENSION: u8 = 0x80;
    let Some((&[b'M', b'G', b'C', flags], mut rest)) = bytes.split_first_chunk::<4>() else { return Layer::Other };
    if flags & EXTENSION != 0 {
        let Some((length, after)) = rest.split_first_chunk::<2>() else { return Layer::Cut };
        let Some(after) = after.get(usize::from(u16::from_be_bytes(*length))..) else { return Layer::Cut };
        rest = after;
    }
    match link.0 {
        _ if flags & NO_HEADER != 0 => rest.get(4..).map_or(Layer::Cut, Layer::Ip),
        178 => Layer::Ethernet(rest),
        179 => ppp(rest),
        _ => at(rest, 2, 4),
    }
}
