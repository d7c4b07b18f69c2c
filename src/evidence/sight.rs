//! What the capture could see: connections of which it shows one direction, octets that were acknowledged and never
//! captured, connections that were open before it began. One pass over all connections, shard by shard.
//!
//! The rules about the capture's own limits (CAP003, CAP004, CAP006, CAP010) report it, and the rules about unanswered
//! SYNs ask it whether answers can be seen at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::HashSet;

use super::Evidence;
use super::groups::Place;
use crate::connection::{Connection, Opened, Side, Socket, Tracked};
use crate::time::{Span, Time};

/// Examples that are kept of each kind.
const EXAMPLES: usize = 20;
/// What is already under way in the first moment of a capture was open before it.
const AT_ONCE: Span = Span::from_secs(1);

/// What all capture points could see, by their numbers.
#[derive(Debug, Default)]
pub struct Sight {
    points: BTreeMap<u16, PointSight>,
    /// Capture point, client and server address, where the server answers and no packet of it was captured.
    mute: BTreeSet<(u16, IpAddr, IpAddr)>,
}

/// What one capture point could see.
#[derive(Clone, Debug, Default)]
pub struct PointSight {
    /// All connections.
    pub connections: u64,
    /// Those that were open before the first packet of them that was captured.
    pub open_before: Examples,
    /// Of these, those whose first packet came more than a second after the capture began.
    pub open_later: u64,
    /// Those of which one direction is missing, although the other shows that it was there.
    pub one_way: Examples,
    /// The same by server socket: those without the server's packets, and those without the client's.
    pub one_way_of: BTreeMap<Socket, [u64; 2]>,
    /// SYN-ACKs that must have been there, in connections of which both directions are seen.
    pub unseen_answers: Examples,
    /// Holes in what one end sent, up to its last captured octet or behind it.
    pub holes: u64,
    /// Octets in these holes, all of which the peer acknowledged.
    pub octets: u64,
    /// Connections with such holes.
    pub with_holes: Examples,
    /// Connections whose last captured packet was followed by others that were acknowledged.
    pub tails: Examples,
}

/// A count, and the first of what was counted, by their first frames.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// How many.
    pub count: u64,
    /// At most 20, in frame order: first frame, connection.
    pub first: Vec<(u64, Place)>,
}

impl Sight {
    /// Looks at all connections.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let parts = evidence.workers.map(&evidence.shards, |number, shard| {
            Part::of(u16::try_from(number).unwrap_or(u16::MAX), shard, evidence)
        });
        let mut whole = Part::default();
        for part in parts {
            whole.append(part);
        }
        let mut mute = whole.silent;
        if !mute.is_empty() {
            let heard = evidence.workers.map(&evidence.shards, |_, shard| {
                let speaks = |c: &Connection<'_>| c.endpoint(Side::Server).packets > 0 && mute.contains(&pair(*c));
                shard.connections().filter(speaks).map(pair).collect::<BTreeSet<_>>()
            });
            heard.iter().flatten().for_each(|pair| _ = mute.remove(pair));
        }
        Self { points: whole.points, mute }
    }

    /// What a capture point could see; nothing where it has no connections.
    #[must_use]
    pub fn at(&self, point: u16) -> PointSight {
        self.points.get(&point).cloned().unwrap_or_default()
    }

    /// Whether the server answers the client somewhere else: connections go on, and no packet of the server was captured.
    #[must_use]
    pub fn is_mute(&self, point: u16, client: IpAddr, server: IpAddr) -> bool {
        self.mute.contains(&(point, client, server))
    }
}

/// The sight of one shard, or of several.
#[derive(Default)]
struct Part {
    points: BTreeMap<u16, PointSight>,
    /// Pairs of hosts with a connection that lacks the server's packets.
    silent: BTreeSet<(u16, IpAddr, IpAddr)>,
}

impl Part {
    fn of(number: u16, shard: &Tracked, evidence: &Evidence) -> Self {
        let mut part = Self::default();
        for connection in shard.connections() {
            let begins = evidence.points.get(usize::from(connection.point())).map_or(Time::MIN, |point| point.first_at);
            part.add((number, connection.index()), connection, begins);
        }
        part.add_holes(number, shard);
        part
    }

    fn add(&mut self, place: Place, connection: Connection<'_>, begins: Time) {
        let (frame, at) = connection.first();
        let sight = self.points.entry(connection.point()).or_default();
        sight.connections += 1;
        if connection.opened() == Opened::BeforeCapture {
            sight.open_before.add(frame, place);
            sight.open_later += u64::from(at.since(begins) > AT_ONCE);
        }
        match connection.missing_direction() {
            Some(side) => {
                sight.one_way.add(frame, place);
                let [server, client] = sight.one_way_of.entry(connection.server()).or_default();
                if side == Side::Server {
                    *server += 1;
                    self.silent.insert(pair(connection));
                } else {
                    *client += 1;
                }
            }
            None if connection.answer_unseen() => sight.unseen_answers.add(frame, place),
            None => {
                let tail: u64 = Side::BOTH.into_iter().map(|side| connection.unseen_tail(side)).sum();
                if tail > 0 {
                    sight.tails.add(connection.last().0, place);
                    sight.holes += 1;
                    sight.octets += tail;
                }
            }
        }
    }

    fn add_holes(&mut self, number: u16, shard: &Tracked) {
        // Holes of connections take turns, and whose do depends on the shard.
        let mut known = HashSet::new();
        for hole in shard.unseen() {
            let (point, place) = (hole.connection.point(), (number, hole.connection.index()));
            if hole.connection.missing_direction().is_some() {
                continue;
            }
            let sight = self.points.entry(point).or_default();
            sight.holes += 1;
            sight.octets += hole.octets;
            if known.insert(place) {
                sight.with_holes.add(hole.frame, place);
            }
        }
    }

    fn append(&mut self, other: Self) {
        for (point, more) in other.points {
            self.points.entry(point).or_default().append(more);
        }
        self.silent.extend(other.silent);
    }
}

fn pair(connection: Connection<'_>) -> (u16, IpAddr, IpAddr) {
    (connection.point(), connection.client().ip, connection.server().ip)
}

impl PointSight {
    fn append(&mut self, other: Self) {
        self.connections += other.connections;
        self.open_before.append(other.open_before);
        self.open_later += other.open_later;
        self.one_way.append(other.one_way);
        for (socket, [server, client]) in other.one_way_of {
            let [servers, clients] = self.one_way_of.entry(socket).or_default();
            (*servers, *clients) = (*servers + server, *clients + client);
        }
        self.unseen_answers.append(other.unseen_answers);
        self.holes += other.holes;
        self.octets += other.octets;
        self.with_holes.append(other.with_holes);
        self.tails.append(other.tails);
    }
}

impl Examples {
    fn add(&mut self, frame: u64, place: Place) {
        self.count += 1;
        if self.first.len() < EXAMPLES || self.first.last().is_some_and(|(last, _)| *last > frame) {
            self.keep(vec![(frame, place)]);
        }
    }

    fn append(&mut self, other: Self) {
        self.count += other.count;
        self.keep(other.first);
    }

    fn keep(&mut self, more: Vec<(u64, Place)>) {
        self.first.extend(more);
        self.first.sort_unstable();
        self.first.truncate(EXAMPLES);
    }
}
