//! The timestamps of SYNs over time, against the value the server remembers for their address.
//!
//! It shows what the per-host check of `tcp_tw_recycle` does (`tcp_peer_is_proven` of Linux before 4.12): a SYN whose
//! TSval is behind the remembered one is dropped for 60 s. TSvals live on a circle of 2^32 ticks (RFC 7323, section
//! 5.2), so the picture needs a reference: see [`Reference`].

use crate::time::Time;

use super::axis::{Axis, TimeAxis, grouped, grouped_f64};
use super::colour::{self, BLUE, GREY, INK, ORANGE, VERMILLION};
use super::frame::{self, Head, Key, Plot, Swatch};
use super::scene::{Mark, Point, Scene};
use super::thin;
use crate::language::{Text, say};

/// SYNs of one address towards one server, and what the server remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SynTimestamps {
    /// The SYN segments that carry timestamps, in any order.
    pub syns: Vec<SynMark>,
    /// The remembered values in order of time, each from when it was learned to when it expires or is replaced.
    pub remembered: Vec<Remembered>,
}

/// One SYN segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynMark {
    /// When it was captured.
    pub at: Time,
    /// Its TSval, in ticks of the sender's clock.
    pub tsval: u32,
    /// What became of it.
    pub fate: SynFate,
    /// Which client clock it belongs to, counted from 0, where they can be told apart.
    pub clock: Option<u8>,
}

/// What became of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SynFate {
    /// Something answered it.
    Answered,
    /// Nothing answered, and its TSval was behind the remembered value while that was valid.
    UnansweredBehind,
    /// Nothing answered, though the remembered value does not explain it.
    UnansweredOther,
}

/// A TSval that the server remembers for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// When it was learned.
    pub from: Time,
    /// When it ceased to count: replaced, or 60 s old.
    pub until: Time,
    /// The value, in ticks.
    pub tsval: u32,
}

/// What the vertical axis counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reference {
    /// From this TSval upwards. All values lie within half the circle from it, so that behind is below and the
    /// values of one clock are on one line.
    Lowest(u32),
    /// From the value remembered at the time, down to -2^31 and up to 2^31: with values all over the circle only this
    /// difference says which are behind.
    Remembered,
    /// From this TSval once around; nothing is remembered, so nothing is behind.
    Circle(u32),
}

const HALF_CIRCLE: u64 = 1 << 31;
const CIRCLE: u64 = 1 << 32;
const FATES: [SynFate; 3] = [SynFate::Answered, SynFate::UnansweredOther, SynFate::UnansweredBehind];

impl SynTimestamps {
    pub(super) fn describe(&self) -> Text {
        let [answered, other, behind] = FATES.map(|fate| grouped(self.count(fate)));
        say!(
            "{syns} SYNs over time with their TSval; {answered} answered, {behind} unanswered and behind the value the \
             server remembers, {other} unanswered otherwise; {remembered} remembered values",
            syns = grouped(self.syns.len() as u64),
            answered,
            behind,
            other,
            remembered = grouped(self.remembered.len() as u64),
        )
    }

