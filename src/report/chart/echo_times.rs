//! Round-trip times of echo requests (RFC 792), by the time they were sent or by the time their replies arrived.
//!
//! A host that stands still answers everything at once when it wakes: by time of sending the round-trip times come down
//! like a staircase to the moment of release, by time of arrival they stand above each other as a wall.

use crate::time::{Span, Time};

use super::axis::{Axis, TimeAxis, decimal, grouped};
use super::colour::{BLUE, ORANGE, VERMILLION};
use super::frame::{self, Head, Key, Plot, Swatch};
use super::scene::{Mark, Point, Scene};
use super::thin;
use crate::language::{Text, say};

/// A series of echo requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoTimes {
    /// The requests, in any order.
    pub echoes: Vec<EchoMark>,
    /// When held-back replies were released together.
    pub releases: Vec<Time>,
    /// Which time goes to the right.
    pub by: EchoAxis,
    /// Times are those of a clock; else they count from the first probe.
    pub dated: bool,
}

/// One echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoMark {
    /// When it was sent.
    pub sent: Time,
    /// How long its reply took; none if no reply came.
    pub rtt: Option<Span>,
}

/// The time that an echo is drawn at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoAxis {
    /// When the request was sent.
    Sent,
    /// When the reply arrived; requests without a reply are only counted.
    Arrival,
}

/// More releases than these are solid, thin lines.
const MOST_DASHED: usize = 16;

impl EchoTimes {
    pub(super) fn describe(&self) -> Text {
        say!(
            "round-trip times of {echoes} echo requests by time of {by}; the longest {longest}, {lost} without a \
             reply, {releases} moments of release",
            echoes = grouped(self.echoes.len() as u64),
            by = if self.by == EchoAxis::Sent { say!("sending") } else { say!("arrival") },
            longest = self.echoes.iter().filter_map(|echo| echo.rtt).max().unwrap_or(Span::ZERO),
            lost = grouped(self.lost()),
            releases = grouped(self.releases.len() as u64),
        )
    }

    fn lost(&self) -> u64 {
        self.echoes.iter().filter(|echo| echo.rtt.is_none()).count() as u64
    }

    /// Where an echo goes on the time axis.
    fn at(&self, echo: &EchoMark) -> Option<Time> {
        match self.by {
            EchoAxis::Sent => Some(echo.sent),
            EchoAxis::Arrival => echo.rtt.map(|rtt| echo.sent.plus(rtt)),
        }
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let times = self.echoes.iter().filter_map(|echo| self.at(echo)).chain(self.releases.iter().copied());
        let time = if self.dated { TimeAxis::over(times) } else { TimeAxis::counted(times) };
        let longest = self.echoes.iter().filter_map(|echo| echo.rtt).max().unwrap_or(Span::ZERO);
        let (y, unit) = vertical(longest);
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys());
        let plot = Plot::below(top + 26.0, &y, frame::MARGIN, 310.0);
        plot.vertical(&mut scene, &y, &format!("round-trip time, {unit}"));
        let what = if self.by == EchoAxis::Sent { "request sent" } else { "reply arrived" };
        let bottom = plot.horizontal(&mut scene, &time.axis, &format!("{what}: {}", time.title));
        let columns = self.release_columns(&plot, &time);
        for x in &columns {
            let (from, to) = ((*x, plot.top), (*x, plot.bottom()));
            // Many dashed lines are restless, and each dash is a shape of its own.
            match columns.len() {
                ..=MOST_DASHED => scene.dashes(from, to, (6.0, 3.0), 1.5, ORANGE),
                _ => scene.line(from, to, 1.0, ORANGE.faded(0.7)),
            }
        }
        let (mut drawn, mut all) = (0, 0);
        for (mark, places) in self.marks(&plot, &time, &y) {
            all += places.len();
            let (cost, colour) = if mark == Mark::Cross { (4, VERMILLION) } else { (2, BLUE) };
            for (place, ()) in thin::thinned(&places, |()| cost) {
                scene.mark(mark, place, 3.4, colour);
                drawn += 1;
            }
        }
        if self.echoes.is_empty() {
            plot.nothing(&mut scene, "no echo request");
        }
        frame::finish(&mut scene, bottom, &self.notes(thin::note(drawn, all)));
        scene
    }

    /// Replied requests at their round-trip times, the others along the upper edge.
    fn marks(&self, plot: &Plot, time: &TimeAxis, y: &Axis) -> [(Mark, Vec<(Point, ())>); 2] {
        let (mut replied, mut lost) = (Vec::new(), Vec::new());
        for echo in &self.echoes {
            let Some(x) = self.at(echo).map(|at| plot.x(time.part(at))) else { continue };
            match echo.rtt {
                Some(rtt) => replied.push(((x, plot.y(y.part(rtt.secs()))), ())),
                None => lost.push(((x, plot.top + 6.0), ())),
            }
        }
        [(Mark::Ring, replied), (Mark::Cross, lost)]
    }

    /// Where releases are drawn; those less than three pixels apart are one line.
    fn release_columns(&self, plot: &Plot, time: &TimeAxis) -> Vec<f64> {
        let mut columns: Vec<f64> = self.releases.iter().map(|at| plot.x(time.part(*at))).collect();
        columns.sort_unstable_by(f64::total_cmp);
        columns.dedup_by(|later, earlier| *later - *earlier < 3.0);
        columns
    }

    fn keys(&self) -> Vec<Key> {
        let replied = (self.echoes.len() as u64).saturating_sub(self.lost());
        let mut keys = vec![Key::new(Swatch::Mark(Mark::Ring, BLUE), format!("reply ({})", grouped(replied)))];
        if self.lost() > 0 && self.by == EchoAxis::Sent {
            let text = format!("no reply ({}), at the upper edge", grouped(self.lost()));
            keys.push(Key::new(Swatch::Mark(Mark::Cross, VERMILLION), text));
        }
        if !self.releases.is_empty() {
            let text = format!("replies released together ({})", grouped(self.releases.len() as u64));
            keys.push(Key::new(Swatch::Dashes(ORANGE), text));
        }
        keys
    }

    fn notes(&self, thinned: Option<String>) -> Vec<String> {
        let lost = match (self.by, self.lost()) {
            (EchoAxis::Arrival, 1..) => {
                Some(format!("{} requests without a reply are not shown.", grouped(self.lost())))
            }
            _ => None,
        };
        lost.into_iter().chain(thinned).collect()
    }
}

