//! SYN009: the server answered, and the client kept asking.
//!
//! RFC 9293 section 3.10.7.4: a SYN that repeats one already answered. The SYN-ACK passed this capture point and
//! did not reach the client, or the client did not take it.

use super::group::{Group, Show, groups};
use super::scan::is_scan;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::Opened;
use crate::language::{pages, plural, say};

pub(super) static RULE: Rule = Rule { code: "SYN009", name: "synack-lost", explanation: pages!("synack_lost"), judge };

/// Attempts below which it is one lost packet and no trouble.
const TROUBLE: u64 = 3;

fn judge(case: &Case<'_>) -> Verdict {
    let repeated = groups(case, |connection| connection.syn_after_syn_ack().then_some(()));
    let faults = repeated.iter().filter(|group| !is_scan(case, group.point, group.client));
    Verdict { found: faults.map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let total = group.total();
    let failed = group.count(|connection, ()| connection.opened() == Opened::HalfOpen);
    let attempts = group.service(case).map_or(total, |service| service.attempts);
    let severity = match (total, failed) {
        (TROUBLE.., 1..) => Severity::Critical,
        (TROUBLE.., 0) => Severity::Warning,
        _ => Severity::Info,
    };
    let mut finding =
        group.finding(&RULE, severity, if total >= TROUBLE { Confidence::High } else { Confidence::Medium });
    finding.title = say!(
        "{syns} of {client} to {server} repeated although the server had answered",
        syns = plural(total, "SYN"),
        client = group.client,
        server = group.server
    );
    finding.summary = say!(
        "The SYN-ACK passed this capture point, but the client asked again as if it had not come; {attempts} never opened. It was lost behind the capture point, or something in front of the client threw it away.",
        attempts = plural(failed, "attempt")
    );
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(failed));
    finding.metric("syns_unanswered", 0.0);
    finding.metric("repeated", number(total));
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        say!(
            "SYN from port {port}, answered, and repeated ({history})",
            port = connection.client().port,
            history = connection.history()
        )
    }));
    finding.rule_out(say!("drops at the server (SYN001 to SYN003)"), say!("the server did answer"));
    finding.advise(say!("Capture at the client: if the SYN-ACK arrives there, look at its firewall and reverse-path filter (`sysctl net.ipv4.conf.all.rp_filter`); if not, at the way back, which may be another than the way forth."));
    finding.references = vec!["RFC 9293 section 3.5".to_owned()];
    finding
}
