//! How many stalls the detector finds, and how many it makes up: simulated series of probes over paths with heavy
//! tails and drifting baselines. The generator is deterministic, so the figures are the same everywhere.

use lastack::diagnosis::stall::{Look, Probe, Reading, Timing, against_schedule, read};
use lastack::time::{Span, Time};

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, never either.
    fn part(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.part()
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[(self.bits() % choice.len() as u64) as usize]
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.part().ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.part().ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }

    /// At least 0; its tail falls with the power `shape`.
    fn pareto(&mut self, scale: f64, shape: f64) -> f64 {
        scale * (self.part().powf(-1.0 / shape) - 1.0)
    }
}

/// What a path adds to a round trip, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    /// A quiet network.
    Lan,
    /// Heavy tails: most answers are near the base, few very late.
    Pareto { scale: f64, shape: f64 },
    /// Log-normal delays.
    LogNormal { median: f64, sigma: f64 },
    /// Exponential delays, as Wi-Fi has them.
    Exponential(f64),
    /// Some probes take anything up to `most`.
    Outliers { part: f64, most: f64 },
    /// The base moves: a sine, a ramp and a random walk.
    Drift { swing: f64, step: f64 },
    /// A queue that fills now and then over many probes and drains as slowly, or as fast as the link is free again.
    Bloat { drain: f64 },
}

/// One series: sending times and round trips, in milliseconds.
struct Series {
    sent: Vec<f64>,
    rtt: Vec<Option<f64>>,
}

impl Series {
    fn quiet(random: &mut Random, count: usize, interval: f64, path: Path) -> Self {
        let mut sent = Vec::new();
        let mut at = 0.0;
        for _ in 0..count {
            sent.push(at);
            // Timers fire late, never early, and senders keep no perfect pace.
            at += interval * (1.0 + 0.02 * random.part()) + random.exponential(0.1);
        }
        let base = random.between(0.3, 60.0);
        let (phase, mut walk, mut queue, mut last) = (random.between(0.0, 6.0), 0.0, 0.0_f64, 0.0);
        let (mut filling, mut rate) = (0, 0.0);
        let rtt = sent.iter().enumerate().map(|(n, at)| {
            let part = n as f64 / count as f64;
            let noise = match path {
                Path::Lan => random.exponential(0.2),
                Path::Pareto { scale, shape } => random.pareto(scale, shape),
                Path::LogNormal { median, sigma } => median * (sigma * random.normal()).exp(),
                Path::Exponential(mean) => random.exponential(mean),
                Path::Outliers { part, most } => {
                    random.exponential(0.5) + if random.part() < part { random.between(0.0, most) } else { 0.0 }
                }
                Path::Drift { swing, step } => {
                    walk = f64::max(walk + step * random.normal(), -base / 2.0);
                    swing * (1.0 + (phase + 9.0 * part).sin()) + swing * part + walk + random.exponential(1.0)
                }
                Path::Bloat { drain } => {
                    let step = at - last;
                    last = *at;
                    if filling == 0 && queue <= 0.0 && random.part() < 0.02 {
                        (filling, rate) = (6 + random.bits() % 30, random.between(0.1, 1.5));
                    }
                    let rate = if filling > 0 { rate } else { -drain };
                    filling = filling.saturating_sub(1);
                    queue = f64::max(queue + rate * step, 0.0);
                    queue + random.exponential(0.3)
                }
            };
            Some(base + noise)
        });
        let rtt = rtt.collect();
        Self { sent, rtt }
    }

    /// Holds everything that reaches the host from `from` to `until`; half the way is behind it.
    fn stall(&mut self, random: &mut Random, from: f64, until: f64) {
        let mut drain = 0.0;
        for (sent, rtt) in self.sent.iter().zip(&mut self.rtt) {
            let Some(rtt) = rtt else { continue };
            let reached = sent + *rtt / 2.0;
            if reached >= from && reached < until {
                drain += random.exponential(0.1);
                *rtt += until - reached + drain;
            }
        }
    }

    fn lose(&mut self, random: &mut Random, part: f64) {
        self.rtt.iter_mut().filter(|_| random.part() < part).for_each(|rtt| *rtt = None);
    }

    fn read(&self) -> Reading {
        let time = |millis: f64| Time((millis * 1e6) as i64).plus(Span::from_secs(1_700_000_000));
        let probe = |(sent, rtt): (&f64, &Option<f64>)| Probe {
            sent: time(*sent),
            rtt: rtt.map(|rtt| Span((rtt * 1e6) as i64)),
        };
        read(&self.sent.iter().zip(&self.rtt).map(probe).collect::<Vec<_>>(), Timing::Stamped)
    }
}

