//! The catalogue of each language is whole: what the sources say has a translation with the same placeholders, and
//! nothing is translated that no source says.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Case, Cell, Thresholds, Verdict, run_all};
use lastack::evidence::Evidence;
use lastack::language::{Language, Text};
use support::{analysis, flow};

#[test]
fn every_sentence_has_its_chinese() {
    let catalogue = catalogue();
    let mut missing = String::new();
    for (path, sentences) in said() {
        let open: Vec<String> = sentences.into_iter().filter(|sentence| !catalogue.contains_key(sentence)).collect();
        if !open.is_empty() {
            missing += &format!("# {path}\n{}\n…\n\n", open.join("\n…\n\n"));
        }
    }
    assert!(missing.is_empty(), "src/language/zh/*.txt lack:\n\n{missing}");
}

#[test]
fn nothing_is_translated_that_no_source_says() {
    let said: BTreeSet<String> = said().into_values().flatten().collect();
    let left: Vec<String> = catalogue().into_keys().filter(|english| !said.contains(english)).collect();
    assert!(left.is_empty(), "no source says:\n{}", left.join("\n"));
}

#[test]
fn translations_have_the_placeholders_of_their_english() {
    for (english, chinese) in catalogue() {
        assert_eq!(placeholders(&english), placeholders(&chinese), "{english}\n{chinese}");
        assert_eq!(Language::Zh.translation(&english), Some(chinese.as_str()), "{english}");
    }
}

#[test]
fn nothing_is_left_in_english_of_what_fixtures_come_to() {
    let mut left = BTreeSet::new();
    let mut sentences = 0;
    let scripts = files(Path::new("fixtures/diagnoses"), &["flow"]).into_iter().map(|(path, text)| {
        let evidence = analysis::evidence_of(&flow::pcap(&text).unwrap(), 1);
        (path, evidence)
    });
    let whole = files(Path::new("fixtures/diagnoses"), &["txt"]).into_iter().map(|(path, _)| PathBuf::from(path));
    let whole =
        whole.chain(analysis::fixtures()).map(|path| (path.display().to_string(), analysis::evidence(&[&path], 1)));
    for (path, evidence) in scripts.chain(whole) {
        let Verdict { found, not_judged } = chinese(&evidence);
        for finding in &found {
            let told = [&finding.title, &finding.summary].into_iter();
            let told = told.chain(finding.ruled_out.iter().flat_map(|out| [&out.cause, &out.because]));
            let told = told.chain(finding.advice.iter().flat_map(|advice| advice.when.iter().chain([&advice.text])));
            let told = told.chain(finding.tables.iter().flat_map(|table| table.columns.iter().chain([&table.title])));
            let cells = finding.tables.iter().flat_map(|table| table.rows.iter().flatten());
            let cells = cells.filter_map(|cell| if let Cell::Text(text) = cell { Some(text) } else { None });
            let quoted = cells.chain(finding.exhibits.iter().map(|exhibit| &exhibit.text));
            // What a host wrote is quoted as it stands; a sentence of ours never is a value.
            let told = told.map(|text| (text, text.is_value())).chain(quoted.map(|text| (text, false)));
            for (text, forgotten) in told {
                sentences += 1;
                if forgotten || is_english(text) {
                    left.insert(format!("{path}: {}: {text}", finding.rule));
                }
            }
        }
        let open = not_judged.iter().flat_map(|open| [&open.because, &open.record_next]);
        left.extend(open.filter(|text| is_english(text)).map(|text| format!("{path}: {text}")));
    }
    assert!(sentences > 1000, "only {sentences} sentences");
    assert!(
        left.is_empty(),
        "{} of {sentences} sentences:\n{}",
        left.len(),
        left.into_iter().collect::<Vec<_>>().join("\n")
    );
}

fn chinese(evidence: &Evidence) -> Verdict {
    run_all(&Case::new(evidence, &Thresholds::default()).in_language(Language::Zh))
}

/// Whether words of ours are left: none of them Chinese and several of them English, or some English in a row.
fn is_english(text: &Text) -> bool {
    let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_chinese = text.chars().any(|c| matches!(c, '\u{4e00}'..='\u{9fff}'));
    if text.is_value() || COMMANDS.iter().any(|command| text.starts_with(command)) {
        return false;
    }
    let plain: String = text.split('`').step_by(2).collect();
    // A command goes on to the next sign that is none of its own.
    let spans = plain.split(|c: char| !c.is_ascii() || "();,:".contains(c)).map(str::trim);
    let spans = spans.filter(|span| !COMMANDS.iter().any(|command| span.starts_with(command)));
    let words = spans.map(|span| span.split(' ').collect::<Vec<_>>());
    let in_a_row = |words: Vec<&str>| words.windows(3).any(|three| three.iter().all(is_word));
    words.into_iter().any(in_a_row) || (!has_chinese && text.split(' ').filter(is_word).count() > 1)
}

