//! A full accept queue by the host's own words: the LISTEN row of `ss`, or ListenOverflows at a rate.
//!
//! The queue is full when Recv-Q is above Send-Q (`sk_acceptq_is_full()`, include/net/sock.h); netstat does not
//! print the limit. One and five a second as netdata has them.

use super::super::claims::{Claims, ask_again, hosts_left};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Severity, number};
use super::RULE;
use crate::language::say;
use crate::snapshot::{SocketRow, TcpState};

const SOME: f64 = 1.0;
const MANY: f64 = 5.0;

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    hosts_left(case, &RULE, found).iter().filter_map(finding).collect()
}

fn finding(host: &Claims<'_>) -> Option<Finding> {
    let full = fullest(host);
    let overflows = host.moved("TcpExtListenOverflows");
    let now = full.map(|(_, waiting, limit)| if waiting > limit { Severity::Critical } else { Severity::Warning });
    let rate = overflows.as_ref().map(|counted| match counted.by_rate(MANY, Severity::Critical) {
        Severity::Info => counted.by_rate(SOME, Severity::Warning),
        bad => bad,
    });
    let severity = now.max(rate)?;
    let title = match (full, &overflows) {
        (Some((row, waiting, limit)), _) => {
            say!(
                "{waiting} connections wait for accept on port {row}, and the queue holds {limit}",
                waiting,
                row = port(row),
                limit
            )
        }
        (None, Some(overflows)) => say!("an accept queue overflowed: {overflows}", overflows),
        (None, None) => return None,
    };
    let mut summary = say!(
        "The application accepts more slowly than connections come. While the queue is full SYNs are dropped, and final ACKs of handshakes ignored: clients wait 1 s, 3 s and longer."
    );
    if let Some(overflows) = &overflows {
        summary.add(say!("{overflows}.", overflows));
    }
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("listen_overflows", number(overflows.as_ref().map_or(0, |counted| counted.amount)));
    let mut exhibits = Vec::new();
    if let Some((row, waiting, limit)) = full {
        finding.subject.server_port = row.local.port.number();
        finding.metric("waiting", f64::from(waiting));
        finding.metric("limit", f64::from(limit));
        exhibits.push(line(
            row.source,
            say!("LISTEN on port {row}: {waiting} wait, room for {limit}", row = port(row), waiting, limit),
        ));
    }
    exhibits.extend(overflows.iter().flat_map(super::super::claims::Counted::exhibits));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Find out why the application accepts slowly (too few workers, a stuck thread, a lock) before making the queue longer."));
    finding.advise(say!("A longer queue needs both the application's backlog and net.core.somaxconn (128 by default, 4096 since Linux 5.4)."));
    if let Some(overflows) = &overflows {
        ask_again(&mut finding, overflows);
    }
    finding.refer(&["Linux include/net/sock.h: sk_acceptq_is_full()", "listen(2)"]);
    Some(finding)
}

/// The listener whose queue is fullest, at its limit or above: the row, how many wait, and the limit.
fn fullest<'a>(host: &Claims<'a>) -> Option<(&'a SocketRow, u32, u32)> {
    let rows = host.host.listings().into_iter().flat_map(|listed| listed.in_state(TcpState::Listen));
    let queues = rows.filter_map(|row| Some((row, row.recv_q?, row.send_q?)));
    let full = queues.filter(|(_, waiting, limit)| *limit > 0 && waiting >= limit);
    full.max_by_key(|(row, waiting, limit)| (waiting > limit, *waiting, std::cmp::Reverse(row.source)))
}

fn port(row: &SocketRow) -> String {
    row.local.port.number().map_or_else(|| "?".to_owned(), |port| port.to_string())
}
