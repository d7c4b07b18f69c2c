//! What follows from a record: pure functions of what was seen.
//!
//! The words are those of the connection table; each function says which observation decides.

mod closing;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::record::{More, Record, State};
use super::table::touch;
use super::{Close, History, Opened, ReuseOutcome, Side, SynFate, Tracked};
use crate::segment::{Labels, SeqNumber, TsVal, Tunnel};
use crate::time::{Span, Time};

/// One incarnation of a socket pair, with all that follows from what was seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    tracked: &'a Tracked,
    record: &'a Record,
    index: u32,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket {
    /// Address; IPv4-mapped ones are shown as IPv4.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

crate::language::values!(Socket);

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// What was seen of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Segments sent.
    pub packets: u64,
    /// Octets of data sent, retransmissions included.
    pub bytes: u64,
    /// Its first FIN.
    pub first_fin: Option<Time>,
    /// The last copy of its FIN before that was acknowledged.
    pub fin: Option<Time>,
    /// The first ACK of its FIN.
    pub fin_acked: Option<Time>,
    /// Time to live of its SYN or SYN-ACK; 0 where neither was seen.
    pub ttl: u8,
}

/// What the active closer could remember of its peer's clock (`tcp_remember_stamp`, net/ipv4/tcp_ipv4.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// When.
    pub at: Time,
    /// The peer's TSval.
    pub tsval: TsVal,
    /// Who could remember it: the active closer.
    pub side: Side,
}

/// One SYN segment.
#[derive(Clone, Copy, Debug)]
pub struct Syn<'a> {
    /// The connection that it tries to open.
    pub connection: Connection<'a>,
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// Initial sequence number.
    pub isn: SeqNumber,
    /// TSval, where it carries timestamps.
    pub tsval: Option<TsVal>,
    /// Whether it repeats an earlier SYN of its attempt.
    pub retransmission: bool,
    /// What became of it.
    pub fate: SynFate,
    /// An old duplicate: the connection had been opened already.
    pub stale: bool,
    /// Sent by the connection's server, in a simultaneous open.
    pub by_server: bool,
}

impl Tracked {
    /// All connections of the shard, in order of their first packets.
    pub fn connections(&self) -> impl ExactSizeIterator<Item = Connection<'_>> {
        self.records.iter().enumerate().map(|(index, record)| self.view(index, record))
    }

    /// The connection with an index.
    #[must_use]
    pub fn connection(&self, index: u32) -> Option<Connection<'_>> {
        self.records.get(index as usize).map(|record| self.view(index as usize, record))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Every SYN segment that opened a record or came later; not in frame order.
    pub fn syns(&self) -> impl Iterator<Item = Syn<'_>> {
        let first = self.connections().filter_map(|connection| connection.first_syn());
        first.chain(self.later_syns())
    }

    /// SYN segments that are not the first packet of their connection.
    pub fn later_syns(&self) -> impl Iterator<Item = Syn<'_>> {
        self.syns.iter().filter_map(|event| {
            let connection = self.connection(event.record)?;
            Some(Syn {
                connection,
                frame: event.frame,
                at: event.at,
                isn: event.isn,
                tsval: event.tsval,
                retransmission: !event.by_server,
                fate: event.fate,
                stale: event.stale,
                by_server: event.by_server,
            })
        })
    }

    /// Both sockets of every connection whose client is a guess.
    pub fn guessed_sockets(&self) -> impl Iterator<Item = (u16, Socket)> + '_ {
        let some = if self.guessed { self.len() } else { 0 };
        let guessed = self.connections().take(some).filter(|c| c.record.state.has(State::CLIENT_GUESSED));
        guessed.flat_map(|c| [(c.point(), c.client()), (c.point(), c.server())])
    }

    /// Exchanges client and server of every record for which `wrong` holds, where the client was a guess.
    pub fn turn_round(&mut self, wrong: impl Fn(Socket, Socket, u16) -> bool) {
        let guessed: Vec<usize> = self
            .connections()
            .enumerate()
            .filter(|(_, c)| c.record.state.has(State::CLIENT_GUESSED) && wrong(c.client(), c.server(), c.point()))
            .map(|(index, _)| index)
            .collect();
        for index in guessed {
            let Some(record) = self.records.get_mut(index) else { continue };
            record.swap_sides();
            if record.state.has(State::WIDE) {
                let place = record.addresses.first().copied().unwrap_or(0) as usize;
                if let Some(pair) = self.wide.get_mut(place) {
                    pair.addresses.swap(0, 1);
                }
            }
        }
    }

    fn view<'a>(&'a self, index: usize, record: &'a Record) -> Connection<'a> {
        Connection { tracked: self, record, index: u32::try_from(index).unwrap_or(u32::MAX) }
    }
}

