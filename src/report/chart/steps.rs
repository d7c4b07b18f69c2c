//! Numbers that change at known times, as step lines: each value holds until the next.

use crate::time::Time;

use super::axis::{Axis, TimeAxis};
use super::colour::Colour;
use super::frame::Plot;
use super::scene::{Mark, Point, Scene};

/// A plot with its two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub plot: &'a Plot,
    pub time: &'a TimeAxis,
    pub y: &'a Axis,
}

impl Field<'_> {
    #[allow(clippy::cast_precision_loss)]
    pub fn place(&self, at: Time, value: u64) -> Point {
        (self.plot.x(self.time.part(at)), self.plot.y(self.y.part(value as f64)))
    }

    /// Draws the values as a step line with a mark here and there, so that lines differ without their colours.
    ///
    /// Values less than `column` pixels apart are drawn as one: its first, highest, lowest and last value.
    pub fn draw(&self, scene: &mut Scene, values: &[(Time, u64)], column: f64, (mark, colour): (Mark, Colour)) {
        let places: Vec<Point> = in_order(values).iter().map(|(at, value)| self.place(*at, *value)).collect();
        let path = steps(&columns(&places, column));
        if path.len() > 1 {
            scene.path(path, 2.0, colour);
        }
        for place in spread(&places, 90.0) {
            scene.mark(mark, place, 3.6, colour);
        }
    }
}

/// The values in order of time; equal times keep their order.
fn in_order(values: &[(Time, u64)]) -> Vec<(Time, u64)> {
    let mut values = values.to_vec();
    values.sort_by_key(|(at, _)| *at);
    values
}

/// The highest value and when it was reached first.
pub(super) fn peak(values: &[(Time, u64)]) -> Option<(Time, u64)> {
    in_order(values).into_iter().rev().max_by_key(|(_, value)| *value)
}

/// Of the points within a column: the first, the highest, the lowest and the last.
fn columns(places: &[Point], column: f64) -> Vec<Point> {
    let mut kept = Vec::new();
    for chunk in places.chunk_by(|one, other| (one.0 / column).floor() == (other.0 / column).floor()) {
        let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { continue };
        if chunk.len() <= 4 {
            kept.extend_from_slice(chunk);
            continue;
        }
        let top = chunk.iter().map(|place| place.1).fold(f64::MAX, f64::min);
        let bottom = chunk.iter().map(|place| place.1).fold(f64::MIN, f64::max);
        kept.extend([*first, (first.0, top), (first.0, bottom), (first.0, last.1)]);
    }
    kept
}

/// Joins points by level lines and upright ones at their ends.
fn steps(places: &[Point]) -> Vec<Point> {
    let mut path: Vec<Point> = Vec::new();
    for place in places {
        match path.as_mut_slice() {
            [.., before, last] if before.1 == last.1 && last.1 == place.1 => last.0 = place.0,
            [.., last] if last.1 == place.1 || last.0 == place.0 => path.push(*place),
            [.., last] => {
                let corner = (place.0, last.1);
                path.extend([corner, *place]);
            }
            [] => path.push(*place),
        }
    }
    path
}

/// The first point, and each that is at least `apart` pixels right of the one before.
fn spread(places: &[Point], apart: f64) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for place in places {
        if kept.last().is_none_or(|last| place.0 - last.0 >= apart) {
            kept.push(*place);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next() {
        let path = steps(&[(0.0, 9.0), (5.0, 9.0), (7.0, 9.0), (8.0, 2.0)]);
        assert_eq!(path, [(0.0, 9.0), (7.0, 9.0), (8.0, 9.0), (8.0, 2.0)]);
    }

    #[test]
    fn a_column_keeps_its_extremes() {
        let places = [(0.1, 5.0), (0.2, 1.0), (0.3, 9.0), (0.4, 4.0), (0.5, 6.0), (3.0, 2.0)];
        assert_eq!(columns(&places, 1.0), [(0.1, 5.0), (0.1, 1.0), (0.1, 9.0), (0.1, 6.0), (3.0, 2.0)]);
    }

    #[test]
    fn the_peak_is_where_it_was_first() {
        assert_eq!(peak(&[(Time(3), 7), (Time(1), 7), (Time(2), 1)]), Some((Time(1), 7)));
        assert_eq!(peak(&[]), None);
    }
}
