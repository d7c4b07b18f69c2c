//! Where decoded packets go: one list of segments for each shard; the counts of everything else are those of `frames`.
//!
//! A [`Batch`] is filled by one thread from one block of a capture and read by the trackers afterwards; its
//! buffers are used again, so that the hot path allocates nothing once they have grown.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capture::{LinkType, Visit};
use crate::time::Time;

use super::filter::Shown;
use super::frames::{Frames, Skip};
use super::full::{self, Found};
use super::odd::Clock;
use super::{Filter, Flags, Fragment, LabelKind, Labels, Marks, PairHasher, Reassembly, Segment, Tunnel, Wide, thin};

/// Trackers run side by side on this many shards; no result depends on the number.
pub const SHARDS: usize = 16;

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

    /// Makes room for the segments of so many octets of a capture: lists that grow are copied, and touch memory twice.
    pub fn make_room(&mut self, octets: usize) {
        /// A TCP segment without data in a record with its header.
        const LEAST: usize = 80;
        for shard in &mut self.shards {
            // Those of the block before are still there.
            shard.segments.reserve((octets / LEAST / SHARDS).saturating_sub(shard.segments.len()));
        }
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

    #[inline(always)]
    fn push(&mut self, segment: Segment) {
        // The upper bits choose the shard, the lower ones the place in its table.
        if let Some(shard) = self.shards.get_mut(segment.hash as usize >> 28) {
            shard.segments.push(segment);
        }
    }

    /// Keeps the addresses of a segment with this hash; gives their index.
    #[inline]
    fn push_wide(&mut self, hash: u32, wide: Wide) -> u32 {
        let Some(shard) = self.shards.get_mut(hash as usize >> 28) else { return u32::MAX };
        shard.wides.push(wide);
        u32::try_from(shard.wides.len() - 1).unwrap_or(u32::MAX)
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
    #[inline(always)]
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
            if *previous == Time::MIN {
                (*first, frames.first_timed) = (at, u64::from(frame));
            } else {
                frames.clock.note(*previous, at, u64::from(frame));
            }
        }
        *previous = at;
        frames.link_types |= link.bit();
        let taken = self.thin && link == LinkType::ETHERNET && self.thin_path(at, frame, bytes);
        if !taken {
            self.slow(at, frame, link, bytes, original);
        }
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

    /// Decodes a frame by the thin path; false where that declines.
    #[inline(always)]
    fn thin_path(&mut self, at: Time, frame: u32, bytes: &[u8]) -> bool {
        match thin::ethernet(bytes) {
            Some(carried) if carried.kind == thin::IPV4 => self.thin_v4(at, frame, carried.rest),
            Some(carried) if carried.kind == thin::IPV6 => self.thin_v6(at, frame, carried.rest),
            Some(carried) => self.thin_tagged(at, frame, carried),
            None => false,
        }
    }

    #[inline(always)]
    fn thin_v4(&mut self, at: Time, frame: u32, packet: &[u8]) -> bool {
        thin::ipv4(packet).map(|found| self.thin_segment(at, frame, &found)).is_some()
    }

    #[inline(never)]
    fn thin_v6(&mut self, at: Time, frame: u32, packet: &[u8]) -> bool {
        thin::ipv6(packet).map(|found| self.thin_segment(at, frame, &found)).is_some()
    }

    #[inline(never)]
    fn thin_tagged(&mut self, at: Time, frame: u32, carried: thin::Carried<'_>) -> bool {
        let Some(carried) = thin::untagged(carried) else { return false };
        let Some(found) = thin::packet(carried) else { return false };
        if let Some(hash) = self.thin_segment(at, frame, &found)
            && carried.tags != 0
        {
            self.tag(frame, hash, carried.tags);
        }
        true
    }

    /// Keeps the segment; gives its hash, unless the filter left it out.
    #[inline(always)]
    fn thin_segment(&mut self, at: Time, frame: u32, found: &thin::Thin<'_>) -> Option<u32> {
        if self.filtered && !self.keeps_thin(found) {
            return None;
        }
        let frames = &mut self.batch.frames;
        frames.segments += 1;
        frames.flags.add_ends(found.flags());
        let mut marks = Marks::default();
        if found.flags().has(Flags::SYN) {
            frames.flags.add_syn(found.flags());
            marks = found.checksum_marks();
            if marks != Marks::default() {
                frames.note_checksum(marks, frame);
            }
        }
        let (src_port, dst_port) = found.ports();
        let (hash, src, dst) = match found.addresses() {
            thin::Addresses::V4(src, dst) => {
                let (src, dst) = (u32::from_be_bytes(src), u32::from_be_bytes(dst));
                (self.hasher.narrow(src, src_port, dst, dst_port), src, dst)
            }
            thin::Addresses::V6(src, dst) => {
                let hash = self.hasher.wide(src, src_port, dst, dst_port, 0);
                marks.0 |= Marks::WIDE;
                (hash, self.batch.push_wide(hash, Wide { src: *src, dst: *dst, tunnel: 0 }), 0)
            }
        };
        let segment = found.segment();
        let marks = Marks(segment.marks.0 | marks.0);
        self.batch.push(Segment { at, frame, hash, src, dst, marks, ..segment });
        Some(hash)
    }

    #[cold]
    fn keeps_thin(&mut self, found: &thin::Thin<'_>) -> bool {
        self.batch.keeps_shown(&Shown::of_thin(found))
    }

    fn tag(&mut self, frame: u32, hash: u32, tags: u32) {
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
        match (super::ip::as_v4(&src), super::ip::as_v4(&dst), tunnel.identity_is_empty()) {
            (Some(src), Some(dst), true) => {
                (segment.src, segment.dst) = (src, dst);
                segment.hash = self.hasher.narrow(src, segment.src_port, dst, segment.dst_port);
            }
            _ => {
                let (src_port, dst_port) = (segment.src_port, segment.dst_port);
                segment.hash = self.hasher.wide(&src, src_port, &dst, dst_port, tunnel.identity_hash());
                segment.marks.0 |= Marks::WIDE;
                let wide = Wide { src, dst, tunnel: self.batch.tunnel(tunnel) };
                (segment.src, segment.dst) = (self.batch.push_wide(segment.hash, wide), 0);
            }
        }
        let hash = segment.hash;
        self.batch.push(segment);
        if !tunnel.labels().is_empty() {
            self.label(frame, hash, tunnel.labels());
        }
    }
}

impl Visit for Decoder<'_> {
    #[inline(always)]
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
