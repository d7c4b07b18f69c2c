//! Axes: where a value lies between two ends, and the round values that are labelled.

use crate::report::zone;
use crate::time::{Span, Time};

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// The value, in the unit of the axis.
    pub at: f64,
    /// What is written there.
    pub label: String,
}

/// A linear or logarithmic axis from `from` to `until`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// The value at the left or lower end.
    pub from: f64,
    /// The value at the other end; greater than `from`.
    pub until: f64,
    /// Whether equal factors have equal distance.
    pub logarithmic: bool,
    /// The labelled values in ascending order.
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// How far along the axis the value is, from 0 to 1; values beyond the ends are at the ends.
    pub fn part(&self, value: f64) -> f64 {
        let (from, until, value) = if self.logarithmic {
            (self.from.log10(), self.until.log10(), value.log10())
        } else {
            (self.from, self.until, value)
        };
        let part = (value - from) / (until - from);
        if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) }
    }

    /// A linear axis over at least `from` to `until` with about `wanted` ticks at round values.
    pub fn linear(from: f64, until: f64, wanted: f64, label: impl Fn(f64, f64) -> String) -> Self {
        let until = if until > from { until } else { from + 1.0 };
        let step = round_step((until - from) / wanted.max(1.0));
        Self { from, until, logarithmic: false, ticks: ticks(from, until, step, |at| label(at, step)) }
    }

    /// An axis of counts from zero up to a round value at or above `most`.
    pub fn counts(most: u64, wanted: f64) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let most = (most as f64).max(1.0);
        let step = round_step(most / wanted.max(1.0)).max(1.0);
        // A twentieth above the highest value keeps it off the frame.
        let until = most * 1.05;
        Self { from: 0.0, until, logarithmic: false, ticks: ticks(0.0, until, step, grouped_f64) }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `least`.
pub(super) fn round_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|step| *step >= least * (1.0 - 1e-9));
    step.unwrap_or(power * 10.0)
}

fn ticks(from: f64, until: f64, step: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
    const MOST: usize = 200;
    let first = (from / step - 1e-9).ceil();
    let value = |index: usize| {
        #[allow(clippy::cast_precision_loss)]
        let at = (first + index as f64) * step;
        at
    };
    let within = (0..MOST).map(value).take_while(|at| *at <= until + step * 1e-9);
    within.map(|at| Tick { at, label: label(at) }).collect()
}

/// A number with as many decimals as its steps need.
pub(super) fn decimal(value: f64, step: f64) -> String {
    // Steps are not below 1e-12, and the cast saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    if step >= 1.0 {
        return grouped_f64(value);
    }
    let text = format!("{value:.digits$}");
    if text.trim_start_matches(['-', '0', '.']).is_empty() {
        text.trim_start_matches('-').to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// A whole number in groups of three digits: `28,231`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As [`grouped`], for whole numbers that come as a fraction, negative ones too.
pub(super) fn grouped_f64(value: f64) -> String {
    // The cast saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let text = grouped(value.abs().round() as u64);
    if value <= -0.5 { format!("−{text}") } else { text }
}

/// A part of a whole in percent, with a decimal only where it is small.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole as f64 * 100.0;
    match share {
        0.0 => "0 %".to_owned(),
        1000.0.. => "over 999 %".to_owned(),
        _ if share < 0.1 => "< 0.1 %".to_owned(),
        _ if share < 10.0 || (share > 99.0 && part < whole) => format!("{:.1} %", share.min(99.9)),
        _ => format!("{share:.0} %"),
    }
}

/// A time axis: an [`Axis`] in nanoseconds since `base`, and what to write below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimeAxis {
    base: Time,
    /// In nanoseconds since the base.
    pub axis: Axis,
    /// Says the unit of the labels, and the date or moment they count from.
    pub title: String,
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Distances between ticks for spans of seconds and more, in seconds.
pub(super) const CLOCK_STEPS: [i64; 25] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    432_000,
    864_000,
    2_592_000,
    8_640_000,
    31_536_000,
    315_360_000,
];

