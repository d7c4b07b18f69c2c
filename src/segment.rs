//! Packets become segments: link layers, tunnels, IP and TCP headers are read here, once.
//!
//! A [`Segment`] is one cache line. Plain IPv4 addresses lie in it; everything wider (IPv6, or anything inside
//! a tunnel) lies in a [`Wide`] record beside it. `thin` decodes Ethernet, VLAN tags, IPv4, IPv6 and TCP with
//! whole headers; whatever it declines goes to `full`, which knows every layer and gives the same segments.
//!
//! RFC 9293 section 3.1 (header), RFC 7323 section 3.2 (Timestamps option).

mod checksum;
mod filter;
mod flags;
mod fragments;
mod frames;
mod full;
mod ip;
mod labels;
mod link;
mod odd;
mod options;
mod pair;
mod rewrite;
mod seq;
mod sink;
mod thin;
mod tunnel;

pub use filter::{Candidate, Filter, FilterError};
pub use flags::Flags;
pub use fragments::{Fragment, Reassembly};
pub use frames::{FlagCounts, Frames, HEADERS_CUT, Skips};
pub use labels::{LabelKind, Labels};
pub use odd::{Clock, Leap, Noted};
pub use pair::PairHasher;
pub use rewrite::{Replace, rewrite};
pub use seq::{SeqNumber, TsVal};
pub use sink::{Batch, Decoder, Echo, IcmpError, SHARDS, ShardBatch};
pub use tunnel::{NoTunnel, Tunnel, TunnelLayer};

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// One TCP segment, or one ICMP error that quotes a segment, as the tracker wants it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[repr(align(64))]
pub struct Segment {
    /// When it was captured.
    pub at: Time,
    /// Its frame, counted from 0 within its batch.
    pub frame: u32,
    /// Hash of the unordered socket pair.
    pub hash: u32,
    /// Source address, or the index of the `Wide` record where [`Marks::WIDE`] is set.
    pub src: u32,
    /// Destination address; unused where [`Marks::WIDE`] is set.
    pub dst: u32,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first octet.
    pub seq: SeqNumber,
    /// Acknowledgment number; meaningless without ACK.
    pub ack: SeqNumber,
    /// TSval where [`Marks::TIMESTAMPS`] is set.
    pub tsval: TsVal,
    /// TSecr where [`Marks::TIMESTAMPS`] is set.
    pub tsecr: TsVal,
    /// Octets of data, by the IP header's length, captured or not.
    pub payload: u32,
    /// A SYN's option layout, folded; see [`Segment::mss`].
    pub layout: u32,
    /// Window as it stands in the header, not scaled.
    pub window: u16,
    /// Maximum segment size of a SYN; 0 where absent.
    pub mss: u16,
    /// Control bits.
    pub flags: Flags,
    /// What else is known.
    pub marks: Marks,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Window scale of a SYN; 255 where absent.
    pub window_scale: u8,
    /// Identification of the IPv4 header; 0 for IPv6.
    pub ident: u16,
    /// Checksum as it stands in the header: with `ident` it tells a copy from a retransmission.
    pub checksum: u16,
}

/// What is known of a segment beside its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(pub u8);

impl Marks {
    /// Addresses lie in a `Wide` record.
    pub const WIDE: u8 = 1;
    /// It carries the Timestamps option.
    pub const TIMESTAMPS: u8 = 2;
    /// It is an ICMP error; addresses, ports and `seq` are those of the segment it quotes.
    pub const ICMP_ERROR: u8 = 4;
    /// The options were cut off by a short snap length.
    pub const OPTIONS_CUT: u8 = 8;
    /// A SYN whose checksum was left to the network card.
    pub const CHECKSUM_OFFLOADED: u8 = 16;
    /// A SYN whose checksum is wrong otherwise.
    pub const CHECKSUM_WRONG: u8 = 32;

    /// Whether all bits of `mask` are set.
    #[must_use]
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// Addresses that do not fit into a `Segment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wide {
    /// Source; IPv4 as IPv4-mapped.
    pub src: [u8; 16],
    /// Destination; IPv4 as IPv4-mapped.
    pub dst: [u8; 16],
    /// Index of the tunnel in its batch plus one; 0 outside any tunnel.
    pub tunnel: u32,
}

impl Segment {
    /// TSval, where the segment carries one.
    #[must_use]
    pub fn timestamp(&self) -> Option<TsVal> {
        self.marks.has(Marks::TIMESTAMPS).then_some(self.tsval)
    }

    /// Sequence space that the segment takes: data, SYN and FIN (RFC 9293 section 3.4).
    #[must_use]
    pub fn sequence_length(&self) -> u32 {
        let controls = u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        self.payload.wrapping_add(controls)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_segment_is_one_cache_line() {
        assert_eq!(size_of::<super::Segment>(), 64);
    }
}
