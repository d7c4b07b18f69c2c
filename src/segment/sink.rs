//! Where decoded packets go: one list of segments for each shard, and counts of everything else.
//!
//! A [`Batch`] is filled by one thread from one block of a capture and read by the trackers afterwards; its
//! buffers are used again, so that the hot path allocates nothing once they have grown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capture::{LinkType, Visit};
use crate::time::Time;

use super::filter::Shown;
use super::full::{self, Found};
use super::odd::{Clock, Noted};
use super::{Filter, Flags, Fragment, LabelKind, Labels, Marks, PairHasher, Reassembly, Segment, Tunnel, Wide, thin};

/// Trackers run side by side on this many shards; no result depends on the number.
pub const SHARDS: usize = 16;

/// The reason of frames whose TCP header was cut off.
pub const HEADERS_CUT: &str = "headers cut by the snap length";

/// Why a frame gave no segment, in the order in which the report lists them.
const REASONS: [&str; Skips::COUNT] = [
    "not IP",
    "IP, but neither TCP nor ICMP",
    "link type not supported",
    HEADERS_CUT,
    "malformed header",
    "fragment without a TCP header",
    "layers nested too deep",
    "record without a packet",
];

/// Frames passed over, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skips {
    counts: [(u64, u64); Self::COUNT],
}

/// Names a reason of [`Skips`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// ARP, spanning tree and the like.
    NotIp,
    /// UDP, SCTP and the like.
    NotTcp,
    /// No decoder for the link type.
    LinkType,
    /// The snap length cut a header that was needed.
    Cut,
    /// A header contradicts itself.
    Malformed,
    /// A later fragment of an IP datagram.
    Fragment,
    /// More layers than any network has.
    TooDeep,
    /// A record that holds something else than a packet.
    NoPacket,
}

impl Skips {
    const COUNT: usize = 8;

    /// Counts one frame; `frame` is counted from 0.
    pub fn add(&mut self, reason: Skip, frame: u64) {
        if let Some((count, first)) = self.counts.get_mut(reason as usize) {
            if *count == 0 {
                *first = frame;
            }
            *count += 1;
        }
    }

    /// Adds what a later batch passed over; its frames are counted from `base`.
    pub fn append(&mut self, later: &Self, base: u64) {
        for ((count, first), (more, more_first)) in self.counts.iter_mut().zip(&later.counts) {
            if *count == 0 && *more > 0 {
                *first = more_first.saturating_add(base);
            }
            *count += more;
        }
    }

    /// Reason, count and first frame (from 0) of everything that was passed over.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        REASONS
            .into_iter()
            .zip(self.counts)
            .filter(|(_, (count, _))| *count > 0)
            .map(|(r, (count, first))| (r, count, first))
    }
}

/// TCP segments by their flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    /// SYN without ACK.
    pub syn: u64,
    /// SYN with ACK.
    pub syn_ack: u64,
    /// FIN.
    pub fin: u64,
    /// RST.
    pub rst: u64,
}

impl FlagCounts {
    fn add(&mut self, flags: Flags) {
        self.syn += u64::from(flags.is_syn());
        self.syn_ack += u64::from(flags.is_syn_ack());
        self.fin += u64::from(flags.has(Flags::FIN));
        self.rst += u64::from(flags.has(Flags::RST));
    }

    /// Adds the counts of another batch.
    pub fn append(&mut self, other: &Self) {
        self.syn += other.syn;
        self.syn_ack += other.syn_ack;
        self.fin += other.fin;
        self.rst += other.rst;
    }
}

