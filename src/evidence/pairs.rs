//! SYNs and closes of one pair of hosts at one capture point, in time order: what the rules about unanswered
//! SYNs replay.
//!
//! Grouping is by (client address, server address), because that is the key under which Linux remembered
//! timestamps (`tcpm_saddr`, `tcpm_daddr` in net/ipv4/tcp_metrics.c since 3.14). Only pairs with at least one
//! unanswered SYN are worth replaying. They are listed first and gathered one by one, so that memory holds the
//! SYNs of a few pairs and never those of a whole capture.

mod copies;

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::Evidence;
use super::clocks::{Clocks, Tick, tell_apart};
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
    /// In no order.
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

/// One SYN segment.
#[derive(Clone, Copy, Debug)]
pub struct SynSeen {
    /// Its frame, counted from 0 at its capture point.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// Initial sequence number: SYNs with one ISN on one socket pair are one attempt.
    pub isn: SeqNumber,
    /// TSval, where it carries timestamps.
    pub tsval: Option<TsVal>,
    /// Whether it repeats an earlier SYN of its attempt.
    pub retransmission: bool,
    /// What became of it.
    pub fate: SynFate,
    /// How its attempt ended.
    pub opened: Opened,
    /// The age of the server's TIME-WAIT of the same socket pair, where it may still have been there.
    pub time_wait_age: Option<Span>,
    /// Shard and index of its connection.
    pub connection: (u16, u32),
    /// The SYN-ACK that answered its attempt.
    pub answer: Option<Answer>,
    /// The first frame of its connection, counted from 0 at its capture point.
    pub connection_frame: u64,
    /// A copy of a SYN that the capture shows again nearer to the server: it is not judged.
    pub copy: bool,
}

/// What a SYN-ACK tells of the kernel that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its TSval.
    pub tsval: Option<TsVal>,
    /// Its time to live.
    pub ttl: u8,
}

/// What a close by the server could teach it of the client's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taught {
    /// When.
    pub at: Time,
    /// The client's TSval.
    pub tsval: TsVal,
    /// The first frame of the connection, counted from 0 at its capture point.
    pub connection_frame: u64,
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
    pairs: Vec<(PairKey, Vec<(u16, u32)>)>,
    /// Capture point and frame of every SYN that is shown again nearer to the server.
    copies: HashSet<(u16, u64)>,
}

impl SynSeen {
    /// Nothing answered it.
    #[must_use]
    pub fn unanswered(&self) -> bool {
        self.fate == SynFate::None && !self.copy
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
        let flagged: HashSet<PairKey> = evidence
            .workers
            .map(&evidence.shards, |_, shard| {
                let wanted =
                    shard.syns().filter(|syn| (which == Which::All || syn.fate == SynFate::None) && counts(syn));
                wanted.map(|syn| key(syn.connection)).collect::<HashSet<PairKey>>()
            })
            .into_iter()
            .flatten()
            .collect();
        if flagged.is_empty() {
            return Self::default();
        }
        let mut copies = if which == Which::All { HashSet::new() } else { copies::of(evidence) };
        copies.extend(linked);
        let mut keys: Vec<PairKey> = flagged.into_iter().collect();
        keys.sort_unstable();
        let numbers: HashMap<PairKey, usize> = keys.iter().copied().zip(0..).collect();
        let mut pairs: Vec<(PairKey, Vec<(u16, u32)>)> = keys.into_iter().map(|key| (key, Vec::new())).collect();
        let parts = evidence.workers.map(&evidence.shards, |_, shard| {
            let of_pair = shard.connections().filter_map(|c| Some((*numbers.get(&key(c))?, c.index())));
            of_pair.collect::<Vec<(usize, u32)>>()
        });
        for (shard, part) in (0..).zip(parts) {
            for (pair, index) in part {
                if let Some((_, connections)) = pairs.get_mut(pair) {
                    connections.push((shard, index));
                }
            }
        }
        Self { pairs, copies }
    }

