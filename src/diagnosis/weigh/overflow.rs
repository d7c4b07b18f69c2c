//! What a full accept or request queue leaves on the wire.
//!
//! SYN-ACKs resent to a client that has acknowledged, and a client's first data resent (the final ACK was
//! dropped: `tcp_v4_syn_recv_sock()` exit_overflow, net/ipv4/tcp_ipv4.c); RST right after the handshake
//! (`tcp_abort_on_overflow`); or connections that the kernel acknowledges and no application serves, while SYN
//! after SYN is dropped. A queue belongs to a listener: signs count for all clients of a server socket.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::connection::{Close, Connection, Opened, Side, Socket, SynFate, Who};
use crate::evidence::Evidence;
use crate::evidence::pairs::SynSeen;
use crate::time::{Span, Time};

/// A full queue, and the signs of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Overflow {
    /// Final ACKs or first data that the server ignored.
    pub ignored: u64,
    /// Resets right after the handshake.
    pub aborted: u64,
    /// Connections acknowledged by the kernel and served by nobody.
    pub unserved: u64,
    /// Connections that opened while signs were seen.
    pub opened: u64,
    pub from: Time,
    pub until: Time,
}

/// A sign on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// A SYN-ACK resent to a client that has acknowledged: the host lives, and drops final ACKs.
    Again,
    /// First data resent: the host drops it, or the path does.
    Ignored,
    Aborted,
    Unserved,
}

/// When a sign was seen, from and until.
type Sighting = (Time, Time, Sign);

/// Signs by capture point and server socket.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    by_service: HashMap<(u16, Socket), Vec<Sighting>>,
}

impl Signs {
    /// Collects the signs of all listeners.
    pub fn of(evidence: &Evidence) -> Self {
        let mut signs = Self::default();
        for connection in evidence.notable() {
            if let Some(sign) = sign(connection) {
                let key = (connection.point(), connection.server());
                signs.by_service.entry(key).or_default().push((connection.first().1, connection.last().1, sign));
            }
        }
        signs
    }

    /// Those of one listener: from, until, what.
    pub fn of_service(&self, point: u16, server: Socket) -> OfService<'_> {
        OfService(self.by_service.get(&(point, server)).map_or(&[][..], Vec::as_slice))
    }
}

/// The signs of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfService<'a>(&'a [Sighting]);

fn sign(connection: Connection<'_>) -> Option<Sign> {
    if connection.opened() != Opened::Handshake {
        return None;
    }
    let (client, server) = (connection.endpoint(Side::Client), connection.endpoint(Side::Server));
    if connection.syn_ack_after_ack() {
        return Some(Sign::Again);
    }
    if connection.early_retransmission() {
        return Some(Sign::Ignored);
    }
    if connection.close() == Close::Reset
        && connection.reset_by() == Who::Server
        && server.bytes == 0
        && server.packets <= 2
    {
        return Some(Sign::Aborted);
    }
    // The request was acknowledged by the kernel; no application sent a byte or closed.
    let unserved =
        client.bytes > 0 && server.bytes == 0 && server.first_fin.is_none() && connection.reset_by() != Who::Client;
    unserved.then_some(Sign::Unserved)
}

/// Signs below which nothing is said.
const FEWEST: usize = 3;
/// The share of opened connections that must show a sign: on a lossy path a few do.
const SHARE: f64 = 0.1;
/// The same where only ignored ACKs and data are seen, which loss leaves as well.
const SHARE_OF_IGNORED: f64 = 0.4;
/// A sign counts for SYNs this much before and after it.
const REACH: Span = Span::from_secs(5);

