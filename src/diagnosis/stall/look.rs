//! What a series looks like beside stalls, each in its own words, so that nobody takes it for one.

use super::Look;
use super::samples::{Sample, Samples, float, pairs, quantile, span};
use super::wall::{Wall, slope};

/// Adds what the series looks like beside its stalls.
pub(super) fn add(samples: &Samples, stalls: &[Wall], looks: &mut Vec<Look>) {
    let held: Vec<usize> = stalls.iter().flat_map(|wall| wall.members.iter().copied()).collect();
    let rtts: Vec<f64> = samples.answered.iter().map(|sample| sample.rtt).collect();
    let low = quantile(rtts.clone(), 0.1);
    let noise = (samples.base - quantile(rtts.clone(), 0.0)).min(20.0);
    let high = low + (0.3 * samples.interval).max(20.0).max(5.0 * noise);
    let settled = looks.iter().any(|look| matches!(look, Look::PeriodicHold { .. } | Look::FirstPacket(_)));
    let mut singles = 0;
    for run in runs(&samples.answered, |sample| sample.rtt > high) {
        let first = run.first().map_or(0, |(place, _)| *place);
        if run.iter().any(|(place, _)| held.contains(place)) || settled {
            continue;
        }
        let run: Vec<Sample> = run.into_iter().map(|(_, sample)| sample).collect();
        match shape(samples, &run, first, low, high) {
            Some(look) => looks.push(look),
            None => singles += run.len(),
        }
    }
    add_single(samples, singles, looks);
    if looks.is_empty() && low >= SLOW {
        looks.push(Look::SlowPath(span(quantile(rtts, 0.5))));
    }
    add_gaps(samples, looks);
    add_outages(samples, stalls, looks);
}

/// Nobody calls less than this a slow path, in milliseconds.
const SLOW: f64 = 100.0;

/// Neighbours that `pick` picks, with their places.
fn runs(samples: &[Sample], pick: impl Fn(&Sample) -> bool) -> Vec<Vec<(usize, Sample)>> {
    let numbered: Vec<(usize, Sample)> = samples.iter().copied().enumerate().collect();
    let parts = numbered.chunk_by(|(_, one), (_, next)| pick(one) == pick(next));
    parts.filter(|run| run.first().is_some_and(|(_, sample)| pick(sample))).map(<[_]>::to_vec).collect()
}

/// A run of long round trips: a queue, or a jump that came down slowly.
fn shape(samples: &Samples, run: &[Sample], first: usize, low: f64, high: f64) -> Option<Look> {
    let steps = || run.iter().zip(run.iter().skip(1)).map(|(one, next)| next.rtt - one.rtt);
    let rises = steps().filter(|step| *step > 0.1 * samples.interval).count();
    let longest = run.iter().max_by(|one, other| one.rtt.total_cmp(&other.rtt))?;
    if run.len() >= 6 && rises >= 3 && rises * 10 >= run.len() * 3 && correlation(run) >= 0.7 {
        return Some(Look::Queue { at: samples.time(longest.sent), longest: span(longest.rtt) });
    }
    let normal = first.checked_sub(1).and_then(|place| samples.answered.get(place)).is_some_and(|one| one.rtt <= high);
    let drains = run.len() >= 4 && steps().all(|step| step < 0.0) && (-0.95..-0.5).contains(&slope(run));
    let jumped = normal && longest.rtt - low > 2.0 * samples.interval;
    (drains && jumped).then(|| Look::SlowDrain(samples.time(longest.arrival())))
}

/// How much each round trip resembles the one before it: 1 where they follow each other smoothly.
fn correlation(run: &[Sample]) -> f64 {
    let mean = run.iter().map(|sample| sample.rtt).sum::<f64>() / float(run.len());
    let off = || run.iter().map(|sample| sample.rtt - mean);
    let joint: f64 = off().zip(off().skip(1)).map(|(one, next)| one * next).sum();
    joint / off().map(|off| off * off).sum::<f64>().max(1e-9)
}

fn add_single(samples: &Samples, singles: usize, looks: &mut Vec<Look>) {
    if singles == 0 || !looks.is_empty() {
        return;
    }
    // Nothing was sent while a long answer was waited for.
    let late = |sample: &&Sample| sample.rtt > 1.5 * samples.interval;
    let serial = |sample: &Sample| Samples::between(&samples.sends, sample.sent, sample.arrival()).is_empty();
    let mut slow = samples.answered.iter().filter(late).peekable();
    let waits = slow.peek().is_some() && slow.all(serial);
    looks.push(match singles * 10 > samples.answered.len() {
        _ if waits => Look::Serial,
        true => Look::Jitter,
        false => Look::Outliers(singles),
    });
}

fn add_gaps(samples: &Samples, looks: &mut Vec<Look>) {
    let limit = (2.5 * samples.interval).max(samples.interval + 100.0);
    let longest = pairs(&samples.sends)
        .filter(|(one, next)| next - one > limit)
        .max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
    if let Some((one, next)) = longest {
        looks.push(Look::SenderGap { at: samples.time(one), gap: span(next - one) });
    }
}

/// Three lost in a row, with answers before and after, and not beside a stall that may have dropped them.
fn add_outages(samples: &Samples, stalls: &[Wall], looks: &mut Vec<Look>) {
    let sent: Vec<f64> = samples.answered.iter().map(|sample| sample.sent).collect();
    let longest = pairs(&sent)
        .map(|(from, until)| (from, until, Samples::between(&samples.lost, from, until)))
        .filter(|(from, until, lost)| {
            let beside = |wall: &Wall| wall.release >= *from && wall.release - wall.height(samples) <= *until;
            lost.len() >= 3 && !stalls.iter().any(beside)
        })
        .max_by_key(|(_, _, lost)| lost.len());
    if let Some((_, _, lost)) = longest {
        let at = samples.time(lost.first().copied().unwrap_or(0.0));
        looks.push(Look::Outage { at, probes: lost.len() });
    }
}
