//! Every rule is whole: its code, its name, its explanation, its fixtures; and the published catalogue says the same.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{RULES, Rule, TOPICS};
use lastack::language::{Language, Pages};
use support::expected;

/// The parts of an explanation, in this order.
const HEADINGS: [&str; 6] =
    ["What it sees", "Why it happens", "How to confirm", "What to do", "What looks the same", "References"];

/// Rules that no packet script can show: what hosts say of themselves, and files that end early, whose packets are
/// cut or lack their checksum, or whose clock steps back.
const WITHOUT_SCRIPTS: [&str; 7] = ["TW002", "STALL002", "HOST", "CAP001", "CAP002", "CAP005", "CAP008"];

#[test]
fn codes_and_names_are_unique() {
    let mut codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    for list in [&mut codes, &mut names] {
        list.sort_unstable();
        for pair in list.windows(2) {
            assert_ne!(pair[0], pair[1], "used twice");
        }
    }
}

#[test]
fn codes_are_a_family_and_three_digits() {
    for Rule { code, .. } in RULES {
        let (family, number) = code.split_at(code.len() - 3);
        assert!(!family.is_empty() && family.chars().all(|c| c.is_ascii_uppercase()), "{code}");
        assert!(number.chars().all(|c| c.is_ascii_digit()), "{code}");
    }
}

#[test]
fn names_are_kebab_case() {
    for name in RULES.iter().map(|rule| rule.name).chain(TOPICS.map(|(name, _)| name)) {
        let words = name.split('-');
        let sound = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(words.clone().all(sound), "{name} is not kebab-case");
    }
}

#[test]
fn explanations_have_their_title_and_headings_in_order() {
    for Rule { code, name, explanation: Pages { en: explanation, .. }, .. } in RULES {
        assert_eq!(explanation.lines().next(), Some(format!("# {code} {name}").as_str()), "title of {code}");
        assert_eq!(headings(explanation), HEADINGS, "headings of {code}");
        assert!(sections(explanation).all(|section| section.lines().skip(1).any(|line| !line.trim().is_empty())));
    }
}

#[test]
fn a_rule_says_in_a_sentence_what_it_means() {
    for rule in RULES {
        let says = rule.says(Language::En);
        assert!(says.ends_with('.') && says.len() < 400, "{}: {says:?}", rule.code);
        let says = rule.says(Language::Zh);
        assert!(says.ends_with('。') && says.chars().count() < 200, "{}: {says:?}", rule.code);
    }
}

#[test]
fn topics_have_titles_and_are_no_codes() {
    for (topic, page) in TOPICS {
        assert!(page.en.starts_with("# ") && page.zh.starts_with("# "), "{topic} has no title");
        assert!(RULES.iter().all(|rule| rule.code != topic), "{topic} is a rule's code as well");
    }
}

#[test]
fn every_rule_has_a_positive_and_a_lookalike() {
    for rule in RULES.iter().filter(|rule| scripted(rule)) {
        let folder = folder(rule);
        let names = scripts(&folder);
        let has = |start: &str| names.iter().any(|name| name.starts_with(start) && name.ends_with(".flow"));
        assert!(has("positive"), "{} holds no positive*.flow", folder.display());
        assert!(has("lookalike-"), "{} holds no lookalike-*.flow", folder.display());
    }
}

#[test]
fn rules_and_topics_that_explanations_name_exist_or_will() {
    // A code stands for ever, also of a rule that is still to come; what must not happen is a wrong name behind it.
    for Rule { code, explanation: Pages { en: explanation, .. }, .. } in RULES {
        for other in RULES {
            for (at, _) in explanation.match_indices(&format!("{} ", other.code)) {
                let word = explanation[at + other.code.len() + 1..].split([' ', '\n', ',', '.', ':', ')']).next();
                let names_a_rule = RULES.iter().any(|rule| Some(rule.name) == word);
                assert!(!names_a_rule || word == Some(other.name), "{code} calls {} {word:?}", other.code);
            }
        }
    }
}

#[test]
fn the_published_catalogue_is_this_one() {
    let head = "# Rules\n\nWhat `lastack explain` prints, one rule after the other.\n\n";
    publish(Path::new("reports/RULES.md"), head, Language::En, ": ");
    let head = "# 规则\n\n即 `lastack explain --lang zh` 打印的内容，逐条列出。\n\n";
    publish(Path::new("reports/RULES.zh.md"), head, Language::Zh, "：");
}

#[test]
fn pages_have_the_same_shape_in_every_language() {
    let rules = RULES.iter().map(|rule| (rule.code, &rule.explanation));
    for (name, Pages { en, zh }) in rules.chain(TOPICS.iter().map(|(name, pages)| (*name, pages))) {
        assert_eq!(levels(en), levels(zh), "levels of the headings of {name}");
        assert_eq!(code_blocks(en), code_blocks(zh), "code blocks of {name}");
        assert!(zh.lines().skip(1).any(|line| line.chars().any(is_chinese)), "{name} is not translated");
    }
    for Rule { explanation: Pages { en, zh }, .. } in RULES {
        assert_eq!(en.lines().next(), zh.lines().next(), "code and name");
    }
}

fn publish(path: &Path, head: &str, language: Language, colon: &str) {
    let mut page = String::from(head);
    for rule in RULES {
        page += &format!("- [{} {}](#{}){colon}{}\n", rule.code, rule.name, anchor(rule), rule.says(language));
    }
    for rule in RULES {
        page += "\n";
        page += &lower(rule.explanation.spoken(language));
    }
    expected::check(path, page.as_bytes());
}

/// How deep each heading is.
fn levels(page: &str) -> Vec<usize> {
    let lowered = lower(page);
    let mut code = false;
    let lines = lowered.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code && line.starts_with('#')
    });
    lines.map(|line| line.bytes().take_while(|byte| *byte == b'#').count()).collect()
}

/// What stands between the marks of code; comments in it may be translated.
fn code_blocks(page: &str) -> Vec<String> {
    let command = |line: &str| line.split(" #").next().unwrap().trim_end().to_owned();
    page.split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.lines().map(command).collect::<Vec<_>>().join("\n"))
        .collect()
}

const fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}')
}

/// The anchor that readers of Markdown make of a rule's heading.
fn anchor(rule: &Rule) -> String {
    format!("{}-{}", rule.code.to_lowercase(), rule.name)
}

/// Headings one level down, code blocks left alone.
fn lower(explanation: &str) -> String {
    let mut code = false;
    let lines = explanation.lines().map(|line| {
        code ^= line.starts_with("```");
        if !code && line.starts_with('#') { format!("#{line}\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

fn headings(explanation: &str) -> Vec<&str> {
    let mut code = false;
    let lines = explanation.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code
    });
    lines.filter_map(|line| line.strip_prefix("## ")).collect()
}

fn sections(explanation: &str) -> impl Iterator<Item = &str> {
    explanation.split("\n## ").skip(1)
}

fn scripted(rule: &Rule) -> bool {
    !WITHOUT_SCRIPTS.iter().any(|start| rule.code.starts_with(start))
}

fn folder(rule: &Rule) -> PathBuf {
    Path::new("fixtures/diagnoses").join(format!("{}-{}", rule.code, rule.name))
}

fn scripts(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
