//! Tables of the sysstat tools: `sar` in text, and `mpstat` with the same shape.
//!
//! It follows sar(1). The first line names the kernel; each block repeats its line of names, which begins
//! with a time of day in the locale's form (`07:27:15`, `07:27:15 AM`, `07时27分15秒`). Averages are left
//! out: they say nothing that the rows do not.

use std::sync::Arc;

use super::facts::{Sample, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken, clock, uname};
use crate::time::Span;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    is_banner(text) || names(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Sysstat { format: "sar", opened: false, names: None })
}

pub(super) struct Sysstat {
    format: &'static str,
    opened: bool,
    names: Option<Columns>,
}

struct Columns {
    /// Whether the first column names what the row is about.
    has_subject: bool,
    names: Vec<Arc<str>>,
}

impl Parser for Sysstat {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if is_banner(text) {
            if std::mem::replace(&mut self.opened, true) {
                return Taken::Foreign;
            }
            let release = text.split_ascii_whitespace().nth(1).unwrap_or_default();
            let host = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(host, _)| host);
            out.facts.kernels.extend(uname::version(release, host, source, out.names));
            return Taken::Row;
        }
        if text.trim().is_empty() {
            return Taken::Part;
        }
        if is_average(text) || text.contains("LINUX RESTART") {
            return Taken::Part;
        }
        if let Some((_, words)) = names(text) {
            self.opened = true;
            if is_mpstat(&words) {
                self.format = "mpstat";
            }
            let has_subject = matches!(
                words.first(),
                Some(&"CPU" | &"IFACE" | &"DEV" | &"TTY" | &"INTR" | &"FILESYSTEM" | &"BUS" | &"TEMP" | &"FAN")
            );
            let names = words.iter().skip(usize::from(has_subject)).map(|name| out.names.get(name)).collect();
            self.names = Some(Columns { has_subject, names });
            return Taken::Part;
        }
        let (Some((at, mut words)), Some(columns)) = (timed(text), &self.names) else {
            return Taken::Foreign;
        };
        let subject = if columns.has_subject && !words.is_empty() { words.remove(0) } else { "all" };
        let values: Option<Vec<f64>> = words.iter().map(|word| word.replace(',', ".").parse().ok()).collect();
        let Some(values) = values.filter(|values| values.len() == columns.names.len()) else {
            return Taken::Bad("as many values as names were expected");
        };
        let subject = out.names.get(subject);
        for (name, value) in columns.names.iter().zip(values) {
            let (subject, name) = (subject.clone(), name.clone());
            out.facts.samples.push(Sample { format: self.format, subject, name, value, time_of_day: Some(at), source });
        }
        Taken::Row
    }

    fn format(&self) -> Option<&'static str> {
        Some(self.format)
    }
}

/// `Linux 6.18.44 (vm)  11/22/26  _x86_64_ (2 CPU)`.
fn is_banner(text: &str) -> bool {
    text.starts_with("Linux ") && text.contains("CPU)") && text.contains('\t')
}

/// A row of names: a time of day, then words none of which is a number.
pub(super) fn names(text: &str) -> Option<(Span, Vec<&str>)> {
    let (at, words) = timed(text)?;
    let is_name = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '%')
            || word.ends_with("/s") && word.starts_with(|c: char| c.is_ascii_digit())
    };
    let counted = words
        .iter()
        .any(|word| word.ends_with("/s") || word.starts_with('%') || word.starts_with("tot") || word.contains("sz"));
    (words.len() > 1 && words.iter().all(is_name) && counted).then_some((at, words))
}

pub(super) fn is_mpstat(words: &[&str]) -> bool {
    words.first() == Some(&"CPU")
        && words
            .get(1)
            .is_some_and(|name| *name == "%usr" || *name == "intr/s" || name.starts_with(|c: char| c.is_ascii_digit()))
}

/// The time of day before a row, and its other words.
fn timed(text: &str) -> Option<(Span, Vec<&str>)> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return None;
    }
    let clock = words.remove(0);
    if clock.matches([':', '时', '分', '秒', '時']).count() < 2 {
        return None;
    }
    let mut at = clock::time_of_day(clock)?;
    if let Some(afternoon) = words.first().and_then(|word| match *word {
        "AM" | "上午" | "午前" => Some(false),
        "PM" | "下午" | "午後" => Some(true),
        _ => None,
    }) {
        at = clock::half_day(at, Some(afternoon));
        words.remove(0);
    }
    Some((at, words))
}

/// `Average:`, `平均时间:`: a word with a colon that is no time.
fn is_average(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    matches!(first, "Average:" | "平均时间:" | "平均時間:" | "平均値:" | "Durchschn.:" | "Moyenne:" | "Media:")
}

#[cfg(test)]
mod tests {
    use crate::snapshot::read;
    use crate::time::Span;

    #[test]
    fn a_clock_of_twelve_hours_does_not_shift_the_columns() {
        let text = "Linux 5.4.0 (web01) \t11/22/2026 \t_x86_64_\t(2 CPU)\n\n\
                    12:00:01 AM     CPU     %user     %nice   %system   %iowait    %steal     %idle\n\
                    12:10:01 AM     all      1.00      0.00      2.00      0.50     12.00     84.50\n\
                    01:10:01 PM     all      1.00      0.00      2.00      0.50     13.00     83.50\n\
                    Average:        all      1.00      0.00      2.00      0.50     12.50     84.00\n";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!(
            (snapshot.formats(), snapshot.parsed, snapshot.skipped_lines()),
            (vec!["sar"], 3, 0),
            "{:?}",
            snapshot.skipped
        );
        let steal: Vec<_> = snapshot.facts.samples.iter().filter(|sample| &*sample.name == "%steal").collect();
        assert_eq!(steal.iter().map(|sample| sample.value).collect::<Vec<_>>(), [12.0, 13.0]);
        assert_eq!(steal[1].time_of_day, Some(Span::from_secs(13 * 3600 + 601)));
        assert_eq!(snapshot.facts.kernels[0].host.as_deref(), Some("web01"));
    }
}
