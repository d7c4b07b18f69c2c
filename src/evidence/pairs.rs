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

use hashbrown::{HashMap, HashSet};

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
    /// Attempts on server ports with an unanswered SYN, in no order.
    pub attempts: Vec<Attempt>,
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
}

/// Which pairs of hosts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with an unanswered SYN.
    Unanswered,
    /// All with a SYN.
    All,
}

/// Pairs of hosts, and where their connections are.
#[derive(Debug, Default)]
pub struct PairIndex {
    /// By capture point and addresses.
    pairs: Vec<Listed>,
    /// Capture point and frame of every SYN that is shown again nearer to the server.
    copies: HashSet<(u16, u64)>,
}

/// One pair, before it is gathered.
#[derive(Debug)]
struct Listed {
    key: PairKey,
    /// Server ports with an unanswered SYN, in order.
    ports: Vec<u16>,
    /// By shard, in order of their first frames.
    connections: Vec<(u16, Vec<u32>)>,
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

impl PairIndex {
    /// Lists pairs of hosts; SYNs in `linked` are copies that another capture point shows nearer to the server.
    #[must_use]
    pub fn new(evidence: &Evidence, which: Which, linked: &HashSet<(u16, u64)>) -> Self {
        let Ports { flagged, numbers, mut pairs } = Ports::of(evidence, which);
        if pairs.is_empty() {
            return Self::default();
        }
        let mut copies = if flagged == 0 { HashSet::new() } else { copies::of(evidence) };
        copies.extend(linked);
        let parts = evidence.workers.map(&evidence.shards, |number, _| {
            let groups = (0..).zip(evidence.groups.of_shard(number));
            let of_pair = groups.filter_map(|(index, group)| Some((*numbers.get(*group as usize)?, index)));
            of_pair.filter(|(pair, _)| *pair != u32::MAX).collect::<Vec<(u32, u32)>>()
        });
        for (shard, part) in (0..).zip(parts) {
            for (pair, index) in part {
                let Some(listed) = pairs.get_mut(pair as usize) else { continue };
                match listed.connections.last_mut() {
                    Some((last, indices)) if *last == shard => indices.push(index),
                    _ => listed.connections.push((shard, vec![index])),
                }
            }
        }
        Self { pairs, copies }
    }

    /// Applies `work` to every pair, gathered one at a time by each thread, in order of the pairs.
    pub fn map<T: Send>(&self, evidence: &Evidence, work: impl Fn(&HostPair) -> T + Sync) -> Vec<T> {
        let later = later_syns(evidence);
        evidence.workers.map(&self.pairs, |_, listed| work(&self.gather(evidence, listed, &later)))
    }

    /// One pair, gathered again.
    #[must_use]
    pub fn pair(&self, evidence: &Evidence, key: PairKey) -> Option<HostPair> {
        let place = self.pairs.binary_search_by_key(&key, |listed| listed.key).ok()?;
        Some(self.gather(evidence, self.pairs.get(place)?, &later_syns(evidence)))
    }

    fn gather(&self, evidence: &Evidence, listed: &Listed, later: &LaterSyns<'_>) -> HostPair {
        let part = |(shard, indices): &(u16, Vec<u32>)| self.part(evidence, listed, (*shard, indices), later);
        let connections: usize = listed.connections.iter().map(|(_, indices)| indices.len()).sum();
        let parts: Vec<Part> = if connections < SHARED {
            listed.connections.iter().map(part).collect()
        } else {
            evidence.workers.map(&listed.connections, |_, connections| part(connections))
        };
        let (point, client, server) = listed.key;
        let mut pair = HostPair { point, client, server, syns: Vec::new(), taught: Vec::new(), attempts: Vec::new() };
        pair.syns.reserve_exact(parts.iter().map(|part| part.syns.len()).sum());
        for part in parts {
            pair.syns.extend(part.syns);
            pair.taught.extend(part.taught);
            pair.attempts.extend(part.attempts);
        }
        // Each shard's SYNs come in frame order: a stable sort merges such runs.
        pair.syns.sort_by_key(|syn| syn.frame);
        pair.taught.sort_by_key(|taught| (taught.at, taught.frame, taught.tsval.0));
        pair
    }

    /// What one shard has of a pair.
    fn part(
        &self,
        evidence: &Evidence,
        listed: &Listed,
        (shard, indices): (u16, &[u32]),
        later: &LaterSyns<'_>,
    ) -> Part {
        let mut part = Part { syns: Vec::with_capacity(indices.len()), ..Part::default() };
        let Some(tracked) = evidence.shards.get(usize::from(shard)) else { return part };
        let later = later.get(usize::from(shard));
        for run in indices.chunks(RUN) {
            tracked.read_ahead(run);
            for connection in run.iter().filter_map(|index| tracked.connection(*index)) {
                let again = later.and_then(|later| later.get(&connection.index())).map_or(&[][..], Vec::as_slice);
                let from = part.syns.len();
                let syns = connection.first_syn().into_iter().chain(again.iter().copied());
                part.syns.extend(syns.map(|syn| {
                    let copy = !self.copies.is_empty() && self.copies.contains(&(listed.key.0, syn.frame));
                    SynSeen { copy, ..seen(shard, &syn) }
                }));
                if listed.ports.binary_search(&connection.server().port).is_ok() {
                    part.attempts.extend(part.syns.get(from..).and_then(Attempt::of));
                }
                part.taught.extend(taught(shard, connection));
            }
        }
        part
    }
}

/// A pair with so many connections is gathered by all threads.
const SHARED: usize = 1 << 15;
/// Records are read ahead in runs of this many, so that their cache misses overlap.
const RUN: usize = 16;

/// What one shard has of a pair, in frame order.
#[derive(Default)]
struct Part {
    syns: Vec<SynSeen>,
    taught: Vec<Taught>,
    attempts: Vec<Attempt>,
}

/// Which pairs are listed, with their ports.
struct Ports {
    /// Groups with an unanswered SYN.
    flagged: usize,
    /// The pair of each group; `u32::MAX` for none.
    numbers: Vec<u32>,
    pairs: Vec<Listed>,
}

impl Ports {
    fn of(evidence: &Evidence, which: Which) -> Self {
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
            let key = (ends.point, ends.client, ends.server.ip);
            if pairs.last().is_none_or(|listed| listed.key != key) {
                pairs.push(Listed { key, ports: Vec::new(), connections: Vec::new() });
            }
            if let (Which::Unanswered, Some(listed)) = (which, pairs.last_mut()) {
                listed.ports.push(ends.server.port);
            }
        }
        let pair_of = |(_, ends): (u32, Ends)| {
            let key = (ends.point, ends.client, ends.server.ip);
            pairs.binary_search_by_key(&key, |listed| listed.key).ok().and_then(|place| u32::try_from(place).ok())
        };
        let numbers = groups.iter().map(|group| pair_of(group).unwrap_or(u32::MAX)).collect();
        let flagged = if which == Which::All { 0 } else { flagged.len() };
        Self { flagged, numbers, pairs }
    }
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
    let learnt =
        connection.learnt().into_iter().flatten().filter(move |learnt| by_server && learnt.side == Side::Server);
    learnt.map(move |learnt| Taught {
        at: learnt.at,
        tsval: learnt.tsval,
        connection: (shard, connection.index()),
        frame: connection.first().0,
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
