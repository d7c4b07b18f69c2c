//! Closes over time, stacked by kind: when connections ended in order, by RST, or not at all.

use crate::time::Time;

use super::attempts::{AttemptMark, Attempts, words};
use super::axis::{Axis, grouped};
use super::colour;
use super::frame::{self, Hatch, Head, Key, Plot, Swatch};
use super::scene::Scene;
use crate::language::{Joint, Text, say};

/// Connections by when and how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosesOverTime {
    /// Time of the last packet, and the place of its kind; in any order.
    pub closes: Vec<(Time, usize)>,
    /// The kinds, as the connection table has them.
    pub kinds: Vec<String>,
}

impl ClosesOverTime {
    /// Kinds are stacked as causes are.
    fn stacked(&self) -> Attempts {
        let mark = |(at, kind): &(Time, usize)| AttemptMark { at: *at, cause: Some(*kind) };
        Attempts { attempts: self.closes.iter().map(mark).collect(), causes: self.kinds.clone() }
    }

    pub(super) fn describe(&self) -> Text {
        let kinds = Text::joined(Joint::Commas, self.stacked().layers().iter().map(|layer| layer.describe()));
        let connections = grouped(self.closes.len() as u64);
        say!("{connections} connections by when and how they ended: {kinds}", connections, kinds)
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let stacked = self.stacked();
        let layers = stacked.layers();
        let bars = stacked.bars(&layers);
        let (time, y) = (bars.time_axis(), Axis::counts(bars.tallest_failed(), 5.0));
        let keys: Vec<Key> = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let swatch = Swatch::Bar(colour::series(index), Hatch::of_series(index));
                Key::new(swatch, format!("{} ({})", layer.name.replace("causes", "kinds"), grouped(layer.count)))
            })
            .collect();
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &keys);
        let plot = Plot::below(top + 26.0, &y, frame::MARGIN, 260.0);
        plot.vertical(&mut scene, &y, &format!("ended in each {}", words(bars.step)));
        let bottom = plot.horizontal(&mut scene, &time.axis, &time.title);
        if self.closes.is_empty() {
            plot.nothing(&mut scene, "no connection ended");
        } else {
            let looks = bars
                .layers
                .iter()
                .enumerate()
                .map(|(index, counts)| (counts, colour::series(index), Hatch::of_series(index)));
            bars.draw(&mut scene, &time, (&plot, &y), &looks.collect::<Vec<_>>());
        }
        frame::finish(&mut scene, bottom, &[]);
        scene
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;
    use crate::time::Span;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn closes(count: i64) -> ClosesOverTime {
        let kinds = ["fin", "reset", "fin-reset", "half-closed"].map(str::to_owned).to_vec();
        let one = |n: i64| {
            let kind = if n % 9 == 0 { 1 + usize::try_from(n / 9 % 3).unwrap() } else { 0 };
            (START.plus(Span::from_millis(n * 37)), kind)
        };
        ClosesOverTime { closes: (0..count).map(one).collect(), kinds }
    }

    #[test]
    fn closes_are_stacked_by_kind() {
        let expected = ["ended in each 2 s", "fin (3,555)", "reset ("];
        check::draws("closes-over-time", Picture::ClosesOverTime(closes(4000)), &expected);
        check::draws("closes-over-time-one", Picture::ClosesOverTime(closes(1)), &["reset (1)"]);
        check::draws(
            "closes-over-time-none",
            Picture::ClosesOverTime(ClosesOverTime::default()),
            &["no connection ended"],
        );
    }
}
