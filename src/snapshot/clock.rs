//! Times as tools print them: `date`, RFC 3339, seconds since the epoch, times of day and lengths of time.
//!
//! A zone that is an abbreviation is trusted only where it means one thing: `CST` is China and Chicago.

use crate::time::{Span, Time};

/// A whole line that is a time, or a time in a frame (`### 1795333402.57 c1`, `zzz ***Sun Nov 22 …`).
///
/// Only framed times mark what follows them; a bare one is the output of `date`, which its own parser reads.
pub(super) fn stamp_line(text: &str) -> Option<(Time, bool)> {
    let text = text.trim();
    let body = text
        .strip_prefix("zzz")
        .unwrap_or(text)
        .trim_matches(|c: char| matches!(c, '#' | '*' | '=' | '-' | ' ' | '<' | '>'));
    if body.len() == text.len() {
        return None;
    }
    date(body).or_else(|| epoch(body.split_ascii_whitespace().next()?).map(|at| (at, true)))
}

/// A time as `date` prints it, in any of its common forms, and whether its zone is known.
pub(super) fn date(text: &str) -> Option<(Time, bool)> {
    let text = text.trim();
    if let Some(at) = epoch(text) {
        return Some((at, true));
    }
    iso(text).or_else(|| unix_date(text)).or_else(|| chinese_date(text))
}

/// Seconds since the epoch with or without a fraction, between 2001 and 2100.
pub(super) fn epoch(word: &str) -> Option<Time> {
    let (seconds, fraction) = word.split_once('.').unwrap_or((word, ""));
    if seconds.len() != 10 || !seconds.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = seconds.parse::<i64>().ok().filter(|seconds| (1_000_000_000..4_102_444_800).contains(seconds))?;
    Some(Time::from_parts(seconds, nanos(fraction)))
}

/// `2026-11-22T07:37:52.614583898+00:00`, with a space for the `T`, a comma for the point, no fraction or no zone.
pub(super) fn iso(text: &str) -> Option<(Time, bool)> {
    let mut date = text.get(..10)?.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if year.len() != 4
        || month.len() != 2
        || date.next().is_some()
        || !text.get(10..11).is_some_and(|c| c == "T" || c == " ")
    {
        return None;
    }
    let rest = text.get(11..)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.' || c == ',')).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(end)?;
    let at = civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?, time_of_day(clock)?)?;
    match offset(zone.trim()) {
        Some(east) => Some((at.minus(east), true)),
        None if zone.trim().is_empty() => Some((at, false)),
        None => None,
    }
}

/// `Sun Nov 22 07:37:52 UTC 2026`, `Sun Nov 22 07:37:52 2026`, `Sun Nov 22 07:37:52 AM UTC 2026`, `Sun 22 Nov 2026 07:37:52 AM UTC`.
fn unix_date(text: &str) -> Option<(Time, bool)> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
    if !(5..=7).contains(&words.len()) || !words.first().is_some_and(|word| is_weekday(word)) {
        return None;
    }
    let (mut found_month, mut found_day, mut found_year, mut clock) = (None, None, None, None);
    let (mut afternoon, mut zone, mut zone_known) = (None, Span::ZERO, false);
    for word in words.into_iter().skip(1) {
        if let Some(number) = month(word) {
            found_month = Some(number);
        } else if word.contains(':') && !word.starts_with(['+', '-']) {
            clock = time_of_day(word);
        } else if word == "AM" || word == "PM" {
            afternoon = Some(word == "PM");
        } else if word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            found_year = word.parse::<i64>().ok();
        } else if let Some(day) =
            word.trim_end_matches(',').parse::<i64>().ok().filter(|_| !word.starts_with(['+', '-']))
        {
            found_day = Some(day);
        } else {
            let east = offset(word).or_else(|| zone_offset(word));
            zone_known = east.is_some();
            zone = east.unwrap_or_default();
        }
    }
    let at = civil(found_year?, found_month?, found_day?, half_day(clock?, afternoon))?;
    Some((at.minus(zone), zone_known))
}

/// `2026年 11月 22日 星期日 07:37:52 UTC`, `2026年11月22日 星期日 07时37分52秒 CST`.
fn chinese_date(text: &str) -> Option<(Time, bool)> {
    let (year, rest) = text.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let (day, rest) = rest.split_once('日')?;
    let mut clock = None;
    let mut zone = None;
    for word in rest.split_ascii_whitespace() {
        match time_of_day(word) {
            Some(found) => clock = Some(found),
            None => zone = offset(word).or_else(|| zone_offset(word)),
        }
    }
    let at = civil(year.trim().parse().ok()?, month.trim().parse().ok()?, day.trim().parse().ok()?, clock?)?;
    Some((at.minus(zone.unwrap_or_default()), zone.is_some()))
}

/// Since midnight: `07:27:12`, `07:27`, `07:27:12.345`, `07:27:12,345`, `07时27分14秒`.
pub(super) fn time_of_day(word: &str) -> Option<Span> {
    let chinese = word.ends_with('秒');
    let mut parts = word.split(if chinese { &['时', '分', '秒', '時'][..] } else { &[':'][..] });
    let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let (second, fraction) = parts.next().map_or(("0", ""), |part| part.split_once(['.', ',']).unwrap_or((part, "")));
    let second: i64 = second.parse().ok().filter(|second| (0..=60).contains(second))?;
    if hour > 24 || minute > 59 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    Some(Span(Span::from_secs(seconds).0.saturating_add(nanos(fraction))))
}

