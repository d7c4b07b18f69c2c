//! TW001: socket pairs used again before 2MSL had passed since TIME-WAIT began, and what came of it.
//!
//! RFC 9293 section 3.6.1 (a new incarnation may be accepted from TIME-WAIT), RFC 6191 (by timestamps);
//! `tcp_timewait_state_process()` in net/ipv4/tcp_minisocks.c. Linux holds TIME-WAIT for 60 s plus up to 8 s of
//! timer granularity, so that reuse between 60 and 68 s tells nothing.

use super::finding::plural;
use super::group::{Group, Show, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::ReuseOutcome;
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "TW001", name: "reused-within-2msl", explanation: include_str!("reused_within_2msl.md"), judge };

/// When a socket pair was used again, and what that drew.
type Reuse = (Span, ReuseOutcome);

fn judge(case: &Case<'_>) -> Verdict {
    let two_msl = two_msl(case);
    let reused = groups(case, |connection| connection.reuse().filter(|(interval, _)| *interval < two_msl));
    Verdict { found: reused.iter().map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

fn two_msl(case: &Case<'_>) -> Span {
    Span(case.thresholds.msl.0.saturating_mul(2))
}

fn finding(case: &Case<'_>, group: &Group<'_, Reuse>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let count = |wanted: &[ReuseOutcome]| group.count(|_, (_, outcome)| wanted.contains(outcome));
    let accepted = count(&[ReuseOutcome::Accepted]);
    let challenged = count(&[ReuseOutcome::Challenged, ReuseOutcome::ChallengedThenAccepted]);
    let lost = count(&[ReuseOutcome::Challenged, ReuseOutcome::Refused, ReuseOutcome::Unanswered]);
    let shortest = group.picked.iter().map(|(_, (interval, _))| *interval).min().unwrap_or_default();
    let trouble = lost > 0 || challenged > 0;
    let mut finding = group.finding(&RULE, if trouble { Severity::Warning } else { Severity::Info }, Confidence::High);
    finding.title = format!(
        "{client} uses {} to {server} again before 2MSL, the soonest after {shortest}",
        plural(total, "socket pair")
    );
    finding.summary = format!(
        "Of {} before 2MSL = {}, {accepted} were accepted at once, {challenged} drew a challenge ACK first, {lost} never opened.",
        plural(total, "reuse"),
        two_msl(case),
    );
    finding.metric("reuses", number(total));
    finding.metric("shortest_s", shortest.secs());
    finding.metric("accepted", number(accepted));
    finding.metric("challenged", number(challenged));
    finding.metric("unanswered", number(count(&[ReuseOutcome::Unanswered])));
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, (interval, outcome)| {
        format!("SYN from port {} {interval} after its TIME-WAIT began: {}", connection.client().port, outcome.name())
    }));
    finding.advise(if trouble {
        "Let the client keep its timestamps on and its ports longer: more destinations or addresses, a wider net.ipv4.ip_local_port_range, or kept-alive connections."
    } else {
        "Nothing to do: a SYN with a newer timestamp or a higher ISN may end TIME-WAIT (RFC 6191), and every one did."
    });
    finding.references = [
        "RFC 9293 section 3.6.1",
        "RFC 6191 section 2",
        "Linux net/ipv4/tcp_minisocks.c: tcp_timewait_state_process()",
    ]
    .map(str::to_owned)
    .to_vec();
    finding
}
