//! Who holds which socket pair for how long: open, then in TIME-WAIT. One group after the other; what ports and
//! TIME-WAIT populations over time are counted from.
//!
//! RFC 9293 section 3.6.1 (TIME-WAIT); `TCP_TIMEWAIT_LEN` in include/net/tcp.h. A TIME-WAIT ends early where the
//! pair's next incarnation was accepted, or a RST came that fits (RFC 1337).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use hashbrown::HashMap;

use super::Evidence;
use super::groups::{Ends, Groups, Place};
use crate::connection::{Close, Connection, LateKind, Opened, Side, Tracked, Who};
use crate::ingest::{FOR_ALL_THREADS, Workers};
use crate::time::{Span, Time};

/// Groups with fewer connections, and hosts with fewer TIME-WAITs, are passed over: there may be a million of them.
pub const MANY: usize = 32;

/// One incarnation of a socket pair, for as long as somebody holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whose it is.
    pub connection: Place,
    /// The client's port.
    pub port: u16,
    /// Who holds TIME-WAIT.
    pub time_wait: Who,
    /// TIME-WAIT was cut short by the next incarnation.
    pub reused: bool,
    /// Its first packet.
    pub from: Time,
    /// When it was over for the client, and TIME-WAIT began where there is one.
    pub closed: Time,
    /// When TIME-WAIT ended; `closed` where there is none.
    pub until: Time,
}

/// The TIME-WAITs of one host at one capture point.
#[derive(Clone, Debug)]
pub struct TimeWaits {
    /// The number of the capture point.
    pub point: u16,
    /// Its address; behind NAT, all hosts' with this address.
    pub host: IpAddr,
    /// How many it held over time.
    pub held: Held,
}

/// The holds of a group, in the order of its members; TIME-WAIT lasts for `two_msl`.
#[must_use]
pub fn of_group(evidence: &Evidence, group: u32, resets: &Resets, two_msl: Span) -> Vec<Hold> {
    let members = evidence.groups.members(group..group.saturating_add(1));
    // Incarnations of a socket pair lie in one shard.
    let shards: Vec<&[Place]> = members.chunk_by(|one, next| one.0 == next.0).collect();
    let mut parts = if members.len() >= FOR_ALL_THREADS {
        evidence.workers.map(&shards, |_, places| of_shard(evidence, places, resets, two_msl))
    } else {
        shards.into_iter().map(|places| of_shard(evidence, places, resets, two_msl)).collect()
    };
    let mut holds = if parts.len() == 1 { parts.pop().unwrap_or_default() } else { Vec::with_capacity(members.len()) };
    parts.into_iter().for_each(|part| holds.extend(part));
    holds
}

/// Groups in runs of so many connections that each is worth a thread's while.
#[must_use]
pub fn runs(groups: &Groups) -> Vec<Range<u32>> {
    const ENOUGH: u64 = 1 << 14;
    let mut runs: Vec<Range<u32>> = Vec::new();
    let mut together = ENOUGH;
    for (group, _) in groups.iter() {
        let size = u64::from(groups.size(group));
        match runs.last_mut() {
            Some(last) if together + size <= ENOUGH => last.end = group.saturating_add(1),
            _ => {
                runs.push(group..group.saturating_add(1));
                together = 0;
            }
        }
        together += size;
    }
    runs
}

/// RSTs that fit and came after a close, by connection.
#[derive(Debug, Default)]
pub struct Resets(Vec<HashMap<u32, Vec<(Side, Time)>>>);

impl Resets {
    /// Those of all connections.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let of_shard = |shard: &Tracked| {
            let mut resets: HashMap<u32, Vec<(Side, Time)>> = HashMap::new();
            for late in shard.late().filter(|late| late.kind == LateKind::Rst && late.expected) {
                resets.entry(late.connection.index()).or_default().push((late.by, late.at));
            }
            resets
        };
        Self(evidence.workers.map(&evidence.shards, |_, shard| of_shard(shard)))
    }

    fn of_connection(&self, (shard, index): Place) -> &[(Side, Time)] {
        self.0.get(usize::from(shard)).and_then(|shard| shard.get(&index)).map_or(&[], Vec::as_slice)
    }
}

/// TIME-WAITs by capture point and address, while they are gathered.
#[derive(Debug)]
pub struct Hosts(BTreeMap<Host, Gathered>);

/// The TIME-WAITs of one host, in no order.
#[derive(Debug, Default)]
struct Gathered {
    held: Held,
    /// What is still to be added.
    parts: Vec<Held>,
}

impl Hosts {
    /// Hosts that may have many, by the connections they took part in.
    #[must_use]
    pub fn with_many(groups: &Groups) -> Self {
        let mut sums: HashMap<Host, u64> = HashMap::new();
        for (group, ends) in groups.iter() {
            for (_, host) in hosts_of(&ends) {
                *sums.entry(host).or_default() += u64::from(groups.size(group));
            }
        }
        let many = sums.into_iter().filter(|(_, count)| *count >= MANY as u64);
        Self(many.map(|(host, _)| (host, Gathered::default())).collect())
    }

