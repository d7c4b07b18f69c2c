//! How connections ended: one bar for each kind of close, with its count and share.

use super::axis::{grouped, percent};
use super::colour::{BLUE, Colour, GREY, INK, MUTED, ORANGE, RULE, VERMILLION};
use super::font;
use super::frame::{self, Hatch, Head, Key, MARGIN, Swatch, TEXT};
use super::scene::{Anchor, Scene, WIDTH};
use crate::language::{Joint, Text, say};

/// Connections by how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closes {
    /// The kinds; the picture has those that occur, the most frequent first.
    pub kinds: Vec<CloseCount>,
}

/// One kind of close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseCount {
    /// As the connection table has it, such as `fin` or `fin-reset`.
    pub kind: String,
    /// Connections that ended so.
    pub count: u64,
}

/// More bars than this are summed up in the last.
const MOST: usize = 12;

impl Closes {
    pub(super) fn describe(&self) -> Text {
        let name = |kind: &str| match kind.split_once(' ') {
            Some((number, "other kinds")) => say!("{number} other kinds", number),
            Some(("none", _)) => say!("none (never opened)"),
            _ => Text::value(kind),
        };
        let rows = self.rows();
        let rows = rows.iter().map(|row| say!("{name} {number}", name = name(&row.kind), number = grouped(row.count)));
        let kinds = Text::joined(Joint::Commas, rows);
        say!("{connections} connections by how they ended: {kinds}", connections = grouped(self.total()), kinds)
    }

    fn total(&self) -> u64 {
        self.kinds.iter().fold(0, |sum, kind| sum.saturating_add(kind.count))
    }

    /// What is drawn: the kinds that occur, by count, the rarest of many together.
    fn rows(&self) -> Vec<CloseCount> {
        let mut rows: Vec<CloseCount> = self.kinds.iter().filter(|kind| kind.count > 0).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        if rows.len() > MOST {
            let rest = rows.split_off(MOST - 1);
            let count = rest.iter().fold(0, |sum: u64, row| sum.saturating_add(row.count));
            rows.push(CloseCount { kind: format!("{} other kinds", rest.len()), count });
        }
        rows
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        const PITCH: f64 = 34.0;
        let mut scene = Scene::default();
        let (rows, total) = (self.rows(), self.total());
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &keys(&rows)) + 14.0;
        let labels: Vec<Vec<String>> = rows.iter().map(|row| font::wrap(&row.kind, 260.0, TEXT, false)).collect();
        let left =
            MARGIN + labels.iter().flatten().map(|line| font::width(line, TEXT, false)).fold(60.0, f64::max) + 10.0;
        let most = rows.first().map_or(1, |row| row.count);
        let room = WIDTH - MARGIN - left - value_room(&rows, total);
        let mut y = top;
        for (row, lines) in rows.iter().zip(&labels) {
            let height = lines.iter().skip(1).fold(PITCH, |sum, _| sum + 16.0);
            let middle = y + height / 2.0;
            let mut baseline = middle - (height - PITCH) / 2.0 + 4.5;
            for line in lines {
                scene.text((left - 10.0, baseline), Anchor::End, TEXT, INK, line.clone());
                baseline += 16.0;
            }
            #[allow(clippy::cast_precision_loss)]
            let wide = (room * (row.count as f64 / most as f64)).max(1.5);
            frame::bar(&mut scene, (left, middle - 11.0), (wide, 22.0), colour_of(&row.kind), Hatch::Plain);
            scene.text((left + wide + 8.0, middle + 4.5), Anchor::Start, TEXT, INK, value(row.count, total));
            y += height;
        }
        if rows.is_empty() {
            scene.text((WIDTH / 2.0, y + 60.0), Anchor::Middle, TEXT + 2.0, MUTED, "no connections");
            y += 120.0;
        } else {
            scene.line((left, top - 4.0), (left, y + 4.0), 1.0, RULE);
        }
        let note = format!("{} connections; a connection is counted once, by how it ended.", grouped(total));
        frame::finish(&mut scene, y + 10.0, &[note]);
        scene
    }
}

fn value(count: u64, total: u64) -> String {
    format!("{} ({})", grouped(count), percent(count, total))
}

fn value_room(rows: &[CloseCount], total: u64) -> f64 {
    rows.iter().map(|row| font::width(&value(row.count, total), TEXT, false)).fold(0.0, f64::max) + 12.0
}

/// The groups that have a colour, in the order of the legend; the label beside a bar says its kind.
const GROUPS: [(Colour, &str, &[&str]); 4] = [
    (BLUE, "closed in order", &["fin", "fin-simultaneous"]),
    (VERMILLION, "ended by RST", &["reset", "fin-reset"]),
    (ORANGE, "one side or nobody finished", &["half-closed", "fin-unanswered", "data-unanswered"]),
    (GREY, "not closed in the capture", &["none", "open"]),
];

fn colour_of(kind: &str) -> Colour {
    let group = GROUPS.iter().find(|(_, _, kinds)| kinds.contains(&kind));
    group.map_or(GREY, |(colour, _, _)| *colour)
}

fn keys(rows: &[CloseCount]) -> Vec<Key> {
    let occurs = |kinds: &[&str]| rows.iter().any(|row| kinds.contains(&row.kind.as_str()));
    let groups = GROUPS.iter().filter(|(_, _, kinds)| occurs(kinds));
    groups.map(|(colour, words, _)| Key::new(Swatch::Bar(*colour, Hatch::Plain), *words)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;

    fn closes(kinds: &[(&str, u64)]) -> Closes {
        Closes {
            kinds: kinds.iter().map(|(kind, count)| CloseCount { kind: (*kind).to_owned(), count: *count }).collect(),
        }
    }

    #[test]
    fn frequent_kinds_come_first_and_rare_ones_together() {
        let rows = closes(&[("none", 2), ("fin", 7), ("open", 0), ("reset", 7)]).rows();
        let kinds: Vec<_> = rows.iter().map(|row| row.kind.as_str()).collect();
        assert_eq!(kinds, ["fin", "reset", "none"]);
        let many: Vec<(String, u64)> = (1..=20).map(|count| (format!("kind {count}"), count)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        let rows = closes(&many).rows();
        assert_eq!((rows.len(), rows[11].kind.as_str(), rows[11].count), (12, "9 other kinds", 45));
    }

    #[test]
    fn closes_are_drawn() {
        let usual = closes(&[
            ("none", 132),
            ("fin-reset", 40),
            ("reset", 211),
            ("fin-simultaneous", 3),
            ("fin", 10_482),
            ("half-closed", 77),
            ("fin-unanswered", 1),
            ("data-unanswered", 2),
            ("open", 903),
        ]);
        check::draws("closes-usual", Picture::Closes(usual), &["fin-simultaneous", "10,482 (88 %)", "< 0.1 %"]);
    }

    #[test]
    fn extremes_are_drawn() {
        check::draws("closes-none", Picture::Closes(Closes::default()), &["no connections"]);
        let long = "a kind of close that somebody explains at length and then-with-one-very-long-word-without-a-space";
        let extreme = closes(&[(long, u64::MAX), ("fin", u64::MAX / 2), ("reset", 1)]);
        check::draws("closes-long", Picture::Closes(extreme), &["18,446,744,073,709,551,615"]);
    }
}
