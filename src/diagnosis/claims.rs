//! What one host claims, as rules about hosts ask for it: counters with what they count over, settings of the
//! running kernel, limits, states.
//!
//! A counter since boot says that something happened once, perhaps years ago: it is worth no more than `info`. A
//! rate needs the uptime, or two moments (Linux Documentation/networking/snmp_counter.rst; hotsos judges totals and
//! errs on long uptimes). [`Counted::lifts`] is that rule, and every rule about counters goes through it.

use std::collections::BTreeMap;

use super::host_limits::{Limits, line};
use super::{Case, Confidence, Exhibit, Finding, Rule, Severity, Subject, Verdict, number};
use crate::evidence::hosts::HostView;
use crate::language::{Said, Text, say};
use crate::snapshot::{KernelVersion, LogKind, LogLine, Setting, Source};
use crate::time::{Span, Time};

/// One host, asked by one rule.
pub(super) struct Claims<'a> {
    pub host: &'a HostView,
    rule: &'static Rule,
}

/// What a counter counts over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Over {
    /// Between two moments of the same boot; how far apart, where clocks tell.
    Moments(Option<Span>),
    /// Since boot, so long ago.
    Boot(Span),
    /// Since boot, whenever that was; or since the tool ran last.
    Unknown,
}

/// A counter, and over what.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// Its name without the group: `ListenDrops`.
    pub name: &'static str,
    /// By how much it grew; where only one value is told, that value.
    pub amount: u64,
    pub over: Over,
    sources: Vec<(Source, u64)>,
}

/// Judges every host by itself.
pub(super) fn each_host(
    case: &Case<'_>,
    rule: &'static Rule,
    judge: impl Fn(&Claims<'_>) -> Option<Finding>,
) -> Verdict {
    Verdict { found: claims(case, rule).filter_map(|claims| judge(&claims)).collect(), not_judged: Vec::new() }
}

/// Every host, asked by a rule.
pub(super) fn claims<'a>(case: &Case<'a>, rule: &'static Rule) -> impl Iterator<Item = Claims<'a>> + use<'a> {
    case.evidence.hosts.iter().map(move |host| Claims { host, rule })
}

impl<'a> Claims<'a> {
    /// A counter by its `nstat` name; `None` where nothing tells it.
    pub fn counted(&self, counter: &'static str) -> Option<Counted> {
        let name = counter.trim_start_matches("TcpExt").trim_start_matches("IpExt");
        if let Some(delta) = self.host.delta(counter) {
            let apart = delta.between.map(|(first, last)| last.since(first)).filter(|apart| apart.0 > 0);
            let sources = vec![(delta.sources.0, delta.first), (delta.sources.1, delta.last)];
            return Some(Counted { name, amount: delta.delta, over: Over::Moments(apart), sources });
        }
        let Some((value, source)) = self.host.counter(counter) else {
            // Only `nstat` without -a tells it: what it grew by since nstat ran last.
            let (amount, source) = self.host.host.facts.counter(counter)?;
            return Some(Counted { name, amount, over: Over::Unknown, sources: vec![(source, amount)] });
        };
        let over = self.host.host.uptime().filter(|up| up.0 > 0).map_or(Over::Unknown, Over::Boot);
        Some(Counted { name, amount: value, over, sources: vec![(source, value)] })
    }

    /// A counter, or nothing where it is zero or not told.
    pub fn moved(&self, counter: &'static str) -> Option<Counted> {
        self.counted(counter).filter(|counted| counted.amount > 0)
    }

    /// The sum of two counters, as far as they are told.
    pub fn sum(&self, counters: &[&'static str]) -> u64 {
        let counted = counters.iter().filter_map(|counter| self.counted(counter));
        counted.map(|counted| counted.amount).fold(0, u64::saturating_add)
    }

    /// A count that no MIB has: values of one thing each (a CPU, an interface), summed at every moment.
    pub fn totals(&self, name: &'static str, told: impl Iterator<Item = (Source, u64)>) -> Option<Counted> {
        let mut sums: BTreeMap<(usize, Option<Time>), (Source, u64)> = BTreeMap::new();
        for (source, value) in told {
            let Some(when) = self.host.when(source) else { continue };
            let (first, sum) = sums.entry(when).or_insert((source, 0));
            // Two tools at one moment tell the same: the first counts.
            if first.input == source.input {
                *sum = sum.saturating_add(value);
            }
        }
        let ((from, first), (until, last)) = (sums.first_key_value()?, sums.last_key_value()?);
        if from != until && last.1 >= first.1 {
            let apart = from.1.zip(until.1).map(|(from, until)| until.since(from)).filter(|apart| apart.0 > 0);
            let (amount, sources) = (last.1 - first.1, vec![*first, *last]);
            return Some(Counted { name, amount, over: Over::Moments(apart), sources });
        }
        let over = self.host.host.uptime().filter(|up| up.0 > 0).map_or(Over::Unknown, Over::Boot);
        Some(Counted { name, amount: last.1, over, sources: vec![*last] })
    }

    /// Lines of the log of one kind.
    pub fn logged(&self, kind: LogKind) -> Vec<&'a LogLine> {
        self.host.host.facts.log.iter().filter(|logged| logged.kind == kind).collect()
    }

