//! What was given on the command line becomes recognised inputs: files, folders, standard input.
//!
//! Content decides what a file is, never its name. Folders are walked in order of their members' names, so that
//! the same folder gives the same report everywhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// One thing to read.
#[derive(Debug)]
pub struct Source {
    /// As given; members of folders with their path.
    pub name: String,
    /// Where its octets come from.
    pub origin: Origin,
    /// Whether it was named on the command line, and not found in a folder.
    pub named: bool,
}

/// Where octets come from.
#[derive(Debug)]
pub enum Origin {
    /// A regular file.
    File(PathBuf),
    /// Standard input.
    StandardInput,
}

/// Deeper folders are not entered: nobody nests captures like that, and links may run in circles.
const DEEPEST: usize = 32;

/// Lists what the arguments name, folders walked; what cannot be listed is told.
pub fn expand(arguments: &[PathBuf]) -> (Vec<Source>, Vec<Error>) {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for argument in arguments {
        if argument.as_os_str() == "-" {
            sources.push(Source { name: "-".to_owned(), origin: Origin::StandardInput, named: true });
        } else if argument.is_dir() {
            let before = sources.len();
            walk(argument, DEEPEST, &mut sources, &mut errors);
            if sources.len() == before {
                errors.push(Error::Unrecognised {
                    input: argument.display().to_string(),
                    found: "an empty folder".to_owned(),
                    expected: EXPECTED,
                });
            }
        } else {
            sources.push(Source {
                name: argument.display().to_string(),
                origin: Origin::File(argument.clone()),
                named: true,
            });
        }
    }
    (sources, errors)
}

/// What a message says was expected.
pub const EXPECTED: &str = "a packet capture (pcap or pcapng) or what a host says \
     of itself (ss, netstat, nstat, sysctl, …), also compressed with gzip or zstd";

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
            sources.push(Source { name: path.display().to_string(), origin: Origin::File(path), named: false });
        }
    }
}

/// An input whose first octets have been looked at.
pub enum Opened {
    /// A regular file, to be read anywhere.
    Plain {
        /// The file.
        file: File,
        /// Its length.
        bytes: u64,
    },
    /// Octets in order, the first of them read already.
    Stream {
        /// The first octets.
        head: Vec<u8>,
        /// The others.
        reader: Box<dyn Read + Send>,
    },
}

impl Source {
    /// Opens it, unpacking a compressed one.
    ///
    /// # Errors
    /// If it cannot be opened or its first octets cannot be read.
    pub fn open(&self) -> Result<Opened, Error> {
        let failed = |action| move |source| Error::io(self.name.clone(), action, source);
        match &self.origin {
            Origin::StandardInput => unpacked(Box::new(io::stdin())).map_err(failed("read")),
            Origin::File(path) => {
                let mut file = File::open(path).map_err(failed("open"))?;
                let metadata = file.metadata().map_err(failed("read"))?;
                let mut magic = [0; 4];
                let regular = metadata.is_file();
                let length = if regular { file.read(&mut magic).map_err(failed("read"))? } else { 0 };
                if regular && Packing::of(magic.get(..length).unwrap_or(&[])).is_none() {
                    return Ok(Opened::Plain { bytes: metadata.len(), file });
                }
                let whole: Box<dyn Read + Send> = if regular {
                    Box::new(io::Cursor::new(magic).take(length as u64).chain(file))
                } else {
                    Box::new(file)
                };
                unpacked(whole).map_err(failed("read"))
            }
        }
    }
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Octets that tell a capture, or a layer of compression.
const HEAD: u64 = 64;

fn unpacked(mut reader: Box<dyn Read + Send>) -> io::Result<Opened> {
    let head = read_head(&mut reader)?;
    let Some(packing) = Packing::of(&head) else { return Ok(Opened::Stream { head, reader }) };
    let whole = io::BufReader::with_capacity(256 * 1024, io::Cursor::new(head).chain(reader));
    let mut inner: Box<dyn Read + Send> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
    };
    let head = read_head(&mut inner)?;
    Ok(Opened::Stream { head, reader: inner })
}

fn read_head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}
