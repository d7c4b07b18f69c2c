//! CW001: the peer closed, this end acknowledged it, and its application never did close.
//!
//! RFC 9293 section 3.6: a connection stays in CLOSE-WAIT until the local user closes; no timer ends it. The
//! capture shows a FIN that is acknowledged and never answered by another. A half-close in use (data still
//! flows) and a capture that simply ends are no leak.

mod claimed;

use super::group::{Group, Show, groups};
use super::host_limits::line;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Close, Connection, Side, Who};
use crate::evidence::joins::CloseWait;
use crate::language::{Text, pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "CW001", name: "close-wait-leak", explanation: pages!("close_wait_leak"), judge };

/// Quiet in CLOSE-WAIT for less than this may be an application that is still at work.
const PATIENCE: Span = Span::from_secs(10);
/// The same where it has sent data since: a half-closed connection in use.
const IN_USE: Span = Span::from_secs(60);

fn judge(case: &Case<'_>) -> Verdict {
    let leaking = groups(case, |connection| leaked(case, connection));
    let mut found: Vec<Finding> = leaking.iter().map(|group| finding(case, group)).collect();
    found.extend(claimed::findings(case, &found));
    Verdict { found, not_judged: Vec::new() }
}

/// How long an end has sat in CLOSE-WAIT without a word, where that is a leak.
fn leaked(case: &Case<'_>, connection: Connection<'_>) -> Option<Span> {
    if connection.close() != Close::HalfClosed {
        return None;
    }
    let end = case.evidence.end_of(connection.point());
    let held = connection.close_wait(end)?;
    let quiet = end.since(connection.last().1);
    let side = if connection.close_wait_side() == Who::Client { Side::Client } else { Side::Server };
    let patience = if connection.data_after_fin(side) { IN_USE } else { PATIENCE };
    (held >= patience && quiet >= patience).then_some(held)
}

fn finding(case: &Case<'_>, group: &Group<'_, Span>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let longest = group.picked.iter().map(|(_, held)| *held).max().unwrap_or_default();
    let by_server = group.count(|connection, _| connection.close_wait_side() == Who::Server);
    let holder = if by_server * 2 >= total {
        say!("the application at {server}", server)
    } else {
        say!("the application on {client}", client)
    };
    let mut finding = group.finding(&RULE, Severity::Warning, Confidence::Medium);
    finding.title = say!(
        "{holder} leaves {connections} in CLOSE-WAIT, the longest for {longest}",
        holder,
        connections = plural(total, "connection"),
        longest
    );
    finding.summary = say!(
        "The peer closed and was acknowledged; then nothing came from {holder} until the capture ended. CLOSE-WAIT ends only when the application closes its socket: no timer and no sysctl does it.",
        holder
    );
    finding.metric("connections", number(total));
    finding.metric("longest_s", longest.secs());
    finding.exhibit_all(group.exhibits(case, Show::Last, |connection, held| {
        say!(
            "last packet of {client} to {server}, then silence; in CLOSE-WAIT for {held}",
            client = connection.client(),
            server = connection.server(),
            held
        )
    }));
    name_processes(case, group, &mut finding);
    finding.rule_out(
        say!("a half-close in use"),
        say!("no data after the FIN for at least {patience}", patience = PATIENCE),
    );
    finding.advise_when(say!("on that host"), say!("ss -tanp state close-wait: the process that holds the sockets; look for a missing close() on its error and end-of-stream paths"));
    finding.advise(say!("No kernel setting helps: tcp_keepalive only ends connections whose peer is gone, tcp_fin_timeout is for FIN-WAIT-2."));
    finding.references = vec!["RFC 9293 section 3.6".to_owned()];
    finding
}

/// Which process holds them, where a host lists the same connections in CLOSE-WAIT.
fn name_processes(case: &Case<'_>, group: &Group<'_, Span>, finding: &mut Finding) {
    let ends = |connection: Connection<'_>| [connection.client(), connection.server()];
    let rows = case.joins().iter().flat_map(|join| &join.close_waits);
    let held = rows.filter(|held| {
        let same = |connection: Connection<'_>| {
            ends(connection) == [held.own, held.peer] || ends(connection) == [held.peer, held.own]
        };
        held.agrees && group.picked.iter().any(|(connection, _)| same(*connection))
    });
    let held: Vec<&CloseWait> = held.collect();
    if held.is_empty() {
        return;
    }
    let mut names: Vec<&str> = held.iter().filter_map(|held| held.process.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let who = if names.is_empty() { Text::default() } else { say!(", held by {names}", names = names.join(", ")) };
    finding.summary.add(say!(
        "The host itself lists {held} of them in CLOSE-WAIT{who}: what it says and what the wire shows agree.",
        held = held.len(),
        who
    ));
    finding.metric("listed", number(held.len() as u64));
    finding.confidence = Confidence::High;
    if let Some(oldest) = held.iter().filter_map(|held| held.age).max() {
        finding.summary.add(say!("The oldest had been there for {oldest} by then.", oldest));
        finding.metric("listed_longest_s", oldest.secs());
    }
    let text = |held: &CloseWait| {
        let age = held.age.map_or_else(Text::default, |age| say!(" for {age}", age));
        let owner = held.process.as_deref().map_or_else(|| say!("no owner told"), Text::value);
        say!("{own} with {peer} in CLOSE-WAIT{age}, {owner}", own = held.own, peer = held.peer, age, owner)
    };
    // The oldest first: those are leaked, the newest may be on their way.
    let mut oldest = held.clone();
    oldest.sort_by_key(|held| (std::cmp::Reverse(held.age), held.source));
    let lines = oldest.iter().take(5).map(|held| line(held.source, text(held)));
    finding.exhibits.splice(0..0, lines.collect::<Vec<_>>());
    finding.exhibits.truncate(super::EXHIBITS_SHOWN);
    finding.exhibits_total += held.len() as u64;
}
