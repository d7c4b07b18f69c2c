//! The command line: arguments in, files and exit status out. The only code that prints or writes files.
//!
//! Exit status: 0 analysed; 1 analysed, and a finding reached `--fail-on`; 2 an input that was named gave
//! nothing, or the arguments are wrong. 2 outranks 1; what could be analysed is still reported.

mod analyze;
mod batch;
mod config;
mod connections;
mod diff;
mod digest;
#[cfg(feature = "columns")]
mod emit;
mod evidence;
mod explain;
#[cfg(feature = "columns")]
mod extract;
mod gate;
mod interrupt;
mod log;
mod memory;
#[cfg(feature = "columns")]
mod merge;
mod output;
mod progress;
mod redaction;
mod run;
mod shell;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::diagnosis::{KernelVersion, Thresholds};
use crate::language::Language;
use crate::redact::Redactor;
use crate::report::Zone;
use crate::segment::{Filter, FilterError};
use crate::snapshot::moment;
use crate::time::{Span, Time};

/// What was built, of what and how.
const BUILD: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit:   ",
    env!("LASTACK_BUILT_FROM"),
    "\ntarget:   ",
    env!("LASTACK_TARGET"),
    "\nprofile:  ",
    env!("LASTACK_PROFILE"),
    "\ncompiler: ",
    env!("LASTACK_COMPILER"),
    "\nschemas:  lastack-report/1, lastack-index/1",
    "\nlicence:  MIT OR Apache-2.0"
);

/// Says why TCP connections fail to open, close or be reused, from packet captures.
#[derive(Debug, Parser)]
#[command(version, long_version = BUILD, about, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Analyze captures and write a report.
    Analyze(Analyze),
    /// Analyze many cases, each for itself, and write an index that ranks them; goes on where it was interrupted.
    Batch(Analyze),
    /// Tell what is new, worse and gone between two reports, or two batches.
    Diff(diff::Diff),
    /// Print the connection table.
    Connections(Connections),
    /// Print one row for each SYN segment: its client clock, its fate, the cause.
    Syns(Syns),
    /// Cut the packets of a finding out of the captures, with comments that say what each proves.
    Evidence(Evidence),
    /// Write captures as rows of columns, one a segment, for a cluster and for SQL.
    #[cfg(feature = "columns")]
    Extract(extract::Extract),
    /// Make one report of parts of the evidence, each of other socket pairs.
    #[cfg(feature = "columns")]
    Merge(merge::Merge),
    /// Explain a rule or a topic.
    Explain {
        #[command(flatten)]
        speech: Speech,
        /// A rule's code (SYN001), its name (per-host-paws-drop) or a topic (time-wait); without it, all are listed.
        topic: Option<String>,
    },
    /// List all rules.
    Rules {
        #[command(flatten)]
        speech: Speech,
    },
    /// Print completions for a shell.
    Completions(shell::Completions),
    /// Print the manual page of the program or of a command.
    Man(shell::Pages),
}

/// What every command that reads captures takes.
#[derive(Args, Debug)]
struct Inputs {
    /// Files, folders and archives of any kind mixed; `-` is standard input.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Take every capture for itself; otherwise the files of a rotated set are read as one.
    #[arg(long)]
    separate: bool,
    /// Threads to use; 0 means one a core.
    #[arg(short = 'j', long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// No summary and no progress.
    #[arg(short, long)]
    quiet: bool,
    /// Add what was done, and when, to a file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Give up beyond so many connections [default: what free memory holds, at 220 bytes each]
    #[arg(long, value_name = "N", verbatim_doc_comment)]
    connections_limit: Option<usize>,
    #[command(flatten)]
    part: Part,
}

/// What of the captures is looked at; the report says what was left out.
#[derive(Args, Debug)]
struct Part {
    /// Only packets from or to this address.
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Only packets from or to this port.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Only packets between two times: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "T1,T2", value_parser = interval)]
    between: Option<(Time, Time)>,
    /// Only packets for which an expression holds, as in 'net 10.0.0.0/8 and not port 22': host, net, port, portrange,
    /// src, dst, ip, ip6, tcp, icmp, syn, ack, fin, rst, psh, and, or, not and brackets.
    #[arg(long, value_name = "EXPRESSION", value_parser = filter)]
    filter: Option<Filter>,
}

/// Where reports go unless somebody says otherwise.
const DEFAULT_OUT: &str = "lastack-report";

