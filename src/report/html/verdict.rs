//! The first screen: what is wrong, how sure that is, how bad, since when, whom it hits, what to do first.

use crate::diagnosis::{Advice, Finding};
use crate::language::{Language, say, words};
use crate::report::model::Report;
use crate::report::words::{looked_at, said, severities, since, subject};

/// The page's heading and what stands below it.
pub(super) struct Verdict<'a> {
    /// The worst finding, if there is one.
    pub worst: Option<&'a Finding>,
    /// What the page is about, in one line.
    pub heading: String,
    /// How many findings of each severity there are, or what was looked at.
    pub lead: String,
    pub whom: String,
    pub since: String,
    pub first: Option<&'a Advice>,
}

impl<'a> Verdict<'a> {
    pub fn new(report: &'a Report) -> Self {
        let Some(worst) = report.findings.first() else { return Self::nothing(report) };
        Self {
            worst: Some(worst),
            heading: worst.title.to_string(),
            lead: severities(report),
            whom: whom(worst, report.language),
            since: since(report, worst),
            first: worst.advice.first(),
        }
    }

    fn nothing(report: &Report) -> Self {
        let heading = match (looked_at_anything(report), report.not_judged.is_empty()) {
            (false, _) => words!("Nothing could be looked at"),
            (true, true) => words!("No trouble found"),
            (true, false) => words!("No trouble found, but not everything could be judged"),
        };
        let (heading, lead) = (report.language.say(heading).to_owned(), looked_at(report));
        Self { worst: None, heading, lead, whom: String::new(), since: String::new(), first: None }
    }
}

fn looked_at_anything(report: &Report) -> bool {
    report.totals.packets > 0 || report.inputs.iter().any(|input| input.kind == "snapshot")
}

/// Whom a finding is about, and where it was seen.
pub(super) fn whom(finding: &Finding, language: Language) -> String {
    let subject = subject(&finding.subject, language);
    match &finding.point {
        Some(point) => said(language, say!("{subject}, seen at capture point {point}", subject, point)),
        None => subject,
    }
}
