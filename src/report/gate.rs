//! The gate: which findings fail a run, and why the others do not.
//!
//! A finding fails where it is as bad as `--fail-on` says, is new or worse than in the baseline, exceeds the
//! thresholds of its rule, and no entry of the allow-list covers it. Findings are matched by their fingerprint.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::past::{Known, Past};
use crate::diagnosis::{Finding, Severity};

/// What a run is held to.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The least severity that fails; nothing fails without it.
    pub fail_on: Option<Severity>,
    /// Findings fail only where a metric exceeds its limit.
    pub limits: Vec<Limit>,
    /// What may be there.
    pub allow: Vec<Allow>,
    /// What was there before.
    pub baseline: Option<Past>,
    /// The name of the case, where it is one of a batch.
    pub case: Option<String>,
}

/// A threshold: findings of a rule fail only above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The rule's code.
    pub rule: String,
    /// The name of the metric.
    pub metric: String,
    /// What it may be at most.
    pub above: f64,
}

/// An entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// The rule's code.
    pub rule: String,
    /// Whom: as in fingerprints, `*` for anything; everybody where absent.
    pub subject: Option<String>,
    /// In which case of a batch, `*` for anything; in all where absent.
    pub case: Option<String>,
    /// The last day on which it holds, as `2026-12-31`.
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// Where it stands in its file.
    pub line: usize,
}

/// What the gate says of a report.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Gate {
    /// The least severity that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// Whether there was a baseline to compare with.
    pub baseline: bool,
    /// Findings that fail the run.
    pub failing: u64,
    /// Every finding of the report, by `id`.
    pub findings: BTreeMap<String, Judged>,
    /// Findings of the baseline that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub gone: Vec<Gone>,
}

/// What the gate says of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// Whether it fails the run, and if not, why.
    pub verdict: GateVerdict,
    /// Against the baseline; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// In words: the reason that the allow-list gives, the threshold that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The last day on which it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Whether a finding fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateVerdict {
    /// It fails.
    Fails,
    /// It is not as bad as what fails.
    Minor,
    /// It was there before.
    Known,
    /// It keeps the threshold of its rule.
    Limited,
    /// The allow-list covers it.
    Allowed,
}

/// A finding against the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It was not there.
    New,
    /// It was there, and not as bad.
    Worse,
    /// It was there.
    Known,
}

/// A finding of the baseline that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gone {
    /// The rule's code.
    pub rule: String,
    /// How bad it was.
    pub severity: Severity,
    /// What it said.
    pub title: String,
    /// What it was matched by.
    pub fingerprint: String,
}

impl Policy {
    /// Holds findings to the policy.
    #[must_use]
    pub fn judge(&self, findings: &[Finding]) -> Gate {
        let before: Option<Vec<&Known>> = self.baseline.as_ref().map(|past| past.of(self.case.as_deref()).collect());
        let judged: BTreeMap<String, Judged> =
            findings.iter().map(|finding| (finding.id.clone(), self.one(finding, before.as_deref()))).collect();
        let failing = judged.values().filter(|judged| judged.verdict == GateVerdict::Fails).count() as u64;
        let gone = |known: &&&Known| findings.iter().all(|finding| finding.fingerprint != known.fingerprint);
        let gone = before.iter().flatten().filter(gone).map(|known| Gone::of(known)).collect();
        Gate { fail_on: self.fail_on, baseline: before.is_some(), failing, findings: judged, gone }
    }

    fn one(&self, finding: &Finding, before: Option<&[&Known]>) -> Judged {
        let seen = before.map(|known| seen(finding.severity, &finding.fingerprint, known));
        let judged = |verdict, because| Judged { verdict, seen, because, until: None };
        if self.fail_on.is_none_or(|least| finding.severity < least) {
            return judged(GateVerdict::Minor, None);
        }
        if seen == Some(Seen::Known) {
            return judged(GateVerdict::Known, None);
        }
        if let Some(allow) = self.allow.iter().find(|allow| self.allows(allow, finding)) {
            let until = allow.until.clone();
            return Judged { until, ..judged(GateVerdict::Allowed, Some(allow.reason.clone())) };
        }
        match self.kept(finding) {
            Some(because) => judged(GateVerdict::Limited, Some(because)),
            None => judged(GateVerdict::Fails, None),
        }
    }

    fn allows(&self, allow: &Allow, finding: &Finding) -> bool {
        allow.covers(self.case.as_deref(), finding.rule, &finding.fingerprint)
    }

    /// In words, where the finding's rule has thresholds and none is exceeded.
    fn kept(&self, finding: &Finding) -> Option<String> {
        let limits: Vec<&Limit> = self.limits.iter().filter(|limit| limit.rule == finding.rule).collect();
        let kept =
            |limit: &&Limit| finding.metrics.get(limit.metric.as_str()).is_some_and(|value| *value <= limit.above);
        if limits.is_empty() || !limits.iter().all(kept) {
            return None;
        }
        let words = |limit: &&Limit| {
            let value = finding.metrics.get(limit.metric.as_str()).copied().unwrap_or_default();
            format!("{} is {value}, and may be {}", limit.metric, limit.above)
        };
        Some(limits.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    /// Thresholds for metrics that a finding of their rule does not have: a slip of the pen, most likely.
    #[must_use]
    pub fn unknown_metrics(&self, findings: &[Finding]) -> Vec<String> {
        let mut told = Vec::new();
        for limit in &self.limits {
            let of_rule = findings.iter().find(|finding| finding.rule == limit.rule);
            let Some(finding) = of_rule.filter(|finding| !finding.metrics.contains_key(limit.metric.as_str())) else {
                continue;
            };
            let known = finding.metrics.keys().copied().collect::<Vec<_>>().join(", ");
            told.push(format!("{} has no metric {:?}; it has {known}", limit.rule, limit.metric));
        }
        told
    }
}

impl Allow {
    /// Whether it is about a finding.
    #[must_use]
    pub fn covers(&self, case: Option<&str>, rule: &str, fingerprint: &str) -> bool {
        let subject = fingerprint.split_once(':').map_or("", |(_, subject)| subject);
        self.rule == rule
            && self.subject.as_deref().is_none_or(|pattern| matches(pattern, subject))
            && self.case.as_deref().is_none_or(|pattern| case.is_some_and(|case| matches(pattern, case)))
    }

    /// Whether its last day is past; days are written `2026-12-31`, so that they are in order as text.
    #[must_use]
    pub fn is_expired(&self, today: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < today)
    }
}

impl Gone {
    fn of(known: &Known) -> Self {
        Self {
            rule: known.rule.clone(),
            severity: known.severity,
            title: known.title.clone(),
            fingerprint: known.fingerprint.clone(),
        }
    }
}

impl Gate {
    /// What is said of a finding.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<&Judged> {
        self.findings.get(id)
    }
}

