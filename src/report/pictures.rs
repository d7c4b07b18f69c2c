//! Which charts a report has, and what they show: evidence and findings become the charts' plain data.

pub(super) mod ladders;
mod stall;

use hashbrown::HashMap;

use super::chart::{
    AttemptMark, Attempts, Chart, CloseCount, Closes, ClosesOverTime, Forecast, Limit, Picture, Population,
    PopulationLine, PortsHeld, Remembered, Reuse, ReuseIntervals, ReuseOutcome, SynFate, SynMark, SynTimestamps,
};
use super::model::{ChartEntry, Report};
use super::words::said;
use crate::connection::{self, Close, Opened, Socket};
use crate::diagnosis::ephemeral_ports_exhausting::{Stage, stage};
use crate::diagnosis::replay::Prediction;
use crate::diagnosis::{Case, Finding, time_wait_pressure};
use crate::evidence::groups::Ends;
use crate::evidence::pairs::HostPair;
use crate::language::{Language, Text, say};
use crate::time::{Span, Time};

/// Hosts in one picture.
const LINES: usize = 6;

/// Charts that a report has at most: pages with more are not read.
const MOST: usize = 24;

/// The charts of a report, each with its entry for `charts[]`.
#[must_use]
pub fn draw(case: &Case<'_>, report: &Report) -> Vec<(ChartEntry, Chart)> {
    let mut charts: Vec<(ChartEntry, Chart)> =
        report.findings.iter().flat_map(|finding| of_finding(case, finding)).take(MOST).collect();
    charts.extend(attempts(case, report).map(|picture| {
        let title = say!("Attempts to open over time, and why the failed ones failed");
        entry(case.language, "attempts", title, picture, None)
    }));
    charts.extend(reuses(case).map(|picture| {
        let title = say!("How soon socket pairs are used again after TIME-WAIT began");
        entry(case.language, "reuse-intervals", title, picture, None)
    }));
    charts.extend(populations(case).map(|picture| {
        entry(case.language, "time-wait-population", say!("TIME-WAITs held by each host"), picture, None)
    }));
    charts.extend(closes_over_time(case).map(|picture| {
        entry(case.language, "closes-over-time", say!("When and how connections closed"), picture, None)
    }));
    charts.extend(
        closes(report).map(|picture| entry(case.language, "closes", say!("How connections closed"), picture, None)),
    );
    charts
}

/// Attempts of every pair of hosts with an unanswered SYN, where some were found to fail for a cause.
fn attempts(case: &Case<'_>, report: &Report) -> Option<Picture> {
    let found = ["SYN001", "SYN002", "SYN003", "SYN004"];
    if !report.findings.iter().any(|finding| found.contains(&finding.rule)) {
        return None;
    }
    let causes: Vec<String> = report.syn_causes.keys().cloned().collect();
    let of_frame: HashMap<(u16, u64), usize> = case
        .unanswered()
        .filter_map(|(frame, cause)| Some((frame, causes.iter().position(|known| known == cause)?)))
        .collect();
    let attempts = case.pairs().first_syns(case.evidence, |syn| {
        let failed = matches!(syn.connection.opened(), Opened::Unanswered | Opened::Unreachable);
        let cause = || of_frame.get(&(syn.connection.point(), syn.frame)).copied();
        AttemptMark { at: syn.at, cause: if failed { cause() } else { None } }
    });
    (!attempts.is_empty()).then_some(Picture::Attempts(Attempts { attempts, causes }))
}

fn entry(
    language: Language,
    name: &str,
    title: Text,
    picture: Picture,
    finding: Option<&Finding>,
) -> (ChartEntry, Chart) {
    let chart = Chart { name: name.to_owned(), title, note: String::new(), picture };
    let entry = ChartEntry {
        name: chart.name.clone(),
        title: said(language, chart.title.clone()),
        alt: said(language, chart.alt()),
        finding: finding.map(|finding| finding.id.clone()),
    };
    (entry, chart)
}

fn of_finding(case: &Case<'_>, finding: &Finding) -> Vec<(ChartEntry, Chart)> {
    let one = match finding.rule {
        "SYN001" => of_syn001(case, finding),
        "TW002" => of_tw002(case, finding),
        "TW003" => of_tw003(case, finding),
        "STALL001" => return stall::of_stall001(case, finding).unwrap_or_default(),
        _ => None,
    };
    one.into_iter().collect()
}

/// The number of the capture point that a finding is about.
fn point_of(finding: &Finding) -> Option<u16> {
    finding.point.as_deref()?.strip_prefix('p')?.parse::<u16>().ok()?.checked_sub(1)
}

/// TIME-WAITs of the host whose table overflowed.
fn of_tw002(case: &Case<'_>, finding: &Finding) -> Option<(ChartEntry, Chart)> {
    let (point, host) = (point_of(finding)?, finding.subject.server_ip?);
    let population = case.populations().iter().find(|found| (found.point, found.host) == (point, host))?;
    let limit = population.overflow.as_ref()?.limit;
    let limits = vec![Limit { label: "where the table was full".to_owned(), value: limit }];
    let picture = Picture::Population(Population { lines: vec![line(case, population)], limits });
    let name = format!("{}-population", finding.id.to_lowercase());
    Some(entry(case.language, &name, say!("TIME-WAITs of {host} and its limit", host), picture, Some(finding)))
}

