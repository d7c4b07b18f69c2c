//! Capture files become packets: one file a format, walked in place on buffers that somebody else fills.
//!
//! A [`Format`] knows how to find a record in the middle of a file and how to walk records from a known start.
//! Reading, cutting into blocks and threads are not its business (see `ingest`).

pub mod excerpt;
mod link_type;
pub mod pcap;
pub mod pcapng;
pub mod snoop;

pub use link_type::LinkType;

use crate::time::Time;

/// No capture tool writes longer packets; a longer one is damage (`WTAP_MAX_PACKET_SIZE_STANDARD`).
pub const LONGEST_PACKET: u32 = 262_144;

/// Sees every packet of a walk.
pub trait Visit {
    /// One frame; `original` is its length on the wire.
    fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32);

    /// Packets that the capturing side says it dropped on one interface so far.
    fn dropped(&mut self, _interface: u32, _packets: u64) {}

    /// A record that holds no packet, and that Wireshark counts as a frame all the same.
    fn no_packet(&mut self) {}

    /// A block of a pcapng file as it stands there, before what it means is visited.
    #[inline]
    fn block(&mut self, _big_endian: bool, _kind: u32, _block: &[u8]) {}

    /// When the recording began and ended that an excerpt was cut from; see [`excerpt`].
    fn recorded(&mut self, _from: Time, _until: Time) {}

    /// Something odd that is passed over.
    fn odd(&mut self, _reason: &'static str) {}
}

/// Sees nothing: to learn where records end.
#[derive(Debug)]
pub struct Blind;

impl Visit for Blind {
    #[inline]
    fn packet(&mut self, _: Time, _: LinkType, _: &[u8], _: u32) {}
}

/// Where a walk ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The place in the buffer of the first record that was not visited.
    pub place: usize,
    /// What kept the walk from going on; `None` where it reached its limit or the buffer's end.
    pub stop: Option<Stop>,
}

/// What keeps a walk from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The buffer ends within a record; `needed` octets from the record's start would do.
    Short {
        /// Octets from the start of the record.
        needed: usize,
    },
    /// What stands there is no record.
    Damaged {
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl Walked {
    const fn at(place: usize) -> Self {
        Self { place, stop: None }
    }
}

/// A capture whose file header has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Classic pcap.
    Pcap(pcap::Pcap),
    /// pcapng, before its first block.
    Pcapng(pcapng::Pcapng),
    /// Solaris snoop.
    Snoop(snoop::Snoop),
}

/// Reads the header of a capture file, whatever its name; `None` where it is none.
#[must_use]
pub fn recognise(head: &[u8]) -> Option<Recognised> {
    let pcap = || pcap::Pcap::open(head).map(Recognised::Pcap);
    let pcapng = || pcapng::Pcapng::open(head).map(Recognised::Pcapng);
    let snoop = || snoop::Snoop::open(head).map(Recognised::Snoop);
    pcap().or_else(pcapng).or_else(snoop)
}

/// A capture format, with what must be known to walk its records.
pub trait Format: Clone + PartialEq + std::fmt::Debug + Send + Sync {
    /// The format's name in `inputs[].format`.
    const NAME: &'static str;
    /// Records begin at multiples of this many octets.
    const ALIGNMENT: u64 = 1;

    /// The first place in `bytes` where records follow one another over `span` octets or to the end.
    fn find_record(&self, bytes: &[u8], span: usize) -> Option<usize>;

    /// Visits every record that starts at or after `start` and before `limit`; what is learnt on the way
    /// (sections, interfaces) stays in `self`.
    fn walk(&mut self, bytes: &[u8], start: usize, limit: usize, visit: &mut impl Visit) -> Walked;
}