    /// A setting of the running kernel.
    pub fn live(&self, name: &str) -> Option<&'a Setting> {
        let mut told = self.host.host.facts.settings.iter().filter(|setting| setting.live && &*setting.name == name);
        told.next_back()
    }

    /// A setting as a configuration file wants it, which the kernel may ignore.
    pub fn wanted(&self, name: &str) -> Option<&'a Setting> {
        let mut told = self.host.host.facts.settings.iter().filter(|setting| !setting.live && &*setting.name == name);
        told.next_back()
    }

    /// A setting of the running kernel as a number.
    pub fn live_number(&self, name: &str) -> Option<u64> {
        self.live(name)?.value.trim().parse().ok()
    }

    /// The kernel that the host names.
    pub fn kernel(&self) -> Option<&'a KernelVersion> {
        self.host.host.kernel()
    }

    /// Whether its kernel is older than `major.minor`; `None` where it is not told.
    pub fn kernel_before(&self, major: u32, minor: u32) -> Option<bool> {
        self.host.host.kernel_before(major, minor)
    }

    /// Its limits.
    pub fn limits(&self) -> Limits<'a> {
        Limits::of_host(self.host)
    }

    /// A finding about this host; title and summary say what is wrong, exhibits prove it.
    pub fn finding(&self, severity: Severity, confidence: Confidence, title: Text, summary: Text) -> Finding {
        let subject = Subject { host: Some(self.host.name.clone()), ..Subject::default() };
        let mut finding = self.rule.finding(severity, confidence, subject, None);
        finding.title = say!("{host}: {title}", host = self.host.name, title);
        finding.summary = summary;
        finding
    }
}

impl Counted {
    /// How often a second, where the time is known.
    pub fn per_s(&self) -> Option<f64> {
        match self.over {
            Over::Moments(Some(apart)) | Over::Boot(apart) if apart.secs() > 0.0 => {
                Some(number(self.amount) / apart.secs())
            }
            _ => None,
        }
    }

    /// Whether it may count for more than `info`: not since an unknown time.
    pub fn lifts(&self) -> bool {
        self.over != Over::Unknown
    }

    /// Whether it grew while somebody looked.
    pub fn is_growing(&self) -> bool {
        matches!(self.over, Over::Moments(_)) && self.amount > 0
    }

    /// `severity` where the rate reaches `per_s`, else `info`.
    pub fn by_rate(&self, per_s: f64, severity: Severity) -> Severity {
        if self.per_s().is_some_and(|rate| rate >= per_s) { severity } else { Severity::Info }
    }

    /// `severity` where the counter may be judged by a share, else `info`.
    pub fn by_share(&self, severity: Severity) -> Severity {
        if self.lifts() { severity } else { Severity::Info }
    }

    /// The lines that say so.
    pub fn exhibits(&self) -> Vec<Exhibit> {
        match self.sources.as_slice() {
            [(first, before), (last, now)] => vec![
                line(*first, say!("{name} {before} at first", name = self.name, before)),
                line(*last, say!("{name} {now} at last: {amount} more", name = self.name, now, amount = self.amount)),
            ],
            sources => sources
                .iter()
                .map(|(source, value)| line(*source, Text::value(format!("{} {value}", self.name))))
                .collect(),
        }
    }
}

/// `ListenDrops 572 in 2 min 3 s (4.65/s)`, `PAWSEstab 7 since an unknown time`.
impl Said for Counted {
    fn said(&self) -> Text {
        let (name, amount) = (self.name, self.amount);
        let counted = match self.over {
            Over::Moments(Some(apart)) => say!("{name} {amount} more in {apart}", name, amount, apart),
            Over::Moments(None) => say!("{name} {amount} more between two snapshots", name, amount),
            Over::Boot(up) => say!("{name} {amount} in the {up} since boot", name, amount, up),
            Over::Unknown => say!("{name} {amount} since an unknown time", name, amount),
        };
        match self.per_s() {
            Some(rate) => say!("{counted} ({rate}/s)", counted, rate = super::finding::significant(rate)),
            None => counted,
        }
    }
}

/// `part` of `whole` in percent; `None` where there is no whole.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| number(part) * 100.0 / number(whole))
}

/// A setting as an exhibit.
pub(super) fn setting_line(setting: &Setting) -> Exhibit {
    line(setting.source, Text::value(format!("{} = {}", setting.name, setting.value)))
}

/// What helps where only a total is known.
pub(super) fn ask_again(finding: &mut Finding, counted: &Counted) {
    if !counted.lifts() {
        finding.advise(say!("This is a total since an unknown time. Record `uptime; nstat -az` twice, a minute apart, while it goes wrong: only if {counted} grows then does it matter now.", counted = counted.name));
    }
}

/// Hosts that no finding about packets speaks of yet: what their snapshots say stands alone.
pub(super) fn hosts_left<'a>(case: &Case<'a>, rule: &'static Rule, found: &[Finding]) -> Vec<Claims<'a>> {
    let spoken_of = |host: &HostView| {
        let addresses = host.addresses();
        let inputs: Vec<String> = host.inputs().map(|input| format!("i{}", input + 1)).collect();
        found.iter().any(|finding| {
            let ends = [finding.subject.client_ip, finding.subject.server_ip].into_iter().flatten();
            let lines = finding.exhibits.iter().filter(|exhibit| exhibit.line.is_some());
            ends.into_iter().any(|ip| addresses.contains(&ip))
                || lines.into_iter().any(|line| inputs.contains(&line.input))
        })
    };
    let hosts = case.evidence.hosts.iter().filter(|host| !spoken_of(host));
    hosts.map(|host| Claims { host, rule }).collect()
}
