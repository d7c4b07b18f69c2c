//! What charts have around their data: headline, legend, axes, labels at the side, and notes below.
//!
//! The legend is above the plot and the labels of lines beside it, so that neither covers data. Texts wrap and the
//! picture grows; nothing is cut.

use super::axis::Axis;
use super::colour::{Colour, GRID, INK, MUTED, RULE};
use super::font;
use super::scene::{Anchor, Mark, Point, Scene, WIDTH};

/// The size of most texts, in pixels an em: 9 where a picture is shown 700 pixels wide.
pub(super) const TEXT: f64 = 13.0;
/// The free border of a picture.
pub(super) const MARGIN: f64 = 24.0;

const TITLE: f64 = 18.0;
const LINE: f64 = 18.0;

/// What a picture is headed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub title: &'a str,
    pub note: &'a str,
}

impl Head<'_> {
    /// Writes title and note; returns how far down they reach.
    pub fn draw(&self, scene: &mut Scene) -> f64 {
        let mut y = 10.0;
        for line in font::wrap(self.title, WIDTH - 2.0 * MARGIN, TITLE, true) {
            y += 23.0;
            scene.bold((MARGIN, y), Anchor::Start, TITLE, INK, line);
        }
        y += 3.0;
        for line in font::wrap(self.note, WIDTH - 2.0 * MARGIN, TEXT, false) {
            y += LINE;
            scene.text((MARGIN, y), Anchor::Start, TEXT, MUTED, line);
        }
        y + 6.0
    }
}

/// How the bars of one kind are told from others without their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hatch {
    Plain,
    Rising,
    Falling,
    Level,
    Upright,
    Crossed,
}

impl Hatch {
    /// The hatches of series in the order they are given out.
    pub fn of_series(index: usize) -> Self {
        const ORDER: [Hatch; 6] =
            [Hatch::Plain, Hatch::Rising, Hatch::Level, Hatch::Falling, Hatch::Upright, Hatch::Crossed];
        ORDER.get(index % ORDER.len()).copied().unwrap_or(Hatch::Plain)
    }
}

/// A filled rectangle with a hatch.
pub(super) fn bar(scene: &mut Scene, at: Point, size: Point, colour: Colour, hatch: Hatch) {
    scene.rect(at, size, colour);
    if size.0 < 3.0 || size.1 < 3.0 {
        return;
    }
    let ink = INK.faded(0.55);
    let (right, bottom) = (at.0 + size.0, at.1 + size.1);
    if matches!(hatch, Hatch::Level) {
        every(6.0, at.1 + 3.0, bottom).for_each(|y| scene.line((at.0, y), (right, y), 0.75, ink));
    }
    if matches!(hatch, Hatch::Upright) {
        every(6.0, at.0 + 3.0, right).for_each(|x| scene.line((x, at.1), (x, bottom), 0.75, ink));
    }
    if matches!(hatch, Hatch::Rising | Hatch::Crossed) {
        slanted(at, size, true).into_iter().for_each(|(from, to)| scene.line(from, to, 0.75, ink));
    }
    if matches!(hatch, Hatch::Falling | Hatch::Crossed) {
        slanted(at, size, false).into_iter().for_each(|(from, to)| scene.line(from, to, 0.75, ink));
    }
}

fn every(step: f64, from: f64, until: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(from), move |at| Some(at + step)).take_while(move |at| *at < until)
}

/// Diagonal lines inside a rectangle.
fn slanted(at: Point, (wide, high): Point, rising: bool) -> Vec<(Point, Point)> {
    let line = |shift: f64| {
        // Along the diagonal x + y = shift, measured from the upper left corner.
        let (x0, x1) = ((shift - high).max(0.0), shift.min(wide));
        let place = |x: f64| (at.0 + x, if rising { at.1 + shift - x } else { at.1 + high - (shift - x) });
        (place(x0), place(x1))
    };
    every(7.0, 4.0, wide + high).map(line).collect()
}

/// What stands before the text of a legend's entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Swatch {
    Mark(Mark, Colour),
    Bar(Colour, Hatch),
    Line(Colour),
    MarkedLine(Mark, Colour),
    Dashes(Colour),
}

