//! STALL001: echo replies released together: a host stood still, the network was not slow.
//!
//! RFC 792 and RFC 4443 section 4 (echo). Each series is read twice: the round trips show what was held behind the
//! capture point, the requests against their own schedule what was held before it. Series of one pair of addresses that
//! show the same moments tell of the same stalls. Logs of ping are series as well, read as far as they go: numbers, round
//! trips, and with `-D` times.

mod hold;
mod logs;
mod place;
mod tcp;
mod tell;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) use hold::{PairStalls, pairs};
pub(crate) use logs::{LogStalls, logs};

use self::place::Pings;
use self::tell::Told;
use super::stall::Look;
use super::{Case, Finding, NotJudged, Rule, Subject, Verdict};
use crate::language::{Said, Text, pages, say};
use crate::snapshot::PingTool;

pub(super) static RULE: Rule = Rule { code: "STALL001", name: "host-stall", explanation: pages!("host_stall"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let (pairs, logs) = (case.stalls(), case.ping_logs());
    let captured = pairs.iter().filter(|pair| !pair.holds.is_empty()).map(|pair| of_pair(case, pair));
    let logged = logs.iter().filter(|log| !log.holds.is_empty() && !log.told_by(pairs)).map(|log| of_log(case, log));
    let tcp = tcp_findings(case);
    let found = captured.chain(logged).chain(tcp).collect();
    Verdict { found, not_judged: not_judged(pairs, logs) }
}

fn of_pair(case: &Case<'_>, pair: &PairStalls) -> Finding {
    let (client, server) = (pair.client, pair.server);
    let subject = Subject { client_ip: Some(client), server_ip: Some(server), server_port: None, host: None };
    let told = Told {
        holds: &pair.holds,
        looks: &pair.looks,
        watched: pair.watched,
        dated: true,
        names: (client.said(), server.said()),
    };
    let mut finding = told.finding(case, &RULE, subject, Some(pair.point), place::place(case, Pings::Captured(pair)));
    let kind = if client.is_ipv4() { "icmp.type==8 || icmp.type==0" } else { "icmpv6.type==128 || icmpv6.type==129" };
    finding.display_filter = format!("{} && ({kind})", finding.display_filter);
    for view in [case.host_at(client), case.host_at(server)].into_iter().flatten() {
        tell::add_signs(&mut finding, view, &pair.holds, true);
    }
    for log in case.ping_logs().iter().filter(|log| !log.holds.is_empty() && log.is_of(pair)) {
        let agree =
            log.holds.iter().filter(|hold| pair.holds.iter().any(|t| t.meets(hold.start, hold.release.0))).count();
        finding.summary.add(say!(
            "The log of the same pings ({inputs}) shows {agree} of {holds}, too.",
            inputs = log.inputs(),
            agree,
            holds = if pair.holds.len() == 1 {
                say!("1 stall")
            } else {
                say!("these {holds} stalls", holds = pair.holds.len())
            }
        ));
        finding.exhibits_total = finding.exhibits_total.saturating_add(log.holds.len() as u64);
        let room = super::EXHIBITS_SHOWN.saturating_sub(finding.exhibits.len());
        finding
            .exhibits
            .extend(tell::exhibits(case, 0, log.holds.iter().filter(|hold| hold.length.0 > 0)).into_iter().take(room));
    }
    finding
}

fn of_log(case: &Case<'_>, log: &LogStalls) -> Finding {
    let view = case.evidence.hosts.get(log.host);
    let mut senders = log.senders.iter();
    let client_ip = senders.next().copied().filter(|_| senders.next().is_none());
    let own_name = view.and_then(|view| view.host.name()).map(|name| name.to_string());
    // Without any name the file says whose finding it is.
    let name = own_name.clone().map(Text::value).or_else(|| client_ip.map(|ip| ip.said()));
    let name = name.unwrap_or_else(|| say!("the host that wrote {inputs}", inputs = log.inputs()));
    let host = own_name.or_else(|| log.address.is_none().then(|| log.target.to_string()));
    let host = host.filter(|_| client_ip.is_none());
    let subject = Subject { client_ip, server_ip: log.address, server_port: None, host };
    let told = Told {
        holds: &log.holds,
        looks: &log.looks,
        watched: log.watched,
        dated: log.dated,
        names: (name, log.target.clone()),
    };
    let mut finding = told.finding(case, &RULE, subject, None, place::place(case, Pings::Logged(log)));
    finding.display_filter = String::new();
    let pinged = log.address.and_then(|address| case.host_at(address));
    for view in [view, pinged].into_iter().flatten() {
        tell::add_signs(&mut finding, view, &log.holds, log.dated);
    }
    if !log.dated {
        finding.advise(say!(
            "Use ping -D next time: without times a log cannot be laid beside other pings, captures or kernel messages."
        ));
    }
    finding
}

/// Stalls in TCP, by capture point and host.
fn tcp_findings(case: &Case<'_>) -> Vec<Finding> {
    let stalls = tcp::stalls(case);
    let hosts = stalls.chunk_by(|one, next| (one.point, one.host) == (next.point, next.host));
    hosts.map(|stalls| tell::tcp_finding(case, &RULE, stalls)).collect()
}

/// Pings that hint at a stall and cannot show it.
fn not_judged(pairs: &[PairStalls], logs: &[LogStalls]) -> Vec<NotJudged> {
    let mut kinds: BTreeMap<u8, (Text, u64)> = BTreeMap::new();
    let mut add = |kind: u8, words: Text| kinds.entry(kind).or_insert_with(|| (words, 0)).1 += 1;
    let of_pairs = pairs.iter().filter(|pair| pair.holds.is_empty());
    let of_pairs =
        of_pairs.map(|pair| (say!("{client} pings {server}", client = pair.client, server = pair.server), &pair.looks));
    let of_logs = logs.iter().filter(|log| log.holds.is_empty() && !pairs.iter().any(|pair| log.is_of(pair)));
    let of_logs = of_logs
        .map(|log| (say!("{inputs} (pings of {target})", inputs = log.inputs(), target = log.target), &log.looks));
    for (who, looks) in of_pairs.chain(of_logs) {
        for look in looks {
            let kind = match look {
                Look::SlowDrain(_) => 0,
                Look::Weak(_) => 1,
                Look::Serial => 2,
                _ => continue,
            };
            add(kind, say!("{who}: {look}", who, look));
        }
    }
    for log in logs {
        for one in log.logs.iter().filter(|one| one.probes.is_empty()) {
            let Some((longest, usual)) = one.spikes.filter(|(longest, usual)| is_spike(*longest, *usual)) else {
                continue;
            };
            let why = match one.tool {
                PingTool::Windows => {
                    say!(
                        "ping of Windows sends a probe after the answer to the one before, so a stall shows as one late answer"
                    )
                }
                _ => say!("its probes have no numbers"),
            };
            add(
                3,
                say!(
                    "{inputs} (pings of {target}): {why}; the longest took {longest}, half of them {usual}",
                    inputs = log.inputs(),
                    target = log.target,
                    why,
                    longest,
                    usual
                ),
            );
        }
    }
    let told = |(first, count): (Text, u64)| {
        let more =
            if count > 1 { say!(" ({count} more alike)", count = count.saturating_sub(1)) } else { Text::default() };
        NotJudged {
            rule: RULE.code,
            because: say!("{first}{more}", first, more),
            record_next: say!(
                "ping -D -O with an interval of at most a quarter of the stall to look for (ping -i 0.1), while capturing at both ends."
            ),
        }
    };
    kinds.into_values().map(told).collect()
}

/// Long by itself, and against what is usual.
fn is_spike(longest: crate::time::Span, usual: crate::time::Span) -> bool {
    longest > crate::time::Span::from_millis(200) && longest.0 > usual.0.saturating_mul(4)
}

/// The two addresses of a pair in one order.
pub(crate) fn unordered(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    if one <= other { (one, other) } else { (other, one) }
}
