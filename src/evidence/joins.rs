//! What a host lists of its connections, laid beside the connections that the captures show.
//!
//! A host is an end of a capture where its socket pairs are in it; behind a NAT its address is another there, and
//! only the ports agree. TIME-WAIT belongs to the end that closed first, CLOSE-WAIT to the one that did not close:
//! both can be held against the FINs seen. Agreement makes either surer; disagreement is told.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::Evidence;
use super::hosts::HostView;
use crate::connection::{Connection, Side, Socket, Who};
use crate::snapshot::{Process, SocketRow, Source, TcpState};
use crate::time::{Span, Time};

/// Clocks of a host and of a recorder may differ by this much (snapshots are made one tool after the other).
const SLACK: Span = Span::from_secs(60);
/// Fewer port pairs in common are chance.
const PORT_PAIRS: u64 = 5;

/// How a host was found in the captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matched {
    /// Not at all.
    #[default]
    No,
    /// By port pairs alone: a NAT lies between, or it is chance.
    Ports(u64),
    /// It has an address of the captures, and none of its connections is in them.
    Address,
    /// By socket pairs.
    Pairs(u64),
}

/// One host beside the captures.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// How it was found.
    pub matched: Matched,
    /// Connections that it lists, each once.
    pub rows: u64,
    /// TIME-WAITs whose close the captures show, by who closed first: this host, its peer.
    pub time_waits: (u64, u64),
    /// A TIME-WAIT of a connection that the peer closed first.
    pub contrary: Option<Source>,
    /// CLOSE-WAITs whose connection the captures show.
    pub close_waits: Vec<CloseWait>,
    /// How far its moments lie from the captures: zero inside. `None` where its clock is not told.
    pub apart: Option<Span>,
}

/// A connection that the host has in CLOSE-WAIT and the captures show.
#[derive(Clone, Debug)]
pub struct CloseWait {
    /// The peer.
    pub peer: Socket,
    /// Its own end.
    pub own: Socket,
    /// The process that holds it, by name and number.
    pub process: Option<Arc<str>>,
    /// From the peer's FIN to the moment of the row, else to the last packet of the connection's capture point.
    pub age: Option<Span>,
    /// Whether the captures show the peer's FIN, and none of its own before the row was made.
    pub agrees: bool,
    /// The row.
    pub source: Source,
}

/// One row of a host, to be found among the connections.
struct Wanted<'a> {
    host: usize,
    row: &'a SocketRow,
    own: Socket,
    at: Option<Time>,
}

/// Every host of the evidence beside the captures, in the order of the hosts.
#[must_use]
pub fn join(evidence: &Evidence) -> Vec<Join> {
    let mut joins: Vec<Join> =
        evidence.hosts.iter().map(|host| Join { apart: apart(evidence, host), ..Join::default() }).collect();
    if evidence.hosts.is_empty() || evidence.points.is_empty() {
        return joins;
    }
    let wanted: Vec<Wanted<'_>> =
        evidence.hosts.iter().enumerate().flat_map(|(place, host)| wanted(place, host)).collect();
    let mut by_pair: HashMap<(Socket, Socket), Vec<usize>> = HashMap::new();
    for (number, one) in wanted.iter().enumerate() {
        if let Some(peer) = peer(one.row) {
            by_pair.entry((one.own, peer)).or_default().push(number);
        }
    }
    // The last incarnation that had begun when the row was made.
    let mut met: Vec<Option<(Connection<'_>, Side)>> = wanted.iter().map(|_| None).collect();
    let mut ports: HashSet<(u16, u16)> = HashSet::new();
    for connection in evidence.shards.iter().flat_map(|shard| shard.connections()) {
        let (client, server) = (connection.client(), connection.server());
        ports.insert((client.port, server.port));
        for (side, key) in [(Side::Client, (client, server)), (Side::Server, (server, client))] {
            for number in by_pair.get(&key).into_iter().flatten() {
                let begun =
                    wanted.get(*number).and_then(|one| one.at).is_none_or(|at| connection.first().1 <= at.plus(SLACK));
                if let Some(met) = met.get_mut(*number).filter(|_| begun) {
                    let later = met.is_none_or(|(known, _)| known.first() < connection.first());
                    *met = if later { Some((connection, side)) } else { *met };
                }
            }
        }
    }
    for (one, met) in wanted.iter().zip(&met) {
        let Some(join) = joins.get_mut(one.host) else { continue };
        join.rows = join.rows.saturating_add(1);
        if let Some((connection, side)) = met {
            let point = evidence.points.get(usize::from(connection.point()));
            let ended = point.map_or_else(|| connection.last().1, |point| point.last_at);
            join.add(one, *connection, *side, ended);
        }
    }
    for (place, (join, host)) in joins.iter_mut().zip(&evidence.hosts).enumerate() {
        if join.matched == Matched::No {
            join.matched = without_pairs(evidence, host, wanted.iter().filter(|one| one.host == place), &ports);
        }
    }
    joins
}

/// The rows of all moments with two ends, each pair once a state.
fn wanted(place: usize, host: &HostView) -> Vec<Wanted<'_>> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    // Later moments first: what they list is the outcome.
    for listed in host.listings().into_iter().rev() {
        for row in listed.rows().filter(|row| row.state != Some(TcpState::Listen)) {
            let own = row.local.host.ip().zip(row.local.port.number()).map(|(ip, port)| Socket { ip, port });
            if let (Some(own), Some(peer)) = (own, peer(row))
                && !own.ip.is_loopback()
                && seen.insert((own, peer, row.state))
            {
                wanted.push(Wanted { host: place, row, own, at: listed.at });
            }
        }
    }
    wanted
}

