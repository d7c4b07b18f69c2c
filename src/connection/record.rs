//! What was seen of one connection: the compact record that the tracker fills, three cache lines.
//!
//! A record holds observations only (sequence numbers, times, flags). How the connection opened and closed is
//! derived from it by pure functions (see `view`), as Zeek derives `conn_state` from its two endpoints. A
//! capture never shows TIME-WAIT or CLOSE-WAIT: they are inferred, and claimed states are another type.

use serde::{Deserialize, Serialize};

use super::{History, Side};
use crate::segment::{SeqNumber, TsVal};
use crate::time::Time;

/// One incarnation of a socket pair at one capture point. Index 0 is the client, 1 the server.
///
/// `repr(C)` keeps the fields in this order: by itself the compiler sorts them by alignment, and scatters over three
/// lines what one segment needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C, align(64))]
pub struct Record {
    // The first line: all that a segment of an open connection touches.
    /// IPv4 addresses; or the index of a `WidePair` in the first.
    pub(super) addresses: [u32; 2],
    pub(super) ports: [u16; 2],
    pub(super) state: State,
    /// The highest sequence number that each side has sent, plus one; with its FIN, once that was sent.
    pub(super) next: [SeqNumber; 2],
    /// The highest acknowledgment number that each side has sent.
    pub(super) acked: [SeqNumber; 2],
    pub(super) last_at: Time,
    pub(super) last_frame: u64,
    pub(super) packets: [u32; 2],
    /// Octets of data, lower 32 bits.
    pub(super) bytes: [u32; 2],

    // The second line: how it opened.
    pub(super) first_at: Time,
    pub(super) first_frame: u64,
    pub(super) isn: [SeqNumber; 2],
    /// Microseconds from the first SYN to the client's ACK of the SYN-ACK; `u32::MAX` where not seen.
    pub(super) handshake: u32,
    pub(super) syn_tsval: TsVal,
    pub(super) syn_ack_tsval: TsVal,
    pub(super) layout: u32,
    /// What waits for its answer: 0 nothing, 1 the first SYN, with the highest bit the index of a `LateEvent`, else
    /// the index of a `SynEvent` plus two.
    pub(super) pending: u32,
    /// Index of the incarnation before this one plus one; 0 where there is none.
    pub(super) previous: u32,
    pub(super) mss: u16,
    pub(super) syn_count: u16,
    pub(super) point: u16,
    pub(super) more: More,
    pub(super) ttl: [u8; 2],
    pub(super) window_scale: u8,
    pub(super) syn_ack_count: u8,
    /// Octets of data, bits 32 to 39.
    pub(super) bytes_high: [u8; 2],
    /// [`Record::HOLES`], [`Record::DOUBLED`].
    pub(super) odd: u8,

    // The third line: how it closed.
    /// The last copy of each side's FIN before its first ACK.
    pub(super) fin_at: [Time; 2],
    /// The first ACK of each side's FIN.
    pub(super) fin_acked_at: [Time; 2],
    /// Microseconds from the first copy of each side's FIN to `fin_at`.
    pub(super) fin_span: [u32; 2],
    pub(super) rst_at: Time,
    /// The peer's TSval as the active closer got it: with the ACK of its FIN, and with the peer's FIN.
    pub(super) learnt: [TsVal; 2],
    pub(super) history: History,
}

/// Addresses of a socket pair that do not fit into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WidePair {
    /// Client and server; IPv4 as IPv4-mapped.
    pub(super) addresses: [[u8; 16]; 2],
    /// Index of the tunnel plus one; 0 outside any tunnel.
    pub(super) tunnel: u32,
}

/// What was seen, one bit each. Bits of both sides are neighbours, the client's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State(pub(super) u32);

