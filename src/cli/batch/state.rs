//! A batch's folder: what of it is finished.
//!
//! A case is written into a folder beside its place, with a mark that holds a digest of all that it was made of, and
//! moved there as a whole. A folder whose mark has another digest, or none, is made anew.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::output::{made, refuse_strangers, whole};
use super::cases::Case;
use crate::report::Output;
use crate::report::index::CaseVerdict;

/// Names in a batch's folder; one that holds anything else is somebody's.
const OURS: [&str; 5] = ["index.html", "index.json", "index.md", "cases", LOCK];
/// Held while a batch is at work.
const LOCK: &str = ".lock";
/// The mark of a finished case.
const MARK: &str = "case.json";
/// What the names of folders begin with that are not whole.
const PART: &str = ".part-";

/// An open batch.
pub(super) struct Batch {
    path: PathBuf,
    /// Keeps other batches out.
    _lock: File,
}

/// What a case came to.
pub(super) enum Outcome {
    Finished(Finished),
    /// It could not be analysed, for these reasons.
    Failed(Vec<String>),
}

/// A case whose folder stands in its place.
pub(super) struct Finished {
    pub(super) verdict: Verdict,
    /// Whether something that it was given gave nothing.
    pub(super) incomplete: bool,
    messages: Vec<String>,
    report: Vec<u8>,
}

/// Whether there was anything to analyse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Analysed,
    Empty,
}

/// The mark of a finished case.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    schema: String,
    name: String,
    /// What it was made of.
    digest: String,
    verdict: Verdict,
    incomplete: bool,
    messages: Vec<String>,
}

impl Mark {
    pub(super) fn new(case: &Case, digest: &str, verdict: Verdict, incomplete: bool, messages: Vec<String>) -> Self {
        let (schema, name) = ("lastack-case/1".to_owned(), case.name.clone());
        Self { schema, name, digest: digest.to_owned(), verdict, incomplete, messages }
    }
}

impl Batch {
    /// Makes the folder, or goes on in an earlier one.
    ///
    /// # Errors
    /// If it cannot be made, holds anything else, or another batch is at work in it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        made(path)?;
        refuse_strangers(path, &OURS, "a batch")?;
        let cases = path.join("cases");
        fs::create_dir_all(&cases).with_context(|| format!("cannot make the folder {}", cases.display()))?;
        let name = path.join(LOCK);
        let lock = File::create(&name).with_context(|| format!("cannot make {}", name.display()))?;
        // Where a file system knows no locks, two batches at once are the user's affair.
        if matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            anyhow::bail!("another batch is at work in {}", path.display());
        }
        let batch = Self { path: path.to_owned(), _lock: lock };
        batch.sweep();
        Ok(batch)
    }

    /// Removes what interrupted batches left.
    fn sweep(&self) {
        for (name, path) in self.folders() {
            if name.starts_with(PART) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    fn folders(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(self.path.join("cases")).into_iter().flatten().flatten();
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
    }

    /// A case that is finished, and still made of the same.
    pub(super) fn finished(&self, case: &Case, digest: &str) -> Option<Finished> {
        let place = self.place(case);
        let mark: Mark = serde_json::from_slice(&fs::read(place.join(MARK)).ok()?).ok()?;
        if mark.digest != digest || mark.name != case.name {
            return None;
        }
        let report = match mark.verdict {
            Verdict::Analysed => fs::read(place.join("report.json")).ok()?,
            Verdict::Empty => Vec::new(),
        };
        Some(Finished { verdict: mark.verdict, incomplete: mark.incomplete, messages: mark.messages, report })
    }

    /// The folder in which a case is made; its own for each batch at work, whoever was killed before.
    pub(super) fn workshop(&self, case: &Case) -> PathBuf {
        self.path.join("cases").join(format!("{PART}{}-{}", std::process::id(), case.folder))
    }

    fn place(&self, case: &Case) -> PathBuf {
        self.path.join("cases").join(&case.folder)
    }

    /// Moves a finished case to its place.
    ///
    /// # Errors
    /// If the mark cannot be written or the folder cannot be moved; messages name the file.
    pub(super) fn finish(&self, case: &Case, mark: &Mark) -> anyhow::Result<Finished> {
        let (workshop, place) = (self.workshop(case), self.place(case));
        fs::create_dir_all(&workshop).with_context(|| format!("cannot make {}", workshop.display()))?;
        let name = workshop.join(MARK);
        let mut text = serde_json::to_vec_pretty(mark).context("cannot write the mark")?;
        text.push(b'\n');
        whole(&name, &mut |file| file.write_all(&text)).with_context(|| format!("cannot write {}", name.display()))?;
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove the old {}", place.display()))?;
        }
        fs::rename(&workshop, &place).with_context(|| format!("cannot move the report to {}", place.display()))?;
        self.finished(case, &mark.digest).with_context(|| format!("cannot read {} back", place.display()))
    }

    /// Where the index goes.
    pub(super) fn output(&self) -> impl Output + '_ {
        Root(&self.path)
    }

    /// Removes what no case of this batch is, and lets others in.
    ///
    /// # Errors
    /// If an old case cannot be removed.
    pub(super) fn close(self, cases: &[Case]) -> anyhow::Result<()> {
        for (name, path) in self.folders() {
            if !cases.iter().any(|case| case.folder == name) {
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove the old {}", path.display()))?;
            }
        }
        let _ = fs::remove_file(self.path.join(LOCK));
        Ok(())
    }
}

struct Root<'a>(&'a Path);

impl Output for Root<'_> {
    fn file(&mut self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let path = self.0.join(name);
        whole(&path, write).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

impl Outcome {
    /// What was said on the way.
    pub(super) fn messages(&self) -> &[String] {
        match self {
            Self::Finished(finished) => &finished.messages,
            Self::Failed(messages) => messages,
        }
    }

    /// Its `report.json`, or what it came to without one.
    pub(super) fn report(&self) -> Result<&[u8], CaseVerdict> {
        match self {
            Self::Finished(Finished { verdict: Verdict::Analysed, report, .. }) => Ok(report),
            Self::Finished(_) => Err(CaseVerdict::Empty),
            Self::Failed(_) => Err(CaseVerdict::Failed),
        }
    }
}

/// A digest of a text.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect()
}
