//! Where bytes leave the program: report folders, standard output, messages.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::report::Output;

/// Says something on standard error; whoever does not listen is not missed.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "lastack: {}", crate::report::visible(message));
}

/// A report folder: each file appears whole or not at all.
pub(super) struct Folder {
    path: PathBuf,
    written: Vec<String>,
}

/// Names of the files that reports consist of; a folder that holds anything else is somebody's.
const OURS: [&str; 6] = ["report.json", "report.html", "report.md", "connections.csv", "charts", "evidence"];

impl Folder {
    /// Makes the folder, or takes an earlier report's.
    ///
    /// # Errors
    /// If it cannot be made, or holds files that no report of ours has.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot make the report folder {name}"))?;
        let entries = fs::read_dir(path).with_context(|| format!("cannot list the report folder {name}"))?;
        for entry in entries {
            let file = entry.with_context(|| format!("cannot list the report folder {name}"))?.file_name();
            if !OURS.iter().any(|ours| file == *ours) {
                anyhow::bail!(
                    "{name} holds {file:?}, which is no part of a report; name an empty or new folder with --out"
                );
            }
        }
        Ok(Self { path: path.to_owned(), written: Vec::new() })
    }

    /// Removes what an earlier report left and this one did not write.
    pub(super) fn finish(self) -> anyhow::Result<Vec<String>> {
        let (charts, evidence) = (self.path.join("charts"), self.path.join("evidence"));
        for (folder, prefix) in [(&self.path, ""), (&charts, "charts/"), (&evidence, "evidence/")] {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let stale = entry.path().is_file() && !self.written.contains(&name);
                if stale {
                    fs::remove_file(entry.path()).with_context(|| format!("cannot remove the old {name}"))?;
                }
            }
        }
        // An empty folder is nobody's loss; one that is not empty stays.
        let _ = (fs::remove_dir(charts), fs::remove_dir(evidence));
        Ok(self.written)
    }
}

impl Output for Folder {
    fn file(&mut self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        whole(&path, write).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        self.written.push(name.to_owned());
        Ok(())
    }
}

/// Writes a file beside its place and moves it there once it is whole.
pub(super) fn whole(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let result = File::create(&beside).and_then(|file| {
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        write(&mut file)?;
        file.flush()
    });
    match result.and_then(|()| fs::rename(&beside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // What is half written must not stay; the error that matters is the first.
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
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
