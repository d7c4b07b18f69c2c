//! SYNs and closes of one pair of hosts at one capture point, in time order: what the rules about unanswered
//! SYNs replay.
//!
//! Grouping is by (client address, server address), because that is the key under which Linux remembered
//! timestamps (`tcpm_saddr`, `tcpm_daddr` in net/ipv4/tcp_metrics.c since 3.14). Only pairs with at least one
//! unanswered SYN are worth replaying. They are listed first and gathered one by one, so that memory holds the
//! SYNs of a few pairs and never those of a whole capture.

mod copies;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

pub use copies::{Translated, TranslatedSyn, translated};
use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::Evidence;
use super::clocks::{Clocks, Tick, tell_apart};
use super::groups::Ends;
use crate::connection::{Connection, Opened, Side, Syn, SynFate, Tracked, Who};
use crate::segment::{SeqNumber, TsVal};
use crate::time::{Span, Time};

/// Who talks to whom, where: capture point, client address, server address.
pub type PairKey = (u16, IpAddr, IpAddr);

/// All SYNs from one client address to one server address, and what the server's closes taught it.
#[derive(Clone, Debug)]
pub struct HostPair {
    /// The number of the capture point.
    pub point: u16,
    /// The client's address as the capture shows it.
    pub client: IpAddr,
    /// The server's address.
    pub server: IpAddr,
    /// In frame order.
    pub syns: Vec<SynSeen>,
    /// Closes by the server, in time order.
    pub taught: Vec<Taught>,
    /// Attempts on server ports with an unanswered SYN, in order of the ports.
    pub attempts: Vec<Attempt>,
    /// By shard, until they are joined.
    parts: Vec<Part>,
}

/// One attempt: SYNs with one ISN on one socket pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// Its first SYN.
    pub first: Time,
    /// Its last SYN.
    pub last: Time,
    /// SYNs that nothing answered.
    pub unanswered: u32,
    /// SYNs answered by SYN-ACK.
    pub answered: u32,
    /// It drew no SYN-ACK, challenge ACK or RST at all.
    pub failed: bool,
    /// From its first SYN to the one that was answered by SYN-ACK.
    pub delay: Span,
}

impl Attempt {
    /// From its SYNs in time order.
    #[must_use]
    pub fn of(syns: &[SynSeen]) -> Option<Self> {
        let (first, last) = (syns.first()?, syns.last()?);
        let answered = |syn: &&SynSeen| syn.fate == SynFate::SynAck;
        let count =
            |which: &dyn Fn(&&SynSeen) -> bool| u32::try_from(syns.iter().filter(which).count()).unwrap_or(u32::MAX);
        Some(Self {
            client_port: first.client_port,
            server_port: first.server_port,
            first: first.at,
            last: last.at,
            unanswered: count(&|syn| syn.unanswered()),
            answered: count(&answered),
            failed: first.attempt_failed(),
            delay: syns.iter().find(answered).map_or(Span::ZERO, |syn| syn.at.since(first.at)),
        })
    }
}

/// One SYN segment. A pair may have a million, so that it holds no more than all of them are asked for.
#[derive(Clone, Copy, Debug)]
pub struct SynSeen {
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// TSval, where it carries timestamps.
    pub tsval: Option<TsVal>,
    /// Initial sequence number: SYNs with one ISN on one socket pair are one attempt.
    pub isn: SeqNumber,
    /// Milliseconds, `u32::MAX` for none.
    time_wait_age: u32,
    /// Shard and index of its connection.
    pub connection: (u16, u32),
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// Whether it repeats an earlier SYN of its attempt.
    pub retransmission: bool,
    /// What became of it.
    pub fate: SynFate,
    /// How its attempt ended.
    pub opened: Opened,
    /// A copy of a SYN that the capture shows again nearer to the server: it is not judged.
    pub copy: bool,
}

/// What a close by the server could teach it of the client's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taught {
    /// When.
    pub at: Time,
    /// The client's TSval.
    pub tsval: TsVal,
    /// Shard and index of the connection.
    pub connection: (u16, u32),
    /// Its first frame, counted from 0 at its capture point.
    frame: u64,
    /// The peer's FIN taught it, after the ACK of the own one.
    with_fin: bool,
}

