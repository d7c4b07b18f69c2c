//! `lastack explain` and `lastack rules`: the same Markdown that the manual is made of.

use anyhow::Context;

use super::Status;
use super::output::file_or_stdout;
use crate::diagnosis::{RULES, TOPICS};
use crate::language::Language;

pub(super) fn explain(topic: Option<&str>, language: Language) -> anyhow::Result<Status> {
    let Some(topic) = topic else { return print(&overview(language)) };
    let same = |word: &str| word.eq_ignore_ascii_case(topic);
    let by_code = RULES.iter().find(|rule| same(rule.code)).map(|rule| rule.explanation.spoken(language));
    let by_topic = || TOPICS.iter().find(|(name, _)| same(name)).map(|(_, page)| page.spoken(language));
    let by_name = || RULES.iter().find(|rule| same(rule.name)).map(|rule| rule.explanation.spoken(language));
    let page = by_code.or_else(by_topic).or_else(by_name);
    print(page.with_context(|| format!("{topic:?} is no rule and no topic; `lastack explain` lists them"))?)
}

pub(super) fn rules(language: Language) -> anyhow::Result<Status> {
    let lines = RULES.iter().map(|rule| format!("{}  {:<26} {}\n", rule.code, rule.name, rule.says(language)));
    print(&lines.collect::<String>())
}

fn overview(language: Language) -> String {
    let rules = RULES.iter().map(|rule| format!("  {}  {}\n", rule.code, rule.name));
    let topics = TOPICS.iter().map(|(name, _)| format!("  {name}\n"));
    let (of_rules, of_topics) = (language.say("Rules:"), language.say("Topics:"));
    format!("{of_rules}\n{}{of_topics}\n{}", rules.collect::<String>(), topics.collect::<String>())
}

fn print(text: &str) -> anyhow::Result<Status> {
    file_or_stdout(None, &mut |out| out.write_all(text.as_bytes()))?;
    Ok(Status::Fine)
}