impl TimeAxis {
    /// An axis over the times, with a little room at both ends.
    pub fn over(times: impl IntoIterator<Item = Time>) -> Self {
        let ends = times.into_iter().fold(None, |ends: Option<(Time, Time)>, at| {
            Some(ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))))
        });
        let Some((first, last)) = ends else { return Self::empty() };
        let span = last.since(first).0;
        let room = if span == 0 { SECOND / 2 } else { span / 50 };
        Self::between(first.minus(Span(room)), last.plus(Span(room)))
    }

    /// An axis without times, and so without labels.
    fn empty() -> Self {
        let axis = Axis { from: 0.0, until: 1.0, logarithmic: false, ticks: Vec::new() };
        Self { base: Time(0), axis, title: "time".to_owned() }
    }

    /// An axis from one time to another.
    pub fn between(first: Time, last: Time) -> Self {
        let last = last.max(first.plus(Span(1000)));
        // From 12 seconds on, labels tell the time of day; below, they count from a named moment.
        if last.since(first).0 >= 12 * SECOND { Self::of_day(first, last) } else { Self::since_moment(first, last) }
    }

    fn of_day(first: Time, last: Time) -> Self {
        const WANTED: i64 = 9;
        let span = last.since(first).0;
        let seconds = span / SECOND / WANTED;
        let step = CLOCK_STEPS.into_iter().find(|step| *step > seconds).unwrap_or(3_153_600_000).saturating_mul(SECOND);
        // Ticks stand at whole hours and days of the zone that is shown.
        let ahead = zone::ahead(first);
        let start = first.plus(ahead).0.div_euclid(step).saturating_add(1).saturating_mul(step);
        let start = Time(start).minus(ahead).0;

        let (from_day, to_day) = (date(first), date(last));
        let several_days = from_day != to_day;
        let moments = (0..40).map(|index: i64| start.saturating_add(index.saturating_mul(step)));
        let ticks = moments
            .take_while(|at| *at <= last.0)
            .map(|at| Tick { at: offset(Time(at), first), label: clock_label(Time(at), step, several_days) })
            .collect();
        let title = if several_days {
            format!("time, {}, {from_day} to {to_day}", offsets(first, last))
        } else {
            format!("time, {}, {from_day}", offsets(first, last))
        };
        Self { base: first, axis: Axis { from: 0.0, until: offset(last, first), logarithmic: false, ticks }, title }
    }

    fn since_moment(first: Time, last: Time) -> Self {
        let span = last.since(first).0;
        let (unit, unit_name, digits) = match span {
            0..2_000_000 => (1000, "microseconds", 6),
            2_000_000..2_000_000_000 => (1_000_000, "milliseconds", 3),
            _ => (SECOND, "seconds", 0),
        };
        // The named moment has as many digits as the unit needs, and lies at or before the first time.
        let moment = Time(first.0.div_euclid(unit).saturating_mul(unit));
        let ns_per_unit = offset(Time(unit), Time(0));
        let (from, until) = (offset(first, moment), offset(last, moment));
        let mut axis = Axis::linear(from / ns_per_unit, until / ns_per_unit, 9.0, decimal);
        (axis.from, axis.until) = (from, until.max(from + 1.0));
        axis.ticks.iter_mut().for_each(|tick| tick.at *= ns_per_unit);
        let title = format!("{unit_name} since {} {} {}", date(moment), clock(moment, digits), zone::offset(moment));
        Self { base: moment, axis, title }
    }

    /// An axis over moments of which only the distance from the first probe is known.
    pub fn counted(times: impl IntoIterator<Item = Time>) -> Self {
        let last = times.into_iter().max().unwrap_or_default().max(Time(SECOND));
        let ns_per_second = offset(Time(SECOND), Time(0));
        let until = offset(last, Time(0)) * 1.02;
        let mut axis = Axis::linear(0.0, until / ns_per_second, 9.0, decimal);
        (axis.from, axis.until) = (-0.02 * until, until);
        axis.ticks.iter_mut().for_each(|tick| tick.at *= ns_per_second);
        Self { base: Time(0), axis, title: "seconds since the first probe".to_owned() }
    }

    /// How far along the axis the time is, from 0 to 1.
    pub fn part(&self, at: Time) -> f64 {
        self.axis.part(offset(at, self.base))
    }
}

#[allow(clippy::cast_precision_loss)]
fn offset(at: Time, base: Time) -> f64 {
    at.0 as f64 - base.0 as f64
}

