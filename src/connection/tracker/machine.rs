//! What a segment does to the record of one connection: one function an event.
//!
//! A passive observer's state machine. It follows RFC 9293 section 3.10.7 as far as a witness can: sequence
//! numbers decide what acknowledges what; nothing is assumed of what was not captured. A segment of an open
//! connection takes the short way (`plain`).

use super::{Seen, SynFate};
use crate::connection::late::ResetEvent;
use crate::connection::pause::PauseEvent;
use crate::connection::record::{More, Record, State};
use crate::connection::{Event, History, Side};
use crate::segment::{Flags, Segment, SeqNumber, TsVal};
use crate::time::{Span, Time};

impl Record {
    /// A record for the first segment of an incarnation.
    pub(super) fn begin(seen: &Seen<'_>, point: u16, previous: u32) -> Self {
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

    pub(super) fn first_syn(&mut self, segment: &Segment) {
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
    pub(super) fn wait_with(&mut self, pending: u32) {
        self.pending = pending;
        self.state.0 = if pending == 0 { self.state.0 & !State::WAITING } else { self.state.0 | State::WAITING };
    }

    /// The SYN was not captured; its ISN is what the SYN-ACK acknowledges.
    pub(super) fn first_syn_ack(&mut self, segment: &Segment) {
        self.set_isn(Side::Client, SeqNumber(segment.ack.0.wrapping_sub(1)));
        self.set_next(Side::Client, segment.ack);
        self.take_syn_ack(Side::Server, segment);
    }

    pub(super) fn begin_in_the_middle(&mut self, sender: Side, segment: &Segment) {
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
    pub(super) fn account(&mut self, side: Side, seen: &Seen<'_>) {
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
    pub(super) fn brings_nothing_new(&self, side: Side, segment: &Segment) -> bool {
        let [acked, server_acked] = self.acked;
        let acked = if side == Side::Client { acked } else { server_acked };
        let end = segment.seq.plus(segment.sequence_length());
        !end.is_after(self.next_of(side)) && !segment.ack.is_after(acked)
    }

    /// Whether the capture may have shown a segment before: cheap, and true for all that it has.
    pub(super) fn may_be_known(&self, side: Side, segment: &Segment) -> bool {
        if segment.flags.is_syn() {
            self.state.of(State::SYN, side)
        } else if segment.flags.is_syn_ack() {
            self.state.of(State::SYN_ACK, side)
        } else {
            segment.flags.has(Flags::RST) || self.brings_nothing_new(side, segment)
        }
    }

    pub(super) const fn is_doubled(&self) -> bool {
        self.odd & Self::DOUBLED != 0
    }

    /// It lies beyond the next expected number. What was sent shortly before the capture began leaves no hole.
    #[inline]
    pub(super) fn leaves_a_hole(&self, side: Side, segment: &Segment) -> bool {
        segment.seq.is_after(self.next_of(side))
            && segment.sequence_length() > 0
            && (self.state.of(State::DATA, side) || !self.state.has(State::CLIENT_GUESSED))
    }

    /// A segment of an open connection: data, or an acknowledgment. True where it is of an earlier incarnation.
    #[inline]
    pub(super) fn plain(&mut self, side: Side, segment: &Segment) -> bool {
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
    pub(super) fn first_time(&mut self, side: Side, mask: u32, event: Event) {
        if !self.state.of(mask, side) {
            self.state.set_of(mask, side);
            self.history.push(side, event);
        }
    }

    #[inline]
    pub(super) fn acknowledge(&mut self, side: Side, segment: &Segment) {
        if let Some(acked) = self.acked.get_mut(side.index())
            && segment.flags.has(Flags::ACK)
            && segment.ack.is_after(*acked)
        {
            *acked = segment.ack;
        }
    }

    /// Data that had been sent before. One octet below the next is a keep-alive or window probe (RFC 9293
    /// sections 3.8.4 and 3.8.6.1), no retransmission. True where it is of an earlier incarnation.
    pub(super) fn data_again(&mut self, side: Side, segment: &Segment) -> bool {
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
    pub(super) fn is_old(&self, side: Side, segment: &Segment) -> bool {
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
    pub(super) fn is_older(&self, side: Side, segment: &Segment) -> bool {
        let (mark, first) = match side {
            Side::Client => (More::SYN_TIMESTAMP, self.syn_tsval),
            Side::Server => (More::SYN_ACK_TIMESTAMP, self.syn_ack_tsval),
        };
        self.more.has(mark) && segment.timestamp().is_some_and(|tsval| tsval.ahead_of(first) < 0)
    }

    /// Whether a segment acknowledges what its sender's peer had sent and nobody had acknowledged.
    pub(super) fn owes(&self, side: Side, segment: &Segment) -> bool {
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
    pub(super) fn pause(&self, record: u32, side: Side, seen: &Seen<'_>) -> PauseEvent {
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
    pub(super) fn reset_event(&self, index: u32, side: Side, seen: &Seen<'_>, idle: Span) -> ResetEvent {
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
    pub(super) fn rst(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
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
    pub(super) fn rst_before_syn_ack(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
        let ours = !segment.flags.has(Flags::ACK) || segment.ack.is_after(self.isn_of(Side::Client));
        if side == Side::Client || !ours {
            return None;
        }
        self.state.set(State::REFUSED);
        self.rst_at = segment.at;
        self.set_ttl(side, segment);
        Some(SynFate::Rst)
    }

    pub(super) fn syn_ack(&mut self, side: Side, segment: &Segment) {
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

    pub(super) fn take_syn_ack(&mut self, side: Side, segment: &Segment) {
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

    pub(super) fn establish(&mut self, at: Time) {
        self.state.set(State::ESTABLISHED);
        if self.state.has(State::OPENED_BY_SYN) {
            self.handshake = micros(at.since(self.first_at)).min(u32::MAX - 1);
        }
    }

    /// Anything without SYN and RST, where the short way does not serve; gives the fate of the SYN it answers.
    pub(super) fn later(&mut self, side: Side, segment: &Segment) -> Option<SynFate> {
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
    pub(super) fn before_established(&mut self, side: Side, segment: &Segment) -> Opening {
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

    pub(super) fn imply(&mut self, side: Side, segment: &Segment) -> Opening {
        self.state.set(State::SYN_ACK_IMPLIED | State::ESTABLISHED);
        let server_next = if side == Side::Server { segment.seq } else { segment.ack };
        self.set_isn(Side::Server, SeqNumber(server_next.0.wrapping_sub(1)));
        self.set_next(Side::Server, server_next);
        Opening::Established(Some(SynFate::SynAck))
    }

    /// Data, acknowledgments and FINs of a connection that is being closed, or may be.
    pub(super) fn closing(&mut self, side: Side, segment: &Segment) {
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

    pub(super) fn fin(&mut self, side: Side, segment: &Segment) {
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
    pub(super) fn fin_again(&mut self, side: Side, at: Time) {
        if self.state.of(State::FIN_ACKED, side) {
            return;
        }
        if let (Some(last), Some(span)) = (self.fin_at.get_mut(side.index()), self.fin_span.get_mut(side.index())) {
            *span = span.saturating_add(micros(at.since(*last)));
            *last = at;
        }
    }

    pub(super) fn fin_acknowledged(&mut self, side: Side, segment: &Segment) {
        self.state.set_of(State::FIN_ACKED, side);
        if let Some(at) = self.fin_acked_at.get_mut(side.index()) {
            *at = segment.at;
        }
        if self.state.of(State::FIRST_FIN, side) {
            self.learn(0, More::LEARNT_ACK, segment);
        }
    }

    /// What the active closer learns of its peer's clock (`tcp_time_wait`, net/ipv4/tcp_minisocks.c).
    pub(super) fn learn(&mut self, place: usize, mask: u16, segment: &Segment) {
        if let (Some(tsval), Some(learnt)) = (segment.timestamp(), self.learnt.get_mut(place)) {
            *learnt = tsval;
            self.more.set(mask);
        }
    }

    pub(super) fn isn_of(&self, side: Side) -> SeqNumber {
        let [client, server] = self.isn;
        if side == Side::Client { client } else { server }
    }

    #[inline]
    pub(super) fn next_of(&self, side: Side) -> SeqNumber {
        let [client, server] = self.next;
        if side == Side::Client { client } else { server }
    }

    pub(super) fn set_ttl(&mut self, side: Side, segment: &Segment) {
        if let Some(ttl) = self.ttl.get_mut(side.index()) {
            *ttl = segment.ttl;
        }
    }

    pub(super) fn set_isn(&mut self, side: Side, isn: SeqNumber) {
        if let Some(place) = self.isn.get_mut(side.index()) {
            *place = isn;
        }
    }

    #[inline]
    pub(super) fn set_next(&mut self, side: Side, next: SeqNumber) {
        if let Some(place) = self.next.get_mut(side.index()) {
            *place = next;
        }
    }
}

/// The sender of the first SYN is the client; without one the port decides until listeners are known.
pub(super) fn sent_by_client(segment: &Segment) -> bool {
    segment.flags.is_syn() || !segment.flags.is_syn_ack() && segment.src_port >= segment.dst_port
}

/// How far a segment brings the handshake, with the fate of the SYN that it answers.
pub(super) enum Opening {
    Established(Option<SynFate>),
    NotYet(Option<SynFate>),
}

/// Microseconds of a span, at most `u32::MAX`; 0 where it is negative.
pub(super) fn micros(span: Span) -> u32 {
    u32::try_from((span.0 / 1000).max(0)).unwrap_or(u32::MAX)
}
