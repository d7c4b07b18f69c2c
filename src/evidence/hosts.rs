//! What text inputs say, put together host by host and moment by moment.
//!
//! Files of one folder are one moment of one host: that is how people and collectors save them. Moments are of one
//! host where it names itself (`uname`), by its own addresses, by the time it came up, and else by their place in
//! the folder tree. Their order is that of the clock, of the uptime, or of the counters, which only grow while a
//! host is up (Linux: per network namespace, net/ipv4/proc.c).

mod bundle;
mod grouping;
mod listed;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use crate::connection::Socket;
use crate::snapshot::{Counter, Host, Since, SocketRow, Source};
use crate::time::{Span, Time};

pub(super) use grouping::group;
pub use listed::Listed;

/// One host, as all its files describe it.
#[derive(Clone, Debug, Default)]
pub struct HostView {
    /// Its own name, else that of the folder that holds all its files.
    pub name: String,
    /// All that it says, in the order of its moments.
    pub host: Host,
    /// In time order.
    pub moments: Vec<HostMoment>,
}

/// One moment of a host: the files of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMoment {
    /// The folder's path as given.
    pub folder: String,
    /// Numbers of its inputs.
    pub inputs: Vec<usize>,
    /// What its clock said.
    pub at: Option<Time>,
    /// How long it had been up.
    pub up: Option<Span>,
}

/// How a counter moved from the first moment to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Its first value.
    pub first: u64,
    /// Its last value.
    pub last: u64,
    /// By how much it grew.
    pub delta: u64,
    /// The lines that say so.
    pub sources: (Source, Source),
    /// What the clock said at both, where it is known.
    pub between: Option<(Time, Time)>,
}

/// One value of a counter.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// The place of its moment.
    moment: usize,
    at: Option<Time>,
    value: u64,
    source: Source,
}

impl HostView {
    /// How a counter moved, by its `nstat` name; `None` where fewer than two values are told, or where it shrank,
    /// because the host restarted in between.
    #[must_use]
    pub fn delta(&self, counter: &str) -> Option<Delta> {
        let readings = self.readings(counter);
        let (first, last) = (readings.first()?, last_of(&readings)?);
        // Two tools at one moment are one reading, however close their numbers are.
        let apart = first.moment != last.moment || first.at != last.at;
        if !apart || !readings.is_sorted_by_key(|reading| reading.value) {
            return None;
        }
        Some(Delta {
            first: first.value,
            last: last.value,
            delta: last.value.checked_sub(first.value)?,
            sources: (first.source, last.source),
            between: first.at.zip(last.at),
        })
    }

    /// The last value of a counter, and where it stands.
    #[must_use]
    pub fn counter(&self, counter: &str) -> Option<(u64, Source)> {
        last_of(&self.readings(counter)).map(|reading| (reading.value, reading.source))
    }

    /// A listing that names every counter of its group and has not this one: the kernel does not have it.
    #[must_use]
    pub fn lacks_counter(&self, group: &str, counter: &str) -> Option<Source> {
        let facts = &self.host.facts;
        let told = facts.counters.iter().any(|told| &*told.name == counter);
        let whole = facts.counter_groups.iter().find(|listed| &*listed.name == group && listed.names_all)?;
        (!told).then_some(whole.source)
    }

    /// Its own addresses, loopback left out.
    #[must_use]
    pub fn addresses(&self) -> std::collections::BTreeSet<IpAddr> {
        self.host.addresses()
    }

    /// Whether it is the host of a server socket: it has the address, or a socket of it.
    #[must_use]
    pub fn has(&self, server: Socket) -> bool {
        let ends_there =
            |row: &&SocketRow| row.local.host.ip() == Some(server.ip) && row.local.port.number() == Some(server.port);
        self.addresses().contains(&server.ip) || self.host.facts.sockets.iter().any(|row| ends_there(&row))
    }

    /// Whether it listens on a server's port, at its address or at any.
    #[must_use]
    pub fn listens(&self, server: Socket) -> bool {
        self.host.listeners(server.ip, server.port).next().is_some()
    }

    /// Listening sockets of a server where more connections wait than the queue holds, with both numbers; one for
    /// each moment, however many tools list it.
    #[must_use]
    pub fn full_queues(&self, server: Socket) -> Vec<(&SocketRow, u32, u32)> {
        let mut full: Vec<(Option<usize>, &SocketRow, u32, u32)> = Vec::new();
        for row in self.host.listeners(server.ip, server.port) {
            let (Some(waiting), Some(limit)) = (row.recv_q, row.send_q) else { continue };
            let moment = self.moment_of(row.source);
            let known = |other: &(Option<usize>, &SocketRow, u32, u32)| other.0 == moment && other.1.local == row.local;
            if waiting > limit && !full.iter().any(known) {
                full.push((moment, row, waiting, limit));
            }
        }
        full.into_iter().map(|(_, row, waiting, limit)| (row, waiting, limit)).collect()
    }