/// Which pairs of hosts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with an unanswered SYN.
    Unanswered,
    /// All with a SYN.
    All,
}

/// Pairs of hosts, and which connections are theirs.
#[derive(Debug, Default)]
pub struct PairIndex {
    /// By capture point and addresses.
    pairs: Vec<Listed>,
    /// The pair of each group; `u32::MAX` for none.
    of_group: Vec<u32>,
    /// Capture point and frame of every SYN that is shown again nearer to the server.
    copies: HashSet<(u16, u64)>,
}

/// One pair, before it is gathered.
#[derive(Debug)]
struct Listed {
    key: PairKey,
    /// Server ports with an unanswered SYN, in order.
    ports: Vec<u16>,
    connections: usize,
}

impl SynSeen {
    /// Nothing answered it.
    #[must_use]
    pub fn unanswered(&self) -> bool {
        self.fate == SynFate::None && !self.copy
    }

    /// The age of the server's TIME-WAIT of the same socket pair, in milliseconds, where it may still have been there.
    #[must_use]
    pub fn time_wait_age(&self) -> Option<Span> {
        (self.time_wait_age != u32::MAX).then(|| Span::from_millis(i64::from(self.time_wait_age)))
    }

    /// The same for all SYNs of one attempt: one ISN on one socket pair.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        u64::from(self.isn.0) << 32 | u64::from(self.client_port) << 16 | u64::from(self.server_port)
    }

    /// Its attempt drew no SYN-ACK, challenge ACK or RST at all.
    #[must_use]
    pub fn attempt_failed(&self) -> bool {
        matches!(self.opened, Opened::Unanswered | Opened::Unreachable)
    }
}

impl HostPair {
    /// The attempts on a server port with an unanswered SYN.
    #[must_use]
    pub fn attempts_to(&self, port: u16) -> &[Attempt] {
        let begin = self.attempts.partition_point(|attempt| attempt.server_port < port);
        let end = self.attempts.partition_point(|attempt| attempt.server_port <= port);
        self.attempts.get(begin..end).unwrap_or(&[])
    }

    /// The client clocks behind the client's address, and the clock of each SYN.
    #[must_use]
    pub fn clocks(&self) -> Clocks {
        let stamped =
            self.syns.iter().filter_map(|syn| Some(Tick { at: syn.at, tsval: syn.tsval?, attempt: syn.attempt() }));
        let mut found = tell_apart(&stamped.collect::<Vec<_>>());
        // SYNs without timestamps have no clock; the others keep their order.
        let mut of = std::mem::take(&mut found.of).into_iter();
        found.of = self.syns.iter().map(|syn| syn.tsval.and_then(|_| of.next()).flatten()).collect();
        found
    }
}

impl Taught {
    /// One number to sort by: time, then first frame, then the ACK before the FIN.
    fn order(&self) -> i128 {
        i128::from(self.at.0) << 64 | i128::from(self.frame) << 1 | i128::from(self.with_fin)
    }
}

impl PairIndex {
    /// Lists pairs of hosts; SYNs in `linked` are copies that another capture point shows nearer to the server.
    #[must_use]
    pub fn new(evidence: &Evidence, which: Which, linked: &HashSet<(u16, u64)>) -> Self {
        let mut index = Self::listed(evidence, which);
        if !index.pairs.is_empty() {
            if which == Which::Unanswered {
                index.copies = copies::of(evidence);
            }
            index.copies.extend(linked);
        }
        index
    }

    /// Applies `work` to every pair, in order of the pairs; some are gathered at a time, so that memory holds a part
    /// of the SYNs only.
    pub fn map<T: Send>(&self, evidence: &Evidence, work: impl Fn(&HostPair) -> T + Sync) -> Vec<T> {
        let later = later_syns(evidence);
        let mut results = Vec::with_capacity(self.pairs.len());
        let mut begin = 0;
        while begin < self.pairs.len() {
            let end = self.batch(begin);
            let mut gathered = self.gather(evidence, begin..end, &later);
            evidence.workers.each(&mut gathered, HostPair::sort);
            results.extend(evidence.workers.map(&gathered, |_, pair| work(pair)));
            begin = end;
        }
        results
    }