/// What the frames of a batch, or of a whole capture, come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Frames read.
    pub packets: u64,
    /// Frames that a filter left out.
    pub left_out: u64,
    /// TCP segments among those that were kept.
    pub segments: u64,
    /// Packets that took the complete decode path.
    pub slow_path: u64,
    /// The earliest time; [`Time::MAX`] where there is none.
    pub first_at: Time,
    /// The latest time; [`Time::MIN`] where there is none.
    pub last_at: Time,
    /// The time of the first frame and that of the last one, to notice what a clock does between two batches.
    pub ends_at: [Time; 2],
    /// When the recording began and ended that an excerpt was cut from.
    pub recorded: Option<(Time, Time)>,
    /// Steps back and gaps between neighbouring frames.
    pub clock: Clock,
    /// SYNs whose options were cut off, so that their timestamps are unknown.
    pub syn_options_cut: Noted,
    /// Other segments whose options were cut off.
    pub options_cut: Noted,
    /// SYNs that still lack the checksum that the network card was to fill in.
    pub checksum_offloaded: Noted,
    /// SYNs with a checksum that is neither right nor left to the network card.
    pub checksum_wrong: Noted,
    /// Segments that are copies of others; the trackers tell.
    pub duplicates: u64,
    /// Counts by flags.
    pub flags: FlagCounts,
    /// What was passed over.
    pub skips: Skips,
    /// Link types met, one bit each in the order of [`LinkType::ALL`].
    pub link_types: u32,
    /// Packets that the capturing side says it dropped, by interface.
    pub dropped: BTreeMap<u32, u64>,
    /// Records that are no packets but should be, by reason.
    pub odd_records: Vec<(Cow<'static, str>, u64)>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            packets: 0,
            left_out: 0,
            segments: 0,
            slow_path: 0,
            first_at: Time::MAX,
            last_at: Time::MIN,
            ends_at: [Time::MIN; 2],
            recorded: None,
            clock: Clock::default(),
            syn_options_cut: Noted::default(),
            options_cut: Noted::default(),
            checksum_offloaded: Noted::default(),
            checksum_wrong: Noted::default(),
            duplicates: 0,
            flags: FlagCounts::default(),
            skips: Skips::default(),
            link_types: 0,
            dropped: BTreeMap::new(),
            odd_records: Vec::new(),
        }
    }
}

impl Frames {
    /// Adds what came later in the same capture.
    pub fn append(&mut self, later: &Self) {
        let base = self.packets;
        self.skips.append(&later.skips, base);
        for (noted, more) in [
            (&mut self.syn_options_cut, later.syn_options_cut),
            (&mut self.options_cut, later.options_cut),
            (&mut self.checksum_offloaded, later.checksum_offloaded),
            (&mut self.checksum_wrong, later.checksum_wrong),
        ] {
            noted.append(more, base);
        }
        self.clock.append(&later.clock, base);
        let ([_, previous], [next, _]) = (self.ends_at, later.ends_at);
        if base > 0 && later.packets > 0 && Clock::strays(previous, next) {
            self.clock.note(previous, next, base);
        }
        self.packets += later.packets;
        self.left_out += later.left_out;
        self.segments += later.segments;
        self.slow_path += later.slow_path;
        self.first_at = self.first_at.min(later.first_at);
        self.last_at = self.last_at.max(later.last_at);
        if let Some((from, until)) = later.recorded {
            self.add_recorded(from, until);
        }
        if later.packets > 0 {
            let ([first, last], [later_first, later_last]) = (&mut self.ends_at, later.ends_at);
            (*first, *last) = (if base == 0 { later_first } else { *first }, later_last);
        }
        self.duplicates += later.duplicates;
        self.flags.append(&later.flags);
        self.link_types |= later.link_types;
        // The counters of a capture only grow; the last one counts.
        self.dropped.extend(later.dropped.iter());
        for (reason, count) in &later.odd_records {
            self.add_odd(reason.clone(), *count);
        }
    }

    /// Packets that the capturing side says it dropped on all interfaces.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, packets| sum.saturating_add(*packets))
    }

    fn add_recorded(&mut self, from: Time, until: Time) {
        let known = self.recorded.unwrap_or((from, until));
        self.recorded = Some((known.0.min(from), known.1.max(until)));
    }

    #[cold]
    fn note_checksum(&mut self, marks: Marks, frame: u32) {
        if marks.has(Marks::CHECKSUM_OFFLOADED) {
            self.checksum_offloaded.add(u64::from(frame));
        } else if marks.has(Marks::CHECKSUM_WRONG) {
            self.checksum_wrong.add(u64::from(frame));
        }
    }

    fn add_odd(&mut self, reason: Cow<'static, str>, count: u64) {
        match self.odd_records.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum += count,
            None => self.odd_records.push((reason, count)),
        }
    }
}

/// The segments of one shard in one batch, in frame order.
#[derive(Debug, Default)]
pub struct ShardBatch {
    /// One entry a segment.
    pub segments: Vec<Segment>,
    /// Addresses that do not fit into a segment.
    pub wides: Vec<Wide>,
    /// Labels around segments, by their frames.
    pub labels: Vec<(u32, Labels)>,
}

