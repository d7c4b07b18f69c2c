//! TW003: a client's ports towards one destination run out, or will.
//!
//! Linux counts ports for each destination (`__inet_check_established()`, net/ipv4/inet_hashtables.c) and holds one
//! for 60 s after the client's own close. The failure is not on the wire: `connect()` fails with EADDRNOTAVAIL and
//! no SYN leaves. What the capture shows is a range that has been gone round and is held whole, and then silence.

mod claimed;

use std::net::IpAddr;

use super::port_usage::{LEAST, PortUsage};
use super::{Case, Cell, Confidence, Finding, Rule, Severity, Subject, Table, Verdict, number};
use crate::connection::Socket;
use crate::evidence::groups::Ends;
use crate::evidence::holds::Hold;
use crate::language::{Text, pages, say, words};
use crate::time::{Span, Time};

pub(super) static RULE: Rule = Rule {
    code: "TW003",
    name: "ephemeral-ports-exhausting",
    explanation: pages!("ephemeral_ports_exhausting"),
    judge,
};

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All ports were held, and nothing more was opened until one came free.
    Exhausted,
    /// So many were held that a little more rate is too much.
    Near,
    /// At the rate seen they run out at this moment.
    Forecast(Time),
}

/// Of a range that was gone round, so many percent held are all of them.
const WHOLE: u64 = 98;
/// So many percent are near the end.
const NEAR: u64 = 80;
/// A forecast from fewer percent, or from a shorter time, is a guess.
const FORECAST: u64 = 20;
const FORECAST_FROM: Span = Span::from_secs(10);
/// A pause is one that lasts so many times the usual interval, and a second.
const PAUSE_TIMES: f64 = 10.0;
const PAUSE: Span = Span::from_secs(1);

fn judge(case: &Case<'_>) -> Verdict {
    let mut found: Vec<Finding> = Vec::new();
    for usage in &case.occupancy().usages {
        let Some(stage) = stage(case, usage) else { continue };
        found.push(finding(case, usage, stage, serves(case, usage.ends.client)));
    }
    found.extend(claimed::findings(case, &found));
    let not_judged = claimed::not_judged(case, &found);
    Verdict { found, not_judged }
}

/// How near a client is to the end of its ports towards one destination; `None` where it is not.
pub fn stage(case: &Case<'_>, usage: &PortUsage) -> Option<Stage> {
    if usage.connections < LEAST {
        return None;
    }
    let end = case.evidence.end_of(usage.ends.point);
    let ((limit, known), (at, most)) = (usage.limit(), usage.peak);
    // Ports that the client takes again early (tcp_tw_reuse) do not run out.
    if usage.recycled * 20 > usage.connections as u64 {
        return None;
    }
    let pause = usage.pause(end);
    let paused = pause >= PAUSE && pause.secs() * usage.rate >= PAUSE_TIMES;
    if known && limit >= LEAST as u64 && most * 100 >= limit * WHOLE && paused {
        return Some(Stage::Exhausted);
    }
    if most * 100 >= limit * NEAR {
        return Some(Stage::Near);
    }
    let lasted = usage.last.from.since(usage.first.from);
    let goes_on = end.since(usage.last.from).secs() * usage.rate < PAUSE_TIMES;
    let held_by_time_wait = usage.time_waits * 2 > usage.connections as u64;
    let ceiling = ceiling(limit, case.two_msl());
    let short = lasted < case.two_msl();
    if short && lasted >= FORECAST_FROM && goes_on && held_by_time_wait && most * 100 >= limit * FORECAST {
        let left = limit.saturating_sub(most);
        let rate = usage.latest_rate(usage.last.from);
        if rate > ceiling {
            let forecast = at.plus(Span::from_secs_f64(number(left) / rate));
            return Some(Stage::Forecast(forecast));
        }
    }
    None
}

/// New connections a second that the ports allow for ever.
fn ceiling(limit: u64, two_msl: Span) -> f64 {
    number(limit) / two_msl.secs().max(1.0)
}

