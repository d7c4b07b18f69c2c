//! TW002: a host's TIME-WAITs reach its limit, or come near it.
//!
//! `inet_twsk_alloc()` in net/ipv4/inet_timewait_sock.c: at `tcp_max_tw_buckets` a close leaves no TIME-WAIT. The
//! wire shows it only where the peer closes later: FIN-WAIT-2 of an orphan needs a bucket as well (`tcp_time_wait()`,
//! net/ipv4/tcp_minisocks.c), so that the peer's FIN finds no socket and draws a RST.

mod claimed;

use std::net::IpAddr;

use hashbrown::HashMap;

use super::host_limits::{Limits, Told, line};
use super::{Case, Cell, Confidence, Exhibit, Finding, NotJudged, Rule, Severity, Subject, Table, Verdict, number};
use crate::connection::{Close, Connection, ResetCause, Side, Who};
use crate::evidence::holds::{Held, Peak, Steps, TimeWaits};
use crate::language::{Text, pages, plural, say, words};
use crate::snapshot::Source;
use crate::time::{Span, Time};

pub(super) static RULE: Rule =
    Rule { code: "TW002", name: "time-wait-pressure", explanation: pages!("time_wait_pressure"), judge };

/// The TIME-WAITs of one host.
#[derive(Clone, Debug)]
pub struct Population {
    /// The number of the capture point.
    pub point: u16,
    /// Its address; behind NAT, all hosts' with this address.
    pub host: IpAddr,
    /// Closes that left a TIME-WAIT there.
    pub closes: u64,
    /// How many it held over time, in as many steps as a chart has room for; of hosts with most, and where the table
    /// overflowed.
    pub held: Steps,
    /// How many it held at moments that are evenly spread over the capture; of hosts with most.
    pub samples: Steps,
    /// Most at one moment of the capture, and the first such moment.
    pub peak: (Time, u64),
    /// What an overflowing table looks like on the wire.
    pub overflow: Option<Overflow>,
}

/// An overflowing table, as the wire shows it.
#[derive(Clone, Debug)]
pub struct Overflow {
    /// FINs that were answered by RST.
    pub fins_reset: Vec<(u64, Time)>,
    /// TIME-WAITs held when the first of them came.
    pub limit: u64,
    /// Closes that left no TIME-WAIT, if that was the limit.
    pub overflowed: u64,
    /// When the table was full for the first time, and when a FIN was answered by RST for the last time.
    pub span: (Time, Time),
}

/// A host that held so many, with a limit that nobody told, is named as not judged.
const UNJUDGED: u64 = 4096;
/// Fewer FINs answered by RST may have other reasons.
const SIGNS: usize = 5;
/// Orphans wait in FIN-WAIT-2 for `tcp_fin_timeout`, seldom less than this; a later RST is its work (FW002).
const FIN_TIMEOUT: Span = Span::from_secs(2);
/// Of closes whose FIN was acknowledged alone, so many percent are reset while the table is full.
const NEARLY_ALL: u64 = 80;