impl ShardBatch {
    /// The labels around the segment of a frame.
    #[must_use]
    pub fn labels_of(&self, frame: u32) -> Option<Labels> {
        let place = self.labels.binary_search_by_key(&frame, |(frame, _)| *frame).ok()?;
        self.labels.get(place).map(|(_, labels)| *labels)
    }
}

/// One ICMP or ICMPv6 echo request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// When it was captured.
    pub at: Time,
    /// Its frame, counted from 0 within its batch.
    pub frame: u32,
    /// Whether it is a reply.
    pub reply: bool,
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub sequence: u16,
    /// Stands for the first bytes of its data, which a reply repeats (RFC 792); 0 where too few were captured.
    pub fingerprint: u32,
    /// Source; IPv4 as IPv4-mapped.
    pub src: [u8; 16],
    /// Destination; IPv4 as IPv4-mapped.
    pub dst: [u8; 16],
}

/// What an ICMP error says: type and code as in the message, and whether it is ICMPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
}

/// Everything that one block of a capture gave.
#[derive(Debug, Default)]
pub struct Batch {
    /// Segments by shard.
    pub shards: [ShardBatch; SHARDS],
    /// Tunnels that the `Wide` records of this batch name.
    pub tunnels: Vec<Tunnel>,
    /// Echo requests and replies, in frame order.
    pub echoes: Vec<Echo>,
    /// Parts of datagrams that carry TCP, in frame order: [`Batch::join`] makes segments of them.
    pub fragments: Vec<Fragment>,
    /// Counts.
    pub frames: Frames,
    /// What is looked at; everything where there is none.
    pub filter: Option<Arc<Filter>>,
}

impl Batch {
    /// Empties it and keeps its buffers.
    pub fn clear(&mut self) {
        for shard in &mut self.shards {
            shard.segments.clear();
            shard.wides.clear();
            shard.labels.clear();
        }
        self.tunnels.clear();
        self.echoes.clear();
        self.fragments.clear();
        self.frames = Frames::default();
    }

    /// Makes segments of the fragments; `reassembly` has seen those of all batches before.
    pub fn join(&mut self, reassembly: &mut Reassembly, hasher: &PairHasher) {
        let fragments = std::mem::take(&mut self.fragments);
        for fragment in &fragments {
            let pieces = reassembly.add(fragment);
            if let Some(flags) = pieces.assembled {
                self.frames.segments += 1;
                self.frames.flags.add(flags);
            }
            let (ends, filter) = ([fragment.src, fragment.dst], self.filter.clone());
            let kept = |segment: &Segment| filter.as_ref().is_none_or(|filter| filter.keeps(&Shown::of(segment, ends)));
            let mut decoder = Decoder { hasher, batch: self, thin: false, filtered: false };
            for segment in pieces.segments.into_iter().filter(kept) {
                decoder.place(segment, fragment.src, fragment.dst, &fragment.tunnel);
            }
        }
        if !fragments.is_empty() {
            for shard in &mut self.shards {
                // Stable, so that parts of one frame keep their order.
                shard.segments.sort_by_key(|segment| segment.frame);
                shard.labels.sort_by_key(|(frame, _)| *frame);
            }
        }
    }

    /// Takes a segment that was decoded before; its frame is counted from 0 within this batch.
    pub fn take(&mut self, hasher: &PairHasher, segment: Segment, src: [u8; 16], dst: [u8; 16], tunnel: &Tunnel) {
        Decoder { hasher, batch: self, thin: false, filtered: false }.place(segment, src, dst, tunnel);
    }

    /// Whether a frame lies outside the interval that is looked at; then it is counted.
    #[cold]
    fn leaves_out(&mut self, at: Time) -> bool {
        let out = self.filter.as_ref().is_some_and(|filter| !filter.covers(at));
        self.frames.left_out += u64::from(out);
        out
    }

    #[cold]
    fn keeps(&mut self, segment: &Segment, ends: [[u8; 16]; 2]) -> bool {
        self.keeps_shown(&Shown::of(segment, ends))
    }

    /// Whether a packet is looked at; if not, it is counted.
    fn keeps_shown(&mut self, shown: &Shown) -> bool {
        let kept = self.filter.as_ref().is_none_or(|filter| filter.keeps(shown));
        self.frames.left_out += u64::from(!kept);
        kept
    }

    fn push(&mut self, segment: Segment) {
        // The upper bits choose the shard, the lower ones the place in its table.
        if let Some(shard) = self.shards.get_mut(segment.hash as usize >> 28) {
            shard.segments.push(segment);
        }
    }

