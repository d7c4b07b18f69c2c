//! One connection as a ladder: two lifelines and an arrow for each segment, in the order of the capture.

use crate::report::zone;
use crate::time::Time;

use super::axis::{clock, date, grouped};
use super::colour::{BLUE, Colour, GREY, INK, MUTED, ORANGE, RULE, VERMILLION};
use super::font;
use super::frame::{self, Head, Key, MARGIN, Swatch, TEXT};
use super::scene::{Anchor, Mark, Scene, WIDTH};
use crate::language::{Joint, Text, say, words};

/// The segments of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// The client's address and port.
    pub client: String,
    /// The server's address and port.
    pub server: String,
    /// The segments in the order of the capture; of more than 24, some in the middle are left out.
    pub rows: Vec<LadderRow>,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderRow {
    /// When it was captured.
    pub at: Time,
    /// Its number in its file, if it is to be shown.
    pub frame: Option<u64>,
    /// Whether the client sent it.
    pub from_client: bool,
    /// Its flags in words, such as `SYN, ACK`.
    pub flags: String,
    /// Its sequence number, counted from its sender's ISN.
    pub seq: i64,
    /// Its acknowledgment number, counted from the ISN of the other side, if it has one.
    pub ack: Option<i64>,
    /// Bytes of data it carries.
    pub len: u64,
    /// What to say about it; may be empty.
    pub label: String,
    /// How its arrow looks.
    pub arrow: Arrow,
}

/// What a segment is, as far as its arrow shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrow {
    /// Nothing special.
    Plain,
    /// A retransmission: dashed.
    Retransmitted,
    /// Never answered: dashed, and ending in a cross.
    Unanswered,
    /// A FIN or its acknowledgment.
    Closing,
    /// A RST.
    Reset,
}

/// The most rows a picture has, and how many of them are the first of many.
const ROWS: usize = 24;
const FIRST: usize = 13;

const FRAME_RIGHT: f64 = 84.0;
const TIME_RIGHT: f64 = 190.0;
const CLIENT: f64 = 214.0;
const SERVER: f64 = 610.0;
const LABEL: f64 = 632.0;
const LINE: f64 = 15.5;
const SMALL: f64 = TEXT - 0.5;

/// What takes a row: a segment, or the number of those left out.
enum Row<'a> {
    Segment(&'a LadderRow),
    LeftOut(usize),
}

impl Ladder {
    pub(super) fn describe(&self) -> Text {
        let segments = Text::joined(Joint::Semicolons, self.rows.iter().take(ROWS).map(LadderRow::describe));
        let (count, client, server) = (grouped(self.rows.len() as u64), &self.client, &self.server);
        say!("{count} segments between {client} and {server}: {segments}", count, client, server, segments)
    }

    fn shown(&self) -> Vec<Row<'_>> {
        if self.rows.len() <= ROWS {
            return self.rows.iter().map(Row::Segment).collect();
        }
        let last = ROWS - 1 - FIRST;
        let left_out = self.rows.len() - FIRST - last;
        let (first, rest) = self.rows.split_at(FIRST);
        let first = first.iter().map(Row::Segment);
        first.chain([Row::LeftOut(left_out)]).chain(rest.iter().skip(left_out).map(Row::Segment)).collect()
    }

    pub(super) fn scene(&self, head: Head<'_>) -> Scene {
        let mut scene = Scene::default();
        let top = head.draw(&mut scene);
        let top = frame::legend(&mut scene, top, &self.keys());
        let start = self.rows.first().map(|row| row.at);
        let lines_top = self.draw_heads(&mut scene, top + 8.0);
        let mut y = lines_top + 8.0;
        for row in self.shown() {
            match row {
                Row::Segment(row) => y = draw_row(&mut scene, y, row, start.unwrap_or_default()),
                Row::LeftOut(count) => {
                    let text = format!("… {} more segments …", grouped(count as u64));
                    scene.text(((CLIENT + SERVER) / 2.0, y + 18.0), Anchor::Middle, SMALL, MUTED, text);
                    y += 28.0;
                }
            }
        }
        if self.rows.is_empty() {
            scene.text(((CLIENT + SERVER) / 2.0, y + 40.0), Anchor::Middle, TEXT + 2.0, MUTED, "no segments");
            y += 80.0;
        }
        for x in [CLIENT, SERVER] {
            scene.line((x, lines_top), (x, y + 12.0), 1.5, RULE);
        }
        let notes = start.map(|start| {
            format!(
                "Times count from {} {} {}; sequence numbers from each side's first.",
                date(start),
                clock(start, 9),
                zone::offset(start)
            )
        });
        frame::finish(&mut scene, y + 18.0, &notes.into_iter().collect::<Vec<_>>());
        scene
    }

    /// The names of both sides and of the columns; returns where the lifelines begin.
    fn draw_heads(&self, scene: &mut Scene, top: f64) -> f64 {
        const ROOM: f64 = 380.0;
        let sides = [(CLIENT, "client", &self.client), (SERVER, "server", &self.server)];
        let names = sides.map(|(x, side, name)| (x, side, font::wrap(name, ROOM, TEXT - 1.0, true)));
        let rows = names.iter().map(|(_, _, lines)| lines.len()).max().unwrap_or(0);
        let bottom = (0..=rows).fold(top, |y, _| y + LINE + 1.0);
        for (x, side, lines) in names {
            let mut y = top + LINE;
            scene.text((x, y), Anchor::Middle, SMALL, MUTED, side);
            for line in lines {
                y += LINE + 1.0;
                scene.bold((x, y), Anchor::Middle, TEXT - 1.0, INK, line);
            }
        }
        let y = top + LINE;
        scene.text((FRAME_RIGHT, y), Anchor::End, SMALL, MUTED, "frame");
        scene.text((TIME_RIGHT - 20.0, y), Anchor::End, SMALL, MUTED, "seconds");
        bottom + 8.0
    }

    fn keys(&self) -> Vec<Key> {
        let looks = [
            (Arrow::Retransmitted, "retransmission"),
            (Arrow::Unanswered, "never answered"),
            (Arrow::Closing, "closing"),
            (Arrow::Reset, "reset"),
        ];
        let occurs = |arrow: Arrow| self.rows.iter().any(|row| row.arrow == arrow);
        let keys = looks.into_iter().filter(|(arrow, _)| occurs(*arrow));
        keys.map(|(arrow, words)| {
            let colour = colour_of(arrow);
            Key::new(if dashed(arrow) { Swatch::Dashes(colour) } else { Swatch::Line(colour) }, words)
        })
        .collect()
    }
}

