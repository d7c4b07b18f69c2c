//! Attempts to connect over time, and below them those that failed, stacked by cause.
//!
//! The two parts have scales of their own, so that a few failures among thousands of attempts are still seen.

use crate::time::{Span, Time};

use super::axis::{Axis, CLOCK_STEPS, TimeAxis, grouped, percent, round_step};
use super::colour::{self, Colour, INK};
use super::frame::{self, Hatch, Head, Key, Plot, Swatch};
use super::scene::Scene;
use crate::language::{Joint, Text, say};

/// Attempts and why some failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The attempts, in any order.
    pub attempts: Vec<AttemptMark>,
    /// The causes that attempts refer to by their place in this list.
    pub causes: Vec<String>,
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptMark {
    /// When its first SYN was captured.
    pub at: Time,
    /// Why it failed; none if it did not.
    pub cause: Option<usize>,
}

/// The bars of all attempts; grey belongs to the causes that share a colour.
const ALL: Colour = INK.faded(0.4);
/// At most so many bars.
const BARS: i64 = 100;
/// There is room for at least so many.
const FEW: i64 = 15;

/// A cause that is drawn: its name, its attempts, and the places in the list of causes it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub name: String,
    pub count: u64,
    places: Vec<usize>,
}

/// Bars of equal width: all attempts, and those of each layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bars {
    start: Time,
    pub step: Span,
    all: Vec<u64>,
    pub layers: Vec<Vec<u64>>,
}

impl Attempts {
    pub(super) fn describe(&self) -> Text {
        let causes = Text::joined(Joint::Commas, self.layers().iter().map(Layer::describe));
        say!(
            "{attempts} attempts over time, {failed} of them failed: {causes}",
            attempts = grouped(self.attempts.len() as u64),
            failed = grouped(self.failed()),
            causes = if causes.is_empty() { Text::value("-") } else { causes },
        )
    }

    fn failed(&self) -> u64 {
        self.attempts.iter().filter(|attempt| attempt.cause.is_some()).count() as u64
    }

    /// The causes by how often they occur; those beyond the colours together.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let mut counts = vec![0_u64; self.causes.len()];
        let mut unnamed = 0_u64;
        for cause in self.attempts.iter().filter_map(|attempt| attempt.cause) {
            let count = counts.get_mut(cause).unwrap_or(&mut unnamed);
            *count = count.saturating_add(1);
        }
        let named = self.causes.iter().zip(counts).enumerate();
        let mut layers: Vec<Layer> = named
            .filter(|(_, (_, count))| *count > 0)
            .map(|(place, (name, count))| Layer { name: name.clone(), count, places: vec![place] })
            .collect();
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.count));
        let rest = layers.split_off(layers.len().min(colour::SERIES.len()));
        if !rest.is_empty() || unnamed > 0 {
            let count = rest.iter().fold(unnamed, |sum, layer| sum.saturating_add(layer.count));
            let places = rest.into_iter().flat_map(|layer| layer.places).collect();
            layers.push(Layer { name: "other causes".to_owned(), count, places });
        }
        layers
    }

    pub(super) fn bars(&self, layers: &[Layer]) -> Bars {
        let times = || self.attempts.iter().map(|attempt| attempt.at);
        let (first, last) = (times().min().unwrap_or(Time(0)), times().max().unwrap_or(Time(0)));
        let step = bar_width(last.since(first));
        let start = Time(first.0.div_euclid(step.0).saturating_mul(step.0));
        let index = |at: Time| usize::try_from(at.since(start).0 / step.0).unwrap_or(0);
        let count = index(last).saturating_add(1);
        let mut bars = Bars { start, step, all: vec![0; count], layers: vec![vec![0; count]; layers.len()] };
        // Causes that no layer names belong to the last, "other causes".
        let mut layer_of = vec![layers.len().saturating_sub(1); self.causes.len()];
        for (index, layer) in layers.iter().enumerate() {
            layer
                .places
                .iter()
                .for_each(|place| layer_of.iter_mut().skip(*place).take(1).for_each(|layer| *layer = index));
        }
        for attempt in &self.attempts {
            let bar = index(attempt.at);
            bars.all.iter_mut().skip(bar).take(1).for_each(|count| *count = count.saturating_add(1));
            if let Some(cause) = attempt.cause {
                let layer = layer_of.get(cause).copied().unwrap_or(layers.len().saturating_sub(1));
                let count = bars.layers.get_mut(layer).and_then(|layer| layer.get_mut(bar));
                count.into_iter().for_each(|count| *count = count.saturating_add(1));
            }
        }
        bars
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let layers = self.layers();
        let bars = self.bars(&layers);
        let time = bars.time_axis();
        let all = Axis::counts(bars.all.iter().copied().max().unwrap_or(0), 3.0);
        let failed = Axis::counts(bars.tallest_failed(), 4.0);
        let wider = if widest(&all) > widest(&failed) { &all } else { &failed };
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys(&layers));
        let upper = Plot::below(top + 26.0, wider, frame::MARGIN, 110.0);
        let lower = Plot { top: upper.bottom() + 36.0, height: 170.0, ..upper };
        let every = words(bars.step);
        upper.vertical(&mut scene, &all, &format!("attempts in each {every}"));
        lower.vertical(&mut scene, &failed, &format!("failed in each {every}, by cause"));
        let bottom = lower.horizontal(&mut scene, &time.axis, &time.title);
        if self.attempts.is_empty() {
            lower.nothing(&mut scene, "no attempt to connect");
        } else {
            bars.draw(&mut scene, &time, (&upper, &all), &[(&bars.all, ALL, Hatch::Plain)]);
            if layers.is_empty() {
                lower.nothing(&mut scene, "no attempt failed");
            }
            let looks = bars
                .layers
                .iter()
                .enumerate()
                .map(|(index, counts)| (counts, colour::series(index), Hatch::of_series(index)));
            bars.draw(&mut scene, &time, (&lower, &failed), &looks.collect::<Vec<_>>());
        }
        frame::finish(&mut scene, bottom, &[]);
        scene
    }

    fn keys(&self, layers: &[Layer]) -> Vec<Key> {
        let (all, failed) = (self.attempts.len() as u64, self.failed());
        let answered =
            format!("all attempts ({}), of which {} failed ({})", grouped(all), grouped(failed), percent(failed, all));
        let causes = layers.iter().enumerate().map(|(index, layer)| {
            let swatch = Swatch::Bar(colour::series(index), Hatch::of_series(index));
            Key::new(swatch, format!("{} ({})", layer.name, grouped(layer.count)))
        });
        std::iter::once(Key::new(Swatch::Bar(ALL, Hatch::Plain), answered)).chain(causes).collect()
    }
}