    fn count(&self, fate: SynFate) -> u64 {
        self.syns.iter().filter(|syn| syn.fate == fate).count() as u64
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let reference = self.reference();
        let time = TimeAxis::over(self.times());
        let (y, title) = self.vertical(reference);
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys());
        let plot = Plot::below(top + 26.0, &y, frame::MARGIN, 310.0);
        plot.vertical(&mut scene, &y, &title);
        let bottom = plot.horizontal(&mut scene, &time.axis, &time.title);
        if self.syns.is_empty() {
            plot.nothing(&mut scene, "no SYN with a timestamp");
        }
        let place = |at: Time, value: f64| (plot.x(time.part(at)), plot.y(y.part(value)));
        let runs = self.remembered_runs(reference, place);
        for run in &runs {
            scene.area(closed_below(run, plot.bottom()), VERMILLION.faded(0.09));
        }
        let drawn = self.draw_marks(&mut scene, |syn| place(syn.at, self.height(reference, syn.at, syn.tsval)));
        for run in runs {
            scene.path(run, 2.0, INK);
        }
        frame::finish(&mut scene, bottom, &self.notes(reference, drawn));
        scene
    }

    fn times(&self) -> impl Iterator<Item = Time> {
        // Not the ends of validity: sixty seconds would squeeze a short capture into a corner.
        self.syns.iter().map(|syn| syn.at).chain(self.remembered.iter().map(|value| value.from))
    }

    fn reference(&self) -> Reference {
        let mut values: Vec<u32> = self.syns.iter().map(|syn| syn.tsval).collect();
        values.extend(self.remembered.iter().map(|value| value.tsval));
        values.sort_unstable();
        let (gap, lowest) = largest_gap(&values);
        match gap {
            HALF_CIRCLE.. => Reference::Lowest(lowest),
            _ if !self.remembered.is_empty() => Reference::Remembered,
            // An eighth of the circle without values is a place to cut it; otherwise zero is as good.
            _ if gap >= CIRCLE / 8 => Reference::Circle(lowest),
            _ => Reference::Circle(0),
        }
    }

    /// The value on the vertical axis, in ticks.
    fn height(&self, reference: Reference, at: Time, tsval: u32) -> f64 {
        match reference {
            Reference::Lowest(base) | Reference::Circle(base) => f64::from(tsval.wrapping_sub(base)),
            Reference::Remembered => {
                let difference = tsval.wrapping_sub(self.remembered_at(at));
                f64::from(difference.cast_signed())
            }
        }
    }

    /// The value learned last before `at`, be it valid or not; before the first, that one.
    fn remembered_at(&self, at: Time) -> u32 {
        let later = self.remembered.partition_point(|value| value.from <= at);
        self.remembered.get(later.saturating_sub(1)).map_or(0, |value| value.tsval)
    }

    fn vertical(&self, reference: Reference) -> (Axis, String) {
        let syns = self.syns.iter().map(|syn| self.height(reference, syn.at, syn.tsval));
        let remembered = self.remembered.iter().map(|value| self.height(reference, value.from, value.tsval));
        let ends = syns.chain(remembered).fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(least, most)| (least.min(value), most.max(value))))
        });
        let (least, most) = ends.unwrap_or((0.0, 1.0));
        let room = ((most - least) * 0.05).max(2.0);
        let millions = most - least >= 2e7;
        let label = |value: f64, _step: f64| {
            if millions { grouped_f64(value / 1e6) } else { grouped_f64(value) }
        };
        let unit = if millions { "million ticks" } else { "ticks" };
        let title = match reference {
            Reference::Lowest(base) | Reference::Circle(base) => {
                format!("TSval, {unit} above {}", grouped(base.into()))
            }
            Reference::Remembered => {
                format!("TSval minus the value remembered at the time, {unit}")
            }
        };
        (Axis::linear(least - room, most + room, 6.0, label), title)
    }

    fn keys(&self) -> Vec<Key> {
        let clocks = self.clocks();
        let mut keys = Vec::new();
        for fate in FATES.into_iter().filter(|fate| self.count(*fate) > 0) {
            let colour = if clocks.is_empty() { colour_of(fate) } else { INK };
            let text = format!("{} ({})", words(fate), grouped(self.count(fate)));
            keys.push(Key::new(Swatch::Mark(mark_of(fate), colour), text));
        }
        if !self.remembered.is_empty() {
            keys.push(Key::new(Swatch::Line(INK), "value the server remembers, while valid; shaded: behind it"));
        }
        let named = clocks.iter().filter(|clock| usize::from(**clock) < colour::SERIES.len());
        keys.extend(named.map(|clock| {
            Key::new(Swatch::Mark(Mark::Square, colour::series((*clock).into())), format!("clock {}", letter(*clock)))
        }));
        if clocks.iter().any(|clock| usize::from(*clock) >= colour::SERIES.len())
            || (!clocks.is_empty() && self.syns.iter().any(|syn| syn.clock.is_none()))
        {
            keys.push(Key::new(Swatch::Mark(Mark::Square, GREY), "another clock, or none told"));
        }
        keys
    }

    /// The clocks that occur, in ascending order.
    fn clocks(&self) -> Vec<u8> {
        let mut clocks: Vec<u8> = self.syns.iter().filter_map(|syn| syn.clock).collect();
        clocks.sort_unstable();
        clocks.dedup();
        clocks
    }

    /// Draws the SYNs; returns how many marks that took.
    fn draw_marks(&self, scene: &mut Scene, place: impl Fn(&SynMark) -> Point) -> usize {
        let mut drawn = 0;
        let with_clocks = self.syns.iter().any(|syn| syn.clock.is_some());
        // Unanswered SYNs are what the picture is about: they are drawn over the others.
        for fate in FATES {
            let of_fate = self.syns.iter().filter(|syn| syn.fate == fate);
            let marks: Vec<_> = of_fate.map(|syn| (place(syn), syn.clock)).collect();
            // Each fate has its own budget; together they stay below 300 kB of SVG.
            let cost = match fate {
                SynFate::Answered => 2,
                SynFate::UnansweredOther => 3,
                SynFate::UnansweredBehind => 5,
            };
            for (at, clock) in thin::thinned(&marks, |_| cost) {
                let colour = if with_clocks { clock_colour(clock) } else { colour_of(fate) };
                scene.mark(mark_of(fate), at, 3.8, colour);
                drawn += 1;
            }
        }
        drawn
    }

    /// The remembered values as step lines, one for each stretch of time without a gap.
    fn remembered_runs(&self, reference: Reference, place: impl Fn(Time, f64) -> Point) -> Vec<Vec<Point>> {
        let mut runs: Vec<Vec<Point>> = Vec::new();
        let mut reached: Option<Time> = None;
        for value in &self.remembered {
            let height = self.height(reference, value.from, value.tsval);
            let (start, end) = (place(value.from, height), place(value.until.max(value.from), height));
            let joined = reached.is_some_and(|reached| reached >= value.from);
            reached = Some(value.until);
            match runs.last_mut() {
                Some(run) if joined => append_step(run, start, end),
                _ => runs.push(vec![start, end]),
            }
        }
        runs
    }

    fn notes(&self, reference: Reference, drawn: usize) -> Vec<String> {
        let whole = "The timestamps are spread over the whole circle of 2³² ticks";
        let spread = match reference {
            Reference::Lowest(_) => None,
            Reference::Remembered => {
                Some(format!("{whole}: below zero is behind the remembered value, above is ahead of it."))
            }
            Reference::Circle(_) => Some(format!("{whole}, and the server remembers none.")),
        };
        spread.into_iter().chain(thin::note(drawn, self.syns.len())).collect()
    }
}

