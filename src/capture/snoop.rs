//! Captures of Solaris snoop, RFC 1761: big-endian records with a running count of what was dropped.
//!
//! Link types beyond the RFC's are those of `<sys/dlpi.h>`, as illumos has it.

use super::{Format, LONGEST_PACKET, LinkType, Stop, Visit, Walked};
use crate::time::Time;

/// What the file header says of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snoop {
    link: LinkType,
}

/// Octets of the file header.
pub const HEADER: usize = 16;
/// Octets in front of each packet.
const RECORD_HEADER: usize = 24;
/// What pads a record: up to four octets by the RFC, more where a machine aligns further.
const MOST_PADDING: u32 = 64;

/// The header of a record.
struct Record {
    original: u32,
    captured: u32,
    length: u32,
    drops: u32,
    seconds: u32,
    micros: u32,
}

impl Snoop {
    /// Reads the file header; `None` where it is not one of snoop, version 2.
    #[must_use]
    pub fn open(bytes: &[u8]) -> Option<Self> {
        let [b's', b'n', b'o', b'o', b'p', 0, 0, 0, 0, 0, 0, 2, link @ ..] = bytes.first_chunk::<HEADER>()? else {
            return None;
        };
        Some(Self { link: link_type(u32::from_be_bytes(*link)) })
    }

    /// Whether records follow one another from `bytes` on, over `span` octets or to the end.
    fn chains(bytes: &[u8], span: usize) -> bool {
        let (mut place, mut near) = (0, None);
        while place < span {
            let Some(record) = bytes.get(place..).and_then(Record::read) else { break };
            if !record.is_sound() || near.is_some_and(|near| record.seconds.abs_diff(near) > DAY) {
                return false;
            }
            (place, near) = (place.saturating_add(record.length as usize), Some(record.seconds));
        }
        place > 0
    }
}

const DAY: u32 = 86_400;

/// DLPI's media types as LINKTYPE_ values; 65535 for those without one.
fn link_type(media: u32) -> LinkType {
    match media {
        0 | 4 => LinkType::ETHERNET,
        2 => LinkType(6),    // IEEE 802.5
        8 => LinkType(10),   // FDDI
        26 => LinkType(226), // Solaris' own view of IP
        _ => LinkType(u16::MAX),
    }
}

impl Record {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.first_chunk::<RECORD_HEADER>()?.as_chunks::<4>();
        let &[original, captured, length, drops, seconds, micros] = words else { return None };
        let word = u32::from_be_bytes;
        Some(Self {
            original: word(original),
            captured: word(captured),
            length: word(length),
            drops: word(drops),
            seconds: word(seconds),
            micros: word(micros),
        })
    }

    /// Whether the lengths agree with one another.
    #[inline]
    fn is_sound(&self) -> bool {
        let padding = self.length.checked_sub(RECORD_HEADER as u32).and_then(|rest| rest.checked_sub(self.captured));
        self.captured <= LONGEST_PACKET && padding.is_some_and(|padding| padding <= MOST_PADDING)
    }
}

impl Format for Snoop {
    const NAME: &'static str = "snoop";

    fn find_record(&self, bytes: &[u8], span: usize) -> Option<usize> {
        // Times must be near each other and fractions below a second, or captured payloads would pass.
        let plausible = |rest: &[u8]| {
            Record::read(rest)
                .is_some_and(|r| r.is_sound() && r.micros < 1_000_000 && r.captured <= r.original && r.original > 0)
        };
        (0..bytes.len().saturating_sub(RECORD_HEADER))
            .find(|&place| bytes.get(place..).is_some_and(|rest| plausible(rest) && Self::chains(rest, span)))
    }

    #[inline]
    fn walk(&mut self, bytes: &[u8], start: usize, limit: usize, visit: &mut impl Visit) -> Walked {
        let (mut place, mut drops) = (start, None);
        let ended = loop {
            let Some(rest) = bytes.get(place..).filter(|rest| place < limit && !rest.is_empty()) else {
                break Walked::at(place);
            };
            let Some(record) = Record::read(rest) else {
                break Walked { place, stop: Some(Stop::Short { needed: RECORD_HEADER }) };
            };
            if !record.is_sound() {
                break Walked { place, stop: Some(record.damage()) };
            }
            let length = record.length as usize;
            let whole = rest.get(..length).and_then(|whole| whole.get(RECORD_HEADER..));
            let Some(packet) = whole.and_then(|padded| padded.get(..record.captured as usize)) else {
                break Walked { place, stop: Some(Stop::Short { needed: length }) };
            };
            let at = Time::from_parts(i64::from(record.seconds), i64::from(record.micros).saturating_mul(1000));
            visit.packet(at, self.link, packet, record.original);
            drops = Some(record.drops);
            place = place.saturating_add(length);
        };
        if let Some(drops) = drops.filter(|drops| *drops > 0) {
            visit.dropped(0, u64::from(drops));
        }
        ended
    }
}

impl Record {
    #[cold]
    fn damage(&self) -> Stop {
        Stop::Damaged {
            found: format!("a record of {} bytes for a packet of {}", self.length, self.captured),
            expected: "24 bytes more than the packet and its padding, and at most 262144 of packet",
        }
    }
}
