//! Excerpts: some frames of a capture as a pcapng file, with comments that say what they prove.
//!
//! draft-ietf-opsawg-pcapng. Blocks of a pcapng file are copied as they stand, sections and interfaces included, so that
//! times, resolutions and names stay what they were; comments are put in front of a block's own options. Frames of other
//! formats, and frames that were rewritten, get sections and interfaces of their own, with times in nanoseconds. Secrets
//! for decryption and records without a packet are never copied.

use super::LinkType;
use super::pcapng::{
    ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, NAME_RESOLUTION, SECTION_HEADER, SIMPLE_PACKET,
};
use crate::time::Time;

/// A frame of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number in the file, from 0.
    pub number: u64,
    /// When it was captured.
    pub at: Time,
    /// What its octets begin with.
    pub link: LinkType,
    /// The octets that were captured.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub original: u32,
}

/// A block of a pcapng file as it stands there.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The byte order of its section.
    pub big_endian: bool,
    /// Its type.
    pub kind: u32,
    /// All its octets.
    pub octets: &'a [u8],
}

/// The frames taken of one file, as pcapng.
#[derive(Debug, Default)]
pub struct Excerpt {
    /// What was written since it was last emptied.
    pub out: Vec<u8>,
    /// Frames taken.
    pub taken: u64,
    /// What the comment of the first section says.
    about: String,
    /// Blocks are never copied.
    anew: bool,
    /// Link types of the interfaces described by ourselves.
    links: Vec<LinkType>,
}

/// What the line of a section's comment begins with that says when the recording began and ended.
///
/// What was left out of an excerpt may lie ahead of its first frame and behind its last; without this line its diagnosis
/// would take the time of the first frame for the beginning of the recording, and know less than that of the whole.
pub const RECORDED: &str = "lastack excerpt of a recording from ";

/// The line behind [`RECORDED`], with its line feed: nanoseconds since 1970.
#[must_use]
pub fn recorded_line(from: Time, until: Time) -> String {
    format!("{RECORDED}{} to {} ns\n", from.0, until.0)
}

/// What such a line says.
pub(super) fn recorded(line: &str) -> Option<(Time, Time)> {
    let (from, until) = line.strip_prefix(RECORDED)?.strip_suffix(" ns")?.split_once(" to ")?;
    let (from, until) = (Time(from.parse().ok()?), Time(until.parse().ok()?));
    (from <= until).then_some((from, until))
}

/// Options, section 3.5 and 4.
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const IF_TSRESOL: u16 = 9;
const NANOSECONDS: u8 = 9;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// The data of an enhanced packet block, and of its predecessor.
const PACKET_DATA: usize = 28;
/// Options of a section header.
const SECTION_OPTIONS: usize = 24;
/// Longest comment that is written; an option's length has 16 bits.
const LONGEST_COMMENT: usize = 32_768;

impl Excerpt {
    /// Begins an excerpt; the first section carries the comment `about`.
    #[must_use]
    pub fn new(about: &str) -> Self {
        Self { about: about.to_owned(), ..Self::default() }
    }

    /// As [`Excerpt::new`], but no block is copied: frames get interfaces of their own, and nothing is said of the old ones.
    #[must_use]
    pub fn anew(about: &str) -> Self {
        Self { anew: true, ..Self::new(about) }
    }

    /// Copies a block that says what other blocks mean; blocks with packets wait for [`Excerpt::frame`].
    pub fn block(&mut self, block: Block<'_>) {
        match block.kind {
            _ if self.anew => {}
            SECTION_HEADER => {
                let about = std::mem::take(&mut self.about);
                let mut whole = commented(block, SECTION_OPTIONS, &about).unwrap_or_else(|| block.octets.to_vec());
                // How long the section is now is not known: section 4.1 has -1 for that.
                if let Some(length) = whole.get_mut(16..24) {
                    length.fill(0xff);
                }
                self.out.extend(whole);
            }
            INTERFACE_DESCRIPTION | NAME_RESOLUTION | INTERFACE_STATISTICS => self.out.extend(block.octets),
            _ => {}
        }
    }

