//! FINs repeated into silence, as the host lists its sockets: FIN-WAIT-1, LAST-ACK and CLOSING with retransmissions
//! on their timer.

use super::super::claims::{Claims, hosts_left};
use super::super::host_limits::line;
use super::super::lacking::{self, Lack};
use super::super::{Case, Confidence, Finding, NotJudged, Severity, number};
use super::RULE;
use crate::language::{Text, say};
use crate::snapshot::{SocketRow, TcpState};

/// Retransmissions after which loss is no explanation.
const RETRIES: u32 = 3;
const MANY: usize = 5;
/// So many at one moment are more than closes that happen to be under way.
const PILE: usize = 50;
/// States that wait for the acknowledgment of a FIN.
const CLOSING: [TcpState; 3] = [TcpState::FinWait1, TcpState::LastAck, TcpState::Closing];

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    hosts_left(case, &RULE, found).iter().filter_map(finding).collect()
}

/// Hosts that list many closes under way, without the timers that tell how they go.
pub(super) fn not_judged(case: &Case<'_>, found: &[Finding]) -> Vec<NotJudged> {
    lacking::not_judged(&RULE, hosts_left(case, &RULE, found), |host| {
        let moments = host.host.listings().into_iter();
        let closing =
            moments.map(|listed| CLOSING.iter().flat_map(|state| listed.in_state(*state)).collect::<Vec<_>>());
        let rows = closing.max_by_key(Vec::len).filter(|rows| rows.len() >= PILE)?;
        let because = say!(
            "{rows} sockets wait for an answer to their FIN, and the listing has no timers: whether it was repeated is not known",
            rows = rows.len()
        );
        rows.iter()
            .all(|row| row.timer.is_none())
            .then_some(Lack { because, record: Text::value("ss -tano (netstat -anto)") })
    })
}

fn finding(host: &Claims<'_>) -> Option<Finding> {
    let stuck = |row: &&SocketRow| row.timer.is_some_and(|timer| timer.retransmits >= RETRIES);
    let moments = host.host.listings().into_iter().map(|listed| {
        CLOSING.iter().flat_map(|state| listed.in_state(*state)).filter(stuck).collect::<Vec<&SocketRow>>()
    });
    let rows = moments.max_by_key(Vec::len).filter(|rows| rows.len() >= MANY)?;
    let most = rows.iter().filter_map(|row| row.timer).map(|timer| timer.retransmits).max().unwrap_or(0);
    let title = say!("{rows} closes get no answer", rows = rows.len());
    let summary = say!(
        "Their FIN was repeated three times or more, one {most} times: the peers are gone, or a firewall forgot the connections and drops what comes late. Without an owner such a socket lives until tcp_orphan_retries are over.",
        most
    );
    let mut finding = host.finding(Severity::Warning, Confidence::High, title, summary);
    finding.metric("connections", number(rows.len() as u64));
    finding.metric("retransmits_most", f64::from(most));
    let exhibit = |row: &&SocketRow| {
        let state = row.state.map_or("", TcpState::name);
        line(
            row.source,
            say!(
                "{state}, repeated {retransmits} times",
                state,
                retransmits = row.timer.map_or(0, |timer| timer.retransmits)
            ),
        )
    };
    finding.exhibit_all(rows.iter().map(exhibit).collect::<Vec<_>>());
    finding.advise(say!("Look whether the peers are alive, and at idle time-outs of firewalls on the way: keepalive below that time-out keeps their entries."));
    finding.advise(say!("net.ipv4.tcp_orphan_retries (8 by default) bounds how long they stay."));
    finding.refer(&["RFC 9293 section 3.8.1", "Linux Documentation/networking/ip-sysctl.rst: tcp_orphan_retries"]);
    Some(finding)
}
