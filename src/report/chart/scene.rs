//! A picture as a list of shapes, before any format: charts fill it, [`super::paint`] draws it.
//!
//! Lengths are pixels of a page 1000 wide, the origin is at the top left. Since a scene is a value, tests can
//! ask it what it shows and whether a text is cut or hidden.

use super::colour::Colour;
use super::font;

/// How wide every chart is, in pixels.
pub(super) const WIDTH: f64 = 1000.0;

pub(super) type Point = (f64, f64);

/// Which point of a text its place names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A line through the points.
    Line { points: Vec<Point>, width: f64, colour: Colour },
    /// A filled polygon.
    Area { points: Vec<Point>, colour: Colour },
    /// A filled rectangle.
    Rect { at: Point, size: Point, colour: Colour },
    /// A circle, filled where it has no line width.
    Circle { centre: Point, radius: f64, line: Option<f64>, colour: Colour },
    /// One line of text; `at` is on its baseline, `size` in pixels an em.
    Text { at: Point, text: String, anchor: Anchor, size: f64, bold: bool, colour: Colour },
}

/// The small shapes that stand for one event each; they differ without their colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// A circle, hollow.
    Ring,
    /// A circle, filled.
    Disc,
    /// A thick diagonal cross.
    Cross,
    /// A triangle, filled.
    Triangle,
    /// A square, filled.
    Square,
    /// A square on its tip, filled.
    Diamond,
    /// A triangle on its tip, filled.
    Wedge,
}

impl Mark {
    /// The marks of series in the order they are given out, beginning again at the end.
    pub fn of_series(index: usize) -> Self {
        const ORDER: [Mark; 6] = [Mark::Disc, Mark::Triangle, Mark::Square, Mark::Diamond, Mark::Wedge, Mark::Cross];
        ORDER.get(index % ORDER.len()).copied().unwrap_or(Mark::Disc)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scene {
    /// How high the picture is, in pixels.
    pub height: f64,
    /// What is on it, in drawing order.
    pub shapes: Vec<Shape>,
}

impl Scene {
    pub fn line(&mut self, from: Point, to: Point, width: f64, colour: Colour) {
        self.path(vec![from, to], width, colour);
    }

    pub fn path(&mut self, points: Vec<Point>, width: f64, colour: Colour) {
        self.shapes.push(Shape::Line { points, width, colour });
    }

    /// A straight line in pieces of `dash` pixels with gaps of `gap`.
    pub fn dashes(&mut self, from: Point, to: Point, (dash, gap): (f64, f64), width: f64, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let at = |along: f64| {
            let part = (along / length).clamp(0.0, 1.0);
            (from.0 + dx * part, from.1 + dy * part)
        };
        let mut along = 0.0;
        while along < length {
            self.line(at(along), at(along + dash), width, colour);
            along += dash + gap;
        }
    }

    pub fn area(&mut self, points: Vec<Point>, colour: Colour) {
        self.shapes.push(Shape::Area { points, colour });
    }

    pub fn rect(&mut self, at: Point, size: Point, colour: Colour) {
        if size.0 > 0.0 && size.1 > 0.0 {
            self.shapes.push(Shape::Rect { at, size, colour });
        }
    }

    pub fn text(&mut self, at: Point, anchor: Anchor, size: f64, colour: Colour, text: impl Into<String>) {
        self.push_text(at, anchor, size, false, colour, text.into());
    }

    pub fn bold(&mut self, at: Point, anchor: Anchor, size: f64, colour: Colour, text: impl Into<String>) {
        self.push_text(at, anchor, size, true, colour, text.into());
    }

    fn push_text(&mut self, at: Point, anchor: Anchor, size: f64, bold: bool, colour: Colour, text: String) {
        // No control character is allowed in an SVG, nor has it a shape.
        let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if !text.trim().is_empty() {
            self.shapes.push(Shape::Text { at, text, anchor, size, bold, colour });
        }
    }

    /// Draws a mark whose half width is about `radius`.
    pub fn mark(&mut self, mark: Mark, (x, y): Point, radius: f64, colour: Colour) {
        let polygon = |corners: &[Point]| corners.iter().map(|(dx, dy)| (x + dx * radius, y + dy * radius)).collect();
        match mark {
            Mark::Ring => self.circle((x, y), radius, Some(1.5), colour),
            Mark::Disc => self.circle((x, y), radius, None, colour),
            Mark::Triangle => self.area(polygon(&[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)]), colour),
            Mark::Wedge => self.area(polygon(&[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)]), colour),
            Mark::Square => self.rect((x - radius * 0.85, y - radius * 0.85), (radius * 1.7, radius * 1.7), colour),
            Mark::Diamond => self.area(polygon(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)]), colour),
            Mark::Cross => self.area(polygon(&CROSS), colour),
        }
    }

    pub fn circle(&mut self, centre: Point, radius: f64, line: Option<f64>, colour: Colour) {
        self.shapes.push(Shape::Circle { centre, radius, line, colour });
    }
}

