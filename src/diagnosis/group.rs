//! Connections that a rule picks, grouped by client address and server socket at a capture point: most rules
//! have one finding for each such group.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::{Case, Confidence, Finding, Rule, Severity, Subject};
use crate::connection::{Connection, Socket};
use crate::evidence::groups::{Ends, Place};
use crate::evidence::tally::Service;
use crate::language::Text;

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
    places: &[Place],
    pick: impl Fn(Connection<'a>) -> Option<T> + Sync,
) -> Vec<Group<'a, T>> {
    let evidence = case.evidence;
    let chunks: Vec<&[Place]> = places.chunks(CHUNK).collect();
    let one = |(place, connection): (Place, Connection<'a>)| {
        let value = pick(connection)?;
        Some((evidence.groups.of(place), (connection.first().0, (connection, value))))
    };
    let mut by_group: HashMap<u32, Picked<'a, T>> = HashMap::new();
    // In turns, so that memory holds few of what was picked twice.
    for turn in chunks.chunks(CHUNKS) {
        let pick = |_, chunk: &&[Place]| evidence.picked_with_previous(chunk).filter_map(one).collect::<Vec<_>>();
        for (number, picked) in evidence.workers.map(turn, pick).into_iter().flatten() {
            by_group.entry(number).or_default().push(picked);
        }
    }
    let mut by_group: Vec<_> = by_group.into_iter().collect();
    by_group.sort_unstable_by_key(|(number, _)| *number);
    evidence.workers.each(&mut by_group, |(_, picked)| evidence.workers.sort_by_number(picked, |(frame, _)| *frame));
    let group = |(number, picked): (u32, Picked<'a, T>)| {
        let Ends { point, client, server } = evidence.groups.ends(number)?;
        Some(Group { point, client, server, picked: picked.into_iter().map(|(_, picked)| picked).collect() })
    };
    by_group.into_iter().filter_map(group).collect()
}

/// Connections of one group, each behind its first frame, by which they are sorted.
type Picked<'a, T> = Vec<(u64, (Connection<'a>, T))>;

/// Connections that one thread looks at in one go.
const CHUNK: usize = 4096;
/// Chunks in one turn.
const CHUNKS: usize = 16;

impl<T> Group<'_, T> {
    /// How many connections there are.
    pub fn total(&self) -> u64 {
        self.picked.len() as u64
    }

    /// How many of them `which` picks.
    pub fn count(&self, which: impl Fn(&Connection<'_>, &T) -> bool) -> u64 {
        self.picked.iter().filter(|(connection, value)| which(connection, value)).count() as u64
    }

    /// Counts over all connections of this client and this server socket at the point.
    pub fn service<'c>(&self, case: &'c Case<'_>) -> Option<&'c Service> {
        let ends = Ends { point: self.point, client: self.client, server: self.server };
        case.evidence.tally.services.get(&ends)
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
        text: impl Fn(&Connection<'_>, &T) -> Text,
    ) -> super::finding::Exhibits {
        let place = |connection: &Connection<'_>| match show {
            Show::First => connection.first(),
            Show::Last => connection.last(),
        };
        let one = |(connection, value): &(Connection<'_>, T)| {
            let (frame, at) = place(connection);
            case.exhibit(self.point, frame, at, text(connection, value))
        };
        super::finding::Exhibits::of(self.picked.iter(), |(connection, _)| place(connection).1, one)
    }
}

/// Which packet of a connection is its exhibit.
#[derive(Clone, Copy)]
pub(super) enum Show {
    First,
    Last,
}
