//! `lastack evidence`: the packets of a finding as a small pcapng whose comments say what each proves.
//!
//! A report names its inputs and says which packets prove a finding. Those packets are cut out of the inputs as they are
//! now; an input that is not what the report was made of is refused.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::output::{Folder, complain, file_or_stdout, print};
use super::{Evidence, Status, redaction};
use crate::capture::excerpt::recorded_line;
use crate::diagnosis::Subject;
use crate::ingest::{self, Cut, Met, Workers, excerpts};
use crate::input::{self, Source};
use crate::report::{model, visible};
use crate::segment::{Filter, Replace};
use crate::snapshot::moment;
use crate::time::Time;

/// What of a report is needed to cut evidence.
#[derive(Debug, Deserialize)]
struct Report {
    schema: String,
    options: Options,
    inputs: Vec<Input>,
    points: Vec<Point>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    redacted: bool,
}

#[derive(Debug, Deserialize)]
struct Input {
    id: String,
    name: String,
    packets: Option<u64>,
    first_packet: Option<String>,
    last_packet: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Point {
    id: String,
    inputs: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    title: String,
    point: Option<String>,
    selector: Selector,
    exhibits: Vec<Exhibit>,
    exhibits_total: u64,
}

#[derive(Debug, Deserialize)]
struct Selector {
    client_ip: Option<IpAddr>,
    server_ip: Option<IpAddr>,
    server_port: Option<u16>,
    from: Option<String>,
    until: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Exhibit {
    input: String,
    frame: Option<u64>,
    text: String,
}

pub(super) fn run(options: &Evidence) -> anyhow::Result<Status> {
    let report = read(&options.report)?;
    let finding = report.finding(&options.finding)?;
    let parts = report.parts(finding)?;
    let redactor = options.redact_key.as_deref().map(redaction::of_file).transpose()?;
    report.ask_for_key(redactor.is_some())?;
    if let Some(name) = parts.iter().map(|input| &input.name).find(|name| *name == "-" && options.input.is_empty()) {
        bail!(
            "{name} was standard input, which is gone: run the analysis again with --evidence, or name a file that holds the same capture with --input"
        );
    }
    let sources = sources(&parts, &options.input)?;
    let pass = Pass { findings: vec![finding], parts, sources };
    let replace = redactor.as_ref().map(|redactor| redactor as &dyn Replace);
    let mut taken = 0;
    file_or_stdout(options.out.as_deref(), &mut |file| {
        taken = pass.write(replace, &mut [file]).into_iter().sum::<io::Result<u64>>()?;
        Ok(())
    })?;
    if let Some(out) = options.out.as_deref().filter(|_| !options.quiet) {
        print(&format!("{taken} packets of {}: {}\n", finding.id, visible(&out.display().to_string())))?;
    }
    Ok(Status::Fine)
}

/// Findings of one report that evidence is written of: the worst.
const MOST: usize = 20;

/// Writes the evidence of the worst findings into a report's folder, with the inputs as they were read.
pub(super) fn all(
    report: &model::Report,
    inputs: &[ingest::Input],
    sources: &[Source],
    replace: Option<&dyn Replace>,
    folder: &mut Folder,
    workers: &Workers,
) -> anyhow::Result<()> {
    let report: Report = serde_json::from_value(serde_json::to_value(report)?)?;
    let opened_as = |id: &str| {
        let name = &inputs.iter().zip(&report.inputs).find(|(_, input)| input.id == id)?.0.opened_as;
        let inside = |source: &&Source| {
            name.strip_prefix(source.name.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('!'))
        };
        Some((sources.iter().find(inside)?.clone(), name.clone()))
    };
    let wanted: Vec<&Finding> = report.findings.iter().filter(|finding| finding.point.is_some()).take(MOST).collect();
    let passes = report.passes(&wanted, workers.count(), |input| opened_as(&input.id))?;
    let name = |finding: &&Finding| format!("evidence/{}.pcapng", finding.id);
    let names = |pass: &Pass<'_>| pass.findings.iter().map(name).collect();
    let results = folder.files(&passes, workers, names, |pass, files| {
        pass.write(replace, files).into_iter().map(|taken| taken.map(|_| ())).collect()
    });
    let findings = passes.iter().flat_map(|pass| &pass.findings);
    let failed = findings.zip(results).filter_map(|(finding, result)| Some((finding.id.as_str(), result.err()?)));
    let mut failed: BTreeMap<&str, io::Error> = failed.collect();
    for Finding { id, .. } in wanted {
        match failed.remove(id.as_str()) {
            None => {}
            // What has no evidence is reported all the same; a disk that is full is another matter.
            Some(error) if error.kind() == io::ErrorKind::Other => complain(&format!("{id}: no evidence: {error}")),
            Some(error) => return Err(error).with_context(|| format!("cannot write the evidence of {id}")),
        }
    }
    Ok(())
}

/// Findings of one capture point, whose evidence is cut in one pass over its captures.
struct Pass<'a> {
    findings: Vec<&'a Finding>,
    parts: Vec<&'a Input>,
    /// Where each of them is.
    sources: Vec<(Source, String)>,
}

impl Pass<'_> {
    /// Cuts the packets of each finding into a file of its own, and says how many there are.
    fn write(&self, replace: Option<&dyn Replace>, files: &mut [&mut dyn Write]) -> Vec<io::Result<u64>> {
        let mut taken: Vec<io::Result<u64>> = self.findings.iter().map(|_| Ok(0)).collect();
        for (input, source) in self.parts.iter().zip(&self.sources) {
            for (sum, more) in taken.iter_mut().zip(cut(&self.findings, input, source, replace, files)) {
                if let Ok(before) = *sum {
                    *sum = more.map(|more| before.saturating_add(more));
                }
            }
            if taken.iter().all(Result::is_err) {
                break;
            }
        }
        let any = |taken| match taken {
            Ok(0) => Err(io::Error::other("no packet of the inputs belongs to the finding")),
            taken => taken,
        };
        taken.into_iter().map(any).collect()
    }
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let name = path.display();
    let text = std::fs::read(path).with_context(|| format!("{name}: cannot open"))?;
    let report: Report =
        serde_json::from_slice(&text).with_context(|| format!("{name}: expected a report.json of this program"))?;
    let schema = crate::report::model::SCHEMA;
    ensure!(report.schema == schema, "{name}: schema {:?}; expected {schema:?}", report.schema);
    Ok(report)
}