impl Bars {
    pub fn time_axis(&self) -> TimeAxis {
        let count = i64::try_from(self.all.len()).unwrap_or(1);
        // Few bars are not stretched over the whole plot.
        let free = Span(self.step.0.saturating_mul((FEW - count).max(0) / 2));
        let end = self.start.plus(Span(self.step.0.saturating_mul(count)));
        if self.all.iter().all(|count| *count == 0) {
            return TimeAxis::over([]);
        }
        TimeAxis::between(self.start.minus(free), end.plus(free))
    }

    pub fn tallest_failed(&self) -> u64 {
        let failed = |bar: usize| self.layers.iter().filter_map(|layer| layer.get(bar)).sum();
        (0..self.all.len()).map(failed).max().unwrap_or(0)
    }

    /// Draws bars on top of each other, the first at the bottom.
    pub fn draw(
        &self,
        scene: &mut Scene,
        time: &TimeAxis,
        (plot, y): (&Plot, &Axis),
        parts: &[(&Vec<u64>, Colour, Hatch)],
    ) {
        let mut below = vec![0_u64; self.all.len()];
        let starts = (0_i64..).map(|index| self.start.plus(Span(self.step.0.saturating_mul(index))));
        let columns: Vec<(f64, f64)> = starts
            .take(self.all.len())
            .map(|start| (plot.x(time.part(start)), plot.x(time.part(start.plus(self.step)))))
            .collect();
        for (counts, colour, hatch) in parts {
            for ((count, below), (left, right)) in
                counts.iter().zip(&mut below).zip(&columns).filter(|((n, _), _)| **n > 0)
            {
                let above = below.saturating_add(*count);
                #[allow(clippy::cast_precision_loss)]
                let (top, bottom) = (plot.y(y.part(above as f64)), plot.y(y.part(*below as f64)));
                let gap = ((right - left) * 0.08).min(1.0);
                frame::bar(scene, (left + gap, top), (right - left - 2.0 * gap, bottom - top), *colour, *hatch);
                *below = above;
            }
        }
    }
}

fn widest(axis: &Axis) -> usize {
    axis.ticks.iter().map(|tick| tick.label.len()).max().unwrap_or(0)
}

/// A round width that makes at most [`BARS`] bars of the span, a millisecond or more.
fn bar_width(span: Span) -> Span {
    let least = if span.0 == 0 { 1_000_000_000 } else { span.0 / BARS + 1 };
    if least > 500_000_000 {
        let whole_seconds = CLOCK_STEPS.into_iter().map(Span::from_secs).find(|step| step.0 >= least);
        return whole_seconds.unwrap_or(Span(least));
    }
    let millis = round_step(Span(least).millis().max(1.0));
    Span::from_secs_f64(millis / 1000.0)
}

