//! The same SYN at two capture points: linked by ISN and TSval, which NAT leaves untouched, whatever the clocks
//! of both recorders say.
//!
//! A link places each failure: the SYN never came to the point nearer to the server; or it came and nothing
//! answered there; or the answer left and was lost on the way back.

use hashbrown::{HashMap, HashSet};

use super::Evidence;
use crate::connection::{Side, Syn, SynFate};
use crate::time::{Span, Time};

/// What both points show of the same SYN: ISN and TSval, and how often that pair was seen before at the point.
type Key = (u32, Option<u32>, u32);

/// Two capture points on one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The point nearer to the clients.
    pub client_point: u16,
    /// The point nearer to the server.
    pub server_point: u16,
    /// How far the clock of the recorder at the server's side is ahead, path delay included.
    pub clock_offset: Span,
    /// SYN segments at the clients' side while the other point was recorded.
    pub syns: u64,
    /// Those of them that the other point shows, too.
    pub linked: u64,
    /// Unanswered at the clients' side, and where each was lost.
    pub placed: Placed,
}

/// Where unanswered SYNs were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Seen at the point nearer to the server; nothing answered there.
    pub at_server: u64,
    /// Not seen there.
    pub between: u64,
    /// Answered there; the answer did not come back to the clients' side.
    pub answer_lost: u64,
}

/// All links, and the SYNs that are shown again nearer to the server.
#[derive(Debug, Default)]
pub struct Links {
    /// By capture points.
    pub links: Vec<Link>,
    /// Capture point and frame of every SYN at a clients' side that is linked.
    pub copies: HashSet<(u16, u64)>,
}

/// SYNs that two points must share to be on one way.
const FEWEST: usize = 3;

/// Links all pairs of capture points that saw the same SYNs.
#[must_use]
pub fn find(evidence: &Evidence) -> Links {
    let mut links = Links::default();
    if evidence.points.len() < 2 {
        return links;
    }
    let points: Vec<Seen> = (0..).zip(&evidence.points).map(|(point, _)| Seen::at(evidence, point)).collect();
    for (place, one) in points.iter().enumerate() {
        for other in points.iter().skip(place + 1) {
            links.add(evidence, one, other);
        }
    }
    links
}

/// The SYNs of one point.
struct Seen {
    point: u16,
    syns: HashMap<Key, One>,
}

#[derive(Clone, Copy)]
struct One {
    at: Time,
    frame: u64,
    ttl: u8,
    fate: SynFate,
}

impl Seen {
    fn at(evidence: &Evidence, point: u16) -> Self {
        let of_point = |syn: &Syn<'_>| syn.connection.point() == point && !syn.by_server;
        let mut syns: Vec<Syn<'_>> = evidence.shards.iter().flat_map(|shard| shard.syns()).filter(of_point).collect();
        syns.sort_unstable_by_key(|syn| syn.frame);
        let mut before: HashMap<(u32, Option<u32>), u32> = HashMap::new();
        let keyed = syns.into_iter().map(|syn| {
            let name = (syn.isn.0, syn.tsval.map(|tsval| tsval.0));
            let count = before.entry(name).or_default();
            *count += 1;
            let ttl = syn.connection.endpoint(Side::Client).ttl;
            ((name.0, name.1, *count), One { at: syn.at, frame: syn.frame, ttl, fate: syn.fate })
        });
        Self { point, syns: keyed.collect() }
    }

    /// The SYNs that both show, by the first one's frame.
    fn shared<'a>(&'a self, other: &'a Self) -> Vec<(One, One)> {
        let both = self.syns.iter().filter_map(|(key, one)| Some((*one, *other.syns.get(key)?)));
        let mut both: Vec<(One, One)> = both.collect();
        both.sort_unstable_by_key(|(one, _)| one.frame);
        both
    }
}

impl Links {
    fn add(&mut self, evidence: &Evidence, one: &Seen, other: &Seen) {
        let shared = one.shared(other);
        if shared.len() < FEWEST {
            return;
        }
        // Every router takes one from the TTL; on one segment the earlier capture is taken for the clients' side.
        let hops: i64 = shared.iter().map(|(one, other)| i64::from(one.ttl) - i64::from(other.ttl)).sum();
        let later = median(&shared) >= Span::ZERO;
        let (client, server) = if hops > 0 || (hops == 0 && later) { (one, other) } else { (other, one) };
        let shared = client.shared(server);
        let clock_offset = median(&shared);
        let mut link = Link {
            client_point: client.point,
            server_point: server.point,
            clock_offset,
            syns: 0,
            linked: shared.len() as u64,
            placed: Placed::default(),
        };
        let recorded = evidence.points.get(usize::from(server.point)).map(|point| (point.first_at, point.last_at));
        for (key, syn) in &client.syns {
            let there = syn.at.plus(clock_offset);
            let counts = recorded.is_some_and(|(first, last)| there >= first && there <= last);
            let seen = server.syns.get(key);
            link.syns += u64::from(counts || seen.is_some());
            match (syn.fate, seen.map(|seen| seen.fate)) {
                (SynFate::None, Some(SynFate::None)) => link.placed.at_server += 1,
                (SynFate::None, Some(_)) => link.placed.answer_lost += 1,
                (SynFate::None, None) if counts => link.placed.between += 1,
                _ => {}
            }
        }
        self.copies.extend(shared.iter().map(|(syn, _)| (client.point, syn.frame)));
        self.links.push(link);
    }
}

/// The middle of the differences of time.
fn median(shared: &[(One, One)]) -> Span {
    let mut spans: Vec<Span> = shared.iter().map(|(one, other)| other.at.since(one.at)).collect();
    spans.sort_unstable();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}