    /// Looks for TIME-WAITs of these hosts.
    #[must_use]
    pub fn find(&self) -> Found<'_> {
        Found { wanted: self, held: HashMap::new() }
    }

    /// Adds what was found, host by host on all threads.
    pub fn append(&mut self, workers: &Workers, found: impl Iterator<Item = (Host, Held)>) {
        for (host, held) in found {
            if let Some(gathered) = self.0.get_mut(&host) {
                gathered.parts.push(held);
            }
        }
        let mut more: Vec<&mut Gathered> = self.0.values_mut().filter(|host| !host.parts.is_empty()).collect();
        workers.each(&mut more, |gathered| {
            for part in gathered.parts.drain(..) {
                gathered.held.begins.extend(part.begins);
                gathered.held.ends.extend(part.ends);
            }
        });
    }

    /// Those that have many, by capture point and address.
    #[must_use]
    pub fn finish(self, workers: &Workers) -> Vec<TimeWaits> {
        let hosts = self.0.into_iter().map(|((point, host), gathered)| TimeWaits { point, host, held: gathered.held });
        let mut many: Vec<TimeWaits> = hosts.filter(|time_waits| time_waits.held.count() >= MANY).collect();
        workers.each(&mut many, |time_waits| time_waits.held.sort(workers));
        many
    }
}

/// TIME-WAITs of wanted hosts in some groups.
#[derive(Debug)]
pub struct Found<'a> {
    wanted: &'a Hosts,
    held: HashMap<Host, Held>,
}

impl Found<'_> {
    /// Adds the TIME-WAITs among the holds of a group.
    pub fn add(&mut self, ends: &Ends, holds: &[Hold]) {
        for (side, host) in hosts_of(ends) {
            if !self.wanted.0.contains_key(&host) {
                continue;
            }
            let held = self.held.entry(host).or_default();
            for hold in time_waits(holds, side) {
                held.begins.push(hold.closed);
                held.ends.push(hold.until);
            }
        }
    }

    /// By host, in any order.
    #[must_use]
    pub fn finish(self) -> Vec<(Host, Held)> {
        self.held.into_iter().filter(|(_, held)| held.count() > 0).collect()
    }
}

impl Hold {
    fn of(place: Place, connection: Connection<'_>, end: Time, two_msl: Span) -> Self {
        let close = connection.close();
        let (time_wait, from) = connection.time_wait(close);
        let last = connection.last().1;
        let closed = match (from, close) {
            // The client is done when its own FIN is acknowledged (LAST-ACK).
            (Some(from), _) if time_wait == Who::Server => {
                connection.endpoint(Side::Client).fin_acked.unwrap_or(from).max(from)
            }
            (Some(from), _) => from,
            (None, Close::Reset | Close::FinReset) => connection.reset_at().unwrap_or(last),
            (None, Close::Open | Close::HalfClosed | Close::DataUnanswered | Close::FinUnanswered) => end.max(last),
            (None, _) => last,
        };
        let until = if time_wait == Who::None { closed } else { closed.plus(two_msl) };
        let from = connection.first().1.min(closed);
        let [port, _] = connection.ports();
        Self { connection: place, port, time_wait, reused: false, from, closed, until }
    }

    /// The pair's next incarnation: the client gives its own TIME-WAIT up when it sends, the server when it accepts.
    fn cut(&mut self, next: Connection<'_>) {
        let accepted =
            !matches!(next.opened(), Opened::Unanswered | Opened::Refused | Opened::Unreachable | Opened::Challenged);
        let at = next.first().1;
        // Whoever opens again has given the pair up, TIME-WAIT or not.
        self.closed = self.closed.min(at).max(self.from);
        if at < self.until && (accepted || self.time_wait.includes(Side::Client)) {
            self.reused = self.time_wait != Who::None;
            self.until = at.max(self.closed);
        }
    }

    /// A late RST with the number expected: from the peer it ends TIME-WAIT; from its holder it says that there
    /// is none.
    fn reset(&mut self, by: Side, at: Time) {
        if self.time_wait.includes(by) {
            self.until = self.closed;
            self.time_wait = Who::None;
        } else if at < self.until {
            self.until = at.max(self.closed);
        }
    }
}

/// The highest of some numbers over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// The first moment at which it was reached.
    pub at: Time,
    /// The number.
    pub most: u64,
    /// How often the number changed.
    changes: usize,
}

/// How many of some spans of time have begun and not ended: 16 octets a span, whatever is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    begins: Vec<Time>,
    ends: Vec<Time>,
}

/// A number that changes over time: from each moment on.
pub type Steps = Vec<(Time, u64)>;

impl Held {
    /// From when each span began and ended.
    #[must_use]
    pub fn of(spans: impl Iterator<Item = (Time, Time)>, workers: &Workers) -> Self {
        let (begins, ends) = spans.unzip();
        let mut held = Self { begins, ends };
        held.sort(workers);
        held
    }

