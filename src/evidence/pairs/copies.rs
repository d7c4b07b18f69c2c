//! One SYN seen twice at one capture point: on both sides of a NAT, or before and behind a load balancer.
//!
//! NAT leaves ISN and TSval untouched. Of two SYNs with the same of both within milliseconds, from different
//! sockets, the later one has passed the translation: it is nearer to the server, and only it is judged.

use hashbrown::HashSet;

use crate::connection::{Socket, Syn, SynFate};
use crate::evidence::Evidence;
use crate::segment::{SeqNumber, TsVal};
use crate::time::{Span, Time};

/// How long a translation may take.
const TRANSLATION: Span = Span::from_millis(20);

/// What both copies share: capture point, ISN and TSval.
type Key = (u16, SeqNumber, Option<TsVal>);

/// Capture point and frame of every unanswered SYN that is shown again nearer to the server.
pub(super) fn of(evidence: &Evidence) -> HashSet<(u16, u64)> {
    let unanswered = evidence.workers.map(&evidence.shards, |_, shard| {
        shard.syns().filter(|syn| syn.fate == SynFate::None).map(|syn| key(&syn)).collect::<Vec<Key>>()
    });
    let keys: HashSet<Key> = unanswered.into_iter().flatten().collect();
    let seen = evidence.workers.map(&evidence.shards, |_, shard| {
        let of_keys = shard.syns().filter(|syn| keys.contains(&key(syn)));
        of_keys.map(|syn| Seen::of(&syn)).collect::<Vec<Seen>>()
    });
    let mut seen: Vec<Seen> = seen.into_iter().flatten().collect();
    seen.sort_unstable_by_key(|seen| (seen.key.0, seen.key.1.0, seen.key.2.map(|tsval| tsval.0), seen.frame));
    let pairs = seen.windows(2).filter_map(|pair| match pair {
        [one, other] if one.is_copied_by(other) => Some((one.key.0, one.frame)),
        _ => None,
    });
    pairs.collect()
}

fn key(syn: &Syn<'_>) -> Key {
    (syn.connection.point(), syn.isn, syn.tsval)
}

/// One SYN among those with its key.
struct Seen {
    key: Key,
    frame: u64,
    at: Time,
    client: Socket,
    server: Socket,
}

impl Seen {
    fn of(syn: &Syn<'_>) -> Self {
        let connection = syn.connection;
        Self { key: key(syn), frame: syn.frame, at: syn.at, client: connection.client(), server: connection.server() }
    }

    fn is_copied_by(&self, other: &Self) -> bool {
        let translated = self.client != other.client || self.server != other.server;
        // Without timestamps the ISN alone could be chance: then at least the server must be the same.
        let same = self.key == other.key && (self.key.2.is_some() || self.server == other.server);
        same && translated && other.at.since(self.at) <= TRANSLATION
    }
}
