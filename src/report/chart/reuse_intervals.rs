//! How soon socket pairs were used again after their TIME-WAIT began, and what the peer answered.
//!
//! A histogram over four minutes, the 2MSL of RFC 9293 (section 3.4.2), with the cumulative share as a line. Where
//! half of the intervals are shorter than five seconds, the time axis is logarithmic.

use crate::time::Span;

use super::axis::{Axis, Tick, decimal, grouped, percent};
use super::colour::{self, Colour, GREY, INK, MUTED};
use super::frame::{self, Flag, Hatch, Head, Key, Plot, Swatch, TEXT};
use super::scene::{Anchor, Point, Scene};
use crate::language::{Joint, Text, say, words};

/// Reuses of socket pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct ReuseIntervals {
    /// The reuses, in any order.
    pub reuses: Vec<Reuse>,
    /// How long TIME-WAIT is taken to last (2MSL).
    pub two_msl: Span,
}

/// One reuse of a socket pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// From the start of TIME-WAIT to the first SYN of the new incarnation.
    pub interval: Span,
    /// What the peer made of it.
    pub outcome: ReuseOutcome,
}

/// What a peer made of a SYN on a socket pair that was in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReuseOutcome {
    /// It opened.
    Accepted,
    /// A challenge ACK came, a RST went, and the next SYN opened it.
    ChallengedThenAccepted,
    /// A challenge ACK came, and it never opened.
    Challenged,
    /// A RST came.
    Refused,
    /// Nothing came.
    Unanswered,
}

const OUTCOMES: [ReuseOutcome; 5] = [
    ReuseOutcome::Accepted,
    ReuseOutcome::ChallengedThenAccepted,
    ReuseOutcome::Challenged,
    ReuseOutcome::Refused,
    ReuseOutcome::Unanswered,
];

impl ReuseOutcome {
    fn words(self) -> &'static str {
        match self {
            Self::Accepted => words!("accepted"),
            Self::ChallengedThenAccepted => words!("challenged, then accepted"),
            Self::Challenged => words!("challenged"),
            Self::Refused => words!("refused"),
            Self::Unanswered => words!("unanswered"),
        }
    }

    fn look(self) -> (Colour, Hatch) {
        match self {
            Self::Accepted => (colour::BLUE, Hatch::Plain),
            Self::ChallengedThenAccepted => (colour::SKY, Hatch::Rising),
            Self::Challenged => (colour::PURPLE, Hatch::Level),
            Self::Refused => (colour::ORANGE, Hatch::Falling),
            Self::Unanswered => (colour::VERMILLION, Hatch::Crossed),
        }
    }
}

/// The bars: bar `n` covers from edge `n` to the next, in seconds; the last has everything longer.
#[derive(Clone, Debug, PartialEq)]
struct Bins {
    edges: Vec<f64>,
    logarithmic: bool,
}

impl Bins {
    /// Five seconds each, up to four minutes.
    fn linear() -> Self {
        Self { edges: (0..=48).map(|index| f64::from(index) * 5.0).collect(), logarithmic: false }
    }

    /// Eight to a power of ten, from a millisecond to a thousand seconds.
    fn logarithmic() -> Self {
        Self { edges: (-24..=24).map(|index| 10f64.powf(f64::from(index) / 8.0)).collect(), logarithmic: true }
    }

    /// The bar an interval belongs to; what is shorter than the first edge is in the first bar.
    fn index(&self, seconds: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= seconds).saturating_sub(1)
    }

    /// The axis has room at its end for the bar of everything longer.
    fn axis(&self) -> Axis {
        let label = |at: f64| Tick { at, label: decimal(at, if at > 0.0 { at.min(1.0) } else { 1.0 }) };
        let longer = |at: f64| Tick { at, label: "longer".to_owned() };
        let (from, last) = (self.edges.first().copied().unwrap_or(0.0), self.edges.last().copied().unwrap_or(1.0));
        if self.logarithmic {
            let until = last * 3.2;
            let ticks = (-3..=3).map(|power| label(10f64.powi(power))).chain([longer(last * 2.55)]).collect();
            Axis { from, until, logarithmic: true, ticks }
        } else {
            let ticks = (0..=12).map(|index| label(f64::from(index) * 20.0)).chain([longer(last + 16.0)]).collect();
            Axis { from, until: last + 22.0, logarithmic: false, ticks }
        }
    }

    /// Where a bar begins and ends, in parts of the axis.
    fn ends(&self, axis: &Axis, index: usize) -> (f64, f64) {
        match (self.edges.get(index), self.edges.get(index.saturating_add(1))) {
            (Some(from), Some(until)) => (axis.part(*from), axis.part(*until)),
            _ => (0.955, 1.0),
        }
    }
}