impl Report {
    fn finding(&self, id: &str) -> anyhow::Result<&Finding> {
        let found = self.findings.iter().find(|finding| finding.id.eq_ignore_ascii_case(id));
        found.with_context(|| match self.findings.as_slice() {
            [] => format!("the report has no finding {id}: it has none at all"),
            all => {
                let ids: Vec<&str> = all.iter().take(20).map(|finding| finding.id.as_str()).collect();
                let more = if all.len() > ids.len() { ", …" } else { "" };
                format!("the report has no finding {id}; it has {}{more}", ids.join(", "))
            }
        })
    }

    /// A redacted report speaks of other addresses than its captures: whoever cuts them needs the same mapping.
    fn ask_for_key(&self, given: bool) -> anyhow::Result<()> {
        match (self.options.redacted, given) {
            (true, false) => bail!(
                "the report is redacted, and its captures are not: run the analysis with --redact --evidence, or give the file that was its key with --redact-key"
            ),
            (false, true) => {
                bail!("the report is not redacted: make a redacted one with analyze --redact --redact-key FILE first")
            }
            _ => Ok(()),
        }
    }

    /// The passes over captures that the evidence of these findings takes: for each capture point one a thread.
    fn passes<'a>(
        &'a self,
        findings: &[&'a Finding],
        threads: usize,
        source: impl Fn(&Input) -> Option<(Source, String)>,
    ) -> anyhow::Result<Vec<Pass<'a>>> {
        let mut of_point: BTreeMap<Option<&str>, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            of_point.entry(finding.point.as_deref()).or_default().push(finding);
        }
        let mut passes = Vec::new();
        for findings in of_point.values() {
            for findings in findings.chunks(findings.len().div_ceil(threads.max(1)).max(1)) {
                let [finding, ..] = findings else { continue };
                let parts = self.parts(finding)?;
                let sources = parts.iter().filter_map(|input| source(input)).collect();
                passes.push(Pass { findings: findings.to_vec(), parts, sources });
            }
        }
        Ok(passes)
    }

    /// The captures of the point that a finding was seen at, in the order of reading.
    fn parts(&self, finding: &Finding) -> anyhow::Result<Vec<&Input>> {
        let Some(point) = &finding.point else {
            bail!("{} rests on what hosts said and on no packets: there is nothing to cut", finding.id)
        };
        let point = self.points.iter().find(|known| known.id == *point);
        let ids = point.map_or(&[][..], |point| &point.inputs);
        let parts: Vec<&Input> = ids.iter().filter_map(|id| self.inputs.iter().find(|input| input.id == *id)).collect();
        ensure!(!parts.is_empty(), "the report does not say which captures {} was found in", finding.id);
        Ok(parts)
    }
}

