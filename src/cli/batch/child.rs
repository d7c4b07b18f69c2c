//! One case, analysed by a process of its own: this program, as `analyze`.
//!
//! The process ends when its standard input does, so that none is left over whichever way the batch ends. It tells on
//! standard output how many octets it has read (`at N`), and that there was nothing to analyse (`nothing`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::progress::CaseProgress;
use super::super::{interrupt, log};
use super::cases::Case;
use super::state::{Batch, Mark, Outcome, Verdict};

/// Lines of messages that an index keeps of a case.
const KEPT: usize = 20;

/// Begins, watches and ends the processes.
pub(super) struct Supervisor {
    threads: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    number: AtomicU64,
    /// The standard inputs of the processes at work.
    lifelines: Mutex<BTreeMap<u64, ChildStdin>>,
}

/// What a process left.
struct Left {
    status: ExitStatus,
    /// Whether it found nothing to analyse.
    nothing: bool,
    messages: Vec<String>,
}

impl Supervisor {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, shared: Arc::default() }
    }

    /// At an interruption all cases at work end, and no other begins.
    pub(super) fn heed_interruptions(&self) {
        let shared = Arc::clone(&self.shared);
        interrupt::tell(move || {
            shared.stopping.store(true, Ordering::SeqCst);
            shared.lifelines().clear();
        });
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }

    /// Analyses a case and puts its report in its place.
    pub(super) fn analyze(
        &self,
        batch: &Batch,
        case: &Case,
        digest: &str,
        arguments: &[OsString],
        progress: &CaseProgress,
    ) -> Outcome {
        let workshop = batch.workshop(case);
        interrupt::begun(&workshop);
        log::line("case", &case.name);
        let outcome = match self.process(&workshop, case, arguments, progress) {
            Ok(left) => finish(batch, case, digest, left),
            Err(error) => Outcome::Failed(vec![format!("cannot start its process: {error}")]),
        };
        // Whatever did not become a report goes.
        let _ = fs::remove_dir_all(&workshop);
        interrupt::done(&workshop);
        outcome
    }

    fn process(
        &self,
        workshop: &std::path::Path,
        case: &Case,
        arguments: &[OsString],
        progress: &CaseProgress,
    ) -> std::io::Result<Left> {
        let mut out = OsString::from("--out=");
        out.push(workshop);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["analyze", "--supervised", "--quiet"]).args(arguments).arg(out);
        command.arg(format!("--threads={}", self.threads)).arg(format!("--case={}", case.name)).arg("--");
        command.args(&case.inputs).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        self.shared.hold(number, child.stdin.take());
        let left = listen(&mut child, case, progress);
        self.shared.lifelines().remove(&number);
        left
    }
}

impl Shared {
    fn lifelines(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, ChildStdin>> {
        self.lifelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a process alive; one that began while all are stopping is let go at once.
    fn hold(&self, number: u64, lifeline: Option<ChildStdin>) {
        let mut lifelines = self.lifelines();
        if !self.stopping.load(Ordering::SeqCst) {
            lifelines.extend(lifeline.map(|lifeline| (number, lifeline)));
        }
    }
}

/// Listens until the process ends.
fn listen(child: &mut Child, case: &Case, progress: &CaseProgress) -> std::io::Result<Left> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (nothing, said) = std::thread::scope(|scope| {
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                // A process that ends in the middle of a line has said what it could.
                let _ = stderr.by_ref().take(1 << 20).read_to_end(&mut text);
                let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut nothing = false;
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok) {
            match line.strip_prefix("at ").map(str::parse) {
                Some(Ok(octets)) => progress.at(case, octets),
                _ => nothing |= line == "nothing",
            }
        }
        (nothing, said.join().unwrap_or_default())
    });
    let messages = said.lines().map(|line| line.strip_prefix("lastack: ").unwrap_or(line).to_owned()).collect();
    Ok(Left { status: child.wait()?, nothing, messages })
}

/// A case is finished where there is a report, or nothing to report on.
fn finish(batch: &Batch, case: &Case, digest: &str, left: Left) -> Outcome {
    let Left { status, nothing, mut messages } = left;
    let reported = batch.workshop(case).join("report.json").is_file();
    let (ended, incomplete) = (matches!(status.code(), Some(0..=2)), status.code() == Some(2));
    if !ended || !reported && !nothing {
        if !ended {
            messages.push(format!("its process ended by {}", how(status)));
        }
        return Outcome::Failed(cut(messages));
    }
    let verdict = if reported { Verdict::Analysed } else { Verdict::Empty };
    let mark = Mark::new(case, digest, verdict, incomplete, cut(messages));
    match batch.finish(case, &mark) {
        Ok(finished) => Outcome::Finished(finished),
        Err(error) => Outcome::Failed(vec![format!("{error:#}")]),
    }
}

fn cut(mut messages: Vec<String>) -> Vec<String> {
    let more = messages.len().saturating_sub(KEPT);
    messages.truncate(KEPT);
    if more > 0 {
        messages.push(format!("and {more} more messages"));
    }
    messages
}

fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return format!("signal {signal}");
        }
    }
    status.code().map_or_else(|| "no status".to_owned(), |code| format!("status {code}"))
}