    fn tunnel(&mut self, tunnel: &Tunnel) -> u32 {
        // Labels alone tell nothing apart.
        if tunnel.identity_is_empty() {
            return 0;
        }
        // A capture has few tunnels, and neighbours share theirs.
        let known = self.tunnels.iter().rposition(|t| t == tunnel).unwrap_or_else(|| {
            self.tunnels.push(tunnel.clone());
            self.tunnels.len() - 1
        });
        u32::try_from(known + 1).unwrap_or(u32::MAX)
    }
}

/// Decodes packets into a batch.
#[derive(Debug)]
pub struct Decoder<'a> {
    hasher: &'a PairHasher,
    batch: &'a mut Batch,
    thin: bool,
    /// The batch has a filter.
    filtered: bool,
}

impl<'a> Decoder<'a> {
    /// Decodes into `batch`, which is emptied first.
    pub fn new(hasher: &'a PairHasher, batch: &'a mut Batch) -> Self {
        batch.clear();
        let filtered = batch.filter.is_some();
        Self { hasher, batch, thin: true, filtered }
    }

    /// Sends every packet down the complete path, so that both can be compared.
    #[must_use]
    pub fn complete_only(mut self) -> Self {
        self.thin = false;
        self
    }

    /// Decodes one frame; `original` is its length on the wire.
    #[inline]
    pub fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32) {
        let frames = &mut self.batch.frames;
        #[allow(clippy::cast_possible_truncation)]
        let frame = frames.packets as u32; // a batch is far smaller than 2^32 frames
        frames.packets += 1;
        if self.filtered && self.batch.leaves_out(at) {
            return;
        }
        let frames = &mut self.batch.frames;
        frames.first_at = frames.first_at.min(at);
        frames.last_at = frames.last_at.max(at);
        let [first, previous] = &mut frames.ends_at;
        if Clock::strays(*previous, at) {
            match frame {
                0 => *first = at,
                _ => frames.clock.note(*previous, at, u64::from(frame)),
            }
        }
        *previous = at;
        frames.link_types |= link.bit();
        if self.thin
            && link == LinkType::ETHERNET
            && let Some(segment) = thin::ethernet(bytes)
        {
            return self.thin_segment(at, frame, segment);
        }
        self.slow(at, frame, link, bytes, original);
    }

    /// Notes what a capture says it dropped.
    pub fn dropped_by_capture(&mut self, interface: u32, packets: u64) {
        self.batch.frames.dropped.insert(interface, packets);
    }

    /// Counts a record that holds no packet but has a frame number.
    pub fn record_without_packet(&mut self) {
        let frames = &mut self.batch.frames;
        frames.skips.add(Skip::NoPacket, frames.packets);
        frames.packets += 1;
    }

    /// Counts a record that should have held a packet.
    pub fn odd_record(&mut self, reason: &'static str) {
        self.batch.frames.add_odd(Cow::Borrowed(reason), 1);
    }

    #[inline]
    fn thin_segment(&mut self, at: Time, frame: u32, found: thin::Thin) {
        let (mut segment, addresses) = (found.segment, found.addresses);
        segment.at = at;
        segment.frame = frame;
        if self.filtered && !self.keeps_thin(&segment, &addresses) {
            return;
        }
        self.batch.frames.segments += 1;
        if segment.flags.is_control() {
            self.batch.frames.flags.add(segment.flags);
            if segment.marks.0 & (Marks::CHECKSUM_OFFLOADED | Marks::CHECKSUM_WRONG) != 0 {
                self.batch.frames.note_checksum(segment.marks, frame);
            }
        }
        let hash = match addresses {
            thin::Addresses::V4 => {
                segment.hash = self.hasher.narrow(segment.src, segment.src_port, segment.dst, segment.dst_port);
                self.batch.push(segment);
                segment.hash
            }
            thin::Addresses::V6(src, dst) => self.push_wide(segment, Wide { src, dst, tunnel: 0 }, 0),
        };
        if found.tags != 0 {
            self.tagged(frame, hash, found.tags);
        }
    }

    #[cold]
    fn keeps_thin(&mut self, segment: &Segment, addresses: &thin::Addresses) -> bool {
        let ends = match addresses {
            thin::Addresses::V4 => [segment.src, segment.dst].map(|v4| super::ip::mapped(v4.to_be_bytes())),
            thin::Addresses::V6(src, dst) => [*src, *dst],
        };
        self.batch.keeps(segment, ends)
    }

    #[cold]
    fn tagged(&mut self, frame: u32, hash: u32, tags: u32) {
        let mut labels = Labels::default();
        for tag in [tags >> 16, tags & 0xffff].into_iter().filter(|tag| tag & 0x8000 != 0) {
            labels.add(LabelKind::Vlan, tag & 0x0fff);
        }
        self.label(frame, hash, labels);
    }

    fn label(&mut self, frame: u32, hash: u32, labels: Labels) {
        if let Some(shard) = self.batch.shards.get_mut(hash as usize >> 28) {
            shard.labels.push((frame, labels));
        }
    }

    #[cold]
    fn slow(&mut self, at: Time, frame: u32, link: LinkType, bytes: &[u8], original: u32) {
        self.batch.frames.slow_path += 1;
        match full::decode(link, bytes, original) {
            Found::Segment { mut segment, src, dst, tunnel } => {
                segment.at = at;
                segment.frame = frame;
                if self.filtered && !self.batch.keeps(&segment, [src, dst]) {
                    return;
                }
                if !segment.marks.has(Marks::ICMP_ERROR) {
                    self.batch.frames.segments += 1;
                    self.batch.frames.flags.add(segment.flags);
                    self.batch.frames.note_checksum(segment.marks, frame);
                    if segment.marks.has(Marks::OPTIONS_CUT) {
                        let frames = &mut self.batch.frames;
                        let syn = segment.flags.has(Flags::SYN);
                        let noted = if syn { &mut frames.syn_options_cut } else { &mut frames.options_cut };
                        noted.add(u64::from(frame));
                    }
                }
                self.place(segment, src, dst, &tunnel);
            }
            Found::Echo(mut echo) => {
                echo.at = at;
                echo.frame = frame;
                if !self.filtered || self.batch.keeps_shown(&Shown::bare([echo.src, echo.dst])) {
                    self.batch.echoes.push(echo);
                }
            }
            Found::Fragment(mut fragment) => {
                fragment.at = at;
                fragment.frame = frame;
                match fragment.segment() {
                    Some((segment, _)) => {
                        self.batch.frames.segments += 1;
                        self.batch.frames.flags.add(segment.flags);
                    }
                    None => self.batch.frames.skips.add(Skip::Fragment, u64::from(frame)),
                }
                self.batch.fragments.push(fragment);
            }
            Found::Nothing(reason) => self.batch.frames.skips.add(reason, u64::from(frame)),
        }
    }

    fn place(&mut self, mut segment: Segment, src: [u8; 16], dst: [u8; 16], tunnel: &Tunnel) {
        let frame = segment.frame;
        let hash = match (super::ip::as_v4(&src), super::ip::as_v4(&dst), tunnel.identity_is_empty()) {
            (Some(src), Some(dst), true) => {
                segment.src = src;
                segment.dst = dst;
                segment.hash = self.hasher.narrow(src, segment.src_port, dst, segment.dst_port);
                self.batch.push(segment);
                segment.hash
            }
            _ => {
                let index = self.batch.tunnel(tunnel);
                self.push_wide(segment, Wide { src, dst, tunnel: index }, tunnel.identity_hash())
            }
        };
        if !tunnel.labels().is_empty() {
            self.label(frame, hash, tunnel.labels());
        }
    }

    /// Gives the hash of the pair.
    fn push_wide(&mut self, mut segment: Segment, wide: Wide, tunnel_hash: u64) -> u32 {
        segment.hash = self.hasher.wide(&wide.src, segment.src_port, &wide.dst, segment.dst_port, tunnel_hash);
        segment.marks.0 |= Marks::WIDE;
        if let Some(shard) = self.batch.shards.get_mut(segment.hash as usize >> 28) {
            segment.src = u32::try_from(shard.wides.len()).unwrap_or(u32::MAX);
            segment.dst = 0;
            shard.wides.push(wide);
            shard.segments.push(segment);
        }
        segment.hash
    }
}

impl Visit for Decoder<'_> {
    #[inline]
    fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32) {
        Decoder::packet(self, at, link, bytes, original);
    }

    fn dropped(&mut self, interface: u32, packets: u64) {
        self.dropped_by_capture(interface, packets);
    }

    fn recorded(&mut self, from: Time, until: Time) {
        self.batch.frames.add_recorded(from, until);
    }

    fn no_packet(&mut self) {
        self.record_without_packet();
    }

    fn odd(&mut self, reason: &'static str) {
        self.odd_record(reason);
    }
}
