//! Packets that the capture shows twice, told from what a host sends twice.
//!
//! A segment that brings nothing new is held against the ones shortly before it. It is a copy where the IPv4
//! identification is the same: a host gives every packet a new one, retransmissions too (RFC 6864 section 4.1; Linux
//! counts it up for each socket). Senders that leave it 0, and IPv6, need another proof: a TTL that a hop has
//! lowered, or a distance that no timer allows (RFC 6298 section 2.4; tail loss probes wait two ticks and more,
//! RFC 8985 section 7.2) with nothing from the peer in between that could have drawn it. A segment without sequence
//! space may be sent twice within microseconds: it needs a connection that has shown copies before.

use serde::{Deserialize, Serialize};

use super::Tracked;
use crate::connection::Connection;
use crate::segment::{Marks, Segment, ShardBatch};
use crate::time::{Span, Time};

/// How far apart a packet and its copy may be, where the identification says that they are one.
const FAR: Span = Span::from_millis(20);
/// The same without identification.
const NEAR: Span = Span::from_millis(2);
/// Frames that are looked back over, and segments among them of the same socket pair: what other pairs share the shard
/// must not show.
const LOOK_BACK: u64 = 1024;
const OF_PAIR: usize = 64;
/// Copies that are kept as examples, for each shard and capture point.
const EXAMPLES: usize = 20;

/// The last segments of the batches before this one.
#[derive(Debug, Default)]
pub(super) struct Recent {
    segments: Vec<Segment>,
    /// Their frames, counted at the capture point.
    frames: Vec<u64>,
}

/// A batch, and the place in it of the segment that is looked at.
#[derive(Clone, Copy)]
pub(super) struct InBatch<'a> {
    pub batch: &'a ShardBatch,
    pub place: usize,
}

/// How a copy differs from its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    after: Span,
    /// Hops between both; negative where the copy came from nearer to the sender.
    hops: i16,
}

/// Copies that were passed over.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Copies {
    points: Vec<CopiesAt>,
}

/// Copies at one capture point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiesAt {
    /// The capture point.
    pub point: u16,
    /// With the same TTL: mirror ports, bridges, `-i any`.
    pub same_hop: u64,
    /// With another TTL: both sides of a router.
    pub other_hop: u64,
    /// The longest time between a packet and its copy.
    pub longest: Span,
    examples: Vec<Example>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Example {
    record: u32,
    frame: u64,
    at: Time,
    copied: Copied,
}

/// One packet that was seen twice.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Its connection.
    pub connection: Connection<'a>,
    /// The copy's frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// Since its original.
    pub after: Span,
    /// By how much its TTL is lower.
    pub hops: i16,
}

impl Recent {
    /// At another capture point nothing was seen yet.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.frames.clear();
    }

    /// Keeps what the next batch may have copies of; the frames of this one are counted on from `base`.
    pub fn keep(&mut self, batch: &[Segment], base: u64) {
        let frame = |segment: &Segment| base.saturating_add(u64::from(segment.frame));
        let Some(oldest) = batch.last().map(|last| frame(last).saturating_sub(LOOK_BACK)) else { return };
        let stale = self.frames.partition_point(|frame| *frame < oldest);
        self.segments.drain(..stale);
        self.frames.drain(..stale);
        let new = batch.get(batch.partition_point(|segment| frame(segment) < oldest)..).unwrap_or(&[]);
        self.segments.extend_from_slice(new);
        self.frames.extend(new.iter().map(frame));
    }

    /// How a segment that brings nothing new differs from one that the capture has shown shortly before, if it is a
    /// copy of that. `frame`: its own at the capture point; `doubled`: its connection has shown copies before.
    #[cold]
    pub fn original(&self, segment: &Segment, frame: u64, in_batch: InBatch<'_>, doubled: bool) -> Option<Copied> {
        let oldest = frame.saturating_sub(LOOK_BACK);
        let base = frame.saturating_sub(u64::from(segment.frame));
        let before_it = in_batch.batch.segments.get(..in_batch.place).unwrap_or(&[]).iter().rev();
        let before_it = before_it.take_while(|other| base.saturating_add(u64::from(other.frame)) >= oldest);
        let before = self.segments.iter().zip(&self.frames).rev();
        let before = before.take_while(|(_, frame)| **frame >= oldest).map(|(segment, _)| segment);
        let mut answered = false;
        for earlier in before_it.chain(before).filter(|other| other.hash == segment.hash).take(OF_PAIR) {
            if is_reply(earlier, segment) {
                answered = true;
            } else if is_same(earlier, segment) {
                let copied = Copied {
                    after: segment.at.since(earlier.at),
                    hops: i16::from(earlier.ttl) - i16::from(segment.ttl),
                };
                if copied.is_proven(earlier, segment, answered, doubled) {
                    return Some(copied);
                }
            }
        }
        None
    }
}

impl Copied {
    fn is_proven(self, earlier: &Segment, segment: &Segment, answered: bool, doubled: bool) -> bool {
        let apart = Span(self.after.0.saturating_abs());
        if earlier.ident != segment.ident {
            return false;
        }
        if segment.ident != 0 {
            return apart <= FAR;
        }
        let unprompted = segment.sequence_length() > 0 && !answered;
        apart <= NEAR && earlier.checksum == segment.checksum && (self.hops != 0 || unprompted || doubled)
    }
}

