//! Walls: answers that arrive together after silence, and whether chance could have built them.
//!
//! In order of arrival, answers that come together form a group. Its wall is every member that was sent after all
//! probes whose answers came before the group: from then on nothing was answered until the release. The wall is weighed
//! against the series itself: how often do other probes show the excess that the tread before predicts?

use super::samples::{Sample, Samples, float, quantile, span};
use super::{Look, Stall, Timing};

/// A candidate for a stall.
#[derive(Clone, Debug)]
pub(super) struct Wall {
    /// Places in `answered`, in order of sending.
    pub members: Vec<usize>,
    /// What a round trip takes around it.
    pub base: f64,
    /// The first answer.
    pub release: f64,
    /// The last answer.
    pub last: f64,
    slope: f64,
    /// Answered probes sent meanwhile whose answers came later.
    stragglers: usize,
    /// Every answered probe before this place was answered before the release.
    passed: usize,
    /// It begins with the first probe, or with the first one after a long pause.
    head: bool,
}

/// Probes that must have waited: fewer may be chance.
const TREADS: usize = 3;

/// A shorter stall is nothing to look for, in milliseconds.
const LEAST: f64 = 20.0;

/// All walls, in order of release.
pub(super) fn walls(samples: &Samples) -> Vec<Wall> {
    let mut arrivals: Vec<(f64, usize)> =
        samples.answered.iter().enumerate().map(|(place, sample)| (sample.arrival(), place)).collect();
    arrivals.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    // The end, in sending order, of everything that was answered already.
    let mut passed = 0;
    let mut walls = Vec::new();
    for group in arrivals.chunk_by(|one, next| next.0 - one.0 <= samples.together) {
        let release = group.first().map_or(0.0, |(arrival, _)| *arrival);
        let members = group.iter().map(|(_, place)| *place).collect();
        walls.extend(held(samples, members, release).and_then(|run| wall(samples, run, release, passed)));
        passed = group.iter().map(|(_, place)| place + 1).max().unwrap_or(0).max(passed);
    }
    walls
}

/// Members with no probe between them that was answered before the release: the longest such run, and the end of
/// what was answered before it.
fn held(samples: &Samples, mut members: Vec<usize>, release: f64) -> Option<(Vec<usize>, usize)> {
    members.sort_unstable();
    let most = members.len().saturating_add(1);
    let answered = |place: usize| samples.answered.get(place).is_some_and(|sample| sample.arrival() < release);
    let apart = |one: &usize, next: &usize| next - one > most || (one + 1..*next).any(answered);
    let runs = members.chunk_by(|one, next| !apart(one, next));
    let run = runs.rev().max_by_key(|run| run.len()).filter(|run| run.len() >= 2)?;
    let first = *run.first()?;
    let before = (0..first).rev().take(most).find(|place| answered(*place));
    let passed = match before {
        Some(place) => place + 1,
        // All are late, as far back as a stall may have stragglers.
        None if first > most => return None,
        None => 0,
    };
    Some((run.to_vec(), passed))
}

fn wall(samples: &Samples, (mut members, passed): (Vec<usize>, usize), release: f64, newest: usize) -> Option<Wall> {
    let at = |place: &usize| samples.answered.get(*place).copied();
    let (first, last) = (*members.first()?, *members.last()?);
    let base = samples.around(first, last);
    // What was sent too late to have been held belongs to the time after it.
    members.retain(|place| at(place).is_some_and(|sample| sample.sent + base <= release + samples.together));
    // What is held longest in a queue may be overtaken when it starts to drain; by chance that is too easy.
    if newest > last && members.len() <= TREADS {
        return None;
    }
    let treads: Vec<Sample> = members.iter().filter_map(at).collect();
    let (top, bottom) = (treads.first()?, treads.last()?);
    // Counted sending times drift over a long wall; the round trip of its first probe was measured.
    let release = if samples.timing == Timing::Counted { top.arrival() } else { release };
    let stragglers = members.last()?.saturating_sub(passed).saturating_add(1).saturating_sub(members.len());
    let slope = slope(&treads);
    let high = treads.iter().filter(|tread| tread.rtt - base > 0.25 * samples.interval).count();
    let last = treads.iter().map(Sample::arrival).fold(f64::MIN, f64::max);
    let before = samples.sends.partition_point(|sent| *sent < top.sent);
    let paused = before.checked_sub(1).and_then(|place| samples.sends.get(place)).is_none_or(|earlier| {
        // Addresses are forgotten after half a minute and more.
        top.sent - earlier > (20.0 * samples.interval).max(30_000.0)
    });
    let tolerance = {
        let (count, interval) = (float(treads.len()), samples.interval);
        let spread = interval * (count * (count * count - 1.0) / 12.0).sqrt();
        (3.0 * samples.jitter / spread.max(1e-9)).clamp(0.1, 0.25)
    };
    let falls = (slope + 1.0).abs() <= tolerance && bottom.sent - top.sent >= 0.7 * samples.interval;
    let tall = top.rtt - base >= LEAST.min(2.0 * samples.interval) && high >= 2;
    let most = stragglers.saturating_mul(2) <= members.len().saturating_add(1);
    let wall = Wall { members, base, release, last, slope, stragglers, passed, head: passed == 0 || paused };
    (falls && tall && most && wall.jumps(samples)).then_some(wall)
}

