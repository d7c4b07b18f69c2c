//! Writes seed corpora from `fixtures/`: `seeds FIXTURES CORPORA` makes one folder a target.
//!
//! Fails where no seed reaches a parser: one that nothing leads into is fuzzed in name only.

use std::fs;
use std::io::{Read, Result};
use std::path::{Path, PathBuf};

use lastack::capture::{Format, LinkType, Recognised, Visit, pcap, recognise, snoop};
use lastack::input::{Opened, Origin, Source};
use lastack::snapshot;
use lastack::time::Time;
// What is instrumented calls what libFuzzer defines.
use libfuzzer_sys as _;

/// Octets of a seed: longer ones are slow and tell no more.
const LONGEST: usize = 8192;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [fixtures, corpora] = arguments.as_slice() else { panic!("seeds FIXTURES CORPORA") };
    for target in ["inputs", "readers", "decoder", "tracker", "snapshot", "analysis"] {
        fs::create_dir_all(corpora.join(target))?;
    }
    let mut seeds = Seeds { corpora, number: 0 };
    captures(&fixtures.join("captures"), &mut seeds)?;
    texts(&[fixtures.join("snapshots"), fixtures.join("hosts")], &mut seeds)?;
    for path in files(&fixtures.join("fuzz"))? {
        let target = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        if corpora.join(target).is_dir() {
            seeds.put(target, &fs::read(&path)?)?;
        }
    }
    // A connection that opens, sends, closes, and is used again; see the tracker's target for the columns.
    let life = [
        [0x02_u8, 0, 0, 1, 0, 0, 1, 0, 1, 2, 9, 64],
        [0x12, 1, 0, 7, 0, 2, 1, 0, 1, 2, 9, 64],
        [0x10, 0, 0, 2, 0, 8, 1, 0, 1, 2, 9, 64],
        [0x18, 0, 0, 2, 0, 8, 1, 5, 1, 2, 9, 64],
        [0x11, 1, 0, 8, 0, 7, 1, 0, 1, 2, 9, 64],
        [0x11, 0, 0, 7, 0, 9, 1, 0, 1, 2, 9, 64],
        [0x10, 1, 0, 9, 0, 8, 1, 0, 1, 2, 9, 64],
        [0x02, 0, 9, 1, 0, 0, 2, 0, 99, 2, 9, 64],
        [0x04, 1, 0, 0, 0, 2, 2, 0, 1, 2, 9, 64],
    ];
    for length in 1..=life.len() {
        seeds.put("tracker", life[..length].as_flattened())?;
    }
    Ok(())
}

struct Seeds<'a> {
    corpora: &'a Path,
    number: u32,
}

impl Seeds<'_> {
    fn put(&mut self, target: &str, bytes: &[u8]) -> Result<()> {
        self.number += 1;
        fs::write(self.corpora.join(target).join(format!("{:05}", self.number)), bytes)
    }
}

/// Fronts of captures, and frames of all of them.
fn captures(folder: &Path, seeds: &mut Seeds<'_>) -> Result<()> {
    let mut reached = Vec::new();
    for path in files(folder)? {
        let packed = fs::read(&path)?;
        let unpacked = unpacked(&path)?;
        if unpacked.len() != packed.len() && packed.len() <= 2 * LONGEST {
            seeds.put("inputs", &packed)?;
        }
        let mut frames = Frames(Vec::new());
        let Some(end) = walk(&unpacked, &mut frames) else { continue };
        seeds.put("readers", &unpacked[..end])?;
        seeds.put("analysis", &unpacked[..end])?;
        // Neighbours look alike.
        for frame in frames.0.iter().step_by(7) {
            seeds.put("decoder", frame)?;
            reached.push(frame[0]);
        }
    }
    // Link types that no fixture has: what they frame is wrong, and one mutation from right.
    let sample = fs::read(folder.join("encapsulated_raw_tun.pcap"))?;
    let mut frames = Frames(Vec::new());
    walk(&sample[..sample.len().min(LONGEST)], &mut frames);
    let Some(frame) = frames.0.first() else { panic!("no frame of raw IP") };
    for choice in (0..LinkType::ALL.len() as u8).filter(|choice| !reached.contains(choice)) {
        for front in [0, 4, 8, 14, 24] {
            seeds.put("decoder", &[&[choice], &vec![0; front][..], &frame[1..]].concat())?;
        }
    }
    Ok(())
}

/// What hosts say of themselves, each behind its name.
fn texts(folders: &[PathBuf], seeds: &mut Seeds<'_>) -> Result<()> {
    let mut reached = Vec::new();
    for folder in folders {
        for path in files(folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let text = fs::read(&path)?;
            let front = &text[..text.len().min(LONGEST)];
            reached.extend(snapshot::read(0, &name, front).formats());
            seeds.put("snapshot", &[name.as_bytes(), b"\n", front].concat())?;
            seeds.put("analysis", front)?;
        }
    }
    for format in snapshot::PARSERS {
        assert!(reached.contains(&format.name), "no seed reaches the parser of {}", format.name);
    }
    Ok(())
}

/// Frames, each behind the octet that chooses its link type.
struct Frames(Vec<Vec<u8>>);

impl Visit for Frames {
    fn packet(&mut self, _: Time, link: LinkType, bytes: &[u8], _: u32) {
        let Some(choice) = LinkType::ALL.iter().position(|(number, _)| *number == link.0) else { return };
        self.0.push([&[choice as u8], bytes].concat());
    }
}

/// The front of a file, out of its packing.
fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let source = Source { name: String::new(), origin: Origin::File(path.to_owned()), named: true };
    let mut front = Vec::new();
    match source.open() {
        Ok(Opened::Plain { file, .. }) => file.take(LONGEST as u64).read_to_end(&mut front)?,
        Ok(Opened::Stream { head, reader, .. }) => head.chain(reader).take(LONGEST as u64).read_to_end(&mut front)?,
        Ok(Opened::Archive(_)) | Err(_) => 0,
    };
    Ok(front)
}

/// Where the records of a capture end.
fn walk(bytes: &[u8], visit: &mut impl Visit) -> Option<usize> {
    let mut one = |mut format: Recognised| match &mut format {
        Recognised::Pcap(format) => format.walk(bytes, pcap::HEADER, bytes.len(), visit).place,
        Recognised::Snoop(format) => format.walk(bytes, snoop::HEADER, bytes.len(), visit).place,
        Recognised::Pcapng(format) => format.walk(bytes, 0, bytes.len(), visit).place,
    };
    recognise(bytes).map(&mut one)
}

/// All files under a folder, by name; none where it is missing.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