/// Where each capture is: as the report names it, or the one of `given` with the same file name, or the only one.
fn sources(parts: &[&Input], given: &[PathBuf]) -> anyhow::Result<Vec<(Source, String)>> {
    let named: Vec<PathBuf> = parts.iter().map(|input| PathBuf::from(outer(&input.name))).collect();
    let (candidates, errors) = input::expand(if given.is_empty() { &named } else { given });
    if let (Some(error), true) = (errors.first(), candidates.is_empty()) {
        bail!("{error}");
    }
    let one = |input: &&Input| {
        let file = outer(&input.name);
        let member = input.name.get(file.len()..).unwrap_or("");
        let same = candidates.iter().find(|source| source.name == file);
        let alike = || candidates.iter().find(|source| base(&source.name) == base(file));
        let only = || candidates.first().filter(|_| candidates.len() == 1 && !given.is_empty());
        let source = same.or_else(alike).or_else(only);
        let source = source.with_context(|| {
            format!("none of the files given with --input is called {:?}, which the report was made of", base(file))
        })?;
        Ok((source.clone(), format!("{}{member}", source.name)))
    };
    parts.iter().map(one).collect()
}

/// The file of an input: members of archives are named behind an exclamation mark.
fn outer(name: &str) -> &str {
    match name.split_once('!') {
        Some((file, _)) if !Path::new(name).exists() => file,
        _ => name,
    }
}

fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// Cuts the packets of each finding out of one input.
fn cut(
    findings: &[&Finding],
    input: &Input,
    (source, name): &(Source, String),
    replace: Option<&dyn Replace>,
    files: &mut [&mut dyn Write],
) -> Vec<io::Result<u64>> {
    let cut = |finding: &&Finding| Cut {
        filter: finding.selector.filter(),
        comments: finding.comments(&input.id),
        about: finding.about(input),
    };
    let cuts: Vec<Cut> = findings.iter().map(cut).collect();
    let files = files.iter_mut().map(|file| &mut **file as &mut dyn Write);
    let (taken, wrong) = match excerpts(source, name, cuts.iter().zip(files), replace) {
        Ok((met, taken)) => {
            let told = |what| format!("{name} is not the capture that the report was made of: {what}");
            (taken, differs(input, &met).map(told))
        }
        Err(error) => {
            (cuts.iter().map(|_| Ok(0)).collect(), Some(format!("{error}; name the right file with --input")))
        }
    };
    match wrong {
        Some(wrong) => taken.into_iter().map(|taken| taken.and(Err(io::Error::other(wrong.clone())))).collect(),
        None => taken,
    }
}

/// What shows that a file is not the one that was analysed.
fn differs(input: &Input, met: &Met) -> Option<String> {
    let told = |time: &Option<String>| time.as_deref().and_then(moment);
    let shown = |time: Option<Time>| time.map_or_else(|| "none".to_owned(), Time::rfc3339);
    if input.packets != Some(met.packets) {
        let packets = input.packets.unwrap_or(0);
        return Some(format!("it has {} packets where that had {packets}", met.packets));
    }
    let ends = [("first", &input.first_packet, met.first_at), ("last", &input.last_packet, met.last_at)];
    ends.into_iter().find(|(_, then, now)| told(then) != *now).map(|(which, then, now)| {
        let then = then.as_deref().unwrap_or("none");
        format!("its {which} packet is of {} where that of the other was of {then}", shown(now))
    })
}

impl Finding {
    fn about(&self, input: &Input) -> String {
        let Self { id, title, exhibits_total, .. } = self;
        let display_filter = self.selector.display_filter();
        let shown = self.exhibits.iter().filter(|exhibit| exhibit.frame.is_some()).count();
        let time = |time: &Option<String>| time.as_deref().and_then(moment);
        let recorded = time(&input.first_packet).zip(time(&input.last_packet));
        let recorded = recorded.map_or_else(String::new, |(from, until)| recorded_line(from, until));
        format!(
            "{recorded}{} {}: evidence of {id}: {title}. Cut from {}: all packets of {}. Comments stand on {shown} of {exhibits_total} packets that prove it: frame.comment.",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            base(&input.name),
            if display_filter.is_empty() { "the capture" } else { &display_filter },
        )
    }

    /// What exhibits say of the frames of an input, which are counted from 0.
    fn comments(&self, input: &str) -> BTreeMap<u64, String> {
        let mut comments: BTreeMap<u64, String> = BTreeMap::new();
        for exhibit in self.exhibits.iter().filter(|exhibit| exhibit.input == input) {
            let Some(frame) = exhibit.frame.and_then(|frame| frame.checked_sub(1)) else { continue };
            let comment = comments.entry(frame).or_default();
            let line = if comment.is_empty() { "" } else { "\n" };
            comment.push_str(&format!("{line}{}: {}", self.id, exhibit.text));
        }
        comments
    }
}

impl Selector {
    fn display_filter(&self) -> String {
        let Self { client_ip, server_ip, server_port, .. } = *self;
        Subject { client_ip, server_ip, server_port, host: None }.display_filter()
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        [self.client_ip, self.server_ip].into_iter().flatten().for_each(|ip| filter.host(ip));
        if let Some(port) = self.server_port {
            filter.port(port);
        }
        let time = |time: &Option<String>| time.as_deref().and_then(moment);
        if let (Some(from), Some(until)) = (time(&self.from), time(&self.until)) {
            filter.between(from, until);
        }
        filter
    }
}
