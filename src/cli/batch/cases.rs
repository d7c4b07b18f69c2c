//! Which cases a batch has: what each is called, what it is made of, where its report goes.
//!
//! Names do not depend on where the folders lie, so that a batch can be compared with an earlier one on another
//! machine: they are the last parts of the paths, with as many parts before as tell all apart.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Split;
use crate::input::{self, Opened, Origin, Source};
use crate::{capture, snapshot};

/// One case.
#[derive(Debug)]
pub(in super::super) struct Case {
    /// Tells it apart.
    pub(in super::super) name: String,
    /// Of its report, below `cases`.
    pub(in super::super) folder: String,
    /// What is analysed.
    pub(in super::super) inputs: Vec<PathBuf>,
    /// Whether it was named on the command line, and not found in a folder.
    pub(in super::super) named: bool,
    /// Octets of its files.
    pub(in super::super) bytes: u64,
    /// Its files: name, octets, time of the last change.
    pub(in super::super) files: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

/// Letters of the longest folder's name.
const LONGEST: usize = 120;

/// Octets of a file that tell whether it is anything to analyse.
const HEAD: u64 = 64 * 1024;

/// The cases in the order of the arguments, and what should be said of them; with `redacted`, they are numbered.
///
/// # Errors
/// If standard input is named.
pub(super) fn find(arguments: &[PathBuf], split: Split, redacted: bool) -> anyhow::Result<(Vec<Case>, Vec<String>)> {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for argument in arguments {
        if argument.as_os_str() == "-" {
            anyhow::bail!("a batch takes files and folders, and no standard input");
        }
        for path in matching(argument) {
            found.extend(of_argument(&path, split, &mut notes));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|(path, _)| seen.insert(path.clone()));
    let paths: Vec<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
    let numbered = || (1..=paths.len()).map(|number| format!("case-{number}")).collect();
    let names = if redacted { numbered() } else { names(&paths) };
    let mut folders = BTreeSet::new();
    let cases = found.iter().zip(names).map(|((path, named), name)| {
        let folder = folder(&name, &mut folders);
        let (bytes, files) = files(path);
        Case { name, folder, inputs: vec![path.clone()], named: *named, bytes, files }
    });
    Ok((cases.collect(), notes))
}

/// What a pattern that no shell expanded stands for; anything else stands for itself.
fn matching(argument: &Path) -> Vec<PathBuf> {
    let pattern = argument.to_str().filter(|text| text.contains(['*', '?', '['])).filter(|_| !argument.exists());
    let found: Vec<PathBuf> =
        pattern.and_then(|pattern| glob::glob(pattern).ok()).into_iter().flatten().flatten().collect();
    if found.is_empty() { vec![argument.to_owned()] } else { found }
}

/// The cases of an argument, and whether it is one itself.
fn of_argument(path: &Path, split: Split, notes: &mut Vec<String>) -> Vec<(PathBuf, bool)> {
    let itself = || vec![(path.to_owned(), true)];
    if split == Split::Arguments || !path.is_dir() {
        return itself();
    }
    let entries = match fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        // The case says so when it is read.
        Err(_) => return itself(),
    };
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    // Links to folders may run in circles; nobody follows them.
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().filter(|path| !(path.is_symlink() && path.is_dir())).partition(|path| path.is_dir());
    let loose: Vec<&PathBuf> = files.iter().filter(|file| is_recognised(file)).collect();
    if folders.is_empty() || split == Split::Auto && !loose.is_empty() {
        return itself();
    }
    if let Some(first) = loose.first() {
        notes.push(format!("{} lies in no subfolder, and is part of no case", first.display()));
    }
    folders.into_iter().map(|folder| (folder, false)).collect()
}

/// Whether a file is anything to analyse, by its first octets.
fn is_recognised(path: &Path) -> bool {
    let name = path.display().to_string();
    if !path.is_file() {
        return false;
    }
    let source = Source { name: name.clone(), origin: Origin::File(path.to_owned()), named: false };
    let mut head = Vec::new();
    let read = match source.open() {
        Ok(Opened::Archive(_)) => return true,
        Ok(Opened::Plain { file, .. }) => file.take(HEAD).read_to_end(&mut head),
        Ok(Opened::Stream { head: first, reader, .. }) => {
            head = first;
            reader.take(HEAD).read_to_end(&mut head)
        }
        Err(_) => return false,
    };
    read.is_ok() && (capture::recognise(&head).is_some() || !snapshot::recognise(&name, &head).is_empty())
}

/// Octets and files of a case, walked as the analysis does.
fn files(path: &Path) -> (u64, Vec<(PathBuf, u64, Option<SystemTime>)>) {
    let (sources, _) = input::expand(&[path.to_owned()]);
    let mut files = Vec::new();
    for source in sources {
        let Origin::File(path) = source.origin else { continue };
        let (bytes, changed) = path.metadata().map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()));
        files.push((path, bytes, changed));
    }
    (files.iter().map(|(_, bytes, _)| *bytes).fold(0, u64::saturating_add), files)
}

/// The shortest ends of paths that tell them apart: all of them one part, or all that share one two parts, and so on.
fn names(paths: &[&Path]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| parts(path)).collect();
    let name =
        |parts: &[String], length: usize| parts.get(parts.len().saturating_sub(length)..).unwrap_or(parts).join("/");
    let mut lengths = vec![1; parts.len()];
    loop {
        let names: Vec<String> = parts.iter().zip(&lengths).map(|(parts, length)| name(parts, *length)).collect();
        let twice = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
        let mut longer = false;
        for ((length, parts), name) in lengths.iter_mut().zip(&parts).zip(&names) {
            if *length < parts.len() && twice(name) {
                *length += 1;
                longer = true;
            }
        }
        if !longer {
            return names;
        }
    }
}

/// A path's parts, from the root where a relative path says too little.
fn parts(path: &Path) -> Vec<String> {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let normal = |component: std::path::Component<'_>| match component {
        std::path::Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
        _ => None,
    };
    let parts: Vec<String> = whole.components().filter_map(normal).collect();
    if parts.is_empty() { vec!["root".to_owned()] } else { parts }
}

/// A folder's name that every file system takes, and no other case has.
fn folder(name: &str, taken: &mut BTreeSet<String>) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let plain: String = name.chars().map(letter).take(LONGEST).collect();
    let plain = plain.trim_start_matches(['.', '-']);
    let plain = if plain.is_empty() { "case" } else { plain };
    let mut folder = plain.to_owned();
    let mut number = 2;
    // Some file systems do not tell upper from lower case.
    while !taken.insert(folder.to_lowercase()) {
        folder = format!("{plain}-{number}");
        number += 1;
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_they_must_be() {
        let paths = ["/a/one/x", "/a/two/x", "/a/y", "/b/two/x"].map(Path::new);
        assert_eq!(names(&paths), ["one/x", "a/two/x", "y", "b/two/x"]);
        assert_eq!(names(&[Path::new("/")]), ["root"]);
    }

    #[test]
    fn folders_are_plain_and_their_own() {
        let mut taken = BTreeSet::new();
        let names = ["a/b", "a-b", "A-B", "..", "ß \u{1f600}", "x.pcap"];
        let folders = names.map(|name| folder(name, &mut taken));
        assert_eq!(folders, ["a-b", "a-b-2", "A-B-3", "case", "case-2", "x.pcap"]);
        assert!(folder(&"long".repeat(99), &mut taken).len() <= LONGEST);
    }
}
