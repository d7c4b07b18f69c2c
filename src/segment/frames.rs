//! What the frames of a batch, or of a whole capture, come to: counts, and the first frame of what is odd.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::odd::{Clock, Noted};
use super::{Flags, Marks};
use crate::time::Time;

/// The reason of frames whose TCP header was cut off.
pub const HEADERS_CUT: &str = "headers cut by the snap length";

/// Why a frame gave no segment, in the order in which the report lists them.
const REASONS: [&str; Skips::COUNT] = [
    "not IP",
    "IP, but neither TCP nor ICMP",
    "link type not supported",
    HEADERS_CUT,
    "malformed header",
    "fragment without a TCP header",
    "layers nested too deep",
    "record without a packet",
];

/// Frames passed over, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skips {
    counts: [(u64, u64); Self::COUNT],
}

/// Names a reason of [`Skips`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// ARP, spanning tree and the like.
    NotIp,
    /// UDP, SCTP and the like.
    NotTcp,
    /// No decoder for the link type.
    LinkType,
    /// The snap length cut a header that was needed.
    Cut,
    /// A header contradicts itself.
    Malformed,
    /// A later fragment of an IP datagram.
    Fragment,
    /// More layers than any network has.
    TooDeep,
    /// A record that holds something else than a packet.
    NoPacket,
}

impl Skips {
    const COUNT: usize = 8;

    /// Counts one frame; `frame` is counted from 0.
    pub fn add(&mut self, reason: Skip, frame: u64) {
        if let Some((count, first)) = self.counts.get_mut(reason as usize) {
            if *count == 0 {
                *first = frame;
            }
            *count += 1;
        }
    }

    /// Adds what a later batch passed over; its frames are counted from `base`.
    pub fn append(&mut self, later: &Self, base: u64) {
        for ((count, first), (more, more_first)) in self.counts.iter_mut().zip(&later.counts) {
            if *count == 0 && *more > 0 {
                *first = more_first.saturating_add(base);
            }
            *count = count.saturating_add(*more);
        }
    }

    /// Reason, count and first frame (from 0) of everything that was passed over.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        REASONS
            .into_iter()
            .zip(self.counts)
            .filter(|(_, (count, _))| *count > 0)
            .map(|(r, (count, first))| (r, count, first))
    }
}

/// TCP segments by their flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    /// SYN without ACK.
    pub syn: u64,
    /// SYN with ACK.
    pub syn_ack: u64,
    /// FIN.
    pub fin: u64,
    /// RST.
    pub rst: u64,
}

impl FlagCounts {
    pub(super) fn add(&mut self, flags: Flags) {
        self.add_ends(flags);
        if flags.has(Flags::SYN) {
            self.add_syn(flags);
        }
    }

    /// Counts a segment as far as it ends something.
    #[inline(always)]
    pub(super) fn add_ends(&mut self, flags: Flags) {
        self.fin += u64::from(flags.has(Flags::FIN));
        self.rst += u64::from(flags.has(Flags::RST));
    }

    /// Counts a segment with SYN as such.
    #[inline(always)]
    pub(super) fn add_syn(&mut self, flags: Flags) {
        let acknowledges = flags.has(Flags::ACK);
        self.syn += u64::from(!acknowledges);
        self.syn_ack += u64::from(acknowledges);
    }

    /// Adds the counts of another batch.
    pub fn append(&mut self, other: &Self) {
        self.syn = self.syn.saturating_add(other.syn);
        self.syn_ack = self.syn_ack.saturating_add(other.syn_ack);
        self.fin = self.fin.saturating_add(other.fin);
        self.rst = self.rst.saturating_add(other.rst);
    }
}

/// What the frames of a batch, or of a whole capture, come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Frames read.
    pub packets: u64,
    /// Frames that a filter left out.
    pub left_out: u64,
    /// TCP segments among those that were kept.
    pub segments: u64,
    /// Packets that took the complete decode path.
    pub slow_path: u64,
    /// The earliest time; [`Time::MAX`] where there is none.
    pub first_at: Time,
    /// The latest time; [`Time::MIN`] where there is none.
    pub last_at: Time,
    /// The time of the first frame that has one and that of the last, to notice what a clock does between two batches;
    /// [`Time::MIN`] where none has: records without packets, and frames that were left out.
    pub ends_at: [Time; 2],
    /// The number, from 0, of the first frame that has a time: what lies between it and the frames before is found in front
    /// of it.
    pub(super) first_timed: u64,
    /// When the recording began and ended that an excerpt was cut from.
    pub recorded: Option<(Time, Time)>,
    /// Steps back and gaps between neighbouring frames.
    pub clock: Clock,
    /// SYNs whose options were cut off, so that their timestamps are unknown.
    pub syn_options_cut: Noted,
    /// Other segments whose options were cut off.
    pub options_cut: Noted,
    /// SYNs that still lack the checksum that the network card was to fill in.
    pub checksum_offloaded: Noted,
    /// SYNs with a checksum that is neither right nor left to the network card.
    pub checksum_wrong: Noted,
    /// Segments that are copies of others; the trackers tell.
    pub duplicates: u64,
    /// Counts by flags.
    pub flags: FlagCounts,
    /// What was passed over.
    pub skips: Skips,
    /// Link types met, one bit each in the order of [`LinkType::ALL`](crate::capture::LinkType::ALL).
    pub link_types: u32,
    /// Packets that the capturing side says it dropped, by interface.
    pub dropped: BTreeMap<u32, u64>,
    /// Records that are no packets but should be, by reason.
    pub odd_records: Vec<(Cow<'static, str>, u64)>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            packets: 0,
            left_out: 0,
            segments: 0,
            slow_path: 0,
            first_at: Time::MAX,
            last_at: Time::MIN,
            ends_at: [Time::MIN; 2],
            first_timed: 0,
            recorded: None,
            clock: Clock::default(),
            syn_options_cut: Noted::default(),
            options_cut: Noted::default(),
            checksum_offloaded: Noted::default(),
            checksum_wrong: Noted::default(),
            duplicates: 0,
            flags: FlagCounts::default(),
            skips: Skips::default(),
            link_types: 0,
            dropped: BTreeMap::new(),
            odd_records: Vec::new(),
        }
    }
}