/// An entry of the legend.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub swatch: Swatch,
    pub text: String,
}

impl Key {
    pub fn new(swatch: Swatch, text: impl Into<String>) -> Self {
        Self { swatch, text: text.into() }
    }
}

/// Writes the legend from `top` on, as many entries in a row as fit; returns how far down it reaches.
pub(super) fn legend(scene: &mut Scene, top: f64, keys: &[Key]) -> f64 {
    const SWATCH: f64 = 26.0;
    let room = WIDTH - 2.0 * MARGIN - SWATCH;
    let (mut x, mut y) = (MARGIN, top + LINE);
    for key in keys {
        let lines = font::wrap(&key.text, room, TEXT, false);
        let wide = lines.iter().map(|line| font::width(line, TEXT, false)).fold(0.0, f64::max);
        if x > MARGIN && x + SWATCH + wide > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LINE + 2.0);
        }
        draw_swatch(scene, key.swatch, (x, y - 4.5));
        for (index, line) in lines.iter().enumerate() {
            y += if index > 0 { LINE } else { 0.0 };
            scene.text((x + SWATCH, y), Anchor::Start, TEXT, INK, line.clone());
        }
        x += SWATCH + wide + 22.0;
    }
    if keys.is_empty() { top } else { y + 6.0 }
}

fn draw_swatch(scene: &mut Scene, swatch: Swatch, (x, y): Point) {
    let (left, right) = ((x, y), (x + 20.0, y));
    match swatch {
        Swatch::Mark(mark, colour) => scene.mark(mark, (x + 11.0, y), 4.5, colour),
        Swatch::Bar(colour, hatch) => bar(scene, (x, y - 6.0), (20.0, 12.0), colour, hatch),
        Swatch::Line(colour) => scene.line(left, right, 2.0, colour),
        Swatch::Dashes(colour) => scene.dashes(left, right, (5.0, 2.5), 1.75, colour),
        Swatch::MarkedLine(mark, colour) => {
            scene.line(left, right, 2.0, colour);
            scene.mark(mark, (x + 10.0, y), 4.0, colour);
        }
    }
}

/// Where data is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Plot {
    /// A plot below `top` whose left labels are those of the axis, with `right` pixels beside it.
    pub fn below(top: f64, y: &Axis, right: f64, height: f64) -> Self {
        let widest = y.ticks.iter().map(|tick| font::width(&tick.label, TEXT, false)).fold(20.0, f64::max);
        let left = MARGIN + widest + 8.0;
        Self { left, top, width: WIDTH - left - right, height }
    }

    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The place of a part of the way along the horizontal axis.
    pub fn x(&self, part: f64) -> f64 {
        self.left + self.width * part
    }

    /// The place of a part of the way up the vertical axis.
    pub fn y(&self, part: f64) -> f64 {
        self.bottom() - self.height * part
    }

    /// Draws grid lines and labels of the vertical axis, and its title above.
    pub fn vertical(&self, scene: &mut Scene, axis: &Axis, title: &str) {
        scene.text((MARGIN, self.top - 11.0), Anchor::Start, TEXT, MUTED, title);
        for tick in &axis.ticks {
            let y = self.y(axis.part(tick.at));
            scene.line((self.left, y), (self.right(), y), 1.0, GRID);
            scene.text((self.left - 8.0, y + 4.5), Anchor::End, TEXT, MUTED, tick.label.clone());
        }
        scene.line((self.left, self.top), (self.left, self.bottom()), 1.0, RULE);
        scene.line((self.left, self.bottom()), (self.right(), self.bottom()), 1.0, RULE);
    }

    /// Draws ticks and labels of the horizontal axis and its title below; returns how far down they reach.
    pub fn horizontal(&self, scene: &mut Scene, axis: &Axis, title: &str) -> f64 {
        let keep = self.label_every(axis);
        for (index, tick) in axis.ticks.iter().enumerate() {
            let x = self.x(axis.part(tick.at));
            scene.line((x, self.bottom()), (x, self.bottom() + 5.0), 1.0, RULE);
            if index % keep == 0 {
                scene.text(
                    (self.within(x, &tick.label), self.bottom() + 19.0),
                    Anchor::Middle,
                    TEXT,
                    MUTED,
                    tick.label.clone(),
                );
            }
        }
        scene.text((self.right(), self.bottom() + 39.0), Anchor::End, TEXT, MUTED, title);
        self.bottom() + 43.0
    }

    /// Where to centre a label at `x` so that it stays on the picture.
    fn within(&self, x: f64, label: &str) -> f64 {
        let half = font::width(label, TEXT, false) / 2.0;
        x.min(WIDTH - 4.0 - half).max(4.0 + half)
    }

    /// Every how many ticks a label fits.
    fn label_every(&self, axis: &Axis) -> usize {
        let fits = |every: &usize| {
            let mut reached = f64::MIN;
            axis.ticks.iter().step_by(*every).all(|tick| {
                let half = font::width(&tick.label, TEXT, false) / 2.0;
                let x = self.within(self.x(axis.part(tick.at)), &tick.label);
                let free = x - half > reached + 8.0;
                reached = x + half;
                free
            })
        };
        (1..=axis.ticks.len().max(1)).find(fits).unwrap_or(1)
    }

    /// Says in the middle of an empty plot why it is empty.
    pub fn nothing(&self, scene: &mut Scene, text: &str) {
        let place = (self.x(0.5), self.y(0.5));
        scene.text(place, Anchor::Middle, TEXT + 2.0, MUTED, text);
    }
}

