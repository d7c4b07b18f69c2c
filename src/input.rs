//! What was given on the command line becomes recognised inputs: files, folders, patterns, archives, standard input.
//!
//! Content decides what a file is, never its name. Folders are walked in order of their members' names, so that
//! the same folder gives the same report everywhere.

mod ahead;
mod archive;
mod budget;
mod content;
mod packing;

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use archive::{Archive, Members};
pub use budget::Gauge;
pub use content::foreign;

use self::budget::{Budget, Counted};
use self::content::Content;
use self::packing::{MOST_LAYERS, read_head, unpacked, unpacked_ahead};
use crate::error::Error;

/// One thing to read.
#[derive(Clone, Debug)]
pub struct Source {
    /// As given; members of folders with their path, members of archives as `archive!member`.
    pub name: String,
    /// Where its octets come from.
    pub origin: Origin,
    /// Whether it was named on the command line, and not found in a folder or an archive.
    pub named: bool,
}

/// Where octets come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file, opened anew each time.
    File(PathBuf),
    /// A member of an archive, held in memory.
    Memory(Arc<[u8]>),
    /// Standard input, which can be opened once.
    StandardInput,
}

/// Deeper folders are not entered: nobody nests captures like that, and links may run in circles.
const DEEPEST: usize = 32;

/// What a message says was expected.
pub const EXPECTED: &str = "a packet capture (pcap, pcapng or snoop) or what a host says \
     of itself (ss, netstat, nstat, sysctl, …), also compressed (gzip, zstd, xz, bzip2, lz4) or in a tar or zip archive";

/// Lists what the arguments name, folders walked; what cannot be listed is told.
pub fn expand(arguments: &[PathBuf]) -> (Vec<Source>, Vec<Error>) {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for argument in arguments {
        if argument.as_os_str() == "-" {
            sources.push(Source { name: "-".to_owned(), origin: Origin::StandardInput, named: true });
        } else if fs::symlink_metadata(argument).is_err() && is_pattern(argument) {
            pattern(argument, &mut sources, &mut errors);
        } else {
            path(argument, &mut sources, &mut errors);
        }
    }
    (sources, errors)
}

fn path(argument: &Path, sources: &mut Vec<Source>, errors: &mut Vec<Error>) {
    if !argument.is_dir() {
        let origin = Origin::File(argument.to_owned());
        return sources.push(Source { name: argument.display().to_string(), origin, named: true });
    }
    let before = sources.len();
    walk(argument, DEEPEST, sources, errors);
    if sources.len() == before {
        errors.push(Error::Unrecognised {
            input: argument.display().to_string(),
            found: "an empty folder".to_owned(),
            expected: EXPECTED,
        });
    }
}

fn is_pattern(argument: &Path) -> bool {
    argument.to_string_lossy().contains(['*', '?', '['])
}

/// A pattern that no shell expanded, as in a quoted argument or a service file.
fn pattern(argument: &Path, sources: &mut Vec<Source>, errors: &mut Vec<Error>) {
    let name = argument.display().to_string();
    let found = match glob::glob(&name) {
        Ok(paths) => paths.flatten().collect::<Vec<PathBuf>>(),
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        let nothing =
            io::Error::new(io::ErrorKind::NotFound, "no file has such a name, and no file matches the pattern");
        errors.push(Error::io(name, "open", nothing));
    }
    found.iter().for_each(|one| path(one, sources, errors));
}

fn walk(folder: &Path, depth: usize, sources: &mut Vec<Source>, errors: &mut Vec<Error>) {
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(source) => return errors.push(Error::io(folder.display().to_string(), "list", source)),
    };
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth > 0 && !path.is_symlink() {
                walk(&path, depth - 1, sources, errors);
            }
        } else if path.is_file() {
            // Pipes and devices in a folder are nobody's captures, and would be waited for without end.
            sources.push(Source { name: path.display().to_string(), origin: Origin::File(path), named: false });
        }
    }
}

/// A stream behind its first octets.
pub type Unread = Box<dyn Read + Send>;

/// An input whose first octets have been looked at.
pub enum Opened {
    /// A regular file, to be read anywhere.
    Plain {
        /// The file, at its start.
        file: File,
        /// Its length.
        bytes: u64,
    },
    /// Octets in order, the first of them read already.
    Stream {
        /// The first octets.
        head: Vec<u8>,
        /// The others.
        reader: Unread,
        /// How far the file or pipe has been read for them.
        gauge: Gauge,
    },
    /// Several inputs in one.
    Archive(Archive),
}