/// Draws a segment whose row begins at `top`; returns where the next begins.
fn draw_row(scene: &mut Scene, top: f64, row: &LadderRow, start: Time) -> f64 {
    let above = font::wrap(&said(row), SERVER - CLIENT - 20.0, SMALL, false);
    let beside = font::wrap(&row.label, WIDTH - MARGIN - LABEL, SMALL, false);
    let colour = colour_of(row.arrow);
    let mut y = top;
    for line in above {
        y += LINE;
        scene.text(((CLIENT + SERVER) / 2.0, y), Anchor::Middle, SMALL, INK, line);
    }
    // The cross of an unanswered segment is higher than a line.
    y += if row.arrow == Arrow::Unanswered { 9.0 } else { 6.0 };
    draw_arrow(scene, y, row, colour);
    if let Some(frame) = row.frame {
        scene.text((FRAME_RIGHT, y + 4.5), Anchor::End, SMALL, MUTED, frame.to_string());
    }
    let offset = format!("{:.6}", row.at.since(start).secs()).replace('-', "−");
    scene.text((TIME_RIGHT, y + 4.5), Anchor::End, SMALL, MUTED, offset);
    let mut label_y = (y + 4.5 - LINE * beside.iter().skip(1).map(|_| 0.5).sum::<f64>()).max(top + LINE - 4.0);
    for line in beside {
        scene.text((LABEL, label_y), Anchor::Start, SMALL, colour_of_label(row.arrow), line);
        label_y += LINE;
    }
    (y + 9.0).max(label_y - LINE + 8.0)
}

fn draw_arrow(scene: &mut Scene, y: f64, row: &LadderRow, colour: Colour) {
    const TIP: f64 = 9.0;
    let (from, to) = if row.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let ahead = if row.from_client { 1.0 } else { -1.0 };
    // An arrow that nobody answered does not reach the other side.
    let lost = row.arrow == Arrow::Unanswered;
    let tip = to - ahead * if lost { 40.0 } else { 1.0 };
    let (start, end) = ((from, y), (tip - ahead * if lost { 6.0 } else { TIP - 1.0 }, y));
    if dashed(row.arrow) {
        scene.dashes(start, end, (7.0, 4.0), 1.75, colour);
    } else {
        scene.line(start, end, 1.75, colour);
    }
    if lost {
        scene.mark(Mark::Cross, (tip, y), 5.0, colour);
    } else {
        scene.area(vec![(tip, y), (tip - ahead * TIP, y - 4.5), (tip - ahead * TIP, y + 4.5)], colour);
    }
}

/// Flags and numbers of a segment, as they stand above its arrow.
fn said(row: &LadderRow) -> String {
    let mut text = format!("{} · seq {}", row.flags, row.seq);
    if let Some(ack) = row.ack {
        text.push_str(&format!(" ack {ack}"));
    }
    if row.len > 0 {
        text.push_str(&format!(" len {}", row.len));
    }
    text.replace('-', "−")
}