impl<'a> Connection<'a> {
    /// Makes the processor fetch what is known of some connections, so that cache misses overlap where records lie far
    /// apart.
    pub fn read_ahead(connections: impl Iterator<Item = Self>) {
        let lines = |c: Self| c.record.state.0 ^ c.record.previous ^ c.record.fin_span[0];
        touch(connections.fold(0, |sum, connection| sum ^ lines(connection)));
    }

    /// The index of its record within its shard.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The number of its capture point, from 0.
    #[must_use]
    pub const fn point(self) -> u16 {
        self.record.point
    }

    /// The client's socket.
    #[must_use]
    pub fn client(self) -> Socket {
        self.socket(Side::Client)
    }

    /// The server's socket.
    #[must_use]
    pub fn server(self) -> Socket {
        self.socket(Side::Server)
    }

    /// The ports of client and server.
    #[must_use]
    pub const fn ports(self) -> [u16; 2] {
        self.record.ports
    }

    /// Capture point, client address and server socket in one number, where both addresses are plain IPv4: what is
    /// looked up for each of a million connections is looked up by it.
    #[must_use]
    pub fn narrow_ends(self) -> Option<u128> {
        let ([client, server], [_, port]) = (self.record.addresses, self.record.ports);
        let addresses = u128::from(client) << 32 | u128::from(server);
        let number = u128::from(self.record.point) << 80 | u128::from(port) << 64 | addresses;
        (!self.record.state.has(State::WIDE)).then_some(number)
    }

    /// The socket of one side.
    #[must_use]
    #[inline]
    pub fn socket(self, side: Side) -> Socket {
        let [client, server] = self.record.ports;
        Socket { ip: self.ip(side), port: if side == Side::Client { client } else { server } }
    }

    fn ip(self, side: Side) -> IpAddr {
        let [client, server] = self.record.addresses;
        if self.record.state.has(State::WIDE) {
            let pair = self.tracked.wide.get(client as usize);
            let address = pair.and_then(|pair| pair.addresses.get(side.index())).copied().unwrap_or_default();
            return IpAddr::V6(Ipv6Addr::from(address)).to_canonical();
        }
        IpAddr::V4(Ipv4Addr::from(if side == Side::Client { client } else { server }))
    }

