//! SYNs and closes of one pair of hosts at one capture point, in time order: what the rules about unanswered
//! SYNs replay.
//!
//! Grouping is by (client address, server address), because that is the key under which Linux remembered
//! timestamps (`tcpm_saddr`, `tcpm_daddr` in net/ipv4/tcp_metrics.c since 3.14). Only pairs with at least one
//! unanswered SYN are worth replaying; the others are not gathered.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::Evidence;
use super::clocks::{Clocks, Tick, tell_apart};
use crate::connection::{Connection, Opened, Side, Syn, SynFate, Who};
use crate::segment::{SeqNumber, TsVal};
use crate::time::{Span, Time};

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

/// Who talks to whom, where.
pub type PairKey = (u16, IpAddr, IpAddr);

impl SynSeen {
    /// Nothing answered it.
    #[must_use]
    pub fn unanswered(&self) -> bool {
        self.fate == SynFate::None
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

    /// Attempts, by ISN and port, of the SYNs for which `which` holds.
    pub fn attempts(&self, which: impl Fn(&SynSeen) -> bool) -> usize {
        self.syns.iter().filter(|syn| which(syn)).map(SynSeen::attempt).collect::<HashSet<u64>>().len()
    }
}

/// All pairs of hosts with an unanswered SYN, by capture point and addresses.
#[must_use]
pub fn with_unanswered_syns(evidence: &Evidence) -> Vec<HostPair> {
    let mut pairs: HashMap<PairKey, HostPair> = HashMap::new();
    for shard in &evidence.shards {
        for syn in shard.syns().filter(|syn| syn.fate == SynFate::None && !syn.stale && !syn.by_server) {
            let key = key(syn.connection);
            pairs.entry(key).or_insert_with(|| HostPair {
                point: key.0,
                client: key.1,
                server: key.2,
                syns: Vec::new(),
                taught: Vec::new(),
            });
        }
    }
    if pairs.is_empty() {
        return Vec::new();
    }
    for (number, shard) in (0_u16..).zip(&evidence.shards) {
        for syn in shard.syns().filter(|syn| !syn.stale && !syn.by_server) {
            if let Some(pair) = pairs.get_mut(&key(syn.connection)) {
                pair.syns.push(seen(number, &syn));
            }
        }
        for connection in shard.connections() {
            if let Some(pair) = pairs.get_mut(&key(connection)) {
                pair.taught.extend(taught(connection));
            }
        }
    }
    let mut pairs: Vec<HostPair> = pairs.into_values().collect();
    for pair in &mut pairs {
        pair.syns.sort_unstable_by_key(|syn| syn.frame);
        pair.taught.sort_unstable_by_key(|taught| (taught.at, taught.connection_frame, taught.tsval.0));
    }
    pairs.sort_unstable_by_key(|pair| (pair.point, pair.client, pair.server));
    pairs
}

fn key(connection: Connection<'_>) -> PairKey {
    (connection.point(), connection.client().ip, connection.server().ip)
}

fn seen(shard: u16, syn: &Syn<'_>) -> SynSeen {
    let connection = syn.connection;
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
    }
}

/// Only an active close by the server teaches it; a RST, or a close by the client first, does not.
fn taught(connection: Connection<'_>) -> impl Iterator<Item = Taught> {
    let by_server = matches!(connection.active_closer(), Who::Server | Who::Both);
    let learnt =
        connection.learnt().into_iter().flatten().filter(move |learnt| by_server && learnt.side == Side::Server);
    learnt.map(move |learnt| Taught { at: learnt.at, tsval: learnt.tsval, connection_frame: connection.first().0 })
}
