//! Leaves out marks that would lie on top of others of their kind.
//!
//! A chart is a thousand pixels wide; ten thousand marks on it are a blot and a big file. Where there are many, of marks of one kind in one
//! small square the first is kept, and the squares grow until few enough are left.

use std::collections::BTreeSet;

use super::axis::grouped;
use super::scene::Point;

/// How much may be drawn; a mark of cost 1 is about 80 bytes of SVG.
const BUDGET: usize = 2800;
/// So many marks are all drawn unless they are on one pixel.
const FEW: usize = 400;

/// The marks to draw, in their order; `kind` tells apart what may not hide each other, `cost` is what one costs.
pub(super) fn thinned<K: Ord + Copy>(marks: &[(Point, K)], cost: impl Fn(K) -> usize) -> Vec<(Point, K)> {
    let mut side = if marks.len() > FEW { 4.0 } else { 1.0 };
    loop {
        let kept = one_per_square(marks, side);
        if kept.iter().map(|(_, kind)| cost(*kind)).sum::<usize>() <= BUDGET || side > 1000.0 {
            return kept;
        }
        side *= 1.25;
    }
}

/// What to say below a chart that leaves marks out; nothing where it has all.
pub(super) fn note(drawn: usize, all: usize) -> Option<String> {
    let (drawn, all) = (grouped(drawn as u64), grouped(all as u64));
    (drawn != all).then(|| format!("{drawn} of {all} marks are drawn; the others would lie on these."))
}

fn one_per_square<K: Ord + Copy>(marks: &[(Point, K)], side: f64) -> Vec<(Point, K)> {
    let mut taken = BTreeSet::new();
    // The cast saturates, and coordinates are those of a picture.
    #[allow(clippy::cast_possible_truncation)]
    let square = |value: f64| (value / side).floor() as i32;
    marks.iter().copied().filter(|((x, y), kind)| taken.insert((*kind, square(*x), square(*y)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_marks_all_stay() {
        let marks: Vec<_> = (0..100).map(|index| ((f64::from(index), 5.0), 'a')).collect();
        assert_eq!(thinned(&marks, |_| 1), marks);
    }

    #[test]
    fn many_marks_fit_and_every_kind_stays() {
        let mut marks: Vec<_> =
            (0..20_000).map(|index| ((f64::from(index % 900), f64::from(index % 311)), 'a')).collect();
        marks.push(((5.2, 5.2), 'b'));
        let kept = thinned(&marks, |_| 1);
        assert!(kept.len() <= BUDGET && kept.len() > BUDGET / 3, "{}", kept.len());
        assert!(kept.contains(&((5.2, 5.2), 'b')));
    }

    #[test]
    fn what_lies_on_one_spot_is_one_mark() {
        assert_eq!(thinned(&vec![((7.0, 7.0), 1); 10_000], |_| 1).len(), 1);
    }
}
