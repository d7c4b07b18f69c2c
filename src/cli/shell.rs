//! `lastack completions` and `lastack man`: for shells and man(1), from the same definitions as the help.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Status;
use super::output::{file_or_stdout, whole};
use crate::diagnosis::{RULES, TOPICS};
use crate::report::FORMATS;

/// What `completions` takes.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

/// What `man` takes.
#[derive(Args, Debug)]
pub(super) struct Pages {
    /// The command; without it, the page of the program.
    command: Option<String>,
    /// Write all pages into a folder instead.
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(super) fn completions(options: &Completions) -> anyhow::Result<Status> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut offering(), "lastack", &mut text);
    file_or_stdout(None, &mut |out| out.write_all(&text))?;
    Ok(Status::Fine)
}

/// The program with words to choose from where it takes any: it knows more of them than it offers (names in small letters,
/// lists of formats), and says more of a wrong one than that it is not among a hundred.
fn offering() -> Command {
    let rules = RULES.iter().flat_map(|rule| [rule.code, rule.name]);
    let topics: BTreeSet<&str> = rules.chain(TOPICS.iter().map(|(name, _)| *name)).collect();
    let formats = FORMATS.iter().map(|format| format.name);
    super::command()
        .mut_subcommand("explain", |command| {
            command.mut_arg("topic", |topic| topic.value_parser(PossibleValuesParser::new(topics)))
        })
        .mut_subcommand("analyze", |command| {
            command.mut_arg("format", |format| format.value_parser(PossibleValuesParser::new(formats)))
        })
}

pub(super) fn man(options: &Pages) -> anyhow::Result<Status> {
    let mut program = super::command();
    program.build();
    if let Some(folder) = &options.out {
        return all(&program, folder);
    }
    let page = match &options.command {
        None => page("lastack", &program)?,
        Some(name) => {
            let found = commands(&program).find(|command| command.get_name() == name);
            let names = || commands(&program).map(Command::get_name).collect::<Vec<_>>().join(", ");
            let command = found.with_context(|| format!("{name:?} is no command; there are {}", names()))?;
            page(&format!("lastack-{name}"), command)?
        }
    };
    file_or_stdout(None, &mut |out| out.write_all(&page))?;
    Ok(Status::Fine)
}

fn all(program: &Command, folder: &Path) -> anyhow::Result<Status> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut pages = vec![("lastack".to_owned(), page("lastack", program)?)];
    for command in commands(program) {
        let name = format!("lastack-{}", command.get_name());
        pages.push((name.clone(), page(&name, command)?));
    }
    for (name, page) in pages {
        let path = folder.join(format!("{name}.1"));
        whole(&path, &mut |out| out.write_all(&page)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Status::Fine)
}

/// Commands that have a page.
fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// A page, with the exit status at its end, which no definition holds.
fn page(name: &str, command: &Command) -> anyhow::Result<Vec<u8>> {
    // The name of a page is one word; its synopsis has the command as it is typed.
    let command = command.clone().display_name(name.to_owned());
    let man = Man::new(command)
        .title(name.to_uppercase())
        .source(format!("lastack {}", env!("CARGO_PKG_VERSION")))
        .manual("lastack");
    let mut text = Vec::new();
    man.render(&mut text).context("cannot render the page")?;
    text.write_all(EXIT_STATUS.as_bytes()).context("cannot render the page")?;
    Ok(text)
}

const EXIT_STATUS: &str = ".SH EXIT STATUS\n.TP\n0\nanalysed\n.TP\n1\nanalysed, and a finding fails the run (see \\-\\-fail\\-on)\n\
.TP\n2\nan input that was named gave nothing, or the arguments are wrong; 2 outranks 1\n.TP\n130\ninterrupted\n";