/// A full queue, as far as SYNs of one client address to the listener show it.
pub(crate) fn detect(syns: &[&SynSeen], signs: OfService<'_>) -> Option<Overflow> {
    let unanswered: Vec<&&SynSeen> = syns.iter().filter(|syn| syn.unanswered()).collect();
    let (from, until) = (unanswered.first()?.at, unanswered.last()?.at);
    let near = |(begun, ended, _): &&Sighting| begun.minus(REACH) <= until && ended.plus(REACH) >= from;
    let near: Vec<&Sighting> = signs.0.iter().filter(near).collect();
    let count = |wanted: Sign| near.iter().filter(|(.., sign)| *sign == wanted).count();
    let (ignored, aborted, unserved) =
        (count(Sign::Again) + count(Sign::Ignored), count(Sign::Aborted), count(Sign::Unserved));
    let answered = syns
        .iter()
        .filter(|syn| syn.fate == SynFate::SynAck && syn.at >= from.minus(REACH) && syn.at <= until.plus(REACH))
        .count();
    let share = |signs: usize| {
        let (signs, all) =
            (u32::try_from(signs).unwrap_or(u32::MAX), u32::try_from(answered.max(1)).unwrap_or(u32::MAX));
        f64::from(signs) / f64::from(all)
    };
    let dropped_acks = ignored >= FEWEST && share(ignored) >= SHARE_OF_IGNORED;
    let aborts = aborted >= FEWEST && share(aborted + ignored) >= SHARE;
    let full = dropped_acks || aborts || nobody_accepts(syns, unserved, answered) || stood_still(syns, &near);
    full.then(|| Overflow {
        ignored: ignored as u64,
        aborted: aborted as u64,
        unserved: unserved as u64,
        opened: answered as u64,
        from: near.iter().map(|(begun, ..)| *begun).fold(from, Time::min),
        until: near.iter().map(|(_, ended, _)| *ended).fold(until, Time::max),
    })
}

/// The application accepts nothing: all that opened is unserved, and behind it no SYN is answered any more.
fn nobody_accepts(syns: &[&SynSeen], unserved: usize, answered: usize) -> bool {
    let last_answer = syns.iter().rposition(|syn| syn.fate == SynFate::SynAck);
    let refused = syns.iter().skip(last_answer.map_or(0, |place| place + 1)).filter(|syn| syn.unanswered());
    let attempts: BTreeSet<u64> = refused.map(|syn| syn.attempt()).collect();
    last_answer.is_some() && unserved > 0 && unserved >= answered && attempts.len() >= 5
}

/// The application stood still for a while: not one SYN was answered, and meanwhile the host resent SYN-ACKs to
/// clients that had acknowledged. A path that is cut brings no SYN-ACK either.
fn stood_still(syns: &[&SynSeen], near: &[&Sighting]) -> bool {
    const ATTEMPTS: usize = 5;
    const AGAIN: usize = 2;
    let mut blackout: Option<(Time, Time, BTreeSet<u64>)> = None;
    let mut longest: Option<(Time, Time, BTreeSet<u64>)> = None;
    for syn in syns {
        match (&mut blackout, syn.unanswered()) {
            (Some((_, until, attempts)), true) => {
                *until = syn.at;
                attempts.insert(syn.attempt());
            }
            (None, true) => blackout = Some((syn.at, syn.at, BTreeSet::from([syn.attempt()]))),
            (Some(_), false) => blackout = None,
            (None, false) => {}
        }
        if blackout.as_ref().map_or(0, |(.., attempts)| attempts.len())
            > longest.as_ref().map_or(0, |(.., attempts)| attempts.len())
        {
            longest.clone_from(&blackout);
        }
    }
    let Some((from, until, attempts)) = longest else { return false };
    let resent = near.iter().filter(|(begun, ended, sign)| *sign == Sign::Again && *begun <= until && *ended >= from);
    attempts.len() >= ATTEMPTS && resent.count() >= AGAIN
}

impl Overflow {
    /// Whether the queue was full around the time of a SYN.
    pub fn explains(&self, syn: &SynSeen) -> bool {
        syn.at >= self.from.minus(REACH) && syn.at <= self.until.plus(REACH)
    }
}
