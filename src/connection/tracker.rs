//! The tracker: segments in, records out. One a shard, single-threaded, no I/O.
//!
//! It finds the incarnation that a segment belongs to, lets `machine` tell what the segment does to its record, and
//! notes what is known of single segments: SYNs, answers, late ones, copies, pauses.

mod machine;

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use self::machine::sent_by_client;
use super::copies::{Copies, InBatch, Recent};
use super::holes::Holes;
use super::late::{self, LateAnswer, LateEvent, LateKind, ResetEvent};
use super::pause::{self, PauseEvent};
use super::record::{More, Record, State, WidePair};
use super::records::Records;
use super::syn::{SynEvent, SynFate};
use super::table::{Table, touch};
use super::{Event, Side};
use crate::segment::{Flags, Labels, Marks, Segment, ShardBatch, Tunnel, Wide};

/// Tracks the socket pairs of one shard.
#[derive(Debug)]
pub struct Tracker {
    table: Table,
    point: u16,
    recent: Recent,
    tracked: Tracked,
}

/// What a shard has seen: the part of the evidence that a tracker makes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tracked {
    /// In order of their first packets.
    pub(super) records: Records,
    pub(super) wide: Vec<WidePair>,
    pub(super) tunnels: Vec<Tunnel>,
    pub(super) syns: Vec<SynEvent>,
    pub(super) resets: Vec<ResetEvent>,
    pub(super) late: Vec<LateEvent>,
    pub(super) holes: Holes,
    pub(super) copies: Copies,
    /// Labels around the first packet of a record, by the record's index.
    pub(super) labels: Vec<(u32, Labels)>,
    pub(super) pauses: Vec<PauseEvent>,
    /// The client of some records may be a guess; parts do not tell, so that all of theirs are looked at.
    #[serde(skip, default = "untold")]
    pub(super) guessed: bool,
}

const fn untold() -> bool {
    true
}

/// Marks a late segment, not a SYN, as what waits for its answer.
const LATE: u32 = 1 << 31;

/// Segments are looked up in runs of this many, so that their cache misses overlap: a bit each in a word.
const RUN: usize = 64;
/// The records made last are in the core's own cache.
const WARM: usize = 1024;

/// One segment and where it stands.
struct Seen<'a> {
    segment: &'a Segment,
    wide: Option<&'a Wide>,
    frame: u64,
    in_batch: InBatch<'a>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self { table: Table::new(), point: 0, recent: Recent::default(), tracked: Tracked::default() }
    }
}

impl Tracker {
    /// Goes on at another capture point: no connection spans two.
    pub fn begin_point(&mut self, point: u16) {
        self.table = Table::new();
        self.recent.clear();
        self.point = point;
    }

    /// Goes on at a capture point, which may be the one where it stands.
    #[cfg(feature = "columns")]
    pub fn go_on_at(&mut self, point: u16) {
        if self.point != point {
            self.begin_point(point);
        }
    }

    /// Feeds one block's segments of this shard, in frame order; frames are counted on from `base`.
    pub fn feed(&mut self, batch: &ShardBatch, tunnels: &[Tunnel], base: u64) {
        let tunnels: Vec<u32> = tunnels.iter().map(|tunnel| self.tunnel(tunnel)).collect();
        for (run, number) in batch.segments.chunks(RUN).zip(0..) {
            self.read_ahead(run);
            for (place, segment) in (number * RUN..).zip(run) {
                let (frame, in_batch) = (base + u64::from(segment.frame), InBatch { batch, place });
                let resolved;
                let wide = if segment.marks.has(Marks::WIDE) {
                    resolved = resolve(segment, batch, &tunnels);
                    Some(&resolved)
                } else {
                    None
                };
                self.segment(&Seen { segment, wide, frame, in_batch });
            }
        }
        self.recent.keep(&batch.segments, base);
    }

