//! Ping logs as series of probes: each log by itself, logs of one host and one target together, and beside the
//! captures that show the same probes.
//!
//! A log with `-D` has times of its host's clock. One without is dated where a capture shows the same numbers with the
//! same round trips; else its moments are counted from its first probe.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::Case;
use super::super::stall::{self, Look, Probe, Timing};
use super::hold::{Hold, PairStalls, Place, Proof, merged};
use crate::evidence::echoes::{EchoProbe, EchoSeries};
use crate::language::{Text, say};
use crate::snapshot::{PingSeries, PingTool, ProbeOutcome, Source};
use crate::time::{Span, Time};

/// The logs in which one host pings one target, and the stalls that they show.
#[derive(Debug)]
pub(crate) struct LogStalls {
    /// The place of the host whose files hold the logs.
    pub host: usize,
    /// As the logs name it.
    pub target: Text,
    /// Its address, where they tell.
    pub address: Option<IpAddr>,
    /// The addresses of the host that pings, as far as they are known.
    pub senders: BTreeSet<IpAddr>,
    /// In the order of reading.
    pub logs: Vec<Log>,
    /// Times are those of a clock; else they count from the first probe.
    pub dated: bool,
    /// In order of release.
    pub holds: Vec<Hold>,
    /// What else the logs look like.
    pub looks: Vec<Look>,
    /// The longest time that a log watched.
    pub watched: Span,
}

/// One run of `ping`.
#[derive(Debug)]
pub(crate) struct Log {
    /// Its first line.
    pub source: Source,
    pub tool: PingTool,
    /// Empty where the tool does not number them.
    pub probes: Vec<Probe>,
    /// The number of the first of them.
    first: i64,
    /// The line of each reply; 0 where there is none.
    lines: Vec<u32>,
    timing: Timing,
    dated: bool,
    /// Echo series of captures that are the same probes: places among all.
    pub same: Vec<usize>,
    /// The longest round trip and the median, where nothing is numbered.
    pub spikes: Option<(Span, Span)>,
}

/// All logs, by host, target and moment.
pub(crate) fn logs(case: &Case<'_>) -> Vec<LogStalls> {
    let mut groups: Vec<LogStalls> = Vec::new();
    for (host, view) in case.evidence.hosts.iter().enumerate() {
        let mut of_host: Vec<(&PingSeries, Log)> =
            view.host.facts.pings.iter().map(|series| (series, log(case, series))).collect();
        let mut senders = view.addresses();
        senders.extend(
            of_host
                .iter()
                .flat_map(|(_, log)| &log.same)
                .filter_map(|place| case.echoes().get(*place).map(|series| series.client)),
        );
        // Undated logs cannot be laid beside each other.
        let mut together: BTreeMap<(Text, usize), Vec<(&PingSeries, Log)>> = BTreeMap::new();
        for (number, (series, log)) in of_host.drain(..).enumerate() {
            let target = target(series);
            let apart = if log.dated { 0 } else { number.saturating_add(1) };
            together.entry((target, apart)).or_default().push((series, log));
        }
        groups.extend(together.into_iter().map(|((target, _), logs)| group(host, target, &senders, logs)));
    }
    groups.sort_by_key(|group| group.logs.first().map(|log| log.source));
    groups
}

fn target(series: &PingSeries) -> Text {
    let named = || series.target.as_deref().map(Text::value);
    series
        .address
        .map(|address| Text::value(address.to_string()))
        .or_else(named)
        .unwrap_or_else(|| say!("an unnamed host"))
}

