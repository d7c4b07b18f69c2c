//! Connections that a rule picks, grouped by client address and server socket at a capture point: most rules
//! have one finding for each such group.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Case, Confidence, Finding, Rule, Severity, Subject};
use crate::connection::{Connection, Socket};

/// What a rule picked between one client address and one server socket.
pub(super) struct Group<'a, T> {
    pub point: u16,
    pub client: IpAddr,
    pub server: Socket,
    /// Connections by their first frame, with what the rule says of each.
    pub picked: Vec<(Connection<'a>, T)>,
}

/// Groups what `pick` picks among the notable connections (see `Evidence::notable`), in order of capture point, client and server.
pub(super) fn groups<'a, T>(case: &Case<'a>, pick: impl Fn(Connection<'a>) -> Option<T>) -> Vec<Group<'a, T>> {
    let mut groups: BTreeMap<(u16, IpAddr, Socket), Vec<(Connection<'a>, T)>> = BTreeMap::new();
    for connection in case.evidence.notable() {
        if let Some(value) = pick(connection) {
            let key = (connection.point(), connection.client().ip, connection.server());
            groups.entry(key).or_default().push((connection, value));
        }
    }
    let sorted = groups.into_iter().map(|((point, client, server), mut picked)| {
        picked.sort_by_key(|(connection, _)| connection.first().0);
        Group { point, client, server, picked }
    });
    sorted.collect()
}

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
