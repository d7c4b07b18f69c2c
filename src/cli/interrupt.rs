//! Ctrl-C, SIGTERM and SIGHUP: what is half written goes, and the program ends with 130, as shells have it.
//!
//! A batch asks to be told instead, ends its cases, and then ends itself; a second Ctrl-C ends it at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The exit status after an interruption: 128 and the number of SIGINT.
pub(super) const STATUS: i32 = 130;

static STATE: Mutex<State> = Mutex::new(State { parts: Vec::new(), told: None });

struct State {
    /// Files and folders that are not whole yet.
    parts: Vec<PathBuf>,
    /// Who wants to be told.
    told: Option<Box<dyn FnOnce() + Send>>,
}

/// Begins to watch; a program that cannot watch is ended by the signal itself.
pub(super) fn watch() {
    let _ = ctrlc::set_handler(|| {
        let told = state().told.take();
        match told {
            Some(tell) => tell(),
            None => end(),
        }
    });
}

/// Ends the program; nothing that is half written stays.
pub(super) fn end() -> ! {
    // The lock is never given back: nobody begins or finishes a file from here on.
    let state = state();
    for part in &state.parts {
        let _ = if part.is_dir() { fs::remove_dir_all(part) } else { fs::remove_file(part) };
    }
    std::process::exit(STATUS)
}

/// Has `tell` called at the first interruption instead of ending the program.
pub(super) fn tell(tell: impl FnOnce() + Send + 'static) {
    state().told = Some(Box::new(tell));
}

/// A file or folder is begun.
pub(super) fn begun(part: &Path) {
    state().parts.push(part.to_owned());
}

/// It is whole, or gone.
pub(super) fn done(part: &Path) {
    state().parts.retain(|other| other != part);
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