/// A finding against those that were there before.
#[must_use]
pub fn seen(severity: Severity, fingerprint: &str, before: &[&Known]) -> Seen {
    match before.iter().filter(|known| known.fingerprint == fingerprint).map(|known| known.severity).max() {
        None => Seen::New,
        Some(then) if severity > then => Seen::Worse,
        Some(_) => Seen::Known,
    }
}

/// Whether a pattern fits a whole text; `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    fn finding(severity: Severity) -> Finding {
        let mut finding = sample::recycle().findings.remove(0);
        (finding.severity, finding.fingerprint) = (severity, format!("{}:192.0.2.1>[2001:db8::1]:80", finding.rule));
        finding
    }

    fn verdict(policy: &Policy, finding: &Finding) -> GateVerdict {
        policy.judge(std::slice::from_ref(finding)).findings[&finding.id].verdict
    }

    fn allow(subject: Option<&str>) -> Allow {
        let subject = subject.map(str::to_owned);
        let rule = finding(Severity::Info).rule.to_owned();
        Allow { rule, subject, case: None, until: Some("2026-12-31".to_owned()), reason: "known".to_owned(), line: 1 }
    }

    #[test]
    fn patterns_match_whole_texts() {
        let fits = ["192.0.2.1>[2001:db8::1]:80", "*", "192.*:80", "*[2001:db8::1]*", "*>*:*"];
        assert!(fits.iter().all(|pattern| matches(pattern, "192.0.2.1>[2001:db8::1]:80")));
        let others = ["", "192.0.2.1", "*:8", "192.0.2.2*", "*80*80"];
        assert!(others.iter().all(|pattern| !matches(pattern, "192.0.2.1>[2001:db8::1]:80")));
        assert!(matches("", "") && !matches("a*a", "a"), "what stands before a star is not used twice");
    }

    #[test]
    fn a_finding_fails_from_the_severity_on_that_is_set() {
        let policy = Policy { fail_on: Some(Severity::Warning), ..Policy::default() };
        let verdicts = [Severity::Info, Severity::Warning, Severity::Critical].map(|s| verdict(&policy, &finding(s)));
        assert_eq!(verdicts, [GateVerdict::Minor, GateVerdict::Fails, GateVerdict::Fails]);
        assert_eq!(verdict(&Policy::default(), &finding(Severity::Critical)), GateVerdict::Minor);
    }

    #[test]
    fn what_is_allowed_or_below_a_threshold_passes() {
        let mut policy = Policy { fail_on: Some(Severity::Info), ..Policy::default() };
        let mut finding = finding(Severity::Critical);
        policy.allow = vec![allow(Some("203.0.113.9>*"))];
        assert_eq!(verdict(&policy, &finding), GateVerdict::Fails, "somebody else is allowed");
        policy.allow.push(allow(Some("192.0.2.1>*")));
        assert_eq!(verdict(&policy, &finding), GateVerdict::Allowed);
        policy.allow.clear();
        finding.metric("attempts_failed", 10.0);
        let limit = |above| Limit { rule: finding.rule.to_owned(), metric: "attempts_failed".to_owned(), above };
        policy.limits = vec![limit(10.0)];
        assert_eq!(verdict(&policy, &finding), GateVerdict::Limited);
        policy.limits = vec![limit(9.5)];
        assert_eq!(verdict(&policy, &finding), GateVerdict::Fails);
    }

    #[test]
    fn only_what_is_new_or_worse_than_the_baseline_fails() {
        let critical = finding(Severity::Critical);
        let mut known = Known::from(&critical);
        let mut gate = |change: &dyn Fn(&mut Known)| {
            change(&mut known);
            let baseline = Past { batch: false, cases: BTreeMap::from([(String::new(), vec![known.clone()])]) };
            let policy = Policy { fail_on: Some(Severity::Warning), baseline: Some(baseline), ..Policy::default() };
            policy.judge(std::slice::from_ref(&critical))
        };
        let same = gate(&|_| {});
        assert_eq!((same.failing, same.gone.len()), (0, 0));
        let worse = gate(&|known| known.severity = Severity::Warning);
        assert_eq!((worse.failing, worse.findings[&critical.id].seen), (1, Some(Seen::Worse)));
        let new = gate(&|known| known.fingerprint.push('0'));
        assert_eq!((new.failing, new.findings[&critical.id].seen), (1, Some(Seen::New)));
        assert_eq!(new.gone.len(), 1, "what was there before is gone");
    }

    #[test]
    fn an_entry_holds_on_its_last_day() {
        let days = ["2026-12-30", "2026-12-31", "2027-01-01"].map(|today| allow(None).is_expired(today));
        assert_eq!(days, [false, false, true]);
    }
}
