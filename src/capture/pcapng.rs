//! pcapng files: sections of either byte order, several interfaces, per-interface resolution and offset.
//!
//! draft-ietf-opsawg-pcapng. Enhanced packet blocks are read in place, since the parser of the pcap-parser crate
//! allocates a list of options for each; the rare blocks with options worth reading go through it.

use std::sync::Arc;

use pcap_parser::pcapng::{
    PcapNGOption, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_interfacestatisticsblock_be, parse_interfacestatisticsblock_le,
};

use super::{Format, LONGEST_PACKET, LinkType, Stop, Visit, Walked, excerpt};
use crate::time::Time;

/// The section and its interfaces, as known at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcapng {
    big_endian: bool,
    interfaces: Arc<Vec<Interface>>,
    /// Interfaces of the sections before: each section counts its own from 0.
    earlier: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    link: LinkType,
    resolution: Resolution,
    /// Seconds that are added to every time.
    offset: i64,
    snap_length: u32,
}

/// How a 64-bit count becomes nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    Multiply(i64),
    Divide(u64),
    /// The unit is 2^-n seconds.
    Shift(u32),
}

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
pub(super) const SIMPLE_PACKET: u32 = 3;
pub(super) const NAME_RESOLUTION: u32 = 4;
pub(super) const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
const JOURNAL_EXPORT: u32 = 9;
const CUSTOM: u32 = 0xbad;
const CUSTOM_UNCOPIED: u32 = 0x4000_0bad;
/// Options of the blocks that describe interfaces and count what they dropped.
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
/// Type, and the total length in front and behind.
const SMALLEST_BLOCK: u32 = 12;
/// As Wireshark has it; nothing real is longer.
const LONGEST_BLOCK: u32 = 16 * 1024 * 1024;
/// More interfaces than any host has; more are damage or an attack.
const MOST_INTERFACES: usize = 65_536;

impl Pcapng {
    /// Reads the byte order of the first section; `None` where the file does not begin with one.
    #[must_use]
    pub fn open(bytes: &[u8]) -> Option<Self> {
        let [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, order @ ..] = bytes.first_chunk::<12>()? else { return None };
        Some(Self { big_endian: section_order(*order)?, interfaces: Arc::default(), earlier: 0 })
    }

