//! TW001: socket pairs used again before 2MSL had passed since TIME-WAIT began, and what came of it.
//!
//! RFC 9293 section 3.6.1 (a new incarnation may be accepted from TIME-WAIT), RFC 6191 (by timestamps);
//! `tcp_timewait_state_process()` in net/ipv4/tcp_minisocks.c. Linux holds TIME-WAIT for 60 s plus up to 8 s of
//! timer granularity, so that reuse between 60 and 68 s tells nothing.

mod recycled;

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::group::{Group, Show, groups_among};
use super::port_usage::LEAST;
use super::{Case, Cell, Confidence, Finding, Rule, Severity, Table, Verdict, number};
use crate::connection::{Connection, ReuseOutcome, Side, Socket, Syn, Who};
use crate::evidence::groups::Ends;
use crate::language::{Text, pages, plural, say, words};
use crate::segment::SeqNumber;
use crate::time::{Span, Time};

pub(super) static RULE: Rule =
    Rule { code: "TW001", name: "reused-within-2msl", explanation: pages!("reused_within_2msl"), judge };

/// After 2MSL, timers may run on for so long: whether TIME-WAIT was still there cannot be told.
const GRANULARITY: Span = Span::from_secs(8);
/// A SYN that was sent away by a challenge comes back within this, behind a NAT from another port.
const RETRY: Span = Span::from_secs(10);
/// Reuses that a table shows one by one.
const SHOWN: usize = 40;

/// When a socket pair was used again, what that drew, and who held the TIME-WAIT that was met.
#[derive(Clone, Copy)]
struct Reuse {
    interval: Span,
    outcome: ReuseOutcome,
    holder: Who,
}

/// Reuses of one group that came too early to tell, and how many of them were accepted at once.
#[derive(Clone, Copy, Default)]
struct Undecided {
    count: u64,
    accepted: u64,
}

/// Retries under another port, by what stays the same: capture point, client address, server socket, ISN.
type Retries<'a> = HashMap<(u16, IpAddr, Socket, SeqNumber), Vec<Connection<'a>>>;

fn judge(case: &Case<'_>) -> Verdict {
    let longest = Span(case.two_msl().0.saturating_add(GRANULARITY.0));
    // Made before the threads part, since none of them may wait for what another one makes; and before the reuses
    // are picked, so that memory holds one of both.
    case.occupancy();
    let soon = |connection: Connection<'_>| {
        let (interval, outcome) = connection.reuse().filter(|(interval, _)| *interval < longest)?;
        Some(Reuse { interval, outcome, holder: holder(connection) })
    };
    let reused = groups_among(case, &case.evidence.tally.reused, soon);
    let mut reused: Vec<(Group<'_, Reuse>, Undecided)> =
        reused.into_iter().map(|group| (group, Undecided::default())).collect();
    let two_msl = case.two_msl();
    case.evidence.workers.each(&mut reused, |(group, undecided)| *undecided = leave_out_late(group, two_msl));
    // Where all came that late, nothing was reused too early.
    reused.retain(|(group, _)| !group.picked.is_empty());
    let retries = retries(case, &reused);
    let found = case.evidence.workers.map(&reused, |_, (group, undecided)| {
        let mut finding = finding(case, group, *undecided, &retries);
        recycled::weigh(case, &mut finding, group, reused.iter().map(|(group, _)| group));
        finding
    });
    Verdict { found, not_judged: Vec::new() }
}

/// Takes out what came after 2MSL, where nobody can tell, and counts it.
fn leave_out_late(group: &mut Group<'_, Reuse>, two_msl: Span) -> Undecided {
    let late = |reuse: &Reuse| reuse.interval >= two_msl;
    let undecided = Undecided {
        count: group.count(|_, reuse| late(reuse)),
        accepted: group.count(|_, reuse| late(reuse) && reuse.outcome == ReuseOutcome::Accepted),
    };
    group.picked.retain(|(_, reuse)| !late(reuse));
    undecided
}

