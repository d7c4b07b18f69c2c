//! A progress bar on standard error, while a terminal looks at it and there is enough to read.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::input::{Origin, Source};

/// Tells how much of all files has been read.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// Octets of the inputs before this one, and what was last told of this one.
    before: AtomicU64,
    last: AtomicU64,
}

/// Less is read before anybody looks.
const WORTH_IT: u64 = 64 * 1024 * 1024;

impl Progress {
    pub(super) fn new(sources: &[Source], quiet: bool) -> Self {
        let total: u64 = sources.iter().map(size).sum();
        let shown = !quiet && total >= WORTH_IT && std::io::stderr().is_terminal();
        let bar = shown.then(|| {
            let template = "reading {bar:32} {percent:>3} %  {binary_bytes_per_sec}, {eta} left";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style)
        });
        Self { bar, before: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// Octets read of the input at work; a smaller number than before means the next input.
    pub(super) fn at(&self, octets: u64) {
        let Some(bar) = &self.bar else { return };
        let last = self.last.swap(octets, Ordering::Relaxed);
        if octets < last {
            self.before.fetch_add(last, Ordering::Relaxed);
        }
        bar.set_position(self.before.load(Ordering::Relaxed).saturating_add(octets));
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn size(source: &Source) -> u64 {
    match &source.origin {
        Origin::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        Origin::Memory(bytes) => bytes.len() as u64,
        Origin::StandardInput => 0,
    }
}
