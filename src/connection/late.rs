//! What came late: RSTs that ended connections, and segments that came after the last ACK or from an earlier
//! incarnation. Rare, so that they lie in lists beside the records.
//!
//! RFC 1337 (what late segments do to TIME-WAIT), RFC 9293 section 3.10.7.4; `tcp_timewait_state_process()` in
//! net/ipv4/tcp_minisocks.c, `tcp_send_active_reset()` and `tcp_v4_send_reset()` of Linux.

use serde::{Deserialize, Serialize};

use super::{Connection, Side, Tracked};
use crate::language::words;
use crate::segment::{SeqNumber, TsVal};
use crate::time::{Span, Time};

/// Events kept of one shard: more come only from a capture that was made to hold them.
pub(super) const MOST: usize = 1 << 20;

/// No receiver offers a larger window (RFC 7323 section 2.3).
pub(super) const WINDOW: i32 = 1 << 30;

/// A RST that ended an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetEvent {
    pub(super) record: u32,
    pub(super) frame: u64,
    pub(super) at: Time,
    /// Since the packet before it.
    pub(super) idle: Span,
    /// Octets that its sender had sent and that were not acknowledged.
    pub(super) own_pending: u32,
    /// Octets that its sender had been sent and had not acknowledged.
    pub(super) peer_pending: u32,
    pub(super) by: Side,
    pub(super) ttl: u8,
    /// It carries ACK: sent on the sender's own initiative.
    pub(super) initiative: bool,
    pub(super) own_fin: bool,
    pub(super) peer_fin: bool,
    /// The peer had sent data after the sender's FIN.
    pub(super) data_after_fin: bool,
    /// The sender had probed its peer: keep-alive or zero window.
    pub(super) probed: bool,
}

/// A segment that came after both FINs were acknowledged, or that belongs to an earlier incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateEvent {
    pub(super) record: u32,
    pub(super) frame: u64,
    pub(super) at: Time,
    pub(super) seq: SeqNumber,
    pub(super) payload: u32,
    pub(super) tsval: Option<TsVal>,
    pub(super) by: Side,
    pub(super) kind: LateKind,
    pub(super) expected: bool,
    pub(super) inside: bool,
    pub(super) of_earlier: bool,
    pub(super) answer: LateAnswer,
    pub(super) answer_frame: u64,
}

/// What came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LateKind {
    /// The FIN once more.
    Fin,
    /// Data.
    Data,
    /// The SYN that had opened the connection.
    Syn,
    /// A RST.
    Rst,
}

/// What it drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LateAnswer {
    /// Nothing that was captured.
    None,
    /// An ACK: somebody still knew the connection.
    Ack,
    /// A RST: nobody did.
    Rst,
}

/// A RST that ended an open connection, and what that means.
#[derive(Clone, Copy, Debug)]
pub struct Reset<'a> {
    /// The connection.
    pub connection: Connection<'a>,
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// Whose address it carries.
    pub by: Side,
    /// Its time to live.
    pub ttl: u8,
    /// Since the packet before it.
    pub idle: Span,
    /// Octets of either end that were sent and never acknowledged.
    pub lost: u64,
    /// What made it.
    pub cause: ResetCause,
}

/// What made somebody send a RST, by the shape of the RST and what went before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetCause {
    /// A close with `SO_LINGER` 0 (or with data unread that had been acknowledged).
    LingerZero,
    /// A close with data unread (RFC 2525 section 2.17).
    UnreadData,
    /// Data came after the close.
    DataAfterClose,
    /// The peer's FIN found no socket: FIN-WAIT-2 had timed out, or TIME-WAIT was never made.
    FinAfterClose,
    /// Keep-alive probes went unanswered.
    KeepAlive,
    /// Probes of a zero window went on for too long.
    ZeroWindow,
    /// A device on the way: its TTL is not the endpoint's.
    Middlebox,
    /// Its sender knows nothing of the connection: restarted, or forgotten.
    NoSocket,
}

/// A late segment.
#[derive(Clone, Copy, Debug)]
pub struct Late<'a> {
    /// The connection on whose socket pair it came.
    pub connection: Connection<'a>,
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// Sequence number.
    pub seq: SeqNumber,
    /// Octets of data.
    pub payload: u32,
    /// TSval, where it carries timestamps.
    pub tsval: Option<TsVal>,
    /// Who sent it.
    pub by: Side,
    /// What it is.
    pub kind: LateKind,
    /// Its sequence number is the next one expected: a RST then ends TIME-WAIT.
    pub expected: bool,
    /// Its sequence number lies in the receiver's window, as far as windows go.
    pub inside: bool,
    /// It belongs to an earlier incarnation than `connection`.
    pub of_earlier: bool,
    /// What it drew, and the frame of that.
    pub answer: (LateAnswer, u64),
}