/// All hosts that held TIME-WAITs, most first.
pub(super) fn populations(case: &Case<'_>, time_waits: Vec<TimeWaits>) -> Vec<Population> {
    let signs = signs(case);
    let counted = case.evidence.workers.map(&time_waits, |_, TimeWaits { point, host, held: wanted }| {
        let overflow = signs.get(&(*point, *host)).and_then(|signs| overflow(signs, wanted, case.two_msl()));
        let highest = wanted.peak(case.evidence.end_of(*point))?;
        let peak = match &overflow {
            // Where the table was full, the peak is the moment at which it first was.
            Some(overflow) if overflow.limit < highest.most => {
                wanted.steps().find(|(_, value)| *value >= overflow.limit).map(|(at, _)| (at, overflow.limit))
            }
            _ => Some((highest.at, highest.most)),
        };
        Some((peak?, highest, overflow))
    });
    let with_counts = time_waits.into_iter().zip(counted);
    let mut found: Vec<(Population, Held, Peak)> = with_counts
        .filter_map(|(TimeWaits { point, host, held: wanted }, counted)| {
            let (peak, highest, overflow) = counted?;
            let closes = wanted.count() as u64;
            let (held, samples) = Default::default();
            Some((Population { point, host, closes, held, samples, peak, overflow }, wanted, highest))
        })
        .collect();
    // Hosts come by address, and the sort is stable.
    found.sort_by_key(|(population, ..)| std::cmp::Reverse(population.peak.1));
    // What was held at each moment takes 16 octets a TIME-WAIT: only what is shown is kept.
    let mut shown: Vec<(usize, &mut (Population, Held, Peak))> = found.iter_mut().enumerate().collect();
    case.evidence.workers.each(&mut shown, |(rank, (population, wanted, highest))| {
        let (start, end) = case.span_of(population.point);
        let limit = population.overflow.as_ref().map_or(u64::MAX, |overflow| overflow.limit);
        if *rank < SHOWN || population.overflow.is_some() {
            let held = wanted.thinned(end, highest, POINTS);
            population.held = held.into_iter().map(|(at, held)| (at, held.min(limit))).collect();
        }
        if *rank < SHOWN {
            let step = (end.since(start).0 / SAMPLES).max(1);
            let moments = (0..=SAMPLES).map(|n| start.plus(Span(step.saturating_mul(n)))).take_while(|at| *at <= end);
            population.samples = moments.map(|at| (at, wanted.value_at(at).min(limit))).collect();
        }
    });
    found.into_iter().map(|(population, ..)| population).collect()
}

/// Hosts with most of which it is kept how many they held over time.
const SHOWN: usize = 20;
/// Moments of a host's samples, beside the first.
const SAMPLES: i64 = 120;
/// Steps that a chart has room for.
const POINTS: usize = 2000;

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut unjudged: Option<&Population> = None;
    for population in case.populations() {
        let told = Limits::of(case, population.host);
        let limits = told.as_ref().map(Claimed::of);
        if let Some(pressure) = Pressure::of(population, limits.as_ref()) {
            verdict.found.push(finding(case, population, &pressure, limits.as_ref()));
        } else if limits.is_none_or(|limits| limits.limit.is_none()) && population.peak.1 >= UNJUDGED {
            unjudged = unjudged.or(Some(population));
        }
    }
    let claimed = claimed::findings(case, &verdict.found);
    verdict.found.extend(claimed);
    if let Some(population) = unjudged {
        verdict.not_judged.push(NotJudged {
            rule: RULE.code,
            because: say!(
                "{host} held up to {peak} TIME-WAITs, and nothing tells its limit; below it they are harmless",
                host = population.host,
                peak = population.peak.1
            ),
            record_next: say!("sysctl net.ipv4.tcp_max_tw_buckets; nstat -az TcpExtTCPTimeWaitOverflow"),
        });
    }
    verdict
}

/// What the host says of its limit.
struct Claimed {
    name: String,
    limit: Option<(u64, Source)>,
    overflow: Option<Told>,
}

impl Claimed {
    fn of(limits: &Limits<'_>) -> Self {
        let overflow = limits.overflow().filter(|told| told.value > 0);
        Self { name: limits.name().to_owned(), limit: limits.time_waits(), overflow }
    }
}

/// How near a host is to its limit.
struct Pressure {
    limit: u64,
    /// Closes that left no TIME-WAIT.
    overflowed: u64,
    confidence: Confidence,
}

/// So many percent of the limit are near it.
const NEAR: u64 = 80;