/// What may stand alone in every language.
const COMMANDS: [&str; 9] = ["ss ", "sysctl ", "ip ", "nstat ", "uname ", "uptime", "tcpdump ", "net.", "echo "];

#[test]
fn literals_are_found_however_they_are_written() {
    let text = r#"
        say!("one {a}", a); // say!("a comment")
        crate::say!(
            "two \"quoted\" \
             lines {{x}}",
        );
        plural(count.len() as u64, "SYN") language.say( "three" ) words!("four") words!(
            "five", "six"
        )
    "#;
    let expected = ["one {a}", "two \"quoted\" lines {{x}}", "{count} SYN", "three", "four", "five", "six"];
    assert_eq!(sentences(text), BTreeSet::from(expected.map(str::to_owned)));
}

/// English and Chinese lines of all files. Blocks of anything but two lines are errors, and so are doubles.
fn catalogue() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (path, text) in files(Path::new("src/language/zh"), &["txt"]) {
        for block in text.split("\n\n") {
            let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
            match lines[..] {
                [] => {}
                [english, chinese] => {
                    let before = all.insert(english.to_owned(), chinese.to_owned());
                    assert_eq!(before, None, "{path}: twice in the catalogue: {english}");
                }
                _ => panic!("{path}: no pair of lines:\n{block}"),
            }
        }
    }
    all
}

/// What every source file says, by its path.
fn said() -> BTreeMap<String, BTreeSet<String>> {
    let sources = files(Path::new("src"), &["rs", "html"]);
    let own = |path: &str| path.starts_with("src/language");
    sources.into_iter().filter(|(path, _)| !own(path)).map(|(path, text)| (path, sentences(&text))).collect()
}

/// The literals of `say!`, `.say`, `words!`, `plural` and `counted`; tests at the end of a file say nothing.
fn sentences(text: &str) -> BTreeSet<String> {
    let text = text.split("\n#[cfg(test)]").next().unwrap();
    let mut found = BTreeSet::new();
    for mark in ["say!(", ".say(", "words!("] {
        for (at, _) in text.match_indices(mark) {
            let line = text[..at].rsplit('\n').next().unwrap();
            let rest = text[at + mark.len()..].trim_start();
            match rest.strip_prefix('"') {
                Some(_) if line.contains("//") => {}
                // Only `words!` takes several; what follows a template are its arguments.
                Some(rest) if mark == "words!(" => found.extend(literals(rest)),
                Some(rest) => found.extend([literal(rest).0]),
                None => assert!(line.contains("//") || mark == ".say(", "no literal in {line}{rest:.60}"),
            }
        }
    }
    let counts = ["plural(", "counted("].into_iter().flat_map(|mark| text.match_indices(mark));
    for (at, mark) in counts {
        // The noun is what follows the comma that ends the count, which may have brackets of its own.
        let mut depth = 0;
        let rest = &text[at + mark.len()..];
        let comma = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth < 0 || (depth == 0 && *c == ',')
        });
        let Some((comma, ',')) = comma else { continue };
        if let Some(noun) = rest[comma + 1..].trim_start().strip_prefix('"') {
            found.insert(format!("{{count}} {}", literal(noun).0));
        }
    }
    found
}

/// A list of literals from behind its first quotation mark.
fn literals(mut rest: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let (text, behind) = literal(rest);
        all.push(text);
        let next = behind.trim_start().strip_prefix(',').and_then(|behind| behind.trim_start().strip_prefix('"'));
        let Some(next) = next else { return all };
        rest = next;
    }
}

/// A string literal from behind its quotation mark, escapes undone, and what stands behind it.
fn literal(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            ('"', _) => {
                let behind: usize = chars.map(char::len_utf8).sum();
                return (text, &rest[rest.len() - behind..]);
            }
            (_, false) => text.push(c),
            (_, true) => match chars.next().expect("a literal ends") {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                escaped @ ('"' | '\\' | '\'') => text.push(escaped),
                other => panic!("an escape that the catalogue cannot hold: \\{other} after {text}"),
            },
        }
    }
    panic!("a literal has no end: {text}")
}

/// Names of placeholders, each as often as it stands there.
fn placeholders(template: &str) -> Vec<String> {
    let plain = template.replace("{{", "").replace("}}", "");
    let mut names: Vec<String> =
        plain.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// All files under a folder with one of the endings, in order.
fn files(folder: &Path, endings: &[&str]) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}