fn finding(case: &Case<'_>, group: &Group<'_, Reuse>, undecided: Undecided, retries: &Retries<'_>) -> Finding {
    let two_msl = case.two_msl();
    let (client, server, total) = (group.client, group.server, group.total());
    let count = |wanted: &[ReuseOutcome]| group.count(|_, reuse| wanted.contains(&reuse.outcome));
    let accepted = count(&[ReuseOutcome::Accepted]);
    let challenged = count(&[ReuseOutcome::Challenged, ReuseOutcome::ChallengedThenAccepted]);
    let followed = group.count(|connection, reuse| followed_by(*connection, reuse.outcome, retries).is_some());
    let lost = group.count(|_, reuse| lost(reuse.outcome)).saturating_sub(followed);
    let shortest = group.picked.iter().map(|(_, reuse)| reuse.interval).min().unwrap_or_default();
    let trouble = lost > 0 || challenged > 0;
    let mut finding = group.finding(&RULE, if trouble { Severity::Warning } else { Severity::Info }, Confidence::High);
    finding.title = say!(
        "{client} uses {pairs} to {server} again before 2MSL, the soonest after {shortest}",
        client,
        pairs = plural(total, "socket pair"),
        server,
        shortest
    );
    finding.summary = say!(
        "Of {reuses} before 2MSL = {two_msl}, {accepted} were accepted at once, {challenged} drew a challenge ACK first, {lost} never opened.{followed}{undecided}{group}",
        reuses = plural(total, "reuse"),
        two_msl,
        accepted,
        challenged,
        lost,
        followed = sentence(
            followed,
            say!("came back from another port with the same ISN and opened there: a NAT gave the retry a new port.")
        ),
        undecided = sentence(
            undecided.count,
            say!("more came within 8 s after 2MSL, where timers may or may not have ended TIME-WAIT: nobody can tell.")
        ),
        group = ports(case, group)
    );
    finding.metric("reuses", number(total));
    finding.metric("shortest_s", shortest.secs());
    finding.metric("accepted", number(accepted));
    finding.metric("challenged", number(challenged));
    finding.metric("unanswered", number(count(&[ReuseOutcome::Unanswered])));
    finding.metric("undecided", number(undecided.count));
    finding.metric("followed", number(followed));
    finding.metric("median_s", median(group).secs());
    finding.metric("longest_delay_ms", delays(group, retries).max().unwrap_or_default().millis());
    finding.metric("server_time_wait", number(group.count(|_, reuse| reuse.holder == Who::Server)));
    finding.tables.push(histogram(group, undecided, two_msl));
    finding.tables.push(one_by_one(group, retries));
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, Reuse { interval, outcome, .. }| {
        let retried = match followed_by(*connection, *outcome, retries) {
            Some(next) => say!("; the same SYN came again from port {port}", port = next.client().port),
            None => Text::default(),
        };
        let port = connection.client().port;
        say!(
            "SYN from port {port} {interval} after its TIME-WAIT began: {outcome}{retried}",
            port,
            interval,
            outcome = outcome.name(),
            retried
        )
    }));
    finding.advise(if trouble {
        say!("Let the client keep its timestamps on and its ports longer: more destinations or addresses, a wider net.ipv4.ip_local_port_range, or kept-alive connections.")
    } else {
        say!("Nothing to do: a SYN with a newer timestamp or a higher ISN may end TIME-WAIT (RFC 6191), and every one did.")
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

fn sentence(count: u64, rest: Text) -> Text {
    if count == 0 { Text::default() } else { say!(" {count} {rest}", count, rest) }
}

/// What ports the client goes round in, where that is known.
fn ports(case: &Case<'_>, group: &Group<'_, Reuse>) -> Text {
    let ends = Ends { point: group.point, client: group.client, server: group.server };
    let usage = case.occupancy().usage(&ends).filter(|usage| usage.connections >= LEAST);
    match usage {
        Some(usage) if usage.circled => say!(
            " The client goes round in {distinct} ports ({range_text}) and held {peak} of them at most, at {usage} new connections a second.",
            distinct = usage.distinct,
            range_text = usage.range_text(),
            peak = usage.peak.1,
            usage = format!("{:.0}", usage.latest_rate(usage.last.from))
        ),
        _ => Text::default(),
    }
}

const fn lost(outcome: ReuseOutcome) -> bool {
    matches!(outcome, ReuseOutcome::Challenged | ReuseOutcome::Refused | ReuseOutcome::Unanswered)
}

/// Who held the TIME-WAIT that was met.
fn holder(connection: Connection<'_>) -> Who {
    connection.previous().map_or(Who::None, Connection::time_wait_side)
}

fn median(group: &Group<'_, Reuse>) -> Span {
    let mut intervals: Vec<Span> = group.picked.iter().map(|(_, reuse)| reuse.interval).collect();
    let middle = intervals.len() / 2;
    if intervals.is_empty() { Span::ZERO } else { *intervals.select_nth_unstable(middle).1 }
}

/// How long connecting took where it did not go through at once.
fn delay(connection: Connection<'_>, outcome: ReuseOutcome, retries: &Retries<'_>) -> Option<Span> {
    match outcome {
        ReuseOutcome::Accepted | ReuseOutcome::ChallengedThenAccepted => connection.handshake(),
        _ => {
            let next = followed_by(connection, outcome, retries)?;
            Some(next.first().1.plus(next.handshake()?).since(connection.first().1))
        }
    }
}

fn delays<'g>(group: &'g Group<'_, Reuse>, retries: &'g Retries<'_>) -> impl Iterator<Item = Span> + 'g {
    group.picked.iter().filter_map(|(connection, reuse)| delay(*connection, reuse.outcome, retries))
}

/// Looks for the retries of reuses that never opened.
fn retries<'a>(case: &Case<'a>, reused: &[(Group<'a, Reuse>, Undecided)]) -> Retries<'a> {
    let failed = reused.iter().flat_map(|(group, _)| &group.picked).filter(|(_, reuse)| lost(reuse.outcome));
    let failed = failed.filter_map(|(connection, _)| connection.first_syn());
    let mut retries: Retries<'a> = failed.map(|syn| (key(&syn), Vec::new())).collect();
    if retries.is_empty() {
        return retries;
    }
    let isns: HashSet<SeqNumber> = retries.keys().map(|(.., isn)| *isn).collect();
    let same_isn = |syn: Syn<'a>| isns.contains(&syn.isn).then_some(syn);
    for syn in case.evidence.first_syns_with(isns.iter().copied(), same_isn) {
        if let Some(found) = retries.get_mut(&key(&syn)) {
            found.push(syn.connection);
        }
    }
    retries
}

fn key(syn: &Syn<'_>) -> (u16, IpAddr, Socket, SeqNumber) {
    let connection = syn.connection;
    (connection.point(), connection.client().ip, connection.server(), syn.isn)
}

/// The first connection that opened with the same ISN from another port soon after.
fn followed<'a>(connection: Connection<'_>, retries: &Retries<'a>) -> Option<Connection<'a>> {
    let at: Time = connection.first().1;
    let others = retries.get(&key(&connection.first_syn()?))?.iter().filter(|other| {
        let later = other.first().1.since(at);
        other.client().port != connection.client().port && other.is_open() && later.0 >= 0 && later <= RETRY
    });
    others.min_by_key(|other| other.first()).copied()
}

fn followed_by<'a>(connection: Connection<'_>, outcome: ReuseOutcome, retries: &Retries<'a>) -> Option<Connection<'a>> {
    if lost(outcome) { followed(connection, retries) } else { None }
}

/// How many reuses came how soon, alone and together with all sooner ones.
fn histogram(group: &Group<'_, Reuse>, undecided: Undecided, two_msl: Span) -> Table {
    let after = Span(two_msl.0.saturating_add(GRANULARITY.0));
    let mut edges: Vec<Span> =
        [1, 2, 5, 10, 30].map(Span::from_secs).into_iter().filter(|edge| *edge < two_msl).collect();
    edges.push(two_msl);
    let mut counts = vec![(0_u64, 0_u64); edges.len()];
    for (_, reuse) in &group.picked {
        let place = edges.partition_point(|edge| *edge <= reuse.interval);
        if let Some((count, accepted)) = counts.get_mut(place) {
            *count += 1;
            *accepted += u64::from(reuse.outcome == ReuseOutcome::Accepted);
        }
    }
    let all = number(group.total() + undecided.count).max(1.0);
    let names = edges.into_iter().map(|edge| say!("under {edge}", edge));
    let names = names.chain([say!("{two_msl} to {after}: cannot tell", two_msl, after)]);
    let mut together = 0_u64;
    let mut rows = Vec::new();
    for (name, (count, accepted)) in names.zip(counts.into_iter().chain([(undecided.count, undecided.accepted)])) {
        together += count;
        let share = 100.0 * number(together) / all;
        rows.push(vec![
            Cell::Text(name),
            Cell::Count(count),
            Cell::Number((share * 10.0).round() / 10.0),
            Cell::Count(accepted),
        ]);
    }
    Table {
        title: say!("From the start of TIME-WAIT to the new SYN"),
        columns: words!("interval", "reuses", "together, %", "accepted at once").map(Text::of).to_vec(),
        rows,
    }
}

/// Old and new numbers side by side, with the rule that decided.
fn one_by_one(group: &Group<'_, Reuse>, retries: &Retries<'_>) -> Table {
    // What went wrong comes first, then the soonest; a group is in frame order, and the sort is stable.
    let key = |(_, reuse): &(Connection<'_>, Reuse)| (reuse.outcome == ReuseOutcome::Accepted, reuse.interval);
    let picked = least(&group.picked, SHOWN, key);
    let row = |(connection, Reuse { interval, outcome, holder }): &(Connection<'_>, Reuse)| {
        let deltas = Deltas::of(*connection);
        let text =
            |delta: Option<i32>| Cell::Text(Text::value(delta.map_or("–".to_owned(), |delta| format!("{delta:+}"))));
        let outcome_text = match followed_by(*connection, *outcome, retries) {
            Some(next) => {
                say!("{outcome}, then opened from port {port}", outcome = outcome.name(), port = next.client().port)
            }
            None => Text::value(outcome.name()),
        };
        vec![
            Cell::Count(u64::from(connection.client().port)),
            Cell::Text(Text::value(interval.to_string())),
            Cell::Text(Text::of(holder.name())),
            text(deltas.isn),
            text(deltas.tsval),
            Cell::Text(outcome_text),
            Cell::Text(Text::value(
                delay(*connection, *outcome, retries).map_or("–".to_owned(), |delay| delay.to_string()),
            )),
            Cell::Text(deltas.rule(*holder)),
        ]
    };
    Table {
        title: say!("Reuses, those with trouble first"),
        columns: words!(
            "port",
            "interval",
            "TIME-WAIT at",
            "ISN past old end",
            "TSval past old SYN's",
            "outcome",
            "connect took",
            "because",
        )
        .map(Text::of)
        .to_vec(),
        rows: picked.into_iter().map(row).collect(),
    }
}

/// The items with the least keys, in order of these; of items with one key, the first ones.
fn least<T, K: Ord + Copy>(items: &[T], most: usize, key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut kept: Vec<(K, &T)> = Vec::with_capacity(most + 1);
    for item in items {
        let key = key(item);
        if kept.len() < most || kept.last().is_some_and(|(worst, _)| key < *worst) {
            kept.insert(kept.partition_point(|(other, _)| *other <= key), (key, item));
            kept.truncate(most);
        }
    }
    kept.into_iter().map(|(_, item)| item).collect()
}

/// How far the new incarnation's numbers are past the old one's.
struct Deltas {
    /// New ISN past the old end's next number.
    isn: Option<i32>,
    /// New TSval past the newest known of the old incarnation.
    tsval: Option<i32>,
}

impl Deltas {
    fn of(connection: Connection<'_>) -> Self {
        let previous = connection.previous();
        let isn =
            connection.first_syn().zip(previous).map(|(syn, old)| syn.isn.ahead_of(old.next_sequence(Side::Client)));
        let newest = previous.and_then(|old| {
            // What the server learnt where it closed first; else the old SYN's own.
            let mut learnt =
                old.learnt().into_iter().flatten().filter(|learnt| learnt.side == Side::Server).map(|l| l.tsval);
            learnt.next_back().or(old.syn_tsval())
        });
        let tsval = connection.syn_tsval().zip(newest).map(|(new, old)| new.ahead_of(old));
        Self { isn, tsval }
    }

    /// What let the holder of TIME-WAIT accept the SYN, or refuse it (RFC 9293 section 3.10.7.4, RFC 6191).
    fn rule(&self, holder: Who) -> Text {
        if holder == Who::Client {
            return say!("the client gave up its own TIME-WAIT (tcp_tw_reuse or bind); the server held none");
        }
        match (self.tsval, self.isn) {
            (Some(tsval), _) if tsval > 0 => say!("newer timestamp: accepted (RFC 6191)"),
            (Some(tsval), _) if tsval < 0 => say!("older timestamp: refused by PAWS (RFC 7323 section 5.3)"),
            (_, Some(isn)) if isn > 0 => say!("higher ISN: accepted (RFC 9293 section 3.10.7.4)"),
            (_, Some(_)) => say!("ISN not higher, timestamp not newer: challenge ACK (RFC 9293 section 3.10.7.4)"),
            _ => say!("old numbers not captured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_are_those_that_a_stable_sort_puts_first() {
        let items: Vec<(u32, u32)> = (0..200_u32).map(|n| (n.wrapping_mul(2_654_435_761) % 13, n)).collect();
        let mut sorted: Vec<&(u32, u32)> = items.iter().collect();
        sorted.sort_by_key(|item| item.0);
        sorted.truncate(40);
        assert_eq!(least(&items, 40, |item| item.0), sorted);
    }
}
