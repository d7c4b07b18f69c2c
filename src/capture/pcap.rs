//! Classic pcap files: both byte orders, microseconds and nanoseconds, the modified variant, and versions before 2.4.
//!
//! draft-ietf-opsawg-pcap. Before version 2.3 a record gave the original length first, and 2.3 was written both ways
//! (libpcap 1.10, `sf-pcap.c`). The four fields of a record are read here for all variants: pcap-parser, which reads
//! pcapng, knows some of them, and took twice as long for each packet.

use super::{Format, LONGEST_PACKET, LinkType, Stop, Visit, Walked};
use crate::time::Time;

/// What the file header says of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the record's fraction.
    unit: i64,
    link: LinkType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
    /// Little-endian with eight more octets in each record header (Kuznetzov's).
    LittleModified,
    BigModified,
    /// Little-endian with the two lengths in either order; the smaller is the captured one.
    LittleOld,
    BigOld,
}

/// Octets of the file header.
pub const HEADER: usize = 24;

impl Pcap {
    /// Reads the file header; `None` where it is not one of classic pcap.
    #[must_use]
    pub fn open(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let (order, unit) = match *header {
            [0xd4, 0xc3, 0xb2, 0xa1, ..] => (Order::Little, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1, ..] => (Order::Little, 1),
            [0xa1, 0xb2, 0xc3, 0xd4, ..] => (Order::Big, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d, ..] => (Order::Big, 1),
            [0x34, 0xcd, 0xb2, 0xa1, ..] => (Order::LittleModified, 1000),
            [0xa1, 0xb2, 0xcd, 0x34, ..] => (Order::BigModified, 1000),
            _ => return None,
        };
        let order = order.of_version(header);
        let &[a, b, c, d] = header.last_chunk::<4>()?;
        // The upper half of the field carries the FCS length and a class, not the link type.
        let link = match order {
            Order::Little | Order::LittleModified | Order::LittleOld => u16::from_le_bytes([a, b]),
            Order::Big | Order::BigModified | Order::BigOld => u16::from_be_bytes([c, d]),
        };
        Some(Self { order, unit, link: LinkType(link) })
    }

    #[inline]
    fn header_size(&self) -> usize {
        match self.order {
            Order::Little | Order::Big | Order::LittleOld | Order::BigOld => 16,
            Order::LittleModified | Order::BigModified => 24,
        }
    }

    /// Seconds, fraction, captured and original length of the record at the start of `bytes`.
    #[inline]
    fn fields(&self, bytes: &[u8]) -> Option<(u32, u32, u32, u32)> {
        let [a, b, c, d] = words(bytes)?;
        Some(match self.order {
            Order::Little | Order::LittleModified => (a, b, c, d),
            Order::Big | Order::BigModified => (a.swap_bytes(), b.swap_bytes(), c.swap_bytes(), d.swap_bytes()),
            Order::LittleOld => (a, b, c.min(d), c.max(d)),
            Order::BigOld => {
                let (c, d) = (c.swap_bytes(), d.swap_bytes());
                (a.swap_bytes(), b.swap_bytes(), c.min(d), c.max(d))
            }
        })
    }

    /// Whether a record could begin at the start of `bytes`, and how long it would be.
    fn plausible(&self, bytes: &[u8], near: Option<u32>) -> Option<(usize, u32)> {
        const DAY: u32 = 86_400;
        let (seconds, fraction, captured, original) = self.fields(bytes)?;
        let fraction_end = if self.unit == 1 { 1_000_000_000 } else { 1_000_000 };
        let close = near.is_none_or(|near| seconds.abs_diff(near) < DAY);
        let sound =
            fraction < fraction_end && captured <= original && captured <= LONGEST_PACKET && original > 0 && close;
        sound.then(|| (self.header_size() + captured as usize, seconds))
    }

    /// Whether records follow one another from `bytes` on, over `span` octets or to the end.
    fn chains(&self, bytes: &[u8], span: usize) -> bool {
        let (mut place, mut near) = (0, None);
        while place < span {
            let Some(rest) = bytes.get(place..).filter(|rest| rest.len() >= 16) else { break };
            match self.plausible(rest, near) {
                Some((length, seconds)) => (place, near) = (place.saturating_add(length), Some(seconds)),
                None => return false,
            }
        }
        place > 0
    }
}

impl Order {
    /// The order of a version's records; DG/UX wrote 543.0 for an early one.
    fn of_version(self, header: &[u8; HEADER]) -> Self {
        let &[_, _, _, _, a, b, c, d, ..] = header;
        let (major, minor) = match self {
            Self::Little => (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
            _ => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        };
        match (self, matches!((major, minor), (2, 0..=3) | (543, 0))) {
            (Self::Little, true) => Self::LittleOld,
            (Self::Big, true) => Self::BigOld,
            (order, _) => order,
        }
    }
}

#[inline]
fn words(bytes: &[u8]) -> Option<[u32; 4]> {
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes.first_chunk::<16>()?;
    Some([
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
        u32::from_le_bytes([i, j, k, l]),
        u32::from_le_bytes([m, n, o, p]),
    ])
}

impl Format for Pcap {
    const NAME: &'static str = "pcap";

    fn find_record(&self, bytes: &[u8], span: usize) -> Option<usize> {
        (0..bytes.len().saturating_sub(16))
            .find(|&place| bytes.get(place..).is_some_and(|rest| self.chains(rest, span)))
    }

    #[inline]
    fn walk(&mut self, bytes: &[u8], start: usize, limit: usize, visit: &mut impl Visit) -> Walked {
        let mut place = start;
        while place < limit {
            let Some(rest) = bytes.get(place..).filter(|rest| !rest.is_empty()) else { return Walked::at(place) };
            let Some((seconds, fraction, captured, original)) = self.fields(rest) else {
                return Walked { place, stop: Some(self.why_not(rest)) };
            };
            let size = self.header_size();
            let data = rest.get(size..).and_then(|behind| behind.get(..captured as usize));
            let Some(data) = data.filter(|_| captured <= LONGEST_PACKET) else {
                return Walked { place, stop: Some(self.why_not(rest)) };
            };
            let at = Time::from_parts(i64::from(seconds), i64::from(fraction).saturating_mul(self.unit));
            visit.packet(at, self.link, data, original);
            place = place.saturating_add(size + captured as usize);
        }
        Walked::at(place)
    }
}

impl Pcap {
    /// Why no record could be read: more bytes are needed, or the record's length cannot be.
    #[cold]
    fn why_not(&self, rest: &[u8]) -> Stop {
        let Some((_, _, captured, _)) = self.fields(rest) else { return Stop::Short { needed: self.header_size() } };
        if captured > LONGEST_PACKET {
            return Stop::Damaged { found: format!("a record of {captured} bytes"), expected: "at most 262144" };
        }
        Stop::Short { needed: self.header_size() + captured as usize }
    }
}
