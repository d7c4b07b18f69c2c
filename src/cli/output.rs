//! Where bytes leave the program: report folders, standard output, messages.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{interrupt, log};
use crate::ingest::Workers;
use crate::report::Output;

/// Says something on standard error; whoever does not listen is not missed.
pub(super) fn complain(message: &str) {
    log::line("message", message);
    let _ = writeln!(io::stderr(), "lastack: {}", crate::report::visible(message));
}

/// A report folder: a report appears whole, in place of an earlier one, or not at all.
pub(super) struct Folder {
    path: PathBuf,
    /// Whether the folder itself is new.
    made: bool,
    waiting: Vec<String>,
}

/// Names of the files that reports consist of; a folder that holds anything else is somebody's.
const OURS: [&str; 10] = [
    "report.json",
    "report.html",
    "report.md",
    "connections.csv",
    "charts",
    "evidence",
    "report.jsonl",
    "junit.xml",
    "report.sarif",
    "annotations.txt",
];

/// What the name of a file ends with until it is whole.
const PART: &str = ".part";

impl Folder {
    /// Makes the folder, or takes an earlier report's.
    ///
    /// # Errors
    /// If it cannot be made, or holds files that no report of ours has.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let made = made(path)?;
        refuse_strangers(path, &OURS, "a report")?;
        Ok(Self { path: path.to_owned(), made, waiting: Vec::new() })
    }

    /// Makes several sets of files side by side. Those of a set are open at once and filled by one thread, which says
    /// what became of each; that, or why a file could not be made, stands in their order.
    pub(super) fn files<S: Sync>(
        &mut self,
        sets: &[S],
        workers: &Workers,
        names: impl Fn(&S) -> Vec<String> + Sync,
        write: impl Fn(&S, &mut [&mut dyn Write]) -> Vec<io::Result<()>> + Sync,
    ) -> Vec<io::Result<()>> {
        let path = &self.path;
        let results = workers.map(sets, |_, set| {
            let paths: Vec<PathBuf> = names(set).iter().map(|name| path.join(name)).collect();
            let mut files: Vec<io::Result<Begun>> = paths.iter().map(|path| Begun::inside(path)).collect();
            let mut none: Vec<io::Sink> = files.iter().map(|_| io::sink()).collect();
            let open = files.iter_mut().zip(&mut none).map(|(file, none)| match file {
                Ok(begun) => &mut begun.file as &mut dyn Write,
                Err(_) => none,
            });
            let written = write(set, &mut open.collect::<Vec<_>>());
            let end =
                |((file, written), path): ((io::Result<Begun>, _), &PathBuf)| file?.end(written).map_err(named(path));
            files.into_iter().zip(written).zip(&paths).map(end).collect::<Vec<_>>()
        });
        let results: Vec<io::Result<()>> = results.into_iter().flatten().collect();
        let written = sets.iter().flat_map(names).zip(&results).filter(|(_, result)| result.is_ok());
        self.waiting.extend(written.map(|(name, _)| name));
        results
    }

    /// Moves all files to their places, and removes what an earlier report left and this one did not write.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<String>> {
        let written = std::mem::take(&mut self.waiting);
        for name in &written {
            let place = self.path.join(name);
            let moved = fs::rename(beside(&place), &place);
            interrupt::done(&beside(&place));
            moved.with_context(|| format!("cannot move {} to its place", place.display()))?;
            log::line("written", &place.display().to_string());
        }
        let (charts, evidence) = (self.path.join("charts"), self.path.join("evidence"));
        for (folder, prefix) in [(&self.path, ""), (&charts, "charts/"), (&evidence, "evidence/")] {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let stale = entry.path().is_file() && !written.contains(&name);
                if stale {
                    fs::remove_file(entry.path()).with_context(|| format!("cannot remove the old {name}"))?;
                }
            }
        }
        // An empty folder is nobody's loss; one that is not empty stays.
        let _ = (fs::remove_dir(charts), fs::remove_dir(evidence));
        self.made = false;
        Ok(written)
    }
}

impl Output for Folder {
    fn file(&mut self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let path = self.path.join(name);
        let mut begun = Begun::inside(&path)?;
        let written = write(&mut begun.file);
        begun.end(written).map_err(named(&path))?;
        self.waiting.push(name.to_owned());
        Ok(())
    }
}