    /// Numbers of all its inputs, in time order.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        self.moments.iter().flat_map(|moment| moment.inputs.iter().copied())
    }

    /// All values of a counter that count from boot, in time order.
    fn readings(&self, counter: &str) -> Vec<Reading> {
        let told = self.host.facts.counters.iter().filter(|told| &*told.name == counter);
        let told: Vec<&Counter> = told.filter(|told| told.since != Since::LastRun).collect();
        // Where some are known to count from boot, those that may not are left out.
        let sure = told.iter().any(|told| told.since == Since::Boot);
        let told = told.into_iter().filter(|told| !sure || told.since == Since::Boot);
        let values = told.map(|told| (told.value, told.source));
        let zeros: Vec<(u64, Source)> = self.omitted_zeros(counter);
        let clock: BTreeMap<Source, Time> =
            self.host.facts.moments.iter().map(|moment| (moment.source, moment.at)).collect();
        let before = |source: Source| {
            let mut earlier = clock.range(Source { line: 0, ..source }..source);
            earlier.next_back().map(|(_, at)| *at)
        };
        let mut readings: Vec<Reading> =
            values.chain(zeros).filter_map(|(value, source)| self.reading(value, source, before(source))).collect();
        // Inside a moment the clock decides where the file tells it, else growth.
        readings.sort_by_key(|reading| (reading.moment, reading.at, reading.value, reading.source));
        readings
    }

    fn moment_of(&self, source: Source) -> Option<usize> {
        let input = usize::try_from(source.input).ok()?;
        self.moments.iter().position(|moment| moment.inputs.contains(&input))
    }

    /// The moment that a line belongs to: its place, and when, where that is told.
    #[must_use]
    pub fn when(&self, source: Source) -> Option<(usize, Option<Time>)> {
        let in_file = self.host.facts.moments.iter().filter(|told| told.source.input == source.input);
        let before = in_file.filter(|told| told.source.line < source.line).max_by_key(|told| told.source.line);
        self.reading(0, source, before.map(|told| told.at)).map(|reading| (reading.moment, reading.at))
    }

    /// `told` is the time that the file gives for the line, if any.
    fn reading(&self, value: u64, source: Source, told: Option<Time>) -> Option<Reading> {
        let moment = self.moment_of(source)?;
        let at = told.or_else(|| self.moments.get(moment)?.at);
        Some(Reading { moment, at, value, source })
    }

    /// Where a tool left the counter out because it was zero, as `netstat -s` does.
    fn omitted_zeros(&self, counter: &str) -> Vec<(u64, Source)> {
        let facts = &self.host.facts;
        let is_field = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase());
        let groups: Vec<_> = facts
            .counter_groups
            .iter()
            .filter(|group| counter.strip_prefix(&*group.name).is_some_and(is_field))
            .collect();
        let lacking =
            |whole: &Source| !facts.counters.iter().any(|c| &*c.name == counter && c.source.input == whole.input);
        if groups.iter().any(|group| group.names_all && lacking(&group.source)) {
            return Vec::new();
        }
        // A host may have been asked every second for a day: no search of all for each.
        let begun: BTreeSet<Source> = groups.iter().map(|group| group.source).collect();
        let told: BTreeSet<Source> = facts.counters.iter().filter(|c| &*c.name == counter).map(|c| c.source).collect();
        let named_there = |from: Source| {
            let end = Source { line: u32::MAX, ..from };
            let next = begun.range((Bound::Excluded(from), Bound::Included(end))).next().copied();
            let until = next.map_or(Bound::Included(end), Bound::Excluded);
            told.range((Bound::Included(from), until)).next().is_some()
        };
        let omitting = groups.iter().filter(|group| group.omits_zeros && group.since != Since::LastRun);
        omitting.map(|group| group.source).filter(|source| !named_there(*source)).map(|source| (0, source)).collect()
    }
}

/// The last reading; of several tools that say the same then, the first, as it is for the first reading.
fn last_of(readings: &[Reading]) -> Option<&Reading> {
    let last = readings.last()?;
    readings.iter().find(|one| (one.moment, one.at, one.value) == (last.moment, last.at, last.value))
}

/// The host that a server socket of the captures belongs to; `only_server` where the captures show no other.
///
/// A host is matched by its addresses and sockets; the only host given is the only server, unless what is known of
/// it speaks against that.
pub(super) fn of_server(hosts: &[HostView], server: Socket, only_server: bool) -> Option<&HostView> {
    let has = || hosts.iter().filter(|host| host.has(server));
    let listening = has().find(|host| host.listens(server)).or_else(|| has().next());
    let alone = match hosts {
        [host] if only_server && (host.addresses().is_empty() || host.listens(server)) => Some(host),
        _ => None,
    };
    listening.or(alone)
}
