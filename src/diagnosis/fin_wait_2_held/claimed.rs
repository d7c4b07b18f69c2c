//! FIN-WAIT-2 that a process holds, as the host lists its sockets: the peer is in CLOSE-WAIT.
//!
//! An orphan shows the timer `timewait` and ends by itself (`tcp_fin_timeout`); with an owner there is no timer.

use std::collections::BTreeMap;

use super::super::claims::{Claims, hosts_left};
use super::super::host_limits::line;
use super::super::lacking::{self, Lack};
use super::super::{Case, Confidence, Finding, NotJudged, Severity, number};
use super::RULE;
use crate::language::{Text, say};
use crate::snapshot::{SocketRow, TcpState};

const MANY: usize = 20;

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    hosts_left(case, &RULE, found).iter().filter_map(finding).collect()
}

/// Hosts that list many, and neither owners nor timers.
pub(super) fn not_judged(case: &Case<'_>, found: &[Finding]) -> Vec<NotJudged> {
    lacking::not_judged(&RULE, hosts_left(case, &RULE, found), |host| {
        let untold = host.host.listings().into_iter().filter(|listed| !listed.tells_owners());
        let piled = untold.map(|listed| listed.in_state(TcpState::FinWait2).collect::<Vec<_>>()).max_by_key(Vec::len);
        let rows = piled.filter(|rows| rows.len() >= MANY && rows.iter().all(|row| row.timer.is_none()))?;
        let because = say!(
            "{rows} sockets are in FIN-WAIT-2, and the listing has neither owners nor timers: orphans end by themselves, owned ones do not",
            rows = rows.len()
        );
        Some(Lack { because, record: say!("as root: ss -tanpo") })
    })
}

fn finding(host: &Claims<'_>) -> Option<Finding> {
    let mut worst: Vec<&SocketRow> = Vec::new();
    for listed in host.host.listings() {
        let mut peers: BTreeMap<_, Vec<&SocketRow>> = BTreeMap::new();
        let held = listed.in_state(TcpState::FinWait2).filter(|row| row.process.is_some() && row.timer.is_none());
        for row in held {
            peers.entry(row.remote.host.clone()).or_default().push(row);
        }
        worst = peers.into_values().chain([worst]).max_by_key(Vec::len)?;
    }
    let first = worst.first().filter(|_| worst.len() >= MANY)?;
    let peer = first.remote.host.ip().map_or_else(|| say!("a named host"), |ip| Text::value(ip.to_string()));
    let owner = first
        .process
        .as_ref()
        .and_then(|process| process.name.as_deref())
        .map_or_else(|| say!("a process"), Text::value);
    let title = say!("{owner} is held in FIN-WAIT-2 by {peer}: {worst} connections", owner, peer, worst = worst.len());
    let summary = say!(
        "They have been closed for sending and {peer} acknowledged it, but does not close itself: there the same connections are in CLOSE-WAIT (CW001). {owner} still owns them, so that no timer ends them.",
        peer,
        owner
    );
    let mut finding = host.finding(Severity::Warning, Confidence::High, title, summary);
    finding.metric("connections", number(worst.len() as u64));
    finding.metric("held", number(worst.len() as u64));
    finding.metric("timed_out", 0.0);
    finding.metric("longest_s", worst.iter().filter_map(|row| row.last_received).max().unwrap_or_default().secs());
    finding.exhibit_all(
        worst
            .iter()
            .map(|row| line(row.source, say!("FIN-WAIT-2 towards {peer}, owned by {owner}", peer, owner)))
            .collect::<Vec<_>>(),
    );
    finding.advise_when(say!("on the peer"), say!("ss -tanp state close-wait: there the application never closes"));
    finding.advise_when(
        say!("on this host"),
        say!("after shutdown() wait with a limit, then close(): the kernel ends an orphan after tcp_fin_timeout"),
    );
    finding.refer(&["RFC 9293 section 3.6.1", "tcp(7): TCP_LINGER2"]);
    Some(finding)
}
