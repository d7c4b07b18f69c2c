//! FW001: a FIN was retransmitted into silence.
//!
//! RFC 9293 section 3.6: the closing end stays in FIN-WAIT-1 until its FIN is acknowledged; Linux gives up after
//! `tcp_orphan_retries`. One FIN just before the capture ends proves nothing.

mod claimed;

use super::group::{Group, Show, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Close, Connection, Side, Who};
use crate::language::{pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "FW001", name: "fin-unanswered", explanation: pages!("fin_unanswered"), judge };

/// A FIN younger than this at the end of the capture may still be answered.
const PATIENCE: Span = Span::from_secs(1);

fn judge(case: &Case<'_>) -> Verdict {
    let silent = groups(case, |connection| unanswered(case, connection));
    let mut found: Vec<Finding> = silent.iter().map(|group| finding(case, group)).collect();
    found.extend(claimed::findings(case, &found));
    let not_judged = claimed::not_judged(case, &found);
    Verdict { found, not_judged }
}

/// How long a FIN has gone without an acknowledgment, where it was repeated.
fn unanswered(case: &Case<'_>, connection: Connection<'_>) -> Option<Span> {
    if connection.close() != Close::FinUnanswered {
        return None;
    }
    let side = if connection.active_closer() == Who::Server { Side::Server } else { Side::Client };
    let endpoint = connection.endpoint(side);
    let (first, last) = (endpoint.first_fin?, endpoint.fin?);
    let waited = case.evidence.end_of(connection.point()).since(first);
    (last > first && waited >= PATIENCE).then_some(waited)
}

fn finding(case: &Case<'_>, group: &Group<'_, Span>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let longest = group.picked.iter().map(|(_, waited)| *waited).max().unwrap_or_default();
    let by_client = group.count(|connection, _| connection.active_closer() == Who::Client);
    let mut finding = group.finding(&RULE, Severity::Warning, Confidence::Medium);
    finding.title = say!(
        "{fins} between {client} and {server} repeated without an answer",
        fins = plural(total, "FIN"),
        client,
        server
    );
    finding.summary = say!(
        "The end that closed repeated its FIN and heard nothing, the longest for {longest}: {by_client} closed by the client, {by_client_2} by the server. The peer is gone, or a device on the way has forgotten the connection.",
        longest,
        by_client,
        by_client_2 = total.saturating_sub(by_client)
    );
    finding.metric("connections", number(total));
    finding.metric("longest_s", longest.secs());
    finding.exhibit_all(group.exhibits(case, Show::Last, |connection, waited| {
        say!(
            "last packet of {client} to {server}: its FIN has gone {waited} without an ACK",
            client = connection.client(),
            server = connection.server(),
            waited
        )
    }));
    finding.advise(say!("Capture at the peer as well: if its FINs arrive there, the answer is lost on the way back; if not, a firewall or NAT has dropped the connection's state."));
    finding.advise(say!(
        "The orphaned sockets end by themselves after net.ipv4.tcp_orphan_retries; lowering it treats the symptom."
    ));
    finding.references =
        ["RFC 9293 section 3.6", "Linux net/ipv4/tcp_timer.c: tcp_orphan_retries()"].map(str::to_owned).to_vec();
    finding
}