/// Writes notes below everything and sets the height of the picture.
pub(super) fn finish(scene: &mut Scene, bottom: f64, notes: &[String]) {
    let mut y = bottom;
    for line in notes.iter().flat_map(|note| font::wrap(note, WIDTH - 2.0 * MARGIN, TEXT - 1.0, false)) {
        y += LINE - 1.0;
        scene.text((MARGIN, y), Anchor::Start, TEXT - 1.0, MUTED, line);
    }
    scene.height = (y + 14.0).ceil();
}

/// A label beside the plot for the line that ends at height `y`.
#[derive(Clone, Debug)]
pub(super) struct SideLabel {
    pub y: f64,
    pub text: String,
    pub colour: Colour,
}

/// The width of labels beside a plot.
const SIDE: f64 = 150.0;

/// How much room beside the plot the labels need, in pixels.
pub(super) fn side_room(labels: &[String]) -> f64 {
    let lines = labels.iter().flat_map(|label| font::wrap(label, SIDE, TEXT - 1.0, false));
    let widest = lines.map(|line| font::width(&line, TEXT - 1.0, false)).fold(0.0, f64::max);
    if widest > 0.0 { widest + 16.0 + MARGIN } else { MARGIN }
}

/// Writes labels beside the plot, moved apart where they would cover each other; returns how far down they reach.
pub(super) fn side_labels(scene: &mut Scene, plot: &Plot, mut labels: Vec<SideLabel>) -> f64 {
    const HIGH: f64 = 15.0;
    labels.sort_by(|one, other| one.y.total_cmp(&other.y));
    let mut reached = plot.top - 8.0;
    for label in labels {
        let lines = font::wrap(&label.text, SIDE, TEXT - 1.0, false);
        let half = HIGH * lines.iter().map(|_| 0.5).sum::<f64>();
        let top = (label.y - half).max(reached);
        let middle = top + half;
        scene.path(
            vec![(plot.right(), label.y), (plot.right() + 5.0, label.y), (plot.right() + 11.0, middle)],
            1.0,
            RULE,
        );
        let mut y = top;
        for line in lines {
            y += HIGH;
            scene.text((plot.right() + 15.0, y - 3.5), Anchor::Start, TEXT - 1.0, label.colour, line);
        }
        reached = y + 3.0;
    }
    reached
}

/// An upright dashed line with a label above the plot.
#[derive(Clone, Debug)]
pub(super) struct Flag {
    /// Its place along the horizontal axis, from 0 to 1.
    pub part: f64,
    pub text: String,
    pub colour: Colour,
}

