//! STALL001: echo replies released together: a host stood still, the network was not slow.
//!
//! RFC 792 and RFC 4443 section 4 (echo). Each series is read twice: the round trips show what was held behind the
//! capture point, the requests against their own schedule what was held before it. Series of one pair of addresses that
//! show the same moments tell of the same stalls.

mod hold;
mod place;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) use hold::{Hold, PairStalls, Way, pairs};

use super::finding::plural;
use super::stall::{self, Look};
use super::{Case, Cell, Confidence, Exhibit, Finding, NotJudged, Rule, Severity, Subject, Table, Verdict, number};
use crate::time::{Span, Time};

pub(super) static RULE: Rule =
    Rule { code: "STALL001", name: "host-stall", explanation: include_str!("host_stall.md"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let pairs = case.stalls();
    let found = pairs.iter().filter(|pair| !pair.holds.is_empty()).map(|pair| finding(case, pair, pairs)).collect();
    Verdict { found, not_judged: not_judged(pairs) }
}

fn finding(case: &Case<'_>, pair: &PairStalls, all: &[PairStalls]) -> Finding {
    let (client, server) = (pair.client, pair.server);
    let subject = Subject { client_ip: Some(client), server_ip: Some(server), server_port: None, host: None };
    let placed = place::place(case, pair, all);
    let confidence = if sure(pair) { Confidence::High } else { Confidence::Medium };
    let mut finding = RULE.finding(Severity::Warning, confidence, subject, Some(pair.point));
    let stalls = pair.holds.len() as u64;
    let longest = pair.holds.iter().map(|hold| hold.length).max().unwrap_or_default();
    let stalled = Span(pair.holds.iter().map(|hold| hold.length.0).fold(0, i64::saturating_add));
    finding.title =
        format!("{} between {client} and {server}, the longest {longest}: a host stood still", plural(stalls, "stall"));
    finding.summary = summary(pair, stalled, longest);
    finding.summary.push_str(&placed.verdict);
    finding.metric("stalls", number(stalls));
    finding.metric("stalled_ms", rounded(stalled));
    finding.metric("longest_ms", rounded(longest));
    finding.metric("held", number(sum(pair, |hold| hold.held)));
    finding.metric("late", number(sum(pair, |hold| hold.held.saturating_add(hold.stragglers))));
    finding.metric("lost", number(sum(pair, |hold| hold.lost)));
    finding.metric("tail_drops", number(pair.holds.iter().filter(|hold| hold.tail_drop).count() as u64));
    if let Some(share) = share(pair, stalled) {
        finding.metric("share_percent", share);
    }
    let releases: Vec<Time> = pair.holds.iter().map(|hold| hold.release.0).collect();
    let period = stall::period(&releases);
    if let Some(period) = period {
        finding.metric("period_s", period.secs());
    }
    finding.tables.push(table(pair));
    finding.exhibit_all(exhibits(case, pair));
    finding.first_time = pair.holds.first().map(|hold| hold.start);
    finding.last_time = pair.holds.iter().map(|hold| hold.release.1).max();
    (finding.selector.from, finding.selector.until) = (finding.first_time, finding.last_time);
    let kind = if client.is_ipv4() { "icmp.type==8 || icmp.type==0" } else { "icmpv6.type==128 || icmpv6.type==129" };
    finding.display_filter = format!("{} && ({kind})", finding.display_filter);
    rule_out(&mut finding, pair);
    advise(&mut finding, pair, &placed, period);
    finding.references = ["RFC 792", "RFC 4443 section 4", "ping(8)"].map(str::to_owned).to_vec();
    finding
}

/// Three treads once may be a radio link; many, or several times, are not chance and not one frame repeated.
fn sure(pair: &PairStalls) -> bool {
    pair.holds.len() > 1 || pair.holds.iter().any(|hold| hold.held >= 5)
}

fn sum(pair: &PairStalls, of: impl Fn(&Hold) -> usize) -> u64 {
    pair.holds.iter().map(of).fold(0, |sum, value| sum.saturating_add(value as u64))
}

/// Milliseconds with one digit: more would claim to be known.
fn rounded(span: Span) -> f64 {
    (span.millis() * 10.0).round() / 10.0
}

/// Percent of the time watched, with one digit.
fn share(pair: &PairStalls, stalled: Span) -> Option<f64> {
    (pair.watched > Span::ZERO).then(|| (stalled.secs() / pair.watched.secs() * 1000.0).round() / 10.0)
}

fn summary(pair: &PairStalls, stalled: Span, longest: Span) -> String {
    let held = sum(pair, |hold| hold.held);
    let lost = sum(pair, |hold| hold.lost);
    let ways = |way: Way| pair.holds.iter().any(|hold| hold.has(way));
    let what = match (ways(Way::Replies), ways(Way::Requests)) {
        (true, true) => "requests and replies",
        (false, true) => "requests",
        _ => "replies",
    };
    let share = share(pair, stalled).map_or_else(String::new, |share| format!(", {share} % of the time watched"));
    let fate = match lost {
        0 => "none of those sent meanwhile was lost".to_owned(),
        _ => format!("{} sent meanwhile never answered", plural(lost, "request")),
    };
    format!(
        "{held} {what} waited for the same moments and came at once; {fate}. Together the stalls take {stalled}{share}; the longest lasted {longest}. Each time fell by just the sending interval from one probe to the next, so they were not queued in the network: something that handles them did nothing meanwhile. ",
    )
}

fn table(pair: &PairStalls) -> Table {
    let row = |hold: &Hold| {
        vec![
            Cell::Text(hold.start.rfc3339()),
            Cell::Text(hold.release.0.rfc3339()),
            Cell::Number(rounded(hold.length)),
            Cell::Number(rounded(hold.lasted.0)),
            Cell::Number(rounded(hold.lasted.1)),
            Cell::Text(hold.words().to_owned()),
            Cell::Count(hold.held as u64),
            Cell::Count(hold.lost as u64),
            Cell::Text(if hold.tail_drop { "yes" } else { "no" }.to_owned()),
            Cell::Count(hold.series as u64),
        ]
    };
    let columns = [
        "start",
        "release",
        "length, ms",
        "at least, ms",
        "at most, ms",
        "held",
        "probes held",
        "lost",
        "tail drop",
        "echo series",
    ];
    Table {
        title: "Stalls".to_owned(),
        columns: columns.map(str::to_owned).to_vec(),
        rows: pair.holds.iter().map(row).collect(),
    }
}

fn exhibits(case: &Case<'_>, pair: &PairStalls) -> Vec<Exhibit> {
    let proofs = pair.holds.iter().flat_map(|hold| &hold.proof);
    proofs.map(|proof| case.exhibit(pair.point, proof.frame, proof.at, proof.text.clone())).collect()
}

fn rule_out(finding: &mut Finding, pair: &PairStalls) {
    let steepest = pair.holds.iter().map(|hold| hold.slope).fold(0.0, f64::min);
    finding.rule_out(
        "a slow or congested path (bufferbloat)",
        format!("times jumped from normal and fell with slope {steepest:.2} of time over sending time; a queue rises over many probes and its replies stay apart"),
    );
    finding.rule_out("packet loss", "the probes were answered, only late and together");
    finding.rule_out("jitter", "late replies without a common cause do not arrive together, in order, after silence");
    finding.rule_out("a stopped ping process", "requests went on being sent during the stalls");
    for look in &pair.looks {
        finding.rule_out("seen beside the stalls", look.to_string());
    }
}

fn advise(finding: &mut Finding, pair: &PairStalls, placed: &place::Placed, period: Option<Span>) {
    let (client, server) = (pair.client, pair.server);
    if let Some(period) = period {
        finding.advise(format!(
            "The stalls repeat every {:.1} s: look for a job or an agent with that period.",
            period.secs()
        ));
    }
    if !placed.settled {
        finding.advise_when(
            "which host stalled is open",
            format!("Record next: ping the gateway of {client} and {server} from {client} in the same seconds, ping {client} from {server}, and capture at both ends; give all of it to one run."),
        );
    }
    finding.advise("On the suspect: dmesg -T (soft lockup, rcu stall, hrtimer, clocksource), mpstat -P ALL 1 (steal, one CPU with all softirqs), /proc/slabinfo readers on old kernels (STALL002), and what ran at the moment of release.");
    finding.advise_when(
        "a radio link, a VPN over TCP or a virtual switch lies on the way",
        "These hold packets as well: check them before the hosts.",
    );
}

/// Pairs whose pings hint at a stall and cannot show it.
fn not_judged(pairs: &[PairStalls]) -> Vec<NotJudged> {
    let mut kinds: BTreeMap<u8, (String, u64)> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.holds.is_empty()) {
        for look in &pair.looks {
            let kind = match look {
                Look::SlowDrain(_) => 0,
                Look::Weak(_) => 1,
                Look::Serial => 2,
                _ => continue,
            };
            let first = || (format!("{} pings {}: {look}", pair.client, pair.server), 0);
            kinds.entry(kind).or_insert_with(first).1 += 1;
        }
    }
    let told = |(first, count): (String, u64)| {
        let more = if count > 1 { format!(" ({} more alike)", count.saturating_sub(1)) } else { String::new() };
        NotJudged {
            rule: RULE.code,
            because: format!("{first}{more}"),
            record_next: "ping -D -O with an interval of at most a quarter of the stall to look for (ping -i 0.1), while capturing at both ends.".to_owned(),
        }
    };
    kinds.into_values().map(told).collect()
}

/// The two addresses of a pair in one order.
pub(crate) fn unordered(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    if one <= other { (one, other) } else { (other, one) }
}