impl Pressure {
    fn of(population: &Population, claimed: Option<&Claimed>) -> Option<Self> {
        let told = claimed.and_then(|claimed| claimed.limit).map(|(limit, _)| limit).filter(|limit| *limit > 0);
        let counted = claimed.and_then(|claimed| claimed.overflow).filter(|told| told.grew).map(|told| told.value);
        if let Some(wire) = &population.overflow {
            // The first moment may lie behind the first overflow: the counter then misses some, never adds any.
            let overflowed = counted.unwrap_or(0).max(wire.overflowed);
            return Some(Self { limit: told.unwrap_or(wire.limit), overflowed, confidence: Confidence::High });
        }
        // Closes by the wire alone: the capture may begin after some, or miss other services of the host.
        let wanted = population.peak.1;
        let limit = told?;
        if let Some(overflowed) = counted {
            return Some(Self { limit, overflowed, confidence: Confidence::High });
        }
        let near = wanted.saturating_mul(100) >= limit.saturating_mul(NEAR);
        near.then(|| Self { limit, overflowed: wanted.saturating_sub(limit), confidence: Confidence::Medium })
    }
}

/// How a host's closes went whose FIN was acknowledged before the peer sent its own.
#[derive(Default)]
struct Signs {
    /// The peer's FIN was answered by RST: frame, when, and when the FIN was acknowledged.
    reset: Vec<(u64, Time, Time)>,
    /// The peer's FIN was acknowledged: when it came.
    orderly: Vec<Time>,
}

/// FINs that found no socket soon after the own FIN had been acknowledged; and for hosts that have such, what
/// became of their other closes.
fn signs(case: &Case<'_>) -> HashMap<(u16, IpAddr), Signs> {
    let mut signs: HashMap<(u16, IpAddr), Signs> = HashMap::new();
    for reset in case.evidence.shards.iter().flat_map(|shard| shard.resets()) {
        if reset.cause != ResetCause::FinAfterClose {
            continue;
        }
        let connection = reset.connection;
        let Some(acked) = connection.endpoint(reset.by).fin_acked else { continue };
        if reset.at.since(acked) < FIN_TIMEOUT {
            let key = (connection.point(), connection.socket(reset.by).ip);
            signs.entry(key).or_default().reset.push((reset.frame, reset.at, acked));
        }
    }
    signs.retain(|_, signs| signs.reset.len() >= SIGNS);
    if signs.is_empty() {
        return signs;
    }
    let orderly = case.evidence.workers.map(&case.evidence.shards, |_, shard| {
        let known = shard.connections().filter_map(|connection| {
            let (side, at) = alone(connection)?;
            let key = (connection.point(), connection.socket(side).ip);
            signs.contains_key(&key).then_some((key, at))
        });
        known.collect::<Vec<_>>()
    });
    for (key, at) in orderly.into_iter().flatten() {
        if let Some(signs) = signs.get_mut(&key) {
            signs.orderly.push(at);
        }
    }
    for signs in signs.values_mut() {
        signs.reset.sort_unstable_by_key(|(_, at, _)| *at);
        signs.orderly.sort_unstable();
    }
    signs
}

/// An orderly close whose first FIN was acknowledged before the second came: who closed first, and when the second came.
fn alone(connection: Connection<'_>) -> Option<(Side, Time)> {
    let side = match connection.time_wait_side() {
        Who::Client => Side::Client,
        Who::Server => Side::Server,
        Who::None | Who::Both => return None,
    };
    let second = connection.endpoint(side.other()).first_fin?;
    let acked = connection.endpoint(side).fin_acked?;
    (connection.close() == Close::Fin && acked < second).then_some((side, second))
}

/// The table overflowed if such closes went well until it held a number of TIME-WAITs, and nearly none did after.
fn overflow(signs: &Signs, wanted: &Held, lasts: Span) -> Option<Overflow> {
    let (first, last) = (signs.reset.first()?.1, signs.reset.last()?.1);
    let full_from = signs.reset.iter().map(|(_, _, acked)| *acked).min()?;
    let before = signs.orderly.partition_point(|at| *at < first);
    let among = signs.orderly.partition_point(|at| *at <= last).saturating_sub(before) as u64;
    let resets = signs.reset.len() as u64;
    if before < SIGNS || resets * 100 < (resets + among) * NEARLY_ALL {
        return None;
    }
    let limit = wanted.value_at(full_from);
    // A bucket is taken when the FIN is acknowledged: those that got one are gone after TIME-WAIT, and the others
    // never had one.
    let mut kept: std::collections::VecDeque<Time> = std::collections::VecDeque::new();
    let mut overflowed = resets;
    for &start in wanted.begins() {
        while kept.front().is_some_and(|oldest| start.since(*oldest) >= lasts) {
            kept.pop_front();
        }
        if kept.len() as u64 >= limit && start >= full_from {
            overflowed += 1;
        } else {
            kept.push_back(start);
        }
    }
    let fins_reset = signs.reset.iter().map(|(frame, at, _)| (*frame, *at)).collect();
    Some(Overflow { fins_reset, limit, overflowed, span: (full_from, last) })
}