impl ReuseIntervals {
    pub(super) fn describe(&self) -> Text {
        let shortest = self.reuses.iter().map(|reuse| reuse.interval).min();
        let early = self.reuses.iter().filter(|reuse| reuse.interval < self.two_msl).count();
        let outcomes = OUTCOMES.map(|outcome| {
            say!("{number} {outcome}", number = grouped(self.count(outcome)), outcome = Text::of(outcome.words()))
        });
        say!(
            "{reuses} reuses of socket pairs by interval; {early} before 2MSL of {two_msl}, the shortest after \
             {shortest}; {outcomes}",
            reuses = grouped(self.reuses.len() as u64),
            early = grouped(early as u64),
            two_msl = self.two_msl,
            shortest = shortest.map_or_else(|| "-".to_owned(), |span| span.to_string()),
            outcomes = Text::joined(Joint::Commas, outcomes),
        )
    }

    fn count(&self, outcome: ReuseOutcome) -> u64 {
        self.reuses.iter().filter(|reuse| reuse.outcome == outcome).count() as u64
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let bins = self.bins();
        let (x, counts) = (bins.axis(), self.binned(&bins));
        let tallest = counts.iter().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or(0);
        let y = Axis::counts(tallest, 5.0);
        let flags = self.flags(&x);
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys());
        let room = frame::flag_room(50.0, 870.0, &flags);
        let plot = Plot::below(top + 22.0 + room, &y, 74.0, 300.0 - room / 2.0);
        let title_above = Plot { top: plot.top - room, ..plot };
        scene.text((frame::MARGIN, title_above.top - 7.0), Anchor::Start, TEXT, MUTED, "reuses");
        scene.text((plot.right() + 50.0, title_above.top - 7.0), Anchor::End, TEXT, MUTED, "share so far");
        plot.vertical(&mut scene, &y, "");
        let title = "seconds from the start of TIME-WAIT to the next SYN";
        let bottom = plot.horizontal(&mut scene, &x, title);
        for (index, bar) in counts.iter().enumerate() {
            draw_bar(&mut scene, &plot, &y, bins.ends(&x, index), bar);
        }
        frame::flags(&mut scene, &plot, &flags);
        draw_share_axis(&mut scene, &plot);
        scene.path(self.cumulative(&bins, &x, &plot), 1.75, INK);
        if self.reuses.is_empty() {
            plot.nothing(&mut scene, "no socket pair was used again");
        }
        frame::finish(&mut scene, bottom, &self.notes(&bins));
        scene
    }

    fn bins(&self) -> Bins {
        let mut intervals: Vec<Span> = self.reuses.iter().map(|reuse| reuse.interval).collect();
        intervals.sort_unstable();
        let median = intervals.get(intervals.len() / 2);
        if median.is_some_and(|median| *median < Span::from_secs(5)) { Bins::logarithmic() } else { Bins::linear() }
    }

    /// Reuses of each outcome in each bar.
    fn binned(&self, bins: &Bins) -> Vec<[u64; 5]> {
        let mut counts = vec![[0_u64; 5]; bins.edges.len()];
        for reuse in &self.reuses {
            let outcome = OUTCOMES.iter().position(|outcome| *outcome == reuse.outcome).unwrap_or(0);
            let bar = counts.get_mut(bins.index(reuse.interval.secs())).and_then(|bar| bar.get_mut(outcome));
            if let Some(count) = bar {
                *count = count.saturating_add(1);
            }
        }
        counts
    }

    fn flags(&self, x: &Axis) -> Vec<Flag> {
        let two_msl = self.two_msl.secs();
        let marked = [60.0, 120.0, 240.0].map(|seconds| {
            let suffix = if (two_msl - seconds).abs() < 1e-9 { " = 2MSL" } else { "" };
            (seconds, format!("{seconds} s{suffix}"))
        });
        let own = (two_msl, format!("2MSL = {} s", decimal(two_msl, if two_msl.fract() == 0.0 { 1.0 } else { 0.1 })));
        let own = (!marked.iter().any(|(seconds, _)| (two_msl - seconds).abs() < 1e-9)).then_some(own);
        let colour = |seconds: f64| {
            if (two_msl - seconds).abs() < 1e-9 { INK } else { GREY }
        };
        let all = own.into_iter().chain(marked);
        all.map(|(seconds, text)| Flag { part: x.part(seconds), text, colour: colour(seconds) }).collect()
    }

    fn keys(&self) -> Vec<Key> {
        let seen = OUTCOMES.into_iter().filter(|outcome| self.count(*outcome) > 0);
        let mut keys: Vec<Key> = seen
            .map(|outcome| {
                let (colour, hatch) = outcome.look();
                Key::new(Swatch::Bar(colour, hatch), format!("{} ({})", outcome.words(), grouped(self.count(outcome))))
            })
            .collect();
        if !self.reuses.is_empty() {
            keys.push(Key::new(Swatch::Line(INK), "share of all reuses so far (right axis)"));
        }
        keys
    }

    /// The share of reuses up to each edge, as a line.
    fn cumulative(&self, bins: &Bins, x: &Axis, plot: &Plot) -> Vec<Point> {
        if self.reuses.is_empty() {
            return Vec::new();
        }
        let mut intervals: Vec<f64> = self.reuses.iter().map(|reuse| reuse.interval.secs()).collect();
        intervals.sort_unstable_by(f64::total_cmp);
        let end = bins.edges.last().copied().unwrap_or(0.0);
        let mut points = vec![(plot.left, plot.bottom())];
        // One step a pixel is as fine as can be seen.
        for pixel in 1..=840_u32 {
            let part = f64::from(pixel) / 840.0;
            let seconds =
                if x.logarithmic { x.from * (x.until / x.from).powf(part) } else { x.from + (x.until - x.from) * part };
            let until = if seconds > end { f64::MAX } else { seconds };
            #[allow(clippy::cast_precision_loss)]
            let share = intervals.partition_point(|interval| *interval <= until) as f64 / intervals.len() as f64;
            step_to(&mut points, (plot.x(part), plot.bottom() - plot.height * share * FULL_SHARE));
        }
        points
    }

    fn notes(&self, bins: &Bins) -> Vec<String> {
        let end = bins.edges.last().copied().unwrap_or(0.0);
        let longer = self.reuses.iter().filter(|reuse| reuse.interval.secs() >= end).count() as u64;
        let early = self.reuses.iter().filter(|reuse| reuse.interval < self.two_msl).count() as u64;
        let all = self.reuses.len() as u64;
        let mut notes = Vec::new();
        if all > 0 {
            notes.push(format!(
                "{} of {} ({}) came before 2MSL had passed.",
                grouped(early),
                grouped(all),
                percent(early, all)
            ));
        }
        if longer > 0 {
            notes.push(format!("The last bar counts the {} after {end:.0} s or more.", grouped(longer)));
        }
        vec![notes.join(" ")]
    }
}

