//! Connections that a rule picks, grouped by client address and server socket at a capture point: most rules
//! have one finding for each such group.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::{Case, Confidence, Finding, Rule, Severity, Subject};
use crate::connection::{Connection, Socket};
use crate::evidence::groups::Ends;

/// What a rule picked between one client address and one server socket.
pub(super) struct Group<'a, T> {
    pub point: u16,
    pub client: IpAddr,
    pub server: Socket,
    /// Connections by their first frame, with what the rule says of each.
    pub picked: Vec<(Connection<'a>, T)>,
}

/// Groups what `pick` picks among the notable connections (see `Evidence::notable`), in order of capture point, client
/// and server.
pub(super) fn groups<'a, T: Send>(
    case: &Case<'a>,
    pick: impl Fn(Connection<'a>) -> Option<T> + Sync,
) -> Vec<Group<'a, T>> {
    groups_among(case, &case.evidence.tally.notable, pick)
}

/// The same among connections named by shard and index.
pub(super) fn groups_among<'a, T: Send>(
    case: &Case<'a>,
    places: &[(u16, u32)],
    pick: impl Fn(Connection<'a>) -> Option<T> + Sync,
) -> Vec<Group<'a, T>> {
    let evidence = case.evidence;
    let chunks: Vec<&[(u16, u32)]> = places.chunks(CHUNK).collect();
    let picked = evidence.workers.map(&chunks, |_, chunk| {
        let one = |place: &(u16, u32)| {
            let connection = evidence.connection(*place)?;
            Some((evidence.groups.of(*place), connection.first().0, connection, pick(connection)?))
        };
        chunk.iter().filter_map(one).collect::<Vec<_>>()
    });
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    let mut buckets: Vec<Bucket<'a, T>> = Vec::new();
    for (group, frame, connection, value) in picked.into_iter().flatten() {
        let number = *numbers.entry(group).or_insert(buckets.len());
        if number == buckets.len() {
            buckets.push((group, Vec::new()));
        }
        if let Some((_, bucket)) = buckets.get_mut(number) {
            bucket.push((frame, connection, value));
        }
    }
    buckets.sort_unstable_by_key(|(group, _)| *group);
    evidence.workers.each(&mut buckets, |(_, bucket)| bucket.sort_by_key(|(frame, ..)| *frame));
    let named = buckets.into_iter().filter_map(|(group, bucket)| {
        let Ends { point, client, server } = evidence.groups.ends(group)?;
        let picked = bucket.into_iter().map(|(_, connection, value)| (connection, value)).collect();
        Some(Group { point, client, server, picked })
    });
    named.collect()
}

/// What was picked of one group, with first frames.
type Bucket<'a, T> = (u32, Vec<(u64, Connection<'a>, T)>);

/// Connections that one thread looks at in one go.
const CHUNK: usize = 4096;

impl<T> Group<'_, T> {
    /// How many connections there are.
    pub fn total(&self) -> u64 {
        self.picked.len() as u64
    }

    /// How many of them `which` picks.
    pub fn count(&self, which: impl Fn(&Connection<'_>, &T) -> bool) -> u64 {
        self.picked.iter().filter(|(connection, value)| which(connection, value)).count() as u64
    }

    /// A finding about the group, to be filled in.
    pub fn finding(&self, rule: &Rule, severity: Severity, confidence: Confidence) -> Finding {
        let subject = Subject {
            client_ip: Some(self.client),
            server_ip: Some(self.server.ip),
            server_port: Some(self.server.port),
            host: None,
        };
        rule.finding(severity, confidence, subject, Some(self.point))
    }

    /// An exhibit a connection: its first packet, or its last.
    pub fn exhibits(
        &self,
        case: &Case<'_>,
        show: Show,
        text: impl Fn(&Connection<'_>, &T) -> String,
    ) -> super::finding::Exhibits {
        let place = |connection: &Connection<'_>| match show {
            Show::First => connection.first(),
            Show::Last => connection.last(),
        };
        let times = || self.picked.iter().map(|(connection, _)| place(connection).1);
        let one = |(connection, value): &(Connection<'_>, T)| {
            let (frame, at) = place(connection);
            case.exhibit(self.point, frame, at, text(connection, value))
        };
        super::finding::Exhibits {
            shown: self.picked.iter().take(super::EXHIBITS_SHOWN).map(one).collect(),
            total: self.total(),
            first: times().min(),
            last: times().max(),
        }
    }
}

/// Which packet of a connection is its exhibit.
#[derive(Clone, Copy)]
pub(super) enum Show {
    First,
    Last,
}