    /// Takes a frame; `block` is what it stands in, where the file is pcapng, and `comment` what it proves, if anything.
    pub fn frame(&mut self, frame: Frame<'_>, block: Option<Block<'_>>, comment: &str) {
        if let Some(block) = block.filter(|_| !self.anew) {
            let options = PACKET_DATA.saturating_add(frame.bytes.len().next_multiple_of(4));
            // A simple packet block has no room for options.
            let whole = if block.kind == SIMPLE_PACKET { None } else { commented(block, options, comment) };
            self.out.extend(whole.as_deref().unwrap_or(block.octets));
        } else {
            self.write(frame, comment);
        }
        self.taken = self.taken.saturating_add(1);
    }

    fn write(&mut self, frame: Frame<'_>, comment: &str) {
        let Frame { at, link, bytes, original, .. } = frame;
        if self.links.is_empty() {
            section(&mut self.out, &std::mem::take(&mut self.about));
        }
        let interface = self.links.iter().position(|known| *known == link).unwrap_or_else(|| {
            describe(&mut self.out, link);
            self.links.push(link);
            self.links.len().saturating_sub(1)
        });
        let count = u64::try_from(at.0).unwrap_or(0);
        let mut body = Vec::with_capacity(bytes.len().saturating_add(64));
        let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        #[allow(clippy::cast_possible_truncation)] // the two halves of 64 bits
        let (high, low) = ((count >> 32) as u32, count as u32);
        let interface = u32::try_from(interface).unwrap_or(u32::MAX);
        for word in [interface, high, low, captured, original.max(captured)] {
            body.extend(word.to_le_bytes());
        }
        body.extend(bytes);
        pad(&mut body);
        if !comment.is_empty() {
            option(&mut body, false, COMMENT, shortened(comment).as_bytes());
            option(&mut body, false, END_OF_OPTIONS, &[]);
        }
        put(&mut self.out, false, ENHANCED_PACKET, &body);
    }
}

/// A block with a comment in front of its options, which begin at `options`.
fn commented(block: Block<'_>, options: usize, comment: &str) -> Option<Vec<u8>> {
    let Block { big_endian, kind, octets: block } = block;
    let trailer = block.len().checked_sub(4)?;
    if comment.is_empty() || options > trailer {
        return None;
    }
    let (front, behind) = (block.get(8..options)?, block.get(options..trailer)?);
    let mut body = front.to_vec();
    option(&mut body, big_endian, COMMENT, shortened(comment).as_bytes());
    if behind.is_empty() {
        option(&mut body, big_endian, END_OF_OPTIONS, &[]);
    }
    body.extend(behind);
    let mut whole = Vec::with_capacity(body.len().saturating_add(12));
    put(&mut whole, big_endian, kind, &body);
    Some(whole)
}

fn section(out: &mut Vec<u8>, about: &str) {
    let mut body = Vec::new();
    body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
    body.extend(1_u16.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    body.extend(u64::MAX.to_le_bytes());
    if !about.is_empty() {
        option(&mut body, false, COMMENT, shortened(about).as_bytes());
        option(&mut body, false, END_OF_OPTIONS, &[]);
    }
    put(out, false, SECTION_HEADER, &body);
}

fn describe(out: &mut Vec<u8>, link: LinkType) {
    let mut body = Vec::new();
    body.extend(link.0.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    // Snap length 0: no limit.
    body.extend(0_u32.to_le_bytes());
    option(&mut body, false, IF_TSRESOL, &[NANOSECONDS]);
    option(&mut body, false, END_OF_OPTIONS, &[]);
    put(out, false, INTERFACE_DESCRIPTION, &body);
}

fn option(body: &mut Vec<u8>, big_endian: bool, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    for half in [code, length] {
        body.extend(if big_endian { half.to_be_bytes() } else { half.to_le_bytes() });
    }
    body.extend(value.iter().take(usize::from(length)));
    pad(body);
}

fn put(out: &mut Vec<u8>, big_endian: bool, kind: u32, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).saturating_add(12);
    let octets = |word: u32| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    out.extend(octets(kind));
    out.extend(octets(length));
    out.extend(body);
    out.extend(octets(length));
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// As much of a comment as an option holds, whole characters.
fn shortened(comment: &str) -> &str {
    comment.get(..comment.floor_char_boundary(LONGEST_COMMENT)).unwrap_or(comment)
}