/// How far up the plot 100 % is, so that the line does not run along the frame.
const FULL_SHARE: f64 = 1.0 / 1.05;

/// Appends a step to a line, or makes the last one longer where it stays level.
fn step_to(points: &mut Vec<Point>, (x, y): Point) {
    match points.as_mut_slice() {
        [.., before, last] if before.1 == last.1 && last.1 == y => last.0 = x,
        [.., last] if last.1 == y => points.push((x, y)),
        [.., last] => {
            let corner = (x, last.1);
            points.extend([corner, (x, y)]);
        }
        [] => points.push((x, y)),
    }
}

fn draw_bar(scene: &mut Scene, plot: &Plot, y: &Axis, (from, until): (f64, f64), counts: &[u64; 5]) {
    let (left, right) = (plot.x(from) + 0.75, plot.x(until) - 0.75);
    let mut below = 0.0;
    for (outcome, count) in OUTCOMES.into_iter().zip(counts).filter(|(_, count)| **count > 0) {
        #[allow(clippy::cast_precision_loss)]
        let above = below + *count as f64;
        let (top, bottom) = (plot.y(y.part(above)), plot.y(y.part(below)));
        let (colour, hatch) = outcome.look();
        frame::bar(scene, (left, top), (right - left, bottom - top), colour, hatch);
        below = above;
    }
}