/// All that the sender wrote is the same, identification and checksum apart: a network card may fill in the latter
/// between two places where the packet is captured.
fn is_same(one: &Segment, other: &Segment) -> bool {
    const OF_SENDER: u8 = Marks::TIMESTAMPS | Marks::ICMP_ERROR;
    (one.src_port, one.dst_port) == (other.src_port, other.dst_port)
        && (one.seq, one.ack, one.payload) == (other.seq, other.ack, other.payload)
        && (one.flags, one.window, one.marks.0 & OF_SENDER) == (other.flags, other.window, other.marks.0 & OF_SENDER)
        && (one.tsval, one.tsecr) == (other.tsval, other.tsecr)
        // Both directions of a pair may use one port number.
        && (one.marks.has(Marks::WIDE) || (one.src, one.dst) == (other.src, other.dst))
}

fn is_reply(one: &Segment, other: &Segment) -> bool {
    (one.src_port, one.dst_port) == (other.dst_port, other.src_port)
        && (one.src_port != one.dst_port || !one.marks.has(Marks::WIDE) && one.src != other.src)
}

impl Copies {
    /// How many there are.
    pub(super) fn total(&self) -> u64 {
        self.points.iter().map(|at| at.same_hop + at.other_hop).sum()
    }

    pub(super) fn add(&mut self, point: u16, record: u32, segment: &Segment, frame: u64, copied: Copied) {
        if self.points.last().is_none_or(|at| at.point != point) {
            self.points.push(CopiesAt { point, ..CopiesAt::default() });
        }
        let Some(at) = self.points.last_mut() else { return };
        let count = if copied.hops == 0 { &mut at.same_hop } else { &mut at.other_hop };
        *count += 1;
        at.longest = at.longest.max(Span(copied.after.0.saturating_abs()));
        if at.examples.len() < EXAMPLES {
            at.examples.push(Example { record, frame, at: segment.at, copied });
        }
    }
}

impl Tracked {
    /// Copies of this shard, by capture point.
    #[must_use]
    pub fn copies(&self) -> &[CopiesAt] {
        &self.copies.points
    }

    /// The first copies at a capture point, in frame order.
    pub fn copies_shown(&self, point: u16) -> impl Iterator<Item = Copy<'_>> {
        let at = self.copies.points.iter().filter(move |at| at.point == point);
        at.flat_map(|at| &at.examples).filter_map(|example| {
            Some(Copy {
                connection: self.connection(example.record)?,
                frame: example.frame,
                at: example.at,
                after: example.copied.after,
                hops: example.copied.hops,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Flags, SeqNumber, TsVal};

    fn data(micros: i64, ident: u16, ttl: u8) -> Segment {
        Segment {
            at: Time(micros * 1000),
            hash: 7,
            src: 1,
            dst: 2,
            src_port: 40_000,
            dst_port: 80,
            seq: SeqNumber(1000),
            payload: 100,
            flags: Flags(Flags::ACK),
            tsval: TsVal(5),
            ttl,
            ident,
            checksum: 0xbeef,
            ..Segment::default()
        }
    }

    fn ack(micros: i64) -> Segment {
        Segment { payload: 0, ..data(micros, 0, 64) }
    }

    fn reply(micros: i64) -> Segment {
        Segment { src: 2, dst: 1, src_port: 80, dst_port: 40_000, ..ack(micros) }
    }

    fn is_copy(batch: &[Segment], doubled: bool) -> bool {
        let (last, place) = (batch.last().unwrap(), batch.len() - 1);
        let of = |segments: &[Segment]| ShardBatch { segments: segments.to_vec(), ..ShardBatch::default() };
        let whole = Recent::default().original(last, 0, InBatch { batch: &of(batch), place }, doubled);
        // The same where the original came with the batch before.
        let mut recent = Recent::default();
        recent.keep(&batch[..place], 0);
        assert_eq!(recent.original(last, 0, InBatch { batch: &of(&[*last]), place: 0 }, doubled), whole);
        whole.is_some()
    }

    #[test]
    fn one_identification_is_one_packet() {
        assert!(is_copy(&[data(0, 9, 64), data(10, 9, 64)], false));
        assert!(is_copy(&[data(0, 9, 64), reply(5), data(10, 9, 63)], false));
        assert!(!is_copy(&[data(0, 9, 64), data(30_000, 9, 64)], false), "too late");
        assert!(!is_copy(&[data(0, 9, 64), data(10, 10, 64)], false), "sent twice");
        assert!(!is_copy(&[data(0, 9, 64), data(10, 10, 63)], true), "sent twice, on another way");
    }

    #[test]
    fn without_identification_time_and_hops_decide() {
        assert!(is_copy(&[data(0, 0, 64), data(10, 0, 64)], false));
        assert!(is_copy(&[data(0, 0, 64), reply(5), data(10, 0, 63)], false));
        assert!(!is_copy(&[data(0, 0, 64), reply(5), data(10, 0, 64)], false), "fast retransmission");
        assert!(!is_copy(&[data(0, 0, 64), data(10_000, 0, 63)], false), "a timer has run out");
        let other = Segment { checksum: 1, ..data(10, 0, 64) };
        assert!(!is_copy(&[data(0, 0, 64), other], false), "other data");
    }

    #[test]
    fn acknowledgments_may_be_sent_twice() {
        assert!(!is_copy(&[ack(0), ack(3)], false));
        assert!(is_copy(&[ack(0), ack(3)], true));
        assert!(is_copy(&[ack(0), Segment { ttl: 63, ..ack(3) }], false));
    }

    #[test]
    fn a_timestamp_tells_a_retransmission() {
        let again = Segment { tsval: TsVal(6), ..data(10, 0, 63) };
        assert!(!is_copy(&[data(0, 0, 64), again], false));
    }
}