    /// Applies `work` to every pair, gathered one at a time by each thread, in order of the pairs.
    pub fn map<T: Send>(&self, evidence: &Evidence, work: impl Fn(&HostPair) -> T + Sync) -> Vec<T> {
        let later = later_syns(evidence);
        evidence
            .workers
            .map(&self.pairs, |_, (key, connections)| work(&self.gather(evidence, *key, connections, &later)))
    }

    /// One pair, gathered again.
    #[must_use]
    pub fn pair(&self, evidence: &Evidence, key: PairKey) -> Option<HostPair> {
        let place = self.pairs.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        let (key, connections) = self.pairs.get(place)?;
        Some(self.gather(evidence, *key, connections, &later_syns(evidence)))
    }

    fn gather(&self, evidence: &Evidence, key: PairKey, connections: &[(u16, u32)], later: &LaterSyns<'_>) -> HostPair {
        let mut pair = HostPair {
            point: key.0,
            client: key.1,
            server: key.2,
            syns: Vec::new(),
            taught: Vec::new(),
            attempts: Vec::new(),
        };
        for &(shard, index) in connections {
            let Some(connection) = evidence.shards.get(usize::from(shard)).and_then(|s| s.connection(index)) else {
                continue;
            };
            let again =
                later.get(usize::from(shard)).and_then(|later| later.get(&index)).map_or(&[][..], Vec::as_slice);
            let from = pair.syns.len();
            let syns = connection.first_syn().into_iter().chain(again.iter().copied());
            pair.syns.extend(syns.map(|syn| {
                let copy = self.copies.contains(&(key.0, syn.frame));
                SynSeen { copy, ..seen(shard, &syn) }
            }));
            pair.attempts.extend(pair.syns.get(from..).and_then(Attempt::of));
            pair.taught.extend(taught(connection));
        }
        // Each shard's SYNs come in frame order: a stable sort merges such runs.
        pair.syns.sort_by_key(|syn| syn.frame);
        pair.taught.sort_by_key(|taught| (taught.at, taught.connection_frame, taught.tsval.0));
        pair
    }
}

/// SYNs that are not the first packet of their connection, by shard and connection.
type LaterSyns<'a> = Vec<HashMap<u32, Vec<Syn<'a>>>>;

fn later_syns(evidence: &Evidence) -> LaterSyns<'_> {
    evidence.shards.iter().map(later_of_shard).collect()
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

fn key(connection: Connection<'_>) -> PairKey {
    (connection.point(), connection.client().ip, connection.server().ip)
}

fn seen(shard: u16, syn: &Syn<'_>) -> SynSeen {
    let connection = syn.connection;
    let answered = syn.fate == SynFate::SynAck;
    let before = connection.previous().filter(|before| before.time_wait_side().includes(Side::Server));
    SynSeen {
        frame: syn.frame,
        at: syn.at,
        client_port: connection.client().port,
        server_port: connection.server().port,
        isn: syn.isn,
        tsval: syn.tsval,
        retransmission: syn.retransmission,
        fate: syn.fate,
        opened: connection.opened(),
        time_wait_age: before.and_then(Connection::time_wait_from).map(|from| syn.at.since(from)),
        connection: (shard, connection.index()),
        answer: answered
            .then(|| Answer { tsval: connection.syn_ack_tsval(), ttl: connection.endpoint(Side::Server).ttl }),
        connection_frame: connection.first().0,
        copy: false,
    }
}

/// Only an active close by the server teaches it; a RST, or a close by the client first, does not.
fn taught(connection: Connection<'_>) -> impl Iterator<Item = Taught> {
    let by_server = matches!(connection.active_closer(), Who::Server | Who::Both);
    let learnt =
        connection.learnt().into_iter().flatten().filter(move |learnt| by_server && learnt.side == Side::Server);
    learnt.map(move |learnt| Taught { at: learnt.at, tsval: learnt.tsval, connection_frame: connection.first().0 })
}
