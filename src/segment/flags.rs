//! The control bits of a TCP header. RFC 9293 section 3.1.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The control bits as they stand in octet 13 of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgment number is valid.
    pub const ACK: u8 = 0x10;

    /// Whether all bits of `mask` are set.
    #[must_use]
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }

    /// SYN without ACK: it opens.
    #[must_use]
    pub const fn is_syn(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    /// SYN with ACK: it answers.
    #[must_use]
    pub const fn is_syn_ack(self) -> bool {
        self.has(Self::SYN | Self::ACK)
    }

    /// SYN, FIN or RST: a segment that may change how a connection stands.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & (Self::SYN | Self::FIN | Self::RST) != 0
    }
}

/// As tcpdump writes them: `S`, `S.`, `.`, `P.`, `F.`, `R`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(u8, char); 8] =
            [(0x01, 'F'), (0x02, 'S'), (0x04, 'R'), (0x08, 'P'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W'), (0x10, '.')];
        for (bit, letter) in LETTERS {
            if self.has(bit) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}
