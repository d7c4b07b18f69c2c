//! Reports of earlier runs, read back: `report.json` of one run, `index.json` of a batch.
//!
//! Only what findings are compared by is read, so that reports of other versions of this program can be compared too.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::diagnosis::{Confidence, Finding, Severity};

/// A finding as an earlier report has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Known {
    /// Names it inside its report.
    pub id: String,
    /// The rule's code.
    pub rule: String,
    /// How bad it was.
    pub severity: Severity,
    /// How sure it was.
    pub confidence: Confidence,
    /// One line: what was wrong, and where.
    pub title: String,
    /// What stays the same when it is seen again.
    pub fingerprint: String,
}

/// The findings of an earlier run: by case where it was a batch; else all under the empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Whether it was a batch.
    pub batch: bool,
    /// Findings by the name of the case.
    pub cases: BTreeMap<String, Vec<Known>>,
}

/// Why a file is no report that can be compared with.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    /// It is not JSON, or a field that is needed is missing.
    #[error("no report of lastack: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its schema is another one.
    #[error("its schema is {0:?}; expected \"lastack-report/1\" or \"lastack-index/1\"")]
    Schema(String),
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Deserialize)]
struct OneReport {
    findings: Vec<Known>,
}

#[derive(Deserialize)]
struct Batch {
    cases: Vec<OneCase>,
}

#[derive(Deserialize)]
struct OneCase {
    name: String,
    findings: Vec<Known>,
}

/// Reads `report.json` or `index.json`.
///
/// # Errors
/// If it is neither.
pub fn read(text: &[u8]) -> Result<Past, NoReport> {
    let head: Head = serde_json::from_slice(text)?;
    match head.schema.as_str() {
        "lastack-report/1" => {
            let report: OneReport = serde_json::from_slice(text)?;
            Ok(Past { batch: false, cases: BTreeMap::from([(String::new(), report.findings)]) })
        }
        "lastack-index/1" => {
            let index: Batch = serde_json::from_slice(text)?;
            let cases = index.cases.into_iter().map(|case| (case.name, case.findings));
            Ok(Past { batch: true, cases: cases.collect() })
        }
        _ => Err(NoReport::Schema(head.schema)),
    }
}

impl Past {
    /// What was found before in a case. A report of one run counts for every case; without a case, all cases of a
    /// batch count.
    pub fn of<'a>(&'a self, case: Option<&'a str>) -> impl Iterator<Item = &'a Known> {
        let wanted = case.filter(|_| self.batch);
        let cases = self.cases.iter().filter(move |(name, _)| wanted.is_none_or(|wanted| *name == wanted));
        cases.flat_map(|(_, findings)| findings)
    }
}

impl From<&Finding> for Known {
    fn from(finding: &Finding) -> Self {
        Self {
            id: finding.id.clone(),
            rule: finding.rule.to_owned(),
            severity: finding.severity,
            confidence: finding.confidence,
            title: finding.title.to_string(),
            fingerprint: finding.fingerprint.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_indexes_are_told_apart_by_their_schema() {
        let finding = r#"{"id": "SYN001-1", "rule": "SYN001", "severity": "critical", "confidence": "high",
            "title": "t", "fingerprint": "SYN001:a>b:1", "of a later version": {}}"#;
        let report = format!(r#"{{"schema": "lastack-report/1", "findings": [{finding}]}}"#);
        assert_eq!(read(report.as_bytes()).unwrap().of(Some("any")).count(), 1);
        let index =
            format!(r#"{{"schema": "lastack-index/1", "cases": [{{"name": "one", "findings": [{finding}]}}]}}"#);
        let past = read(index.as_bytes()).unwrap();
        let found = [Some("one"), Some("two"), None].map(|case| past.of(case).count());
        assert_eq!(found, [1, 0, 1]);
        assert!(read(br#"{"schema": "other/1"}"#).unwrap_err().to_string().contains("other/1"));
        assert!(read(b"no JSON").unwrap_err().to_string().starts_with("no report of lastack"));
    }
}