/// Applies a 12-hour clock's half of the day.
pub(super) fn half_day(clock: Span, afternoon: Option<bool>) -> Span {
    const HALF: i64 = 43_200_000_000_000;
    match afternoon {
        Some(true) if clock.0 < HALF => Span(clock.0.saturating_add(HALF)),
        Some(false) if clock.0 >= HALF => Span(clock.0.saturating_sub(HALF)),
        _ => clock,
    }
}

/// The number of an English month, 1 to 12.
pub(super) fn month(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = MONTHS.iter().position(|month| *month == word)?;
    i64::try_from(index).ok()?.checked_add(1)
}

/// Days in a month at most, so that a number out of range is not a date.
pub(super) fn civil(year: i64, month: i64, day: i64, clock: Span) -> Option<Time> {
    if !(1970..2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era_year, era) = (year.rem_euclid(400), year.div_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = era_year * 365 + era_year / 4 - era_year / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(Time::from_parts(days.checked_mul(86_400)?, 0).plus(clock))
}

/// `Z`, `+00:00`, `+0800`, `-05`: how far the zone lies east of UTC.
fn offset(word: &str) -> Option<Span> {
    if word == "Z" {
        return Some(Span::ZERO);
    }
    let sign = if word.starts_with('-') { -1 } else { 1 };
    let digits = word.strip_prefix(['+', '-'])?.replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i64>().ok()?, 0),
        4 => (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..)?.parse::<i64>().ok()?),
        _ => return None,
    };
    Some(Span::from_secs(sign * (hours * 3600 + minutes * 60)))
}

/// The zones whose abbreviation means one offset only.
fn zone_offset(word: &str) -> Option<Span> {
    let hours = match word {
        "UTC" | "GMT" | "UCT" | "Z" => 0,
        "CET" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "EDT" => -4,
        "EST" => -5,
        "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(Span::from_secs(hours * 3600))
}

fn is_weekday(word: &str) -> bool {
    matches!(word.trim_end_matches(','), "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun")
}

fn two_digits(word: &str) -> Option<i64> {
    (1..=2).contains(&word.len()).then(|| word.parse().ok()).flatten().filter(|number| *number >= 0)
}

/// A decimal fraction of a second in nanoseconds; digits beyond the ninth are dropped.
fn nanos(fraction: &str) -> i64 {
    let mut value = 0_i64;
    for position in 0..9 {
        let digit = fraction.as_bytes().get(position).map_or(0, |byte| i64::from(byte.wrapping_sub(b'0')).min(9));
        value = value.saturating_mul(10).saturating_add(digit);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_form_are_one_time() {
        let known = Time::from_parts(1_795_333_072, 0);
        for text in [
            "1795333072",
            "2026-11-22T07:37:52+00:00",
            "2026-11-22T07:37:52Z",
            "2026-11-22 15:37:52 +0800",
            "Sun Nov 22 07:37:52 UTC 2026",
            "Sun Nov 22 07:37:52 AM UTC 2026",
            "Sun 22 Nov 2026 07:37:52 AM UTC",
            "Sun, 22 Nov 2026 07:37:52 +0000",
            "2026年 11月 22日 星期日 07:37:52 UTC",
            "2026年11月22日 星期日 07时37分52秒 UTC",
        ] {
            assert_eq!(date(text), Some((known, true)), "{text}");
        }
        assert_eq!(
            date("2026-11-22T07:37:52.614583898+00:00"),
            Some((Time::from_parts(1_795_333_072, 614_583_898), true))
        );
        assert_eq!(date("Sun Nov 22 07:37:52 CST 2026"), Some((known, false)), "China or Chicago");
        assert_eq!(date("Sun Nov 22 07:37:52 2026"), Some((known, false)));
        assert_eq!(
            date("Sun Nov 22 11:37:52 PM UTC 2026").map(|(at, _)| at.since(known)),
            Some(Span::from_secs(16 * 3600))
        );
        for text in ["60", "Sun shines on 22 Nov", "2026-11-22", "12345678901", "CST", "1 2 3 4 5 6"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_framed_time_marks_what_follows() {
        assert!(stamp_line("### 1795333402.579711847 c1").is_some());
        assert!(stamp_line("zzz ***Sun Nov 22 07:37:52 UTC 2026").is_some());
        assert!(stamp_line("=== 2026-11-22 07:37:52 ===").is_some());
        assert!(stamp_line("1795333402").is_none());
        assert!(stamp_line("--- 127.0.0.1 ping statistics ---").is_none());
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for seconds in [0_i64, 951_782_400, 951_868_800, 1_709_164_800, 4_102_358_400] {
            let text = Time::from_parts(seconds, 0).rfc3339();
            assert_eq!(iso(&text), Some((Time::from_parts(seconds, 0), true)), "{text}");
        }
    }
}
