//! The words of the connection table: how an incarnation opened and closed, who did it, what a reuse drew.

use super::Side;
use crate::language::words;

/// How an incarnation opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opened {
    /// SYN, SYN-ACK and ACK seen.
    Handshake,
    /// Both sent SYN (RFC 9293 section 3.5).
    Simultaneous,
    /// SYN and SYN-ACK only.
    HalfOpen,
    /// SYN, SYN-ACK, then the client's RST.
    Aborted,
    /// SYN only.
    Unanswered,
    /// SYN, then RST.
    Refused,
    /// SYN, then an ICMP error.
    Unreachable,
    /// SYN answered by an ACK that is no SYN-ACK, and never opened.
    Challenged,
    /// No SYN seen.
    BeforeCapture,
}

/// How an incarnation closed: the first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Close {
    /// Never opened.
    None,
    /// A FIN, and a RST before both FINs were acknowledged.
    FinReset,
    /// A RST, no FIN.
    Reset,
    /// Two FINs, neither acknowledges the other.
    FinSimultaneous,
    /// Two FINs.
    Fin,
    /// One FIN, acknowledged.
    HalfClosed,
    /// One FIN, never acknowledged.
    FinUnanswered,
    /// Data retransmitted into silence.
    DataUnanswered,
    /// None of these.
    Open,
}

/// Neither end, one, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Neither.
    None,
    /// The client.
    Client,
    /// The server.
    Server,
    /// Both.
    Both,
}

/// What a socket pair's reuse drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReuseOutcome {
    /// SYN-ACK at once, or after a retransmission.
    Accepted,
    /// Challenge ACK, then SYN-ACK.
    ChallengedThenAccepted,
    /// Challenge ACK only.
    Challenged,
    /// RST.
    Refused,
    /// Nothing.
    Unanswered,
}

impl Opened {
    /// Whether the connection ever carried, or could carry, data.
    #[must_use]
    pub const fn carries_data(self) -> bool {
        matches!(self, Self::Handshake | Self::Simultaneous | Self::BeforeCapture)
    }

    /// As the connection table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Simultaneous => "simultaneous",
            Self::HalfOpen => "half-open",
            Self::Aborted => "aborted",
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Challenged => "challenged",
            Self::BeforeCapture => "before-capture",
        }
    }
}

impl Close {
    /// As the connection table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FinReset => "fin-reset",
            Self::Reset => "reset",
            Self::FinSimultaneous => "fin-simultaneous",
            Self::Fin => "fin",
            Self::HalfClosed => "half-closed",
            Self::FinUnanswered => "fin-unanswered",
            Self::DataUnanswered => "data-unanswered",
            Self::Open => "open",
        }
    }
}

impl Who {
    /// As the connection table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => words!("none"),
            Self::Client => words!("client"),
            Self::Server => words!("server"),
            Self::Both => words!("both"),
        }
    }

    pub(super) const fn one(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
        }
    }

    /// Whether `side` is meant.
    #[must_use]
    pub fn includes(self, side: Side) -> bool {
        self == Self::Both || self == Self::one(side)
    }
}

impl ReuseOutcome {
    /// As the connection table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ChallengedThenAccepted => "challenged-then-accepted",
            Self::Challenged => "challenged",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}
