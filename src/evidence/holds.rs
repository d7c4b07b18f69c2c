//! Who holds which socket pair for how long: open, then in TIME-WAIT. One pass over all connections; what ports
//! and TIME-WAIT populations over time are counted from.
//!
//! RFC 9293 section 3.6.1 (TIME-WAIT); `TCP_TIMEWAIT_LEN` in include/net/tcp.h. A TIME-WAIT ends early where the
//! pair's next incarnation was accepted, or a RST came that fits (RFC 1337).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

use hashbrown::{HashMap, HashSet};

use super::Evidence;
use crate::connection::{Close, Connection, LateKind, Opened, Side, Socket, Tracked, Who};
use crate::time::{Span, Time};

/// All holds, by client address and server socket at a capture point.
#[derive(Debug)]
pub struct Holds {
    /// Those with many connections, by capture point, client and server.
    pub groups: Vec<Group>,
    /// One a shard.
    parts: Vec<Part>,
}

/// One client address and one server socket at one capture point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number of the capture point.
    pub point: u16,
    /// The client's address as the capture shows it.
    pub client: IpAddr,
    /// The server's socket.
    pub server: Socket,
    /// How many connections there are.
    pub connections: usize,
    /// Shard and range of its holds.
    parts: Vec<(u16, Range<usize>)>,
}

/// Groups with fewer connections, and hosts with fewer TIME-WAITs, are passed over: there may be a million of them.
pub const MANY: usize = 32;

/// One incarnation of a socket pair, for as long as somebody holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    group: u32,
    /// Shard and index of its connection.
    pub connection: (u16, u32),
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

/// A number that changes over time: from each moment on.
pub type Steps = Vec<(Time, u64)>;

impl Holds {
    /// Gathers the holds of all connections, shard by shard; TIME-WAIT lasts for `two_msl`.
    #[must_use]
    pub fn of(evidence: &Evidence, two_msl: Span) -> Self {
        let parts = evidence.workers.map(&evidence.shards, |number, shard| {
            Part::of(evidence, u16::try_from(number).unwrap_or(u16::MAX), shard, two_msl)
        });
        // Who has many has more than one in some shard.
        let few = |range: &Range<usize>| range.len() * parts.len() < MANY;
        let candidates = parts.iter().flat_map(|part| &part.ranges).filter(|(_, range)| !few(range));
        let keys: BTreeSet<Key> = candidates.map(|(key, _)| *key).collect();
        let group = |key: &Key| {
            let ranges =
                (0_u16..).zip(&parts).filter_map(|(number, part)| Some((number, part.ranges.get(key)?.clone())));
            let parts: Vec<(u16, Range<usize>)> = ranges.collect();
            let connections = parts.iter().map(|(_, range)| range.len()).sum();
            Group { point: key.0, client: key.1, server: key.2, connections, parts }
        };
        let groups = keys.iter().map(group).filter(|group| group.connections >= MANY).collect();
        Self { groups, parts }
    }

    /// The holds of a group, in no order of time.
    pub fn of_group(&self, group: &Group) -> impl Iterator<Item = &Hold> {
        let part = |(shard, range): &(u16, Range<usize>)| self.parts.get(usize::from(*shard))?.holds.get(range.clone());
        group.parts.iter().filter_map(part).flatten()
    }

    /// The holds of one group, as ports of the client: how many are taken from each moment on.
    #[must_use]
    pub fn ports(&self, group: &Group) -> Steps {
        let until = |hold: &Hold| if hold.time_wait.includes(Side::Client) { hold.until } else { hold.closed };
        steps(self.of_group(group).map(|hold| (hold.from, until(hold))))
    }

    /// When each host's TIME-WAITs began and ended, by capture point and address; those of hosts with many.
    #[must_use]
    pub fn time_waits(&self, evidence: &Evidence) -> Vec<TimeWaits> {
        let few = |count: usize| count * self.parts.len() < MANY;
        let counts = evidence.workers.map(&self.parts, |_, part| part.hosts());
        let candidates = counts.iter().flatten().filter(|(_, count)| !few(**count));
        let hosts: HashSet<Host> = candidates.map(|(host, _)| *host).collect();
        let found = evidence.workers.map(&self.parts, |_, part| part.spans(&hosts));
        let mut all: BTreeMap<Host, Vec<(Time, Time)>> = BTreeMap::new();
        for (host, spans) in found.into_iter().flatten() {
            all.entry(host).or_default().extend(spans);
        }
        let many = all.into_iter().filter(|(_, spans)| spans.len() >= MANY);
        many.map(|((point, host), spans)| TimeWaits { point, host, spans }).collect()
    }
}

