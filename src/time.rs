//! Points in time and spans of it, in integer nanoseconds.
//!
//! There is no wall clock anywhere in this program: a `Time` comes from a capture or a snapshot.
//! Arithmetic saturates, since captures carry any 64-bit value as a time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A signed number of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(pub i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Time {
    /// The latest time that can be told; also "never".
    pub const MAX: Self = Self(i64::MAX);
    /// The earliest time that can be told.
    pub const MIN: Self = Self(i64::MIN);

    /// From whole seconds and nanoseconds; saturates.
    #[must_use]
    pub const fn from_parts(seconds: i64, nanos: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
    }

    /// How much later `self` is than `earlier`; negative where it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved by `span`.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// `self` moved back by `span`.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// RFC 3339 in UTC with nine digits of fraction, as `report.json` has it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.div_euclid(NANOS_PER_SECOND), self.0.rem_euclid(NANOS_PER_SECOND));
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let parts =
            [(3, year, 4), (6, month, 2), (9, day, 2), (12, hour, 2), (15, minute, 2), (18, second, 2), (28, nanos, 9)];
        for (last, mut value, digits) in parts {
            for digit in text.iter_mut().take(last + 1).rev().take(digits) {
                *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
                value /= 10;
            }
        }
        match std::str::from_utf8(&text) {
            // There may be millions of times, and the general way takes ten times as long.
            Ok(text) if (0..10_000).contains(&year) => f.write_str(text),
            _ => write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"),
        }
    }
}

/// Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is the last of its year; an era is 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole seconds; saturates.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// From milliseconds; saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds as a person types them; anything not finite becomes zero.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        // The cast saturates and maps NaN to zero.
        #[allow(clippy::cast_possible_truncation)]
        Self((seconds * 1e9) as i64)
    }

    /// In seconds, for people and for statistics.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// In milliseconds, for people and for statistics.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn millis(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Seconds with as many digits as a person wants to read: `12.3 s`, `850 ms`, `20 µs`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        match magnitude {
            0..1_000_000 => write!(f, "{:.0} µs", self.millis() * 1000.0),
            1_000_000..1_000_000_000 => write!(f, "{:.1} ms", self.millis()),
            1_000_000_000..100_000_000_000 => write!(f, "{:.2} s", self.secs()),
            _ => write!(f, "{:.0} s", self.secs()),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

/// From the nanoseconds of a format that people do not read.
impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_days_are_those_of_the_civil_calendar() {
        assert_eq!(Time(0).rfc3339(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Time::from_parts(1_795_333_268, 314_889_700).rfc3339(), "2026-11-22T07:41:08.314889700Z");
        assert_eq!(Time::from_parts(951_782_399, 1).rfc3339(), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(Time::from_parts(951_868_799, 0).rfc3339(), "2000-02-29T23:59:59.000000000Z");
        assert_eq!(Time(-1).rfc3339(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn no_value_overflows() {
        assert_eq!(Time::MAX.plus(Span::from_secs(1)), Time::MAX);
        assert_eq!(Time::MIN.since(Time::MAX), Span(i64::MIN));
        assert!(Time::MAX.rfc3339().starts_with("2262-04-11"));
        assert!(!Time::MIN.rfc3339().is_empty());
    }
}