/// Draws upright lines, their labels right of them, in as many rows above the plot as they need.
pub(super) fn flags(scene: &mut Scene, plot: &Plot, flags: &[Flag]) {
    for (flag, (row, left)) in flags.iter().zip(flag_places(plot.left, plot.width, flags)) {
        let (x, base) = (plot.x(flag.part), plot.top - 6.0 - FLAG_ROW * row);
        // Where the label was moved over its line, the line ends below it.
        let up = if left > x { 9.0 } else { -4.0 };
        scene.dashes((x, base - up), (x, plot.bottom()), (6.0, 3.0), 1.5, flag.colour);
        scene.bold((left, base), Anchor::Start, TEXT - 1.0, INK, flag.text.clone());
    }
}

const FLAG_ROW: f64 = 16.0;

/// How much room the labels of the lines need above a plot.
pub(super) fn flag_room(left: f64, width: f64, flags: &[Flag]) -> f64 {
    flag_places(left, width, flags).into_iter().map(|(row, _)| row + 1.0).fold(0.0, f64::max) * FLAG_ROW
}

/// The row of each label, counted upwards, and where it begins.
///
/// A label is above all lines that begin right of its own and below its end, so that none goes through it.
fn flag_places(left: f64, width: f64, flags: &[Flag]) -> Vec<(f64, f64)> {
    const GAP: f64 = 6.0;
    let x = |flag: &Flag| left + flag.part * width;
    let mut order: Vec<usize> = (0..flags.len()).collect();
    order.sort_by(|one, other| {
        let part = |index: &usize| flags.get(*index).map_or(0.0, |flag| flag.part);
        part(other).total_cmp(&part(one))
    });
    let mut places = vec![(0.0, 0.0); flags.len()];
    // Where the line or label begins, and the row.
    let mut placed: Vec<(f64, f64)> = Vec::new();
    for index in order {
        let (Some(flag), Some(place)) = (flags.get(index), places.get_mut(index)) else { continue };
        let long = font::width(&flag.text, TEXT - 1.0, true);
        let start = (x(flag) + GAP).min(WIDTH - 4.0 - long);
        let end = start + long + GAP;
        let meets = |(from, _): &&(f64, f64)| *from < end;
        let row = placed.iter().filter(meets).map(|(_, row)| row + 1.0).fold(0.0, f64::max);
        placed.push((x(flag).min(start), row));
        *place = (row, start);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::colour::BLUE;
    use super::super::scene::check;
    use super::*;

    #[test]
    fn long_titles_and_legends_wrap() {
        let mut scene = Scene::default();
        let long = "a title that says a lot about what it shows ".repeat(6);
        let top = Head { title: &long, note: &"x".repeat(400) }.draw(&mut scene);
        let keys: Vec<_> =
            (0..20).map(|n| Key::new(Swatch::Line(BLUE), format!("series {n} {}", "y".repeat(n * 9)))).collect();
        let bottom = legend(&mut scene, top, &keys);
        finish(&mut scene, bottom, &[]);
        check::tidy(&scene);
    }

    #[test]
    fn hatches_stay_inside() {
        for (from, to) in [true, false].into_iter().flat_map(|rising| slanted((10.0, 20.0), (30.0, 9.0), rising)) {
            for (x, y) in [from, to] {
                assert!((10.0..=40.0).contains(&x) && (20.0..=29.0).contains(&y), "{x} {y}");
            }
        }
    }

    #[test]
    fn flags_that_meet_are_stacked() {
        let flag = |part: f64| Flag { part, text: "some text".to_owned(), colour: BLUE };
        let rows: Vec<f64> =
            flag_places(0.0, 800.0, &[flag(0.51), flag(0.5), flag(0.9)]).iter().map(|at| at.0).collect();
        assert_eq!(rows, [0.0, 1.0, 0.0]);
        assert!(flag_places(100.0, 899.0, &[flag(1.0)])[0].1 < 960.0);
        assert_eq!(flag_room(0.0, 800.0, &[]), 0.0);
    }
}