/// `java (3310)`, as far as it is told.
fn owner(process: &Process) -> Option<Arc<str>> {
    match (&process.name, process.pid) {
        (Some(name), Some(pid)) => Some(format!("{name} ({pid})").into()),
        (Some(name), None) => Some(Arc::clone(name)),
        (None, pid) => pid.map(|pid| format!("process {pid}").into()),
    }
}

fn peer(row: &SocketRow) -> Option<Socket> {
    Some(Socket { ip: row.remote.host.ip()?, port: row.remote.port.number()? })
}

impl Join {
    fn add(&mut self, wanted: &Wanted<'_>, connection: Connection<'_>, side: Side, ended: Time) {
        let pairs = if let Matched::Pairs(pairs) = self.matched { pairs } else { 0 };
        self.matched = Matched::Pairs(pairs.saturating_add(1));
        let row = wanted.row;
        match row.state {
            Some(TcpState::TimeWait) => {
                let who = connection.time_wait_side();
                if who.includes(side) {
                    self.time_waits.0 = self.time_waits.0.saturating_add(1);
                } else if who != Who::None {
                    self.time_waits.1 = self.time_waits.1.saturating_add(1);
                    self.contrary = self.contrary.or(Some(row.source));
                }
            }
            Some(TcpState::CloseWait) => {
                let until = wanted.at.unwrap_or(Time::MAX);
                let (own, peer) = (connection.endpoint(side).first_fin, connection.endpoint(side.other()).first_fin);
                // Clocks differ a little: the own FIN may seem to be older than the row.
                let agrees = peer.is_some() && own.is_none_or(|own| own.plus(SLACK) > until);
                let age = peer.map(|fin| wanted.at.unwrap_or(ended).since(fin)).filter(|age| age.0 >= 0);
                let process = row.process.as_ref().and_then(owner);
                let peer = connection.socket(side.other());
                self.close_waits.push(CloseWait { peer, own: wanted.own, process, age, agrees, source: row.source });
            }
            _ => {}
        }
    }
}

fn without_pairs<'a>(
    evidence: &Evidence,
    host: &HostView,
    wanted: impl Iterator<Item = &'a Wanted<'a>>,
    ports: &HashSet<(u16, u16)>,
) -> Matched {
    let addresses = host.addresses();
    let known = evidence
        .tally
        .services
        .keys()
        .any(|ends| addresses.contains(&ends.client) || addresses.contains(&ends.server.ip));
    if known {
        return Matched::Address;
    }
    let (mut all, mut common) = (0_u64, 0_u64);
    for one in wanted {
        let Some(peer) = peer(one.row) else { continue };
        all = all.saturating_add(1);
        let found = ports.contains(&(one.own.port, peer.port)) || ports.contains(&(peer.port, one.own.port));
        common = common.saturating_add(u64::from(found));
    }
    if common >= PORT_PAIRS && common.saturating_mul(2) >= all { Matched::Ports(common) } else { Matched::No }
}

/// How far the nearest moment of a host lies from the captures.
fn apart(evidence: &Evidence, host: &HostView) -> Option<Span> {
    let points = evidence.points.iter().filter(|point| point.first_at <= point.last_at);
    let spans: Vec<(Time, Time)> = points.map(|point| (point.first_at, point.last_at)).collect();
    let moments = host.moments.iter().filter_map(|moment| moment.at);
    let distances = moments.flat_map(|at| {
        spans.iter().map(move |(first, last)| {
            if at < *first {
                first.since(at)
            } else if at > *last {
                at.since(*last)
            } else {
                Span::default()
            }
        })
    });
    distances.min()
}

impl Join {
    /// Whether its files were made while the captures were, as far as clocks tell.
    #[must_use]
    pub fn is_contemporary(&self) -> Option<bool> {
        self.apart.map(|apart| apart <= SLACK)
    }
}