/// Whether a host accepts connections of others, too.
fn serves(case: &Case<'_>, host: IpAddr) -> bool {
    let services = &case.evidence.tally.services;
    services.iter().any(|(ends, counts)| ends.server.ip == host && ends.client != host && counts.opened > 0)
}

fn finding(case: &Case<'_>, usage: &PortUsage, stage: Stage, serves: bool) -> Finding {
    let Ends { point, client, server } = usage.ends;
    let ((limit, known), (at, most)) = (usage.limit(), usage.peak);
    let ceiling = ceiling(limit, case.two_msl());
    let (severity, confidence) = match stage {
        Stage::Exhausted => (Severity::Critical, Confidence::High),
        Stage::Near => (Severity::Warning, if known { Confidence::High } else { Confidence::Medium }),
        Stage::Forecast(_) => (Severity::Warning, Confidence::Low),
    };
    let subject =
        Subject { client_ip: Some(client), server_ip: Some(server.ip), server_port: Some(server.port), host: None };
    let mut finding = RULE.finding(severity, confidence, subject, Some(point));
    let after = at.since(usage.first.from);
    finding.title = match stage {
        Stage::Exhausted => say!(
            "{client} has no port left towards {server}: all {most} are held {after} after its first connection",
            client,
            server,
            most,
            after
        ),
        Stage::Near => say!("{client} holds {most} of {limit} ports towards {server}", client, most, limit, server),
        Stage::Forecast(moment) => {
            say!(
                "{client} will run out of ports towards {server} {at} after the capture's peak",
                client,
                server,
                at = moment.since(at)
            )
        }
    };
    finding.summary = summary(usage, stage, ceiling);
    if serves {
        finding.summary.add(say!("{client} is a server as well: it accepts connections on one side and opens them to {server} on the other, as a proxy does.", client, server));
    }
    finding.metric("ports_peak", number(most));
    finding.metric("ports_limit", number(limit));
    finding.metric("ports_distinct", number(usage.distinct));
    finding.metric("rate_per_s", usage.rate);
    finding.metric("ceiling_per_s", ceiling);
    finding.metric("time_waits", number(usage.time_waits));
    finding.metric("peak_after_s", after.secs());
    match stage {
        Stage::Exhausted => {
            finding.metric("exhausted_after_s", after.secs());
            finding.metric("silent_s", usage.pause(case.evidence.end_of(point)).secs());
        }
        Stage::Forecast(moment) => finding.metric("exhausted_in_s", moment.since(at).secs()),
        Stage::Near => {}
    }
    finding.tables.push(upstreams(case, usage));
    finding.exhibit_all(exhibits(case, usage, stage));
    if stage == Stage::Exhausted {
        let because = say!(
            "no SYN leaves in {point}, instead of leaving and staying unanswered",
            point = usage.pause(case.evidence.end_of(point))
        );
        finding.rule_out(say!("SYNs dropped on the way or by the server"), because);
    }
    finding.rule_out(
        say!("the server's TIME-WAITs"),
        say!("these ports are held by the client, which closed first; on a server port TIME-WAITs use none up"),
    );
    advise(&mut finding, server, serves);
    finding.references = [
        "Linux net/ipv4/inet_hashtables.c: __inet_hash_connect()",
        "connect(2): EADDRNOTAVAIL",
        "RFC 9293 section 3.6.1",
    ]
    .map(str::to_owned)
    .to_vec();
    finding
}