impl State {
    /// A SYN was sent by the client (shift by one for the server).
    pub(super) const SYN: u32 = 1;
    pub(super) const SYN_ACK: u32 = 1 << 2;
    pub(super) const FIN: u32 = 1 << 4;
    pub(super) const FIN_ACKED: u32 = 1 << 6;
    pub(super) const DATA: u32 = 1 << 8;
    pub(super) const PURE_ACK: u32 = 1 << 10;
    /// The RST that counts, by its sender.
    pub(super) const RST: u32 = 1 << 12;
    /// Who sent the first FIN.
    pub(super) const FIRST_FIN: u32 = 1 << 14;
    /// The handshake was completed, or the capture began after it.
    pub(super) const ESTABLISHED: u32 = 1 << 16;
    /// Neither FIN acknowledges the other.
    pub(super) const SIMULTANEOUS_CLOSE: u32 = 1 << 17;
    /// A SYN drew an ACK that is no SYN-ACK.
    pub(super) const CHALLENGED: u32 = 1 << 18;
    /// A SYN drew a RST.
    pub(super) const REFUSED: u32 = 1 << 19;
    /// A SYN drew an ICMP error.
    pub(super) const UNREACHABLE: u32 = 1 << 20;
    /// The client answered the SYN-ACK with RST.
    pub(super) const ABORTED: u32 = 1 << 21;
    /// Addresses lie in a `WidePair`.
    pub(super) const WIDE: u32 = 1 << 22;
    /// The first packet is a SYN; `syn_tsval` and its kin are that SYN's.
    pub(super) const OPENED_BY_SYN: u32 = 1 << 23;
    /// No SYN-ACK was captured, but later segments prove that there was one.
    pub(super) const SYN_ACK_IMPLIED: u32 = 1 << 24;
    /// The client is a guess: no SYN and no SYN-ACK was seen.
    pub(super) const CLIENT_GUESSED: u32 = 1 << 25;
    /// A SYN waits for its answer (`pending` is not 0).
    pub(super) const WAITING: u32 = 1 << 26;
    /// There is an incarnation before this one (`previous` is not 0).
    pub(super) const FOLLOWS: u32 = 1 << 27;
    /// Two bits a side from here on: data retransmissions since the peer was last heard, at most 3.
    const SILENT: u32 = 28;
    /// Both FINs were acknowledged.
    pub(super) const CLOSED: u32 = State::FIN_ACKED | State::FIN_ACKED << 1;
    /// Anything that makes a plain segment worth a closer look.
    pub(super) const BUSY: u32 = State::FIN | State::FIN << 1 | State::RST | State::RST << 1 | State::WAITING;

    #[inline]
    pub(super) const fn has(self, mask: u32) -> bool {
        self.0 & mask == mask
    }

    #[inline]
    pub(super) const fn any(self, mask: u32) -> bool {
        self.0 & mask != 0
    }

    pub(super) fn set(&mut self, mask: u32) {
        self.0 |= mask;
    }

    /// Whether a two-sided bit is set for `side`.
    #[inline]
    pub(super) fn of(self, mask: u32, side: Side) -> bool {
        self.has(mask << side.index())
    }

    pub(super) fn set_of(&mut self, mask: u32, side: Side) {
        self.set(mask << side.index());
    }

    /// Data retransmissions of a side since its peer was last heard, at most 3.
    pub(super) const fn silent(self, side: Side) -> u32 {
        self.0 >> (Self::SILENT + 2 * side.index() as u32) & 3
    }

    /// A peer that is heard is not silent.
    #[inline]
    pub(super) fn heard(&mut self, peer: Side) {
        self.0 &= !(3 << (Self::SILENT + 2 * peer.other().index() as u32));
    }

    pub(super) fn retransmitted(&mut self, side: Side) {
        if self.silent(side) < 3 {
            self.0 += 1 << (Self::SILENT + 2 * side.index() as u32);
        }
    }

    /// Exchanges the bits of both sides.
    pub(super) fn swap_sides(&mut self) {
        const PAIRS: u32 = 0x5555;
        let (both, silent) = (self.0 & 0xffff, self.0 >> Self::SILENT);
        self.0 &= 0x0fff_0000;
        self.0 |= (both & PAIRS) << 1 | both >> 1 & PAIRS;
        self.0 |= (silent << 2 & 0xc | silent >> 2) << Self::SILENT;
    }
}

/// More of what was seen; not needed on the hot path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More(pub(super) u16);

