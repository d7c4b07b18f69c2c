//! How a connection closed, who closed it, and which end was in which state for how long (RFC 9293 section 3.6).

use super::{Connection, known};
use crate::connection::record::State;
use crate::connection::{Close, Opened, Side, Who};
use crate::time::{Span, Time};

impl Connection<'_> {
    /// How it closed.
    #[must_use]
    pub fn close(self) -> Close {
        self.close_after(self.opened())
    }

    /// The same for whoever knows how it opened.
    #[must_use]
    pub fn close_after(self, opened: Opened) -> Close {
        let state = self.record.state;
        if !opened.carries_data() {
            return Close::None;
        }
        let (reset, fins) = (state.any(State::RST | State::RST << 1), state.0 >> 4 & 3);
        match (fins, reset) {
            (0, true) => Close::Reset,
            (_, true) => Close::FinReset,
            (3, false) if state.has(State::SIMULTANEOUS_CLOSE) => Close::FinSimultaneous,
            (3, false) => Close::Fin,
            (0, false) if Side::BOTH.into_iter().any(|side| state.silent(side) >= SILENCE) => Close::DataUnanswered,
            (0, false) => Close::Open,
            _ if state.any(State::FIN_ACKED | State::FIN_ACKED << 1) => Close::HalfClosed,
            _ => Close::FinUnanswered,
        }
    }

    /// Who sent the first FIN, or the first RST where no FIN came.
    #[must_use]
    pub fn active_closer(self) -> Who {
        self.closer(self.close())
    }

    /// The same for whoever knows how it closed.
    #[must_use]
    pub fn closer(self, close: Close) -> Who {
        match close {
            Close::None | Close::Open | Close::DataUnanswered => Who::None,
            Close::FinSimultaneous => Who::Both,
            Close::Reset => self.reset_by(),
            _ => self.first_fin().map_or(Who::None, Who::one),
        }
    }

    pub(super) fn first_fin(self) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.record.state.of(State::FIRST_FIN, *side))
    }

    /// Who sent the RST that ended or refused it.
    #[must_use]
    pub fn reset_by(self) -> Who {
        let state = self.record.state;
        match Side::BOTH.into_iter().find(|side| state.of(State::RST, *side)) {
            Some(side) => Who::one(side),
            None if self.opened() == Opened::Refused => Who::Server,
            None => Who::None,
        }
    }

    /// When it was reset or refused.
    #[must_use]
    pub fn reset_at(self) -> Option<Time> {
        known(self.record.rst_at)
    }

    /// Who holds TIME-WAIT: the active closer, once the peer's FIN was acknowledged (RFC 9293 section 3.6).
    #[must_use]
    pub fn time_wait_side(self) -> Who {
        let (side, _) = self.time_wait(self.close());
        side
    }

    /// The active closer's first ACK of the peer's FIN; where both hold TIME-WAIT, the later of the two.
    #[must_use]
    pub fn time_wait_from(self) -> Option<Time> {
        let (_, from) = self.time_wait(self.close());
        from
    }

    /// Who holds TIME-WAIT and from when on, for whoever knows how it closed.
    #[must_use]
    pub fn time_wait(self, close: Close) -> (Who, Option<Time>) {
        let acked = |side: Side| self.record.state.of(State::FIN_ACKED, side);
        let side = match close {
            Close::FinSimultaneous if acked(Side::Client) && acked(Side::Server) => Who::Both,
            Close::Fin => self.first_fin().filter(|side| acked(side.other())).map_or(Who::None, Who::one),
            _ => Who::None,
        };
        let [client, server] = self.record.fin_acked_at;
        let from = match side {
            Who::None => None,
            Who::Client => known(server),
            Who::Server => known(client),
            Who::Both => known(client.max(server)),
        };
        (side, from)
    }

    /// Who sits, or sat, in CLOSE-WAIT: the end that acknowledged the first FIN.
    #[must_use]
    pub fn close_wait_side(self) -> Who {
        match self.close() {
            Close::Fin | Close::HalfClosed | Close::FinReset => {
                let passive = self.first_fin().filter(|side| self.record.state.of(State::FIN_ACKED, *side));
                passive.map_or(Who::None, |side| Who::one(side.other()))
            }
            _ => Who::None,
        }
    }

    /// From the last copy of the peer's FIN before its first ACK to the own FIN, else the RST, else `end`.
    #[must_use]
    pub fn close_wait(self, end: Time) -> Option<Span> {
        let active = self.first_fin().filter(|_| self.close_wait_side() != Who::None)?;
        let from = self.endpoint(active).fin?;
        Some(self.passive_fin(active).or(self.reset_at()).unwrap_or(end).since(from))
    }

    /// From the ACK of the active closer's FIN to the peer's FIN, else the RST, else `end`.
    #[must_use]
    pub fn fin_wait_2(self, end: Time) -> Option<Span> {
        let active = self.first_fin().filter(|_| self.close_wait_side() != Who::None)?;
        let from = self.endpoint(active).fin_acked?;
        let span = self.passive_fin(active).or(self.reset_at()).unwrap_or(end).since(from);
        (span.0 >= 0).then_some(span)
    }

    /// How long one end was in FIN-WAIT-1 and FIN-WAIT-2, the other in CLOSE-WAIT and LAST-ACK, where both closed in
    /// order: both FINs are there, so that no span reaches to the end of the capture.
    #[must_use]
    pub fn closing_states(self) -> Option<[Option<Span>; 4]> {
        let first = self.first_fin().filter(|_| self.close() == Close::Fin)?;
        let (active, passive) = (self.endpoint(first), self.endpoint(first.other()));
        let until_fin = |from: Option<Time>| Some(passive.first_fin?.since(from?));
        let acked = self.record.state.of(State::FIN_ACKED, first);
        Some([
            span_between(active.first_fin, active.fin_acked),
            until_fin(active.fin_acked).filter(|_| acked),
            until_fin(active.fin).filter(|_| acked),
            span_between(passive.first_fin, passive.fin_acked),
        ])
    }

    pub(super) fn passive_fin(self, active: Side) -> Option<Time> {
        self.endpoint(active.other()).first_fin
    }
}

fn span_between(from: Option<Time>, until: Option<Time>) -> Option<Span> {
    Some(until?.since(from?))
}

/// Retransmissions without a word from the peer before data counts as unanswered: one may be the last packet
/// of a capture that was stopped.
const SILENCE: u32 = 2;
