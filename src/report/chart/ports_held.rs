//! Ephemeral ports held towards one destination over time, and when the range will be used up.

use crate::report::zone;
use crate::time::Time;

use super::axis::{Axis, TimeAxis, clock, date, grouped, percent};
use super::colour::{BLUE, GREY, INK, VERMILLION};
use super::frame::{self, Head, Key, Plot, SideLabel, Swatch};
use super::scene::{Mark, Scene};
use super::steps::{Field, peak};
use crate::language::{Joint, Text, say};

/// The ports of one client towards one destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortsHeld {
    /// The number of ports held from each time on, those in TIME-WAIT included.
    pub held: Vec<(Time, u64)>,
    /// How many ports the range has.
    pub range: u64,
    /// Where the rise leads, if it rises.
    pub forecast: Option<Forecast>,
}

/// A straight rise until the range is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Where the straight line begins.
    pub from: Time,
    /// The ports held there.
    pub held: u64,
    /// When it reaches the size of the range.
    pub exhausted: Time,
}

/// The forecast may take so many times as much room as what was seen.
const FAR: i64 = 2;

impl PortsHeld {
    pub(super) fn describe(&self) -> Text {
        let most = peak(&self.held).map_or(0, |(_, value)| value);
        let held = say!(
            "ports held over time; at most {most} of {range} ({share})",
            most = grouped(most),
            range = grouped(self.range),
            share = percent(most, self.range),
        );
        let forecast = self.forecast.map(|forecast| say!("at this rate used up at {at}", at = forecast.exhausted));
        Text::joined(Joint::Semicolons, std::iter::once(held).chain(forecast))
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let most = peak(&self.held).map_or(0, |(_, value)| value);
        let y = Axis::counts(most.max(self.range), 5.0);
        let (first, last) = self.ends();
        let time = match first.zip(last) {
            Some((first, last)) => TimeAxis::over([first, self.shown_until(first, last)]),
            None => TimeAxis::over([]),
        };
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys());
        let limit = format!("ports in the range: {}", grouped(self.range));
        let plot = Plot::below(top + 26.0, &y, frame::side_room(std::slice::from_ref(&limit)), 310.0);
        plot.vertical(&mut scene, &y, "ports held");
        let bottom = plot.horizontal(&mut scene, &time.axis, &time.title);
        let field = Field { plot: &plot, time: &time, y: &y };
        let height = field.place(Time(0), self.range).1;
        scene.dashes((plot.left, height), (plot.right(), height), (8.0, 4.0), 1.75, GREY);
        frame::side_labels(&mut scene, &plot, vec![SideLabel { y: height, text: limit, colour: INK }]);
        if let Some(forecast) = self.forecast {
            self.draw_forecast(&mut scene, &field, forecast);
        }
        field.draw(&mut scene, &self.held, 1.0, (Mark::Disc, BLUE));
        if let Some((at, value)) = peak(&self.held) {
            scene.mark(Mark::Ring, field.place(at, value), 7.0, INK);
        } else {
            plot.nothing(&mut scene, "no ports seen");
        }
        frame::finish(&mut scene, bottom, &[]);
        scene
    }

    fn ends(&self) -> (Option<Time>, Option<Time>) {
        let times = || self.held.iter().map(|(at, _)| *at).chain(self.forecast.map(|forecast| forecast.from));
        (times().min(), times().max())
    }

    /// The end of the picture: that of the forecast, unless that is far off.
    fn shown_until(&self, first: Time, last: Time) -> Time {
        let room = crate::time::Span(last.since(first).0.max(1_000_000_000).saturating_mul(FAR));
        self.forecast.map_or(last, |forecast| forecast.exhausted.clamp(last, last.plus(room)))
    }

    fn draw_forecast(&self, scene: &mut Scene, field: &Field<'_>, forecast: Forecast) {
        // The line is cut where the picture ends, at the height it has there.
        let end = self.ends().0.zip(self.ends().1).map(|(first, last)| self.shown_until(first, last));
        let end = end.unwrap_or(forecast.exhausted).min(forecast.exhausted);
        let whole = forecast.exhausted.since(forecast.from).secs();
        let part = if whole > 0.0 { (end.since(forecast.from).secs() / whole).clamp(0.0, 1.0) } else { 1.0 };
        let (start, aim) = (field.place(forecast.from, forecast.held), field.place(end, self.range));
        let tip = (aim.0, start.1 + (aim.1 - start.1) * part);
        scene.dashes(start, tip, (7.0, 4.0), 2.0, VERMILLION);
        if end == forecast.exhausted {
            scene.mark(Mark::Cross, tip, 5.0, VERMILLION);
        } else {
            scene.mark(Mark::Triangle, tip, 5.0, VERMILLION);
        }
    }

    fn keys(&self) -> Vec<Key> {
        let peak_text = peak(&self.held).map(|(at, value)| {
            let share = percent(value, self.range);
            format!("peak {} at {} ({share} of the range)", grouped(value), clock(at, 0))
        });
        let mut keys = vec![Key::new(Swatch::MarkedLine(Mark::Disc, BLUE), "ports held")];
        keys.extend(peak_text.map(|text| Key::new(Swatch::Mark(Mark::Ring, INK), text)));
        keys.push(Key::new(Swatch::Dashes(GREY), "size of the range"));
        keys.extend(self.forecast.map(|forecast| {
            let moment = format!(
                "{} {} {}",
                date(forecast.exhausted),
                clock(forecast.exhausted, 0),
                zone::offset(forecast.exhausted)
            );
            Key::new(Swatch::Dashes(VERMILLION), format!("at this rate used up at {moment}"))
        }));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;
    use crate::time::Span;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn rising(count: u64, seconds: i64, rate: u64) -> PortsHeld {
        let at =
            |n: u64| START.plus(Span::from_millis(i64::try_from(n).unwrap() * seconds * 1000 / count.cast_signed()));
        let held: Vec<_> = (0..count).map(|n| (at(n), n * rate + n % 7)).collect();
        PortsHeld { held, range: 28_232, forecast: None }
    }

    #[test]
    fn a_far_forecast_does_not_squeeze_what_was_seen() {
        let last = START.plus(Span::from_secs(100));
        let forecast = |seconds: i64| Forecast { from: last, held: 5, exhausted: START.plus(Span::from_secs(seconds)) };
        let until = |seconds: i64| {
            let data = PortsHeld { forecast: Some(forecast(seconds)), ..rising(10, 100, 1) };
            data.shown_until(START, last).since(START).secs()
        };
        assert_eq!([until(50), until(150), until(99_999)], [100.0, 150.0, 300.0]);
    }

    #[test]
    fn ports_are_drawn() {
        let mut data = rising(400, 60, 40);
        let (from, held) = *data.held.last().unwrap();
        data.forecast = Some(Forecast { from, held, exhausted: START.plus(Span::from_secs(106)) });
        let expected =
            ["ports held", "ports in the range:", "at this rate used up at 2026-11-22 07:42:54 UTC", "of the range)"];
        check::draws("ports-usual", Picture::PortsHeld(data.clone()), &expected);
        data.forecast = Some(Forecast { from, held, exhausted: START.plus(Span::from_secs(90_000)) });
        check::draws("ports-far", Picture::PortsHeld(data), &[]);
    }

    #[test]
    fn extremes_are_drawn() {
        check::draws("ports-none", Picture::PortsHeld(PortsHeld::default()), &["no ports seen"]);
        check::draws("ports-one", Picture::PortsHeld(rising(1, 1, 1)), &[]);
        check::draws("ports-many", Picture::PortsHeld(rising(10_000, 3600, 3)), &[]);
        let beyond = Forecast { from: Time::MIN, held: 0, exhausted: Time::MAX };
        let data = PortsHeld { held: vec![(Time::MIN, u64::MAX), (Time::MAX, 1)], range: 1, forecast: Some(beyond) };
        check::draws("ports-extreme", Picture::PortsHeld(data), &[]);
    }
}
