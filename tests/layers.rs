//! The house rules that the compiler does not know: imports between modules point one way, files say what they are.

use std::fs;
use std::path::{Path, PathBuf};

/// Every module may use those on its left. `lib` and `main` tie them together and use what they like.
const ORDER: [&str; 16] = [
    "time",
    "error",
    "language",
    "input",
    "capture",
    "segment",
    "columns",
    "connection",
    "snapshot",
    "ingest",
    "evidence",
    "redact",
    "diagnosis",
    "report",
    "analysis",
    "cli",
];

#[test]
fn imports_point_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = place(&module) else {
            panic!("{}: the module {module} is missing in the order of tests/layers.rs", path.display());
        };
        for (line, used) in imports(&text) {
            match place(&used) {
                Some(used_place) if used_place <= own => {}
                _ => wrong.push(format!("{}:{line}: {module} uses {used}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "imports point left only, along {}:\n{}", ORDER.join(" < "), wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .chain(files(Path::new("tests")))
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "these files do not open with //!:\n{}", silent.join("\n"));
}

#[test]
fn modules_are_files_beside_their_folder() {
    let old: Vec<_> = sources().into_iter().map(|(path, _)| path).filter(|path| path.ends_with("mod.rs")).collect();
    assert!(old.is_empty(), "foo.rs beside foo/, never foo/mod.rs: {old:?}");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use crate::{ingest, input::{self, Source}};\nlet x = crate::time::Time(0); // crate::cli\n/// [`crate::report`]\nuse crate::report as r;";
    let found: Vec<(usize, String)> = imports(text);
    let expected = [(1, "ingest"), (1, "input"), (2, "time"), (4, "report")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == module)
}

/// `src/a/b.rs` and `src/a.rs` are of module `a`.
fn module(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Line and first segment of every path that begins with `crate::`, comments left out.
fn imports(text: &str) -> Vec<(usize, String)> {
    // Comments are blanked, so that a list over several lines is read in one go and lines still count.
    let code: String = text.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    let mut found = Vec::new();
    for (start, mark) in code.match_indices("crate::") {
        if code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..start].matches('\n').count() + 1;
        let rest = &code[start + mark.len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(heads(list).into_iter().map(|head| (line, head))),
            None => found.push((line, word(rest))),
        }
    }
    found
}

/// The first words of the entries of a list, up to its closing brace.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut begins, mut heads) = (0, true, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                heads.push(word(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    files(Path::new("src"))
}

fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}