fn summary(usage: &PortUsage, stage: Stage, ceiling: f64) -> Text {
    let ((limit, known), (_, most)) = (usage.limit(), usage.peak);
    let range = usage.range_text();
    let whose = if known {
        say!("the range it goes round in")
    } else {
        say!("taken as its range, which the capture does not show")
    };
    let what = say!(
        "{client} opens {rate} connections a second to {server} and closes first, so that each port is held for the 60 s of TIME-WAIT. It used {distinct} ports ({range}); {limit} is {whose}. {limit} ports allow {ceiling} connections a second.",
        client = usage.ends.client,
        rate = format!("{:.0}", usage.rate),
        server = usage.ends.server,
        distinct = usage.distinct,
        range,
        limit,
        whose,
        ceiling = format!("{ceiling:.0}")
    );
    let then = match (stage, usage.after_peak) {
        (Stage::Exhausted, Some(next)) => say!(
            "When {most} were held nothing more was opened for {peak}, until a port was free again: connect() fails with EADDRNOTAVAIL and sends no SYN.",
            most,
            peak = next.from.since(usage.peak.0)
        ),
        (Stage::Exhausted, None) => {
            say!(
                "When {most} were held nothing more was opened until the capture ended: connect() fails with EADDRNOTAVAIL and sends no SYN.",
                most
            )
        }
        (Stage::Near, _) => say!("A little more rate and connect() fails with EADDRNOTAVAIL."),
        (Stage::Forecast(moment), _) => {
            say!("The capture is too short to show a balance; at this rate the last port is taken at {moment}.", moment)
        }
    };
    what.then(then)
}

fn exhibits(case: &Case<'_>, usage: &PortUsage, stage: Stage) -> Vec<super::Exhibit> {
    let most = usage.peak.1;
    let mut shown =
        vec![(usage.first, say!("the first SYN")), (usage.at_peak, say!("the SYN that makes {most} ports held", most))];
    if let (Stage::Exhausted, Some(next)) = (stage, usage.after_peak) {
        shown.push((
            next,
            say!(
                "the next SYN, {peak} later, from port {port}",
                peak = next.from.since(usage.peak.0),
                port = next.port
            ),
        ));
    }
    let exhibit = |(hold, text): (Hold, Text)| {
        let (frame, at) = case.connection(hold.connection)?.first();
        Some(case.exhibit(usage.ends.point, frame, at, text))
    };
    shown.into_iter().filter_map(exhibit).collect()
}

/// Every destination of the client, with its ports and TIME-WAITs.
fn upstreams(case: &Case<'_>, of: &PortUsage) -> Table {
    let same = |usage: &&PortUsage| usage.ends.point == of.ends.point && usage.ends.client == of.ends.client;
    let mut usages: Vec<&PortUsage> = case.occupancy().usages.iter().filter(same).collect();
    usages.sort_by_key(|usage| std::cmp::Reverse(usage.connections));
    let row = |usage: &&PortUsage| {
        vec![
            Cell::Text(Text::value(usage.ends.server.to_string())),
            Cell::Count(usage.connections as u64),
            Cell::Count(usage.peak.1),
            Cell::Count(usage.time_waits),
        ]
    };
    Table {
        title: say!("Destinations of {client}", client = of.ends.client),
        columns: words!("destination", "connections", "most ports held", "left TIME-WAIT here").map(Text::of).to_vec(),
        rows: usages.iter().take(10).map(row).collect(),
    }
}

fn advise(finding: &mut Finding, server: Socket, serves: bool) {
    finding
        .advise(say!("Reuse connections to {server}: keep-alive or a pool. It is the only cure that scales.", server));
    if serves {
        finding.advise_when(say!("for a proxy in front of it (nginx to php-fpm, a reverse proxy to Java or a container)"), say!("keep connections to the upstream open (in nginx `keepalive` in the upstream block); an upstream on the same host is better reached by a unix socket, which has no ports; over loopback, several addresses of 127.0.0.0/8 multiply them"));
    }
    finding.advise(say!(
        "More destinations (addresses or ports of the server), or more source addresses: ports are counted for each."
    ));
    finding.advise(say!("A wider net.ipv4.ip_local_port_range, with the listeners in ip_local_reserved_ports."));
    finding.advise_when(
        say!("on this client only, with timestamps on both ends"),
        say!("net.ipv4.tcp_tw_reuse=1: a port in TIME-WAIT is taken again after a second; it does nothing on a server"),
    );
    finding.advise(say!(
        "Leave {value} alone: it gives the protection of TIME-WAIT up and frees no port in time.",
        value = say!("tcp_max_tw_buckets and tcp_fin_timeout")
    ));
}
