//! SYN005: SYNs answered by RST.
//!
//! RFC 9293 section 3.10.7.1: a SYN to a closed port draws RST; a firewall may send one as well.

use super::finding::plural;
use super::group::{Group, Show, groups};
use super::scan::is_scan;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::Opened;

pub(super) static RULE: Rule =
    Rule { code: "SYN005", name: "connection-refused", explanation: include_str!("connection_refused.md"), judge };

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
    finding.title = format!("{} refuses {} of {}", group.server, plural(total, "attempt"), group.client);
    finding.summary = if answered == 0 {
        format!("Every SYN drew RST: nothing listens on port {}, or a firewall rejects.", group.server.port)
    } else {
        format!(
            "{answered} other attempts opened: the service was down for a while, or one of several back ends does not listen."
        )
    };
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(total));
    finding.metric("syns_unanswered", 0.0);
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        format!("SYN from port {} answered by RST", connection.client().port)
    }));
    finding.rule_out("loss, filters, full queues (SYN002 to SYN004)", "each SYN was answered, by RST".to_owned());
    finding.advise_when(
        "on the server",
        format!("`ss -lntp 'sport = :{}'`: is the service there, and on this address?", group.server.port),
    );
    finding.advise("A RST with another TTL than the server's other packets comes from a device on the way.");
    finding.references = vec!["RFC 9293 section 3.10.7.1".to_owned()];
    finding
}
