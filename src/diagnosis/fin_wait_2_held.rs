//! FW002: the peer acknowledged the FIN and never closed: the closer is held in FIN-WAIT-2; and FIN-WAIT-2 that
//! the closer's kernel gave up (`tcp_fin_timeout`), so that the peer's late segments drew a RST.
//!
//! RFC 9293 section 3.6; Linux ends FIN-WAIT-2 of an orphan only (`tcp_fin_timeout`, ip-sysctl.rst). Held to the
//! end of the capture, it is CW001 seen from the other end.

mod claimed;

use super::group::{Group, Show, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Close, Connection, Side, Who};
use crate::language::{pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "FW002", name: "fin-wait-2-held", explanation: pages!("fin_wait_2_held"), judge };

/// A peer that is quiet for less than this may still be at work.
const PATIENCE: Span = Span::from_secs(10);
/// The same where the peer has used the half-closed connection.
const IN_USE: Span = Span::from_secs(60);
/// No `tcp_fin_timeout` is shorter in practice; a RST that comes sooner has another reason (RST001, TW002).
const TIMEOUT: Span = Span::from_secs(2);

/// What became of FIN-WAIT-2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It lasted until the capture ended.
    ToTheEnd(Span),
    /// The closer no longer knew the connection when its peer spoke.
    TimedOut(Span),
}

fn judge(case: &Case<'_>) -> Verdict {
    let held = groups(case, |connection| held(case, connection));
    let mut found: Vec<Finding> = held.iter().map(|group| finding(case, group)).collect();
    found.extend(claimed::findings(case, &found));
    let not_judged = claimed::not_judged(case, &found);
    Verdict { found, not_judged }
}

fn held(case: &Case<'_>, connection: Connection<'_>) -> Option<Held> {
    let closer = match connection.active_closer() {
        Who::Client => Side::Client,
        Who::Server => Side::Server,
        Who::None | Who::Both => return None,
    };
    match connection.close() {
        Close::HalfClosed => {
            let end = case.evidence.end_of(connection.point());
            let (span, quiet) = (connection.fin_wait_2(end)?, end.since(connection.last().1));
            let patience = if connection.data_after_fin(closer.other()) { IN_USE } else { PATIENCE };
            (span >= patience && quiet >= patience).then_some(Held::ToTheEnd(span))
        }
        // Only the closer's own RST says that its FIN-WAIT-2 was over.
        Close::FinReset if connection.reset_by() == connection.active_closer() => {
            let acked = connection.endpoint(closer).fin_acked?;
            let waited = connection.reset_at()?.since(acked);
            (waited >= TIMEOUT && orphaned(connection, closer)).then_some(Held::TimedOut(waited))
        }
        _ => None,
    }
}

/// The RST answered the peer's late FIN. Data after close() draws a RST at any time, whatever the time-out.
fn orphaned(connection: Connection<'_>, closer: Side) -> bool {
    connection.endpoint(closer.other()).first_fin.is_some() && !connection.data_after_fin(closer.other())
}

fn finding(case: &Case<'_>, group: &Group<'_, Held>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let span = |held: &Held| match held {
        Held::ToTheEnd(span) | Held::TimedOut(span) => *span,
    };
    let longest = group.picked.iter().map(|(_, held)| span(held)).max().unwrap_or_default();
    let timed_out = group.count(|_, held| matches!(held, Held::TimedOut(_)));
    let kept = total.saturating_sub(timed_out);
    let by_server = group.count(|connection, _| connection.active_closer() == Who::Server);
    let (closer, peer) = if by_server * 2 >= total {
        (server.to_string(), client.to_string())
    } else {
        (client.to_string(), server.to_string())
    };
    let severity = if kept > 0 { Severity::Warning } else { Severity::Info };
    let mut finding = group.finding(&RULE, severity, Confidence::Medium);
    finding.title = if kept > 0 {
        say!(
            "{closer} is held in FIN-WAIT-2 by {peer}: {connections}, the longest for {longest}",
            closer,
            peer,
            connections = plural(kept, "connection"),
            longest
        )
    } else {
        say!(
            "{closer} had given {connections} in FIN-WAIT-2 up when {peer} spoke again",
            closer,
            connections = plural(timed_out, "connection"),
            peer
        )
    };
    finding.summary = say!(
        "{closer} closed first and its FIN was acknowledged. {kept} of the peers never closed before the capture ended; {timed_out} sent their FIN so late that the closer answered with RST: an orphan in FIN-WAIT-2 lives for tcp_fin_timeout only, though both applications believe that they closed in order.",
        closer,
        kept,
        timed_out
    );
    finding.metric("connections", number(total));
    finding.metric("held", number(kept));
    finding.metric("timed_out", number(timed_out));
    finding.metric("longest_s", longest.secs());
    finding.exhibit_all(group.exhibits(case, Show::Last, |connection, held| match held {
        Held::ToTheEnd(span) => say!(
            "last packet of {client} to {server}, then silence; in FIN-WAIT-2 for {span}",
            client = connection.client(),
            server = connection.server(),
            span
        ),
        Held::TimedOut(span) => {
            say!(
                "{client} to {server}: RST {span} after the FIN was acknowledged",
                client = connection.client(),
                server = connection.server(),
                span
            )
        }
    }));
    if kept > 0 {
        finding.rule_out(
            say!("a half-close in use"),
            say!("nothing came after the FIN for at least {patience}", patience = PATIENCE),
        );
        finding.rule_out(
            say!("the end of the capture"),
            say!("it goes on for at least {patience} after the last packet", patience = PATIENCE),
        );
    }
    finding.advise_when(
        say!("on the peer"),
        say!("ss -tanp state close-wait: there the application never closes (CW001)"),
    );
    finding.advise_when(say!("on the closer"), say!("ss -tanpo state fin-wait-2: with timer:(timewait,…) it is an orphan and ends by itself; with users:(…) a process holds it, which should wait with a limit after shutdown() and then close()"));
    finding.advise(say!("net.ipv4.tcp_fin_timeout bounds orphans only and is not TIME-WAIT; with a few seconds honest but slow peers get RST."));
    finding.references =
        ["RFC 9293 section 3.6.1", "Linux net/ipv4/tcp_minisocks.c: tcp_time_wait()"].map(str::to_owned).to_vec();
    finding
}