    /// The tunnel that carries it.
    #[must_use]
    pub fn tunnel(self) -> Option<&'a Tunnel> {
        let wide = self
            .record
            .state
            .has(State::WIDE)
            .then(|| self.tracked.wide.get(*self.record.addresses.first()? as usize))??;
        self.tracked.tunnels.get((wide.tunnel as usize).checked_sub(1)?)
    }

    /// VLAN tags and other labels around its first packet.
    #[must_use]
    pub fn labels(self) -> Option<Labels> {
        let labels = &self.tracked.labels;
        let place = labels.binary_search_by_key(&self.index, |(record, _)| *record).ok()?;
        labels.get(place).map(|(_, labels)| *labels)
    }

    /// Tunnel and labels as the connection table spells them.
    #[must_use]
    pub fn encapsulation(self) -> Option<String> {
        match (self.tunnel(), self.labels()) {
            (None, None) => None,
            (Some(tunnel), None) => Some(tunnel.to_string()),
            (None, Some(labels)) => Some(labels.to_string()),
            (Some(tunnel), Some(labels)) => Some(format!("{tunnel} {labels}")),
        }
    }

    /// The incarnation of the socket pair before this one.
    #[must_use]
    pub fn previous(self) -> Option<Connection<'a>> {
        self.tracked.connection(self.record.previous.checked_sub(1)?)
    }

    /// First packet: its frame at its capture point, counted from 0, and its time.
    #[must_use]
    pub const fn first(self) -> (u64, Time) {
        (self.record.first_frame, self.record.first_at)
    }

    /// Last packet: its frame at its capture point, counted from 0, and its time.
    #[must_use]
    pub const fn last(self) -> (u64, Time) {
        (self.record.last_frame, self.record.last_at)
    }

    /// SYN segments of the client and server.
    #[must_use]
    pub const fn syn_count(self) -> u64 {
        self.record.syn_count as u64
    }

    /// SYN-ACK segments; stops at 255.
    #[must_use]
    pub const fn syn_ack_count(self) -> u64 {
        self.record.syn_ack_count as u64
    }

    /// From the first SYN to the ACK that completed the handshake.
    #[must_use]
    pub fn handshake(self) -> Option<Span> {
        let micros = self.record.handshake;
        (micros != u32::MAX).then(|| Span(i64::from(micros).saturating_mul(1000)))
    }

    /// The client's initial sequence number, where its SYN or the SYN-ACK was seen.
    #[must_use]
    pub fn client_isn(self) -> Option<SeqNumber> {
        let known = self.record.state.any(State::SYN | State::SYN_ACK << 1);
        known.then_some(self.record.isn).and_then(|isn| isn.first().copied())
    }

    /// The server's initial sequence number, where its SYN-ACK was seen.
    #[must_use]
    pub fn server_isn(self) -> Option<SeqNumber> {
        let known = self.record.state.has(State::SYN_ACK << 1);
        known.then_some(self.record.isn).and_then(|isn| isn.last().copied())
    }

    /// TSval of the first SYN.
    #[must_use]
    pub fn syn_tsval(self) -> Option<TsVal> {
        self.record.more.has(More::SYN_TIMESTAMP).then_some(self.record.syn_tsval)
    }

    /// TSval of the SYN-ACK.
    #[must_use]
    pub fn syn_ack_tsval(self) -> Option<TsVal> {
        self.record.more.has(More::SYN_ACK_TIMESTAMP).then_some(self.record.syn_ack_tsval)
    }

    /// What tells the client's stack apart: TTL, option layout, MSS and window scale of its SYN.
    #[must_use]
    pub fn client_stack(self) -> (u8, u32, u16, u8) {
        let [ttl, _] = self.record.ttl;
        (ttl, self.record.layout, self.record.mss, self.record.window_scale)
    }

    /// The first SYN, where the capture shows it as the first packet.
    #[must_use]
    pub fn first_syn(self) -> Option<Syn<'a>> {
        let record = self.record;
        record.state.has(State::OPENED_BY_SYN).then(|| Syn {
            connection: self,
            frame: record.first_frame,
            at: record.first_at,
            isn: self.client_isn().unwrap_or_default(),
            tsval: self.syn_tsval(),
            retransmission: false,
            fate: SynFate::from_bits(record.more.0 & More::FATE),
            stale: false,
            by_server: false,
        })
    }

    /// How it opened.
    #[must_use]
    pub fn opened(self) -> Opened {
        let state = self.record.state;
        if state.has(State::SYN | State::SYN << 1) {
            return Opened::Simultaneous;
        }
        if !state.any(State::SYN | State::SYN << 1) {
            return Opened::BeforeCapture;
        }
        if state.any(State::SYN_ACK << 1 | State::SYN_ACK_IMPLIED) {
            return match (state.has(State::ESTABLISHED), state.has(State::ABORTED)) {
                (true, _) => Opened::Handshake,
                (false, true) => Opened::Aborted,
                (false, false) => Opened::HalfOpen,
            };
        }
        let answers = [
            (State::REFUSED, Opened::Refused),
            (State::UNREACHABLE, Opened::Unreachable),
            (State::CHALLENGED, Opened::Challenged),
        ];
        answers.into_iter().find(|(bit, _)| state.has(*bit)).map_or(Opened::Unanswered, |(_, opened)| opened)
    }

    /// Whether its server is surely one: it answered a SYN with a SYN-ACK.
    #[must_use]
    pub fn shows_listener(self) -> bool {
        self.record.state.any(State::SYN_ACK << 1)
    }

    /// Whether it did anything but open with one SYN, carry data, and close with two FINs or stay open. How it
    /// opened and closed is handed in, since whoever asks knows it already.
    #[must_use]
    pub fn is_notable(self, opened: Opened, close: Close) -> bool {
        let plain = opened == Opened::Handshake && matches!(close, Close::Fin | Close::Open);
        let odd = More::SYN_ACK_AFTER_ACK | More::EARLY_RETRANSMISSION | More::LATE_RST | More::STRAY;
        let unserved = self.record.bytes.last() == Some(&0) && self.record.bytes.first() != Some(&0);
        !plain
            || unserved
            || self.record.syn_count > 1
            || self.record.syn_ack_count > 1
            || self.challenged()
            || self.record.more.0 & odd != 0
    }

    /// Whether it ever carried, or could carry, data.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.opened().carries_data()
    }

    /// The direction of which nothing was captured although it was there: the other end acknowledges what the capture
    /// does not show, or goes on where only an answer lets it.
    #[must_use]
    pub fn missing_direction(self) -> Option<Side> {
        /// Nobody sends so much without a word from the peer.
        const UNHEARD_OF: u64 = 1 << 22;
        let record = self.record;
        let silent = Side::BOTH.into_iter().find(|side| record.packets.get(side.index()) == Some(&0))?;
        let implied = silent == Side::Server && record.state.has(State::SYN_ACK_IMPLIED);
        let goes_on = record.state.has(State::ESTABLISHED) && self.endpoint(silent.other()).bytes > UNHEARD_OF;
        (implied || goes_on || self.unseen_tail(silent) > 0).then_some(silent)
    }

    /// The SYN-ACK was not captured, but later segments prove that there was one.
    #[must_use]
    pub fn answer_unseen(self) -> bool {
        self.record.state.has(State::SYN_ACK_IMPLIED)
    }

    /// Octets behind the last one that was captured of `side`, and that its peer acknowledged.
    #[must_use]
    pub fn unseen_tail(self, side: Side) -> u64 {
        /// Nobody has more under way; an acknowledgment beyond is of another incarnation, or forged.
        const WIDEST: i32 = 1 << 26;
        let acked = self.record.acked.get(side.other().index()).copied().unwrap_or_default();
        let beyond = acked.ahead_of(self.next_sequence(side));
        let known = self.record.state.has(State::ESTABLISHED) && !self.record.more.has(More::STRAY);
        if known && beyond <= WIDEST { u64::try_from(beyond).unwrap_or(0) } else { 0 }
    }

    /// What was seen of one end.
    #[must_use]
    pub fn endpoint(self, side: Side) -> Endpoint {
        let record = self.record;
        let of = |pair: [Time; 2]| pair.get(side.index()).copied().and_then(known);
        let fin = of(record.fin_at).filter(|_| record.state.of(State::FIN, side));
        let span = record.fin_span.get(side.index()).map_or(0, |micros| i64::from(*micros) * 1000);
        let low = record.bytes.get(side.index()).copied().unwrap_or(0);
        let high = record.bytes_high.get(side.index()).copied().unwrap_or(0);
        Endpoint {
            packets: record.packets.get(side.index()).map_or(0, |packets| u64::from(*packets)),
            bytes: u64::from(high) << 32 | u64::from(low),
            first_fin: fin.map(|at| at.minus(Span(span))),
            fin,
            fin_acked: of(record.fin_acked_at),
            ttl: record.ttl.get(side.index()).copied().unwrap_or(0),
        }
    }

    /// What the active closer could remember of its peer's clock: with the ACK of its FIN (an orphan enters
    /// FIN-WAIT-2 as a TIME-WAIT socket), and with the peer's FIN.
    #[must_use]
    pub fn learnt(self) -> [Option<Learnt>; 2] {
        let Some(side) = self.first_fin() else { return [None; 2] };
        let [with_ack, with_fin] = self.record.learnt;
        let of = |mask: u16, at: Option<Time>, tsval: TsVal| {
            at.filter(|_| self.record.more.has(mask)).map(|at| Learnt { at, tsval, side })
        };
        [
            of(More::LEARNT_ACK, self.endpoint(side).fin_acked, with_ack),
            of(More::LEARNT_FIN, self.endpoint(side.other()).first_fin, with_fin),
        ]
    }

    /// The history string.
    #[must_use]
    pub const fn history(self) -> History {
        self.record.history
    }

    /// A SYN-ACK was repeated although the client had acknowledged it.
    #[must_use]
    pub fn syn_ack_after_ack(self) -> bool {
        self.record.more.has(More::SYN_ACK_AFTER_ACK)
    }

    /// A SYN was repeated although a SYN-ACK had answered it.
    #[must_use]
    pub fn syn_after_syn_ack(self) -> bool {
        self.record.more.has(More::SYN_AFTER_SYN_ACK)
    }

    /// The client's first data was repeated before the server acknowledged any.
    #[must_use]
    pub fn early_retransmission(self) -> bool {
        self.record.more.has(More::EARLY_RETRANSMISSION)
    }

    /// A RST came after both FINs were acknowledged (RFC 1337).
    #[must_use]
    pub fn late_rst(self) -> bool {
        self.record.more.has(More::LATE_RST)
    }

    /// A zero window was announced.
    #[must_use]
    pub fn zero_window(self) -> bool {
        self.record.more.has(More::ZERO_WINDOW)
    }

    /// `side` sent data after the other side's FIN: the half-closed connection was in use, or meant to be.
    #[must_use]
    pub fn data_after_fin(self, side: Side) -> bool {
        self.record.more.has(More::DATA_AFTER_FIN) && self.first_fin() == Some(side.other())
    }

    /// The next sequence number that `side` would send; after its FIN, where nothing else came.
    #[must_use]
    pub fn next_sequence(self, side: Side) -> SeqNumber {
        self.record.next.get(side.index()).copied().unwrap_or_default()
    }

    /// Its SYN drew a challenge ACK.
    #[must_use]
    pub fn challenged(self) -> bool {
        self.record.state.has(State::CHALLENGED)
    }

    /// Where the incarnation before left a TIME-WAIT: how long after its start this one's first SYN came, and
    /// what that drew.
    #[must_use]
    pub fn reuse(self) -> Option<(Span, ReuseOutcome)> {
        let from = self.previous()?.time_wait_from()?;
        let syn = self.first_syn()?;
        let accepted =
            !matches!(self.opened(), Opened::Unanswered | Opened::Refused | Opened::Unreachable | Opened::Challenged);
        let outcome = match (self.challenged(), accepted) {
            (true, true) => ReuseOutcome::ChallengedThenAccepted,
            (false, true) => ReuseOutcome::Accepted,
            (_, false) if self.opened() == Opened::Refused => ReuseOutcome::Refused,
            (true, false) => ReuseOutcome::Challenged,
            (false, false) => ReuseOutcome::Unanswered,
        };
        Some((syn.at.since(from), outcome))
    }
}

/// Times that were never set are `Time::MIN`.
fn known(at: Time) -> Option<Time> {
    (at != Time::MIN).then_some(at)
}
