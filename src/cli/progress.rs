//! Progress on standard error: a bar with rate and remaining time where a terminal looks, plain lines elsewhere, and
//! nothing where little is read. A case of a batch tells its batch instead.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::batch::Case;
use crate::input::Source;

/// Tells how much of all files has been read.
pub(super) struct Progress {
    shown: Shown,
    total: u64,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    /// Tenths told so far.
    Lines(AtomicU64),
    /// Octets told to the batch so far.
    Told(AtomicU64),
}

/// Less is read before anybody looks.
const WORTH_IT: u64 = 64 * 1024 * 1024;
/// A batch is told after so many octets again.
const TELL_AFTER: u64 = 1024 * 1024;

impl Progress {
    pub(super) fn new(sources: &[Source], quiet: bool, supervised: bool) -> Self {
        let total: u64 = sources.iter().map(Source::octets).sum();
        let shown = match (supervised, !quiet && total >= WORTH_IT) {
            (true, _) => Shown::Told(AtomicU64::new(0)),
            (false, false) => Shown::Nothing,
            (false, true) if std::io::stderr().is_terminal() => {
                Shown::Bar(bar("reading {bar:32} {percent:>3} %  {binary_bytes_per_sec}, {eta} left", total))
            }
            (false, true) => Shown::Lines(AtomicU64::new(0)),
        };
        Self { shown, total }
    }

    /// So many octets of all inputs have been read.
    pub(super) fn at(&self, read: u64) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_position(read),
            Shown::Lines(told) => {
                let tenths = read.saturating_mul(10).checked_div(self.total).unwrap_or(0).min(10);
                if tenths > told.fetch_max(tenths, Ordering::Relaxed) {
                    say(&format!("read {} % of {}", tenths * 10, HumanBytes(self.total)));
                }
            }
            Shown::Told(told) => {
                if read >= told.load(Ordering::Relaxed).saturating_add(TELL_AFTER) {
                    told.store(read, Ordering::Relaxed);
                    // Where the batch does not listen any more, this process ends in a moment.
                    let _ = writeln!(std::io::stdout(), "at {read}");
                }
            }
        }
    }

    pub(super) fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Tells how much of a batch is done.
pub(super) struct CaseProgress {
    bar: Option<ProgressBar>,
    quiet: bool,
    cases: usize,
    state: Mutex<CaseState>,
}

#[derive(Default)]
struct CaseState {
    done: usize,
    /// Octets read of the cases at work, by folder.
    read: BTreeMap<String, u64>,
    /// Octets of the cases that are done.
    finished: u64,
}

impl CaseProgress {
    pub(super) fn new(cases: usize, bytes: u64, quiet: bool) -> Self {
        let shown = !quiet && cases > 0 && std::io::stderr().is_terminal();
        let bar = shown.then(|| bar("{msg} {bar:32} {percent:>3} %  {binary_bytes_per_sec}, {eta} left", bytes));
        if let Some(bar) = &bar {
            bar.set_message(format!("case 0 of {cases}"));
        }
        Self { bar, quiet, cases, state: Mutex::default() }
    }

    /// Octets read of a case.
    pub(super) fn at(&self, case: &Case, octets: u64) {
        let Some(bar) = &self.bar else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read.insert(case.folder.clone(), octets.min(case.bytes));
        bar.set_position(state.position());
    }

    /// A case is done.
    pub(super) fn case_done(&self, case: &Case, what: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        state.read.remove(&case.folder);
        state.finished = state.finished.saturating_add(case.bytes);
        let line = format!("{}/{} {}: {what}", state.done, self.cases, case.name);
        super::log::line("done", &line);
        match &self.bar {
            Some(bar) => {
                bar.set_position(state.position());
                bar.set_message(format!("case {} of {}", state.done, self.cases));
            }
            None if !self.quiet => say(&line),
            None => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl CaseState {
    fn position(&self) -> u64 {
        self.read.values().fold(self.finished, |sum, octets| sum.saturating_add(*octets))
    }
}

fn bar(template: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", crate::report::visible(line));
}
