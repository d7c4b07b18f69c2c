//! Timestamp clocks behind one address, told apart by the line that each draws through (time, TSval).
//!
//! A host's clock ticks at 100, 250, 300 or 1000 Hz, or at 1 MHz (`CONFIG_HZ` up to 4.12, `TCP_TS_HZ` since 4.13,
//! `tcp_usec_ts` since 6.7), from an offset of its own. With the right rate all its SYNs have one offset, modulo
//! 2^32, but for jitter and drift. Offsets that are random for each connection (4.10.0, 6.18.44, 7.0) show as no
//! line at all: then nothing can be told, and a timestamp that runs backwards proves no second host.

use hashbrown::HashSet;

use crate::segment::TsVal;
use crate::time::{Span, Time};

/// One SYN as a point: when, its TSval, and a number that its retransmissions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it was captured.
    pub at: Time,
    /// Its TSval.
    pub tsval: TsVal,
    /// The same for all SYNs of one attempt.
    pub attempt: u64,
}

/// One clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ticks a second.
    pub hertz: u32,
    /// Its value at the first tick's time.
    pub start: TsVal,
    /// Attempts on its line.
    pub attempts: usize,
}

/// The clocks of one address, the highest first, and the clock of each tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Empty where none can be told apart.
    pub clocks: Vec<Clock>,
    /// Index of the clock of each tick.
    pub of: Vec<Option<u8>>,
    /// Most attempts lie on no common line: each connection has an offset of its own.
    pub random: bool,
}

const RATES: [u32; 5] = [1000, 250, 100, 300, 1_000_000];
/// Attempts that make a line: two always do.
const FEWEST: usize = 3;
/// More clocks than letters would help nobody.
const MOST: usize = 26;
/// Network and scheduling jitter that a line forgives, in seconds.
const JITTER: f64 = 0.05;
/// Drift against the capture's clock that a line forgives.
const DRIFT: f64 = 1e-4;
/// The widest line that tells anything: where jitter and drift fill more of the circle, offsets lie on it by chance.
const WIDEST: f64 = 4_294_967_296.0 / 64.0;

impl Clock {
    /// Its value at a time.
    #[must_use]
    pub fn at(&self, since_first: Span) -> TsVal {
        TsVal(self.start.0.wrapping_add(elapsed(self.hertz, since_first)))
    }
}

/// Ticks of a clock over a span, modulo 2^32.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn elapsed(hertz: u32, span: Span) -> u32 {
    const SECOND: i64 = 1_000_000_000;
    let (seconds, rest) = (span.0.div_euclid(SECOND), span.0.rem_euclid(SECOND));
    // Only the lower 32 bits matter, so that the whole seconds may wrap.
    let whole = seconds.wrapping_mul(i64::from(hertz));
    whole.wrapping_add(rest * i64::from(hertz) / SECOND) as u32
}

/// Tells the clocks of one address apart; ticks in time order.
#[must_use]
pub fn tell_apart(ticks: &[Tick]) -> Clocks {
    let mut found = Clocks { of: vec![None; ticks.len()], ..Clocks::default() };
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else { return found };
    let length = last.at.since(first.at);
    let attempts = first_of_attempts(ticks);
    while found.clocks.len() < MOST {
        let sample = sample(ticks, &attempts, &found.of);
        let Some(line) = best_line(&sample, first.at, length) else { break };
        let number = u8::try_from(found.clocks.len()).ok();
        for (of, tick) in found.of.iter_mut().zip(ticks) {
            if of.is_none() && line.holds(tick, first.at) {
                *of = number;
            }
        }
        found.clocks.push(Clock {
            hertz: line.hertz,
            start: TsVal(line.low.wrapping_add(line.width / 2)),
            attempts: line.attempts,
        });
    }
    let loose = attempts.iter().filter(|place| found.of.get(**place).copied().flatten().is_none()).count();
    let on_lines: usize = found.clocks.iter().map(|clock| clock.attempts).sum();
    if loose > on_lines && loose >= FEWEST {
        return Clocks { clocks: Vec::new(), of: vec![None; ticks.len()], random: true };
    }
    highest_first(&mut found, length);
    found
}

/// A window of offsets that many attempts share.
struct Line {
    hertz: u32,
    low: u32,
    width: u32,
    attempts: usize,
    /// How far its offsets really spread, in seconds.
    spread: f64,
}

impl Line {
    fn holds(&self, tick: &Tick, origin: Time) -> bool {
        offset(self.hertz, tick, origin).wrapping_sub(self.low) <= self.width
    }
}

fn offset(hertz: u32, tick: &Tick, origin: Time) -> u32 {
    tick.tsval.0.wrapping_sub(elapsed(hertz, tick.at.since(origin)))
}