fn group(host: usize, target: Text, senders: &BTreeSet<IpAddr>, of: Vec<(&PingSeries, Log)>) -> LogStalls {
    let address = of.iter().find_map(|(series, _)| series.address);
    let (mut seen, mut looks, mut watched, mut logs) = (Vec::new(), Vec::new(), Span::ZERO, Vec::new());
    for (_, log) in of {
        if !log.probes.is_empty() {
            let reading = stall::read(&log.probes, log.timing);
            seen.extend(reading.stalls.iter().map(|stall| Hold::of(stall, log.proof(&stall.held))));
            looks.extend(reading.looks);
            watched = watched.max(reading.watched);
        }
        logs.push(log);
    }
    looks.sort();
    looks.dedup_by(|one, other| std::mem::discriminant(one) == std::mem::discriminant(other));
    let same_family = |ip: &&IpAddr| address.is_none_or(|address| address.is_ipv4() == ip.is_ipv4());
    LogStalls {
        host,
        target,
        address,
        senders: senders.iter().filter(same_family).copied().collect(),
        dated: logs.iter().all(|log| log.dated),
        logs,
        holds: merged(seen),
        looks,
        watched,
    }
}

fn log(case: &Case<'_>, series: &PingSeries) -> Log {
    let first = series.probes.iter().filter(|probe| probe.outcome == ProbeOutcome::Reply);
    let first = first.filter_map(|probe| probe.sequence).min().unwrap_or(0);
    let (probes, lines, timing) = stall::probes_of(series).unwrap_or_else(|| (Vec::new(), Vec::new(), Timing::Counted));
    let dated = timing == Timing::Stamped;
    let spikes = if probes.is_empty() { spikes(series) } else { None };
    let source = series.source;
    let mut log = Log { source, tool: series.tool, probes, first, lines, timing, dated, same: Vec::new(), spikes };
    log.find_in(case.echoes(), series.address);
    log
}

/// The longest and the median round trip.
fn spikes(series: &PingSeries) -> Option<(Span, Span)> {
    let mut rtts: Vec<Span> = series.probes.iter().filter_map(|probe| probe.rtt).collect();
    rtts.sort_unstable();
    Some((*rtts.last()?, *rtts.get(rtts.len() / 2)?))
}

impl Log {
    /// Finds the echo series of captures that are its probes, and takes its date from them where it has none.
    fn find_in(&mut self, echoes: &[EchoSeries], address: Option<IpAddr>) {
        let (Some(address), Some(_)) = (address, self.probes.first()) else { return };
        let mut offset = None;
        for (place, series) in echoes.iter().enumerate().filter(|(_, series)| series.server == address) {
            if let Some(found) = self.offset(series) {
                offset = offset.or(Some(found));
                self.same.push(place);
            }
        }
        if let (false, Some(offset)) = (self.dated, offset) {
            self.probes.iter_mut().for_each(|probe| probe.sent = probe.sent.plus(offset));
            self.dated = true;
        }
    }

    /// How much later the capture shows its probes, where they are the same: nearly all by number, evenly apart from
    /// the log's times, and at nearly the same clock, or else with the same round trips.
    fn offset(&self, series: &EchoSeries) -> Option<Span> {
        let mut by_number: BTreeMap<u16, &EchoProbe> = BTreeMap::new();
        for probe in &series.probes {
            by_number.entry(probe.sequence).or_insert(probe);
        }
        let numbered = (self.first..).zip(&self.probes).filter(|(_, probe)| probe.rtt.is_some());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let found: Vec<(&Probe, &EchoProbe)> = numbered
            .clone()
            .filter_map(|(number, probe)| Some((probe, *by_number.get(&(number.rem_euclid(65_536) as u16))?)))
            .collect();
        let most = |count: usize| count >= 5 && count.saturating_mul(5) >= numbered.clone().count().saturating_mul(4);
        let mut apart: Vec<i64> = found.iter().map(|(probe, seen)| seen.request.0.since(probe.sent).0).collect();
        apart.sort_unstable();
        let offset = Span(*apart.get(apart.len() / 2)?);
        let even = apart.iter().filter(|one| one.abs_diff(offset.0) <= EVEN.0.unsigned_abs()).count();
        let alike = |(probe, seen): &&(&Probe, &EchoProbe)| match (probe.rtt, seen.rtt()) {
            (Some(told), Some(seen)) => {
                told.0.abs_diff(seen.0) <= ALIKE.0.unsigned_abs().max(told.0.unsigned_abs() / 20)
            }
            _ => false,
        };
        let same = match self.timing {
            Timing::Stamped => most(even) && offset.0.unsigned_abs() <= CLOCKS.0.unsigned_abs(),
            Timing::Counted => most(found.iter().filter(alike).count()),
        };
        same.then_some(offset)
    }