/// The least-squares slope of the round trip over the sending time.
pub(super) fn slope(treads: &[Sample]) -> f64 {
    let count = float(treads.len().max(1));
    let mean = |of: fn(&Sample) -> f64| treads.iter().map(of).sum::<f64>() / count;
    let (sent, rtt) = (mean(|tread| tread.sent), mean(|tread| tread.rtt));
    let joint: f64 = treads.iter().map(|tread| (tread.sent - sent) * (tread.rtt - rtt)).sum();
    let square: f64 = treads.iter().map(|tread| (tread.sent - sent).powi(2)).sum();
    joint / square.max(1e-9)
}

impl Wall {
    fn treads<'a>(&'a self, samples: &'a Samples) -> impl Iterator<Item = &'a Sample> {
        self.members.iter().filter_map(|place| samples.answered.get(*place))
    }

    fn top<'a>(&'a self, samples: &'a Samples) -> Option<&'a Sample> {
        self.treads(samples).next()
    }

    /// How much longer than usual its first probe took.
    pub fn height(&self, samples: &Samples) -> f64 {
        self.top(samples).map_or(0.0, |top| top.rtt - self.base)
    }

    /// Times were normal just before: a queue would have risen.
    fn jumps(&self, samples: &Samples) -> bool {
        let before = samples.answered.get(self.passed.saturating_sub(2)..self.passed).unwrap_or(&[]);
        let least = before.iter().map(|sample| sample.rtt - self.base).fold(f64::MAX, f64::min);
        before.is_empty() || least < 0.5 * self.height(samples)
    }

    /// Treads that stand clear of what is usual.
    fn clear(&self, samples: &Samples) -> usize {
        self.treads(samples).filter(|tread| tread.rtt - self.base > 0.25 * samples.interval).count()
    }

    /// How often chance would build such a wall somewhere in the series, if other probes are what chance does: an
    /// excess at the top as large as this one, and each following one where the tread before it predicts.
    fn chance(&self, samples: &Samples, usual: &Usual) -> f64 {
        let treads: Vec<&Sample> = self.treads(samples).collect();
        let steps = || treads.iter().zip(treads.iter().skip(1));
        let apart = steps().map(|(one, next)| (next.arrival() - one.arrival()).abs()).fold(0.5, f64::max);
        let height = self.height(samples);
        let near = usual.near(self.members.first().copied().unwrap_or(0));
        let (all, places) = (float(near.len()) + 1.0, float(samples.answered.len()));
        let count =
            |from: f64, until: f64| float(near.iter().filter(|excess| (from..=until).contains(*excess)).count());
        // One probe more than were seen, anywhere below the top: nothing is impossible.
        let unseen = (2.0 * apart / height.max(1.0)).min(1.0);
        let top = (count(height - apart, f64::MAX) + 1.0) / all;
        steps().fold(places * top, |chance, (one, next)| {
            let predicted = one.rtt - self.base - (next.sent - one.sent);
            chance * ((count(predicted - apart, predicted + apart) + unseen) / all).min(1.0)
        })
    }

    /// The largest excess of the round trips around it; what takes more than an interval is a story of its own.
    fn sluggish(&self, samples: &Samples) -> f64 {
        let ends = self.members.first().zip(self.members.last());
        let (before, after) = ends.map(|(first, last)| samples.beside(*first, *last)).unwrap_or_default();
        let excess = before
            .iter()
            .chain(after)
            .map(|sample| sample.rtt - self.base)
            .filter(|excess| *excess <= samples.interval);
        excess.fold(0.0, f64::max)
    }

    /// As told to others.
    pub fn stall(&self, samples: &Samples) -> Stall {
        let treads: Vec<&Sample> = self.treads(samples).collect();
        let (top, bottom) = (treads.first().map_or(0.0, |t| t.sent), treads.last().map_or(0.0, |t| t.sent));
        let good =
            self.passed.checked_sub(1).and_then(|place| samples.answered.get(place)).map_or(top, |good| good.sent);
        let silent = (self.release - top - self.base).max(0.0);
        // The answers of the burst needed their way as well, and may have been as slow there as their neighbours.
        let least = (silent - self.sluggish(samples)).max(0.0);
        // Probes lost just before the first held one may have been dropped before the stall or in it.
        let likely = (top - good).min(samples.interval) / 2.0;
        let meanwhile = Samples::between(&samples.lost, good, self.release - self.base);
        let tail = meanwhile.last().is_some_and(|lost| *lost > bottom)
            && self.release - bottom - self.base > samples.interval.mul_add(0.5, samples.together);
        Stall {
            held: treads.iter().map(|tread| tread.place).collect(),
            release: (samples.time(self.release), samples.time(self.last)),
            began: (samples.time(good), samples.time(top)),
            start: samples.time(top - likely),
            lasted: (span(least), span(silent + (top - good))),
            length: span(silent + likely),
            stragglers: self.stragglers,
            lost: meanwhile.len(),
            tail_drop: tail,
            slope: self.slope,
        }
    }
}

