//! SYNs and closes of one pair of hosts at one capture point, in time order: what the rules about unanswered
//! SYNs replay.
//!
//! Grouping is by (client address, server address), because that is the key under which Linux remembered
//! timestamps (`tcpm_saddr`, `tcpm_daddr` in net/ipv4/tcp_metrics.c since 3.14). Only pairs with at least one
//! unanswered SYN are worth replaying. They are listed first and gathered one by one, each by one thread and a big one
//! by all, so that memory holds the SYNs of a few pairs and never those of a whole capture.

mod copies;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

pub use copies::{Translated, TranslatedSyn, translated};
use hashbrown::{HashMap, HashSet};

use super::Evidence;
use super::clocks::{Clocks, Tick, tell_apart};
use super::groups::{Ends, Place};
use crate::connection::{Connection, Learnt, Opened, Side, Syn, SynFate, Tracked, Who};
use crate::ingest::{FOR_ALL_THREADS, Workers};
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
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Self {
            client_port: first.client_port,
            server_port: first.server_port,
            first: first.at,
            last: last.at,
            unanswered: count(syns.iter().filter(|syn| syn.unanswered()).count()),
            answered: count(syns.iter().filter(answered).count()),
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
    /// Its connection.
    pub connection: Place,
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
/// Lessons are in order of time, then of first frames, the ACK before the FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taught {
    /// When.
    pub at: Time,
    /// The client's TSval.
    pub tsval: TsVal,
    /// The connection that taught it.
    pub connection: Place,
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
    /// Capture point and frame of every SYN that is shown again nearer to the server.
    copies: HashSet<(u16, u64)>,
}

