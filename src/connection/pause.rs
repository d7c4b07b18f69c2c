//! Answers that were owed and came late: a kernel acknowledges at once, whatever its application does.
//!
//! RFC 9293 section 3.8.6.3 and RFC 1122 section 4.2.3.2 (an ACK is delayed by less than half a second; Linux by at most
//! 200 ms, `TCP_DELACK_MAX`). What waits longer since the last copy of what it answers was held by somebody. Rare, so
//! that they lie in a list beside the records; an idle connection owes nothing.

use serde::{Deserialize, Serialize};

use super::{Connection, Side, Tracked};
use crate::segment::TsVal;
use crate::time::{Span, Time};

/// Longer than ACKs are delayed.
pub(super) const LEAST: Span = Span::from_millis(250);

/// Events kept of one shard.
const MOST: usize = 1 << 16;

/// An answer that came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseEvent {
    pub(super) record: u32,
    pub(super) frame: u64,
    pub(super) at: Time,
    pub(super) since: Time,
    pub(super) by: Side,
    pub(super) tsval: Option<TsVal>,
}

/// An answer that came late.
#[derive(Clone, Copy, Debug)]
pub struct Pause<'a> {
    /// The connection.
    pub connection: Connection<'a>,
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When it came.
    pub at: Time,
    /// When the connection's last packet before it was captured.
    pub since: Time,
    /// Who owed it.
    pub by: Side,
    /// Its TSval, where it carries timestamps.
    pub tsval: Option<TsVal>,
}

/// Notes one, as long as there is room.
#[cold]
pub(super) fn note(pauses: &mut Vec<PauseEvent>, event: PauseEvent) {
    if pauses.len() < MOST {
        pauses.push(event);
    }
}

impl Tracked {
    /// Answers that came late; not in frame order.
    pub fn pauses(&self) -> impl Iterator<Item = Pause<'_>> {
        self.pauses.iter().filter_map(|event| {
            let connection = self.connection(event.record)?;
            let PauseEvent { frame, at, since, by, tsval, .. } = *event;
            Some(Pause { connection, frame, at, since, by, tsval })
        })
    }
}