/// An axis in seconds from zero to the longest time, labelled in the unit that suits it.
fn vertical(longest: Span) -> (Axis, &'static str) {
    let most = if longest.0 > 0 { longest.secs() * 1.08 } else { 0.001 };
    let (factor, unit) = match most {
        1.0.. => (1.0, "seconds"),
        0.001.. => (1e3, "milliseconds"),
        _ => (1e6, "microseconds"),
    };
    let mut axis = Axis::linear(0.0, most * factor, 6.0, decimal);
    axis.until = most;
    axis.ticks.iter_mut().for_each(|tick| tick.at /= factor);
    (axis, unit)
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    /// One request every 200 ms; every 20 s the host stands still for three.
    fn stalling(count: i64, by: EchoAxis) -> EchoTimes {
        let echo = |n: i64| {
            let millis = n * 200;
            let in_cycle = millis % 20_000;
            let stalled = if (10_000..13_000).contains(&in_cycle) { 13_000 - in_cycle } else { 0 };
            let rtt = Span(stalled * 1_000_000 + 400_000 + (n * 7919 % 300) * 1000);
            EchoMark { sent: START.plus(Span::from_millis(millis)), rtt: (n % 83 != 5).then_some(rtt) }
        };
        let releases = (0..count * 200 / 20_000).map(|n| START.plus(Span::from_millis(n * 20_000 + 13_000)));
        EchoTimes { echoes: (0..count).map(echo).collect(), releases: releases.collect(), by, dated: true }
    }

    #[test]
    fn the_unit_suits_the_longest() {
        let unit = |nanos: i64| vertical(Span(nanos)).1;
        let units = [unit(3_000_000_000), unit(40_000_000), unit(50_000), unit(0), unit(-5)];
        assert_eq!(units, ["seconds", "milliseconds", "microseconds", "milliseconds", "milliseconds"]);
        let axis = vertical(Span(40_000_000)).0;
        assert_eq!(axis.ticks.last().map(|tick| (tick.label.as_str(), tick.at)), Some(("40", 0.04)));
    }

    #[test]
    fn by_arrival_a_stall_is_a_wall() {
        let data = stalling(65, EchoAxis::Arrival);
        let late: Vec<_> =
            data.echoes.iter().filter(|echo| echo.rtt.is_some_and(|rtt| rtt > Span::from_millis(10))).collect();
        let times: Vec<_> = late.iter().filter_map(|echo| data.at(echo)).collect();
        let span = times.iter().max().unwrap().since(*times.iter().min().unwrap());
        assert!(late.len() > 10 && span < Span::from_millis(1));
    }

    #[test]
    fn echoes_are_drawn() {
        let labels = ["round-trip time, seconds", "replies released together (3)", "request sent: time, UTC"];
        check::draws("echo-sent", Picture::EchoTimes(stalling(300, EchoAxis::Sent)), &labels);
        check::draws("echo-arrival", Picture::EchoTimes(stalling(300, EchoAxis::Arrival)), &["reply arrived: time"]);
        check::draws("echo-many", Picture::EchoTimes(stalling(10_000, EchoAxis::Sent)), &[]);
    }

    #[test]
    fn few_or_none_are_drawn() {
        for by in [EchoAxis::Sent, EchoAxis::Arrival] {
            check::draws("echo-none", Picture::EchoTimes(stalling(0, by)), &["no echo request"]);
            check::draws("echo-one", Picture::EchoTimes(stalling(1, by)), &["round-trip time, microseconds"]);
        }
        let odd = [(Time::MIN, Some(Span(i64::MAX))), (Time::MAX, Some(Span(i64::MIN))), (Time(0), None)];
        let echoes = odd.map(|(sent, rtt)| EchoMark { sent, rtt }).to_vec();
        check::draws(
            "echo-odd",
            Picture::EchoTimes(EchoTimes { echoes, releases: vec![Time(7)], by: EchoAxis::Sent, dated: true }),
            &[],
        );
    }
}