/// Continues a step line; steps narrower than half a pixel take the place of the one before.
fn append_step(run: &mut Vec<Point>, start: Point, end: Point) {
    if let [.., from, last] = run.as_mut_slice() {
        last.0 = start.0.max(from.0);
        if last.0 - from.0 < 0.5 && run.len() > 2 {
            run.truncate(run.len() - 2);
        }
    }
    run.extend([start, end]);
}

/// The area between a line and the bottom of the plot.
fn closed_below(run: &[Point], bottom: f64) -> Vec<Point> {
    let ends = run.last().into_iter().chain(run.first()).map(|(x, _)| (*x, bottom));
    run.iter().copied().chain(ends).collect()
}

/// The widest stretch of the circle without a value, in ticks, and the value at its upper end.
fn largest_gap(sorted: &[u32]) -> (u64, u32) {
    let Some((first, last)) = sorted.first().zip(sorted.last()) else {
        return (CIRCLE, 0);
    };
    let around = CIRCLE - u64::from(*last) + u64::from(*first);
    let inner = sorted.windows(2).filter_map(|pair| match pair {
        [low, high] => Some((u64::from(*high) - u64::from(*low), *high)),
        _ => None,
    });
    inner.fold((around, *first), |widest, gap| if gap.0 > widest.0 { gap } else { widest })
}

fn mark_of(fate: SynFate) -> Mark {
    match fate {
        SynFate::Answered => Mark::Ring,
        SynFate::UnansweredBehind => Mark::Cross,
        SynFate::UnansweredOther => Mark::Triangle,
    }
}

fn words(fate: SynFate) -> &'static str {
    match fate {
        SynFate::Answered => "SYN answered",
        SynFate::UnansweredBehind => "unanswered, behind the remembered value",
        SynFate::UnansweredOther => "unanswered otherwise",
    }
}

fn colour_of(fate: SynFate) -> colour::Colour {
    match fate {
        SynFate::Answered => BLUE,
        SynFate::UnansweredBehind => VERMILLION,
        SynFate::UnansweredOther => ORANGE,
    }
}

fn clock_colour(clock: Option<u8>) -> colour::Colour {
    clock.map_or(GREY, |clock| colour::series(clock.into()))
}

