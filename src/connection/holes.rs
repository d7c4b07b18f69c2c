//! Octets that were acknowledged and that the capture never showed: what the recording program lost.
//!
//! A segment beyond the next expected number leaves a hole: its octets were lost on the network before this point,
//! overtaken, or lost by the capture. The first two kinds are seen later. What stays open and was acknowledged by the
//! peer has passed here unseen (RFC 9293 section 3.4: an acknowledgment says that the octets were received).

use hashbrown::HashMap;

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::records::Records;
use super::{Connection, Side, Tracked};
use crate::segment::{Segment, SeqNumber};
use crate::time::Time;

/// Holes of one shard that are open at once, and that are looked at in one connection: more come only from a capture
/// that is mostly holes.
const MOST: usize = 1 << 16;
const MOST_OF_ONE: usize = 16;
/// A leap beyond this is no hole: nobody has such a window in use.
const WIDEST: i32 = 1 << 26;

/// Holes of all connections of a shard, in frame order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Holes {
    all: Vec<Hole>,
    /// The latest hole of a record, plus one.
    #[serde(skip)]
    latest: HashMap<u32, u32>,
    /// There is no room for more, and hardly any would be made by forgetting those that were filled.
    #[serde(skip)]
    full: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Hole {
    record: u32,
    side: Side,
    from: SeqNumber,
    to: SeqNumber,
    frame: u64,
    since: Time,
    at: Time,
    /// The hole of the same record before this one, plus one.
    before: u32,
}

/// Octets that were acknowledged and never captured.
#[derive(Clone, Copy, Debug)]
pub struct Unseen<'a> {
    /// The connection.
    pub connection: Connection<'a>,
    /// How many octets.
    pub octets: u64,
    /// The frame behind the hole, counted from 0 at its capture point.
    pub frame: u64,
    /// The connection's packet before it, and the time of that frame.
    pub between: (Time, Time),
}

impl Holes {
    /// Notes that a segment lies beyond the next expected number; `record` knows nothing of it yet.
    #[cold]
    pub fn open(&mut self, index: u32, side: Side, record: &mut Record, segment: &Segment, frame: u64) {
        let from = record.next.get(side.index()).copied().unwrap_or_default();
        if segment.seq.ahead_of(from) > WIDEST || !self.has_room() {
            return;
        }
        record.odd |= Record::HOLES;
        let before = self.latest.get(&index).copied().unwrap_or(0);
        self.all.push(Hole {
            record: index,
            side,
            from,
            to: segment.seq,
            frame,
            since: record.last_at,
            at: segment.at,
            before,
        });
        self.latest.insert(index, u32::try_from(self.all.len()).unwrap_or(0));
    }

    /// Whether another hole can be kept. Most that a long capture shows were filled since: the network's, not its own.
    fn has_room(&mut self) -> bool {
        if self.all.len() >= MOST && !self.full {
            self.all.retain(Hole::is_open);
            self.latest.clear();
            for (hole, number) in self.all.iter_mut().zip(1..) {
                hole.before = self.latest.insert(hole.record, number).unwrap_or(0);
            }
            self.full = self.all.len() > MOST / 2;
        }
        self.all.len() < MOST
    }

    /// A segment that was expected earlier: what it brings is no hole any more.
    #[cold]
    pub fn fill(&mut self, index: u32, side: Side, segment: &Segment) {
        let (from, to) = (segment.seq, segment.seq.plus(segment.sequence_length()));
        let mut next = self.latest.get(&index).copied().unwrap_or(0);
        for _ in 0..MOST_OF_ONE {
            let Some(hole) = next.checked_sub(1).and_then(|place| self.all.get_mut(place as usize)) else { return };
            next = hole.before;
            if hole.side == side {
                // A retransmission begins at or before what is missing, as a rule; of two rests the first is kept.
                match (hole.from.reaches(from), to.reaches(hole.to)) {
                    (true, true) => hole.to = hole.from,
                    (true, false) if to.is_after(hole.from) => hole.from = to,
                    (false, _) if hole.to.is_after(from) => hole.to = from,
                    _ => {}
                }
            }
        }
    }

    /// Keeps what the peer has acknowledged.
    pub fn settle(&mut self, records: &Records) {
        self.latest = HashMap::new();
        self.all.retain(|hole| {
            let acked = records.get(hole.record as usize).and_then(|r| r.acked.get(hole.side.other().index()).copied());
            hole.is_open() && acked.is_some_and(|acked| acked.reaches(hole.to))
        });
    }
}

impl Hole {
    /// Whether something of it is still missing.
    fn is_open(&self) -> bool {
        self.to.is_after(self.from)
    }
}

impl Tracked {
    /// Octets that were acknowledged and never captured, in frame order.
    pub fn unseen(&self) -> impl Iterator<Item = Unseen<'_>> {
        self.holes.all.iter().filter_map(|hole| {
            Some(Unseen {
                connection: self.connection(hole.record)?,
                octets: u64::try_from(hole.to.ahead_of(hole.from)).unwrap_or(0),
                frame: hole.frame,
                between: (hole.since, hole.at),
            })
        })
    }
}
