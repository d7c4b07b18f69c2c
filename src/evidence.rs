//! All that a rule may look at: inputs, capture points, connections and SYNs, merged from all shards.
//!
//! `Evidence` is a value that merges: shards of one machine, or parts from many, give the same whole. Nothing in it
//! depends on the number of shards; connections are walked in order of capture point and first frame.

pub mod clocks;
pub mod durations;
pub mod echoes;
pub mod groups;
pub mod holds;
pub mod hosts;
pub mod joins;
pub mod links;
pub mod pairs;
mod picked;
pub mod sight;
pub mod tally;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashSet;

use self::groups::{Groups, Place};
use self::hosts::HostView;
use self::picked::Picked;
use self::tally::Tally;
use crate::connection::{Connection, Socket, Syn, Tracked};
use crate::ingest::{Capture, Input, Kind, Parts, Workers};
use crate::segment::{Echo, Filter, SeqNumber};
use crate::time::Time;

/// Everything that was observed and claimed.
#[derive(Debug, Default)]
pub struct Evidence {
    /// In the order of reading.
    pub inputs: Vec<Input>,
    /// In the order of their first input.
    pub points: Vec<Point>,
    /// Connections and SYNs, in parts by socket pair.
    pub shards: Vec<Tracked>,
    /// Echo requests and replies: capture point, message, frame at the point from 0.
    pub echoes: Vec<(u16, Echo, u64)>,
    /// What hosts say of themselves, in the order of their first inputs.
    pub hosts: Vec<HostView>,
    /// Counts over all connections.
    pub tally: Tally,
    /// Who talks to whom.
    pub groups: Groups,
    /// The run's threads.
    pub workers: Workers,
    /// What was looked at, where not everything was.
    pub part: Option<Arc<Filter>>,
}

/// A capture point: one file, or one rotated set.
#[derive(Clone, Debug)]
pub struct Point {
    /// Numbers of its inputs, in time order.
    pub inputs: Vec<usize>,
    /// The first packet's time, or when the recording began that an excerpt was cut from; [`Time::MAX`] where there is
    /// neither.
    pub first_at: Time,
    /// The last packet's time, or when that recording ended; [`Time::MIN`] where there is neither.
    pub last_at: Time,
}

impl Evidence {
    /// Joins what all captures gave.
    #[must_use]
    pub fn new(mut inputs: Vec<Input>, parts: Parts) -> Self {
        let mut evidence = Self {
            hosts: hosts::group(&mut inputs),
            points: points(&inputs),
            inputs,
            shards: parts.shards,
            echoes: parts.echoes,
            tally: Tally::default(),
            groups: Groups::default(),
            workers: parts.workers,
            part: parts.part,
        };
        evidence.turn_guessed_clients();
        let tallies = evidence
            .workers
            .map(&evidence.shards, |number, shard| Tally::of(u16::try_from(number).unwrap_or(u16::MAX), shard));
        let (tallies, numberings): (Vec<_>, Vec<_>) = tallies.into_iter().unzip();
        (evidence.groups, evidence.tally) = evidence.workers.join(
            || Groups::new(&evidence.workers, numberings),
            || tallies.into_iter().fold(Tally::default(), Tally::merged),
        );
        evidence
    }

    /// All connections by capture point and first frame: the shard, and the connection.
    pub fn connections(&self) -> impl Iterator<Item = (usize, Connection<'_>)> {
        let mut cursors: Vec<_> = self.shards.iter().map(|shard| shard.connections().peekable()).collect();
        let mut heads = BinaryHeap::new();
        for (shard, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(cursor.peek().map(|next| Reverse((place(*next), shard))));
        }
        std::iter::from_fn(move || {
            let Reverse((_, shard)) = heads.pop()?;
            let cursor = cursors.get_mut(shard)?;
            let connection = cursor.next()?;
            heads.extend(cursor.peek().map(|next| Reverse((place(*next), shard))));
            Some((shard, connection))
        })
    }