/// A, B, C and so on; the colours end long before the letters.
fn letter(clock: u8) -> char {
    char::from(b'A'.saturating_add(clock.min(25)))
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::{Picture, scene};
    use super::*;
    use crate::time::Span;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn syn(millis: i64, tsval: u32, fate: SynFate) -> SynMark {
        SynMark { at: START.plus(Span::from_millis(millis)), tsval, fate, clock: None }
    }

    fn remembered(from: i64, until: i64, tsval: u32) -> Remembered {
        let at = |millis: i64| START.plus(Span::from_millis(millis));
        Remembered { from: at(from), until: at(until), tsval }
    }

    /// A number that looks random and is the same each time.
    fn scatter(seed: u32) -> u32 {
        seed.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9e37_79b9)
    }

    #[test]
    fn the_circle_is_cut_where_it_is_empty() {
        assert_eq!(largest_gap(&[]), (CIRCLE, 0));
        assert_eq!(largest_gap(&[7]), (CIRCLE, 7));
        assert_eq!(largest_gap(&[5, u32::MAX - 4]), (CIRCLE - 10, u32::MAX - 4));
    }

    #[test]
    fn a_clock_that_wraps_stays_one_line() {
        let syns = vec![syn(0, u32::MAX - 499, SynFate::Answered), syn(1000, 500, SynFate::Answered)];
        let data = SynTimestamps { syns, remembered: Vec::new() };
        let reference = data.reference();
        assert_eq!(reference, Reference::Lowest(u32::MAX - 499));
        assert_eq!(data.height(reference, START, 500), 1000.0);
    }

    #[test]
    fn behind_is_below_when_values_are_all_over_the_circle() {
        let syns = (0..50_u32).map(|n| syn(n.into(), scatter(n), SynFate::Answered)).collect();
        let data = SynTimestamps { syns, remembered: vec![remembered(0, 60_000, 3_000_000_000)] };
        assert_eq!(data.reference(), Reference::Remembered);
        let at = START.plus(Span::from_millis(5));
        assert_eq!(data.height(Reference::Remembered, at, 2_999_999_990), -10.0);
        // Two thirds of the circle ahead is one third behind.
        assert!(data.height(Reference::Remembered, at, 1_200_000_000) < 0.0);
        assert!(data.height(Reference::Remembered, at, 500_000_000) > 0.0);
    }

    #[test]
    fn values_that_follow_each_other_are_one_line() {
        let values = vec![remembered(0, 10, 100), remembered(10, 60_010, 200), remembered(90_000, 150_000, 300)];
        let data = SynTimestamps { syns: Vec::new(), remembered: values };
        #[allow(clippy::cast_precision_loss)]
        let runs = data.remembered_runs(data.reference(), |at, value| (at.since(START).millis(), value));
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0], [(0.0, 0.0), (10.0, 0.0), (10.0, 100.0), (60_010.0, 100.0)]);
    }

    /// Two clients behind one address, as in the cases this picture is for.
    fn two_clients(count: u32, clocks: bool) -> SynTimestamps {
        let mut data = SynTimestamps::default();
        for n in 0..count {
            let millis = i64::from(n) * 90_000 / i64::from(count);
            let ticks = u32::try_from(millis).unwrap();
            let second = scatter(n).is_multiple_of(3);
            let tsval = if second { 4_294_900_000_u32 } else { 31_000_u32 }.wrapping_add(ticks);
            let behind = second && !scatter(n).is_multiple_of(5);
            let fate = if behind { SynFate::UnansweredBehind } else { SynFate::Answered };
            let fate = if scatter(n).is_multiple_of(97) { SynFate::UnansweredOther } else { fate };
            data.syns.push(SynMark { clock: clocks.then_some(second.into()), ..syn(millis, tsval, fate) });
            if !second && millis < 50_000 {
                data.remembered.push(remembered(millis, millis + 20_000, tsval));
            }
        }
        data
    }

    #[test]
    fn two_clients_are_drawn() {
        check::draws(
            "syn-two-clients",
            Picture::SynTimestamps(two_clients(300, false)),
            &["SYN answered (", "unanswered, behind", "time, UTC, 2026-11-22", "TSval, ticks above"],
        );
        check::draws("syn-clocks", Picture::SynTimestamps(two_clients(300, true)), &["clock A", "clock B"]);
    }

    #[test]
    fn ten_thousand_are_drawn() {
        check::draws("syn-many", Picture::SynTimestamps(two_clients(10_000, true)), &[]);
        let mut data = SynTimestamps::default();
        for n in 0..10_000_u32 {
            let millis = i64::from(n) * 12;
            let valid = millis < 30_000 || (60_000..90_000).contains(&millis);
            let behind = valid && scatter(n) > 1 << 31;
            let fate = if behind { SynFate::UnansweredBehind } else { SynFate::Answered };
            let value = 1_000_000_000_u32.wrapping_add(scatter(n));
            data.syns.push(syn(millis, value, fate));
        }
        data.remembered = vec![remembered(0, 30_000, 1_000_000_000), remembered(60_000, 90_000, 1_000_000_500)];
        check::draws("syn-random", Picture::SynTimestamps(data.clone()), &["million ticks", "whole circle"]);
        data.remembered.clear();
        check::draws("syn-circle", Picture::SynTimestamps(data), &["remembers none"]);
    }

    #[test]
    fn few_or_none_are_drawn() {
        check::draws("syn-none", Picture::SynTimestamps(SynTimestamps::default()), &["no SYN with a timestamp"]);
        let one = SynTimestamps { syns: vec![syn(0, 5, SynFate::UnansweredOther)], remembered: Vec::new() };
        check::draws("syn-one", Picture::SynTimestamps(one), &["unanswered otherwise (1)"]);
        let near = vec![syn(0, 7, SynFate::Answered), syn(1, 6, SynFate::UnansweredBehind)];
        let data = SynTimestamps { syns: near, remembered: vec![remembered(0, 60_000, 8)] };
        let head = Head { title: "t", note: "" };
        scene::check::tidy(&data.scene(head));
        check::draws("syn-near", Picture::SynTimestamps(data), &["microseconds since"]);
    }
}
