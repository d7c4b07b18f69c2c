//! The whole pipeline in memory: captures in, the connection table and the report out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Case, Finding, Thresholds, Verdict, run_all};
use lastack::evidence::Evidence;
use lastack::ingest::{self, Kind};
use lastack::input;
use lastack::report::table::write_csv;
use lastack::report::{Material, Output, connections, json};

/// Reads captures with so many threads; every one of them must be recognised.
#[track_caller]
pub fn evidence(paths: &[&Path], threads: usize) -> Evidence {
    let arguments: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
    let (sources, errors) = input::expand(&arguments);
    assert!(errors.is_empty(), "{errors:?}");
    let reading = ingest::read(&sources, threads, &|_| {}).unwrap();
    assert!(reading.errors.is_empty(), "{:?}", reading.errors);
    Evidence::new(reading.inputs, reading.parts)
}

/// As [`evidence`], from the bytes of one capture file.
#[track_caller]
pub fn evidence_of(bytes: &[u8], threads: usize) -> Evidence {
    let file = file(bytes);
    evidence(&[file.path()], threads)
}

/// As [`evidence_of`], but through the one reader that compressed files and pipes take: packed with zstd.
#[track_caller]
pub fn evidence_of_stream(bytes: &[u8], threads: usize) -> Evidence {
    evidence_of(&zstd::stream::encode_all(bytes, 1).unwrap(), threads)
}

/// A file with these bytes, removed when dropped.
pub fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// What any bytes come to, recognised or not: the evidence, and the messages.
pub fn whatever(bytes: &[u8], threads: usize) -> (Evidence, Vec<String>) {
    let file = file(bytes);
    let (sources, _) = input::expand(&[file.path().to_owned()]);
    let reading = ingest::read(&sources, threads, &|_| {}).unwrap();
    let messages = reading.errors.iter().map(ToString::to_string).collect();
    (Evidence::new(reading.inputs, reading.parts), messages)
}

/// The connection table as CSV.
pub fn table(evidence: &Evidence) -> String {
    let mut bytes = Vec::new();
    write_csv(&connections::columns(), connections::rows(evidence), &evidence.workers, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The table and all that was counted beside it.
pub fn table_and_counts(evidence: &Evidence) -> String {
    let captures = evidence.inputs.iter().filter_map(|input| match &input.kind {
        Kind::Capture(capture) => Some(format!("{:?} {:?}\n", capture.frames, capture.truncated)),
        Kind::Snapshot(_) | Kind::Other => None,
    });
    let echoes = evidence.echoes.iter().map(|echo| format!("{echo:?}\n"));
    table(evidence) + &captures.chain(echoes).collect::<String>()
}

/// What all rules say, with the thresholds that users get.
pub fn verdict(evidence: &Evidence) -> Verdict {
    run_all(&Case::new(evidence, &Thresholds::default()))
}

/// Findings of all rules.
pub fn findings(evidence: &Evidence) -> Vec<Finding> {
    verdict(evidence).found
}

/// The bytes of `report.json`.
pub fn report_json(evidence: &Evidence) -> Vec<u8> {
    let thresholds = Thresholds::default();
    let case = Case::new(evidence, &thresholds);
    let mut memory = Memory(Vec::new());
    json::render(&Material::new(&case, run_all(&case), true), &mut memory).unwrap();
    memory.0
}

/// Keeps the last file.
struct Memory(Vec<u8>);

impl Output for Memory {
    fn file(&mut self, _: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        self.0.clear();
        write(&mut self.0)
    }
}

/// All captures of `fixtures/captures`, in order of their names.
pub fn fixtures() -> Vec<PathBuf> {
    let folder = std::fs::read_dir("fixtures/captures").unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"));
    paths.sort();
    assert!(paths.len() > 20, "captures are missing");
    paths
}

/// One capture of `fixtures/captures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new("fixtures/captures").join(name)
}