    /// Copies of packets that were passed over so far at any capture point.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.tracked.copies.total()
    }

    /// Whether a segment goes on where this capture point stands, sent through as many routers as before; `None`
    /// where its socket pair is not known or it opens a new incarnation.
    #[must_use]
    pub fn goes_on(&self, segment: &Segment, wide: Option<Wide>, tunnels: &[Tunnel]) -> Option<bool> {
        /// What a flow may send while its packets are not captured, and still be told.
        const FAR: u32 = 1 << 24;
        let tunnel = |wide: Wide| match (wide.tunnel as usize).checked_sub(1) {
            None => Some(0),
            Some(place) => {
                let known = self.tracked.tunnels.iter().position(|t| Some(t) == tunnels.get(place))?;
                u32::try_from(known + 1).ok()
            }
        };
        let wide = match wide {
            None => None,
            Some(wide) => Some(Wide { tunnel: tunnel(wide)?, ..wide }),
        };
        let nothing = ShardBatch::default();
        let seen = Seen { segment, wide: wide.as_ref(), frame: 0, in_batch: InBatch { batch: &nothing, place: 0 } };
        let (_, index, side) = self.table.find(segment.hash, |index| self.tracked.side_of(index, &seen))?;
        let record = self.tracked.records.get(index as usize)?;
        if self.tracked.begins_incarnation(index, side, segment) {
            return None;
        }
        let ttl = record.ttl.get(side.index()).copied().unwrap_or(0);
        let near = segment.seq.ahead_of(record.next_of(side)).unsigned_abs() < FAR;
        Some(near && (ttl == 0 || ttl == segment.ttl))
    }

    /// All that was seen.
    #[must_use]
    pub fn finish(mut self) -> Tracked {
        self.tracked.holes.settle(&self.tracked.records);
        self.tracked
    }

    /// Records made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.tracked.records.len()
    }

    /// Fetches the words of a run of segments, and then those of their records that were not made just now.
    #[inline]
    fn read_ahead(&self, run: &[Segment]) {
        self.table.fetch(run.iter().map(|segment| segment.hash));
        let records = &self.tracked.records;
        let old = u32::try_from(records.len().saturating_sub(WARM)).unwrap_or(u32::MAX);
        let (mut cold, mut likely) = (0_u64, [0; RUN]);
        for ((segment, place), likely) in run.iter().zip(0..).zip(&mut likely) {
            *likely = self.table.peek(segment.hash);
            cold |= u64::from(*likely < old) << place;
        }
        if cold != 0 {
            let cold = likely.iter().zip(0..).filter(|(_, place)| cold >> place & 1 == 1);
            let found = cold.filter_map(|(index, _)| records.get(*index as usize));
            touch(found.fold(0, |sum, record| sum ^ record.state.0));
        }
    }

    /// Index of a tunnel plus one, the same for all batches.
    fn tunnel(&mut self, tunnel: &Tunnel) -> u32 {
        let tunnels = &mut self.tracked.tunnels;
        let known = tunnels.iter().position(|t| t == tunnel).unwrap_or_else(|| {
            tunnels.push(tunnel.clone());
            tunnels.len() - 1
        });
        u32::try_from(known + 1).unwrap_or(u32::MAX)
    }

    #[inline]
    fn segment(&mut self, seen: &Seen<'_>) {
        let tracked = &mut self.tracked;
        let Some((place, index, side)) = self.table.find(seen.segment.hash, |index| tracked.side_of(index, seen))
        else {
            return self.first_of_pair(seen);
        };
        let Some(record) = tracked.records.get_mut(index as usize) else { return };
        let settled = record.state.has(State::ESTABLISHED) && !record.state.any(State::BUSY);
        if settled && !seen.segment.flags.is_control() && !seen.segment.marks.has(Marks::ICMP_ERROR) {
            if record.brings_nothing_new(side, seen.segment) {
                if let Some(copied) = self.recent.original(seen.segment, seen.frame, seen.in_batch, record.is_doubled())
                {
                    record.odd |= Record::DOUBLED;
                    return tracked.copies.add(self.point, index, seen.segment, seen.frame, copied);
                }
                if record.odd & Record::HOLES != 0 && seen.segment.payload > 0 {
                    tracked.holes.fill(index, side, seen.segment);
                }
            } else if record.leaves_a_hole(side, seen.segment) {
                tracked.holes.open(index, side, record, seen.segment, seen.frame);
            }
            if seen.segment.at.since(record.last_at) >= pause::LEAST && record.owes(side, seen.segment) {
                pause::note(&mut tracked.pauses, record.pause(index, side, seen));
            }
            record.account(side, seen);
            if record.plain(side, seen.segment) {
                tracked.old_duplicate(index, side, seen);
            }
        } else {
            self.event(place, index, side, seen);
        }
    }

    /// No record of this socket pair yet.
    fn first_of_pair(&mut self, seen: &Seen<'_>) {
        if seen.segment.marks.has(Marks::ICMP_ERROR) {
            return;
        }
        let index = self.add(seen, 0);
        self.table.insert(seen.segment.hash, index);
    }

    /// A segment that may change how the connection stands.
    #[inline(never)]
    fn event(&mut self, place: usize, index: u32, side: Side, seen: &Seen<'_>) {
        let segment = seen.segment;
        if segment.marks.has(Marks::ICMP_ERROR) {
            return self.tracked.icmp_error(index, side, segment);
        }
        if self.is_copy(index, side, seen) {
            return;
        }
        if segment.flags.has(Flags::SYN) && self.tracked.begins_incarnation(index, side, segment) {
            let new = self.add(seen, index.saturating_add(1));
            return self.table.replace(place, segment.hash, new);
        }
        let tracked = &mut self.tracked;
        let Some(record) = tracked.records.get_mut(index as usize) else { return };
        if record.pending & LATE != 0 {
            late_answer(record, &mut tracked.late, side, seen);
        }
        let closed = record.state.has(State::CLOSED);
        let idle = segment.at.since(record.last_at);
        if idle >= pause::LEAST && record.owes(side, segment) {
            pause::note(&mut tracked.pauses, record.pause(index, side, seen));
        }
        let older = segment.payload > 0
            && record.state.has(State::FOLLOWS)
            && segment.flags.0 & (Flags::SYN | Flags::RST) == 0
            && record.is_older(side, segment);
        if older || segment.sequence_length() > 0 && record.is_old(side, segment) {
            record.account(side, seen);
            record.more.set(More::STRAY);
            return tracked.old_duplicate(index, side, seen);
        }
        if record.state.has(State::ESTABLISHED) && !segment.flags.has(Flags::RST) {
            if record.leaves_a_hole(side, segment) {
                tracked.holes.open(index, side, record, segment, seen.frame);
            } else if record.odd & Record::HOLES != 0 && segment.sequence_length() > 0 {
                tracked.holes.fill(index, side, segment);
            }
        }
        record.account(side, seen);
        if segment.flags.has(Flags::RST) {
            let counted = record.state.any(State::RST | State::RST << 1);
            let answered = record.rst(side, segment);
            if !counted && record.state.of(State::RST, side) && record.state.has(State::ESTABLISHED) {
                let event = record.reset_event(index, side, seen, idle);
                tracked.note_reset(event);
            }
            if let Some(fate) = answered {
                tracked.answer(index, fate);
            }
        } else if segment.flags.is_syn_ack() {
            record.syn_ack(side, segment);
            tracked.answer_syn_ack(index, side);
        } else if segment.flags.is_syn() {
            tracked.syn_again(index, side, seen);
        } else {
            let answered = record.later(side, segment);
            if let Some(fate) = answered {
                tracked.answer(index, fate);
            }
        }
        if closed {
            tracked.after_close(index, side, seen);
        }
    }

    /// Whether a segment is a copy of one shortly before it; then it is passed over.
    fn is_copy(&mut self, index: u32, side: Side, seen: &Seen<'_>) -> bool {
        let Some(record) = self.tracked.records.get_mut(index as usize) else { return false };
        if !record.may_be_known(side, seen.segment) {
            return false;
        }
        let Some(copied) = self.recent.original(seen.segment, seen.frame, seen.in_batch, record.is_doubled()) else {
            return false;
        };
        record.odd |= Record::DOUBLED;
        self.tracked.copies.add(self.point, index, seen.segment, seen.frame, copied);
        true
    }

    /// Adds a record for the first segment of an incarnation.
    fn add(&mut self, seen: &Seen<'_>, previous: u32) -> u32 {
        let index = u32::try_from(self.tracked.records.len()).unwrap_or(u32::MAX);
        let mut record = Record::begin(seen, self.point, previous);
        self.tracked.guessed |= record.state.has(State::CLIENT_GUESSED);
        if let Some(labels) = seen.in_batch.batch.labels_of(seen.segment.frame) {
            self.tracked.labels.push((index, labels));
        }
        if let Some(wide) = seen.wide {
            let addresses = if sent_by_client(seen.segment) { [wide.src, wide.dst] } else { [wide.dst, wide.src] };
            record.addresses = [u32::try_from(self.tracked.wide.len()).unwrap_or(u32::MAX), 0];
            self.tracked.wide.push(WidePair { addresses, tunnel: wide.tunnel });
        }
        self.tracked.records.push(record);
        index
    }
}

