//! SYN008: a SYN met the TIME-WAIT of the incarnation before it: challenge ACK, RST, retry; or silence.
//!
//! RFC 9293 section 3.10.7.4, RFC 6191; `tcp_timewait_state_process()` in net/ipv4/tcp_minisocks.c: an ACK with
//! the old connection's numbers, which the client answers by RST and asks again.

use super::group::{Group, Show, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Connection, Opened, Who};
use crate::language::{Text, pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "SYN008", name: "syn-into-time-wait", explanation: pages!("syn_into_time_wait"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let challenged =
        groups(case, |connection| (connection.challenged() && may_meet_time_wait(connection)).then_some(()));
    Verdict { found: challenged.iter().map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

/// A challenge ACK comes from any old incarnation (RFC 9293 section 3.5.1): one that was seen must have left a
/// TIME-WAIT; one that was not seen may have.
fn may_meet_time_wait(connection: Connection<'_>) -> bool {
    connection.previous().is_none_or(|before| before.time_wait_side() != Who::None)
}

fn failed(connection: &Connection<'_>) -> bool {
    connection.opened() == Opened::Challenged
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let total = group.total();
    let lost = group.count(|connection, ()| failed(connection));
    let attempts = group.service(case).map_or(total, |service| service.attempts);
    let slowest = group.picked.iter().filter_map(|(connection, ())| connection.handshake()).max().unwrap_or_default();
    let severity = if lost > 0 { Severity::Critical } else { Severity::Warning };
    let seen = group.count(|connection, ()| connection.previous().is_some());
    let confidence = if seen == total { Confidence::High } else { Confidence::Medium };
    let mut finding = group.finding(&RULE, severity, confidence);
    finding.title = say!(
        "{syns} of {client} to {server} met an old incarnation: {lost} never opened",
        syns = plural(total, "SYN"),
        client = group.client,
        server = group.server,
        lost
    );
    finding.summary = say!(
        "The server answered with an ACK of the connection before (a challenge ACK); the client answered by RST and asked again. {attempts} opened so, the slowest after {slowest}.",
        attempts = plural(total.saturating_sub(lost), "attempt"),
        slowest
    )
    .then(if lost > 0 {
            say!(
                "The others never did: the RST or the second SYN did not arrive, or the old incarnation is no TIME-WAIT."
            )
        } else {
            Text::default()
        });
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(lost));
    finding.metric("syns_unanswered", 0.0);
    finding.metric("challenged", number(total));
    finding.metric("slowest_s", slowest.secs());
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        say!(
            "SYN from port {port} drew an ACK that is no SYN-ACK ({opened})",
            port = connection.client().port,
            opened = connection.opened().name()
        )
    }));
    finding.rule_out(
        say!("silent drops (SYN001 to SYN004)"),
        say!("the server answered, with the old connection's numbers"),
    );
    finding.advise(say!("The socket pair is used again too soon, with an older timestamp or a lower ISN: give the client (or the NAT) more ports or addresses, keep timestamps on, or keep connections alive."));
    finding.advise_when(say!("behind NAT or a stateful firewall"), say!("let it pass the RST that answers the challenge ACK (conntrack calls such packets INVALID); otherwise the client waits until TIME-WAIT ends"));
    finding.references = [
        "RFC 9293 section 3.10.7.4",
        "RFC 6191 section 2",
        "Linux net/ipv4/tcp_minisocks.c: tcp_timewait_state_process()",
    ]
    .map(str::to_owned)
    .to_vec();
    finding
}
