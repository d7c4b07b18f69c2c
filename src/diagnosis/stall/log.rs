//! A run of `ping` as probes: ping(8) prints the round trip, with `-D` the moment of printing, and numbers.
//!
//! Without stamps the sending times follow from the numbers and the mean interval of the summary, never from the
//! interval that was asked for: timers round it (`-i 0.1` sends every 104 ms where HZ is 250). A number that no line
//! answers was lost; "no answer yet" is no loss.

use std::collections::BTreeMap;

use super::samples::{float, quantile};
use super::{Probe, Timing};
use crate::snapshot::{PingSeries, ProbeOutcome};
use crate::time::{Span, Time};

/// A reply: its line, when it was printed, and its round trip.
type Reply = (u32, Option<Time>, Span);

/// The probes of a run with the line of each reply, 0 where there is none; `None` where the tool does not number them,
/// as on Windows, which sends a probe after the answer to the one before and so cannot show a stair.
#[must_use]
pub fn probes_of(series: &PingSeries) -> Option<(Vec<Probe>, Vec<u32>, Timing)> {
    let mut replies: BTreeMap<i64, Reply> = BTreeMap::new();
    for probe in series.probes.iter().filter(|probe| probe.outcome == ProbeOutcome::Reply) {
        replies.entry(probe.sequence?).or_insert((probe.line, probe.stamp, probe.rtt?));
    }
    let (first, last) = (*replies.keys().next()?, *replies.keys().next_back()?);
    // A gap of more numbers is no loss of so many probes, but another run.
    if last.saturating_sub(first) > MOST {
        return None;
    }
    let sent = |reply: &Reply| reply.1.map(|stamp| stamp.minus(reply.2));
    let stamps: Option<Vec<(i64, Time)>> =
        replies.iter().map(|(number, reply)| Some((*number, sent(reply)?))).collect();
    let (interval, timing) = match &stamps {
        Some(stamps) => (of_stamps(stamps), Timing::Stamped),
        None => (of_summary(series), Timing::Counted),
    };
    let (mut at, mut probes, mut lines) = (Time::default(), Vec::new(), Vec::new());
    for number in first..=last {
        let reply = replies.get(&number);
        let stamp = reply.and_then(sent).filter(|_| timing == Timing::Stamped);
        at = stamp.unwrap_or_else(|| at.plus(interval));
        probes.push(Probe { sent: at, rtt: reply.map(|reply| reply.2) });
        lines.push(reply.map_or(0, |reply| reply.0));
    }
    Some((probes, lines, timing))
}

/// Probes that a run may have: two weeks of ten a second.
const MOST: i64 = 1 << 24;

fn of_stamps(stamps: &[(i64, Time)]) -> Span {
    let step = |((one, at), (next, later)): (&(i64, Time), &(i64, Time))| {
        later.since(*at).millis() / float(usize::try_from(next.saturating_sub(*one)).unwrap_or(1).max(1))
    };
    Span::from_secs_f64(quantile(stamps.iter().zip(stamps.iter().skip(1)).map(step).collect(), 0.5) / 1e3)
}

fn of_summary(series: &PingSeries) -> Span {
    let steps = series.sent.and_then(|sent| i64::try_from(sent).ok()).map(|sent| sent.saturating_sub(1));
    let told = series.elapsed.zip(steps).filter(|(elapsed, steps)| elapsed.0 > 0 && *steps > 0);
    told.map_or(Span::from_secs(1), |(elapsed, steps)| Span(elapsed.0 / steps.max(1)))
}