/// The wide addresses of a segment, its tunnel renumbered from the batch's to the tracker's.
fn resolve(segment: &Segment, batch: &ShardBatch, tunnels: &[u32]) -> Wide {
    let wide = batch.wides.get(segment.src as usize).copied().unwrap_or_default();
    let tunnel = (wide.tunnel as usize).checked_sub(1).and_then(|place| tunnels.get(place)).copied().unwrap_or(0);
    Wide { tunnel, ..wide }
}

impl Tracked {
    /// Replaces all addresses, one by one; IPv4 as IPv4-mapped, and as such again.
    pub fn map_addresses(&mut self, map: &dyn Fn([u8; 16]) -> [u8; 16]) {
        let v4 = |address: u32| match Ipv6Addr::from(map(Ipv4Addr::from(address).to_ipv6_mapped().octets()))
            .to_ipv4_mapped()
        {
            Some(mapped) => u32::from(mapped),
            None => address,
        };
        for record in self.records.iter_mut().filter(|record| !record.state.has(State::WIDE)) {
            record.addresses = record.addresses.map(v4);
        }
        for pair in &mut self.wide {
            pair.addresses = pair.addresses.map(map);
        }
        self.tunnels.iter_mut().for_each(|tunnel| tunnel.map_addresses(map));
    }