/// The outline of a diagonal cross whose arms reach the corners of a square.
const CROSS: [Point; 12] = [
    (-1.1, -0.7),
    (-0.7, -1.1),
    (0.0, -0.4),
    (0.7, -1.1),
    (1.1, -0.7),
    (0.4, 0.0),
    (1.1, 0.7),
    (0.7, 1.1),
    (0.0, 0.4),
    (-0.7, 1.1),
    (-1.1, 0.7),
    (-0.4, 0.0),
];

/// The box a text covers: left, top, right and bottom.
pub(super) fn text_box(at: Point, text: &str, anchor: Anchor, size: f64, bold: bool) -> (f64, f64, f64, f64) {
    let wide = font::width(text, size, bold);
    let left = match anchor {
        Anchor::Start => at.0,
        Anchor::Middle => at.0 - wide / 2.0,
        Anchor::End => at.0 - wide,
    };
    // The height of capitals and figures, and the depth of a comma.
    (left, at.1 - 0.73 * size, left + wide, at.1 + 0.15 * size)
}

#[cfg(test)]
pub(super) mod check {
    //! What every chart is held to.

    use super::*;

    /// Panics when a text leaves the picture or covers another, or a shape lies outside.
    #[track_caller]
    pub fn tidy(scene: &Scene) {
        let texts: Vec<_> = texts(scene);
        for (index, (one, name)) in texts.iter().enumerate() {
            assert!(one.0 >= 0.0 && one.1 >= 0.0 && one.2 <= WIDTH && one.3 <= scene.height, "cut off: {name} {one:?}");
            for (other, other_name) in texts.iter().skip(index + 1) {
                let apart = one.2 <= other.0 || other.2 <= one.0 || one.3 <= other.1 || other.3 <= one.1;
                assert!(apart, "{name:?} {one:?} covers {other_name:?} {other:?}");
            }
        }
        for (x, y) in scene.shapes.iter().flat_map(corners) {
            assert!((-1.0..=WIDTH + 1.0).contains(&x) && (-1.0..=scene.height + 1.0).contains(&y), "outside: {x} {y}");
        }
    }

    type Box = (f64, f64, f64, f64);

    fn texts(scene: &Scene) -> Vec<(Box, &str)> {
        let text = |shape: &'_ Shape| match shape {
            Shape::Text { at, text, anchor, size, bold, .. } => Some(text_box(*at, text, *anchor, *size, *bold)),
            _ => None,
        };
        let name = |shape: &'_ Shape| matches!(shape, Shape::Text { .. });
        let names = scene.shapes.iter().filter(|shape| name(shape)).filter_map(|shape| match shape {
            Shape::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        scene.shapes.iter().filter_map(text).zip(names).collect()
    }

    fn corners(shape: &Shape) -> Vec<Point> {
        match shape {
            Shape::Line { points, .. } | Shape::Area { points, .. } => points.clone(),
            Shape::Rect { at, size, .. } => vec![*at, (at.0 + size.0, at.1 + size.1)],
            Shape::Circle { centre, .. } => vec![*centre],
            Shape::Text { .. } => Vec::new(),
        }
    }
}
