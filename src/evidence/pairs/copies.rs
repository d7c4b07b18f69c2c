//! One SYN seen twice at one capture point: on both sides of a NAT, or before and behind a load balancer.
//!
//! NAT leaves ISN and TSval untouched. Of two SYNs with the same of both within milliseconds, from different
//! sockets, the later one has passed the translation: it is nearer to the server, and only it is judged.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::connection::{Connection, Socket, Syn, SynFate, Tracked};
use crate::evidence::Evidence;
use crate::evidence::tally::SAMPLE;
use crate::segment::{SeqNumber, TsVal, Tunnel};
use crate::time::{Span, Time};

/// How long a translation may take.
const TRANSLATION: Span = Span::from_millis(20);

/// What both copies share: capture point, ISN and TSval.
type Key = (u16, SeqNumber, Option<TsVal>);

/// Capture point and frame of every unanswered SYN that is shown again nearer to the server.
pub(super) fn of<'a>(evidence: &'a Evidence) -> HashSet<(u16, u64)> {
    let first = evidence.picked(&evidence.tally.unanswered).filter_map(|(_, connection)| connection.first_syn());
    let later = evidence.shards.iter().flat_map(|shard| shard.later_syns().filter(|syn| syn.fate == SynFate::None));
    let keys: HashSet<Key> = first.chain(later).map(|syn| key(&syn)).collect();
    let of_keys = |syn: Syn<'a>| keys.contains(&key(&syn)).then(|| Seen::of(&syn));
    let mut seen: Vec<Seen<'a>> = evidence.first_syns_with(keys.iter().map(|(_, isn, _)| *isn), of_keys);
    seen.extend(evidence.shards.iter().flat_map(Tracked::later_syns).filter_map(of_keys));
    evidence.workers.sort_by_key(&mut seen, Seen::order);
    let pairs = seen.windows(2).filter_map(|pair| match pair {
        [one, other] if one.is_copied_by(other) => Some((one.key.0, one.frame)),
        _ => None,
    });
    pairs.collect()
}

/// SYNs that one capture point shows on both sides of a translation or a tunnel.
#[derive(Clone, Debug, Default)]
pub struct Translated {
    /// How many were looked at again; of very many SYNs one in sixteen is, and counts for as many.
    pub count: u64,
    /// The first ones.
    pub shown: Vec<TranslatedSyn>,
}

/// One SYN on both sides.
#[derive(Clone, Copy, Debug)]
pub struct TranslatedSyn {
    /// The later one's frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// Client and server in front.
    pub before: (Socket, Socket),
    /// Client and server behind.
    pub after: (Socket, Socket),
}

/// SYNs seen on both sides, by capture point.
#[must_use]
pub fn translated(evidence: &Evidence) -> BTreeMap<u16, Translated> {
    const ALL: usize = 100_000;
    const SHOWN: usize = 20;
    // Retransmissions, and the second SYN of a simultaneous open, are no first SYNs.
    let (stride, mut seen): (u32, Vec<Seen<'_>>) = if evidence.connection_count() > ALL {
        let sample = evidence.picked(&evidence.tally.sample).filter_map(|(_, connection)| connection.first_syn());
        (SAMPLE, sample.map(|syn| Seen::of(&syn)).collect())
    } else {
        let seen = evidence.workers.map(&evidence.shards, |_, shard| {
            let first = shard.connections().filter_map(Connection::first_syn);
            first.map(|syn| Seen::of(&syn)).collect::<Vec<Seen<'_>>>()
        });
        (1, seen.into_iter().flatten().collect())
    };
    evidence.workers.sort_by_key(&mut seen, Seen::order);
    let mut points: BTreeMap<u16, Translated> = BTreeMap::new();
    for (one, other) in seen.iter().zip(seen.iter().skip(1)).filter(|(one, other)| one.is_copied_by(other)) {
        let point = points.entry(one.key.0).or_default();
        point.count += u64::from(stride);
        point.shown.push(TranslatedSyn {
            frame: other.frame,
            at: other.at,
            before: one.sockets(),
            after: other.sockets(),
        });
    }
    for point in points.values_mut() {
        point.shown.sort_unstable_by_key(|syn| syn.frame);
        point.shown.truncate(SHOWN);
    }
    points
}

fn key(syn: &Syn<'_>) -> Key {
    (syn.connection.point(), syn.isn, syn.tsval)
}

/// One SYN among those with its key.
struct Seen<'a> {
    key: Key,
    frame: u64,
    at: Time,
    connection: Connection<'a>,
}

impl<'a> Seen<'a> {
    fn of(syn: &Syn<'a>) -> Self {
        Self { key: key(syn), frame: syn.frame, at: syn.at, connection: syn.connection }
    }

    /// Those with one key are neighbours, in frame order.
    fn order(&self) -> (u16, u32, Option<u32>, u64) {
        (self.key.0, self.key.1.0, self.key.2.map(|tsval| tsval.0), self.frame)
    }

    fn sockets(&self) -> (Socket, Socket) {
        (self.connection.client(), self.connection.server())
    }

    fn is_copied_by(&self, other: &Self) -> bool {
        if self.key != other.key || other.at.since(self.at) > TRANSLATION {
            return false;
        }
        let tunnel = |seen: &Self| seen.connection.tunnel().map_or(0, Tunnel::identity_hash);
        let translated = self.sockets() != other.sockets() || tunnel(self) != tunnel(other);
        // Without timestamps the ISN alone could be chance: then at least the server must be the same.
        translated && (self.key.2.is_some() || self.connection.server() == other.connection.server())
    }
}