    /// Which side of the record sent the segment; `None` where it is another socket pair's.
    #[inline]
    fn side_of(&self, index: u32, seen: &Seen<'_>) -> Option<Side> {
        let record = self.records.get(index as usize)?;
        let segment = seen.segment;
        // Either direction comes as often as the other, so that nothing is asked before both are known.
        let (known, ports) = (both_ports(record.ports), both_ports([segment.src_port, segment.dst_port]));
        let (forth, back) = (known == ports, known == ports.rotate_left(16));
        let Some(wide) = seen.wide else {
            let narrow = !record.state.has(State::WIDE);
            let (known, addresses) = (both(record.addresses), both([segment.src, segment.dst]));
            let forth = forth & narrow & (known == addresses);
            return side(forth, back & narrow & (known == addresses.rotate_left(32)));
        };
        let pair = self.wide_pair(record).filter(|pair| pair.tunnel == wide.tunnel)?;
        let forth = forth && pair.addresses == [wide.src, wide.dst];
        side(forth, back && pair.addresses == [wide.dst, wide.src])
    }

    fn wide_pair(&self, record: &Record) -> Option<&WidePair> {
        let [place, _] = record.addresses;
        self.wide.get(place as usize).filter(|_| record.state.has(State::WIDE))
    }

    /// Whether a segment opens a new incarnation of a known socket pair.
    ///
    /// Two SYNs with different ISNs are two incarnations; SYNs with one ISN are one attempt.
    fn begins_incarnation(&self, index: u32, side: Side, segment: &Segment) -> bool {
        let Some(record) = self.records.get(index as usize) else { return false };
        let (state, peer) = (record.state, side.other());
        if segment.flags.has(Flags::RST) {
            return false;
        }
        let answered = state.any(State::SYN_ACK | State::SYN_ACK << 1);
        if segment.flags.is_syn() {
            let same = record.isn_of(side) == segment.seq;
            let again = state.of(State::SYN, side) && same;
            let simultaneous = !state.of(State::SYN, side)
                && state.of(State::SYN, peer)
                && !answered
                && !state.has(State::ESTABLISHED);
            // The SYN-ACK was captured first, as happens with several receive queues.
            let overtaken = !state.of(State::SYN, side) && state.of(State::SYN_ACK, peer) && same;
            return !(again || simultaneous || overtaken);
        }
        // A SYN-ACK whose SYN was not captured, on a socket pair that was already in use.
        let known = state.any(State::SYN | State::SYN << 1) || answered && record.isn_of(side) == segment.seq;
        segment.flags.is_syn_ack() && !known
    }