fn finding(case: &Case<'_>, population: &Population, pressure: &Pressure, claimed: Option<&Claimed>) -> Finding {
    let host = population.host;
    let subject = Subject { server_ip: Some(host), ..Subject::default() };
    let mut finding = RULE.finding(Severity::Warning, pressure.confidence, subject, Some(population.point));
    let resets = population.overflow.as_ref().map_or(0, |overflow| overflow.fins_reset.len() as u64);
    let (limit, overflowed) = (pressure.limit, pressure.overflowed);
    let held = population.peak.1.min(limit);
    let needed = held.saturating_add(overflowed);
    finding.title = match (resets, overflowed) {
        (0, 0) => say!("{host} holds {held} of the {limit} TIME-WAITs it may", host, held, limit),
        (0, _) => say!(
            "{host} holds all the {limit} TIME-WAITs it may: {closes} left none",
            host,
            limit,
            closes = plural(overflowed, "close")
        ),
        _ => {
            say!(
                "{host} holds all the TIME-WAITs it may, about {limit}: {fins} answered by RST",
                host,
                limit,
                fins = plural(resets, "FIN")
            )
        }
    };
    finding.summary = summary(population, pressure, claimed);
    finding.metric("peak", number(held));
    finding.metric("limit", number(limit));
    finding.metric("fins_reset", number(resets));
    finding.metric("overflowed", number(overflowed));
    finding.metric("needed", number(needed));
    finding.tables.push(Table {
        title: say!("TIME-WAITs"),
        columns: words!("host", "closed first", "most held", "left none", "would have needed").map(Text::of).to_vec(),
        rows: vec![vec![
            Cell::Text(Text::value(host.to_string())),
            Cell::Count(population.closes + resets),
            Cell::Count(held),
            Cell::Count(overflowed),
            Cell::Count(needed),
        ]],
    });
    finding.exhibit_all(exhibits(case, population, claimed));
    if resets > 0 {
        finding.rule_out(
            say!("tcp_fin_timeout"),
            say!("the FINs came less than {fin_timeout} after the ACK of the own FIN", fin_timeout = FIN_TIMEOUT),
        );
        finding
            .rule_out(say!("an application that aborts"), say!("the same closes went well until the table was full"));
    }
    finding.advise(say!("Raise net.ipv4.tcp_max_tw_buckets above {needed} on {host}: a TIME-WAIT costs about 256 bytes. Lowering it only makes netstat look better and gives the protection up.", needed, host));
    finding.advise(say!("Fewer closes: keep-alive and pools; or let the other side close first."));
    finding.advise_when(
        say!("to confirm"),
        say!("nstat -az TcpExtTCPTimeWaitOverflow grows; `tw` in /proc/net/sockstat stands at the limit"),
    );
    finding.references =
        ["Linux net/ipv4/tcp_minisocks.c: tcp_time_wait()", "RFC 9293 section 3.6.1"].map(str::to_owned).to_vec();
    finding
}