const INTERVALS: [f64; 6] = [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// How many of the stalls of `logs` series are found, with the true length inside what is told of it.
fn found(seed: u64, logs: u64, path: impl Fn(f64) -> Path) -> (u64, u64, u64, u64) {
    let (mut all, mut found, mut right, mut more) = (0, 0, 0, 0);
    for log in 0..logs {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(log));
        let interval = random.of(&INTERVALS) * random.between(0.9, 1.1);
        let path = path(interval);
        let mut series = Series::quiet(&mut random, 600, interval, path);
        let mut stalls = Vec::new();
        let mut at = random.between(20.0, 80.0) * interval;
        while at < 560.0 * interval && stalls.len() < 4 {
            let length = random.between(3.5, random_longest(interval)) * interval;
            series.stall(&mut random, at, at + length);
            stalls.push((at, at + length));
            at += length + random.between(30.0, 150.0) * interval;
        }
        series.lose(&mut random, 0.003);
        let reading = series.read();
        let origin = Time(0).plus(Span::from_secs(1_700_000_000));
        for (from, until) in &stalls {
            all += 1;
            let near = |release: Time| {
                let off = release.since(origin).millis() - until;
                (-5.0..interval + 250.0).contains(&off)
            };
            if let Some(stall) = reading.stalls.iter().find(|stall| near(stall.release.0)) {
                found += 1;
                let slack = 0.2 * interval + 10.0;
                let (least, most) = (stall.lasted.0.millis() - slack, stall.lasted.1.millis() + slack);
                right += u64::from((least..=most).contains(&(until - from)));
            }
        }
        more += (reading.stalls.len() as u64).saturating_sub(stalls.len() as u64);
    }
    (all, found, right, more)
}

fn random_longest(interval: f64) -> f64 {
    (3000.0 / interval).clamp(6.0, 40.0)
}

#[test]
fn stalls_are_found() {
    type Shape = fn(f64) -> Path;
    let paths: [(&str, Shape); 5] = [
        ("LAN", |_| Path::Lan),
        ("Pareto 2.5", |interval| Path::Pareto { scale: (0.06 * interval).min(8.0), shape: 2.5 }),
        ("Pareto 1.5", |interval| Path::Pareto { scale: (0.02 * interval).min(4.0), shape: 1.5 }),
        ("log-normal", |interval| Path::LogNormal { median: (0.1 * interval).min(20.0), sigma: 0.6 }),
        ("drift", |interval| Path::Drift { swing: 40.0, step: (0.03 * interval).min(2.0) }),
    ];
    let mut sum = (0, 0);
    for ((name, path), seed) in paths.into_iter().zip(100..) {
        let (all, found, right, more) = found(seed, 400, path);
        println!("{name}: {found} of {all} found, {right} with the true length in the bracket, {more} too many");
        assert!(found * 100 >= all * 98, "{name}: {found} of {all}");
        assert!(right * 100 >= found * 98, "{name}: bracket right for {right} of {found}");
        sum = (sum.0 + all, sum.1 + found);
    }
    println!("{} of {} found", sum.1, sum.0);
    assert!(sum.1 * 100 >= sum.0 * 99, "{} of {}", sum.1, sum.0);
}

/// A series of 200 probes every 100 ms over a quiet network, changed by `change` (number, sending time, round trip).
fn looks(change: impl Fn(usize, f64, f64) -> (f64, Option<f64>)) -> (usize, Vec<Look>) {
    let mut random = Random(7);
    let mut series = Series::quiet(&mut random, 200, 100.0, Path::Lan);
    let base = series.rtt.iter().flatten().fold(f64::MAX, |least, rtt| least.min(*rtt));
    for (n, (sent, rtt)) in series.sent.iter_mut().zip(&mut series.rtt).enumerate() {
        (*sent, *rtt) = change(n, *sent, rtt.unwrap() - base + 0.4);
    }
    let reading = series.read();
    (reading.stalls.len(), reading.looks)
}