/// The TIME-WAITs of one host at one capture point.
#[derive(Clone, Debug)]
pub struct TimeWaits {
    /// The number of the capture point.
    pub point: u16,
    /// Its address; behind NAT, all hosts' with this address.
    pub host: IpAddr,
    /// When each began and ended, in no order of time.
    pub spans: Vec<(Time, Time)>,
}

impl Hold {
    fn of(connection: Connection<'_>, end: Time, two_msl: Span) -> Self {
        let (close, time_wait) = (connection.close(), connection.time_wait_side());
        let last = connection.last().1;
        let closed = match (connection.time_wait_from(), close) {
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
        let place = (0, connection.index());
        let port = connection.client().port;
        Self { group: 0, connection: place, port, time_wait, reused: false, from, closed, until }
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

/// How many of some spans of time have begun and not ended, from each moment on. Spans end before others begin.
#[must_use]
pub fn steps(spans: impl Iterator<Item = (Time, Time)>) -> Steps {
    let (mut begins, mut ends): (Vec<i64>, Vec<i64>) = spans.map(|(from, until)| (from.0, until.0)).unzip();
    // Both come as a few sorted runs, which this sort merges.
    begins.sort();
    ends.sort();
    let mut steps: Steps = Vec::with_capacity(begins.len() + ends.len());
    let (mut begun, mut ended) = (0, 0);
    while let Some(at) = begins.get(begun).copied().into_iter().chain(ends.get(ended).copied()).min() {
        while ends.get(ended).is_some_and(|end| *end <= at) {
            ended += 1;
        }
        while begins.get(begun).is_some_and(|begin| *begin <= at) {
            begun += 1;
        }
        // A span without length has ended before it is counted.
        steps.push((Time(at), begun.saturating_sub(ended) as u64));
    }
    steps
}

/// The first moment of the highest value, up to `end`.
#[must_use]
pub fn peak(steps: &[(Time, u64)], end: Time) -> Option<(Time, u64)> {
    let seen = steps.iter().take_while(|(at, _)| *at <= end);
    seen.fold(None, |best: Option<(Time, u64)>, (at, value)| match best {
        Some((_, most)) if most >= *value => best,
        _ => Some((*at, *value)),
    })
}

/// The value at a moment.
#[must_use]
pub fn value_at(steps: &[(Time, u64)], at: Time) -> u64 {
    let place = steps.partition_point(|(from, _)| *from <= at);
    place.checked_sub(1).and_then(|place| steps.get(place)).map_or(0, |(_, value)| *value)
}

/// At most about `most` steps that keep the shape: of each stretch the highest and the last.
#[must_use]
pub fn thinned(steps: &[(Time, u64)], end: Time, most: usize) -> Steps {
    let seen = steps.iter().take_while(|(at, _)| *at <= end).count();
    let steps = steps.get(..seen).unwrap_or(steps);
    let stretch = (steps.len() * 2).div_ceil(most.max(2)).max(1);
    if stretch == 1 {
        return steps.to_vec();
    }
    let mut kept = Steps::new();
    for part in steps.chunks(stretch) {
        let highest = part.iter().copied().reduce(|best, step| if step.1 > best.1 { step } else { best });
        let last = part.last().copied();
        kept.extend(highest);
        kept.extend(last.filter(|last| Some(*last) != highest));
    }
    kept
}

type Key = (u16, IpAddr, Socket);
type Host = (u16, IpAddr);

/// The holds of one shard, sorted by group.
#[derive(Debug)]
struct Part {
    ranges: HashMap<Key, Range<usize>>,
    holds: Vec<Hold>,
}

impl Part {
    fn of(evidence: &Evidence, number: u16, shard: &Tracked, two_msl: Span) -> Self {
        let mut keys: Keys = Keys::default();
        let mut holds: Vec<Hold> = Vec::with_capacity(shard.len());
        for connection in shard.connections() {
            let group = keys.id(connection);
            if let Some(previous) = connection.previous()
                && let Some(before) = holds.get_mut(previous.index() as usize)
            {
                before.cut(connection);
            }
            let mut hold = Hold::of(connection, evidence.end_of(connection.point()), two_msl);
            (hold.group, hold.connection.0) = (group, number);
            holds.push(hold);
        }
        for late in shard.late().filter(|late| late.kind == LateKind::Rst && late.expected) {
            if let Some(hold) = holds.get_mut(late.connection.index() as usize) {
                hold.reset(late.by, late.at);
            }
        }
        keys.sorted(&holds)
    }

    /// How many TIME-WAITs each host left.
    fn hosts(&self) -> HashMap<Host, usize> {
        let mut counts: HashMap<Host, usize> = HashMap::new();
        for (key, range) in &self.ranges {
            for (side, host) in ends(key) {
                let count = self.held(range, side).count();
                if count > 0 {
                    *counts.entry(host).or_default() += count;
                }
            }
        }
        counts
    }

    /// The TIME-WAITs of some hosts. The order is that of a hash table: whoever asks sorts by time.
    fn spans(&self, hosts: &HashSet<Host>) -> HashMap<Host, Vec<(Time, Time)>> {
        let mut found: HashMap<Host, Vec<(Time, Time)>> = HashMap::new();
        for (key, range) in &self.ranges {
            for (side, host) in ends(key).into_iter().filter(|(_, host)| hosts.contains(host)) {
                let spans = found.entry(host).or_default();
                spans.extend(self.held(range, side).map(|hold| (hold.closed, hold.until)));
            }
        }
        found
    }

    fn held(&self, range: &Range<usize>, side: Side) -> impl Iterator<Item = &Hold> {
        let holds = self.holds.get(range.clone()).unwrap_or(&[]);
        holds.iter().filter(move |hold| hold.time_wait.includes(side) && hold.until > hold.closed)
    }
}

fn ends((point, client, server): &Key) -> [(Side, Host); 2] {
    [(Side::Client, (*point, *client)), (Side::Server, (*point, server.ip))]
}

/// Numbers for groups, in order of their first connections.
#[derive(Default)]
struct Keys {
    ids: HashMap<Key, u32>,
    last: Option<(Key, u32)>,
    counts: Vec<usize>,
}

impl Keys {
    fn id(&mut self, connection: Connection<'_>) -> u32 {
        let key = (connection.point(), connection.client().ip, connection.server());
        let id = match self.last {
            Some((last, id)) if last == key => id,
            _ => {
                let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
                *self.ids.entry(key).or_insert(next)
            }
        };
        self.last = Some((key, id));
        let place = id as usize;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        id
    }

    /// The holds in order of their groups, each group's range by its key.
    fn sorted(self, holds: &[Hold]) -> Part {
        let mut next = Vec::with_capacity(self.counts.len());
        let mut begin = 0;
        for count in &self.counts {
            next.push(begin);
            begin += count;
        }
        let range = |id: u32| {
            let begin = next.get(id as usize).copied().unwrap_or(0);
            begin..begin + self.counts.get(id as usize).copied().unwrap_or(0)
        };
        let ranges = self.ids.into_iter().map(|(key, id)| (key, range(id))).collect();
        let Some(filler) = holds.first() else { return Part { ranges, holds: Vec::new() } };
        let mut placed = vec![*filler; holds.len()];
        for hold in holds {
            let Some(place) = next.get_mut(hold.group as usize) else { continue };
            if let Some(slot) = placed.get_mut(*place) {
                *slot = *hold;
            }
            *place += 1;
        }
        Part { ranges, holds: placed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_what_has_begun_and_not_ended() {
        let at = |seconds: i64| Time::from_parts(seconds, 0);
        let spans = [(at(1), at(4)), (at(2), at(3)), (at(3), at(9)), (at(5), at(5))];
        let steps = steps(spans.into_iter());
        assert_eq!(peak(&steps, at(9)), Some((at(2), 2)));
        assert_eq!(peak(&steps, at(1)), Some((at(1), 1)));
        assert_eq!([0, 1, 3, 4, 5, 9].map(|s| value_at(&steps, at(s))), [0, 1, 2, 1, 1, 0]);
        assert!(super::steps(std::iter::empty()).is_empty());
    }

    #[test]
    fn thinning_keeps_the_peak() {
        let steps: Steps = (0..10_000).map(|n| (Time(n), if n == 777 { 99 } else { 5 })).collect();
        let thin = thinned(&steps, Time(9000), 100);
        assert!(thin.len() <= 110 && thin.contains(&(Time(777), 99)), "{}", thin.len());
    }
}