/// The offset of the zone that is shown; both where clocks are set in between.
fn offsets(first: Time, last: Time) -> String {
    match (zone::offset(first), zone::offset(last)) {
        (one, other) if one == other => one,
        (one, other) => format!("{one}, later {other}"),
    }
}

/// The date of a time, `2026-11-22`.
pub(super) fn date(at: Time) -> String {
    zone::local(at).0
}

/// The time of day with that many digits of a second, `07:41:08.314`.
pub(super) fn clock(at: Time, digits: usize) -> String {
    let time = zone::local(at).1;
    let length = if digits == 0 { 8 } else { 9 + digits.min(9) };
    time.chars().take(length).collect()
}

fn clock_label(at: Time, step: i64, with_day: bool) -> String {
    if step >= DAY {
        return date(at);
    }
    let time: String = clock(at, 0).chars().take(if step >= 60 * SECOND { 5 } else { 8 }).collect();
    let day: String = date(at).chars().skip(5).collect();
    if with_day { format!("{day} {time}") } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn steps_are_round() {
        let steps = [0.07, 0.1, 1.0, 1.1, 3.0, 7.0, 23.0].map(round_step);
        assert_eq!(steps, [0.1, 0.1, 1.0, 2.0, 5.0, 10.0, 50.0]);
        assert_eq!([0.0, -1.0, f64::NAN].map(round_step), [1.0; 3]);
    }

    #[test]
    fn counts_are_whole_even_when_few() {
        assert_eq!(labels(&Axis::counts(0, 5.0)), ["0", "1"]);
        assert_eq!(labels(&Axis::counts(2, 5.0)), ["0", "1", "2"]);
        assert_eq!(labels(&Axis::counts(28_231, 5.0)), ["0", "10,000", "20,000"]);
        assert!(Axis::counts(u64::MAX, 5.0).ticks.len() > 2);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped_f64(-1234.2), "−1,234");
        assert_eq!(decimal(0.30000000000000004, 0.1), "0.3");
        assert_eq!(decimal(-0.0, 0.1), "0.0");
        assert_eq!(
            [percent(1, 3), percent(1, 20_000), percent(0, 5), percent(19_999, 20_000)],
            ["33 %", "< 0.1 %", "0 %", "99.9 %"]
        );
    }

    #[test]
    fn a_minute_has_the_time_of_day() {
        let first = Time::from_parts(1_795_333_268, 0);
        let axis = TimeAxis::between(first, first.plus(Span::from_secs(60)));
        assert_eq!(labels(&axis.axis), ["07:41:10", "07:41:20", "07:41:30", "07:41:40", "07:41:50", "07:42:00"]);
        assert_eq!(axis.title, "time, UTC, 2026-11-22");
        assert!((axis.part(first.plus(Span::from_secs(30))) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_moment_is_counted_from_its_start() {
        let first = Time::from_parts(1_795_333_268, 314_889_700);
        let axis = TimeAxis::between(first, first.plus(Span::from_millis(40)));
        assert_eq!(axis.title, "milliseconds since 2026-11-22 07:41:08.314 UTC");
        assert_eq!(labels(&axis.axis), ["5", "10", "15", "20", "25", "30", "35", "40"]);
        let same = TimeAxis::over([first]);
        assert!((same.part(first) - 0.5).abs() < 0.01);
        assert!(same.axis.ticks.len() > 2);
    }

    #[test]
    fn days_name_the_day() {
        let first = Time::from_parts(1_795_333_268, 0);
        let axis = TimeAxis::between(first, first.plus(Span::from_secs(86_400)));
        assert_eq!(labels(&axis.axis).first(), Some(&"11-22 09:00"));
        assert!(axis.title.ends_with("2026-11-22 to 2026-11-23"));
    }

    #[test]
    fn no_time_is_too_far() {
        for (first, last) in
            [(Time::MIN, Time::MAX), (Time::MAX, Time::MAX), (Time::MIN, Time::MIN), (Time(5), Time(1))]
        {
            let axis = TimeAxis::over([first, last]);
            assert!(axis.axis.ticks.len() < 41);
            assert!((0.0..=1.0).contains(&axis.part(Time(0))));
        }
        assert_eq!(TimeAxis::over([]).axis.ticks, []);
    }
}
