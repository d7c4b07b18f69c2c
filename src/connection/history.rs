//! The history of a connection: one letter an event, in order, upper case from the client.
//!
//! The idea is Zeek's `history` of conn.log; the letters are this program's own: `S` SYN, `H` SYN-ACK, `A` first
//! pure ACK, `D` first data, `F` FIN, `R` RST, `T` a retransmission of any of them.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::Side;

/// Up to sixteen events in one word, four bits each; `+` tells that there were more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History(u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SYN.
    Syn = 1,
    /// SYN-ACK.
    SynAck = 2,
    /// The first ACK without data.
    Ack = 3,
    /// The first data.
    Data = 4,
    /// FIN.
    Fin = 5,
    /// RST.
    Rst = 6,
    /// SYN, SYN-ACK, data or FIN again.
    Again = 7,
}

const LETTERS: [char; 8] = [' ', 'S', 'H', 'A', 'D', 'F', 'R', 'T'];
const CAPACITY: usize = 16;
const SERVER: u64 = 8;
/// Client bit without an event: cannot happen otherwise.
const MORE: u64 = 8;

impl History {
    /// Adds an event of one side.
    pub fn push(&mut self, side: Side, event: Event) {
        let code = event as u64 | if side == Side::Server { SERVER } else { 0 };
        let length = self.len();
        if length < CAPACITY {
            self.0 |= code << (length * 4);
        } else {
            // The last place tells that there was no room.
            self.0 = self.0 & !(0xf << 60) | MORE << 60;
        }
    }

    /// Exchanges both sides, where the client was guessed wrong.
    pub fn swap_sides(&mut self) {
        for place in 0..self.len() {
            let code = self.0 >> (place * 4) & 0xf;
            if code != MORE {
                self.0 ^= SERVER << (place * 4);
            }
        }
    }

    fn len(self) -> usize {
        CAPACITY - self.0.leading_zeros() as usize / 4
    }
}

crate::language::values!(History);

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in 0..self.len() {
            let code = self.0 >> (place * 4) & 0xf;
            let letter = LETTERS.get((code & 7) as usize).copied().unwrap_or(' ');
            match code {
                MORE => f.write_str("+")?,
                code if code & SERVER != 0 => f.write_char(letter.to_ascii_lowercase())?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_trace() {
        let mut history = History::default();
        for (side, event) in [(Side::Client, Event::Syn), (Side::Server, Event::SynAck), (Side::Client, Event::Ack)] {
            history.push(side, event);
        }
        assert_eq!(history.to_string(), "ShA");
        history.swap_sides();
        assert_eq!(history.to_string(), "sHa");
    }

    #[test]
    fn a_long_one_says_that_it_is_cut() {
        let mut history = History::default();
        (0..40).for_each(|_| history.push(Side::Client, Event::Again));
        assert_eq!(history.to_string(), "TTTTTTTTTTTTTTT+");
        history.swap_sides();
        assert_eq!(history.to_string(), "ttttttttttttttt+");
    }
}
