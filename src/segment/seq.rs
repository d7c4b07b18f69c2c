//! Numbers that live on a circle: sequence numbers and timestamp values, modulo 2^32.
//!
//! RFC 9293 section 3.4 and RFC 7323 section 5.2. Neither type has an order: on a circle "less" is not
//! transitive. Each comparison is total and never panics, whatever a capture holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A TCP sequence or acknowledgment number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeqNumber(pub u32);

/// The TSval or TSecr of a Timestamps option, in ticks of the sender's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TsVal(pub u32);

impl SeqNumber {
    /// `self` moved forward by `octets`.
    #[must_use]
    pub const fn plus(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }

    /// How far `self` is ahead of `other`; negative where it is behind, by at most 2^31.
    #[must_use]
    #[allow(clippy::cast_possible_wrap)]
    pub const fn ahead_of(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// Whether `self` is at or after `other` (`!before` in `include/net/tcp.h`).
    #[must_use]
    pub const fn reaches(self, other: Self) -> bool {
        self.ahead_of(other) >= 0
    }

    /// Whether `self` is strictly after `other` (`after` in `include/net/tcp.h`).
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        self.ahead_of(other) > 0
    }
}

impl TsVal {
    /// Ticks that `self` is ahead of `other`; negative where it is behind.
    #[must_use]
    #[allow(clippy::cast_possible_wrap)]
    pub const fn ahead_of(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

crate::language::values!(SeqNumber);

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

crate::language::values!(TsVal);

impl fmt::Display for TsVal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_crosses_the_wrap() {
        let (before, after) = (SeqNumber(u32::MAX - 1), SeqNumber(3));
        assert!(after.is_after(before));
        assert!(!before.is_after(after));
        assert_eq!(after.ahead_of(before), 5);
        assert_eq!(before.plus(5), after);
        assert_eq!(TsVal(1).ahead_of(TsVal(u32::MAX)), 2);
    }

    #[test]
    fn half_the_circle_away_is_behind_both_ways() {
        assert_eq!(SeqNumber(0).ahead_of(SeqNumber(1 << 31)), i32::MIN);
        assert_eq!(SeqNumber(1 << 31).ahead_of(SeqNumber(0)), i32::MIN);
    }
}