impl Frames {
    /// Adds what came later in the same capture.
    pub fn append(&mut self, later: &Self) {
        let base = self.packets;
        self.skips.append(&later.skips, base);
        for (noted, more) in [
            (&mut self.syn_options_cut, later.syn_options_cut),
            (&mut self.options_cut, later.options_cut),
            (&mut self.checksum_offloaded, later.checksum_offloaded),
            (&mut self.checksum_wrong, later.checksum_wrong),
        ] {
            noted.append(more, base);
        }
        self.clock.append(&later.clock, base);
        let ([_, previous], [next, _]) = (self.ends_at, later.ends_at);
        let first_timed = base.saturating_add(later.first_timed);
        if previous != Time::MIN && next != Time::MIN && Clock::strays(previous, next) {
            self.clock.note(previous, next, first_timed);
        }
        self.packets = self.packets.saturating_add(later.packets);
        self.left_out = self.left_out.saturating_add(later.left_out);
        self.segments = self.segments.saturating_add(later.segments);
        self.slow_path = self.slow_path.saturating_add(later.slow_path);
        self.first_at = self.first_at.min(later.first_at);
        self.last_at = self.last_at.max(later.last_at);
        if let Some((from, until)) = later.recorded {
            self.add_recorded(from, until);
        }
        let ([first, last], [later_first, later_last]) = (&mut self.ends_at, later.ends_at);
        if *first == Time::MIN && later_first != Time::MIN {
            (*first, self.first_timed) = (later_first, first_timed);
        }
        if later_last != Time::MIN {
            *last = later_last;
        }
        self.duplicates = self.duplicates.saturating_add(later.duplicates);
        self.flags.append(&later.flags);
        self.link_types |= later.link_types;
        // The counters of a capture only grow; the last one counts.
        self.dropped.extend(later.dropped.iter());
        for (reason, count) in &later.odd_records {
            self.add_odd(reason.clone(), *count);
        }
    }

    /// Packets that the capturing side says it dropped on all interfaces.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, packets| sum.saturating_add(*packets))
    }

    pub(super) fn add_recorded(&mut self, from: Time, until: Time) {
        let known = self.recorded.unwrap_or((from, until));
        self.recorded = Some((known.0.min(from), known.1.max(until)));
    }

    #[cold]
    pub(super) fn note_checksum(&mut self, marks: Marks, frame: u32) {
        if marks.has(Marks::CHECKSUM_OFFLOADED) {
            self.checksum_offloaded.add(u64::from(frame));
        } else if marks.has(Marks::CHECKSUM_WRONG) {
            self.checksum_wrong.add(u64::from(frame));
        }
    }

    pub(super) fn add_odd(&mut self, reason: Cow<'static, str>, count: u64) {
        match self.odd_records.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => self.odd_records.push((reason, count)),
        }
    }
}

#[cfg(all(test, feature = "columns"))]
mod tests {
    use super::*;

    /// Ranges of a capture are written down and added elsewhere: a gap lies in front of the same frame there.
    #[test]
    fn what_was_written_and_read_adds_up_to_the_same() {
        let at = |seconds| Time::from_parts(seconds, 0);
        let part =
            |times: [Time; 2], first_timed| Frames { packets: 10, ends_at: times, first_timed, ..Frames::default() };
        let parts = [part([Time::MIN; 2], 0), part([at(1), at(2)], 4), part([at(5000), at(5001)], 7)];
        let whole = |parts: &[Frames]| {
            let mut whole = Frames::default();
            parts.iter().for_each(|part| whole.append(part));
            whole
        };
        let read = parts.clone().map(|part| postcard::from_bytes(&postcard::to_stdvec(&part).unwrap()).unwrap());
        let expected = whole(&parts);
        assert_eq!(whole(&read), expected);
        assert_eq!(expected.first_timed, 14);
        let mut stepped = Frames::default();
        stepped.clock.note(at(2), at(5000), 27);
        assert_eq!(expected.clock, stepped.clock);
    }
}