fn draw_share_axis(scene: &mut Scene, plot: &Plot) {
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = plot.bottom() - plot.height * share * FULL_SHARE;
        scene.line((plot.right(), y), (plot.right() + 5.0, y), 1.0, colour::RULE);
        let label = format!("{:.0} %", share * 100.0);
        scene.text((plot.right() + 8.0, y + 4.5), Anchor::Start, TEXT, MUTED, label);
    }
    scene.line((plot.right(), plot.top), (plot.right(), plot.bottom()), 1.0, colour::RULE);
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;

    fn reuse(seconds: f64, outcome: ReuseOutcome) -> Reuse {
        Reuse { interval: Span::from_secs_f64(seconds), outcome }
    }

    #[test]
    fn an_interval_is_in_one_bar() {
        let bins = Bins::linear();
        let bars = [-3.0, 0.0, 4.999, 5.0, 59.999, 60.0, 239.0, 240.0, 1e9].map(|seconds| bins.index(seconds));
        assert_eq!(bars, [0, 0, 0, 1, 11, 12, 47, 48, 48]);
        let bins = Bins::logarithmic();
        assert_eq!([0.0, 0.0001, 1.0, 2000.0].map(|seconds| bins.index(seconds)), [0, 0, 24, 48]);
    }

    #[test]
    fn early_reuse_is_seen_on_a_logarithmic_axis() {
        let data = |seconds: f64| ReuseIntervals {
            reuses: vec![reuse(seconds, ReuseOutcome::Accepted); 3],
            two_msl: Span::from_secs(60),
        };
        assert!(data(0.2).bins().logarithmic);
        assert!(!data(61.0).bins().logarithmic);
    }

    #[test]
    fn two_msl_has_one_line() {
        let texts = |seconds: i64| {
            let data = ReuseIntervals { reuses: Vec::new(), two_msl: Span::from_secs(seconds) };
            data.flags(&Bins::linear().axis()).into_iter().map(|flag| flag.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(60), ["60 s = 2MSL", "120 s", "240 s"]);
        assert_eq!(texts(62), ["2MSL = 62 s", "60 s", "120 s", "240 s"]);
    }

    #[test]
    fn the_line_rises_to_all() {
        let data = ReuseIntervals {
            reuses: [1.0, 61.0, 900.0].map(|seconds| reuse(seconds, ReuseOutcome::Refused)).to_vec(),
            two_msl: Span::from_secs(60),
        };
        let plot = Plot { left: 0.0, top: 0.0, width: 840.0, height: 105.0 };
        let line = data.cumulative(&data.bins(), &data.bins().axis(), &plot);
        assert_eq!(line.first(), Some(&(0.0, 105.0)));
        assert!((line.last().unwrap().1 - 5.0).abs() < 1e-9);
        assert!(line.len() < 13, "{}", line.len());
    }

    fn many(count: u32, scale: f64) -> ReuseIntervals {
        let part = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let reuses = (0..count).map(|n| {
            let seconds = scale * (part(n) * 6.0).exp();
            let outcome = OUTCOMES[[0, 0, 0, 0, 1, 0, 2, 0, 3, 4, 0, 1][n as usize % 12]];
            reuse(seconds, outcome)
        });
        ReuseIntervals { reuses: reuses.collect(), two_msl: Span::from_secs(60) }
    }

    #[test]
    fn reuses_are_drawn() {
        let expected = ["accepted (", "challenged, then accepted (", "60 s = 2MSL", "240 s", "reuses", "100 %"];
        check::draws("reuse-linear", Picture::ReuseIntervals(many(2000, 1.5)), &expected);
        check::draws("reuse-log", Picture::ReuseIntervals(many(10_000, 0.02)), &expected);
        let odd = ReuseIntervals { two_msl: Span::from_millis(61_500), ..many(40, 2.0) };
        check::draws("reuse-odd-msl", Picture::ReuseIntervals(odd), &["2MSL = 61.5 s"]);
    }

    #[test]
    fn few_or_none_are_drawn() {
        let none = ReuseIntervals { reuses: Vec::new(), two_msl: Span::from_secs(240) };
        check::draws("reuse-none", Picture::ReuseIntervals(none), &["no socket pair was used again"]);
        let one = ReuseIntervals { reuses: vec![reuse(3.7, ReuseOutcome::Unanswered)], two_msl: Span::from_secs(60) };
        check::draws("reuse-one", Picture::ReuseIntervals(one), &["1 of 1 (100 %)"]);
    }
}