impl ResetCause {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::LingerZero,
        Self::UnreadData,
        Self::DataAfterClose,
        Self::FinAfterClose,
        Self::KeepAlive,
        Self::ZeroWindow,
        Self::Middlebox,
        Self::NoSocket,
    ];

    /// A name for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LingerZero => "linger_0",
            Self::UnreadData => "unread_data",
            Self::DataAfterClose => "data_after_close",
            Self::FinAfterClose => "fin_after_close",
            Self::KeepAlive => "keep_alive",
            Self::ZeroWindow => "zero_window",
            Self::Middlebox => "middlebox",
            Self::NoSocket => "no_socket",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::LingerZero => words!("closed with SO_LINGER 0, or with acknowledged data unread"),
            Self::UnreadData => words!("closed with data unread"),
            Self::DataAfterClose => words!("data came after the close"),
            Self::FinAfterClose => words!("the peer's FIN found no socket any more"),
            Self::KeepAlive => words!("keep-alive probes went unanswered"),
            Self::ZeroWindow => words!("gave up on a zero window"),
            Self::Middlebox => words!("sent by a device on the way (TTL differs)"),
            Self::NoSocket => words!("the sender no longer knew the connection"),
        }
    }
}

impl LateKind {
    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Fin => words!("repeated FIN"),
            Self::Data => words!("late data"),
            Self::Syn => words!("old SYN"),
            Self::Rst => "RST",
        }
    }
}

impl LateAnswer {
    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => words!("nothing"),
            Self::Ack => words!("an ACK"),
            Self::Rst => words!("a RST"),
        }
    }
}

impl Tracked {
    /// RSTs that ended open connections, one a connection; not in frame order.
    pub fn resets(&self) -> impl Iterator<Item = Reset<'_>> {
        self.resets.iter().filter_map(|event| {
            let connection = self.connection(event.record)?;
            Some(Reset {
                connection,
                frame: event.frame,
                at: event.at,
                by: event.by,
                ttl: event.ttl,
                idle: event.idle,
                lost: u64::from(event.own_pending) + u64::from(event.peer_pending),
                cause: cause(event, connection),
            })
        })
    }

    /// Segments that came late; not in frame order.
    pub fn late(&self) -> impl Iterator<Item = Late<'_>> {
        self.late.iter().filter_map(|event| {
            Some(Late {
                connection: self.connection(event.record)?,
                frame: event.frame,
                at: event.at,
                seq: event.seq,
                payload: event.payload,
                tsval: event.tsval,
                by: event.by,
                kind: event.kind,
                expected: event.expected,
                inside: event.inside,
                of_earlier: event.of_earlier,
                answer: (event.answer, event.answer_frame),
            })
        })
    }
}

/// A probe is repeated after a second at least; a RST sooner after it has another reason.
const PROBE_INTERVAL: Span = Span::from_millis(200);

/// What made the sender reset: a RST with ACK is the sender's own initiative (`tcp_send_active_reset`), one
/// without answers a segment that found no use (`tcp_v4_send_reset`; RFC 9293 section 3.5.2).
fn cause(event: &ResetEvent, connection: Connection<'_>) -> ResetCause {
    let own = connection.endpoint(event.by);
    let peer = connection.endpoint(event.by.other());
    if own.ttl != 0 && event.ttl != own.ttl {
        return ResetCause::Middlebox;
    }
    if !event.initiative {
        // Data that crossed the FIN on its way came too late as well.
        let data = event.data_after_fin || event.peer_pending > 0;
        return match (event.own_fin, data, event.peer_fin) {
            (true, true, _) => ResetCause::DataAfterClose,
            (true, false, true) => ResetCause::FinAfterClose,
            _ => ResetCause::NoSocket,
        };
    }
    if event.probed && connection.zero_window() {
        ResetCause::ZeroWindow
    } else if event.probed && event.idle >= PROBE_INTERVAL {
        ResetCause::KeepAlive
    } else if event.peer_pending > 0 || own.bytes == 0 && peer.bytes > 0 {
        ResetCause::UnreadData
    } else {
        ResetCause::LingerZero
    }
}
