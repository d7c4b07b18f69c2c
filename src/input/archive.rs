//! Archives: tar and zip, also one in another. Members are read where they lie; nothing is ever written.
//!
//! POSIX.1-2024 pax with the kinds of GNU tar, by the tar crate; APPNOTE 6.3.10, by the zip crate.

use std::io::{self, Cursor, Read, Seek};
use std::sync::Arc;

use super::Unread;
use super::budget::{Budget, Counted, Gauge, Limited};
use super::content::{self, Content};
use super::packing::{Held, TOO_DEEP, read_head, unpacked};

/// Members of one archive, those of archives inside it included, behind which no more are read.
const MOST_MEMBERS: usize = 100_000;
/// A zip archive that comes as a stream is held whole: its table of members stands at its end.
const MOST_IN_MEMORY: u64 = 1 << 30;

/// Where a zip archive lies.
trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

/// Several inputs in one.
pub struct Archive {
    octets: Octets,
    budget: Arc<Budget>,
    layers: usize,
}

enum Octets {
    Tar(Unread),
    Zip(Box<dyn Seekable>),
}

/// Sees the members of an archive one after the other.
pub trait Members {
    /// A member: its name behind that of the archive, its first octets, and the others. Where it gives `false`, no
    /// more is read.
    fn member(&mut self, name: String, head: Vec<u8>, reader: &mut dyn Read) -> bool;

    /// Something that cannot be read: a member, or all that follows in an archive.
    fn broken(&mut self, name: String, why: String);
}

/// The octets of a whole archive.
pub(super) fn in_memory(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MOST_IN_MEMORY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_IN_MEMORY {
        return Err(io::Error::other(
            "a zip archive of more than 1 GiB that comes as a stream or inside another archive: \
             give it as a file, or unpack it first",
        ));
    }
    Ok(bytes)
}

impl Archive {
    pub(super) fn tar(reader: Unread, budget: Arc<Budget>, layers: usize) -> Self {
        Self { octets: Octets::Tar(reader), budget, layers }
    }

    pub(super) fn zip(file: Box<impl Read + Seek + Send + 'static>, budget: Arc<Budget>, layers: usize) -> Self {
        Self { octets: Octets::Zip(file), budget, layers }
    }

    /// How far the file or stream has been read for it.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::of(&self.budget)
    }

    /// Shows every member, those of archives inside it too; `name` is the archive's own.
    pub fn walk(self, name: &str, members: &mut dyn Members) {
        let mut walk = Walk { budget: self.budget, left: MOST_MEMBERS, members };
        match self.octets {
            Octets::Tar(reader) => walk.tar(name, reader, self.layers.saturating_sub(1)),
            Octets::Zip(file) => {
                let counted = Counted::new(file, Arc::clone(&walk.budget));
                walk.zip(name, counted, self.layers.saturating_sub(1))
            }
        };
    }
}

/// A walk through an archive; its methods say whether to go on.
struct Walk<'a> {
    budget: Arc<Budget>,
    /// How many more members are read.
    left: usize,
    members: &'a mut dyn Members,
}

impl Walk<'_> {
    fn tar(&mut self, archive: &str, reader: impl Read, layers: usize) -> bool {
        let mut tar = tar::Archive::new(reader);
        let entries = match tar.entries() {
            Ok(entries) => entries,
            Err(error) => return self.broken(archive, &error),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // What follows cannot be found any more.
                Err(error) => return self.broken(archive, &error),
            };
            let kind = entry.header().entry_type();
            if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                continue;
            }
            let name = joined(archive, &String::from_utf8_lossy(&entry.path_bytes()));
            if !self.member(name, Box::new(entry), layers) {
                return false;
            }
        }
        true
    }

    fn zip(&mut self, archive: &str, mut file: impl Read + Seek, layers: usize) -> bool {
        let why = match zip::ZipArchive::new(&mut file) {
            Ok(mut zip) => return self.listed(archive, &mut zip, layers),
            Err(error) => error,
        };
        // The table of members is missing, as in a download that broke off; the members in front of it are not.
        if file.rewind().is_ok() {
            while let Ok(Some(entry)) = zip::read::read_zipfile_from_stream(&mut file) {
                let Some(name) = zip_name(archive, entry.name_raw(), entry.is_file()) else { continue };
                if !self.member(name, Box::new(entry), layers) {
                    return false;
                }
            }
        }
        self.broken(archive, &why)
    }

    fn listed(&mut self, archive: &str, zip: &mut zip::ZipArchive<impl Read + Seek>, layers: usize) -> bool {
        for number in 0..zip.len() {
            let listed = zip.name_for_index(number).and_then(Result::ok).unwrap_or_default().into_owned();
            let entry = match zip.by_index(number) {
                Ok(entry) => entry,
                Err(error) => {
                    self.broken(&joined(archive, &listed), &error);
                    continue;
                }
            };
            let Some(name) = zip_name(archive, entry.name_raw(), entry.is_file()) else { continue };
            if !self.member(name, Box::new(entry), layers) {
                return false;
            }
        }
        true
    }

    /// Unpacks a member as often as it is packed, and enters an archive.
    fn member<'m>(&mut self, name: String, member: Box<dyn Read + 'm>, mut layers: usize) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            self.broken(&name, &format!("more than {MOST_MEMBERS} members: the others are not read"));
            return false;
        };
        self.left = left;
        let mut reader: Box<dyn Read + 'm> = Box::new(Limited::new(member, Arc::clone(&self.budget)));
        loop {
            let (head, failure) = read_head(&mut reader);
            match (content::of(&head), layers.checked_sub(1)) {
                (Content::Other, _) => {
                    let mut rest = Held { failure, inner: reader };
                    return self.members.member(name, head, &mut rest);
                }
                (_, None) => return self.broken(&name, &TOO_DEEP),
                (Content::Packed(packing), Some(fewer)) => {
                    layers = fewer;
                    match unpacked(packing, head, reader, failure, &self.budget) {
                        Ok(inner) => reader = Box::new(inner),
                        Err(error) => return self.broken(&name, &error),
                    }
                }
                (Content::Tar, Some(fewer)) => {
                    return self.tar(&name, Cursor::new(head).chain(Held { failure, inner: reader }), fewer);
                }
                (Content::Zip, Some(fewer)) => {
                    return match in_memory(Cursor::new(head).chain(Held { failure, inner: reader })) {
                        Ok(bytes) => self.zip(&name, Cursor::new(bytes), fewer),
                        Err(error) => self.broken(&name, &error),
                    };
                }
            }
        }
    }

    /// Tells what cannot be read; what stands beside it can.
    fn broken(&mut self, name: &str, why: &dyn std::fmt::Display) -> bool {
        self.members.broken(name.to_owned(), why.to_string());
        true
    }
}

/// The name of a member as the report has it.
fn joined(archive: &str, member: &str) -> String {
    format!("{archive}!{member}")
}

/// The name of a zip archive's member; `None` for what is no file.
fn zip_name(archive: &str, name: &[u8], is_file: bool) -> Option<String> {
    is_file.then(|| joined(archive, &String::from_utf8_lossy(name)))
}
