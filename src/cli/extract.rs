//! `lastack extract`: captures, or ranges of them, as rows in Arrow or Parquet.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{Part, Status, output};
use crate::columns::{self, Writer};
use crate::ingest;
use crate::input;

/// What `extract` takes.
#[derive(Args, Debug)]
pub(super) struct Extract {
    /// Captures, folders and archives of them; `-` is standard input.
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// Only the records that begin in LEN octets from octet OFF on; one regular file that is not packed.
    #[arg(long, value_name = "OFF:LEN", value_parser = range)]
    range: Option<(u64, u64)>,
    /// How to write the rows.
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// A file; `-` is standard output.
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    out: PathBuf,
    /// What the capture is called in reports, where FILE is a copy of it or standard input.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only the columns, without any row: for programs that must know them beforehand.
    #[arg(long, conflicts_with = "inputs")]
    schema: bool,
    /// Threads to use; 0 means one a core.
    #[arg(short = 'j', long, default_value_t = 0, value_name = "N")]
    threads: usize,
    #[command(flatten)]
    part: Part,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    pub(super) const fn of_columns(self) -> columns::Format {
        match self {
            Self::Arrow => columns::Format::Arrow,
            Self::Parquet => columns::Format::Parquet,
        }
    }
}

pub(super) fn run(options: &Extract) -> anyhow::Result<Status> {
    let (sources, errors) = input::expand(&options.inputs);
    let several = sources.len() > 1;
    anyhow::ensure!(!(several && options.range.is_some()), "--range is of one file, and there are {}", sources.len());
    anyhow::ensure!(!(several && options.name.is_some()), "--name is of one file, and there are {}", sources.len());
    // What is no regular file (a pipe, a device) is written to, and never put away for one.
    let special = options.out.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    let to_file = options.out.as_os_str() != "-" && !special;
    let beside = PathBuf::from(format!("{}.part", options.out.display()));
    let out: Box<dyn Write + Send> = if to_file {
        Box::new(File::create(&beside).with_context(|| format!("cannot write {}", beside.display()))?)
    } else if special {
        let out = File::options().write(true).open(&options.out);
        Box::new(out.with_context(|| format!("cannot write {}", options.out.display()))?)
    } else {
        Box::new(io::stdout())
    };
    let missing = errors.iter().map(ToString::to_string).collect();
    let written = write(options, &sources, missing, out);
    if to_file {
        settle(&beside, &options.out, written.is_ok())?;
    }
    written
}

fn write(
    options: &Extract,
    sources: &[input::Source],
    mut missing: Vec<String>,
    out: Box<dyn Write + Send>,
) -> anyhow::Result<Status> {
    let failed = || format!("cannot write {}", options.out.display());
    let out = Box::new(BufWriter::with_capacity(1 << 20, out));
    let writer = Writer::begin(out, options.format.of_columns()).with_context(failed)?;
    if options.schema {
        writer.finish().with_context(failed)?;
        return Ok(Status::Fine);
    }
    let range = options.range.map(|(from, length)| (from, from.saturating_add(length)));
    let mut extract =
        ingest::Extract::begin(writer, range, options.part.filter(), options.threads, &|_| ()).context("extracting")?;
    let mut captures = 0;
    for source in sources {
        match extract.source(source, options.name.as_deref().unwrap_or(&source.name)) {
            Ok(()) => captures += 1,
            Err(error) if source.named => missing.push(error.to_string()),
            // Folders hold other things too.
            Err(_) => {}
        }
    }
    missing.iter().for_each(|why| output::complain(why));
    anyhow::ensure!(captures > 0, "no capture was extracted");
    extract.finish().with_context(failed)?;
    Ok(if missing.is_empty() { Status::Fine } else { Status::Missing })
}

/// Moves what was written to its place, or takes away what is not whole.
fn settle(beside: &Path, path: &Path, whole: bool) -> anyhow::Result<()> {
    if whole {
        return fs::rename(beside, path).with_context(|| format!("cannot write {}", path.display()));
    }
    // The error that matters is the first.
    let _ = fs::remove_file(beside);
    Ok(())
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once(':').and_then(|(from, length)| Some((from.parse().ok()?, length.parse().ok()?)));
    numbers.filter(|(_, length)| *length > 0).ok_or_else(|| format!("{text:?} is not OFF:LEN, as in 0:1073741824"))
}