    /// One pair, gathered again.
    #[must_use]
    pub fn pair(&self, evidence: &Evidence, key: PairKey) -> Option<HostPair> {
        let place = self.pairs.binary_search_by_key(&key, |listed| listed.key).ok()?;
        let mut pair = self.gather(evidence, place..place + 1, &later_syns(evidence)).pop()?;
        pair.sort();
        Some(pair)
    }

    fn listed(evidence: &Evidence, which: Which) -> Self {
        let groups = &evidence.groups;
        let flagged = evidence.workers.map(&evidence.shards, |number, shard| {
            let of = groups.of_shard(number);
            let wanted = shard.syns().filter(|syn| (which == Which::All || syn.fate == SynFate::None) && counts(syn));
            wanted.filter_map(|syn| of.get(syn.connection.index() as usize).copied()).collect::<HashSet<u32>>()
        });
        let flagged: BTreeSet<u32> = flagged.into_iter().flatten().collect();
        // Groups are in order of capture point, client and server: those of one pair are neighbours.
        let mut pairs: Vec<Listed> = Vec::new();
        for ends in flagged.iter().filter_map(|group| groups.ends(*group)) {
            let key = key(&ends);
            if pairs.last().is_none_or(|listed| listed.key != key) {
                pairs.push(Listed { key, ports: Vec::new(), connections: 0 });
            }
            if let (Which::Unanswered, Some(listed)) = (which, pairs.last_mut()) {
                listed.ports.push(ends.server.port);
            }
        }
        let mut of_group = vec![u32::MAX; groups.len()];
        for ((group, ends), pair) in groups.iter().zip(&mut of_group) {
            let Ok(place) = pairs.binary_search_by_key(&key(&ends), |listed| listed.key) else { continue };
            *pair = u32::try_from(place).unwrap_or(u32::MAX);
            if let Some(listed) = pairs.get_mut(place) {
                listed.connections += groups.size(group) as usize;
            }
        }
        Self { pairs, of_group, copies: HashSet::new() }
    }

    /// Where the batch that begins at a pair ends.
    fn batch(&self, begin: usize) -> usize {
        let mut together = 0;
        let fits = self.pairs.iter().skip(begin).take_while(|listed| {
            together += listed.connections;
            together <= BATCH
        });
        begin + fits.count().max(1)
    }

    /// Some pairs, unsorted, from one pass over all connections: one after the other is much faster to read than
    /// those of each pair, which lie far apart.
    fn gather(&self, evidence: &Evidence, range: Range<usize>, later: &LaterSyns<'_>) -> Vec<HostPair> {
        let listed = self.pairs.get(range.clone()).unwrap_or(&[]);
        let parts = evidence.workers.map(&evidence.shards, |number, _| self.part(evidence, number, &range, later));
        let mut pairs: Vec<HostPair> = listed.iter().map(HostPair::empty).collect();
        for part in parts {
            pairs.iter_mut().zip(part).for_each(|(pair, part)| pair.parts.push(part));
        }
        pairs
    }

    /// What one shard has of some pairs.
    fn part(&self, evidence: &Evidence, number: usize, range: &Range<usize>, later: &LaterSyns<'_>) -> Vec<Part> {
        let mut parts: Vec<Part> = range.clone().map(|_| Part::default()).collect();
        let (Some(tracked), Some(later)) = (evidence.shards.get(number), later.get(number)) else { return parts };
        let shard = u16::try_from(number).unwrap_or(u16::MAX);
        for (connection, group) in tracked.connections().zip(evidence.groups.of_shard(number)) {
            let pair = self.of_group.get(*group as usize).map_or(usize::MAX, |pair| *pair as usize);
            let Some(part) = pair.checked_sub(range.start).and_then(|place| parts.get_mut(place)) else { continue };
            let Some(Listed { key, ports, .. }) = self.pairs.get(pair) else { continue };
            let again = later.get(&connection.index()).map_or(&[][..], Vec::as_slice);
            let from = part.syns.len();
            let syns = connection.first_syn().into_iter().chain(again.iter().copied());
            part.syns.extend(syns.map(|syn| {
                let copy = !self.copies.is_empty() && self.copies.contains(&(key.0, syn.frame));
                SynSeen { copy, ..seen(shard, &syn) }
            }));
            if ports.binary_search(&connection.server().port).is_ok() {
                part.attempts.extend(part.syns.get(from..).and_then(Attempt::of));
            }
            part.taught.extend(taught(shard, connection));
        }
        parts
    }
}

