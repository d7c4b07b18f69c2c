//! Link layers: from a frame to its first layer, by its link type.

use super::full::Layer;
use crate::capture::LinkType;

const PROTOCOL_IPV4: u32 = 2;
/// `AF_INET6` of NetBSD/OpenBSD, FreeBSD, macOS and Linux.
const PROTOCOLS_IPV6: [u32; 4] = [24, 28, 30, 10];

impl LinkType {
    /// The first layer of a frame behind its link header, or `None` where the link type is not supported.
    pub(super) fn enter(self, bytes: &[u8]) -> Option<Layer<'_>> {
        Some(match self.0 {
            1 => Layer::Ethernet(bytes),
            0 | 108 => address_family(bytes),
            12 | 14 | 101 | 228 | 229 => Layer::Ip(bytes),
            113 => at(bytes, 14, 16),
            276 => at(bytes, 0, 20),
            9 | 50 => ppp(bytes),
            51 => Layer::EtherType(0x8864, bytes),
            104 => at(bytes, 2, 4),
            239 => nflog(bytes),
            127 => radiotap(bytes),
            105 => super::tunnel::ieee80211(bytes),
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

/// BSD null and loop: an address family in the byte order of the capturing host, or in network order.
fn address_family(bytes: &[u8]) -> Layer<'_> {
    let Some((family, rest)) = bytes.split_first_chunk::<4>() else { return Layer::Cut };
    let families = [u32::from_le_bytes(*family), u32::from_be_bytes(*family)];
    let known = families.iter().any(|f| *f == PROTOCOL_IPV4 || PROTOCOLS_IPV6.contains(f));
    if known { Layer::Ip(rest) } else { Layer::Other }
}

/// PPP in HDLC-like framing, RFC 1662, with or without address and control fields.
fn ppp(bytes: &[u8]) -> Layer<'_> {
    match bytes {
        [0xff | 0x0f | 0x8f, 0x03 | 0x00, rest @ ..] => Layer::Ppp(rest),
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