/// A file that is being written beside its place.
struct Begun {
    beside: PathBuf,
    file: BufWriter<File>,
}

impl Begun {
    /// Begins a file.
    fn at(place: &Path) -> io::Result<Self> {
        let beside = beside(place);
        interrupt::begun(&beside);
        match File::create(&beside) {
            Ok(file) => Ok(Self { beside, file: BufWriter::with_capacity(256 * 1024, file) }),
            Err(error) => {
                interrupt::done(&beside);
                Err(error)
            }
        }
    }

    /// Begins a file of a folder, and makes the folder that it lies in.
    fn inside(place: &Path) -> io::Result<Self> {
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(named(place))?;
        }
        Self::at(place).map_err(named(place))
    }

    /// Ends a file; where writing failed, nothing of it stays.
    fn end(self, written: io::Result<()>) -> io::Result<()> {
        let Self { beside, mut file } = self;
        let result = written.and_then(|()| file.flush());
        if result.is_err() {
            // What is half written must not stay; the error that matters is the first.
            drop(file);
            let _ = fs::remove_file(&beside);
            interrupt::done(&beside);
        }
        result
    }
}

/// Puts the name of a file in front of an error.
fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Drop for Folder {
    /// What did not become a report leaves nothing behind.
    fn drop(&mut self) {
        for name in &self.waiting {
            let beside = beside(&self.path.join(name));
            let _ = fs::remove_file(&beside);
            interrupt::done(&beside);
        }
        // Only an empty folder goes: an earlier report's charts, and folders that were there, stay.
        let _ = (fs::remove_dir(self.path.join("charts")), fs::remove_dir(self.path.join("evidence")));
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Makes a folder; whether it was not there before.
pub(super) fn made(path: &Path) -> anyhow::Result<bool> {
    let there = path.is_dir();
    fs::create_dir_all(path).with_context(|| format!("cannot make the report folder {}", path.display()))?;
    Ok(!there)
}

/// Fails where a folder holds anything but `ours`, and what an interrupted run left of them.
pub(super) fn refuse_strangers(path: &Path, ours: &[&str], what: &str) -> anyhow::Result<()> {
    let name = path.display();
    let entries = fs::read_dir(path).with_context(|| format!("cannot list the report folder {name}"))?;
    for entry in entries {
        let file = entry.with_context(|| format!("cannot list the report folder {name}"))?.file_name();
        if !ours.iter().any(|ours| is_ours(&file, ours)) {
            anyhow::bail!("{name} holds {file:?}, which is no part of {what}; name an empty or new folder with --out");
        }
    }
    Ok(())
}

fn is_ours(file: &OsStr, ours: &str) -> bool {
    file == ours || file.to_str().and_then(|name| name.strip_suffix(PART)) == Some(ours)
}

/// The name of a file until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(PART);
    PathBuf::from(beside)
}

/// Writes a file beside its place; nothing of it stays where that fails.
fn write_beside(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut begun = Begun::at(path)?;
    let written = write(&mut begun.file);
    begun.end(written)
}

/// Writes a file beside its place and moves it there once it is whole. What is no regular file, such as a pipe or
/// `/dev/stdout`, is written to directly.
pub(super) fn whole(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let mut file = BufWriter::with_capacity(256 * 1024, File::options().write(true).open(path)?);
        write(&mut file)?;
        return file.flush();
    }
    write_beside(path, write)?;
    let moved = fs::rename(beside(path), path);
    if moved.is_err() {
        let _ = fs::remove_file(beside(path));
    }
    interrupt::done(&beside(path));
    moved
}

/// Prints a summary on standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

/// Writes to a file, or to standard output.
pub(super) fn file_or_stdout(
    path: Option<&Path>,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    match path {
        Some(path) => whole(path, write).with_context(|| format!("cannot write {}", path.display())),
        None => {
            let mut out = BufWriter::with_capacity(256 * 1024, io::stdout().lock());
            write(&mut out).and_then(|()| out.flush()).context("cannot write to standard output")
        }
    }
}

/// A report's only file, on standard output.
#[derive(Default)]
pub(super) struct Stdout;

impl Output for Stdout {
    fn file(&mut self, _: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(256 * 1024, io::stdout().lock());
        write(&mut out)?;
        out.flush()
    }
}
