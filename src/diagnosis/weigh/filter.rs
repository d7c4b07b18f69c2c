//! A filter: a pattern that separates answered from unanswered completely over the time it held.
//!
//! Filters decide by address and port, so that every copy of one SYN shares its fate. Loss and full queues do
//! not know ports: sooner or later a retransmission gets through.

use std::net::IpAddr;

use crate::connection::Socket;
use crate::evidence::pairs::{Attempt, SynSeen};
use crate::evidence::tally::Tally;
use crate::time::Time;

/// What separates answered from unanswered attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub kind: Kind,
    pub from: Time,
    pub until: Time,
    /// Attempts that went unanswered, and that were answered meanwhile.
    pub unanswered: u64,
    pub answered: u64,
}

/// What the filter goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Source ports of one range: the outermost that were seen unanswered.
    SourcePorts(u16, u16),
    /// Whole socket pairs, always or never, without a range.
    SocketPairs,
    /// The client's address: others are answered by the same socket.
    ClientAddress,
    /// The server's port: others of the same address are answered.
    ServerPort,
}

/// Unanswered attempts below which nothing is said.
const FEWEST: usize = 5;
/// Answered attempts meanwhile below which nothing is said.
const FEWEST_ANSWERED: usize = 3;
/// A chance above which nothing is said.
const CHANCE: f64 = 1e-4;

/// The pattern, where there is one.
pub(crate) fn detect(attempts: &[Attempt]) -> Option<Pattern> {
    let failed: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.answered == 0).collect();
    let from = failed.iter().map(|attempt| attempt.first).min()?;
    let until = failed.iter().map(|attempt| attempt.last).max()?;
    let meanwhile: Vec<&Attempt> = attempts
        .iter()
        .filter(|attempt| attempt.answered > 0 && attempt.last >= from && attempt.first <= until)
        .collect();
    // One attempt that was answered only after a retry is no filter's work.
    let mixed = meanwhile.iter().any(|attempt| attempt.unanswered > 0);
    if mixed || failed.len() < FEWEST || meanwhile.len() < FEWEST_ANSWERED {
        return None;
    }
    let kind = source_ports(&failed, &meanwhile).or_else(|| socket_pairs(&failed, &meanwhile))?;
    Some(Pattern { kind, from, until, unanswered: failed.len() as u64, answered: meanwhile.len() as u64 })
}

/// A service that never answers this client, while it answers others, or its host answers on other ports.
pub(crate) fn always(attempts: &[Attempt], tally: &Tally, client: IpAddr, server: Socket) -> Option<Pattern> {
    let from = attempts.iter().map(|attempt| attempt.first).min()?;
    let until = attempts.iter().map(|attempt| attempt.last).max()?;
    let silent = attempts.iter().all(|attempt| attempt.failed && attempt.unanswered > 0) && attempts.len() >= FEWEST;
    if !silent {
        return None;
    }
    let opened = |which: &dyn Fn(IpAddr, Socket) -> bool| -> u64 {
        let meanwhile = tally
            .services
            .iter()
            .filter(|(ends, s)| which(ends.client, ends.server) && s.opened_meanwhile(from, until));
        meanwhile.map(|(_, service)| service.opened).sum()
    };
    let to_others = opened(&|ip, socket| socket == server && ip != client);
    let elsewhere = opened(&|ip, socket| socket.ip == server.ip && socket.port != server.port && ip == client);
    let (kind, answered) = if to_others > 0 { (Kind::ClientAddress, to_others) } else { (Kind::ServerPort, elsewhere) };
    let pattern = Pattern { kind, from, until, unanswered: attempts.len() as u64, answered };
    (answered >= FEWEST_ANSWERED as u64).then_some(pattern)
}

/// A range of source ports that holds all unanswered attempts and no answered one.
fn source_ports(failed: &[&Attempt], meanwhile: &[&Attempt]) -> Option<Kind> {
    let low = failed.iter().map(|attempt| attempt.client_port).min()?;
    let high = failed.iter().map(|attempt| attempt.client_port).max()?;
    let separated = !meanwhile.iter().any(|attempt| (low..=high).contains(&attempt.client_port));
    (separated && chance_of_block(failed.len(), meanwhile.len()) < CHANCE).then_some(Kind::SourcePorts(low, high))
}

/// The chance that the unanswered ones lie side by side among all, by ports: (n + 1) of C(n + m, m) orders.
fn chance_of_block(failed: usize, answered: usize) -> f64 {
    let orders = (1..=failed).fold(1.0_f64, |orders, k| orders * as_f64(answered + k) / as_f64(k));
    as_f64(answered + 1) / orders
}

/// Each socket pair always shares one fate: had each SYN been dropped by itself, with the share that was
/// dropped, so many attempts would hardly have lost all of their SYNs and none of the others any.
fn socket_pairs(failed: &[&Attempt], meanwhile: &[&Attempt]) -> Option<Kind> {
    let lost: u32 = failed.iter().map(|attempt| attempt.unanswered).sum();
    let all = f64::from(lost) + as_f64(meanwhile.len());
    let share = f64::from(lost) / all;
    let again: u32 = failed.iter().map(|attempt| attempt.unanswered.saturating_sub(1)).sum();
    let chance = share.powf(f64::from(again)) * (1.0 - share).powf(as_f64(meanwhile.len()));
    (again > 0 && interleaved(failed, meanwhile) && chance < CHANCE * 1e-2).then_some(Kind::SocketPairs)
}

/// Whether answered and unanswered attempts take turns: otherwise time separates them, and an outage is no filter.
fn interleaved(failed: &[&Attempt], meanwhile: &[&Attempt]) -> bool {
    let mut order: Vec<(Time, bool)> =
        failed.iter().map(|a| (a.first, true)).chain(meanwhile.iter().map(|a| (a.first, false))).collect();
    order.sort_unstable();
    let turns = order.windows(2).filter(|pair| matches!(pair, [(_, one), (_, other)] if one != other)).count();
    turns >= 6
}

#[allow(clippy::cast_precision_loss)]
fn as_f64(count: usize) -> f64 {
    count as f64
}

impl Pattern {
    /// Whether the filter would have dropped a SYN.
    pub fn explains(&self, syn: &SynSeen) -> bool {
        let held = syn.at >= self.from && syn.at <= self.until;
        held && match self.kind {
            Kind::SourcePorts(low, high) => (low..=high).contains(&syn.client_port),
            Kind::SocketPairs => syn.attempt_failed(),
            Kind::ClientAddress | Kind::ServerPort => true,
        }
    }
}