fn dashed(arrow: Arrow) -> bool {
    matches!(arrow, Arrow::Retransmitted | Arrow::Unanswered)
}

fn colour_of(arrow: Arrow) -> Colour {
    match arrow {
        Arrow::Plain => GREY,
        Arrow::Retransmitted => ORANGE,
        Arrow::Unanswered | Arrow::Reset => VERMILLION,
        Arrow::Closing => BLUE,
    }
}

fn colour_of_label(arrow: Arrow) -> Colour {
    if arrow == Arrow::Plain { MUTED } else { INK }
}

/// What labels say.
const LABELS: [&str; 6] = words!("reset", "opens", "sent again", "closes first", "closes, too", "quoted");

impl LadderRow {
    fn describe(&self) -> Text {
        let from = if self.from_client { say!("client") } else { say!("server") };
        let known = |part: &str| LABELS.into_iter().find(|label| *label == part);
        let labels = self.label.split("; ").map(|part| known(part).map_or_else(|| Text::value(part), Text::of));
        let label = Text::joined(Joint::Semicolons, labels);
        match label.is_empty() {
            true => say!("{from} {flags}", from, flags = &self.flags),
            false => say!("{from} {flags} ({label})", from, flags = &self.flags, label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::check;
    use super::*;
    use crate::time::Span;

    const START: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn row(millis: i64, from_client: bool, flags: &str, label: &str, arrow: Arrow) -> LadderRow {
        LadderRow {
            at: START.plus(Span::from_millis(millis)),
            frame: Some(1000 + millis.unsigned_abs()),
            from_client,
            flags: flags.to_owned(),
            seq: millis,
            ack: flags.contains("ACK").then_some(1),
            len: if flags.contains("PSH") { 1448 } else { 0 },
            label: label.to_owned(),
            arrow,
        }
    }

    fn ladder(rows: Vec<LadderRow>) -> Ladder {
        Ladder { client: "198.51.100.7:50312".to_owned(), server: "192.0.2.80:443".to_owned(), rows }
    }

    #[test]
    fn many_rows_keep_both_ends() {
        let rows = (0..1000).map(|n| row(n, n % 2 == 0, "ACK", "", Arrow::Plain)).collect();
        let data = ladder(rows);
        let shown = data.shown();
        assert_eq!(shown.len(), ROWS);
        assert!(matches!(shown[FIRST], Row::LeftOut(977)));
        assert!(matches!(shown[ROWS - 1], Row::Segment(last) if last.seq == 999));
        assert_eq!(ladder(data.rows[..24].to_vec()).shown().len(), 24);
    }

    #[test]
    fn a_segment_says_its_numbers() {
        let said = said(&row(7, true, "PSH, ACK", "", Arrow::Plain));
        assert_eq!(said, "PSH, ACK · seq 7 ack 1 len 1448");
    }

    #[test]
    fn ladders_are_drawn() {
        let rows = vec![
            row(0, true, "SYN", "TSval 31000", Arrow::Unanswered),
            row(1000, true, "SYN", "same ISN, TSval 32001", Arrow::Unanswered),
            row(3000, true, "SYN", "same ISN, TSval 34003", Arrow::Retransmitted),
            row(3001, false, "SYN, ACK", "", Arrow::Plain),
            row(3002, true, "ACK", "", Arrow::Plain),
            row(3003, true, "PSH, ACK", "request", Arrow::Plain),
            row(
                3090,
                false,
                "FIN, ACK",
                "active closer: the server holds TIME-WAIT from here on, and remembers",
                Arrow::Closing,
            ),
            row(3091, true, "ACK", "", Arrow::Closing),
            row(3094, true, "RST, ACK", "reset", Arrow::Reset),
        ];
        let expected = ["SYN, ACK · seq 3001 ack 1", "never answered", "3.002000", "4003", "07:41:08.314889700 UTC"];
        check::draws("ladder-usual", Picture::Ladder(ladder(rows)), &expected);
    }

    #[test]
    fn extremes_are_drawn() {
        check::draws("ladder-none", Picture::Ladder(Ladder::default()), &["no segments"]);
        let long =
            "a label that goes on and on and on, longer than anybody would want to read in a picture of segments";
        let arrows = [Arrow::Plain, Arrow::Closing, Arrow::Reset, Arrow::Unanswered, Arrow::Retransmitted];
        let rows =
            (0..40).map(|n| row(n * 12_345, n % 3 == 0, "FIN, PSH, ACK, URG, ECE, CWR", long, arrows[n as usize % 5]));
        let mut data = ladder(rows.collect());
        data.client =
            "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535 at 198.51.100.7:65535 before translation".to_owned();
        data.server = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".to_owned();
        data.rows[1].seq = i64::MIN;
        data.rows[1].len = u64::MAX;
        check::draws("ladder-long", Picture::Ladder(data), &["17 more segments"]);
    }
}