/// Ports held towards the destination that they run out for.
fn of_tw003(case: &Case<'_>, finding: &Finding) -> Option<(ChartEntry, Chart)> {
    let (subject, point) = (&finding.subject, point_of(finding)?);
    let (client, server) = (subject.client_ip?, Socket { ip: subject.server_ip?, port: subject.server_port? });
    let usage = case.occupancy().usage(&Ends { point, client, server })?;
    let stage = stage(case, usage)?;
    let forecast = match stage {
        Stage::Forecast(exhausted) => Some(Forecast { from: usage.peak.0, held: usage.peak.1, exhausted }),
        Stage::Exhausted | Stage::Near => None,
    };
    let picture = Picture::PortsHeld(PortsHeld { held: usage.held.clone(), range: usage.limit().0, forecast });
    let name = format!("{}-ports", finding.id.to_lowercase());
    Some(entry(
        case.language,
        &name,
        say!("Ports of {client} towards {server}", client, server),
        picture,
        Some(finding),
    ))
}

/// The TIME-WAITs of the hosts with most.
fn populations(case: &Case<'_>) -> Option<Picture> {
    let lines: Vec<PopulationLine> =
        case.populations().iter().take(LINES).map(|population| line(case, population)).collect();
    (!lines.is_empty()).then_some(Picture::Population(Population { lines, limits: Vec::new() }))
}

/// The TIME-WAITs of a host until its capture point ends, long after the last change where nothing opened any more.
fn line(case: &Case<'_>, population: &time_wait_pressure::Population) -> PopulationLine {
    let mut values = population.held.clone();
    let end = case.evidence.end_of(population.point);
    if let Some((_, held)) = values.last().copied().filter(|(at, _)| *at < end) {
        values.push((end, held));
    }
    PopulationLine { label: format!("{} (from the capture)", population.host), values }
}

fn of_syn001(case: &Case<'_>, finding: &Finding) -> Option<(ChartEntry, Chart)> {
    let (client, server) = (finding.subject.client_ip?, finding.subject.server_ip?);
    let point: u16 = finding.point.as_deref()?.strip_prefix('p')?.parse().ok()?;
    let pair = case.pairs().pair(case.evidence, (point.checked_sub(1)?, client, server))?;
    let title = say!("Timestamps of the SYNs of {client} at {server}, and what the server remembers", client, server);
    let name = format!("{}-timestamps", finding.id.to_lowercase());
    Some(entry(case.language, &name, title, syn_timestamps(case, &pair), Some(finding)))
}

/// The picture that proves SYN001.
fn syn_timestamps(case: &Case<'_>, pair: &HostPair) -> Picture {
    let replay = case.replay(pair);
    let clocks = pair.clocks();
    let syns = pair.syns.iter().zip(&replay.predictions).zip(&clocks.of).filter_map(|((syn, prediction), clock)| {
        let fate = match (syn.unanswered(), prediction) {
            (false, _) => SynFate::Answered,
            (true, Prediction::Drop) => SynFate::UnansweredBehind,
            (true, _) => SynFate::UnansweredOther,
        };
        Some(SynMark { at: syn.at, tsval: syn.tsval?.0, fate, clock: *clock })
    });
    let end = case.evidence.end_of(pair.point);
    let mut remembered: Vec<Remembered> = replay
        .remembered
        .iter()
        .map(|remembered| Remembered {
            from: remembered.from,
            until: remembered.until.min(end.max(remembered.from)),
            tsval: remembered.tsval.0,
        })
        .collect();
    remembered.sort_by_key(|remembered| remembered.from);
    Picture::SynTimestamps(SynTimestamps { syns: syns.collect(), remembered })
}

fn reuses(case: &Case<'_>) -> Option<Picture> {
    let mut reuses: Vec<Reuse> = Vec::new();
    for connection in case.evidence.notable() {
        if let Some((interval, outcome)) = connection.reuse() {
            reuses.push(Reuse { interval, outcome: of_outcome(outcome) });
        }
    }
    let two_msl = Span(case.thresholds.msl.0.saturating_mul(2));
    (!reuses.is_empty()).then_some(Picture::ReuseIntervals(ReuseIntervals { reuses, two_msl }))
}

fn of_outcome(outcome: connection::ReuseOutcome) -> ReuseOutcome {
    match outcome {
        connection::ReuseOutcome::Accepted => ReuseOutcome::Accepted,
        connection::ReuseOutcome::ChallengedThenAccepted => ReuseOutcome::ChallengedThenAccepted,
        connection::ReuseOutcome::Challenged => ReuseOutcome::Challenged,
        connection::ReuseOutcome::Refused => ReuseOutcome::Refused,
        connection::ReuseOutcome::Unanswered => ReuseOutcome::Unanswered,
    }
}

/// Connections by their last packet's time; those still open, and those that never opened, are left out.
fn closes_over_time(case: &Case<'_>) -> Option<Picture> {
    let evidence = case.evidence;
    let kinds: Vec<Close> = evidence.tally.closes.keys().copied().collect();
    let parts = evidence.workers.map(&evidence.shards, |_, shard| {
        let ended = shard.connections().filter(|connection| !matches!(connection.close(), Close::None | Close::Open));
        let one = |connection: connection::Connection<'_>| {
            Some((connection.last().1, kinds.iter().position(|kind| *kind == connection.close())?))
        };
        ended.filter_map(one).collect::<Vec<_>>()
    });
    let closes: Vec<(Time, usize)> = parts.into_iter().flatten().collect();
    let kinds = kinds.iter().map(|kind| kind.name().to_owned()).collect();
    (closes.len() > 1).then_some(Picture::ClosesOverTime(ClosesOverTime { closes, kinds }))
}

fn closes(report: &Report) -> Option<Picture> {
    let none = Close::None.name();
    let kinds: Vec<CloseCount> = report
        .totals
        .closes
        .iter()
        .map(|(kind, count)| CloseCount {
            kind: if *kind == none { "none (never opened)".to_owned() } else { (*kind).to_owned() },
            count: *count,
        })
        .collect();
    (!kinds.is_empty()).then_some(Picture::Closes(Closes { kinds }))
}