    #[inline]
    fn word(&self, bytes: &[u8], place: usize) -> Option<u32> {
        let word = bytes.get(place..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) })
    }

    /// Type and total length of the block at the start of `bytes`; a section header sets the byte order.
    #[inline]
    fn head(&mut self, bytes: &[u8]) -> Result<(u32, u32), Stop> {
        const NEEDED: Stop = Stop::Short { needed: SMALLEST_BLOCK as usize };
        let kind = self.word(bytes, 0).ok_or(NEEDED)?;
        if kind == SECTION_HEADER {
            let order = bytes.get(8..).and_then(|b| b.first_chunk::<4>()).ok_or(NEEDED)?;
            self.big_endian = section_order(*order).ok_or_else(|| Stop::Damaged {
                found: "a section header without byte-order magic".to_owned(),
                expected: "1a 2b 3c 4d",
            })?;
            self.earlier = self.earlier.saturating_add(u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX));
            self.interfaces = Arc::default();
        }
        let length = self.word(bytes, 4).ok_or(NEEDED)?;
        if (SMALLEST_BLOCK..=LONGEST_BLOCK).contains(&length) {
            return Ok((kind, length.next_multiple_of(4)));
        }
        Err(Stop::Damaged { found: format!("a block of {length} bytes"), expected: "12 to 16777216" })
    }

    #[inline]
    fn block(&mut self, kind: u32, block: &[u8], visit: &mut impl Visit) {
        match kind {
            ENHANCED_PACKET => self.enhanced_packet(block, visit),
            SIMPLE_PACKET => self.simple_packet(block, visit),
            PACKET => self.obsolete_packet(block, visit),
            INTERFACE_DESCRIPTION => self.interface(block, visit),
            SECTION_HEADER => section(block, visit),
            INTERFACE_STATISTICS => self.statistics(block, visit),
            JOURNAL_EXPORT | CUSTOM | CUSTOM_UNCOPIED => visit.no_packet(),
            _ => {}
        }
    }

    #[inline]
    fn enhanced_packet(&self, block: &[u8], visit: &mut impl Visit) {
        let fields = (
            self.word(block, 8),
            self.word(block, 12),
            self.word(block, 16),
            self.word(block, 20),
            self.word(block, 24),
        );
        let (Some(interface), Some(high), Some(low), Some(captured), Some(original)) = fields else {
            return visit.odd("packet block too short");
        };
        self.stamped(block, 28, interface, (high, low), captured, original, visit);
    }

    /// The Packet Block of early drafts: a 16-bit interface and a drop counter.
    fn obsolete_packet(&self, block: &[u8], visit: &mut impl Visit) {
        let fields = (
            self.word(block, 8),
            self.word(block, 12),
            self.word(block, 16),
            self.word(block, 20),
            self.word(block, 24),
        );
        let (Some(ids), Some(high), Some(low), Some(captured), Some(original)) = fields else {
            return visit.odd("packet block too short");
        };
        let interface = if self.big_endian { ids >> 16 } else { ids & 0xffff };
        self.stamped(block, 28, interface, (high, low), captured, original, visit);
    }

    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn stamped(
        &self,
        block: &[u8],
        data: usize,
        interface: u32,
        (high, low): (u32, u32),
        captured: u32,
        original: u32,
        visit: &mut impl Visit,
    ) {
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return visit.odd("packet of an interface that was not described");
        };
        let end = data.saturating_add(captured as usize);
        // The last four octets of the block repeat its length.
        let Some(bytes) = block.get(data..end).filter(|_| end + 4 <= block.len() && captured <= LONGEST_PACKET) else {
            return visit.odd("packet longer than its block");
        };
        visit.packet(interface.time(u64::from(high) << 32 | u64::from(low)), interface.link, bytes, original);
    }

    /// A packet without a time: it belongs to the first interface.
    fn simple_packet(&self, block: &[u8], visit: &mut impl Visit) {
        let (Some(original), Some(interface)) = (self.word(block, 8), self.interfaces.first()) else {
            return visit.odd("packet of an interface that was not described");
        };
        let snap = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let room = block.len().saturating_sub(16);
        let captured = room.min(original.min(snap) as usize);
        visit.packet(Time(0), interface.link, block.get(12..12 + captured).unwrap_or(&[]), original);
    }

    #[cold]
    fn interface(&mut self, block: &[u8], visit: &mut impl Visit) {
        let parsed = if self.big_endian {
            parse_interfacedescriptionblock_be(block)
        } else {
            parse_interfacedescriptionblock_le(block)
        };
        let interface = match parsed {
            Ok((_, idb)) => Interface {
                #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
                link: LinkType(idb.linktype.0 as u16),
                resolution: Resolution::of(idb.if_tsresol),
                offset: self.option(&idb.options, IF_TSOFFSET).map_or(0, u64::cast_signed),
                snap_length: idb.snaplen,
            },
            Err(_) => match self.word(block, 8) {
                // Damaged options do not make the link type unknown.
                Some(word) => Interface {
                    link: LinkType(if self.big_endian { (word >> 16) as u16 } else { (word & 0xffff) as u16 }),
                    resolution: Resolution::Multiply(1000),
                    offset: 0,
                    snap_length: self.word(block, 12).unwrap_or(0),
                },
                None => return visit.odd("interface description too short"),
            },
        };
        if self.interfaces.len() < MOST_INTERFACES {
            Arc::make_mut(&mut self.interfaces).push(interface);
        } else {
            visit.odd("more than 65536 interfaces");
        }
    }

    /// The counters of drops: `isb_ifdrop` and `isb_osdrop`, 64 bits in the section's byte order.
    #[cold]
    fn statistics(&self, block: &[u8], visit: &mut impl Visit) {
        let parsed = if self.big_endian {
            parse_interfacestatisticsblock_be(block)
        } else {
            parse_interfacestatisticsblock_le(block)
        };
        if let Ok((_, statistics)) = parsed {
            let count = |code| self.option(&statistics.options, code).unwrap_or(0);
            let dropped = count(ISB_IFDROP).saturating_add(count(ISB_OSDROP));
            if (statistics.if_id as usize) < self.interfaces.len() {
                visit.dropped(self.earlier.saturating_add(statistics.if_id), dropped);
            } else {
                visit.odd("statistics of an interface that was not described");
            }
        }
    }

    /// The value of a 64-bit option; the pcap-parser crate takes them all for little-endian.
    fn option(&self, options: &[PcapNGOption<'_>], code: u16) -> Option<u64> {
        let option = options.iter().find(|option| option.code.0 == code)?;
        let value = *option.value.first_chunk::<8>()?;
        Some(if self.big_endian { u64::from_be_bytes(value) } else { u64::from_le_bytes(value) })
    }

    /// Whether blocks follow one another from `bytes` on, over `span` octets or to the end.
    fn chains(&self, bytes: &[u8], span: usize) -> bool {
        let mut state = self.clone();
        let mut place = 0;
        while place < span {
            let Some(rest) = bytes.get(place..).filter(|rest| rest.len() >= 12) else { break };
            let Ok((_, length)) = state.head(rest) else { return false };
            match state.word(rest, length as usize - 4) {
                Some(behind) if behind.checked_next_multiple_of(4) != Some(length) => return false,
                _ => place += length as usize,
            }
        }
        place > 0
    }
}