/// A bar's width in words: `10 s`, `5 min`.
pub(super) fn words(step: Span) -> String {
    const SECOND: i64 = 1_000_000_000;
    match step.0 {
        ..SECOND => format!("{:.0} ms", step.millis()),
        nanos if nanos % (86_400 * SECOND) == 0 => format!("{} d", nanos / (86_400 * SECOND)),
        nanos if nanos % (3600 * SECOND) == 0 => format!("{} h", nanos / (3600 * SECOND)),
        nanos if nanos % (60 * SECOND) == 0 => format!("{} min", nanos / (60 * SECOND)),
        nanos => format!("{} s", nanos / SECOND),
    }
}

impl Layer {
    /// Its name and its count, in words.
    pub(super) fn describe(&self) -> Text {
        let name = if self.name == "other causes" { say!("other causes") } else { Text::value(&self.name) };
        say!("{name} {number}", name, number = grouped(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn attempts(count: i64, seconds: i64, causes: &[&str]) -> Attempts {
        let attempt = |n: i64| {
            let failed = (n * 7919) % 13 == 0 || ((n * 100 / count) > 60 && n % 4 == 0);
            let cause = failed.then_some(usize::try_from(n * 7 % 11).unwrap() % causes.len().max(1));
            AttemptMark { at: START.plus(Span::from_millis(n * seconds * 1000 / count)), cause }
        };
        Attempts {
            attempts: (0..count).map(attempt).collect(),
            causes: causes.iter().map(|&name| name.into()).collect(),
        }
    }

    #[test]
    fn bars_have_round_widths() {
        let width = |seconds: f64| words(bar_width(Span::from_secs_f64(seconds)));
        assert_eq!([width(0.0), width(0.9), width(3.0), width(60.0)], ["1 s", "10 ms", "50 ms", "1 s"]);
        assert_eq!([width(900.0), width(86_400.0), width(2e6)], ["10 s", "15 min", "6 h"]);
        assert!(bar_width(Span(i64::MAX)).0 > 0);
    }

    #[test]
    fn every_attempt_is_in_one_bar_and_one_layer() {
        let mut data = attempts(5000, 777, &["a", "b", "c", "d", "e", "f", "g", "h"]);
        data.attempts[0].cause = Some(99);
        let layers = data.layers();
        let bars = data.bars(&layers);
        assert_eq!(bars.all.iter().sum::<u64>(), 5000);
        assert_eq!(bars.layers.iter().flatten().sum::<u64>(), data.failed());
        for (layer, counts) in layers.iter().zip(&bars.layers) {
            assert_eq!(counts.iter().sum::<u64>(), layer.count, "{}", layer.name);
        }
        assert!(layers.len() <= 7 && layers.last().unwrap().name == "other causes");
        assert!(bars.all.len() <= 101);
    }

    #[test]
    fn attempts_are_drawn() {
        let causes = ["SYN001 per-host-paws-drop", "SYN002 accept-queue-overflow", "unexplained"];
        let expected = ["attempts in each 10 s", "failed in each 10 s, by cause", "SYN001 per-host-paws-drop ("];
        check::draws("attempts-usual", Picture::Attempts(attempts(10_000, 600, &causes)), &expected);
        check::draws("attempts-short", Picture::Attempts(attempts(60, 2, &causes)), &["seconds since"]);
    }

    #[test]
    fn extremes_are_drawn() {
        check::draws("attempts-none", Picture::Attempts(Attempts::default()), &["no attempt to connect"]);
        check::draws("attempts-one", Picture::Attempts(attempts(1, 1, &["cause"])), &["cause (1)"]);
        let all_well = Attempts { attempts: vec![AttemptMark { at: START, cause: None }; 9], causes: Vec::new() };
        check::draws("attempts-well", Picture::Attempts(all_well), &["no attempt failed"]);
        let long = "a cause that takes many words to be told, since it is the one that nobody thinks of, ever";
        let names: Vec<String> = (0..11).map(|n| format!("{n} {long}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check::draws("attempts-many", Picture::Attempts(attempts(10_000, 90_000, &names)), &["other causes"]);
        let ends = [Time::MIN, Time::MAX].map(|at| AttemptMark { at, cause: None }).to_vec();
        check::draws("attempts-ends", Picture::Attempts(Attempts { attempts: ends, causes: Vec::new() }), &[]);
    }
}