    /// How many spans there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.begins.len()
    }

    /// When spans began, in order.
    #[must_use]
    pub fn begins(&self) -> &[Time] {
        &self.begins
    }

    /// From each moment on, how many had begun and not ended. Spans end before others begin, and a span without length
    /// has ended before it is counted.
    pub fn steps(&self) -> impl Iterator<Item = (Time, u64)> + '_ {
        let (mut begun, mut ended) = (0, 0);
        std::iter::from_fn(move || {
            let next = (self.begins.get(begun), self.ends.get(ended));
            let at = match next {
                (Some(begin), Some(end)) => *begin.min(end),
                (one, other) => *one.or(other)?,
            };
            while self.ends.get(ended).is_some_and(|end| *end <= at) {
                ended += 1;
            }
            while self.begins.get(begun).is_some_and(|begin| *begin <= at) {
                begun += 1;
            }
            Some((at, begun.saturating_sub(ended) as u64))
        })
    }

    /// The highest value up to `end`; `None` where nothing begins until then.
    #[must_use]
    pub fn peak(&self, end: Time) -> Option<Peak> {
        let mut seen = self.steps().take_while(|(at, _)| *at <= end);
        let first = seen.next().map(|(at, most)| Peak { at, most, changes: 1 })?;
        Some(seen.fold(first, |peak, (at, value)| {
            let changes = peak.changes + 1;
            if value > peak.most { Peak { at, most: value, changes } } else { Peak { changes, ..peak } }
        }))
    }

    /// The value at a moment.
    #[must_use]
    pub fn value_at(&self, at: Time) -> u64 {
        let until = |times: &[Time]| times.partition_point(|time| *time <= at);
        until(&self.begins).saturating_sub(until(&self.ends)) as u64
    }

    /// At most about `most` steps up to `end`, whose `peak` this is, that keep the shape: of each stretch the highest
    /// and the last.
    #[must_use]
    pub fn thinned(&self, end: Time, peak: &Peak, most: usize) -> Steps {
        let stretch = (peak.changes * 2).div_ceil(most.max(2)).max(1);
        let mut kept = Steps::new();
        let mut stretches = self.steps().take_while(|(at, _)| *at <= end).peekable();
        while stretches.peek().is_some() {
            let mut highest: Option<(Time, u64)> = None;
            let mut last = None;
            for step in stretches.by_ref().take(stretch) {
                highest = highest.filter(|best| best.1 >= step.1).or(Some(step));
                last = Some(step);
            }
            kept.extend(highest);
            kept.extend(last.filter(|last| Some(*last) != highest));
        }
        kept
    }

    fn sort(&mut self, workers: &Workers) {
        workers.sort_by_number(&mut self.begins, |time| time.0);
        workers.sort_by_number(&mut self.ends, |time| time.0);
    }
}

/// A capture point and an address.
pub type Host = (u16, IpAddr);

/// The holds of some connections of one group and one shard.
fn of_shard(evidence: &Evidence, places: &[Place], resets: &Resets, two_msl: Span) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::with_capacity(places.len());
    for (place, connection) in evidence.picked(places) {
        // Incarnations of a socket pair follow one another, and are of one group.
        if let Some(previous) = connection.previous()
            && let Ok(before) = holds.binary_search_by_key(&previous.index(), |hold| hold.connection.1)
            && let Some(before) = holds.get_mut(before)
        {
            before.cut(connection);
        }
        holds.push(Hold::of(place, connection, evidence.end_of(connection.point()), two_msl));
    }
    for hold in &mut holds {
        for (by, at) in resets.of_connection(hold.connection) {
            hold.reset(*by, *at);
        }
    }
    holds
}

fn time_waits(holds: &[Hold], side: Side) -> impl Iterator<Item = &Hold> {
    holds.iter().filter(move |hold| hold.time_wait.includes(side) && hold.until > hold.closed)
}

fn hosts_of(ends: &Ends) -> [(Side, Host); 2] {
    [(Side::Client, (ends.point, ends.client)), (Side::Server, (ends.point, ends.server.ip))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_what_has_begun_and_not_ended() {
        let at = |seconds: i64| Time::from_parts(seconds, 0);
        let held =
            Held::of([(at(1), at(4)), (at(2), at(3)), (at(3), at(9)), (at(5), at(5))].into_iter(), &Workers::default());
        assert_eq!(held.peak(at(9)), Some(Peak { at: at(2), most: 2, changes: 6 }));
        assert_eq!(held.peak(at(1)), Some(Peak { at: at(1), most: 1, changes: 1 }));
        assert_eq!([0, 1, 3, 4, 5, 9].map(|s| held.value_at(at(s))), [0, 1, 2, 1, 1, 0]);
        assert_eq!(Held::default().steps().next(), None);
    }

    #[test]
    fn thinning_keeps_the_peak() {
        let begins = (0..10_000).flat_map(|n| std::iter::repeat_n(n, if n == 777 { 99 } else { 5 }));
        let held = Held::of(begins.map(|n| (Time(n * 10), Time(n * 10 + 5))), &Workers::default());
        let end = Time(90_000);
        let thin = held.thinned(end, &held.peak(end).unwrap(), 100);
        assert!(thin.len() <= 110 && thin.contains(&(Time(7770), 99)), "{}", thin.len());
    }
}