impl More {
    /// Three bits: the fate of the first SYN.
    pub(super) const FATE: u16 = 7;
    /// The active closer learnt a TSval with the ACK of its FIN.
    pub(super) const LEARNT_ACK: u16 = 1 << 3;
    /// The active closer learnt a TSval with the peer's FIN.
    pub(super) const LEARNT_FIN: u16 = 1 << 4;
    /// A SYN-ACK was repeated although the client had acknowledged it.
    pub(super) const SYN_ACK_AFTER_ACK: u16 = 1 << 5;
    /// The client's first data was repeated before the server acknowledged any.
    pub(super) const EARLY_RETRANSMISSION: u16 = 1 << 6;
    /// A RST after both FINs were acknowledged.
    pub(super) const LATE_RST: u16 = 1 << 7;
    /// A zero window was announced.
    pub(super) const ZERO_WINDOW: u16 = 1 << 8;
    /// The end that closed last sent data after the other's FIN.
    pub(super) const DATA_AFTER_FIN: u16 = 1 << 9;
    /// A segment that belongs to an earlier incarnation, or to none.
    pub(super) const STRAY: u16 = 1 << 10;
    /// The first SYN carried timestamps.
    pub(super) const SYN_TIMESTAMP: u16 = 1 << 11;
    /// The SYN-ACK carried timestamps.
    pub(super) const SYN_ACK_TIMESTAMP: u16 = 1 << 12;
    /// A SYN was repeated although a SYN-ACK had answered it.
    pub(super) const SYN_AFTER_SYN_ACK: u16 = 1 << 13;
    /// A keep-alive or window probe of the client was seen (shift by one for the server).
    pub(super) const PROBE: u16 = 1 << 14;

    pub(super) const fn has(self, mask: u16) -> bool {
        self.0 & mask == mask
    }

    pub(super) fn set(&mut self, mask: u16) {
        self.0 |= mask;
    }

    /// Whether a two-sided bit is set for `side`.
    pub(super) const fn of(self, mask: u16, side: Side) -> bool {
        self.has(mask << side.index())
    }

    pub(super) fn set_of(&mut self, mask: u16, side: Side) {
        self.set(mask << side.index());
    }

    /// Exchanges the bits of both sides.
    fn swap_sides(&mut self) {
        let probes = self.0 >> 14;
        self.0 = self.0 & !(3 << 14) | (probes << 1 & 2 | probes >> 1) << 14;
    }
}

impl Record {
    /// Segments were seen beyond the next expected number.
    pub(super) const HOLES: u8 = 1;
    /// Copies of its packets were seen.
    pub(super) const DOUBLED: u8 = 2;

    /// Exchanges client and server, where the client was a wrong guess. `WidePair`s are exchanged by their owner.
    pub(super) fn swap_sides(&mut self) {
        if !self.state.has(State::WIDE) {
            self.addresses.swap(0, 1);
        }
        self.ports.swap(0, 1);
        self.state.swap_sides();
        self.more.swap_sides();
        self.next.swap(0, 1);
        self.acked.swap(0, 1);
        self.packets.swap(0, 1);
        self.bytes.swap(0, 1);
        self.isn.swap(0, 1);
        self.ttl.swap(0, 1);
        self.bytes_high.swap(0, 1);
        self.fin_at.swap(0, 1);
        self.fin_acked_at.swap(0, 1);
        self.fin_span.swap(0, 1);
        self.history.swap_sides();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_three_cache_lines() {
        assert_eq!(size_of::<Record>(), 192);
    }

    /// A plain segment touches one cache line of its record, and the read ahead fetches that one.
    #[test]
    fn what_a_plain_segment_touches_is_the_first_line() {
        use std::mem::offset_of;
        let hot = [
            offset_of!(Record, addresses),
            offset_of!(Record, ports),
            offset_of!(Record, state),
            offset_of!(Record, next),
            offset_of!(Record, acked),
            offset_of!(Record, last_at),
            offset_of!(Record, last_frame),
            offset_of!(Record, packets),
            offset_of!(Record, bytes),
        ];
        assert!(hot.iter().all(|offset| *offset < 64), "{hot:?}");
    }

    #[test]
    fn sides_are_exchanged_bit_by_bit() {
        let mut state = State(State::SYN | State::FIN << 1 | State::ESTABLISHED);
        state.retransmitted(Side::Server);
        state.swap_sides();
        let mut expected = State(State::SYN << 1 | State::FIN | State::ESTABLISHED);
        expected.retransmitted(Side::Client);
        assert_eq!(state, expected);
    }
}