#[test]
fn everything_else_is_called_by_its_name() {
    let (stalls, seen) = looks(|_, sent, rtt| (sent, Some(rtt)));
    assert_eq!((stalls, seen), (0, vec![]));
    // Address resolution: the first probes wait for it together.
    let (stalls, seen) = looks(|_, sent, rtt| (sent, Some(rtt + (900.0 - sent).max(0.0))));
    assert!(stalls == 0 && matches!(seen[..], [Look::FirstPacket(_)]), "{seen:?}");
    // Power save: everything waits for the next beacon of three.
    let (stalls, seen) = looks(|_, sent, rtt| (sent, Some(rtt + 307.2 - sent % 307.2)));
    assert!(stalls == 0 && matches!(seen[..], [Look::PeriodicHold { .. }]), "{seen:?}");
    let (stalls, seen) = looks(|_, sent, rtt| (sent, Some(rtt + 400.0)));
    assert!(stalls == 0 && matches!(seen[..], [Look::SlowPath(_)]), "{seen:?}");
    let (stalls, seen) = looks(|n, sent, rtt| (sent, (!(80..90).contains(&n)).then_some(rtt)));
    assert!(stalls == 0 && matches!(seen[..], [Look::Outage { probes: 10, .. }]), "{seen:?}");
    let (stalls, seen) = looks(|n, sent, rtt| (if n > 90 { sent + 5000.0 } else { sent }, Some(rtt)));
    assert!(stalls == 0 && matches!(seen[..], [Look::SenderGap { .. }]), "{seen:?}");
    let (stalls, seen) = looks(|n, sent, rtt| (sent, Some(if n == 77 { 700.0 } else { rtt })));
    assert!(stalls == 0 && matches!(seen[..], [Look::Outliers(1)]), "{seen:?}");
    let rise = |n: usize| if n < 100 { 40.0 * (n as f64 - 60.0) } else { 1600.0 - 60.0 * (n as f64 - 100.0) };
    let (stalls, seen) = looks(|n, sent, rtt| (sent, Some(rtt + rise(n).max(0.0))));
    assert!(stalls == 0 && matches!(seen[..], [Look::Queue { .. }]), "{seen:?}");
    let jump = |n: usize| if n < 100 { 0.0 } else { 1500.0 - 80.0 * (n as f64 - 100.0) };
    let (stalls, seen) = looks(|n, sent, rtt| (sent, Some(rtt + jump(n).max(0.0))));
    assert!(stalls == 0 && matches!(seen[..], [Look::SlowDrain(_)]), "{seen:?}");
    // Windows: the next probe waits for the answer.
    let late = |n: usize| if n > 120 { 700.0 } else { 0.0 };
    let (stalls, seen) = looks(|n, sent, rtt| (sent + late(n), Some(if n == 120 { 750.0 } else { rtt })));
    assert!(stalls == 0 && seen.contains(&Look::Serial), "{seen:?}");
    // A stall that comes back often, and long, is no power save.
    let (stalls, _) =
        looks(|_, sent, rtt| (sent, Some(rtt + (1500.0 - sent % 3000.0).max(0.0) * f64::from(sent > 3000.0))));
    assert!((5..=6).contains(&stalls), "{stalls}");
}

#[test]
fn no_series_makes_it_panic() {
    let odd = [i64::MIN, -1, 0, 1, 1_000_000, i64::MAX];
    for a in odd {
        for b in odd {
            let probe =
                |n: i64| Probe { sent: Time(a.wrapping_mul(n)), rtt: (n % 3 != 0).then_some(Span(b.wrapping_add(n))) };
            let probes: Vec<Probe> = (0..40).map(probe).collect();
            for timing in [Timing::Stamped, Timing::Counted] {
                let reading = read(&probes, timing);
                assert_eq!(reading.answered + reading.unanswered, 40);
            }
            let seen: Vec<(i64, Time)> =
                probes.iter().zip(0..).map(|(probe, n)| (b.wrapping_mul(n), probe.sent)).collect();
            assert_eq!(against_schedule(&seen).len(), 40);
        }
    }
    assert_eq!(read(&[], Timing::Stamped).looks, [Look::TooFew]);
}

#[test]
fn stalls_are_not_made_up() {
    let paths = [
        Path::Lan,
        Path::Pareto { scale: 3.0, shape: 1.2 },
        Path::Pareto { scale: 8.0, shape: 1.8 },
        Path::LogNormal { median: 36.0, sigma: 0.5 },
        Path::LogNormal { median: 15.0, sigma: 1.2 },
        Path::Exponential(30.0),
        Path::Outliers { part: 0.05, most: 800.0 },
        Path::Outliers { part: 0.2, most: 800.0 },
        Path::Outliers { part: 0.5, most: 800.0 },
        Path::Outliers { part: 1.0, most: 1000.0 },
        Path::Drift { swing: 150.0, step: 6.0 },
        Path::Bloat { drain: 0.3 },
        Path::Bloat { drain: 0.7 },
        Path::Bloat { drain: 0.93 },
        Path::Bloat { drain: 1.0 },
    ];
    let (mut logs, mut wrong) = (0, 0);
    for (path, seed) in paths.into_iter().zip(500..) {
        let mut here = 0;
        for log in 0..200_u64 {
            let mut random = Random(seed * 1_000_003 + log);
            let interval = random.of(&INTERVALS) * random.between(0.9, 1.1);
            let mut series = Series::quiet(&mut random, 600, interval, path);
            series.lose(&mut random, 0.01);
            here += u64::from(!series.read().stalls.is_empty());
            logs += 1;
        }
        println!("{path:?}: {here} of 200 with a false stall");
        wrong += here;
    }
    println!("{wrong} of {logs} with a false stall");
    assert!(wrong * 1000 <= logs, "{wrong} of {logs}");
}