#[derive(Args, Debug)]
struct Analyze {
    #[command(flatten)]
    inputs: Inputs,
    /// Where the report goes; `-` is standard output, for one format that is one file, and for a part of the evidence.
    #[arg(short, long, default_value = DEFAULT_OUT, value_name = "DIR")]
    out: PathBuf,
    /// The inputs are rows that `extract` wrote, or that were put in order since; captures are refused.
    #[cfg(feature = "columns")]
    #[arg(long, value_name = "FORMAT")]
    from: Option<extract::Format>,
    /// What to make: report, part (of the evidence, for `merge`), or plan (for whoever distributes the work).
    #[cfg(feature = "columns")]
    #[arg(long, default_value = "report", value_name = "WHAT")]
    emit: emit::Emit,
    /// What to write, separated by commas: html, png, json, md, csv, jsonl, junit, sarif, github.
    #[arg(long, value_delimiter = ',', default_value = "html,png,json,md", value_name = "LIST")]
    format: Vec<String>,
    #[command(flatten)]
    gate: gate::GateOptions,
    /// Maximum segment lifetime in seconds; Linux holds TIME-WAIT for 60 s, twice the default [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, verbatim_doc_comment)]
    msl: Option<f64>,
    /// The kernel of a host, as in 10.0.0.1=4.9: what the engineer knows and the capture does not.
    #[arg(long, value_name = "ADDRESS=VERSION", value_parser = kernel)]
    kernel: Vec<(IpAddr, KernelVersion)>,
    /// Write the packets that prove each of the worst findings as well: evidence/ID.pcapng.
    #[arg(long)]
    evidence: bool,
    #[command(flatten)]
    protection: Protection,
    /// The zone that times are shown in, as in Asia/Shanghai or +08:00; JSON and CSV stay in UTC.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: Zone,
    /// Colours on the terminal.
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    color: Color,
    #[command(flatten)]
    each: batch::Each,
    #[command(flatten)]
    speech: Speech,
}

/// What the words are written in; codes, names, columns, commands and filters are the same in every language.
#[derive(Args, Clone, Copy, Debug)]
struct Speech {
    /// The language of findings, reports and explanations.
    #[arg(long, default_value = "en", value_name = "LANGUAGE")]
    lang: Language,
}

/// What of the inputs the report may tell.
#[derive(Args, Debug)]
struct Protection {
    /// Replace addresses and names in all that is written; ports, sequence numbers, timestamps and times stay.
    #[arg(long)]
    redact: bool,
    /// Redact with the secret in a file, so that reports can be compared; without it the inputs' content is the key.
    #[arg(long, value_name = "FILE")]
    redact_key: Option<PathBuf>,
    /// Add a digest of each input: sha256.
    #[arg(long, value_name = "ALGORITHM", conflicts_with_all = ["redact", "redact_key"])]
    digest: Option<DigestKind>,
}

#[derive(Args, Debug)]
struct Connections {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    table: TableOutput,
}

#[derive(Args, Debug)]
struct Syns {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    table: TableOutput,
    /// Only SYNs that went `unanswered`, or those attributed to a rule's code.
    #[arg(long, value_name = "WHICH")]
    only: Option<String>,
}

#[derive(Args, Debug)]
struct Evidence {
    /// The report.json that the finding stands in.
    #[arg(value_name = "REPORT.json")]
    report: PathBuf,
    /// The finding, as in SYN001-1.
    #[arg(long, value_name = "ID")]
    finding: String,
    /// Where the captures are now, if they have moved since the report was made.
    #[arg(long, value_name = "PATH")]
    input: Vec<PathBuf>,
    /// The key that the report was redacted with: the packets are redacted in the same way.
    #[arg(long, value_name = "FILE")]
    redact_key: Option<PathBuf>,
    /// The file to write (pcapng); without it, standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// No summary.
    #[arg(short, long)]
    quiet: bool,
}

/// How a table is printed, and where.
#[derive(Args, Debug)]
struct TableOutput {
    /// How to print it.
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    format: TableFormat,
    /// A file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    Table,
    Csv,
    Jsonl,
    #[cfg(feature = "columns")]
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DigestKind {
    Sha256,
}

impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::En, Self::Zh]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.code()).help(match self {
            Self::En => "English",
            Self::Zh => "Simplified Chinese (简体中文)",
        }))
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Everything was analysed.
    Fine,
    /// A finding reached the gate.
    Gate,
    /// Something that was named gave nothing.
    Missing,
    /// Somebody interrupted it.
    Interrupted,
}

