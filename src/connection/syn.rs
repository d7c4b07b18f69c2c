//! SYN segments as events: what the rules about unanswered SYNs weigh, one by one.
//!
//! The first SYN of a connection lies in its record; only the others (retransmissions, the second SYN of a
//! simultaneous open) need an event of their own, so that a million plain connections cost nothing here.

use serde::{Deserialize, Serialize};

use crate::segment::{SeqNumber, TsVal};
use crate::time::Time;

/// What became of one SYN segment.
///
/// A SYN is unanswered if nothing answers it before the next SYN of its attempt or the end of the capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SynFate {
    /// Nothing answered.
    #[default]
    None = 0,
    /// SYN-ACK.
    SynAck = 1,
    /// An ACK that is no SYN-ACK: another incarnation still lives there (RFC 9293 section 3.10.7.4).
    ChallengeAck = 2,
    /// RST.
    Rst = 3,
    /// An ICMP error that quotes it.
    Icmp = 4,
}

impl SynFate {
    pub(super) fn from_bits(bits: u16) -> Self {
        match bits {
            1 => Self::SynAck,
            2 => Self::ChallengeAck,
            3 => Self::Rst,
            4 => Self::Icmp,
            _ => Self::None,
        }
    }

    /// As the SYN table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynAck => "synack",
            Self::ChallengeAck => "challenge-ack",
            Self::Rst => "rst",
            Self::Icmp => "icmp",
        }
    }
}

/// A SYN segment that is not the first packet of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SynEvent {
    /// Index of the record.
    pub(super) record: u32,
    /// The frame, counted from 0 at its capture point.
    pub(super) frame: u64,
    pub(super) at: Time,
    pub(super) isn: SeqNumber,
    pub(super) tsval: Option<TsVal>,
    pub(super) fate: SynFate,
    /// Sent by the server of the record: a simultaneous open.
    pub(super) by_server: bool,
    /// The connection had been opened already: an old duplicate, no attempt.
    pub(super) stale: bool,
}
