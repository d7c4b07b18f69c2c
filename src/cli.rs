//! The command line: arguments in, files and exit status out. The only code that prints or writes files.
//!
//! Exit status: 0 analysed; 1 analysed, and a finding reached `--fail-on`; 2 an input that was named gave
//! nothing, or the arguments are wrong. 2 outranks 1; what could be analysed is still reported.

mod analyze;
mod connections;
mod digest;
mod evidence;
mod explain;
mod output;
mod progress;
mod redaction;
mod run;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::diagnosis::{KernelVersion, Severity, Thresholds};
use crate::language::Language;
use crate::redact::Redactor;
use crate::segment::{Filter, FilterError};
use crate::snapshot::moment;
use crate::time::{Span, Time};

/// Says why TCP connections fail to open, close or be reused, from packet captures.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Analyze captures and write a report.
    Analyze(Analyze),
    /// Print the connection table.
    Connections(Connections),
    /// Print one row for each SYN segment: its client clock, its fate, the cause.
    Syns(Syns),
    /// Cut the packets of a finding out of the captures, with comments that say what each proves.
    Evidence(Evidence),
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

#[derive(Args, Debug)]
struct Analyze {
    #[command(flatten)]
    inputs: Inputs,
    /// Where the report goes.
    #[arg(short, long, default_value = "lastack-report", value_name = "DIR")]
    out: PathBuf,
    /// What to write, separated by commas: html, png, json, md, csv.
    #[arg(long, value_delimiter = ',', default_value = "html,png,json,md", value_name = "LIST")]
    format: Vec<String>,
    /// The severity of a finding that makes the exit status 1.
    #[arg(long, default_value = "never", value_name = "SEVERITY")]
    fail_on: FailOn,
    /// Maximum segment lifetime in seconds; Linux holds TIME-WAIT for 60 s, twice the default.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS", value_parser = seconds)]
    msl: f64,
    /// The kernel of a host, as in 10.0.0.1=4.9: what the engineer knows and the capture does not.
    #[arg(long, value_name = "ADDRESS=VERSION", value_parser = kernel)]
    kernel: Vec<(IpAddr, KernelVersion)>,
    /// Write the packets that prove each of the worst findings as well: evidence/ID.pcapng.
    #[arg(long)]
    evidence: bool,
    #[command(flatten)]
    protection: Protection,
    /// Colours on the terminal.
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    color: Color,
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
enum FailOn {
    Critical,
    Warning,
    Info,
    Never,
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
}

/// Runs the command line; `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let result = match arguments.command {
        Command::Analyze(options) => analyze::run(&options),
        Command::Connections(options) => connections::run(&options),
        Command::Syns(options) => connections::syns(&options),
        Command::Evidence(options) => evidence::run(&options),
        Command::Explain { topic, speech } => explain::explain(topic.as_deref(), speech.lang),
        Command::Rules { speech } => explain::rules(speech.lang),
    };
    match result {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Gate) => ExitCode::from(1),
        Ok(Status::Missing) => ExitCode::from(2),
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

impl FailOn {
    fn reached_by(self, severity: Severity) -> bool {
        match self {
            Self::Critical => severity >= Severity::Critical,
            Self::Warning => severity >= Severity::Warning,
            Self::Info => severity >= Severity::Info,
            Self::Never => false,
        }
    }
}

impl Analyze {
    fn thresholds(&self, redactor: Option<&Redactor>) -> Thresholds {
        let shown = |ip: IpAddr| redactor.map_or(ip, |redactor| redactor.ip(ip));
        let kernels = self.kernel.iter().map(|(ip, version)| (shown(*ip), *version)).collect();
        Thresholds { msl: Span::from_secs_f64(self.msl), kernels }
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
