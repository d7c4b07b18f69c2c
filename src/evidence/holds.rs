//! Who holds which socket pair for how long: open, then in TIME-WAIT. One pass over all connections; what ports
//! and TIME-WAIT populations over time are counted from.
//!
//! RFC 9293 section 3.6.1 (TIME-WAIT); `TCP_TIMEWAIT_LEN` in include/net/tcp.h. A TIME-WAIT ends early where the
//! pair's next incarnation was accepted, or a RST came that fits (RFC 1337).

use std::net::IpAddr;
use std::ops::Range;

use hashbrown::HashMap;

use super::Evidence;
use crate::connection::{Close, Connection, LateKind, Opened, Side, Socket, Who};
use crate::time::{Span, Time};

/// All holds, by client address and server socket at a capture point.
#[derive(Debug)]
pub struct Holds {
    /// By capture point, client and server.
    pub groups: Vec<Group>,
    /// Those of one group lie together, in no order of time.
    holds: Vec<Hold>,
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
    range: Range<usize>,
}

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
    /// Gathers the holds of all connections; TIME-WAIT lasts for `two_msl`.
    #[must_use]
    pub fn of(evidence: &Evidence, two_msl: Span) -> Self {
        let mut keys: Keys = Keys::default();
        let mut holds: Vec<Hold> = Vec::with_capacity(evidence.connection_count());
        for (shard, tracked) in (0_u16..).zip(&evidence.shards) {
            let base = holds.len();
            for connection in tracked.connections() {
                let group = keys.id(connection);
                if let Some(previous) = connection.previous() {
                    if let Some(before) = holds.get_mut(base + previous.index() as usize) {
                        before.cut(connection);
                    }
                }
                let mut hold = Hold::of(connection, evidence.end_of(connection.point()), two_msl);
                (hold.group, hold.connection.0) = (group, shard);
                holds.push(hold);
            }
            for late in tracked.late().filter(|late| late.kind == LateKind::Rst && late.expected) {
                if let Some(hold) = holds.get_mut(base + late.connection.index() as usize) {
                    hold.reset(late.by, late.at);
                }
            }
        }
        let (groups, holds) = keys.sorted(&holds);
        Self { groups, holds }
    }

    /// The holds of a group, in no order of time.
    #[must_use]
    pub fn of_group(&self, group: &Group) -> &[Hold] {
        self.holds.get(group.range.clone()).unwrap_or(&[])
    }

    /// The holds of one group, as ports of the client: how many are taken from each moment on.
    #[must_use]
    pub fn ports(&self, group: &Group) -> Steps {
        let holds = self.of_group(group);
        let until = |hold: &Hold| if hold.time_wait.includes(Side::Client) { hold.until } else { hold.closed };
        steps(holds.iter().map(|hold| (hold.from, until(hold))))
    }

    /// How many TIME-WAITs each host held over time, by capture point and address: a host's groups at a point
    /// are those where it is the client, and those where it is the server.
    #[must_use]
    pub fn populations(&self, least: usize) -> Vec<(u16, IpAddr, Vec<(Time, Time)>)> {
        let mut hosts: HashMap<(u16, IpAddr), Vec<(Time, Time)>> = HashMap::new();
        for group in &self.groups {
            let holds = self.of_group(group);
            for (side, host) in [(Side::Client, group.client), (Side::Server, group.server.ip)] {
                let mut held = holds.iter().filter(|hold| hold.time_wait.includes(side) && hold.until > hold.closed);
                let Some(first) = held.next() else { continue };
                let spans = hosts.entry((group.point, host)).or_default();
                spans.push((first.closed, first.until));
                spans.extend(held.map(|hold| (hold.closed, hold.until)));
            }
        }
        let enough = hosts.into_iter().filter(|(_, spans)| spans.len() >= least);
        let mut all: Vec<_> = enough.map(|((point, host), spans)| (point, host, spans)).collect();
        all.sort_unstable_by_key(|(point, host, _)| (*point, *host));
        all
    }
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
        let accepted = !matches!(
            next.opened(),
            Opened::Unanswered | Opened::Refused | Opened::Unreachable | Opened::Challenged
        );
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

/// Numbers for groups, in order of their first connections.
#[derive(Default)]
struct Keys {
    ids: HashMap<(u16, IpAddr, Socket), u32>,
    last: Option<((u16, IpAddr, Socket), u32)>,
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

    /// Groups by key, and the holds in their order.
    fn sorted(self, holds: &[Hold]) -> (Vec<Group>, Vec<Hold>) {
        let mut keys: Vec<_> = self.ids.into_iter().collect();
        keys.sort_unstable();
        let (mut next, mut begin) = (vec![0; keys.len()], 0);
        let mut groups = Vec::with_capacity(keys.len());
        for ((point, client, server), id) in keys {
            let count = self.counts.get(id as usize).copied().unwrap_or(0);
            groups.push(Group { point, client, server, range: begin..begin + count });
            if let Some(place) = next.get_mut(id as usize) {
                *place = begin;
            }
            begin += count;
        }
        let Some(filler) = holds.first() else { return (groups, Vec::new()) };
        let mut placed = vec![*filler; holds.len()];
        for hold in holds {
            let Some(place) = next.get_mut(hold.group as usize) else { continue };
            if let Some(slot) = placed.get_mut(*place) {
                *slot = *hold;
            }
            *place += 1;
        }
        (groups, placed)
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
