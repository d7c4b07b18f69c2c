//! Captures that hold the same packets: copies of a file, and points that overlap.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek};

use super::inputs::{Input, Kind};
use crate::connection::Tracked;
use crate::input::{Opened, Source};
use crate::time::Time;

/// How the octets of two captures agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// All are the same.
    Same,
    /// The first holds all of the second and more.
    FirstHoldsMore,
    /// The second holds all of the first and more.
    SecondHoldsMore,
    /// They differ.
    None,
}

/// Compares two captures, unpacked.
pub(super) fn compare(one: &Source, other: &Source) -> Agreement {
    let (Some(mut one), Some(mut other)) = (octets(one), octets(other)) else { return Agreement::None };
    loop {
        let (Ok(first), Ok(second)) = (one.fill_buf(), other.fill_buf()) else { return Agreement::None };
        let length = match (first.len(), second.len()) {
            (0, 0) => return Agreement::Same,
            (0, _) => return Agreement::SecondHoldsMore,
            (_, 0) => return Agreement::FirstHoldsMore,
            (first, second) => first.min(second),
        };
        if first.get(..length) != second.get(..length) {
            return Agreement::None;
        }
        one.consume(length);
        other.consume(length);
    }
}

fn octets(source: &Source) -> Option<Box<dyn BufRead>> {
    const BLOCK: usize = 256 * 1024;
    match source.open().ok()? {
        Opened::Plain { mut file, .. } => {
            file.rewind().ok()?;
            Some(Box::new(BufReader::with_capacity(BLOCK, file)))
        }
        Opened::Stream { head, reader, .. } => {
            Some(Box::new(BufReader::with_capacity(BLOCK, io::Cursor::new(head).chain(reader))))
        }
        Opened::Archive(_) => None,
    }
}

/// Notes at the later of two capture points that they hold the same SYNs, captured at the same nanosecond: two hosts,
/// or two interfaces of one, never agree on that.
pub(super) fn note(inputs: &mut [Input], shards: &[Tracked]) {
    let points = points(inputs);
    if points.len() < 2 {
        return;
    }
    let mut syns: Vec<(Time, u32, u16)> = Vec::new();
    for shard in shards {
        syns.extend(shard.syns().map(|syn| (syn.at, syn.isn.0, syn.connection.point())));
    }
    syns.sort_unstable();
    syns.dedup();
    let mut shared: BTreeMap<(u16, u16), u64> = BTreeMap::new();
    for same in syns.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)).filter(|same| same.len() > 1) {
        for (place, one) in same.iter().enumerate() {
            for other in same.iter().skip(place + 1) {
                *shared.entry((one.2, other.2)).or_default() += 1;
            }
        }
    }
    for ((one, other), count) in shared {
        let (Some(first), Some(second)) = (points.get(&one), points.get(&other)) else { continue };
        let (begin, end) = (first.first_at.max(second.first_at), first.last_at.min(second.last_at));
        let within = |point: u16| syns.iter().filter(|s| s.2 == point && s.0 >= begin && s.0 <= end).count() as u64;
        // Clocks that tick in milliseconds agree by chance now and then.
        if count * 2 < within(one).min(within(other)) {
            continue;
        }
        let name = inputs.get(first.input).map(|input| input.name.clone()).unwrap_or_default();
        if let Some(input) = inputs.get_mut(second.input) {
            input.notes.push(format!(
                "holds packets that {name} holds too ({count} SYNs captured at the same nanosecond): \
                 both are analysed, and totals count them twice"
            ));
        }
    }
}

/// A capture point: its first input, and its time.
struct Point {
    input: usize,
    first_at: Time,
    last_at: Time,
}

fn points(inputs: &[Input]) -> BTreeMap<u16, Point> {
    let mut points: BTreeMap<u16, Point> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        let Kind::Capture(capture) = &input.kind else { continue };
        let frames = &capture.frames;
        let point = points.entry(capture.point).or_insert(Point {
            input: number,
            first_at: frames.first_at,
            last_at: frames.last_at,
        });
        point.first_at = point.first_at.min(frames.first_at);
        point.last_at = point.last_at.max(frames.last_at);
    }
    points
}
