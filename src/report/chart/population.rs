//! How many sockets hosts held in TIME-WAIT over time, against the limits that count.

use crate::time::Time;

use super::axis::{Axis, TimeAxis, clock, grouped};
use super::colour::{self, GREY, INK};
use super::frame::{self, Head, Key, Plot, SideLabel, Swatch};
use super::scene::{Mark, Scene};
use super::steps::{Field, peak};
use crate::language::{Joint, Text, say};

/// TIME-WAIT sockets of one or several hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// One line a host; of more than six, those with the highest peaks are drawn.
    pub lines: Vec<PopulationLine>,
    /// The limits to compare with; one far above every line is named and not drawn.
    pub limits: Vec<Limit>,
}

/// The population of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopulationLine {
    /// What the host is called, and whether the numbers are rebuilt from a capture or were told by the host.
    pub label: String,
    /// The number of sockets from each time on.
    pub values: Vec<(Time, u64)>,
}

/// A value that a population should not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What sets it, such as `net.ipv4.tcp_max_tw_buckets`.
    pub label: String,
    /// The number of sockets.
    pub value: u64,
}

/// A limit higher than so many times the peak would press the lines to the ground.
const FAR: u64 = 3;

impl Population {
    pub(super) fn describe(&self) -> Text {
        let name = |label: &str| match label.strip_suffix(" (from the capture)") {
            Some(host) => say!("{host} (from the capture)", host),
            None if label == "where the table was full" => say!("where the table was full"),
            None => Text::value(label),
        };
        let peaks = self.lines.iter().filter_map(|line| {
            let (at, value) = peak(&line.values)?;
            Some(say!("{line} reaches {peak} at {at}", line = name(&line.label), peak = grouped(value), at))
        });
        let limits = self.limits.iter();
        let limits =
            limits.map(|limit| say!("{limit} is {value}", limit = name(&limit.label), value = grouped(limit.value)));
        let said = Text::joined(Joint::Semicolons, peaks.chain(limits));
        say!("sockets in TIME-WAIT over time; {said}", said)
    }

    /// The lines that have values, by peak, as many as there are colours; and how many are left out.
    fn drawn(&self) -> (Vec<&PopulationLine>, usize) {
        let mut lines: Vec<_> = self.lines.iter().filter(|line| !line.values.is_empty()).collect();
        let highest = |line: &PopulationLine| line.values.iter().map(|(_, value)| *value).max();
        lines.sort_by_key(|line| std::cmp::Reverse(highest(line)));
        let left_out = lines.len().saturating_sub(colour::SERIES.len());
        lines.truncate(colour::SERIES.len());
        (lines, left_out)
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let (lines, left_out) = self.drawn();
        let highest = lines.iter().flat_map(|line| &line.values).map(|(_, value)| *value).max().unwrap_or(0);
        let near = |limit: &&Limit| limit.value <= highest.saturating_mul(FAR);
        let top_value = self.limits.iter().filter(near).map(|limit| limit.value).chain([highest]).max().unwrap_or(0);
        let y = Axis::counts(top_value, 5.0);
        let time = TimeAxis::over(lines.iter().flat_map(|line| &line.values).map(|(at, _)| *at));

        let texts: Vec<String> = self.limits.iter().map(|limit| limit_text(limit, near(&limit))).collect();
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &keys(&lines, !self.limits.is_empty()));
        let plot = Plot::below(top + 26.0, &y, frame::side_room(&texts), 310.0);
        plot.vertical(&mut scene, &y, "sockets in TIME-WAIT");
        let bottom = plot.horizontal(&mut scene, &time.axis, &time.title);
        let field = Field { plot: &plot, time: &time, y: &y };
        let labels = self.limits.iter().zip(texts).map(|(limit, text)| {
            let height = if near(&limit) { field.place(Time(0), limit.value).1 } else { plot.top };
            SideLabel { y: height, text, colour: INK }
        });
        let labels: Vec<SideLabel> = labels.collect();
        for limit in self.limits.iter().filter(near) {
            let height = field.place(Time(0), limit.value).1;
            scene.dashes((plot.left, height), (plot.right(), height), (8.0, 4.0), 1.75, GREY);
        }
        #[allow(clippy::cast_precision_loss)]
        let column = 1.0 + lines.len() as f64 / 2.0;
        for (index, line) in lines.iter().enumerate() {
            field.draw(&mut scene, &line.values, column, (Mark::of_series(index), colour::series(index)));
        }
        for (at, value) in lines.iter().filter_map(|line| peak(&line.values)) {
            scene.mark(Mark::Ring, field.place(at, value), 7.0, INK);
        }
        if lines.is_empty() {
            plot.nothing(&mut scene, "no socket in TIME-WAIT");
        }
        let bottom = bottom.max(frame::side_labels(&mut scene, &plot, labels));
        frame::finish(&mut scene, bottom, &notes(left_out));
        scene
    }
}

