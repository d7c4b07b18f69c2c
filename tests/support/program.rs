//! The program as users run it: in a folder of its own, with what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program, to be run in a folder.
pub fn lastack(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    command.current_dir(folder).env_remove("NO_COLOR");
    command
}

/// Runs it.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    lastack(folder).args(arguments).output().unwrap()
}

/// Runs it and holds the exit status.
#[track_caller]
pub fn runs(folder: &Path, status: i32, arguments: &[&str]) -> Output {
    let output = run(folder, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{out}\n{err}");
    output
}

/// An empty folder.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A fixture's capture from anywhere.
pub fn capture(name: &str) -> PathBuf {
    fs::canonicalize(Path::new("fixtures/captures").join(name)).unwrap()
}

/// Copies captures of the fixtures to cases: `case` gets `capture`.
pub fn cases(folder: &Path, cases: &[(&str, &str)]) {
    for (case, name) in cases {
        fs::create_dir_all(folder.join(case)).unwrap();
        fs::copy(capture(name), folder.join(case).join(name)).unwrap();
    }
}

/// A JSON file.
#[track_caller]
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

/// All files below a folder, by their paths, with their octets.
pub fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
            found.push((name + "/", Vec::new()));
        } else {
            found.push((name, fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

/// What was printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