/// The line that the most attempts lie on; of two with as many, the one they lie closer to.
fn best_line(sample: &[Tick], origin: Time, length: Span) -> Option<Line> {
    let lines = RATES.into_iter().filter_map(|hertz| line_at(hertz, sample, origin, length));
    lines.fold(None, |best: Option<Line>, line| match best {
        Some(best) if (best.attempts, -best.spread) >= (line.attempts, -line.spread) => Some(best),
        _ => Some(line),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn line_at(hertz: u32, sample: &[Tick], origin: Time, length: Span) -> Option<Line> {
    let width = (f64::from(hertz) * (JITTER + DRIFT * length.secs())).ceil() + 2.0;
    if width > WIDEST {
        return None;
    }
    let width = width as u32;
    let mut offsets: Vec<(u32, Time)> = sample.iter().map(|tick| (offset(hertz, tick, origin), tick.at)).collect();
    offsets.sort_unstable();
    let window = fullest_window(&offsets, width)?;
    let (low, high) = (window.first()?.0, window.last()?.0);
    let (from, until) = (window.iter().map(|o| o.1).min()?, window.iter().map(|o| o.1).max()?);
    let attempts = window.len();
    // Attempts of one moment share an offset at any rate.
    let enough = attempts >= FEWEST && until.since(from) >= Span::from_secs(1);
    let spread = high.wrapping_sub(low);
    let slack = width.saturating_sub(spread) / 2;
    enough.then(|| Line {
        hertz,
        low: low.wrapping_sub(slack),
        width,
        attempts,
        spread: f64::from(spread) / f64::from(hertz),
    })
}

/// Places of the first tick of each attempt: retransmissions lie on their attempt's line whatever its offset.
fn first_of_attempts(ticks: &[Tick]) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(ticks.len());
    ticks.iter().zip(0..).filter(|(tick, _)| seen.insert(tick.attempt)).map(|(_, place)| place).collect()
}

/// Attempts on no line yet, a few hundred of them: a rare clock's share grows as the others' lines are found.
fn sample(ticks: &[Tick], attempts: &[usize], of: &[Option<u8>]) -> Vec<Tick> {
    const PLENTY: usize = 512;
    let free: Vec<Tick> = attempts
        .iter()
        .filter(|place| of.get(**place).copied().flatten().is_none())
        .filter_map(|place| ticks.get(*place).copied())
        .collect();
    let step = free.len() / PLENTY + 1;
    free.into_iter().step_by(step).collect()
}

/// The places of the sorted circle of offsets within `width` that hold the most.
fn fullest_window(offsets: &[(u32, Time)], width: u32) -> Option<Vec<(u32, Time)>> {
    let count = offsets.len();
    let (mut best, mut end) = ((0, 0), 0);
    for start in 0..count {
        let low = offsets.get(start)?.0;
        end = end.max(start);
        while end < start + count && offsets.get(end % count)?.0.wrapping_sub(low) <= width {
            end += 1;
        }
        if end - start > best.1 - best.0 {
            best = (start, end);
        }
    }
    (best.1 > best.0).then(|| (best.0..best.1).filter_map(|place| offsets.get(place % count).copied()).collect())
}

/// Orders the clocks by their value at the end, as far as a circle has an order.
fn highest_first(found: &mut Clocks, length: Span) {
    let Some(reference) = found.clocks.first().map(|clock| clock.at(length)) else { return };
    let mut order: Vec<usize> = (0..found.clocks.len()).collect();
    order.sort_by_key(|place| {
        found.clocks.get(*place).map_or(0, |clock| -i64::from(clock.at(length).ahead_of(reference)))
    });
    let rank =
        |old: u8| order.iter().position(|place| *place == usize::from(old)).and_then(|place| u8::try_from(place).ok());
    for of in &mut found.of {
        *of = of.and_then(rank);
    }
    found.clocks = order.iter().filter_map(|place| found.clocks.get(*place).copied()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of clocks that take turns: (rate, value at time 0), one attempt each `step` milliseconds.
    fn ticks(clocks: &[(u32, u32)], count: usize, step: i64) -> Vec<Tick> {
        (0..count)
            .map(|k| {
                let (hertz, start) = clocks[k % clocks.len()];
                let at = Time::from_parts(1000, 0).plus(Span::from_millis(step * k as i64 + (k as i64 * 7) % 5));
                Tick {
                    at,
                    tsval: TsVal(start.wrapping_add(elapsed(hertz, at.since(Time::from_parts(1000, 0))))),
                    attempt: k as u64,
                }
            })
            .collect()
    }

    #[test]
    fn five_clocks_of_five_rates_are_told_apart() {
        let clocks = [(1000, 5_000_000), (250, 4_294_900_000), (100, 77_000), (300, 900_000), (1_000_000, 123)];
        let found = tell_apart(&ticks(&clocks, 200, 130));
        let mut rates: Vec<u32> = found.clocks.iter().map(|clock| clock.hertz).collect();
        rates.sort_unstable();
        assert_eq!(rates, [100, 250, 300, 1000, 1_000_000]);
        for (k, of) in found.of.iter().enumerate() {
            assert_eq!(*of, found.of[k % 5], "SYN {k}");
        }
    }

    #[test]
    fn equal_rates_two_seconds_apart_are_two_clocks() {
        let found = tell_apart(&ticks(&[(250, 10_000), (250, 10_500)], 60, 400));
        assert_eq!(found.clocks.len(), 2);
        assert!(found.clocks[0].start.0 > found.clocks[1].start.0, "the highest comes first");
    }

    #[test]
    fn random_offsets_are_no_clock() {
        let mut state = 1_u32;
        let random: Vec<Tick> = ticks(&[(1000, 0)], 100, 300)
            .into_iter()
            .map(|tick| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Tick { tsval: TsVal(tick.tsval.0.wrapping_add(state)), ..tick }
            })
            .collect();
        let found = tell_apart(&random);
        assert!(found.random && found.clocks.is_empty());
    }

    #[test]
    fn over_years_only_slow_clocks_draw_a_line() {
        let year = 365 * 86_400 * 1000;
        assert!(tell_apart(&ticks(&[(1_000_000, 0)], 6, year)).clocks.is_empty(), "drift fills the circle of 1 MHz");
        let found = tell_apart(&ticks(&[(100, 7)], 6, year));
        assert_eq!(found.clocks.iter().map(|clock| (clock.hertz, clock.attempts)).collect::<Vec<_>>(), [(100, 6)]);
        assert!(tell_apart(&ticks(&[(1000, 0)], 6, 40 * year)).clocks.is_empty());
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(tell_apart(&[]), Clocks::default());
        assert!(tell_apart(&ticks(&[(1000, 0)], 2, 1000)).clocks.is_empty());
    }
}
