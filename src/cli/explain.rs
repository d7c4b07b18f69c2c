//! `lastack explain` and `lastack rules`: the same Markdown that the manual is made of.

use anyhow::Context;

use super::Status;
use super::output::file_or_stdout;
use crate::diagnosis::{RULES, TOPICS};

pub(super) fn explain(topic: Option<&str>) -> anyhow::Result<Status> {
    let Some(topic) = topic else { return print(&overview()) };
    let rule = RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(topic) || rule.name.eq_ignore_ascii_case(topic));
    let page = rule.map(|rule| rule.explanation);
    let page = page.or_else(|| TOPICS.iter().find(|(name, _)| name.eq_ignore_ascii_case(topic)).map(|(_, page)| *page));
    print(page.with_context(|| format!("{topic:?} is no rule and no topic; `lastack explain` lists them"))?)
}

pub(super) fn rules() -> anyhow::Result<Status> {
    let lines = RULES.iter().map(|rule| format!("{}  {:<26} {}\n", rule.code, rule.name, rule.says()));
    print(&lines.collect::<String>())
}

fn overview() -> String {
    let rules = RULES.iter().map(|rule| format!("  {}  {}\n", rule.code, rule.name));
    let topics = TOPICS.iter().map(|(name, _)| format!("  {name}\n"));
    format!("Rules:\n{}Topics:\n{}", rules.collect::<String>(), topics.collect::<String>())
}

fn print(text: &str) -> anyhow::Result<Status> {
    file_or_stdout(None, &mut |out| out.write_all(text.as_bytes()))?;
    Ok(Status::Fine)
}
