//! `lastack.toml`: the gate, thresholds and the allow-list, read strictly.
//!
//! A key that is not known, a value of another kind and an entry without a reason are errors, each with its line and
//! its key, and with what would have been right. The format is TOML 1.0 (<https://toml.io>); `docs/ci.md` describes it.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnosis::{KernelVersion, RULES, Severity};
use crate::report::gate::{Allow, Limit};

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Config {
    /// `gate.fail-on`; `Some(None)` is never.
    pub(super) fail_on: Option<Option<Severity>>,
    /// `gate.baseline`, relative to the file.
    pub(super) baseline: Option<PathBuf>,
    /// `analysis.msl`, in seconds.
    pub(super) msl: Option<f64>,
    /// `analysis.kernels`.
    pub(super) kernels: Vec<(IpAddr, KernelVersion)>,
    /// `[[threshold]]`.
    pub(super) limits: Vec<Limit>,
    /// `[[allow]]`.
    pub(super) allow: Vec<Allow>,
}

/// The file's name, where none is given.
pub(super) const NAME: &str = "lastack.toml";

/// Reads a file.
///
/// # Errors
/// If it cannot be read, or anything in it is not as it should be; the message names the line and the key.
pub(super) fn read(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut config = parse(&text).map_err(|Wrong { line, why }| anyhow::anyhow!("{}:{line}: {why}", path.display()))?;
    if let (Some(baseline), Some(folder)) = (&mut config.baseline, path.parent()) {
        *baseline = folder.join(&*baseline);
    }
    Ok(config)
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    why: String,
}

/// A table with the name by which messages call it.
struct Part<'t, 'i> {
    text: &'t str,
    name: String,
    table: &'t DeTable<'i>,
    /// Where it begins.
    at: usize,
    known: &'static [&'static str],
}

type Value<'t, 'i> = &'t Spanned<DeValue<'i>>;

fn parse(text: &str) -> Result<Config, Wrong> {
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Wrong { line: line(text, at), why: error.message().replace('\n', "; ") }
    })?;
    let root = Part::new(text, String::new(), root.get_ref(), 0, &["gate", "analysis", "threshold", "allow"])?;
    let mut config = Config::default();
    if let Some(gate) = root.part("gate", &["fail-on", "baseline"])? {
        config.fail_on = gate.with("fail-on", severity)?;
        config.baseline = gate.string("baseline")?.map(PathBuf::from);
    }
    if let Some(analysis) = root.part("analysis", &["msl", "kernels"])? {
        config.msl =
            analysis.number("msl")?.map(|msl| analysis.checked("msl", super::seconds(&msl.to_string()))).transpose()?;
        config.kernels = kernels(&analysis)?;
    }
    for entry in root.entries("threshold", &["rule", "metric", "above"])? {
        let (rule, metric) = (rule(&entry)?, entry.must("metric", entry.string("metric")?)?);
        let above = entry.must("above", entry.number("above")?)?;
        config.limits.push(Limit { rule, metric, above });
    }
    for entry in root.entries("allow", &["rule", "subject", "case", "until", "reason"])? {
        config.allow.push(allow(&entry)?);
    }
    Ok(config)
}

fn allow(entry: &Part<'_, '_>) -> Result<Allow, Wrong> {
    let reason = entry.must("reason", entry.string("reason")?)?;
    if reason.trim().is_empty() {
        return Err(entry.wrong("reason", "it is empty; say why this is allowed"));
    }
    Ok(Allow {
        rule: rule(entry)?,
        subject: entry.string("subject")?,
        case: entry.string("case")?,
        until: entry.get("until").map(|value| day(entry, value)).transpose()?,
        reason,
        line: line(entry.text, entry.at),
    })
}

/// A rule's code, one that there is.
fn rule(entry: &Part<'_, '_>) -> Result<String, Wrong> {
    let code = entry.must("rule", entry.string("rule")?)?;
    if RULES.iter().any(|rule| rule.code == code) {
        return Ok(code);
    }
    Err(entry.wrong("rule", format!("{code:?} is no rule's code; `lastack rules` lists them")))
}

/// A day, as TOML's own date or as a string.
fn day(entry: &Part<'_, '_>, value: Value<'_, '_>) -> Result<String, Wrong> {
    let expected = || entry.wrong("until", "expected a day, as in 2026-12-31");
    let text = match value.get_ref() {
        DeValue::Datetime(date) => date.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => return Err(expected()),
    };
    if is_day(&text) { Ok(text) } else { Err(expected()) }
}