    /// A SYN that belongs to a known incarnation: a retransmission, or the second of a simultaneous open.
    fn syn_again(&mut self, index: u32, side: Side, seen: &Seen<'_>) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        let segment = seen.segment;
        let again = record.state.of(State::SYN, side);
        let overtaken = !again && record.state.of(State::SYN_ACK, side.other());
        let stale = record.state.has(State::ESTABLISHED) && !overtaken;
        record.history.push(side, if again { Event::Again } else { Event::Syn });
        record.syn_count = record.syn_count.saturating_add(1);
        if again && !stale && record.state.of(State::SYN_ACK, side.other()) {
            record.more.set(More::SYN_AFTER_SYN_ACK);
        }
        if !again {
            record.state.set_of(State::SYN, side);
            record.set_isn(side, segment.seq);
            record.set_next(side, segment.seq.plus(1));
        }
        if again || overtaken {
            let event = u32::try_from(self.syns.len()).unwrap_or(u32::MAX).saturating_add(2);
            record.wait_with(if overtaken { 0 } else { event });
        }
        self.syns.push(SynEvent {
            record: index,
            frame: seen.frame,
            at: segment.at,
            isn: segment.seq,
            tsval: segment.timestamp(),
            fate: if overtaken { SynFate::SynAck } else { SynFate::None },
            by_server: side == Side::Server,
            stale,
        });
    }

    fn note_reset(&mut self, event: ResetEvent) {
        if self.resets.len() < late::MOST {
            self.resets.push(event);
        }
    }

    /// A segment after both FINs were acknowledged; a bare ACK there is at most an answer.
    fn after_close(&mut self, index: u32, side: Side, seen: &Seen<'_>) {
        let segment = seen.segment;
        let kind = if segment.flags.has(Flags::RST) {
            LateKind::Rst
        } else if segment.flags.is_syn() {
            LateKind::Syn
        } else if segment.flags.has(Flags::FIN) {
            LateKind::Fin
        } else if segment.payload > 0 {
            LateKind::Data
        } else {
            return;
        };
        self.note_late(index, side, seen, kind, false);
    }

