//! What is noted of frames that are not as they should be: how many, and where; steps and gaps of the clock.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};

/// How many frames something was seen on, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// How many.
    pub count: u64,
    /// The first one, counted from 0; meaningless where there is none.
    pub first: u64,
}

impl Noted {
    /// Counts one frame.
    pub fn add(&mut self, frame: u64) {
        if self.count == 0 {
            self.first = frame;
        }
        self.count += 1;
    }

    /// Adds what a later batch noted; its frames are counted from `base`.
    pub fn append(&mut self, later: Self, base: u64) {
        if self.count == 0 && later.count > 0 {
            self.first = later.first.saturating_add(base);
        }
        self.count = self.count.saturating_add(later.count);
    }
}

/// What the clock of a capture does from one frame to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Frames with an earlier time than the one ahead of them, by more than [`Clock::TOLERANCE`].
    pub back: Noted,
    /// The largest of these steps: its frame, and its size.
    pub largest_back: Option<Leap>,
    /// The longest times without any frame, more than [`Clock::QUIET`] each; at most [`Clock::KEPT`], in frame order.
    pub gaps: Vec<Leap>,
}

/// The time between two neighbouring frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leap {
    /// The later frame, counted from 0.
    pub frame: u64,
    /// The time of the frame ahead of it.
    pub from: Time,
    /// The time of the later frame.
    pub until: Time,
}

impl Leap {
    /// How far apart both are, forward or back.
    #[must_use]
    pub fn span(&self) -> Span {
        Span(self.until.since(self.from).0.saturating_abs())
    }
}

impl Clock {
    /// Steps back that several receive queues make, and that harm nobody.
    pub const TOLERANCE: Span = Span::from_millis(10);
    /// Times without a frame that are not worth a note.
    pub const QUIET: Span = Span::from_secs(1);
    /// Gaps that are kept.
    pub const KEPT: usize = 8;

    /// Whether the time between two neighbouring frames is worth a note.
    #[inline]
    #[allow(clippy::cast_sign_loss)] // One comparison for both ends of the range.
    pub(super) const fn strays(previous: Time, at: Time) -> bool {
        let step = at.0.wrapping_sub(previous.0).wrapping_add(Self::TOLERANCE.0);
        step as u64 > (Self::TOLERANCE.0 + Self::QUIET.0) as u64
    }

    /// Notes the time from one frame to the next.
    #[cold]
    pub(super) fn note(&mut self, from: Time, until: Time, frame: u64) {
        // Packets of formats without times stand at 0.
        if from.0 == 0 || until.0 == 0 {
            return;
        }
        let leap = Leap { frame, from, until };
        if until < from {
            self.back.add(frame);
            self.keep_largest(leap);
        } else {
            self.keep_gap(leap);
        }
    }

    /// Adds what a later batch noted; its frames are counted from `base`.
    pub(super) fn append(&mut self, later: &Self, base: u64) {
        let moved = |leap: &Leap| Leap { frame: leap.frame.saturating_add(base), ..*leap };
        self.back.append(later.back, base);
        if let Some(leap) = &later.largest_back {
            self.keep_largest(moved(leap));
        }
        for leap in &later.gaps {
            self.keep_gap(moved(leap));
        }
    }

    fn keep_largest(&mut self, leap: Leap) {
        if self.largest_back.is_none_or(|known| known.span() < leap.span()) {
            self.largest_back = Some(leap);
        }
    }

    /// Of equal ones the first are kept, so that nothing depends on how a capture was cut into batches.
    fn keep_gap(&mut self, leap: Leap) {
        self.gaps.push(leap);
        if self.gaps.len() > Self::KEPT {
            let shortest = (0..).zip(&self.gaps).min_by_key(|(place, gap)| (gap.span(), std::cmp::Reverse(*place)));
            if let Some((place, _)) = shortest {
                self.gaps.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Time {
        Time(1_000_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn small_steps_are_passed_over() {
        for (from, until, strays) in [(0, 5, false), (5, 0, false), (0, 1000, false), (0, 1001, true), (11, 0, true)] {
            assert_eq!(Clock::strays(at(from), at(until)), strays, "{from} to {until}");
        }
    }

    #[test]
    fn batches_add_up_to_the_whole() {
        let times: Vec<i64> = (0..60_i64).map(|k| k * 2500 + k * k % 7 * 900 - k % 13 / 12 * 9000).collect();
        let noted = |times: &[i64]| {
            let mut clock = Clock::default();
            for (frame, pair) in (1..).zip(times.windows(2)) {
                if let [from, until] = pair
                    && Clock::strays(at(*from), at(*until))
                {
                    clock.note(at(*from), at(*until), frame);
                }
            }
            clock
        };
        let whole = noted(&times);
        assert!(whole.gaps.len() == Clock::KEPT && whole.back.count > 2);
        for cut in 1..times.len() {
            let mut clock = noted(&times[..cut]);
            // The frame at the border belongs to both, so that no step is lost.
            clock.append(&noted(&times[cut - 1..]), cut as u64 - 1);
            assert_eq!(clock, whole, "cut at {cut}");
        }
    }
}
