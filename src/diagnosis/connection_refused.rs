//! SYN005: SYNs answered by RST.
//!
//! RFC 9293 section 3.10.7.1: a SYN to a closed port draws RST; a firewall may send one as well.

use super::group::{Group, Show, groups};
use super::scan::is_scan;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::Opened;
use crate::language::{pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "SYN005", name: "connection-refused", explanation: pages!("connection_refused"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let refused = groups(case, |connection| (connection.opened() == Opened::Refused).then_some(()));
    let faults = refused.iter().filter(|group| !is_scan(case, group.point, group.client));
    Verdict { found: faults.map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let total = group.total();
    let answered = group.service(case).map_or(0, |service| service.opened);
    let attempts = group.service(case).map_or(total, |service| service.attempts);
    let mut finding = group.finding(&RULE, Severity::Warning, Confidence::High);
    finding.title = say!(
        "{server} refuses {attempts} of {client}",
        server = group.server,
        attempts = plural(total, "attempt"),
        client = group.client
    );
    finding.summary = if answered == 0 {
        say!("Every SYN drew RST: nothing listens on port {port}, or a firewall rejects.", port = group.server.port)
    } else {
        say!(
            "{answered} other attempts opened: the service was down for a while, or one of several back ends does not listen.",
            answered
        )
    };
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(total));
    finding.metric("syns_unanswered", 0.0);
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        say!("SYN from port {port} answered by RST", port = connection.client().port)
    }));
    finding.rule_out(say!("loss, filters, full queues (SYN002 to SYN004)"), say!("each SYN was answered, by RST"));
    finding.advise_when(
        say!("on the server"),
        say!("`ss -lntp 'sport = :{port}'`: is the service there, and on this address?", port = group.server.port),
    );
    finding.advise(say!("A RST with another TTL than the server's other packets comes from a device on the way."));
    finding.references = vec!["RFC 9293 section 3.10.7.1".to_owned()];
    finding
}
