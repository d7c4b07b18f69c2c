//! The tracker: segments in, records out. One a shard, single-threaded, no I/O.
//!
//! A passive observer's state machine. It follows RFC 9293 section 3.10.7 as far as a witness can: sequence
//! numbers decide what acknowledges what; nothing is assumed of what was not captured. A segment of an open
//! connection takes the short way (`plain`); SYN, FIN, RST, ICMP errors and everything around them the long
//! one, one function an event.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::copies::{Ahead, Copies, Recent};
use super::holes::Holes;
use super::late::{self, LateAnswer, LateEvent, LateKind, ResetEvent};
use super::pause::{self, PauseEvent};
use super::record::{More, Record, State, WidePair};
use super::records::Records;
use super::syn::{SynEvent, SynFate};
use super::table::{Table, touch};
use super::{Event, History, Side};
use crate::segment::{Flags, Labels, Marks, Segment, SeqNumber, ShardBatch, TsVal, Tunnel, Wide};
use crate::time::{Span, Time};

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
}

/// Marks a late segment, not a SYN, as what waits for its answer.
const LATE: u32 = 1 << 31;

/// Segments are looked up in runs of this many, so that their cache misses overlap.
const RUN: usize = 32;

/// One segment and where it stands.
struct Seen<'a> {
    segment: &'a Segment,
    wide: Option<Wide>,
    frame: u64,
    ahead: Ahead<'a>,
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
                let wide = segment.marks.has(Marks::WIDE).then(|| resolve(segment, batch, &tunnels));
                let ahead = Ahead { batch, place };
                self.segment(&Seen { segment, wide, frame: base + u64::from(segment.frame), ahead });
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
        let seen = Seen { segment, wide, frame: 0, ahead: Ahead { batch: &nothing, place: 0 } };
        let (_, index) = self.table.find(segment.hash, |index| self.tracked.side_of(index, &seen).is_some())?;
        let side = self.tracked.side_of(index, &seen)?;
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

    fn read_ahead(&self, run: &[Segment]) {
        let mut likely = [u32::MAX; RUN];
        for (index, segment) in likely.iter_mut().zip(run) {
            *index = self.table.peek(segment.hash);
        }
        let records = &self.tracked.records;
        touch(likely.iter().filter_map(|index| records.get(*index as usize)).fold(0, |sum, r| sum ^ r.state.0));
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
        let found = self.table.find(seen.segment.hash, |index| tracked.side_of(index, seen).is_some());
        let Some((place, index)) = found else { return self.first_of_pair(seen) };
        let Some(side) = tracked.side_of(index, seen) else { return };
        let Some(record) = tracked.records.get_mut(index as usize) else { return };
        let settled = record.state.has(State::ESTABLISHED) && !record.state.any(State::BUSY);
        if settled && !seen.segment.flags.is_control() && !seen.segment.marks.has(Marks::ICMP_ERROR) {
            if record.brings_nothing_new(side, seen.segment) {
                if let Some(copied) = self.recent.original(seen.segment, seen.frame, seen.ahead, record.is_doubled()) {
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
        if self.tracked.begins_incarnation(index, side, segment) {
            let new = self.add(seen, index.saturating_add(1));
            return self.table.replace(place, segment.hash, new);
        }
        let tracked = &mut self.tracked;
        tracked.late_answer(index, side, seen);
        let Some(record) = tracked.records.get_mut(index as usize) else { return };
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
            tracked.answer(index, answered);
        } else if segment.flags.is_syn_ack() {
            record.syn_ack(side, segment);
            tracked.answer_syn_ack(index, side);
        } else if segment.flags.is_syn() {
            tracked.syn_again(index, side, seen);
        } else {
            let answered = record.later(side, segment);
            tracked.answer(index, answered);
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
        let Some(copied) = self.recent.original(seen.segment, seen.frame, seen.ahead, record.is_doubled()) else {
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
        if let Some(labels) = seen.ahead.batch.labels_of(seen.segment.frame) {
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
        let forth = [segment.src_port, segment.dst_port] == record.ports;
        let back = [segment.dst_port, segment.src_port] == record.ports;
        let (src, dst) = match (&seen.wide, record.state.has(State::WIDE)) {
            (None, false) => {
                let forth = forth && [segment.src, segment.dst] == record.addresses;
                let back = back && [segment.dst, segment.src] == record.addresses;
                return side(forth, back);
            }
            (Some(wide), true) => (wide.src, wide.dst),
            _ => return None,
        };
        let pair = self.wide.get(*record.addresses.first()? as usize)?;
        if seen.wide.map(|wide| wide.tunnel) != Some(pair.tunnel) {
            return None;
        }
        side(forth && [src, dst] == pair.addresses, back && [dst, src] == pair.addresses)
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

    /// The first segment of the other side after a late one is what that drew.
    fn late_answer(&mut self, index: u32, side: Side, seen: &Seen<'_>) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        if record.pending & LATE == 0 {
            return;
        }
        let Some(event) = self.late.get_mut((record.pending & !LATE) as usize) else { return };
        if event.by != side {
            event.answer = if seen.segment.flags.has(Flags::RST) { LateAnswer::Rst } else { LateAnswer::Ack };
            event.answer_frame = seen.frame;
            record.wait_with(0);
        }
    }

    /// Gives the SYN that waits its fate.
    fn answer(&mut self, index: u32, fate: Option<SynFate>) {
        let (Some(record), Some(fate)) = (self.records.get_mut(index as usize), fate) else { return };
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
            self.answer(index, Some(SynFate::SynAck));
        }
    }

    /// An ICMP error quotes a segment of `side`; it matters while a SYN waits.
    fn icmp_error(&mut self, index: u32, side: Side, segment: &Segment) {
        let Some(record) = self.records.get_mut(index as usize) else { return };
        let quotes_syn = record.state.of(State::SYN, side) && record.isn_of(side) == segment.seq;
        if quotes_syn && record.pending != 0 && record.pending & LATE == 0 {
            record.state.set(State::UNREACHABLE);
            self.answer(index, Some(SynFate::Icmp));
        }
    }
}

#[inline]
const fn side(forth: bool, back: bool) -> Option<Side> {
    match (forth, back) {
        (true, _) => Some(Side::Client),
        (_, true) => Some(Side::Server),
        _ => None,
    }
}

impl Record {
    /// A record for the first segment of an incarnation.
    fn begin(seen: &Seen<'_>, point: u16, previous: u32) -> Self {
        let segment = seen.segment;
        let flags = segment.flags;
        let from_client = sent_by_client(segment);
        let sender = if from_client { Side::Client } else { Side::Server };
        let (addresses, ports) = if from_client {
            ([segment.src, segment.dst], [segment.src_port, segment.dst_port])
        } else {
            ([segment.dst, segment.src], [segment.dst_port, segment.src_port])
        };
        let mut record = Self {
            addresses,
            ports,
            state: State(if previous == 0 { 0 } else { State::FOLLOWS }),
            next: [SeqNumber(0); 2],
            acked: [SeqNumber(0); 2],
            last_at: segment.at,
            last_frame: seen.frame,
            packets: [0; 2],
            bytes: [0; 2],
            first_at: segment.at,
            first_frame: seen.frame,
            isn: [SeqNumber(0); 2],
            handshake: u32::MAX,
            syn_tsval: TsVal(0),
            syn_ack_tsval: TsVal(0),
            layout: 0,
            pending: 0,
            previous,
            mss: 0,
            syn_count: 0,
            point,
            more: More::default(),
            ttl: [0; 2],
            window_scale: u8::MAX,
            syn_ack_count: 0,
            bytes_high: [0; 2],
            odd: 0,
            fin_at: [Time::MIN; 2],
            fin_acked_at: [Time::MIN; 2],
            fin_span: [0; 2],
            rst_at: Time::MIN,
            learnt: [TsVal(0); 2],
            history: History::default(),
        };
        if seen.wide.is_some() {
            record.state.set(State::WIDE);
        }
        record.account(sender, seen);
        if flags.has(Flags::RST) {
            record.begin_in_the_middle(sender, segment);
            let _ = record.rst(sender, segment);
        } else if flags.is_syn() {
            record.first_syn(segment);
        } else if flags.is_syn_ack() {
            record.first_syn_ack(segment);
        } else {
            record.begin_in_the_middle(sender, segment);
            let _ = record.later(sender, segment);
        }
        record
    }

    fn first_syn(&mut self, segment: &Segment) {
        self.state.set(State::SYN | State::OPENED_BY_SYN);
        self.set_isn(Side::Client, segment.seq);
        self.set_next(Side::Client, segment.seq.plus(1));
        self.syn_count = 1;
        self.wait_with(1);
        self.layout = segment.layout;
        self.mss = segment.mss;
        self.window_scale = segment.window_scale;
        self.set_ttl(Side::Client, segment);
        if let Some(tsval) = segment.timestamp() {
            self.more.set(More::SYN_TIMESTAMP);
            self.syn_tsval = tsval;
        }
        self.history.push(Side::Client, Event::Syn);
    }

    /// Names the SYN that waits for its answer, or none.
    fn wait_with(&mut self, pending: u32) {
        self.pending = pending;
        self.state.0 = if pending == 0 { self.state.0 & !State::WAITING } else { self.state.0 | State::WAITING };
    }

    /// The SYN was not captured; its ISN is what the SYN-ACK acknowledges.
    fn first_syn_ack(&mut self, segment: &Segment) {
        self.set_isn(Side::Client, SeqNumber(segment.ack.0.wrapping_sub(1)));
        self.set_next(Side::Client, segment.ack);
        self.take_syn_ack(Side::Server, segment);
    }

    fn begin_in_the_middle(&mut self, sender: Side, segment: &Segment) {
        self.state.set(State::ESTABLISHED | State::CLIENT_GUESSED);
        // What the sender acknowledges is the least that its peer has sent, and the other way round.
        self.set_next(sender, segment.seq);
        if segment.flags.has(Flags::ACK) {
            self.set_next(sender.other(), segment.ack);
            if let Some(acked) = self.acked.get_mut(sender.index()) {
                *acked = segment.ack;
            }
        }
        if let Some(acked) = self.acked.get_mut(sender.other().index()) {
            *acked = segment.seq;
        }
    }

    /// What every segment adds.
    #[inline]
    fn account(&mut self, side: Side, seen: &Seen<'_>) {
        let segment = seen.segment;
        self.last_at = segment.at;
        self.last_frame = seen.frame;
        let [packets, server_packets] = &mut self.packets;
        let [bytes, server_bytes] = &mut self.bytes;
        let (packets, bytes) = if side == Side::Client { (packets, bytes) } else { (server_packets, server_bytes) };
        *packets = packets.saturating_add(1);
        let (sum, carry) = bytes.overflowing_add(segment.payload);
        *bytes = sum;
        if carry && let Some(high) = self.bytes_high.get_mut(side.index()) {
            *high = high.saturating_add(1);
        }
        if segment.window == 0 && segment.flags.0 & (Flags::RST | Flags::SYN) == 0 {
            self.more.set(More::ZERO_WINDOW);
        }
        self.state.heard(side);
    }

    /// It neither goes beyond what its sender has sent before, nor acknowledges more.
    #[inline]
    fn brings_nothing_new(&self, side: Side, segment: &Segment) -> bool {
        let [acked, server_acked] = self.acked;
        let acked = if side == Side::Client { acked } else { server_acked };
        let end = segment.seq.plus(segment.sequence_length());
        !end.is_after(self.next_of(side)) && !segment.ack.is_after(acked)
    }

    /// Whether the capture may have shown a segment before: cheap, and true for all that it has.
    fn may_be_known(&self, side: Side, segment: &Segment) -> bool {
        if segment.flags.is_syn() {
            self.state.of(State::SYN, side)
        } else if segment.flags.is_syn_ack() {
            self.state.of(State::SYN_ACK, side)
        } else {
            segment.flags.has(Flags::RST) || self.brings_nothing_new(side, segment)
        }
    }

    const fn is_doubled(&self) -> bool {
        self.odd & Self::DOUBLED != 0
    }

    /// It lies beyond the next expected number. What was sent shortly before the capture began leaves no hole.
    #[inline]
    fn leaves_a_hole(&self, side: Side, segment: &Segment) -> bool {
        segment.seq.is_after(self.next_of(side))
            && segment.sequence_length() > 0
            && (self.state.of(State::DATA, side) || !self.state.has(State::CLIENT_GUESSED))
    }

    /// A segment of an open connection: data, or an acknowledgment. True where it is of an earlier incarnation.
    #[inline]
    fn plain(&mut self, side: Side, segment: &Segment) -> bool {
        let end = segment.seq.plus(segment.payload);
        if segment.payload > 0 {
            if self.state.has(State::FOLLOWS) && self.is_older(side, segment) {
                self.more.set(More::STRAY);
                return true;
            }
            if end.is_after(self.next_of(side)) {
                self.set_next(side, end);
                self.first_time(side, State::DATA, Event::Data);
            } else if self.data_again(side, segment) {
                return true;
            }
        } else if segment.seq.plus(1) == self.next_of(side) {
            self.more.set_of(More::PROBE, side);
        } else {
            self.first_time(side, State::PURE_ACK, Event::Ack);
        }
        self.acknowledge(side, segment);
        false
    }

    #[inline]
    fn first_time(&mut self, side: Side, mask: u32, event: Event) {
        if !self.state.of(mask, side) {
            self.state.set_of(mask, side);
            self.history.push(side, event);
        }
    }

    #[inline]
    fn acknowledge(&mut self, side: Side, segment: &Segment) {
        if let Some(acked) = self.acked.get_mut(side.index())
            && segment.flags.has(Flags::ACK)
            && segment.ack.is_after(*acked)
        {
            *acked = segment.ack;
        }
    }

    /// Data that had been sent before. One octet below the next is a keep-alive or window probe (RFC 9293
    /// sections 3.8.4 and 3.8.6.1), no retransmission. True where it is of an earlier incarnation.
    fn data_again(&mut self, side: Side, segment: &Segment) -> bool {
        if self.is_old(side, segment) {
            self.more.set(More::STRAY);
            return true;
        }
        if segment.payload == 1 {
            self.more.set_of(More::PROBE, side);
            return false;
        }
        self.first_time(side, State::DATA, Event::Data);
        self.history.push(side, Event::Again);
        self.state.retransmitted(side);
        let unheard =
            self.acked.get(Side::Server.index()).is_some_and(|acked| *acked == self.isn_of(Side::Client).plus(1));
        if side == Side::Client && self.state.has(State::OPENED_BY_SYN) && unheard {
            self.more.set(More::EARLY_RETRANSMISSION);
        }
        false
    }

    /// Whether a segment's number lies before the first of this incarnation, which followed another. Beyond a
    /// quarter of the circle nobody can tell.
    fn is_old(&self, side: Side, segment: &Segment) -> bool {
        let sent = self.bytes.get(side.index()).copied().unwrap_or(0);
        let wrapped = self.bytes_high.get(side.index()).copied().unwrap_or(0) > 0;
        let followed = self.previous != 0 && !self.state.has(State::CLIENT_GUESSED);
        followed
            && segment.flags.0 & (Flags::SYN | Flags::RST) == 0
            && sent < 1 << 30
            && !wrapped
            && !segment.seq.is_after(self.isn_of(side))
    }

    /// Whether a segment's TSval lies before that of its sender's SYN: it was sent before this incarnation began,
    /// whatever its sequence number (RFC 7323 section 5.2).
    #[inline(never)]
    fn is_older(&self, side: Side, segment: &Segment) -> bool {
        let (mark, first) = match side {
            Side::Client => (More::SYN_TIMESTAMP, self.syn_tsval),
            Side::Server => (More::SYN_ACK_TIMESTAMP, self.syn_ack_tsval),
        };
        self.more.has(mark) && segment.timestamp().is_some_and(|tsval| tsval.ahead_of(first) < 0)
    }

    /// Whether a segment acknowledges what its sender's peer had sent and nobody had acknowledged.
    fn owes(&self, side: Side, segment: &Segment) -> bool {
        let (peer, answers) = (side.other(), segment.flags.has(Flags::ACK) && !segment.flags.has(Flags::RST));
        if segment.flags.is_syn_ack() {
            return self.state.of(State::SYN, peer) && !self.state.of(State::SYN_ACK, side);
        }
        let acked = self.acked.get(side.index()).copied().unwrap_or_default();
        answers
            && self.state.has(State::OPENED_BY_SYN | State::ESTABLISHED)
            && segment.ack.is_after(acked)
            && self.next_of(peer).is_after(acked)
    }

    /// A late answer, before it is accounted.
    fn pause(&self, record: u32, side: Side, seen: &Seen<'_>) -> PauseEvent {
        let segment = seen.segment;
        PauseEvent {
            record,
            frame: seen.frame,
            at: segment.at,
            since: self.last_at,
            by: side,
            tsval: segment.timestamp(),
        }
    }

    /// What a RST was like, and what had gone before it.
    fn reset_event(&self, index: u32, side: Side, seen: &Seen<'_>, idle: Span) -> ResetEvent {
        let (segment, peer) = (seen.segment, side.other());
        let acked = |by: Side| self.acked.get(by.index()).copied().unwrap_or_default();
        let pending = |of: Side| {
            let fin = u32::from(self.state.of(State::FIN, of));
            u32::try_from(self.next_of(of).ahead_of(acked(of.other()))).unwrap_or(0).saturating_sub(fin)
        };
        // The numbers of what was not captured are unknown.
        let known = self.state.any(State::SYN_ACK | State::SYN_ACK << 1);
        ResetEvent {
            record: index,
            frame: seen.frame,
            at: segment.at,
            idle,
            own_pending: if known { pending(side) } else { 0 },
            peer_pending: if known { pending(peer) } else { 0 },
            by: side,
            ttl: segment.ttl,
            initiative: segment.flags.has(Flags::ACK),
            own_fin: self.state.of(State::FIN, side),
            peer_fin: self.state.of(State::FIN, peer),
            data_after_fin: self.more.has(More::DATA_AFTER_FIN) && self.state.of(State::FIRST_FIN, side),
            probed: self.more.of(More::PROBE, side),
        }
    }

    /// A RST; gives the fate of the SYN that it answers.
    fn rst(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
        self.history.push(side, Event::Rst);
        if self.state.has(State::CLOSED) {
            self.more.set(More::LATE_RST);
            return None;
        }
        let answered = self.state.any(State::SYN_ACK | State::SYN_ACK << 1);
        if !self.state.has(State::ESTABLISHED) && !answered {
            return self.rst_before_syn_ack(side, segment);
        }
        if !self.state.has(State::ESTABLISHED) && side == Side::Client {
            self.state.set(State::ABORTED);
        }
        if !self.state.any(State::RST | State::RST << 1) {
            self.state.set_of(State::RST, side);
            self.rst_at = segment.at;
        }
        None
    }

    /// From the server it refuses, if it acknowledges this very SYN (RFC 9293 section 3.10.7.3). From the
    /// client it answers a challenge ACK and says nothing of this connection.
    fn rst_before_syn_ack(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
        let ours = !segment.flags.has(Flags::ACK) || segment.ack.is_after(self.isn_of(Side::Client));
        if side == Side::Client || !ours {
            return None;
        }
        self.state.set(State::REFUSED);
        self.rst_at = segment.at;
        self.set_ttl(side, segment);
        Some(SynFate::Rst)
    }

    fn syn_ack(&mut self, side: Side, segment: &Segment) {
        let fits = segment.ack.is_after(self.isn_of(side.other()));
        if !fits {
            return self.more.set(More::STRAY);
        }
        if self.state.of(State::SYN_ACK, side) {
            self.history.push(side, Event::Again);
            self.syn_ack_count = self.syn_ack_count.saturating_add(1);
            if self.state.has(State::ESTABLISHED) {
                self.more.set(More::SYN_ACK_AFTER_ACK);
            } else if self.isn_of(side) != segment.seq {
                // Another server, or a SYN cookie, answered again with an ISN of its own.
                self.set_isn(side, segment.seq);
                self.set_next(side, segment.seq.plus(1));
            }
            return;
        }
        self.take_syn_ack(side, segment);
        // In a simultaneous open each side answers the other's SYN (RFC 9293 section 3.5, figure 7).
        if self.state.has(State::SYN | State::SYN << 1 | State::SYN_ACK | State::SYN_ACK << 1) {
            self.establish(segment.at);
        }
    }

    fn take_syn_ack(&mut self, side: Side, segment: &Segment) {
        self.state.set_of(State::SYN_ACK, side);
        self.set_isn(side, segment.seq);
        self.set_next(side, segment.seq.plus(1));
        self.syn_ack_count = self.syn_ack_count.saturating_add(1);
        self.history.push(side, Event::SynAck);
        if let Some(acked) = self.acked.get_mut(side.index()) {
            *acked = segment.ack;
        }
        // The peer's acknowledgments are compared on a circle: they need a place to start from.
        if let Some(acked) = self.acked.get_mut(side.other().index()) {
            *acked = segment.seq;
        }
        self.set_ttl(side, segment);
        if let Some(tsval) = segment.timestamp() {
            self.more.set(More::SYN_ACK_TIMESTAMP);
            self.syn_ack_tsval = tsval;
        }
    }

    fn establish(&mut self, at: Time) {
        self.state.set(State::ESTABLISHED);
        if self.state.has(State::OPENED_BY_SYN) {
            self.handshake = micros(at.since(self.first_at)).min(u32::MAX - 1);
        }
    }

    /// Anything without SYN and RST, where the short way does not serve; gives the fate of the SYN it answers.
    fn later(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
        let mut fate = None;
        if !self.state.has(State::ESTABLISHED) {
            match self.before_established(side, segment) {
                Opening::Established(answered) => fate = answered,
                Opening::NotYet(answered) => return answered,
            }
        }
        self.closing(side, segment);
        fate
    }

    /// What a segment without SYN and RST says while the handshake is under way.
    fn before_established(&mut self, side: Side, segment: &Segment) -> Opening {
        let acknowledges = segment.flags.has(Flags::ACK);
        let answered = self.state.of(State::SYN_ACK, Side::Server);
        match side {
            Side::Client if answered && acknowledges && segment.ack.is_after(self.isn_of(Side::Server)) => {
                self.establish(segment.at);
                Opening::Established(None)
            }
            // The client goes on, so that it must have got a SYN-ACK that was not captured.
            Side::Client if !answered && segment.seq == self.isn_of(Side::Client).plus(1) => self.imply(side, segment),
            Side::Server if segment.ack == self.isn_of(Side::Client).plus(1) && !answered && acknowledges => {
                self.imply(side, segment)
            }
            // The client's last ACK of the handshake was not captured, but the server has taken its data.
            Side::Server
                if answered && (segment.payload > 0 || segment.ack.is_after(self.isn_of(Side::Client).plus(1))) =>
            {
                self.state.set(State::ESTABLISHED);
                Opening::Established(None)
            }
            Side::Server if !answered && acknowledges && segment.sequence_length() == 0 => {
                self.state.set(State::CHALLENGED);
                self.history.push(side, Event::Ack);
                Opening::NotYet(Some(SynFate::ChallengeAck))
            }
            _ => {
                self.more.set(More::STRAY);
                Opening::NotYet(None)
            }
        }
    }

    fn imply(&mut self, side: Side, segment: &Segment) -> Opening {
        self.state.set(State::SYN_ACK_IMPLIED | State::ESTABLISHED);
        let server_next = if side == Side::Server { segment.seq } else { segment.ack };
        self.set_isn(Side::Server, SeqNumber(server_next.0.wrapping_sub(1)));
        self.set_next(Side::Server, server_next);
        Opening::Established(Some(SynFate::SynAck))
    }

    /// Data, acknowledgments and FINs of a connection that is being closed, or may be.
    fn closing(&mut self, side: Side, segment: &Segment) {
        if segment.flags.has(Flags::FIN) {
            self.fin(side, segment);
        } else if self.state.of(State::FIN, side) {
            if segment.payload > 1 {
                self.history.push(side, Event::Again);
            }
        } else {
            let _ = self.plain(side, segment);
        }
        self.acknowledge(side, segment);
        let peer = side.other();
        if segment.payload > 1 && self.state.of(State::FIN, peer) {
            self.more.set(More::DATA_AFTER_FIN);
        }
        let acked_now = segment.flags.has(Flags::ACK) && segment.ack.reaches(self.next_of(peer));
        if self.state.of(State::FIN, peer) && !self.state.of(State::FIN_ACKED, peer) && acked_now {
            self.fin_acknowledged(peer, segment);
        }
    }

    fn fin(&mut self, side: Side, segment: &Segment) {
        let peer = side.other();
        if segment.payload > 0 {
            self.first_time(side, State::DATA, Event::Data);
        }
        if self.state.of(State::FIN, side) {
            self.history.push(side, Event::Again);
            return self.fin_again(side, segment.at);
        }
        let first = !self.state.of(State::FIN, peer);
        let acknowledges = segment.flags.has(Flags::ACK) && segment.ack.reaches(self.next_of(peer));
        if first {
            self.state.set_of(State::FIRST_FIN, side);
        } else {
            if !self.state.of(State::FIN_ACKED, peer) && !acknowledges {
                self.state.set(State::SIMULTANEOUS_CLOSE);
            }
            self.learn(1, More::LEARNT_FIN, segment);
        }
        self.state.set_of(State::FIN, side);
        self.set_next(side, segment.seq.plus(segment.payload).plus(1));
        if let Some(at) = self.fin_at.get_mut(side.index()) {
            *at = segment.at;
        }
        self.history.push(side, Event::Fin);
    }

    /// A copy of a FIN: only the last one before its first ACK was surely received.
    fn fin_again(&mut self, side: Side, at: Time) {
        if self.state.of(State::FIN_ACKED, side) {
            return;
        }
        if let (Some(last), Some(span)) = (self.fin_at.get_mut(side.index()), self.fin_span.get_mut(side.index())) {
            *span = span.saturating_add(micros(at.since(*last)));
            *last = at;
        }
    }

    fn fin_acknowledged(&mut self, side: Side, segment: &Segment) {
        self.state.set_of(State::FIN_ACKED, side);
        if let Some(at) = self.fin_acked_at.get_mut(side.index()) {
            *at = segment.at;
        }
        if self.state.of(State::FIRST_FIN, side) {
            self.learn(0, More::LEARNT_ACK, segment);
        }
    }

    /// What the active closer learns of its peer's clock (`tcp_time_wait`, net/ipv4/tcp_minisocks.c).
    fn learn(&mut self, place: usize, mask: u16, segment: &Segment) {
        if let (Some(tsval), Some(learnt)) = (segment.timestamp(), self.learnt.get_mut(place)) {
            *learnt = tsval;
            self.more.set(mask);
        }
    }

    fn isn_of(&self, side: Side) -> SeqNumber {
        let [client, server] = self.isn;
        if side == Side::Client { client } else { server }
    }

    #[inline]
    fn next_of(&self, side: Side) -> SeqNumber {
        let [client, server] = self.next;
        if side == Side::Client { client } else { server }
    }

    fn set_ttl(&mut self, side: Side, segment: &Segment) {
        if let Some(ttl) = self.ttl.get_mut(side.index()) {
            *ttl = segment.ttl;
        }
    }

    fn set_isn(&mut self, side: Side, isn: SeqNumber) {
        if let Some(place) = self.isn.get_mut(side.index()) {
            *place = isn;
        }
    }

    #[inline]
    fn set_next(&mut self, side: Side, next: SeqNumber) {
        if let Some(place) = self.next.get_mut(side.index()) {
            *place = next;
        }
    }
}

/// The sender of the first SYN is the client; without one the port decides until listeners are known.
fn sent_by_client(segment: &Segment) -> bool {
    segment.flags.is_syn() || !segment.flags.is_syn_ack() && segment.src_port >= segment.dst_port
}

/// How far a segment brings the handshake, with the fate of the SYN that it answers.
enum Opening {
    Established(Option<SynFate>),
    NotYet(Option<SynFate>),
}

/// Microseconds of a span, at most `u32::MAX`; 0 where it is negative.
fn micros(span: Span) -> u32 {
    u32::try_from((span.0 / 1000).max(0)).unwrap_or(u32::MAX)
}