fn limit_text(limit: &Limit, near: bool) -> String {
    let arrow = if near { "" } else { "↑ " };
    format!("{arrow}{} {}", limit.label, grouped(limit.value))
}

fn keys(lines: &[&PopulationLine], limits: bool) -> Vec<Key> {
    let mut keys = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let swatch = Swatch::MarkedLine(Mark::of_series(index), colour::series(index));
        let peak = peak(&line.values).map(|(at, value)| format!(" — peak {} at {}", grouped(value), clock(at, 0)));
        keys.push(Key::new(swatch, format!("{}{}", line.label, peak.unwrap_or_default())));
    }
    if !lines.is_empty() {
        keys.push(Key::new(Swatch::Mark(Mark::Ring, INK), "peak"));
    }
    if limits {
        keys.push(Key::new(Swatch::Dashes(GREY), "limit"));
    }
    keys
}

fn notes(left_out: usize) -> Vec<String> {
    match left_out {
        0 => Vec::new(),
        1 => vec!["One more host with a lower peak is not drawn.".to_owned()],
        _ => vec![format!("{left_out} more hosts with lower peaks are not drawn.")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;
    use crate::time::Span;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn line(label: &str, count: i64, most: f64) -> PopulationLine {
        let value = |n: i64| {
            #[allow(clippy::cast_precision_loss)]
            let part = n as f64 / count.max(2) as f64;
            let wave = (part * 3.0).min(1.0) * (0.9 + 0.1 * (part * 40.0).sin()) * most;
            (START.plus(Span::from_millis(n * 600_000 / count)), wave as u64)
        };
        PopulationLine { label: label.to_owned(), values: (0..count).map(value).collect() }
    }

    fn limit(label: &str, value: u64) -> Limit {
        Limit { label: label.to_owned(), value }
    }

    #[test]
    fn six_lines_are_drawn_and_the_highest_first() {
        let lines = (1..=8_i32).map(|n| line(&n.to_string(), 10, f64::from(n) * 100.0)).collect();
        let data = Population { lines, limits: Vec::new() };
        let (drawn, left_out) = data.drawn();
        assert_eq!((drawn.len(), left_out, drawn[0].label.as_str()), (6, 2, "8"));
    }

    #[test]
    fn populations_are_drawn() {
        let lines = vec![line("192.0.2.80 (capture)", 400, 28_231.0), line("192.0.2.81 (capture)", 9, 11_000.0)];
        let limits = vec![
            limit("tcp_max_tw_buckets", 32_768),
            limit("ports 32768–60999", 28_232),
            limit("kernel memory for tw_sock_TCP", 262_144),
        ];
        let expected = ["sockets in TIME-WAIT", "32,768", "↑ kernel memory", "192.0.2.80 (capture) — peak"];
        check::draws("population-usual", Picture::Population(Population { lines, limits }), &expected);
    }

    #[test]
    fn extremes_are_drawn() {
        check::draws("population-none", Picture::Population(Population::default()), &["no socket in TIME-WAIT"]);
        let one = Population { lines: vec![line("host", 1, 5.0)], limits: vec![limit("limit", 180_000)] };
        check::draws("population-one", Picture::Population(one), &["peak 0"]);
        let long =
            "a-host-name-that-is-long.with-many-labels.in.some-zone.example.net, as netstat told it in the bundle";
        let lines = (0..8).map(|n| line(&format!("{n} {long}"), 10_000, 900.0 + f64::from(n))).collect();
        let limits = (0..9).map(|n| limit("net.ipv4.a.very.long.name.of.a.setting.of.the.kernel", 900 + n)).collect();
        check::draws("population-many", Picture::Population(Population { lines, limits }), &["2 more hosts"]);
    }
}