impl Source {
    /// A regular file that is there; nothing otherwise.
    #[must_use]
    pub fn file(path: &str) -> Option<Self> {
        let origin = Origin::File(PathBuf::from(path));
        Path::new(path).is_file().then(|| Self { name: path.to_owned(), origin, named: false })
    }

    /// Opens it, unpacking a compressed one.
    ///
    /// # Errors
    /// If it cannot be opened or its first octets cannot be read.
    pub fn open(&self) -> Result<Opened, Error> {
        let failed = |action| move |source| Error::io(self.name.clone(), action, source);
        match &self.origin {
            Origin::StandardInput => stream(Box::new(io::stdin()), Budget::endless()).map_err(failed("read")),
            Origin::Memory(bytes) => {
                let budget = Budget::of(bytes.len() as u64);
                let opened = stream(Box::new(io::Cursor::new(Arc::clone(bytes))), budget).map_err(failed("read"))?;
                Ok(match opened {
                    // It was read when the archive around it was.
                    Opened::Stream { head, reader, .. } => Opened::Stream { head, reader, gauge: Gauge::default() },
                    opened => opened,
                })
            }
            Origin::File(path) => {
                let file = File::open(path).map_err(failed("open"))?;
                regular(file).map_err(failed("read"))
            }
        }
    }

    /// The file that it is, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Memory(_) | Origin::StandardInput => None,
        }
    }

    /// Octets that are read for it of a file; 0 where nobody knows before they are read, or where they were read with
    /// the archive that it lies in.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.path().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// Whether it can be opened as often as one likes, always with the same octets.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match &self.origin {
            Origin::File(path) => path.is_file(),
            Origin::Memory(_) => true,
            Origin::StandardInput => false,
        }
    }
}

/// A regular file that is neither compressed nor an archive may be read anywhere; anything else is a stream.
fn regular(mut file: File) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return stream(Box::new(file), Budget::endless());
    }
    let head = read_head(&mut file).0;
    file.rewind()?;
    let budget = Budget::of(metadata.len());
    match content::of(&head) {
        Content::Other => Ok(Opened::Plain { bytes: metadata.len(), file }),
        Content::Zip => Ok(Opened::Archive(Archive::zip(Box::new(file), budget, MOST_LAYERS))),
        Content::Tar | Content::Packed(_) => stream(Box::new(file), budget),
    }
}

/// Unpacks a stream as often as it is packed.
fn stream(reader: Unread, budget: Arc<Budget>) -> io::Result<Opened> {
    let mut reader = reader;
    let mut layers = MOST_LAYERS;
    loop {
        let (head, failure) = read_head(&mut reader);
        let (content, outermost) = (content::of(&head), layers == MOST_LAYERS);
        // What is packed is counted where it is unpacked, and what is packed in that comes from memory.
        if outermost && !matches!(content, Content::Packed(_)) {
            budget.count(head.len());
            reader = Box::new(Counted::new(reader, Arc::clone(&budget)));
        }
        match content {
            Content::Packed(packing) if layers > 0 => {
                layers -= 1;
                reader = if outermost {
                    Box::new(unpacked_ahead(packing, head, reader, failure, &budget)?)
                } else {
                    Box::new(unpacked(packing, head, reader, failure, &budget)?)
                };
            }
            Content::Tar if layers > 0 => {
                return Ok(Opened::Archive(Archive::tar(packing::rejoined(head, reader, failure), budget, layers)));
            }
            Content::Zip if layers > 0 => {
                let bytes = archive::in_memory(packing::rejoined(head, reader, failure))?;
                return Ok(Opened::Archive(Archive::zip(Box::new(io::Cursor::new(bytes)), budget, layers)));
            }
            Content::Packed(_) | Content::Tar | Content::Zip => return Err(io::Error::other(packing::TOO_DEEP)),
            Content::Other => {
                return match failure {
                    Some(error) if head.is_empty() => Err(error),
                    failure => {
                        Ok(Opened::Stream { head, reader: packing::held(reader, failure), gauge: Gauge::of(&budget) })
                    }
                };
            }
        }
    }
}
