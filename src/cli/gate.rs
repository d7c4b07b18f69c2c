//! What a run is held to: `--fail-on`, `--baseline` and `lastack.toml`, put together.
//!
//! What stands on the command line goes before what the file says.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::config::{self, Config};
use super::{log, output};
use crate::diagnosis::Severity;
use crate::report::gate::{Allow, Policy};
use crate::report::past::{self, Past};

/// The gate's options.
#[derive(Args, Debug)]
pub(super) struct GateOptions {
    /// The severity of a finding that makes the exit status 1; with a baseline, `warning` where nothing else is said
    /// [default: never]
    #[arg(long, value_name = "SEVERITY", verbatim_doc_comment)]
    pub(super) fail_on: Option<FailOn>,
    /// A report.json or index.json of before: only findings fail that are not in it, or not as bad.
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// The gate, thresholds and the allow-list [default: lastack.toml of the current folder, if there is one]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(super) config: Option<PathBuf>,
    /// Read no lastack.toml.
    #[arg(long, conflicts_with = "config")]
    pub(super) no_config: bool,
    /// The day on which the allow-list is held against its entries' last days, as in 2026-12-31 [default: today, UTC]
    #[arg(long, value_name = "DATE", value_parser = day, verbatim_doc_comment)]
    pub(super) today: Option<String>,
    /// The name of the case, where a batch analyses it.
    #[arg(long, hide = true)]
    pub(super) case: Option<String>,
}

/// A severity, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Critical,
    Warning,
    Info,
    Never,
}

/// The gate as it stands.
pub(super) struct Held {
    /// What is held against.
    pub(super) policy: Policy,
    /// What the file says beside.
    pub(super) config: Config,
    /// Whether there is any gate.
    pub(super) any: bool,
    /// Entries of the allow-list that are past.
    pub(super) expired: Vec<Allow>,
    /// The file.
    pub(super) file: Option<PathBuf>,
}

impl GateOptions {
    /// Reads the configuration and the baseline.
    ///
    /// # Errors
    /// If one cannot be read or is not as it should be.
    pub(super) fn hold(&self) -> anyhow::Result<Held> {
        let here = Path::new(config::NAME);
        let found = || (!self.no_config && here.is_file()).then(|| here.to_owned());
        let file = self.config.clone().or_else(found);
        let mut config = file.as_deref().map(config::read).transpose()?.unwrap_or_default();
        let baseline = self.baseline.clone().or_else(|| config.baseline.clone());
        let past = baseline.as_deref().map(read_past).transpose()?;
        let default = past.is_some().then_some(Severity::Warning);
        let fail_on = self.fail_on.map(FailOn::severity).or(config.fail_on).unwrap_or(default);
        let day = self.today.clone().unwrap_or_else(log::today);
        let (expired, allow) = std::mem::take(&mut config.allow).into_iter().partition(|allow| allow.is_expired(&day));
        let any = fail_on.is_some() || past.is_some() || file.is_some();
        let limits = std::mem::take(&mut config.limits);
        let policy = Policy { fail_on, limits, allow, baseline: past, case: self.case.clone() };
        Ok(Held { policy, config, any, expired, file })
    }
}

impl Held {
    /// Tells which entries are past; nobody would notice otherwise.
    pub(super) fn tell_expired(&self) {
        let file = self.file.as_deref().unwrap_or(Path::new(config::NAME)).display();
        for Allow { rule, until, reason, line, .. } in &self.expired {
            let until = until.as_deref().unwrap_or_default();
            output::complain(&format!(
                "{file}:{line}: {rule} was allowed until {until} ({reason}): the entry has expired"
            ));
        }
    }

    /// Tells which entries cover nothing any more, of findings given as case, rule and fingerprint.
    pub(super) fn tell_unused(&self, found: &[(Option<&str>, &str, &str)]) {
        let file = self.file.as_deref().unwrap_or(Path::new(config::NAME)).display();
        let used = |allow: &&Allow| found.iter().any(|(case, rule, print)| allow.covers(*case, rule, print));
        // An entry for certain cases says nothing where there are none.
        let concerns = |allow: &&Allow| allow.case.is_none() || found.iter().any(|(case, ..)| case.is_some());
        for allow in self.policy.allow.iter().filter(concerns).filter(|allow| !used(allow)) {
            output::complain(&format!("{file}:{}: {} is allowed and was not found", allow.line, allow.rule));
        }
    }
}

/// Reads an earlier report.
pub(super) fn read_past(path: &Path) -> anyhow::Result<Past> {
    // The folder of a batch or of a report stands for what programs read in it.
    let inside = ["index.json", "report.json"].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
    let path = inside.as_deref().unwrap_or(path);
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    past::read(&text).with_context(|| path.display().to_string())
}

impl FailOn {
    pub(super) const fn severity(self) -> Option<Severity> {
        match self {
            Self::Critical => Some(Severity::Critical),
            Self::Warning => Some(Severity::Warning),
            Self::Info => Some(Severity::Info),
            Self::Never => None,
        }
    }
}

fn day(text: &str) -> Result<String, String> {
    if config::is_day(text) { Ok(text.to_owned()) } else { Err(format!("{text:?} is no day, as in 2026-12-31")) }
}