/// Whether a text is a day of the calendar, as `2026-12-31`.
pub(super) fn is_day(text: &str) -> bool {
    let digits = |part: Option<&str>, length| {
        part.filter(|part| part.len() == length && part.bytes().all(|octet| octet.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
    };
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next(), 4), digits(parts.next(), 2), digits(parts.next(), 2));
    let (Some(year), Some(month), Some(day), None) = (year, month, day, parts.next()) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn severity(gate: &Part<'_, '_>, value: &str) -> Result<Option<Severity>, Wrong> {
    match value {
        "critical" => Ok(Some(Severity::Critical)),
        "warning" => Ok(Some(Severity::Warning)),
        "info" => Ok(Some(Severity::Info)),
        "never" => Ok(None),
        _ => Err(gate.wrong("fail-on", format!("{value:?} is none of critical, warning, info, never"))),
    }
}

/// Any address may be a key here.
fn kernels(analysis: &Part<'_, '_>) -> Result<Vec<(IpAddr, KernelVersion)>, Wrong> {
    let Some(value) = analysis.get("kernels") else { return Ok(Vec::new()) };
    let Some(table) = value.get_ref().as_table() else { return Err(analysis.kind("kernels", value, "a table")) };
    let mut kernels = Vec::new();
    for (address, version) in table {
        let name = format!("kernels.\"{}\"", address.get_ref());
        let at = line(analysis.text, address.span().start);
        let Some(text) = version.get_ref().as_str() else {
            return Err(analysis.kind(&name, version, "a string, as in \"4.9\""));
        };
        let one = super::kernel(&format!("{}={text}", address.get_ref()));
        kernels.push(one.map_err(|why| Wrong { line: at, why: format!("{}.{name}: {why}", analysis.name) })?);
    }
    Ok(kernels)
}

impl<'t, 'i> Part<'t, 'i> {
    /// A table in which only known keys may stand.
    fn new(
        text: &'t str,
        name: String,
        table: &'t DeTable<'i>,
        at: usize,
        known: &'static [&'static str],
    ) -> Result<Self, Wrong> {
        let part = Self { text, name, table, at, known };
        let strange = table.keys().filter(|key| !known.contains(&&**key.get_ref()));
        // The first in the file, not in the order of the alphabet.
        match strange.min_by_key(|key| key.span().start) {
            Some(key) => Err(Wrong {
                line: line(text, key.span().start),
                why: format!("{}: unknown key; there are {}", part.path(key.get_ref()), known.join(", ")),
            }),
            None => Ok(part),
        }
    }

    fn get(&self, key: &str) -> Option<Value<'t, 'i>> {
        debug_assert!(self.known.contains(&key), "{key} is read and not known");
        self.table.get(key)
    }

    /// A table in this one.
    fn part(&self, key: &str, known: &'static [&'static str]) -> Result<Option<Part<'t, 'i>>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(table) = value.get_ref().as_table() else { return Err(self.kind(key, value, "a table")) };
        Part::new(self.text, self.path(key), table, value.span().start, known).map(Some)
    }

    /// Tables in a list in this one; they are numbered from 1 in messages.
    fn entries(&self, key: &str, known: &'static [&'static str]) -> Result<Vec<Part<'t, 'i>>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let wanted = || self.kind(key, value, &format!("entries, each under [[{key}]]"));
        let list = value.get_ref().as_array().ok_or_else(wanted)?;
        let entry = |(number, entry): (usize, Value<'t, 'i>)| {
            let table = entry.get_ref().as_table().ok_or_else(wanted)?;
            Part::new(self.text, format!("{key}[{number}]"), table, entry.span().start, known)
        };
        (1..).zip(list.iter()).map(entry).collect()
    }

    fn string(&self, key: &str) -> Result<Option<String>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = value.get_ref().as_str().ok_or_else(|| self.kind(key, value, "a string"))?;
        if text.is_empty() {
            return Err(self.wrong(key, "it is empty"));
        }
        Ok(Some(text.to_owned()))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return Err(self.kind(key, value, "a number")),
        };
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, format!("{text} is no number that can be compared with")))
    }

    fn with<T>(&self, key: &str, read: impl Fn(&Self, &str) -> Result<T, Wrong>) -> Result<Option<T>, Wrong> {
        self.string(key)?.map(|text| read(self, &text)).transpose()
    }

    fn must<T>(&self, key: &str, value: Option<T>) -> Result<T, Wrong> {
        value.ok_or_else(|| Wrong { line: line(self.text, self.at), why: format!("{}: it is missing", self.path(key)) })
    }

    fn checked<T>(&self, key: &str, result: Result<T, String>) -> Result<T, Wrong> {
        result.map_err(|why| self.wrong(key, why))
    }

    fn kind(&self, key: &str, value: Value<'_, '_>, expected: &str) -> Wrong {
        let why = format!("{}: expected {expected}, found {}", self.path(key), value.get_ref().type_str());
        Wrong { line: line(self.text, value.span().start), why }
    }

    fn wrong(&self, key: &str, why: impl Display) -> Wrong {
        let at = self.table.get(key).map_or(self.at, |value| value.span().start);
        Wrong { line: line(self.text, at), why: format!("{}: {why}", self.path(key)) }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// The line, from 1, of a place in a text.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_is_read() {
        let config = parse(
            "[gate]\nfail-on = \"warning\"\nbaseline = \"old.json\"\n\
             [analysis]\nmsl = 60\nkernels = { \"192.0.2.10\" = \"4.9\" }\n\
             [[threshold]]\nrule = \"SYN004\"\nmetric = \"syns_unanswered\"\nabove = 12.5\n\
             [[allow]]\nrule = \"SYN001\"\nsubject = \"192.0.2.1>*\"\nuntil = 2026-12-31\nreason = \"the lab\"\n\
             [[allow]]\nrule = \"SYN005\"\ncase = \"nightly-*\"\nuntil = \"2027-02-28\"\nreason = \"a test\"\n",
        )
        .unwrap();
        assert_eq!((config.fail_on, config.msl), (Some(Some(Severity::Warning)), Some(60.0)));
        assert_eq!(config.kernels, [("192.0.2.10".parse().unwrap(), KernelVersion(4, 9))]);
        assert_eq!(config.limits[0].above, 12.5);
        assert_eq!((config.allow[0].until.as_deref(), config.allow[0].line), (Some("2026-12-31"), 11));
        assert_eq!(config.allow[1].case.as_deref(), Some("nightly-*"));
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_key() {
        for (text, at, says) in [
            ("\n[gate]\nfail_on = \"info\"", 3, "gate.fail_on: unknown key; there are fail-on, baseline"),
            ("gates = 1", 1, "gates: unknown key; there are gate, analysis, threshold, allow"),
            ("[gate]\nfail-on = \"bad\"", 2, "gate.fail-on: \"bad\" is none of critical, warning, info, never"),
            ("[gate]\nfail-on = 3", 2, "gate.fail-on: expected a string, found integer"),
            ("gate = 1", 1, "gate: expected a table, found integer"),
            ("[analysis]\nmsl = 0", 2, "analysis.msl: 0 is not between 0 and 86400 seconds"),
            ("[analysis.kernels]\n\"10.0.0.1\" = \"new\"", 2, "analysis.kernels.\"10.0.0.1\": "),
            ("[analysis]\nkernels = 4", 2, "analysis.kernels: expected a table, found integer"),
            ("[[allow]]\nrule = \"SYN001\"", 1, "allow[1].reason: it is missing"),
            ("[[allow]]\nrule = \"SYN001\"\nreason = \" \"", 3, "allow[1].reason: it is empty; say why"),
            ("[[allow]]\nreason = \"x\"\nrule = \"SYN999\"", 3, "allow[1].rule: \"SYN999\" is no rule's code"),
            ("[[allow]]\nrule = \"SYN001\"\nreason = \"x\"\n[[allow]]\nwhy = 1", 5, "allow[2].why: unknown key"),
            ("[[allow]]\nrule = \"SYN001\"\nreason = \"x\"\nuntil = 2026-02-29", 4, ""),
            ("[[allow]]\nrule = \"SYN001\"\nreason = \"x\"\nuntil = \"tomorrow\"", 4, "allow[1].until: expected a day"),
            ("[[allow]]\nrule = \"SYN001\"\nreason = \"x\"\nuntil = 12:00:00", 4, "allow[1].until: expected a day"),
            ("allow = []\n[allow]", 2, ""),
            ("[allow]\nrule = \"SYN001\"", 1, "allow: expected entries, each under [[allow]], found table"),
            (
                "[[threshold]]\nrule = \"SYN004\"\nmetric = \"x\"\nabove = nan",
                4,
                "threshold[1].above: nan is no number",
            ),
            ("[[threshold]]\nrule = \"SYN004\"\nmetric = \"x\"", 1, "threshold[1].above: it is missing"),
            ("[gate]\nfail-on = \"info\"\nfail-on = \"info\"", 3, ""),
            ("[gate]\nfail-on =", 2, ""),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.why.contains(says) && !wrong.why.is_empty(), "{text:?} says {:?}", wrong.why);
            assert_eq!(wrong.line, at, "{text:?}: {}", wrong.why);
        }
    }

    #[test]
    fn no_table_takes_what_is_no_key_of_its_own() {
        let tables = ["gate", "analysis", "threshold", "allow"];
        assert!(tables.iter().all(|key| parse(&format!("[{key}.deep]\nx = 1")).is_err()));
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        assert!(["2026-12-31", "2024-02-29", "2000-02-29"].into_iter().all(is_day));
        let others =
            ["2026-2-1", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-01-", ""];
        assert!(!others.into_iter().any(is_day));
    }
}