    /// Data with a number below the incarnation's first: noted where the incarnation before had such numbers.
    #[inline(never)]
    fn old_duplicate(&mut self, index: u32, side: Side, seen: &Seen<'_>) {
        let before = self.records.get(index as usize).and_then(|record| record.previous.checked_sub(1));
        let Some(before) = before.and_then(|before| self.records.get(before as usize)) else { return };
        let segment = seen.segment;
        let known = segment.seq.is_after(before.isn_of(side)) || before.state.has(State::CLIENT_GUESSED);
        if known && before.next_of(side).reaches(segment.seq) {
            let kind = if segment.flags.has(Flags::FIN) { LateKind::Fin } else { LateKind::Data };
            self.note_late(index, side, seen, kind, true);
        }
    }

    fn note_late(&mut self, index: u32, side: Side, seen: &Seen<'_>, kind: LateKind, of_earlier: bool) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        if self.late.len() >= late::MOST {
            return;
        }
        let segment = seen.segment;
        let next = record.next_of(side);
        let inside =
            segment.seq.plus(segment.sequence_length()).is_after(next) && segment.seq.ahead_of(next) < late::WINDOW;
        if kind != LateKind::Rst {
            record.wait_with(LATE | u32::try_from(self.late.len()).unwrap_or(0));
        }
        self.late.push(LateEvent {
            record: index,
            frame: seen.frame,
            at: segment.at,
            seq: segment.seq,
            payload: segment.payload,
            tsval: segment.timestamp(),
            by: side,
            kind,
            expected: segment.seq == next,
            inside,
            of_earlier,
            answer: LateAnswer::None,
            answer_frame: 0,
        });
    }

    /// Gives the SYN that waits its fate.
    fn answer(&mut self, index: u32, fate: SynFate) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        let waiting = record.pending;
        record.wait_with(0);
        match waiting {
            0 => {}
            1 => record.more.set(fate as u16),
            later => {
                if let Some(event) = self.syns.get_mut(later as usize - 2) {
                    event.fate = fate;
                }
            }
        }
    }

    /// A SYN-ACK answers the SYN that waits; in a simultaneous open, that of the other side.
    fn answer_syn_ack(&mut self, index: u32, side: Side) {
        let simultaneous = self.records.get(index as usize).is_some_and(|r| r.state.has(State::SYN | State::SYN << 1));
        if simultaneous && side == Side::Client {
            let waiting = self.syns.iter_mut().rev().find(|event| event.record == index && event.by_server);
            if let Some(event) = waiting {
                event.fate = SynFate::SynAck;
            }
            return;
        }
        if side == Side::Server {
            self.answer(index, SynFate::SynAck);
        }
    }

    /// An ICMP error quotes a segment of `side`; it matters while a SYN waits.
    fn icmp_error(&mut self, index: u32, side: Side, segment: &Segment) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        let quotes_syn = record.state.of(State::SYN, side) && record.isn_of(side) == segment.seq;
        if quotes_syn && record.pending != 0 && record.pending & LATE == 0 {
            record.state.set(State::UNREACHABLE);
            self.answer(index, SynFate::Icmp);
        }
    }
}

/// The first segment of the other side after a late one is what that drew.
fn late_answer(record: &mut Record, late: &mut [LateEvent], side: Side, seen: &Seen<'_>) {
    let Some(event) = late.get_mut((record.pending & !LATE) as usize) else { return };
    if event.by != side {
        event.answer = if seen.segment.flags.has(Flags::RST) { LateAnswer::Rst } else { LateAnswer::Ack };
        event.answer_frame = seen.frame;
        record.wait_with(0);
    }
}

/// Two addresses in one number, which is read and compared at once; half a turn exchanges them.
#[inline]
fn both([one, other]: [u32; 2]) -> u64 {
    u64::from(one) | u64::from(other) << 32
}

/// The same of ports.
#[inline]
fn both_ports([one, other]: [u16; 2]) -> u32 {
    u32::from(one) | u32::from(other) << 16
}

/// The client's where both directions are the same.
#[inline]
fn side(forth: bool, back: bool) -> Option<Side> {
    (forth | back).then_some(if forth { Side::Client } else { Side::Server })
}
