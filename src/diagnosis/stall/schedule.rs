//! Probes seen on their way: against the schedule that their numbers keep, those that were held come late together.
//!
//! A sender that goes on sending keeps its schedule over a stall of the path before the observer: after the burst the
//! next probe is on time again. A sender that stopped starts a new schedule.

use super::Probe;
use super::samples::{float, quantile};
use crate::time::{Span, Time};

/// Probes as they would have been sent on schedule, each with its delay; `seen` is (number, time) in order of time.
#[must_use]
pub fn against_schedule(seen: &[(i64, Time)]) -> Vec<Probe> {
    let interval = interval(seen);
    let mut probes: Vec<Probe> = Vec::with_capacity(seen.len());
    let mut burst: Option<usize> = None;
    let mut previous: Option<(i64, Time)> = None;
    for (number, at) in seen.iter().copied() {
        let steps = previous.map_or(0, |(earlier, _)| number.saturating_sub(earlier));
        let due =
            probes.last().filter(|_| (1..=MOST).contains(&steps)).map(|last| last.sent.plus(times(interval, steps)));
        let late = due.map_or(Span::ZERO, |due| at.since(due));
        let spacing = previous.map_or(Span::ZERO, |(_, earlier)| at.since(earlier));
        let catches_up = spacing.0.saturating_mul(2) < times(interval, steps).0;
        let held = late.0.saturating_mul(10) > interval.0.saturating_mul(3) && (burst.is_none() || catches_up);
        if !held {
            if let Some(first) = burst.take() {
                settle(&mut probes, first, interval);
            }
        } else if burst.is_none() {
            burst = Some(probes.len());
        }
        let delay = if held { late } else { Span::ZERO };
        probes.push(Probe { sent: at.minus(delay), rtt: Some(delay) });
        previous = Some((number, at));
    }
    if let Some(first) = burst {
        settle(&mut probes, first, interval);
    }
    probes
}

/// A gap of more numbers is another run, or a hole in the capture.
const MOST: i64 = 1000;

fn times(interval: Span, steps: i64) -> Span {
    Span(interval.0.saturating_mul(steps))
}

fn interval(seen: &[(i64, Time)]) -> Span {
    let spacing = |((one, at), (next, later)): (&(i64, Time), &(i64, Time))| {
        let steps = next.saturating_sub(*one);
        (1..=MOST).contains(&steps).then(|| later.since(*at).millis() / float(usize::try_from(steps).unwrap_or(1)))
    };
    let mut spacings: Vec<f64> = seen.iter().zip(seen.iter().skip(1)).filter_map(spacing).collect();
    // A long burst would make the median small.
    let burst = 0.3 * quantile(spacings.clone(), 0.75);
    spacings.retain(|spacing| *spacing > burst);
    Span::from_secs_f64(quantile(spacings, 0.5) / 1e3)
}

/// A burst must end on the schedule it was measured by; else the sender paused, and nothing was held.
fn settle(probes: &mut [Probe], first: usize, interval: Span) {
    let burst = probes.get_mut(first..).unwrap_or(&mut []);
    let slack = i64::try_from(burst.len() / 32).unwrap_or(i64::MAX).saturating_add(1);
    let left = burst.last().and_then(|last| last.rtt).unwrap_or_default();
    // The last one held may have been due just before the release, and up to an interval before it.
    if left.0 > times(interval, slack).0.saturating_add(interval.0 / 4) {
        for probe in burst {
            probe.sent = probe.sent.plus(probe.rtt.unwrap_or_default());
            probe.rtt = Some(Span::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seen: &[(i64, i64)]) -> Vec<i64> {
        let seen: Vec<_> = seen.iter().map(|(number, millis)| (*number, Time(millis * 1_000_000))).collect();
        against_schedule(&seen).iter().map(|probe| probe.rtt.unwrap().0 / 1_000_000).collect()
    }

    #[test]
    fn held_probes_come_late_by_the_schedule() {
        let seen = [(1, 0), (2, 100), (3, 200), (4, 650), (5, 651), (6, 652), (7, 653), (8, 700), (9, 800)];
        assert_eq!(delays(&seen), [0, 0, 0, 350, 251, 152, 53, 0, 0]);
    }

    #[test]
    fn a_sender_that_stopped_begins_again() {
        assert_eq!(delays(&[(1, 0), (2, 100), (3, 200), (4, 2000), (5, 2100), (6, 2200)]), [0; 6]);
        // It sends some at once before it goes on: the schedule is a new one all the same.
        assert_eq!(
            delays(&[(1, 0), (2, 100), (3, 200), (4, 2000), (5, 2001), (6, 2002), (7, 2102), (8, 2202)]),
            [0; 8]
        );
    }

    #[test]
    fn a_hole_in_the_numbers_is_no_delay() {
        assert_eq!(delays(&[(1, 0), (2, 100), (3, 200), (9, 800), (10, 900), (3, 1000), (4, 1100)]), [0; 7]);
    }
}