impl HostPair {
    fn empty(listed: &Listed) -> Self {
        let (point, client, server) = listed.key;
        Self { point, client, server, syns: Vec::new(), taught: Vec::new(), attempts: Vec::new(), parts: Vec::new() }
    }

    /// Joins what the shards gave.
    fn sort(&mut self) {
        self.syns.reserve_exact(self.parts.iter().map(|part| part.syns.len()).sum());
        self.taught.reserve_exact(self.parts.iter().map(|part| part.taught.len()).sum());
        for part in std::mem::take(&mut self.parts) {
            self.syns.extend(part.syns);
            self.taught.extend(part.taught);
            self.attempts.extend(part.attempts);
        }
        // A pair may have a million: these sorts take no memory, and all threads.
        self.syns.par_sort_unstable_by_key(|syn| syn.frame);
        self.taught.par_sort_unstable_by_key(Taught::order);
        if !self.attempts.is_sorted_by_key(|attempt| attempt.server_port) {
            self.attempts.sort_by_key(|attempt| attempt.server_port);
        }
    }
}

/// Connections of the pairs that are gathered at a time: twenty-five MiB of SYNs and lessons.
const BATCH: usize = 1 << 17;

/// What one shard has of a pair, in frame order.
#[derive(Clone, Debug, Default)]
struct Part {
    syns: Vec<SynSeen>,
    taught: Vec<Taught>,
    attempts: Vec<Attempt>,
}

fn key(ends: &Ends) -> PairKey {
    (ends.point, ends.client, ends.server.ip)
}

/// SYNs that are not the first packet of their connection, by shard and connection.
type LaterSyns<'a> = Vec<HashMap<u32, Vec<Syn<'a>>>>;

fn later_syns(evidence: &Evidence) -> LaterSyns<'_> {
    evidence.workers.map(&evidence.shards, |_, shard| later_of_shard(shard))
}

fn later_of_shard(shard: &Tracked) -> HashMap<u32, Vec<Syn<'_>>> {
    let mut by_connection: HashMap<u32, Vec<Syn<'_>>> = HashMap::new();
    for syn in shard.later_syns().filter(counts) {
        by_connection.entry(syn.connection.index()).or_default().push(syn);
    }
    by_connection
}

/// Old duplicates and the second SYN of a simultaneous open are no attempts.
fn counts(syn: &Syn<'_>) -> bool {
    !syn.stale && !syn.by_server
}

fn seen(shard: u16, syn: &Syn<'_>) -> SynSeen {
    let connection = syn.connection;
    let before = connection.previous().filter(|before| before.time_wait_side().includes(Side::Server));
    let age = before.and_then(Connection::time_wait_from).map(|from| syn.at.since(from).0.max(0) / 1_000_000);
    SynSeen {
        frame: syn.frame,
        at: syn.at,
        tsval: syn.tsval,
        isn: syn.isn,
        time_wait_age: age.map_or(u32::MAX, |age| u32::try_from(age).unwrap_or(u32::MAX - 1)),
        connection: (shard, connection.index()),
        client_port: connection.client().port,
        server_port: connection.server().port,
        retransmission: syn.retransmission,
        fate: syn.fate,
        opened: connection.opened(),
        copy: false,
    }
}

/// Only an active close by the server teaches it; a RST, or a close by the client first, does not.
fn taught(shard: u16, connection: Connection<'_>) -> impl Iterator<Item = Taught> {
    let by_server = matches!(connection.active_closer(), Who::Server | Who::Both);
    let learnt = connection.learnt().into_iter().zip([false, true]);
    learnt.filter_map(move |(learnt, with_fin)| {
        let learnt = learnt.filter(|learnt| by_server && learnt.side == Side::Server)?;
        let (connection, frame) = ((shard, connection.index()), connection.first().0);
        Some(Taught { at: learnt.at, tsval: learnt.tsval, connection, frame, with_fin })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_takes_less_than_a_cache_line() {
        assert!(size_of::<SynSeen>() <= 48, "{}", size_of::<SynSeen>());
    }
}
