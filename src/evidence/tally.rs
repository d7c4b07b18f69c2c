//! Counts over all connections, made in one pass, shard by shard: what the tables of a report are made of, and
//! which connections are worth a rule's look.
//!
//! Nearly all connections of a big capture open and close as they should. Rules about closes look only at the
//! others, so that a million plain connections cost one pass and not one for each rule.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::groups::{Ends, Numbering};
use crate::connection::{Close, Connection, Opened, SynFate, Tracked, Who};
use crate::segment::SeqNumber;
use crate::time::Time;

/// Counts of one shard, or of all.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections by how they opened.
    pub opens: BTreeMap<Opened, u64>,
    /// Connections by how they closed.
    pub closes: BTreeMap<Close, u64>,
    /// Connections by capture point.
    pub by_point: BTreeMap<u16, u64>,
    /// Socket pairs used again after a TIME-WAIT.
    pub reuses: u64,
    /// What passed between one client address and one server socket.
    pub services: HashMap<Ends, Service>,
    /// Shard and index of every connection that did not just open and close, in order of shard and index.
    pub notable: Vec<(u16, u32)>,
    /// Shard and index of every connection whose socket pair was used before, in order of shard and index.
    pub reused: Vec<(u16, u32)>,
    /// Shard and index of every connection whose first SYN nothing answered, in order of shard and index.
    pub unanswered: Vec<(u16, u32)>,
    /// Shard and index of every connection whose first SYN has an ISN that [`SAMPLE`] divides: where there are very
    /// many SYNs, they stand for all.
    pub sample: Vec<(u16, u32)>,
    /// The lower half of the ISN of each connection's first SYN, by shard and index; 0 where there is none.
    pub isns: Vec<Vec<u16>>,
}

/// The lower half of an ISN: nearly all are told apart by it, and those of a million connections take 2 MB.
#[must_use]
#[allow(clippy::cast_possible_truncation)]
pub const fn low(isn: SeqNumber) -> u16 {
    isn.0 as u16
}

/// One ISN in so many.
pub const SAMPLE: u32 = 16;

/// What passed between one client address and one server socket, or more of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Connections, opened or not.
    pub connections: u64,
    /// Attempts to open.
    pub attempts: u64,
    /// Attempts that drew no SYN-ACK, challenge ACK or RST.
    pub unanswered: u64,
    /// Attempts answered by RST.
    pub refused: u64,
    /// Connections that opened.
    pub opened: u64,
    /// When the first and the last of those began.
    pub opened_between: Option<(Time, Time)>,
    /// Closed first by the client, or by both.
    pub client_closes: u64,
    /// Closed first by the server, or by both.
    pub server_closes: u64,
    /// Ended by RST.
    pub resets: u64,
}

impl Tally {
    /// Counts one shard, and numbers its groups.
    #[must_use]
    pub fn of(number: u16, shard: &Tracked) -> (Self, Numbering) {
        let mut counts = Counts::default();
        let mut tally = Self::default();
        let mut groups = Numbering::with_capacity(shard.len());
        let mut services: Vec<Service> = Vec::new();
        let mut isns = Vec::with_capacity(shard.len());
        for connection in shard.connections() {
            let opened = connection.opened();
            let close = connection.close_after(opened);
            let group = groups.add(connection) as usize;
            if services.len() <= group {
                services.resize(group + 1, Service::default());
            }
            if let Some(service) = services.get_mut(group) {
                service.add(&one(connection, opened, close));
            }
            counts.add(connection, opened, close, &mut tally);
            if connection.previous().is_some() {
                tally.reuses += u64::from(connection.reuse().is_some());
                tally.reused.push((number, connection.index()));
            }
            let syn = connection.first_syn();
            isns.push(syn.map_or(0, |syn| low(syn.isn)));
            if let Some(syn) = syn {
                if syn.fate == SynFate::None {
                    tally.unanswered.push((number, connection.index()));
                }
                if syn.isn.0.is_multiple_of(SAMPLE) {
                    tally.sample.push((number, connection.index()));
                }
            }
            if connection.is_notable(opened, close) {
                tally.notable.push((number, connection.index()));
            }
        }
        counts.end(&mut tally);
        tally.isns.push(isns);
        for (ends, service) in groups.ends().iter().zip(&services) {
            tally.services.entry(*ends).or_default().add(service);
        }
        (tally, groups)
    }

