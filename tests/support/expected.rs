//! Files that hold what a test expects, to be read by people; `UPDATE=1 cargo test` writes them anew.

use std::fs;
use std::path::Path;

/// Holds bytes against the file that expects them.
#[track_caller]
pub fn check(path: &Path, actual: &[u8]) {
    if updating() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 makes it", path.display()));
    if expected == actual {
        return;
    }
    let (expected, actual) = (String::from_utf8_lossy(&expected), String::from_utf8_lossy(actual));
    let differs = expected.lines().zip(actual.lines()).position(|(one, other)| one != other);
    let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    panic!(
        "{} differs from line {} on (UPDATE=1 writes it anew)\nexpected: {}\n  actual: {}",
        path.display(),
        line + 1,
        cut(expected.lines().nth(line)),
        cut(actual.lines().nth(line)),
    );
}

/// Whether expectations are written anew instead of held against.
pub fn updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

fn cut(line: Option<&str>) -> String {
    line.map_or_else(|| "(the end)".to_owned(), |line| line.chars().take(300).collect())
}