/// The definition of the command line, of which help, completions and manual pages are made.
#[must_use]
pub fn command() -> clap::Command {
    let program = Arguments::command();
    program.mut_subcommand("batch", |batch| {
        batch.mut_arg("out", |out| out.default_value("lastack-batch")).mut_arg("each", |each| each.hide(true))
    })
}

/// Runs the command line; `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    interrupt::watch();
    let mut program = command();
    let parsed = program.try_get_matches_from_mut(arguments).and_then(|matches| {
        let arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut program))?;
        Ok((matches, arguments))
    });
    let (matches, arguments) = match parsed {
        Ok(parsed) => parsed,
        Err(message) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let of_command = matches.subcommand().map_or(&matches, |(_, matches)| matches);
    let result = match arguments.command {
        Command::Batch(options) => batch::run(&options, of_command),
        Command::Analyze(options) if options.each.each => batch::run(&options, of_command),
        Command::Analyze(options) => analyze::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Connections(options) => connections::run(&options),
        Command::Syns(options) => connections::syns(&options),
        Command::Evidence(options) => evidence::run(&options),
        #[cfg(feature = "columns")]
        Command::Extract(options) => extract::run(&options),
        #[cfg(feature = "columns")]
        Command::Merge(options) => merge::run(&options),
        Command::Explain { topic, speech } => explain::explain(topic.as_deref(), speech.lang),
        Command::Rules { speech } => explain::rules(speech.lang),
        Command::Completions(options) => shell::completions(&options),
        Command::Man(options) => shell::man(&options),
    };
    match result {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Gate) => ExitCode::from(1),
        Ok(Status::Missing) => ExitCode::from(2),
        Ok(Status::Interrupted) => ExitCode::from(130),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Nobody reads on: that ends the work quietly.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io =
        |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.chain().any(|cause| io(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

impl Analyze {
    /// What stands on the command line, then what the configuration says, then the defaults.
    fn thresholds(&self, config: &config::Config, redactor: Option<&Redactor>) -> Thresholds {
        let default = Thresholds::default();
        let msl = self.msl.or(config.msl).map_or(default.msl, Span::from_secs_f64);
        let shown = |ip: IpAddr| redactor.map_or(ip, |redactor| redactor.ip(ip));
        let kernels = self.kernel.iter().chain(&config.kernels).map(|(ip, version)| (shown(*ip), *version)).collect();
        Thresholds { msl, kernels }
    }
}

impl Protection {
    /// The inputs are read more than once.
    const fn asks(&self) -> bool {
        self.redact || self.redact_key.is_some() || self.digest.is_some()
    }
}

impl Part {
    fn filter(&self) -> Filter {
        let mut filter = self.filter.clone().unwrap_or_default();
        if let Some(host) = self.host {
            filter.host(host);
        }
        if let Some(port) = self.port {
            filter.port(port);
        }
        if let Some((from, until)) = self.between {
            filter.between(from, until);
        }
        filter
    }
}

fn filter(text: &str) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    filter.expression(text)?;
    Ok(filter)
}

fn interval(text: &str) -> Result<(Time, Time), String> {
    let expected = || format!("{text:?} is not T1,T2, as in 2026-01-01T10:00:00Z,2026-01-01T10:05:00Z");
    let (from, until) = text.split_once(',').ok_or_else(expected)?;
    match (moment(from), moment(until)) {
        (Some(from), Some(until)) if from <= until => Ok((from, until)),
        (Some(_), Some(_)) => Err(format!("{text:?} ends before it begins")),
        _ => Err(expected()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    if value > 0.0 && value <= 86_400.0 {
        Ok(value)
    } else {
        Err(format!("{value} is not between 0 and 86400 seconds"))
    }
}

fn kernel(text: &str) -> Result<(IpAddr, KernelVersion), String> {
    let expected = || format!("{text:?} is not ADDRESS=VERSION, as in 10.0.0.1=4.9");
    let (address, version) = text.split_once('=').ok_or_else(expected)?;
    let mut numbers = version.split(['.', '-']).map(str::parse::<u16>);
    match (address.parse(), numbers.next(), numbers.next()) {
        (Ok(address), Some(Ok(major)), Some(Ok(minor))) => Ok((address, KernelVersion(major, minor))),
        _ => Err(expected()),
    }
}