    /// Adds the counts of the next shard.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        for (opened, count) in other.opens {
            *self.opens.entry(opened).or_default() += count;
        }
        for (close, count) in other.closes {
            *self.closes.entry(close).or_default() += count;
        }
        for (point, count) in other.by_point {
            *self.by_point.entry(point).or_default() += count;
        }
        self.reuses += other.reuses;
        for (key, service) in other.services {
            self.services.entry(key).or_default().add(&service);
        }
        self.notable.extend(other.notable);
        self.reused.extend(other.reused);
        self.unanswered.extend(other.unanswered);
        self.sample.extend(other.sample);
        self.isns.extend(other.isns);
        self
    }
}

impl Service {
    /// Whether connections opened at some time between two.
    #[must_use]
    pub fn opened_meanwhile(&self, from: Time, until: Time) -> bool {
        self.opened_between.is_some_and(|(first, last)| first <= until && last >= from)
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.attempts += other.attempts;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        self.opened += other.opened;
        self.opened_between = match (self.opened_between, other.opened_between) {
            (Some((from, until)), Some((other_from, other_until))) => {
                Some((from.min(other_from), until.max(other_until)))
            }
            (one, other) => one.or(other),
        };
        self.client_closes += other.client_closes;
        self.server_closes += other.server_closes;
        self.resets += other.resets;
    }
}

/// Counts by variant, in arrays while the pass lasts.
#[derive(Default)]
struct Counts {
    opens: [(u64, Option<Opened>); 9],
    closes: [(u64, Option<Close>); 9],
    point: (u16, u64),
}

impl Counts {
    fn add(&mut self, connection: Connection<'_>, opened: Opened, close: Close, tally: &mut Tally) {
        if let Some((count, name)) = self.opens.get_mut(opened as usize) {
            (*count, *name) = (*count + 1, Some(opened));
        }
        if let Some((count, name)) = self.closes.get_mut(close as usize) {
            (*count, *name) = (*count + 1, Some(close));
        }
        if connection.point() != self.point.0 {
            self.end_point(tally);
        }
        self.point = (connection.point(), self.point.1 + 1);
    }

    fn end_point(&mut self, tally: &mut Tally) {
        if self.point.1 > 0 {
            *tally.by_point.entry(self.point.0).or_default() += self.point.1;
        }
        self.point.1 = 0;
    }

    fn end(mut self, tally: &mut Tally) {
        self.end_point(tally);
        tally.opens.extend(self.opens.into_iter().filter_map(|(count, name)| Some((name?, count))));
        tally.closes.extend(self.closes.into_iter().filter_map(|(count, name)| Some((name?, count))));
    }
}

fn one(connection: Connection<'_>, opened: Opened, close: Close) -> Service {
    let closer = connection.closer(close);
    let reset = matches!(close, Close::Reset | Close::FinReset);
    Service {
        connections: 1,
        attempts: u64::from(opened != Opened::BeforeCapture),
        unanswered: u64::from(matches!(opened, Opened::Unanswered | Opened::Unreachable)),
        refused: u64::from(opened == Opened::Refused),
        opened: u64::from(opened.carries_data()),
        opened_between: opened.carries_data().then(|| (connection.first().1, connection.first().1)),
        client_closes: u64::from(!reset && matches!(closer, Who::Client | Who::Both)),
        server_closes: u64::from(!reset && matches!(closer, Who::Server | Who::Both)),
        resets: u64::from(reset),
    }
}