fn summary(population: &Population, pressure: &Pressure, claimed: Option<&Claimed>) -> Text {
    let host = population.host;
    let mut text = match &population.overflow {
        Some(overflow) => say!(
            "Until {span} a FIN that came after the ACK of {host}'s own was acknowledged. From then on, with about {limit} TIME-WAITs held, {fins_reset} such FINs drew a RST: the table (net.ipv4.tcp_max_tw_buckets) was full, and closes left no TIME-WAIT. About {overflowed} closes had none; most of them look orderly on the wire. Their peers' late segments meet no socket, and old segments may enter new connections.",
            span = overflow.span.0,
            host,
            limit = overflow.limit,
            fins_reset = overflow.fins_reset.len(),
            overflowed = overflow.overflowed
        ),
        None => say!(
            "By the closes seen {host} would hold {peak} TIME-WAITs at {peak_2}, and may hold {limit}. Beyond the limit a close leaves no TIME-WAIT: late segments meet no socket, and old segments may enter new connections. The wire shows it only where the peer closes later than the ACK of the first FIN.",
            host,
            peak = population.peak.1,
            peak_2 = population.peak.0,
            limit = pressure.limit
        ),
    };
    if let Some(claimed) = claimed {
        if let Some((limit, _)) = claimed.limit {
            text.add(say!(
                "The host itself ({claimed}) says net.ipv4.tcp_max_tw_buckets = {limit}.",
                claimed = claimed.name,
                limit
            ));
        }
        if let Some(told) = claimed.overflow {
            let (total, value) = (told.total, told.value);
            text.add(if told.grew {
                say!("Its counter TCPTimeWaitOverflow stands at {total}, {value} more than at the first moment that is told.", total, value)
            } else {
                say!("Its counter TCPTimeWaitOverflow stands at {total}.", total)
            });
        }
    }
    text
}

fn exhibits(case: &Case<'_>, population: &Population, claimed: Option<&Claimed>) -> Vec<Exhibit> {
    let mut shown = Vec::new();
    if let Some((limit, source)) = claimed.and_then(|claimed| claimed.limit) {
        shown.push(line(source, say!("net.ipv4.tcp_max_tw_buckets = {limit}", limit)));
    }
    if let Some(told) = claimed.and_then(|claimed| claimed.overflow) {
        shown.push(line(told.source, say!("TCPTimeWaitOverflow {total}", total = told.total)));
    }
    if let Some(overflow) = &population.overflow {
        shown.extend(overflow.fins_reset.iter().map(|(frame, at)| {
            let text = say!("RST of {host} to a FIN, though it had closed in order", host = population.host);
            case.exhibit(population.point, *frame, *at, text)
        }));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(peak: u64) -> Population {
        let host = IpAddr::from([192, 0, 2, 80]);
        let (held, samples) = Default::default();
        Population { point: 0, host, closes: peak, held, samples, peak: (Time(0), peak), overflow: None }
    }

    fn claimed(limit: u64, overflow: Option<(u64, bool)>) -> Claimed {
        let source = Source { input: 0, line: 1 };
        let overflow = overflow.map(|(value, grew)| Told { value, total: value, grew, source });
        Claimed { name: "web1".to_owned(), limit: Some((limit, source)), overflow }
    }

    #[track_caller]
    fn pressure(peak: u64, claimed: Option<Claimed>) -> Option<(u64, u64)> {
        let pressure = Pressure::of(&population(peak), claimed.as_ref())?;
        Some((pressure.limit, pressure.overflowed))
    }

    #[test]
    fn many_are_no_pressure_below_the_limit() {
        assert_eq!(pressure(50_000, None), None);
        assert_eq!(pressure(50_000, Some(claimed(262_144, None))), None);
        assert_eq!(pressure(50_000, Some(claimed(262_144, Some((7, false))))), None, "an old total is history");
    }

    #[test]
    fn the_limit_and_the_counter_tell() {
        assert_eq!(pressure(270, Some(claimed(50, Some((220, true))))), Some((50, 220)));
        assert_eq!(pressure(270, Some(claimed(50, None))), Some((50, 220)));
        assert_eq!(pressure(45, Some(claimed(50, None))), Some((50, 0)));
        assert_eq!(pressure(39, Some(claimed(50, None))), None);
    }
}