/// What probes beside the walls took beyond their neighbours.
struct Usual {
    /// Place in `answered` and excess, by place.
    excess: Vec<(usize, f64)>,
}

impl Usual {
    fn of(samples: &Samples, walls: &[Wall]) -> Self {
        let mut held: Vec<usize> = walls.iter().flat_map(|wall| wall.members.iter().copied()).collect();
        held.sort_unstable();
        let free = (0..samples.answered.len()).filter(|place| held.binary_search(place).is_err());
        let excess = |place: usize| {
            let sample = samples.answered.get(place)?;
            Some((place, sample.rtt - samples.around(place, place)))
        };
        Self { excess: free.filter_map(excess).collect() }
    }

    /// The excesses nearest to a place: a path has quiet and noisy times.
    fn near(&self, place: usize) -> Vec<f64> {
        let middle = self.excess.partition_point(|(at, _)| *at < place);
        let first = middle.saturating_sub(NEAR);
        self.excess.iter().skip(first).take(2 * NEAR).map(|(_, excess)| *excess).collect()
    }
}

/// Probes on either side of a wall that say what chance does.
const NEAR: usize = 300;

/// The product of two chances, the height's and the treads', is this small about fifteen times as often as it says, so
/// that one series in two thousand shows a stall by chance.
const CHANCE: f64 = 3e-5;

/// Which walls are stalls, and what the others are.
pub(super) fn judge(samples: &Samples, mut walls: Vec<Wall>) -> (Vec<Wall>, Vec<Look>) {
    let mut looks = Vec::new();
    let (stairs, short): (Vec<Wall>, Vec<Wall>) = walls.drain(..).partition(|wall| wall.clear(samples) >= TREADS);
    let usual = Usual::of(samples, &stairs);
    let (mut sure, chance): (Vec<Wall>, Vec<Wall>) =
        stairs.into_iter().partition(|wall| wall.chance(samples, &usual) <= CHANCE);
    if let Some(hold) = periodic(samples, &sure, &short) {
        looks.push(Look::PeriodicHold { hold: span(hold) });
        // A hold four times as long as the usual one is more than that.
        sure.retain(|wall| wall.height(samples) > 4.0 * hold);
    } else if chance.is_empty() {
        // Two that stand alone and could be nothing else are worth a word.
        let alone = short.iter().filter(|wall| !wall.head && wall.height(samples) > 1.2 * samples.interval);
        looks.extend(
            alone
                .filter(|wall| wall.chance(samples, &usual) <= 0.05)
                .map(|wall| Look::Weak(samples.time(wall.release))),
        );
    }
    let (head, stalls): (Vec<Wall>, Vec<Wall>) = sure.into_iter().partition(|wall| wall.head);
    looks.extend(head.iter().map(|wall| Look::FirstPacket(samples.time(wall.release))));
    (stalls, looks)
}

/// How long a hold lasts where holds follow each other: short ones that cover much of the series, with hardly a quiet
/// time between them. A stall that comes back has quiet time in between.
fn periodic(samples: &Samples, stairs: &[Wall], short: &[Wall]) -> Option<f64> {
    let mut all: Vec<&Wall> = stairs.iter().chain(short).collect();
    all.sort_by(|one, other| one.release.total_cmp(&other.release));
    let covered: usize = all.iter().map(|wall| wall.members.len()).sum();
    let hold = quantile(all.iter().map(|wall| wall.height(samples)).collect(), 0.5);
    let first_sent = |wall: &Wall| wall.top(samples).map_or(wall.release, |top| top.sent);
    let quiet = all.iter().zip(all.iter().skip(1)).map(|(one, next)| (first_sent(next) - one.release).max(0.0));
    let quiet = quantile(quiet.collect(), 0.5);
    let dense = covered.saturating_mul(5) > samples.answered.len().saturating_mul(2);
    let endless = quiet <= (2.5 * samples.interval).min(0.5 * hold);
    // The longest that Wi-Fi sleeps in practice is ten beacons of 102.4 ms.
    (stairs.len() >= 4 && dense && endless && hold <= 1100.0).then_some(hold)
}
