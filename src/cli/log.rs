//! `--log FILE`: what was done and when, a line each, for whoever has to find out why a run was slow or odd.
//!
//! Lines begin with the seconds since the program began. They are no result: this and the day that allow-lists are
//! held against are the only clocks that the program looks at.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use crate::report::visible;
use crate::time::Time;

static LOG: Mutex<Option<(File, Instant)>> = Mutex::new(None);

/// Begins the log; lines are added to those that are there.
#[allow(clippy::disallowed_methods)] // A log is no result.
pub(super) fn begin(path: &Path) -> anyhow::Result<()> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot write the log {}", path.display()))?;
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some((file, Instant::now()));
    let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    line("begin", &format!("lastack {}: {}", env!("CARGO_PKG_VERSION"), arguments.join(" ")));
    Ok(())
}

/// Adds a line, where there is a log. A disk that is full loses lines, not the run.
pub(super) fn line(what: &str, text: &str) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((file, begun)) = log.as_mut() {
        let text = visible(text).replace('\n', " ");
        let _ = writeln!(file, "{:>9.3} {what:<8} {text}", begun.elapsed().as_secs_f64());
    }
}

/// The day, UTC, as `2026-12-31`.
#[allow(clippy::disallowed_methods)] // Allow-lists end on a day; results depend on nothing else, and --today sets it.
pub(super) fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Time::from_parts(seconds, 0).rfc3339().chars().take(10).collect()
}
