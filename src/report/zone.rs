//! The time zone that reports for people are shown in: an IANA name (RFC 9557 section 4) or a fixed offset from UTC.
//!
//! The rules of all zones are built in (IANA tz database, by `jiff`), so that a report is the same on every machine.
//! `report.json` and the tables for programs stay in UTC. While a format is rendered, its zone is that of the thread:
//! every moment that is written asks for it, in sentences, tables and on the axes of charts alike.

use std::cell::RefCell;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::time::{Span, Time};

/// The zone that times are shown in; UTC by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a zone is not known.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no time zone: give an IANA name (Asia/Shanghai), an offset (+08:00) or UTC")]
pub struct ZoneError(String);

thread_local! {
    static SHOWN: RefCell<Zone> = RefCell::default();
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ZoneError(text.to_owned());
        if let Some(seconds) = fixed(text) {
            return Offset::from_seconds(seconds).map(|offset| Self(offset.to_time_zone())).map_err(|_| unknown());
        }
        TimeZone::get(text).map(Self).map_err(|_| unknown())
    }
}

impl Zone {
    /// Does `work` with all times shown in this zone.
    pub fn shown_while<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = SHOWN.replace(self.clone());
        let _restored = Restored(before);
        work()
    }

    /// How far clocks there are ahead of UTC.
    fn ahead(&self, at: Time) -> Span {
        let Ok(stamp) = Timestamp::from_nanosecond(at.0.into()) else { return Span::ZERO };
        Span::from_secs(self.0.to_offset(stamp).seconds().into())
    }
}

/// Puts back the zone of before, even where the work panics.
struct Restored(Zone);

impl Drop for Restored {
    fn drop(&mut self) {
        SHOWN.set(self.0.clone());
    }
}

/// Whether times are shown in UTC.
pub(super) fn is_utc() -> bool {
    SHOWN.with_borrow(|zone| *zone == Zone::default())
}

/// How far the shown zone is ahead of UTC at that time.
pub(super) fn ahead(at: Time) -> Span {
    SHOWN.with_borrow(|zone| zone.ahead(at))
}

/// Date and time of day in the shown zone, `2026-11-22` and `07:41:08.314889700`.
pub(super) fn local(at: Time) -> (String, String) {
    let text = at.plus(ahead(at)).rfc3339();
    let (day, clock) = text.split_once('T').unwrap_or((text.as_str(), ""));
    (day.to_owned(), clock.trim_end_matches('Z').to_owned())
}

/// `UTC`, or the offset at that time: `UTC+08:00`.
pub(super) fn offset(at: Time) -> String {
    let ahead = ahead(at).0 / 1_000_000_000;
    let (sign, seconds) = (if ahead < 0 { '-' } else { '+' }, ahead.unsigned_abs());
    match (ahead, seconds % 60) {
        (0, _) => "UTC".to_owned(),
        (_, 0) => format!("UTC{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60),
        (_, rest) => format!("UTC{sign}{:02}:{:02}:{rest:02}", seconds / 3600, seconds / 60 % 60),
    }
}

/// A moment of a table for programs, RFC 3339 in UTC; nothing for any other text.
pub(super) fn parsed(text: &str) -> Option<Time> {
    let stamp: Timestamp = text.parse().ok()?;
    i64::try_from(stamp.as_nanosecond()).ok().map(Time)
}

/// Seconds ahead of UTC, from `UTC`, `+08:00`, `-0530`, `UTC+8`.
fn fixed(text: &str) -> Option<i32> {
    let number = text.strip_prefix("UTC").unwrap_or(text);
    if number.is_empty() || text == "Z" {
        return (!text.is_empty()).then_some(0);
    }
    let (sign, digits) = match (number.strip_prefix('+'), number.strip_prefix(['-', '\u{2212}'])) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        // Without a colon there are both digits of each, or hours alone.
        None if digits.len() == 3 => return None,
        None => digits.split_at_checked(2.min(digits.len()))?,
    };
    let part = |text: &str, most: i32| {
        let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|value: &i32| digits && *value <= most)
    };
    let minutes = if minutes.is_empty() && !digits.contains(':') { 0 } else { part(minutes, 59)? };
    Some(sign * (part(hours, 18)? * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Time = Time::from_parts(1_795_333_268, 314_889_700);

    fn said(zone: &str, at: Time) -> String {
        let zone: Zone = zone.parse().unwrap();
        zone.shown_while(|| format!("{} {} {}", local(at).0, local(at).1, offset(at)))
    }

    #[test]
    fn names_and_offsets_are_zones() {
        assert_eq!(said("UTC", MOMENT), "2026-11-22 07:41:08.314889700 UTC");
        assert_eq!(said("Asia/Shanghai", MOMENT), "2026-11-22 15:41:08.314889700 UTC+08:00");
        assert_eq!(said("Asia/Kolkata", MOMENT), "2026-11-22 13:11:08.314889700 UTC+05:30");
        for west in ["-09:30", "-0930", "UTC-9:30"] {
            assert_eq!(said(west, MOMENT), "2026-11-21 22:11:08.314889700 UTC-09:30", "{west}");
        }
        assert_eq!(said("UTC+8", MOMENT), said("+08", MOMENT));
    }

    #[test]
    fn summer_time_is_that_of_the_moment() {
        let july = MOMENT.minus(Span::from_secs(140 * 86_400));
        assert!(said("Europe/Berlin", MOMENT).ends_with("08:41:08.314889700 UTC+01:00"));
        assert!(said("Europe/Berlin", july).ends_with("09:41:08.314889700 UTC+02:00"));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for text in ["", "Mars/Olympus", "+25:00", "+08:60", "+", "8", "+8:", "+008", "UTC+", "+-1"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_time_is_too_far() {
        for at in [Time::MIN, Time::MAX] {
            assert!(!said("Asia/Shanghai", at).is_empty());
        }
        assert_eq!(offset(MOMENT), "UTC", "the zone of before is back");
        assert_eq!(parsed(&MOMENT.rfc3339()), Some(MOMENT));
        assert_eq!(parsed("p1"), None);
    }
}
