//! The state that a host claims one of its sockets to be in.
//!
//! It follows the state names of RFC 9293, section 3.3.2. What a capture shows of an endpoint is
//! another thing and another type: a host may claim ESTABLISHED long after its peer has gone.

use std::fmt;

/// One of the states of RFC 9293, section 3.3.2, as a host's own listing claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpState {
    /// Waiting for a connection request from any peer.
    Listen,
    /// A request was sent, and no matching one received.
    SynSent,
    /// A request was received and sent, and its acknowledgement is missing.
    SynReceived,
    /// Open.
    Established,
    /// The own FIN was sent and is not acknowledged.
    FinWait1,
    /// The own FIN is acknowledged, the peer has not closed.
    FinWait2,
    /// The peer has closed, the own application has not.
    CloseWait,
    /// Both have sent a FIN, and the own one is not acknowledged.
    Closing,
    /// The peer closed first, and the own FIN is not acknowledged.
    LastAck,
    /// Waiting until old segments have left the network.
    TimeWait,
    /// No connection at all.
    Closed,
}

/// Every spelling met so far, in upper case and without separators, beside what it means.
const SPELLINGS: [(&str, TcpState); 18] = [
    ("ESTAB", TcpState::Established),
    ("ESTABLISHED", TcpState::Established),
    ("TIMEWAIT", TcpState::TimeWait),
    ("LISTEN", TcpState::Listen),
    ("LISTENING", TcpState::Listen),
    ("CLOSEWAIT", TcpState::CloseWait),
    ("SYNRECV", TcpState::SynReceived),
    ("SYNRCVD", TcpState::SynReceived),
    ("SYNRECEIVED", TcpState::SynReceived),
    ("SYNSENT", TcpState::SynSent),
    ("FINWAIT1", TcpState::FinWait1),
    ("FINWAIT2", TcpState::FinWait2),
    ("LASTACK", TcpState::LastAck),
    ("CLOSING", TcpState::Closing),
    ("CLOSE", TcpState::Closed),
    ("CLOSED", TcpState::Closed),
    ("UNCONN", TcpState::Closed),
    ("DELETETCB", TcpState::Closed),
];

impl TcpState {
    /// Every state, in the order of RFC 9293.
    pub const ALL: [Self; 11] = [
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// Reads any tool's spelling: `TIME-WAIT`, `TIME_WAIT`, `FIN_WAIT1`, `FIN-WAIT-1`, `SYN_RCVD`, `LISTENING`.
    #[must_use]
    pub fn from_spelling(word: &str) -> Option<Self> {
        let mut folded = [0_u8; 16];
        let mut length = 0;
        for byte in word.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b'(' | b')')) {
            *folded.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
        }
        let folded = folded.get(..length)?;
        SPELLINGS.iter().find(|(spelling, _)| spelling.as_bytes() == folded).map(|&(_, state)| state)
    }

    /// Reads the kernel's number, as `/proc/net/tcp` has it in hexadecimal (`include/net/tcp_states.h`).
    #[must_use]
    pub const fn from_kernel(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // 12 is a request socket, which the listing shows as 3.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }

    /// The name that RFC 9293 gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        }
    }
}

crate::language::values!(TcpState);

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many sockets were listed in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateCounts([u64; TcpState::ALL.len()]);

impl StateCounts {
    /// Counts one more socket in `state`.
    pub fn add(&mut self, state: TcpState) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds the counts of another part.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_add(more);
        }
    }

    /// Sockets listed in `state`.
    #[must_use]
    pub fn get(&self, state: TcpState) -> u64 {
        self.0.get(state as usize).copied().unwrap_or(0)
    }

    /// Sockets listed in any state.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_spells_the_same_states() {
        for (words, state) in [
            (&["TIME-WAIT", "TIME_WAIT"][..], TcpState::TimeWait),
            (&["FIN-WAIT-1", "FIN_WAIT1", "FIN_WAIT_1"], TcpState::FinWait1),
            (&["FIN-WAIT-2", "FIN_WAIT2", "FIN_WAIT_2"], TcpState::FinWait2),
            (&["SYN-RECV", "SYN_RECV", "SYN_RCVD", "SYN_RECEIVED"], TcpState::SynReceived),
            (&["LISTEN", "LISTENING"], TcpState::Listen),
            (&["ESTAB", "ESTABLISHED"], TcpState::Established),
        ] {
            for word in words {
                assert_eq!(TcpState::from_spelling(word), Some(state), "{word}");
            }
        }
        for state in TcpState::ALL {
            assert_eq!(TcpState::from_spelling(state.name()), Some(state));
        }
        assert_eq!(TcpState::from_spelling("State"), None);
        assert_eq!(TcpState::from_spelling("A-WORD-LONGER-THAN-ANY-STATE"), None);
    }

    #[test]
    fn states_are_numbered_as_they_are_listed() {
        for (index, state) in TcpState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, index);
        }
    }
}