    /// The first line of the burst and the last.
    fn proof(&self, held: &[usize]) -> Vec<Proof> {
        let (Some(first), Some(last)) = (held.first(), held.last()) else { return Vec::new() };
        let one = |place: &usize, words: Text| {
            let (probe, line) = (self.probes.get(*place)?, *self.lines.get(*place)?);
            let rtt = probe.rtt?;
            let number = self.first.saturating_add(i64::try_from(*place).unwrap_or(0));
            let text = say!("the reply to probe {number} took {rtt}, {words}", number, rtt, words);
            let at = self.dated.then(|| probe.sent.plus(rtt));
            Some(Proof { place: Place::Line(Source { line, ..self.source }), at, text })
        };
        let first = one(first, say!("the first of {held} that came together", held = held.len()));
        first.into_iter().chain(one(last, say!("the last of them"))).collect()
    }
}

/// A series and its log may differ by this much from even: what a busy host needs to print.
const EVEN: Span = Span::from_millis(50);
/// Round trips of a capture and of a log of one probe.
const ALIKE: Span = Span::from_millis(8);
/// Clocks of two hosts that are kept by NTP, and not.
const CLOCKS: Span = Span::from_secs(5);

impl LogStalls {
    /// Its inputs, in words.
    pub fn inputs(&self) -> String {
        let mut inputs: Vec<u64> = self.logs.iter().map(|log| u64::from(log.source.input).saturating_add(1)).collect();
        inputs.dedup();
        inputs.iter().map(|input| format!("i{input}")).collect::<Vec<_>>().join(", ")
    }

    /// Whether a line of an input is one of its proofs.
    pub fn proves(&self, input: &str, line: Option<u64>) -> bool {
        let is = |proof: &Proof| match proof.place {
            Place::Line(source) => {
                line == Some(u64::from(source.line)) && input == format!("i{}", u64::from(source.input) + 1)
            }
            Place::Frame(_) => false,
        };
        self.holds.iter().flat_map(|hold| &hold.proof).any(is)
    }

    /// Every probe's time of sending and round trip.
    pub fn marks(&self) -> Vec<(Time, Option<Span>)> {
        self.logs.iter().flat_map(|log| &log.probes).map(|probe| (probe.sent, probe.rtt)).collect()
    }

    /// Whether its probes are those of one of the pair's series.
    pub fn is_of(&self, pair: &PairStalls) -> bool {
        self.logs.iter().flat_map(|log| &log.same).any(|place| pair.series.contains(place))
    }

    /// Whether a pair of the captures tells all of its stalls, from the same probes.
    pub fn told_by(&self, pairs: &[PairStalls]) -> bool {
        let told =
            |hold: &Hold, pair: &PairStalls| pair.holds.iter().any(|theirs| theirs.meets(hold.start, hold.release.0));
        pairs.iter().any(|pair| self.is_of(pair) && self.holds.iter().all(|hold| told(hold, pair)))
    }

    /// At least two probes were sent meanwhile, and answered well before the end.
    pub fn ran_on(&self, from: Time, until: Time) -> bool {
        let answered = |probe: &&Probe| {
            let left = Span(until.since(probe.sent).0 / 2);
            probe.sent >= from && probe.sent < until && probe.rtt.is_some_and(|rtt| rtt < left)
        };
        self.dated && self.logs.iter().flat_map(|log| &log.probes).filter(answered).take(2).count() == 2
    }
}
