//! Processes of the host: `ps aux`, `ps -ef`, `ps -elf`, `ps -eo …`, and the table of `top` without its summary.
//!
//! It follows ps(1) of procps and of busybox: columns are those of the header, and the last one, the command, takes the
//! rest of the line. Rows of threads (`ps m`, `ps -L`) tell no command of their own.

use super::facts::{Sample, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    Columns::of(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Ps { columns: None })
}

struct Ps {
    columns: Option<Columns>,
}

/// Where the header has what is read.
struct Columns {
    pid: usize,
    /// The share of a CPU, and what the header calls it.
    share: Option<(usize, &'static str)>,
    /// A date of several words.
    started: Option<usize>,
    command: usize,
}

/// Number, share of a CPU with its name, and command, as printed.
type Row<'a> = (&'a str, Option<(&'static str, f64)>, &'a str);

impl Parser for Ps {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let Some(columns) = &self.columns else {
            self.columns = Columns::of(text);
            return if self.columns.is_some() { Taken::Part } else { Taken::Foreign };
        };
        if text.trim().is_empty() {
            return Taken::Part;
        }
        let Some((pid, share, command)) = columns.row(text) else { return Taken::Foreign };
        // A thread has no number or no command of its own; the process stands above it.
        let (Ok(number), false) = (pid.parse::<u32>(), matches!(command, "" | "-")) else {
            return if pid == "-" || pid.parse::<u32>().is_ok() { Taken::Part } else { Taken::Foreign };
        };
        let (name, value) = share.unwrap_or(("pid", f64::from(number)));
        let (subject, name) = (out.names.get(&format!("{command}[{pid}]")), out.names.get(name));
        out.facts.samples.push(Sample { format: "ps", subject, name, value, time_of_day: None, source });
        Taken::Row
    }
}

impl Columns {
    fn of(header: &str) -> Option<Self> {
        let names: Vec<&str> = header.split_ascii_whitespace().collect();
        let command = names.len().checked_sub(1)?;
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || b"%+_".contains(&byte));
        if !matches!(*names.get(command)?, "COMMAND" | "CMD" | "ARGS") || !names.iter().all(is_name) {
            return None;
        }
        let place = |wanted: &str| names.iter().position(|name| *name == wanted).filter(|at| *at < command);
        let share = [("%CPU", "%CPU"), ("C", "C")].into_iter().find_map(|(wanted, name)| Some((place(wanted)?, name)));
        Some(Self { pid: place("PID")?, share, started: place("STARTED"), command })
    }

    /// Number, share and command of a row.
    fn row<'a>(&self, text: &'a str) -> Option<Row<'a>> {
        let mut rest = text.trim_start();
        let (mut pid, mut share) = (None, None);
        for at in 0..self.command {
            let (word, tail) = word(rest)?;
            rest = tail;
            if at == self.pid {
                pid = Some(word);
            }
            if let Some((_, name)) = self.share.filter(|(place, _)| *place == at) {
                share = word.replace(',', ".").parse().ok().map(|value| (name, value));
            }
            if self.started == Some(at) {
                rest = after_date(word, rest)?;
            }
        }
        Some((pid?, share, rest.trim_start_matches(['|', '\\', '_', ' ', '\t']).trim_end()))
    }
}

/// The first word, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
    Some((word, rest.trim_start()))
}

/// Passes over what follows the first word of a date: `Sun Nov 22 18:32:28 2026`, `Nov 22`, `18:32:28`.
fn after_date<'a>(first: &str, mut rest: &'a str) -> Option<&'a str> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let more = match first {
        day if DAYS.contains(&day) => 4,
        month if MONTHS.contains(&month) => 1,
        _ => 0,
    };
    for _ in 0..more {
        rest = word(rest)?.1;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[track_caller]
    fn processes(text: &str) -> Vec<(String, String, f64)> {
        let facts = read(0, "ps", text.as_bytes()).facts;
        facts.samples.into_iter().map(|one| (one.subject.to_string(), one.name.to_string(), one.value)).collect()
    }

    #[test]
    fn the_command_takes_the_rest_of_the_line() {
        let text = "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\nroot  3 12.5 0.0 2920 1920 ?  S Nov22 0:00  \\_ cat /proc/slabinfo\nroot  - 0.0 - - - - S 18:32 0:00 -\n";
        assert_eq!(processes(text), [("cat /proc/slabinfo[3]".to_owned(), "%CPU".to_owned(), 12.5)]);
    }

    #[test]
    fn dates_of_several_words_are_passed_over() {
        let text = "    PID                  STARTED STAT COMMAND\n      2 Sun Nov 22 18:32:28 2026 S    sleep 30\n      3   Nov 20 S    slabtop\n";
        let found = processes(text);
        assert_eq!(found.iter().map(|one| &*one.0).collect::<Vec<_>>(), ["sleep 30[2]", "slabtop[3]"]);
    }

    #[test]
    fn a_header_of_other_tools_is_none() {
        assert!(
            processes("COMMAND PID USER FD TYPE DEVICE SIZE NODE NAME\nnginx 12 root 5u IPv4 1 0t0 TCP x\n").is_empty()
        );
    }
}
