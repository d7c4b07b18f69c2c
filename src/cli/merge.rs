//! `lastack merge`: parts of evidence become one, rules run once, one report.

use clap::Args;

use super::emit::Emit;
use super::{Analyze, Status, analyze};

/// What `merge` takes: parts, what hosts say of themselves, and all that decides on a report.
#[derive(Args, Debug)]
pub(super) struct Merge {
    #[command(flatten)]
    analyze: Analyze,
}

pub(super) fn run(options: &Merge) -> anyhow::Result<Status> {
    anyhow::ensure!(
        options.analyze.emit == Emit::Report,
        "a merge makes a report; parts are made by `lastack analyze`"
    );
    analyze::run(&options.analyze)
}