    /// How many connections there are.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shards.iter().map(Tracked::len).sum()
    }

    /// When the recording ended at a capture point: as far as is known, with its last packet.
    #[must_use]
    pub fn end_of(&self, point: u16) -> Time {
        self.points.get(usize::from(point)).map_or(Time::MIN, |point| point.last_at)
    }

    /// The input that holds a frame of a capture point (counted from 0), and the frame's number in it from 1.
    #[must_use]
    pub fn locate(&self, point: u16, frame: u64) -> (usize, u64) {
        let inputs = self.points.get(usize::from(point)).map_or(&[][..], |point| point.inputs.as_slice());
        let bases = inputs.iter().map(|input| (*input, self.capture(*input).map_or(0, |capture| capture.base)));
        let (input, base) = bases.take_while(|(_, base)| *base <= frame).last().unwrap_or((0, 0));
        (input, frame - base + 1)
    }

    /// The capture that an input is.
    #[must_use]
    pub fn capture(&self, input: usize) -> Option<&Capture> {
        match &self.inputs.get(input)?.kind {
            Kind::Capture(capture) => Some(capture),
            Kind::Snapshot(_) | Kind::Other => None,
        }
    }

    /// What the host of a server socket says of itself, where one of the hosts given is it.
    #[must_use]
    pub fn host_of(&self, server: Socket) -> Option<&HostView> {
        let only = self.tally.services.keys().all(|ends| ends.server.ip == server.ip);
        hosts::of_server(&self.hosts, server, only)
    }

    /// Some connections, in the order of their places.
    pub fn picked<'a, 'p>(
        &'a self,
        places: &'p [Place],
    ) -> impl Iterator<Item = (Place, Connection<'a>)> + use<'a, 'p> {
        Picked::new(self, places, false)
    }

    /// The same where the incarnations before them are looked at, too.
    pub fn picked_with_previous<'a, 'p>(
        &'a self,
        places: &'p [Place],
    ) -> impl Iterator<Item = (Place, Connection<'a>)> + use<'a, 'p> {
        Picked::new(self, places, true)
    }

    /// What `pick` makes of first SYNs that have one of some ISNs, in order of shard and index.
    pub fn first_syns_with<'a, T: Send>(
        &'a self,
        isns: impl Iterator<Item = SeqNumber>,
        pick: impl Fn(Syn<'a>) -> Option<T> + Sync,
    ) -> Vec<T> {
        let mut wanted = vec![false; 1 << 16];
        for isn in isns {
            wanted.iter_mut().skip(usize::from(tally::low(isn))).take(1).for_each(|place| *place = true);
        }
        let is_wanted = |isn: u16| wanted.get(usize::from(isn)).copied().unwrap_or(false);
        let found = self.workers.map(&self.tally.isns, |shard, isns| {
            let number = u16::try_from(shard).unwrap_or(u16::MAX);
            let likely = isns.iter().zip(0..).filter(|(isn, _)| is_wanted(**isn));
            let syns = likely.filter_map(|(_, index)| self.connection((number, index))?.first_syn());
            syns.filter_map(&pick).collect::<Vec<T>>()
        });
        found.into_iter().flatten().collect()
    }

    /// Connections that did not just open and close as they should, in order of shard and index.
    pub fn notable(&self) -> impl Iterator<Item = Connection<'_>> {
        self.picked(&self.tally.notable).map(|(_, connection)| connection)
    }

    /// The connection of a shard with an index.
    #[must_use]
    pub fn connection(&self, (shard, index): Place) -> Option<Connection<'_>> {
        self.shards.get(usize::from(shard))?.connection(index)
    }

    /// Where no SYN was captured, the end that is a known listener is the server; the port decided so far.
    fn turn_guessed_clients(&mut self) {
        let parts =
            self.workers.map(&self.shards, |_, shard| shard.guessed_sockets().collect::<HashSet<(u16, Socket)>>());
        let guessed: HashSet<(u16, Socket)> = parts.into_iter().flatten().collect();
        if guessed.is_empty() {
            return;
        }
        let parts = self.workers.map(&self.shards, |_, shard| {
            let known = shard.connections().filter(|c| c.shows_listener()).map(|c| (c.point(), c.server()));
            known.filter(|socket| guessed.contains(socket)).collect::<HashSet<(u16, Socket)>>()
        });
        let listeners: HashSet<(u16, Socket)> = parts.into_iter().flatten().collect();
        let wrong =
            |client, server, point| listeners.contains(&(point, client)) && !listeners.contains(&(point, server));
        self.workers.each(&mut self.shards, |shard| shard.turn_round(wrong));
    }
}

fn place(connection: Connection<'_>) -> (u16, u64) {
    (connection.point(), connection.first().0)
}

/// Capture points from the inputs that name them, each with its inputs in the order of their packets.
fn points(inputs: &[Input]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let Kind::Capture(capture) = &input.kind else { continue };
        let place = usize::from(capture.point);
        while points.len() <= place {
            points.push(Point { inputs: Vec::new(), first_at: Time::MAX, last_at: Time::MIN });
        }
        if let Some(point) = points.get_mut(place) {
            point.inputs.push(number);
            let frames = &capture.frames;
            let (from, until) = frames.recorded.unwrap_or((frames.first_at, frames.last_at));
            point.first_at = point.first_at.min(frames.first_at).min(from);
            point.last_at = point.last_at.max(frames.last_at).max(until);
        }
    }
    let base = |input: &usize| match inputs.get(*input).map(|input| &input.kind) {
        Some(Kind::Capture(capture)) => capture.base,
        _ => 0,
    };
    points.iter_mut().for_each(|point| point.inputs.sort_by_key(base));
    points
}
