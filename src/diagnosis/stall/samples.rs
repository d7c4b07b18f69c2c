//! A series of probes as numbers: milliseconds since the first probe, sorted by sending time.

use super::{Probe, Timing};
use crate::time::{Span, Time};

/// A probe with an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Its place in what was given.
    pub place: usize,
    pub sent: f64,
    pub rtt: f64,
}

impl Sample {
    pub fn arrival(&self) -> f64 {
        self.sent + self.rtt
    }
}

/// The series, and what is usual in it.
#[derive(Debug)]
pub(super) struct Samples {
    /// By sending time.
    pub answered: Vec<Sample>,
    /// Sending times of the others.
    pub lost: Vec<f64>,
    /// All sending times.
    pub sends: Vec<f64>,
    /// Between two probes: the median.
    pub interval: f64,
    /// Of round trips: the lower quartile.
    pub base: f64,
    /// How much neighbours differ: an estimate of the standard deviation that stalls and outliers hardly move.
    pub jitter: f64,
    /// Answers that come within this time of each other come together.
    pub together: f64,
    /// How the sending times are known.
    pub timing: Timing,
    origin: Time,
}

impl Samples {
    pub fn of(probes: &[Probe], timing: Timing) -> Self {
        let origin = probes.iter().map(|probe| probe.sent).min().unwrap_or_default();
        let sent = |probe: &Probe| probe.sent.since(origin).millis();
        let sample = |(place, probe): (usize, &Probe)| {
            let rtt = probe.rtt?.millis().max(0.0);
            Some(Sample { place, sent: sent(probe), rtt })
        };
        let mut answered: Vec<Sample> = probes.iter().enumerate().filter_map(sample).collect();
        answered.sort_by(|one, other| one.sent.total_cmp(&other.sent));
        let mut sends: Vec<f64> = probes.iter().map(sent).collect();
        sends.sort_by(f64::total_cmp);
        let mut lost: Vec<f64> = probes.iter().filter(|probe| probe.rtt.is_none()).map(sent).collect();
        lost.sort_by(f64::total_cmp);
        let interval = quantile(pairs(&sends).map(|(one, next)| next - one).collect(), 0.5);
        let rtts: Vec<f64> = answered.iter().map(|sample| sample.rtt).collect();
        let steps = pairs(&rtts).map(|(one, next)| (next - one).abs()).collect();
        let jitter = quantile(steps, 0.5) / NORMAL_STEP;
        let floor = if timing == Timing::Stamped { 0.05 } else { 0.25 } * interval;
        let together = floor.max(5.0).max(4.0 * jitter).min(0.3 * interval);
        Self { base: quantile(rtts, 0.25), answered, lost, sends, interval, jitter, together, timing, origin }
    }

    /// A moment as a time.
    pub fn time(&self, millis: f64) -> Time {
        self.origin.plus(span(millis))
    }

    /// From the first probe to the last probe or answer.
    pub fn watched(&self) -> f64 {
        let last = self.answered.iter().map(Sample::arrival).chain(self.sends.last().copied());
        last.fold(0.0, f64::max)
    }

    /// What is usual around a range of places of answered probes: the lower quartile on either side, and their middle,
    /// so that a base that moves is followed. Where another stall lies on one side, the other side counts.
    pub fn around(&self, first: usize, last: usize) -> f64 {
        let (before, after) = self.beside(first, last);
        let level = |near: &[Sample]| {
            let rtts: Vec<f64> = near.iter().map(|sample| sample.rtt).collect();
            (!rtts.is_empty()).then(|| quantile(rtts, 0.25))
        };
        match (level(before), level(after)) {
            (Some(one), Some(other)) if (one - other).abs() <= 0.5 * self.interval => one.midpoint(other),
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other).unwrap_or(self.base),
        }
    }

    /// The answered probes on either side of a range of places.
    pub fn beside(&self, first: usize, last: usize) -> (&[Sample], &[Sample]) {
        let before = self.answered.get(first.saturating_sub(NEIGHBOURS)..first).unwrap_or(&[]);
        let rest = self.answered.get(last.saturating_add(1)..).unwrap_or(&[]);
        (before, rest.get(..NEIGHBOURS).unwrap_or(rest))
    }

    /// Probes among `times` (sorted) that were sent after `from` and before `until`.
    pub fn between(times: &[f64], from: f64, until: f64) -> &[f64] {
        let first = times.partition_point(|at| *at <= from);
        let end = times.partition_point(|at| *at < until).max(first);
        times.get(first..end).unwrap_or(&[])
    }
}

/// Neighbours on either side that say what is usual.
const NEIGHBOURS: usize = 8;

/// The median difference of two values of the standard normal distribution, without its sign.
const NORMAL_STEP: f64 = 0.953_9;

/// Neighbouring values.
pub(super) fn pairs(values: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    values.iter().copied().zip(values.iter().copied().skip(1))
}

/// A quantile of values in any order; zero of none.
pub(super) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let place = (float(values.len().saturating_sub(1)) * part) as usize;
    values.sort_by(f64::total_cmp);
    values.get(place).copied().unwrap_or(0.0)
}

/// A count as a number.
#[allow(clippy::cast_precision_loss)]
pub(super) const fn float(count: usize) -> f64 {
    count as f64
}

/// Milliseconds as a span; saturates.
pub(super) fn span(millis: f64) -> Span {
    Span::from_secs_f64(millis / 1e3)
}