/// One pair, before it is gathered.
#[derive(Debug)]
struct Listed {
    key: PairKey,
    /// Server ports with an unanswered SYN, in order.
    ports: Vec<u16>,
    /// Its groups: one a server port.
    groups: Range<u32>,
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
        // With room for all at once: a list of a million that grows is in memory twice.
        let mut stamped = Vec::with_capacity(self.syns.len());
        let tick = |syn: &SynSeen| Some(Tick { at: syn.at, tsval: syn.tsval?, attempt: syn.attempt() });
        stamped.extend(self.syns.iter().filter_map(tick));
        let mut found = tell_apart(&stamped);
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
        let mut index = Self::listed(evidence, which);
        if !index.pairs.is_empty() {
            if which == Which::Unanswered {
                index.copies = copies::of(evidence);
            }
            index.copies.extend(linked);
        }
        index
    }

    /// Applies `work` to every pair; the results stand in order of the pairs. Small pairs are worked at side by side.
    pub fn map<T: Send>(&self, evidence: &Evidence, work: impl Fn(&HostPair) -> T + Sync) -> Vec<T> {
        let later = later_syns(evidence);
        let side_by_side = self.pairs.chunk_by(|one, next| !one.is_big() && !next.is_big());
        let mut results = Vec::with_capacity(self.pairs.len());
        for listed in side_by_side {
            results.extend(evidence.workers.map(listed, |_, listed| work(&self.gather(evidence, listed, &later))));
        }
        results
    }

    /// Applies `work` to the first SYN of every attempt of all pairs, copies apart; the results stand in no order.
    pub fn first_syns<'a, T: Send>(&self, evidence: &'a Evidence, work: impl Fn(&Syn<'a>) -> T + Sync) -> Vec<T> {
        let members = self.pairs.iter().map(|listed| evidence.groups.members(listed.groups.clone()));
        let pieces: Vec<&[Place]> = members.flat_map(|members| members.chunks(PIECE)).collect();
        let found = evidence.workers.map(&pieces, |_, places| {
            let firsts = evidence.picked(places).filter_map(|(_, connection)| connection.first_syn());
            let mut found = Vec::with_capacity(places.len());
            found.extend(firsts.filter(|syn| !self.is_copy(syn)).map(|syn| work(&syn)));
            found
        });
        found.into_iter().flatten().collect()
    }

    fn is_copy(&self, syn: &Syn<'_>) -> bool {
        !self.copies.is_empty() && self.copies.contains(&(syn.connection.point(), syn.frame))
    }

    /// One pair, gathered again.
    #[must_use]
    pub fn pair(&self, evidence: &Evidence, key: PairKey) -> Option<HostPair> {
        let place = self.pairs.binary_search_by_key(&key, |listed| listed.key).ok()?;
        Some(self.gather(evidence, self.pairs.get(place)?, &later_syns(evidence)))
    }

    fn listed(evidence: &Evidence, which: Which) -> Self {
        let groups = &evidence.groups;
        let flagged: BTreeSet<u32> = match which {
            Which::Unanswered => unanswered(evidence).map(|place| groups.of(place)).collect::<HashSet<u32>>(),
            Which::All => opened_by_syn(evidence),
        }
        .into_iter()
        .collect();
        // Groups are in order of capture point, client and server: those of one pair are neighbours.
        let mut pairs: Vec<Listed> = Vec::new();
        for (group, ends) in flagged.iter().filter_map(|group| Some((*group, groups.ends(*group)?))) {
            let key = key(&ends);
            if pairs.last().is_none_or(|listed| listed.key != key) {
                pairs.push(Listed { key, ports: Vec::new(), groups: group..group, connections: 0 });
            }
            if let (Which::Unanswered, Some(listed)) = (which, pairs.last_mut()) {
                listed.ports.push(ends.server.port);
            }
        }
        for (group, ends) in groups.iter() {
            let Ok(place) = pairs.binary_search_by_key(&key(&ends), |listed| listed.key) else { continue };
            if let Some(listed) = pairs.get_mut(place) {
                listed.groups = listed.groups.start.min(group)..group.saturating_add(1);
                listed.connections += groups.size(group) as usize;
            }
        }
        Self { pairs, copies: HashSet::new() }
    }

    /// All SYNs of a pair in order.
    fn gather(&self, evidence: &Evidence, listed: &Listed, later: &LaterSyns<'_>) -> HostPair {
        let members = evidence.groups.members(listed.groups.clone());
        let whole = if listed.is_big() {
            let mut whole = Part::with_room(members.len());
            // In turns, so that memory holds few of the parts beside the whole.
            for turn in members.chunks(PIECE * PIECES) {
                let pieces: Vec<&[Place]> = turn.chunks(PIECE).collect();
                let parts = evidence.workers.map(&pieces, |_, places| self.part(evidence, listed, places, later));
                parts.into_iter().for_each(|part| whole.append(part));
            }
            whole
        } else {
            self.part(evidence, listed, members, later)
        };
        let whole = whole.sorted(&evidence.workers);
        let (point, client, server) = listed.key;
        let Part { syns, taught, attempts, .. } = whole;
        HostPair { point, client, server, syns, taught, attempts }
    }

    /// What some connections of a pair have.
    fn part(&self, evidence: &Evidence, listed: &Listed, places: &[Place], later: &LaterSyns<'_>) -> Part {
        let mut part = Part::with_room(places.len());
        let mut attempt: Vec<SynSeen> = Vec::new();
        for (place, connection) in evidence.picked_with_previous(places) {
            let one = |syn: &Syn<'_>| SynSeen { copy: self.is_copy(syn), ..seen(place, syn) };
            let first = connection.first_syn().as_ref().map(one);
            part.syns.extend(first);
            let more = connection.syn_count() > u64::from(first.is_some());
            let again = if more { later.get(usize::from(place.0)).and_then(|later| later.get(&place.1)) } else { None };
            let syns = match again {
                None => first.as_slice(),
                Some(again) => {
                    attempt.clear();
                    attempt.extend(first.into_iter().chain(again.iter().map(one)));
                    part.again.extend_from_slice(attempt.get(usize::from(first.is_some())..).unwrap_or(&[]));
                    &attempt
                }
            };
            let [_, server_port] = connection.ports();
            if listed.ports.binary_search(&server_port).is_ok() {
                part.attempts.extend(Attempt::of(syns));
            }
            for taught in taught(place, connection).into_iter().flatten() {
                part.taught.push(taught);
            }
        }
        part
    }
}

impl Listed {
    /// Whether it is worth all threads, and not to be held beside others.
    const fn is_big(&self) -> bool {
        self.connections >= FOR_ALL_THREADS
    }
}

/// Connections of a big pair that one thread looks at in one go.
const PIECE: usize = 1 << 12;
/// Pieces in one turn.
const PIECES: usize = 8;