/// An excerpt's first section says what it was cut from.
#[cold]
fn section(block: &[u8], visit: &mut impl Visit) {
    let said = memchr::memmem::find(block, excerpt::RECORDED.as_bytes());
    let line = said.and_then(|place| block.get(place..)).and_then(|rest| rest.split(|octet| *octet == b'\n').next());
    if let Some((from, until)) = line.and_then(|line| std::str::from_utf8(line).ok()).and_then(excerpt::recorded) {
        visit.recorded(from, until);
    }
}

/// Whether a section is big-endian, by its byte-order magic.
fn section_order(magic: [u8; 4]) -> Option<bool> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

impl Resolution {
    /// From the `if_tsresol` option: a negative power of ten, or of two where the top bit is set.
    fn of(option: u8) -> Self {
        let power = u32::from(option & 0x7f);
        if option & 0x80 != 0 {
            return Self::Shift(power.min(127));
        }
        match power {
            0..=9 => Self::Multiply(10_i64.pow(9 - power)),
            _ => Self::Divide(10_u64.saturating_pow(power - 9)),
        }
    }

    #[inline]
    fn nanos(self, count: u64) -> i64 {
        match self {
            Self::Multiply(factor) => i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(factor),
            Self::Divide(divisor) => i64::try_from(count.checked_div(divisor).unwrap_or(0)).unwrap_or(i64::MAX),
            Self::Shift(bits) => {
                let nanos = (u128::from(count) * 1_000_000_000).checked_shr(bits).unwrap_or(0);
                i64::try_from(nanos).unwrap_or(i64::MAX)
            }
        }
    }
}

impl Interface {
    #[inline]
    fn time(&self, count: u64) -> Time {
        Time::from_parts(self.offset, self.resolution.nanos(count))
    }
}

impl Format for Pcapng {
    const NAME: &'static str = "pcapng";
    // Blocks are padded to four octets.
    const ALIGNMENT: u64 = 4;

    fn find_record(&self, bytes: &[u8], span: usize) -> Option<usize> {
        // Blocks are padded to four octets, and files are cut at multiples of four.
        (0..bytes.len().saturating_sub(12))
            .step_by(4)
            .find(|&place| bytes.get(place..).is_some_and(|rest| self.chains(rest, span)))
    }

    #[inline]
    fn walk(&mut self, bytes: &[u8], start: usize, limit: usize, visit: &mut impl Visit) -> Walked {
        let mut place = start;
        while place < limit {
            let Some(rest) = bytes.get(place..).filter(|rest| !rest.is_empty()) else { return Walked::at(place) };
            // A section header that the buffer cuts must leave no trace; it will be met again.
            let before = rest.starts_with(&SECTION_HEADER.to_be_bytes()).then(|| self.clone());
            let (kind, length) = match self.head(rest) {
                Ok(head) => head,
                Err(stop) => return Walked { place, stop: Some(stop) },
            };
            let Some(block) = rest.get(..length as usize) else {
                *self = before.unwrap_or_else(|| self.clone());
                return Walked { place, stop: Some(Stop::Short { needed: length as usize }) };
            };
            visit.block(self.big_endian, kind, block);
            self.block(kind, block, visit);
            place += length as usize;
        }
        Walked::at(place)
    }
}
