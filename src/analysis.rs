//! The whole way in one call: paths in, the report value out. What the program does, for programs of others.
//!
//! The report is the value that `report.json` holds; it serialises with serde. Nothing is printed or written.

use std::path::PathBuf;

use crate::diagnosis::{Case, Thresholds, run_all};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::ingest::{How, NoThreads, read_as};
use crate::input;
use crate::language::Language;
use crate::report::Material;
use crate::report::gate::Policy;
use crate::report::model::Report;
use crate::segment::Filter;

/// How it is analysed; the default is that of the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads; 0 means one a core. The report is the same for any number.
    pub threads: usize,
    /// The part of the captures that is looked at; nothing is left out where it is empty.
    pub part: Filter,
    /// Every capture is a capture point of its own, files of a rotated set too.
    pub separate: bool,
    /// The language of sentences.
    pub language: Language,
    /// What the engineer knows and sets.
    pub thresholds: Thresholds,
    /// What the report is held to; then [`Report::gate`] says which findings fail.
    pub policy: Option<Policy>,
}

/// What was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Analysis {
    /// As in `report.json`; without charts.
    pub report: Report,
    /// What was named and gave nothing; the rest was analysed.
    pub errors: Vec<Error>,
}

/// Reads files, folders and archives of any kind mixed, and runs all rules.
///
/// # Errors
/// If the operating system refuses the threads. What cannot be read is told in [`Analysis::errors`].
pub fn analyze<I>(inputs: I, options: &Options) -> Result<Analysis, NoThreads>
where
    I: IntoIterator,
    I::Item: Into<PathBuf>,
{
    let inputs: Vec<PathBuf> = inputs.into_iter().map(Into::into).collect();
    let (sources, mut errors) = input::expand(&inputs);
    let how = How { part: options.part.clone(), separate: options.separate, ..How::default() };
    let reading = read_as(&sources, how, options.threads, &|_| {})?;
    errors.extend(reading.errors);
    let evidence = Evidence::new(reading.inputs, reading.parts);
    let case = Case::new(&evidence, &options.thresholds).in_language(options.language);
    let mut report = Material::new(&case, run_all(&case), false).report;
    report.gate = options.policy.as_ref().map(|policy| policy.judge(&report.findings));
    Ok(Analysis { report, errors })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Severity;

    #[test]
    fn what_is_missing_is_told_and_the_rest_analysed() {
        let policy = Policy { fail_on: Some(Severity::Critical), ..Policy::default() };
        let options = Options { policy: Some(policy), ..Options::default() };
        let analysis = analyze(["fixtures/captures/a_recycle_on_snat.pcap", "missing.pcap"], &options).unwrap();
        assert_eq!(analysis.errors.len(), 1);
        assert_eq!(analysis.errors[0].input(), "missing.pcap");
        assert_eq!(analysis.report.findings[0].rule, "SYN001");
        assert_eq!(analysis.report.gate.unwrap().failing, 1);
    }
}
