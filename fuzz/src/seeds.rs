//! Writes seed corpora from `fixtures/`: `seeds FIXTURES CORPORA` makes one folder a target.

use std::fs;
use std::path::{Path, PathBuf};

use lastack::capture::{Format, LinkType, Recognised, Visit, pcap, recognise, snoop};
use lastack::time::Time;

/// Octets of a seed: longer ones are slow and tell no more.
const LONGEST: usize = 8192;

fn main() -> std::io::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [fixtures, corpora] = arguments.as_slice() else { panic!("seeds FIXTURES CORPORA") };
    for target in ["inputs", "readers", "decoder", "tracker", "snapshot"] {
        fs::create_dir_all(corpora.join(target))?;
    }
    let mut number = 0;
    let mut put = |target: &str, bytes: &[u8]| {
        number += 1;
        fs::write(corpora.join(target).join(format!("{number:05}")), bytes)
    };
    for path in files(&fixtures.join("captures"))? {
        let bytes = fs::read(&path)?;
        let front = &bytes[..bytes.len().min(LONGEST)];
        put("inputs", front)?;
        let mut frames = Frames(Vec::new());
        if let Some(end) = walk(front, &mut frames) {
            put("readers", &front[..end])?;
        }
        // Neighbours look alike.
        for frame in frames.0.iter().step_by(5) {
            put("decoder", frame)?;
        }
    }
    for path in files(&fixtures.join("fuzz"))? {
        let target = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("inputs");
        put(target, &fs::read(&path)?)?;
    }
    for path in files(&fixtures.join("snapshots"))? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read(&path)?;
        put("snapshot", &[name.as_bytes(), b"\n", &text[..text.len().min(LONGEST)]].concat())?;
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
        put("tracker", life[..length].as_flattened())?;
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
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