/// What some connections of a pair have.
#[derive(Debug, Default)]
struct Part {
    /// SYNs that opened a connection: in frame order for each server port and shard.
    syns: Vec<SynSeen>,
    /// Those that came later.
    again: Vec<SynSeen>,
    taught: Vec<Taught>,
    attempts: Vec<Attempt>,
}

impl Part {
    /// With room for what so many connections have: lists that grow are copied, and touch memory twice.
    fn with_room(connections: usize) -> Self {
        Self {
            syns: Vec::with_capacity(connections),
            again: Vec::new(),
            taught: Vec::with_capacity(connections.saturating_mul(2)),
            attempts: Vec::with_capacity(connections),
        }
    }

    fn append(&mut self, part: Self) {
        self.syns.extend(part.syns);
        self.again.extend(part.again);
        self.taught.extend(part.taught);
        self.attempts.extend(part.attempts);
    }

    fn sorted(mut self, workers: &Workers) -> Self {
        self.syns.append(&mut self.again);
        workers.sort_by_keys(&mut self.syns, |syn| syn.frame, |_| ());
        workers.sort_by_keys(&mut self.taught, |taught| taught.at.0, |taught| (taught.frame, taught.with_fin));
        if !self.attempts.is_sorted_by_key(|attempt| attempt.server_port) {
            self.attempts.sort_by_key(|attempt| attempt.server_port);
        }
        self
    }
}

fn key(ends: &Ends) -> PairKey {
    (ends.point, ends.client, ends.server.ip)
}

/// Connections with an unanswered SYN.
fn unanswered(evidence: &Evidence) -> impl Iterator<Item = Place> {
    let later = evidence.shards.iter().zip(0..).flat_map(|(shard, number)| {
        let unanswered = shard.later_syns().filter(|syn| syn.fate == SynFate::None && counts(syn));
        unanswered.map(move |syn| (number, syn.connection.index()))
    });
    evidence.tally.unanswered.iter().copied().chain(later)
}

/// The groups of all SYNs.
fn opened_by_syn(evidence: &Evidence) -> HashSet<u32> {
    let groups = evidence.workers.map(&evidence.shards, |number, shard| {
        let of = evidence.groups.of_shard(number);
        let counted = shard.syns().filter(counts);
        counted.filter_map(|syn| of.get(syn.connection.index() as usize).copied()).collect::<HashSet<u32>>()
    });
    groups.into_iter().flatten().collect()
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

fn seen(place: Place, syn: &Syn<'_>) -> SynSeen {
    let connection = syn.connection;
    let [client_port, server_port] = connection.ports();
    let before = connection.previous().map(|before| before.time_wait(before.close()));
    let from = before.and_then(|(holder, from)| from.filter(|_| holder.includes(Side::Server)));
    let age = from.map(|from| syn.at.since(from).0.max(0) / 1_000_000);
    SynSeen {
        frame: syn.frame,
        at: syn.at,
        tsval: syn.tsval,
        isn: syn.isn,
        time_wait_age: age.map_or(u32::MAX, |age| u32::try_from(age).unwrap_or(u32::MAX - 1)),
        connection: place,
        client_port,
        server_port,
        retransmission: syn.retransmission,
        fate: syn.fate,
        opened: connection.opened(),
        copy: false,
    }
}

/// Only an active close by the server teaches it; a RST, or a close by the client first, does not.
fn taught(place: Place, connection: Connection<'_>) -> [Option<Taught>; 2] {
    let by_server = matches!(connection.active_closer(), Who::Server | Who::Both);
    let [with_ack, with_fin] = if by_server { connection.learnt() } else { [None; 2] };
    let lesson = |learnt: Option<Learnt>, with_fin: bool| {
        let learnt = learnt.filter(|learnt| learnt.side == Side::Server)?;
        let frame = connection.first().0;
        Some(Taught { at: learnt.at, tsval: learnt.tsval, connection: place, frame, with_fin })
    };
    [lesson(with_ack, false), lesson(with_fin, true)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_takes_less_than_a_cache_line() {
        assert!(size_of::<SynSeen>() <= 48, "{}", size_of::<SynSeen>());
    }
}
